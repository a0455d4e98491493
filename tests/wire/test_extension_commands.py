"""The commands that extensions add, and the unknown ones, as values."""

import pickle

import pytest

from smtpkit.errors import ParseError
from smtpkit.wire.extension_commands import (
    HISTORIC_VERBS,
    SYNTAX,
    UNAVAILABLE,
    Auth,
    Etrn,
    StartTLS,
    UnknownCommand,
    XClient,
    XForward,
    decode_base64,
)

WRITTEN = [
    (StartTLS(), b"STARTTLS\r\n"),
    (Auth("plain"), b"AUTH PLAIN\r\n"),
    (Auth("EXTERNAL", b""), b"AUTH EXTERNAL =\r\n"),
    (Auth("PLAIN", b"\0a\0b"), b"AUTH PLAIN AGEAYg==\r\n"),
    (Auth("SCRAM_X-1", b"x" * 100), b"AUTH SCRAM_X-1 " + b"eHh4" * 33 + b"eA==\r\n"),
    (Etrn("@example.com"), b"ETRN @example.com\r\n"),
    (Etrn('a"b'), b'ETRN "a\\"b"\r\n'),
    (XClient({"name": "[UNAVAILABLE]", "ADDR": "192.0.2.1"}), b"XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1\r\n"),
    (XForward({"HELO": "a b=é", "IDENT": ""}), b"XFORWARD HELO=a+20b+3D+C3+A9 IDENT=\r\n"),
    (UnknownCommand("xyz"), b"XYZ\r\n"),
    (UnknownCommand("X-1", " any  text"), b"X-1  any  text\r\n"),
]


@pytest.mark.parametrize(("command", "octets"), WRITTEN, ids=lambda value: repr(value)[:40])
def test_bytes_gives_the_line(command, octets):
    assert bytes(command) == octets
    assert octets.startswith(command.verb.encode())


@pytest.mark.parametrize("command", [command for command, _ in WRITTEN[:-2]], ids=repr)
def test_the_argument_is_read_as_it_is_written(command):
    assert type(command).parse_argument(command.argument_text()) == command


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((StartTLS, "x"), (Auth, ""), (Auth, "PLAIN x"), (Auth, "PLAIN AGEAYh=="), (Etrn, "a b"), (Etrn, "")),
        *((XClient, "NAME"), (XClient, "NAME=a name=b"), (XForward, "NAME=+zz")),
    ],
)
def test_an_argument_that_is_not_right_is_refused(kind, text):
    with pytest.raises(ParseError):
        kind.parse_argument(text)


@pytest.mark.parametrize("command", [command for command, _ in WRITTEN], ids=repr)
def test_a_command_is_a_value(command):
    again = pickle.loads(pickle.dumps(command))
    assert again == command
    assert hash(again) == hash(command)


def test_repr_never_shows_an_initial_response():
    assert repr(Auth("PLAIN", b"\0user\0secret")) == "Auth('PLAIN', <hidden>)"
    assert repr(Auth("PLAIN", b"")) == "Auth('PLAIN', <hidden>)"
    assert repr(Auth("PLAIN")) == "Auth('PLAIN')"


def test_the_syntax_of_every_known_verb_is_told():
    assert len(SYNTAX) == 18
    assert all(text.isascii() and text.split()[0] == verb for verb, text in SYNTAX.items())
    assert not HISTORIC_VERBS & set(SYNTAX)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Auth(""),
        lambda: Auth("A" * 21),
        lambda: Auth("PLA IN"),
        lambda: Auth("PLAIN\r\n"),
        lambda: Auth("\u017f"),
        lambda: Etrn("a\nb"),
        lambda: Etrn("é"),
        lambda: XClient({}),
        lambda: XClient({f"N{number}": "" for number in range(33)}),
        lambda: XClient({"NAME": "a", "name": "b"}),
        lambda: XClient({"NA=ME": "a"}),
        lambda: XClient({"": "a"}),
        lambda: XForward({"NAME": "a" * 256}),
        lambda: XForward({"NAME": "a\r\nb"}),
        lambda: XForward({"NAME": "\x1b"}),
        lambda: UnknownCommand(""),
        lambda: UnknownCommand("A B"),
        lambda: UnknownCommand("A_B"),
        lambda: UnknownCommand("mail"),
        lambda: UnknownCommand("X", "a\r\nb"),
        lambda: UnknownCommand("X", "a "),
        lambda: UnknownCommand("X", " "),
        lambda: UnknownCommand("X", "é"),
    ],
)
def test_what_could_not_be_sent_is_not_made(make):
    with pytest.raises(ParseError):
        make()


def test_base64_has_one_spelling_for_each_value():
    assert decode_base64(b"AGEAYg==") == b"\0a\0b"
    assert decode_base64(b"") == b""
    for wrong in (b"AGEAYh==", b"AGEAYg=", b"AGEAYg", b"AGEA Yg==", b"AGEAYg==\n", b"=", b"\xc3\xa9"):
        with pytest.raises(ParseError, match="bad base64"):
            decode_base64(wrong)


def test_an_empty_initial_response_has_its_sign():
    assert Auth.parse_argument("PLAIN =") == Auth("PLAIN", b"")
    with pytest.raises(ParseError, match="no initial response"):
        Auth.parse_argument("PLAIN ")


def test_names_have_one_character_or_20_at_most():
    for name in ("X", "X" * 20):
        assert Auth.parse_argument(name) == Auth(name)
    with pytest.raises(ParseError):
        Auth("X" * 21)
    assert Etrn.parse_argument("x") == Etrn("x")


@pytest.mark.parametrize("made", [("NOOP", ""), ("", ""), ("FOO", "\x07"), ("FOO", "\xe9")])
def test_an_unknown_command_that_is_none_is_a_syntax_error(made):
    with pytest.raises(ParseError) as caught:
        UnknownCommand(*made)
    assert caught.value.enhanced == "5.5.2"


def test_what_is_not_known_of_a_client_is_an_empty_text():
    told = {"NAME": UNAVAILABLE, "ADDR": "[tempunavail]", "HELO": "a.example", "LOGIN": ""}
    assert XForward(told).known == {"NAME": "", "ADDR": "", "HELO": "a.example", "LOGIN": ""}


def test_verbs_that_were_once_in_use():
    assert {"ATRN", "BURL", "ONEX", "SAML", "SEND", "SOML", "TURN", "VERB"} == HISTORIC_VERBS


@pytest.mark.parametrize("kind", [XClient, XForward])
def test_attributes_are_named_in_any_case_and_have_255_characters_at_most(kind):
    assert kind.parse_argument("name=a Helo=b").attributes == {"NAME": "a", "HELO": "b"}
    assert kind({"NAME": "a" * 255}).attributes == {"NAME": "a" * 255}
    with pytest.raises(ParseError):
        kind({"NAME": "a" * 256})


def test_a_space_without_an_initial_response_is_a_syntax_error():
    with pytest.raises(ParseError) as caught:
        Auth.parse_argument("PLAIN ")
    assert caught.value.enhanced == "5.5.2"
