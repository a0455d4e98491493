"""The commands of RFC 5321, LMTP and CHUNKING as values: what exists can be sent."""

import pickle

import pytest

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.core_commands import (
    Bdat,
    Command,
    Data,
    Ehlo,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    Vrfy,
)

ALICE = Mailbox("alice", "a.example")
JOSE = Mailbox("josé", "é.example")

WRITTEN = [
    (Ehlo("mail.example"), b"EHLO mail.example\r\n"),
    (Ehlo("[IPv6:::1]"), b"EHLO [IPv6:::1]\r\n"),
    (Helo("localhost"), b"HELO localhost\r\n"),
    (Lhlo("a"), b"LHLO a\r\n"),
    (Mail(None), b"MAIL FROM:<>\r\n"),
    (Mail(ALICE), b"MAIL FROM:<alice@a.example>\r\n"),
    (Mail(ALICE, {"SIZE": 5, "BODY": "7BIT"}), b"MAIL FROM:<alice@a.example> SIZE=5 BODY=7BIT\r\n"),
    (Mail(JOSE, {"SMTPUTF8": True}), "MAIL FROM:<josé@é.example> SMTPUTF8\r\n".encode()),
    (Rcpt(Mailbox("a b", "[192.0.2.1]")), b'RCPT TO:<"a b"@[192.0.2.1]>\r\n'),
    (Rcpt(Mailbox("Postmaster", "")), b"RCPT TO:<Postmaster>\r\n"),
    (Rcpt(JOSE), "RCPT TO:<josé@é.example>\r\n".encode()),
    (Rcpt(ALICE, {"NOTIFY": ("NEVER",)}), b"RCPT TO:<alice@a.example> NOTIFY=NEVER\r\n"),
    (Data(), b"DATA\r\n"),
    (Bdat(0), b"BDAT 0\r\n"),
    (Bdat(10**20 - 1, last=True), b"BDAT 99999999999999999999 LAST\r\n"),
    (Rset(), b"RSET\r\n"),
    (Noop(), b"NOOP\r\n"),
    (Noop("a b"), b'NOOP "a b"\r\n'),
    (Help("MAIL"), b"HELP MAIL\r\n"),
    (Quit(), b"QUIT\r\n"),
    (Vrfy("alice@a.example"), b"VRFY alice@a.example\r\n"),
    (Vrfy("josé", smtputf8=True), "VRFY josé SMTPUTF8\r\n".encode()),
    (Expn(""), b'EXPN ""\r\n'),
]


@pytest.mark.parametrize(("command", "octets"), WRITTEN, ids=lambda value: repr(value)[:40])
def test_bytes_gives_the_line(command, octets):
    assert bytes(command) == octets
    assert octets.startswith(command.verb.encode())
    assert isinstance(command, Command)


@pytest.mark.parametrize("command", [command for command, _ in WRITTEN if command.verb != "RCPT"], ids=repr)
def test_the_argument_is_read_as_it_is_written(command):
    assert type(command).parse_argument(command.argument_text()) == command


@pytest.mark.parametrize(
    ("kind", "text"), [(Data, "x"), (Bdat, ""), (Bdat, "1 "), (Bdat, "-1"), (Vrfy, ""), (Vrfy, "a b"), (Expn, "\x7f")]
)
def test_an_argument_that_is_not_right_is_refused(kind, text):
    with pytest.raises(ParseError):
        kind.parse_argument(text)


@pytest.mark.parametrize("command", [Mail, Rcpt])
def test_a_path_is_a_mailbox_and_no_text(command):
    with pytest.raises(TypeError, match="-path is a Mailbox"):
        command("a@b.example")


@pytest.mark.parametrize("command", [command for command, _ in WRITTEN], ids=repr)
def test_a_command_is_a_value(command):
    again = pickle.loads(pickle.dumps(command))
    assert again == command
    assert hash(again) == hash(command)
    assert command.syntax.isascii()
    assert command.syntax.split()[0] == command.verb


def test_commands_of_different_verbs_differ():
    assert Ehlo("a") != Helo("a")
    assert Data() != Rset()


def test_repr_shows_the_fields():
    assert repr(Mail(ALICE, {"size": 5})) == "Mail(Mailbox('alice', 'a.example'), {'SIZE': 5})"
    assert repr(Bdat(5, True)) == "Bdat(5, True)"
    assert repr(Data()) == "Data()"


def test_parameters_are_the_commands_own():
    parameters = {"SIZE": 5}
    mail = Mail(ALICE, parameters)
    parameters["SIZE"] = 6
    assert mail.parameters == {"SIZE": 5}
    assert Mail(ALICE).parameters is not Mail(ALICE).parameters


@pytest.mark.parametrize(
    ("make", "code", "enhanced"),
    [
        (lambda: Ehlo("under_score"), 501, "5.5.4"),
        (lambda: Ehlo("a b"), 501, "5.5.4"),
        (lambda: Ehlo("a\r\nQUIT"), 501, "5.5.4"),
        (lambda: Ehlo("é.example"), 501, "5.5.4"),
        (lambda: Mail(Mailbox("postmaster", "")), 501, "5.1.7"),
        (lambda: Mail(JOSE), 550, "5.6.7"),
        (lambda: Mail(ALICE, {"X": "é"}), 550, "5.6.7"),
        (lambda: Mail(ALICE, {"NOTIFY": ("NEVER",)}), 555, "5.5.4"),
        (lambda: Rcpt(ALICE, {"SIZE": 5}), 555, "5.5.4"),
        (lambda: Bdat(-1), 501, "5.5.4"),
        (lambda: Bdat(10**20), 501, "5.5.4"),
        (lambda: Noop("a\r\nQUIT"), 501, "5.5.4"),
        (lambda: Noop("a\tb"), 501, "5.5.4"),
        (lambda: Help("é"), 501, "5.5.4"),
        (lambda: Vrfy("a\0"), 501, "5.5.4"),
        (lambda: Vrfy("\ud800", smtputf8=True), 501, "5.5.4"),
        (lambda: Vrfy("é"), 550, "5.6.7"),
    ],
)
def test_what_could_not_be_sent_is_not_made(make, code, enhanced):
    with pytest.raises(ParseError) as caught:
        make()
    assert (caught.value.code, caught.value.enhanced) == (code, enhanced)


def test_mail_and_rcpt_write_their_octets_once():
    for command in (Mail(Mailbox("a", "b.example"), {"SIZE": 9}), Rcpt(Mailbox("a", "b.example"))):
        assert bytes(command) is bytes(command)
        assert pickle.loads(pickle.dumps(command)) == command


def test_a_command_that_was_parsed_is_written_when_it_is_wanted():
    command = Rcpt.__new__(Rcpt)
    command.forward_path, command.parameters = Mailbox("a", "b.example"), {}
    assert bytes(command) == b"RCPT TO:<a@b.example>\r\n"
    assert bytes(command) is bytes(command)


@pytest.mark.parametrize(
    ("read", "text", "command"),
    [
        (Bdat.parse_argument, "5 last", Bdat(5, last=True)),
        (Bdat.parse_argument, "5 LAST", Bdat(5, last=True)),
        (Vrfy.parse_argument, "x smtputf8", Vrfy("x", smtputf8=True)),
        (Expn.parse_argument, "x SmtpUtf8", Expn("x", smtputf8=True)),
    ],
)
def test_words_are_read_in_any_case(read, text, command):
    assert read(text) == command
