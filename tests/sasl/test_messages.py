"""Text in the messages of mechanisms."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.sasl.messages import malformed, read_saslname, read_text, same, write_saslname, write_text


def test_text_is_utf_8_without_nul():
    assert read_text("é".encode()) == "é"
    assert write_text("é") == "é".encode()
    for octets in (b"\xff", b"a\0", b"\xed\xa0\x80"):
        with pytest.raises(ParseError) as caught:
            read_text(octets)
        assert (caught.value.code, caught.value.enhanced, caught.value.octets) == (501, "5.5.2", b"")
        assert caught.value.__cause__ is None
    for text in ("\ud800", "a\0"):
        with pytest.raises(ParseError):
            write_text(text)


@given(st.text("=,2CD3x"))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_names_come_back_as_they_were(name):
    written = write_saslname(name)
    assert "," not in written
    assert read_saslname(written) == name


@pytest.mark.parametrize("name", ["=", "a=", "=2", "=2c", "=3d", "==2C3D", "=41"])
def test_an_equals_sign_that_escapes_nothing(name):
    with pytest.raises(ParseError):
        read_saslname(name)


def test_comparison_and_error():
    assert same(b"a", b"a")
    assert not same(b"a", b"ab")
    assert malformed("words").what == "words"
