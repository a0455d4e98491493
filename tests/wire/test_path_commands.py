"""MAIL and RCPT: a path, and parameters."""

import pickle

import pytest

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.parameters import PARAMETERS, ParameterCodec
from smtpkit.wire.path_commands import Mail, Rcpt

ALICE = Mailbox("alice", "a.example")
JOSE = Mailbox("josé", "é.example")
TEXTS = [
    (Mail(None), "FROM:<>"),
    (Mail(ALICE), "FROM:<alice@a.example>"),
    (Mail(ALICE, {"SIZE": 5, "BODY": "7BIT"}), "FROM:<alice@a.example> SIZE=5 BODY=7BIT"),
    (Mail(JOSE, {"SMTPUTF8": True}), "FROM:<josé@é.example> SMTPUTF8"),
    (Rcpt(Mailbox("a b", "[192.0.2.1]")), 'TO:<"a b"@[192.0.2.1]>'),
    (Rcpt(Mailbox("Postmaster", "")), "TO:<Postmaster>"),
    (Rcpt(ALICE, {"NOTIFY": ("NEVER",)}), "TO:<alice@a.example> NOTIFY=NEVER"),
]


@pytest.mark.parametrize(("command", "text"), TEXTS)
def test_the_argument_is_written_and_read(command, text):
    assert command.argument_text() == text
    again = type(command).parse_argument(text)
    assert again == command
    assert bytes(again) == bytes(command) == f"{command.verb} {text}\r\n".encode()
    assert pickle.loads(pickle.dumps(again)) == command


def test_a_recipient_beyond_ascii_is_read_in_a_transaction_with_smtputf8():
    assert Rcpt.parse_argument("TO:<josé@é.example>", smtputf8=True) == Rcpt(JOSE)


@pytest.mark.parametrize("kind", [Mail, Rcpt])
def test_parameters_of_ones_own_have_their_codec(kind):
    codecs = {**PARAMETERS[kind.verb], "X-N": ParameterCodec("X-N", lambda text: int(text, 16), "{:x}".format)}
    command = kind(ALICE, {"X-N": 255}, codecs)
    again = kind.parse_argument(command.argument_text(), codecs)
    assert again == command
    assert bytes(again) == bytes(command)
    assert b" X-N=ff\r\n" in bytes(command)
    assert kind.parse_argument(kind(ALICE).argument_text(), codecs) == kind(ALICE)


@pytest.mark.parametrize("kind", [Mail, Rcpt])
def test_a_path_is_a_mailbox_and_no_text(kind):
    with pytest.raises(TypeError, match="-path is a Mailbox"):
        kind("a@b.example")


@pytest.mark.parametrize(
    ("make", "code", "enhanced"),
    [
        (lambda: Mail(Mailbox("postmaster", "")), 501, "5.1.7"),
        (lambda: Mail(JOSE), 550, "5.6.7"),
        (lambda: Mail.parse_argument("<a@a.example>"), 501, "5.5.4"),
        (lambda: Mail.parse_argument("FROM:<postmaster>"), 501, "5.1.7"),
        (lambda: Mail.parse_argument("FROM:<josé@é.example>"), 550, "5.6.7"),
        (lambda: Mail.parse_argument("FROM:<a@a.example>SIZE=1"), 501, "5.5.4"),
        (lambda: Rcpt.parse_argument("TO:<>"), 501, "5.1.3"),
        (lambda: Rcpt.parse_argument("TO:<josé@é.example>"), 553, "5.6.7"),
        (lambda: Rcpt(ALICE, {"SIZE": 5}), 555, "5.5.4"),
    ],
)
def test_what_is_not_right_is_refused(make, code, enhanced):
    with pytest.raises(ParseError) as caught:
        make()
    assert (caught.value.code, caught.value.enhanced) == (code, enhanced)
