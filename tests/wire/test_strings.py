"""Quoted-strings and Strings: writing and reading are inverse, and nothing is escaped without need."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire.strings import QUOTED_STRING, check_no_controls, is_keyword, is_number, quote, unquote, write_string

quick = settings(derandomize=True, deadline=None, max_examples=100)

TEXT = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=40)


@quick
@given(TEXT)
def test_a_quoted_string_gives_back_what_was_quoted(text):
    assert re.fullmatch(QUOTED_STRING, quote(text))
    assert unquote(quote(text)) == text


@quick
@given(TEXT)
def test_a_string_gives_back_what_was_written(text):
    assert unquote(write_string(text)) == text


def test_every_character_of_a_quoted_string_may_be_escaped():
    assert unquote(r'"\J\o\e\\\""') == 'Joe\\"'


@pytest.mark.parametrize("text", ["word", 'a"b"', '"', '"unfinished', '"a"b"', '"\\'])
def test_what_is_no_quoted_string_stays_as_it_is(text):
    assert unquote(text) == text


@pytest.mark.parametrize("text", ["word", "user@host.example", "<user@host>", "é"])
def test_one_word_is_not_quoted(text):
    assert write_string(text) == text


@pytest.mark.parametrize(("text", "written"), [("", '""'), ("a b", '"a b"'), ("a\\", '"a\\\\"'), ('"', '"\\""')])
def test_other_text_is_quoted(text, written):
    assert write_string(text) == written


@pytest.mark.parametrize("character", [*map(chr, range(32)), *map(chr, (0x7F, 0xD800, 0xDFFF))])
def test_controls_and_surrogates_are_refused(character):
    with pytest.raises(ParseError):
        check_no_controls(f"a{character}b")


@quick
@given(TEXT)
def test_other_text_is_not_refused(text):
    check_no_controls(text)


def test_a_keyword_is_letters_digits_and_hyphens_not_a_hyphen_first():
    assert all(map(is_keyword, ["A", "8BITMIME", "x-own", "1-"]))
    assert not any(map(is_keyword, ["", "-", "-A", "A_B", "A B", "\u00e9", "\u0661", "A\r\n"]))


def test_a_number_is_ascii_digits_within_a_bound():
    assert is_number("0", 1)
    assert is_number("012", 3)
    assert not any(is_number(text, 3) for text in ["", "1234", "-1", "+1", "1 ", "\u0661", "\u00b2", "1_0"])
