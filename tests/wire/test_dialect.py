"""The words that are known: those of the standards, and those that are added."""

import pickle

import pytest

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import Command, Mail, Rcpt, UnknownCommand, parse_command
from smtpkit.wire.dialect import STANDARD, Dialect
from smtpkit.wire.parameters import PARAMETERS, ParameterCodec


class Tag(Command):
    __slots__ = ("number",)
    verb = "X-TAG"
    syntax = "X-TAG number"

    def __init__(self, number):
        self.number = number

    @classmethod
    def parse_argument(cls, text):
        return cls(int(text))

    def argument_text(self):
        return str(self.number)


CODEC = ParameterCodec("x-n", lambda text: int(text, 16), "{:x}".format).guarded()
OWN = Dialect(commands={"X-TAG": Tag}, mail={"X-N": CODEC}, rcpt={"X-N": CODEC}, readers={"X-TAGS": len})
ALICE = Mailbox("alice", "a.example")


def parse(line, **options):
    return parse_command(line, dialect=OWN, **options)


def test_a_command_that_is_added_comes_as_its_own_value():
    assert parse(b"x-tag 5\r\n") == Tag(5)
    assert bytes(Tag(5)) == b"X-TAG 5\r\n"
    assert parse_command(b"X-TAG 5") == UnknownCommand("X-TAG", "5")


def test_a_wrong_argument_of_it_is_501_with_its_syntax():
    with pytest.raises(ParseError, match="bad argument") as caught:
        parse(b"X-TAG five\r\n")
    assert (caught.value.code, caught.value.expected) == (501, "X-TAG number")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"MAIL FROM:<alice@a.example> X-N=ff SIZE=5\r\n", Mail(ALICE, {"X-N": 255, "SIZE": 5}, OWN.mail)),
        (b"MAIL FROM:<> X-N=ff\r\n", Mail(None, {"x-n": 255}, OWN.mail)),
        (b"RCPT TO:<alice@a.example> X-N=1\r\n", Rcpt(ALICE, {"X-N": 1}, OWN.rcpt)),
        (b'MAIL FROM:<"a b"@a.example> X-N=1\r\n', Mail(Mailbox("a b", "a.example"), {"X-N": 1}, OWN.mail)),
        (b'RCPT TO:<"a b"@a.example> X-N=1\r\n', Rcpt(Mailbox("a b", "a.example"), {"X-N": 1}, OWN.rcpt)),
        (b"MAIL FROM:<alice@a.example> SIZE=5\r\n", Mail(ALICE, {"SIZE": 5})),
        (b"RCPT TO:<alice@a.example>\r\n", Rcpt(ALICE)),
    ],
)
def test_parameters_that_are_added_have_their_values_and_are_written_again(line, command):
    read = parse(line)
    assert read == command
    assert bytes(read) == bytes(command) == line
    assert bytes(pickle.loads(pickle.dumps(read))) == line


@pytest.mark.parametrize("text", ["X-N=xyz", "X-N", "X-N="])
def test_a_wrong_value_is_501(text):
    with pytest.raises(ParseError) as caught:
        parse(f"MAIL FROM:<alice@a.example> {text}\r\n".encode())
    assert caught.value.code == 501


def test_what_is_not_added_stays_text():
    assert parse(b"MAIL FROM:<> X-O=1").parameters == {"X-O": "1"}
    assert parse_command(b"MAIL FROM:<> X-N=ff").parameters == {"X-N": "ff"}


@pytest.mark.parametrize("value", ["a b", "a\r\nQUIT", "=", "\ud800", "é\x7f"])
def test_an_own_codec_can_smuggle_nothing(value):
    loose = ParameterCodec("X-L", str)
    codecs = {**PARAMETERS["MAIL"], "X-L": loose.guarded()}
    with pytest.raises(ParseError):
        Mail(ALICE, {"X-L": value, "SMTPUTF8": True}, codecs)


def test_words_of_the_standards_keep_their_meaning():
    changed = Dialect(commands={"DATA": Tag}, mail={"SIZE": CODEC}, readers={"SIZE": len})
    assert changed.commands == STANDARD.commands
    assert (changed.mail, changed.readers) == (STANDARD.mail, STANDARD.readers)


def test_repr_tells_what_is_added():
    assert repr(STANDARD) == "<Dialect of the standards>"
    assert repr(OWN) == "<Dialect of the standards, X-TAG, X-N, X-N>"
