"""SASLprep, with the examples of RFC 4013 section 3."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.sasl.saslprep import saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("pass word", "pass word"),
        ("\u0627\u0628", "\u0627\u0628"),
        ("\u06271\u0628", "\u06271\u0628"),
    ],
)
def test_examples(text, prepared):
    assert saslprep(text) == prepared


@pytest.mark.parametrize(
    "text", ["\x07", "a\x7f", "é\x00", "\ue000", "\ufffe", "\ud800", "\ufff9", "\u2ff0", "\u200e", "\U000e0041"]
)
def test_prohibited_characters(text):
    with pytest.raises(ParseError, match="may not be in one") as caught:
        saslprep(text)
    assert caught.value.octets == b""


@pytest.mark.parametrize("text", ["\u06271", "1\u0627", "\u0627a\u0628"])
def test_mixed_directions(text):
    with pytest.raises(ParseError, match="directions"):
        saslprep(text)


@pytest.mark.parametrize("text", ["", "\u00ad", "\u200d\u2060"])
def test_nothing_left(text):
    with pytest.raises(ParseError, match="empty"):
        saslprep(text)


def test_unassigned_characters_may_be_asked_for_but_not_stored():
    assert saslprep("\u0221") == "\u0221"
    with pytest.raises(ParseError):
        saslprep("\u0221", stored=True)
    assert saslprep("é", stored=True) == "é"


@given(st.text(max_size=20))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_is_prepared_stays_as_it_is(text):
    try:
        prepared = saslprep(text)
    except ParseError:
        return
    assert saslprep(prepared) == prepared
