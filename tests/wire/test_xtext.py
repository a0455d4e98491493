"""xtext (RFC 3461 section 4) and its relatives for UTF-8 addresses (RFC 6533 section 3)."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire.xtext import utf8_xtext_decode, utf8_xtext_encode, xtext_decode, xtext_encode

quick = settings(derandomize=True, deadline=None, max_examples=100)

VECTORS = json.loads(Path(__file__).parent.parent.joinpath("vectors", "xtext.json").read_text())["vectors"]
DISAGREE = {
    "xtext-015": "rfc n/a: + and = stand unencoded, which is no QCHAR (RFC 6533 section 3)",
    "xtext-018": "grammatical, but CR and LF must not come out of it: they would begin a line where the text is stored",
}
TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=40)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_vectors(vector):
    encoded = vector.get("encoded") or vector["encoded_utf8"]
    decode = xtext_decode if vector["kind"] == "xtext" else utf8_xtext_decode
    if vector["rfc"] != "valid" or vector["id"] in DISAGREE:
        with pytest.raises(ParseError):
            decode(encoded)
        return
    decoded = vector["decoded_utf8"]
    assert decode(encoded) == decoded
    if vector["kind"] == "xtext":
        assert xtext_encode(decoded) == encoded
    else:
        assert utf8_xtext_encode(decoded, smtputf8=vector["kind"] == "utf-8-addr-unitext") == encoded


@quick
@given(TEXT)
def test_xtext_gives_back_what_was_encoded(text):
    encoded = xtext_encode(text)
    assert re.fullmatch(r"[!-<>-~]*", encoded)
    assert xtext_decode(encoded) == text


@quick
@given(TEXT.filter(bool), st.booleans())
def test_utf8_xtext_gives_back_what_was_encoded(text, smtputf8):
    encoded = utf8_xtext_encode(text, smtputf8=smtputf8)
    assert re.fullmatch(r"[^\x00-\x20\x7f+=]+", encoded)
    assert smtputf8 or encoded.isascii()
    assert utf8_xtext_decode(encoded) == text


def test_hexadecimal_digits_may_be_in_lower_case():
    assert xtext_decode("a+2b+c3+A9") == "a+é"
    assert utf8_xtext_decode(r"\x{e9}\x{2b}") == "é+"


@pytest.mark.parametrize("text", ["+", "a+", "a+0", "a+GG", "a b", "a=b", "é", "\x7f", "a\n", "+C3", "+ED+A0+80"])
def test_what_is_no_xtext(text):
    with pytest.raises(ParseError):
        xtext_decode(text)


@pytest.mark.parametrize(
    "digits", ["1", "0041", "041", "110000", "10FFFFF", "D800", "DFFF", "", "G0", "4\n", "41", "2A", "7e"]
)
def test_what_is_no_embedded_character(digits):
    with pytest.raises(ParseError):
        utf8_xtext_decode(f"\\x{{{digits}}}")


def test_of_ascii_only_what_cannot_stand_for_itself_is_embedded():
    for number in range(1, 128):
        embedded = rf"\x{{{number:02X}}}"
        if (32 < number < 127 and chr(number) not in "+=\\") or chr(number) in "\r\n":
            with pytest.raises(ParseError):
                utf8_xtext_decode(embedded)
        else:
            assert utf8_xtext_decode(embedded) == chr(number)


@pytest.mark.parametrize("text", ["", "a b", "a=b", "a+b", "a\\b", "\\x{41", "\x7f", "a\n", "\ud800"])
def test_what_is_no_utf8_xtext(text):
    with pytest.raises(ParseError):
        utf8_xtext_decode(text)


@pytest.mark.parametrize("hidden", ["+0D", "+0A", "+00"])
def test_line_ends_and_nul_do_not_come_out_of_xtext(hidden):
    with pytest.raises(ParseError):
        xtext_decode(f"a{hidden}b")


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\ud800"])
def test_line_ends_nul_and_surrogates_do_not_go_in(character):
    with pytest.raises(ParseError):
        xtext_encode(character)
    with pytest.raises(ParseError):
        utf8_xtext_encode(character)


def test_an_empty_address_has_no_utf8_xtext():
    with pytest.raises(ParseError):
        utf8_xtext_encode("")


@quick
@given(st.text("+\\x{}=0aAfFdD8\n é", max_size=20))
def test_only_parse_errors_come_out(text):
    for decode in (xtext_decode, utf8_xtext_decode):
        try:
            decoded = decode(text)
        except ParseError:
            continue
        assert not set("\r\n\0") & set(decoded)


@pytest.mark.parametrize("point", ["20", "7F", "80", "3C0", "FFFD", "10000", "10FFFF"])
def test_an_embedded_character_has_two_to_six_digits(point):
    assert utf8_xtext_decode(rf"a\x{{{point}}}") == "a" + chr(int(point, 16))
