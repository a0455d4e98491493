"""Outgoing: newlines, what may not be sent, sizes, and pieces."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import NotSupported, ParseError
from smtpkit.protocol.events import BodyChunk
from smtpkit.protocol.outgoing import PIECE, Outgoing, as_group, scanned, scanned_whole
from smtpkit.wire.commands import Bdat
from smtpkit.wire.dots import dot_stuff, dot_unstuff

ODD = [b"a\nb", b"a\rb", b"\n", b"a\r", b"\r\r\n", b"a\n\r"]


def held(body, **options):
    return Outgoing(body, scanned((body,)), **options)


def octets(outgoing, *pieces):
    return b"".join([piece for given in pieces for piece in outgoing.feed(given)] + list(outgoing.finish()))


# Newlines


def test_lone_newlines_become_crlf():
    for scan in (None, scanned((b"a\nb\rc\r\nd\r",))):
        assert octets(Outgoing(None, scan), b"a\nb\r", b"c\r", b"\nd\r") == b"a\r\nb\r\nc\r\nd\r\n"


@pytest.mark.parametrize("body", ODD)
def test_strict_refuses_lone_newlines(body):
    with pytest.raises(ParseError, match="lone CR or LF") as info:
        held(body, newlines="strict")
    assert (info.value.code, info.value.enhanced) == (550, "5.6.0")
    with pytest.raises(ParseError):
        octets(Outgoing(newlines="strict"), body)


def test_strict_refuses_long_lines_and_no_other_does():
    longest = b"x" * 998 + b"\r\n"
    assert held(longest * 2, newlines="strict").size == 2000
    assert octets(Outgoing(newlines="strict"), longest, longest) == longest * 2
    body = b"a\r\n" + b"x" * 999 + b"\r\n"
    with pytest.raises(ParseError, match="a line of 1001 octets") as info:
        Outgoing(None, scanned_whole(body, lines=True), newlines="strict")
    assert (info.value.code, info.value.enhanced) == (550, "5.6.0")
    with pytest.raises(ParseError, match="a line of 1001 octets"):
        octets(Outgoing(newlines="strict"), body[:500], body[500:])
    for newlines in ("normalize", "as-is"):
        assert octets(Outgoing(newlines=newlines), body) == body
    assert octets(Outgoing(binary=True, newlines="strict"), body) == body


def test_strict_passes_crlf_in_any_pieces():
    assert octets(Outgoing(newlines="strict"), b"a\r", b"\nb\r\n") == b"a\r\nb\r\n"


@pytest.mark.parametrize("body", ODD)
def test_as_is_sends_them(body):
    assert octets(held(body, newlines="as-is"), body).startswith(body)


def test_other_words_for_newlines_are_an_error():
    with pytest.raises(ValueError, match="normalize, strict or as-is"):
        Outgoing(newlines="unix")


# What may not be sent


def test_nul_is_for_binary_bodies_alone():
    with pytest.raises(ParseError, match="NUL"):
        held(b"a\0b")
    with pytest.raises(ParseError, match="NUL"):
        octets(Outgoing(), b"a", b"\0")
    body = bytes(range(256))
    assert octets(held(body, binary=True), body) == body
    assert octets(Outgoing(binary=True), body) == body


def test_8_bit_octets_that_turn_up_are_refused_where_they_cannot_be_taken():
    outgoing = Outgoing(eight_bit=False)
    assert list(outgoing.feed(b"abc")) == []
    with pytest.raises(NotSupported) as info:
        outgoing.feed(b"\xc3\xa9")
    assert info.value.extension == "8BITMIME"
    assert octets(Outgoing(), b"\xc3\xa9\r\n") == b"\xc3\xa9\r\n"


@pytest.mark.parametrize("piece", ["text", 5, None, [b"x"]])
def test_a_body_gives_bytes(piece):
    with pytest.raises(TypeError, match="a body gives bytes"):
        Outgoing().feed(piece)
    with pytest.raises(TypeError, match="a body gives bytes"):
        scanned([piece])


def test_other_buffers_are_bytes():
    assert octets(Outgoing(), bytearray(b"a"), memoryview(b"b")) == b"ab\r\n"
    assert scanned([bytearray(b"ab"), memoryview(b"c")]).size == 3


# The last line's newline, and sizes


@pytest.mark.parametrize("newlines", ["normalize", "strict", "as-is"])
@pytest.mark.parametrize("body", [b"", b"a", b"a\r\n", b"a\r\nb", b"\r\n"])
def test_a_body_without_its_last_crlf_gets_it_as_data_would(newlines, body):
    sent = octets(held(body, newlines=newlines), body)
    assert sent == dot_unstuff(dot_stuff(body))
    assert held(body, newlines=newlines).size == len(sent)


def test_a_binary_body_gets_nothing():
    assert octets(held(b"a", binary=True), b"a") == b"a"
    assert held(b"a\nb", binary=True).size == 3


def test_the_size_of_what_is_not_scanned_is_not_known():
    assert Outgoing().size is None


BODIES = st.lists(st.sampled_from([b"a", b".", b"\r\n", b"\n", b"\r", b"bc", b"\xff"]), max_size=12).map(b"".join)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(BODIES, st.sampled_from(["normalize", "as-is"]), st.lists(st.integers(0, 12), max_size=4), st.booleans())
def test_size_is_what_leaves_and_bdat_gives_what_data_gives(body, newlines, cuts, scanned_before):
    scan = scanned((body,)) if scanned_before else None
    outgoing = Outgoing(body, scan, newlines=newlines)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    sent = octets(outgoing, *[body[start:end] for start, end in pairwise(edges)])
    assert sent == dot_unstuff(dot_stuff(sent))
    assert held(body, newlines=newlines).size == len(sent)
    if newlines == "normalize":
        assert sent.replace(b"\r\n", b"").count(b"\n") + sent.replace(b"\r\n", b"").count(b"\r") == 0
    else:
        assert sent in (body, body + b"\r\n")


# Pieces


def test_small_pieces_are_gathered_and_empty_ones_do_nothing():
    outgoing = Outgoing()
    pieces = [list(outgoing.feed(piece)) for piece in (b"", b"a" * 9000, b"", b"b" * 9000, b"c")]
    assert pieces == [[], [], [], [b"a" * 9000 + b"b" * 9000], []]
    assert list(outgoing.finish()) == [b"c\r\n"]


def test_large_pieces_are_cut():
    outgoing = Outgoing()
    assert [len(piece) for piece in outgoing.feed(b"x" * (3 * PIECE + 7))] == [PIECE, PIECE, PIECE, 7]
    assert list(outgoing.finish()) == [b"\r\n"]


def test_a_whole_body_and_the_limit_for_it():
    body = b"a\nb"
    outgoing = held(body)
    assert outgoing.whole(2) is None
    assert Outgoing().whole(10**9) is None
    assert outgoing.whole(3) == b"a\r\nb\r\n"
    assert held(b"").whole(0) == b""


def test_a_large_body_is_read_piece_by_piece_and_judged_as_a_whole():
    body = b"x" * (PIECE - 1) + b"\r\n" + b"y" * PIECE
    scan = scanned([body])
    assert (scan.size, scan.bare_newline, scan.ends_with_newline) == (len(body), False, False)


def test_a_body_that_is_held_is_looked_at_once():
    for body in (b"a\r\n", b"a", b"a\nb\r\n", b"\xe9\r\n", b"", b"x" * PIECE + b"\r\n"):
        whole, pieces = scanned_whole(body), scanned((body,))
        for name in ("size", "size_normalized", "eight_bit", "nul", "bare_newline", "ends_with_newline"):
            assert getattr(whole, name) == getattr(pieces, name), (body[:10], name)
        assert Outgoing(body, whole).whole(2 * PIECE) == Outgoing(body, pieces).whole(2 * PIECE)
        assert Outgoing(body, whole).size == Outgoing(body, pieces).size


def test_content_goes_after_bdat_or_within_data():
    assert as_group(b"hi\r\n", False, False) == (BodyChunk(b"hi\r\n", False),)
    assert as_group(b"hi\r\n", True, True) == (Bdat(4, True), BodyChunk(b"hi\r\n", True))
