"""What all commands have in common."""

import pytest

from smtpkit.errors import ParseError
from smtpkit.wire.command import Command


class Ping(Command):
    __slots__ = ()
    verb = syntax = "XPING"


class Loose(Command):
    __slots__ = ("text",)
    verb = "XLOOSE"

    def __init__(self, text):
        self.text = text

    def argument_text(self):
        return self.text


def test_a_command_without_fields_needs_a_verb_alone():
    assert bytes(Ping()) == b"XPING\r\n"
    assert Ping.parse_argument("") == Ping()
    with pytest.raises(ParseError, match="an argument where none may be"):
        Ping.parse_argument("x")


def test_a_command_of_ones_own_can_smuggle_nothing():
    assert bytes(Loose("a b é")) == "XLOOSE a b é\r\n".encode()
    for text in ("a\r\nQUIT", "a\nb", "\0", "\ud800"):
        with pytest.raises(ParseError, match="control character"):
            bytes(Loose(text))
