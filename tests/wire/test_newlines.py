"""Newlines and facts of a body against their plain definitions, in any pieces."""

import json
import runpy
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.wire.newlines import BodyScan, NewlineNormalizer, plain_body

model = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("transparency.py"))))
VECTORS = Path(__file__).parents[1] / "vectors"

pieces_of_a_body = st.lists(
    st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"\0", b"a", b"\xff", b"x" * 600, b"y" * 1001]), max_size=6).map(
        b"".join
    ),
    max_size=6,
)


def normalize(pieces):
    normalizer = NewlineNormalizer()
    return b"".join([*map(normalizer.feed, pieces), normalizer.finish()]), normalizer.changed


def scan(pieces):
    found = BodyScan()
    for piece in pieces:
        found.feed(piece)
    found.finish()
    return found


def has_bare_newline(body):
    rest = body.replace(b"\r\n", b"")
    return b"\r" in rest or b"\n" in rest


def assert_facts(pieces):
    body = b"".join(pieces)
    found = scan(pieces)
    text = model.normalized(body)
    text += b"" if text.endswith(b"\r\n") or not text else b"\r\n"
    longest = max(map(len, text.split(b"\r\n"))) + 2
    assert found.size == len(body)
    assert found.size_normalized == len(text)
    assert found.eight_bit == any(octet > 127 for octet in body)
    assert found.nul == (0 in body)
    assert found.bare_newline == has_bare_newline(body)
    assert found.longest_line == (longest if longest > 1000 else 0)
    assert found.ends_with_newline == (body.endswith(b"\r\n") or not body)


def test_every_short_body_is_normalized_and_judged_in_every_cut_in_two():
    for body in model.strings(b"\r\na", 7):
        wanted = (model.normalized(body), has_bare_newline(body))
        assert normalize(model.single(body)) == wanted, body
        for index in range(len(body) + 1):
            assert normalize([body[:index], body[index:]]) == wanted, (body, index)
        assert_facts([body])
        assert_facts(model.single(body))


@settings(derandomize=True, deadline=None, max_examples=400)
@given(pieces_of_a_body)
def test_a_body_in_any_pieces_is_normalized_as_the_whole(pieces):
    assert normalize(pieces) == (model.normalized(b"".join(pieces)), has_bare_newline(b"".join(pieces)))


@settings(derandomize=True, deadline=None, max_examples=400)
@given(pieces_of_a_body)
def test_the_facts_of_a_body_in_any_pieces_are_those_of_the_whole(pieces):
    assert_facts(pieces)


def test_a_clean_piece_is_passed_on_without_a_copy_even_where_it_cuts_a_crlf():
    normalizer = NewlineNormalizer()
    for piece in (b"first\r\nsecond\r", b"\nthird\r\n", b""):
        assert normalizer.feed(piece) is piece
    assert (normalizer.finish(), normalizer.changed) == (b"", False)


def test_a_cr_at_the_end_of_a_piece_waits_for_what_follows():
    found = BodyScan()
    found.feed(b"a\r")
    assert not found.bare_newline
    found.feed(b"\n\r")
    assert not found.bare_newline
    found.finish()
    assert found.bare_newline


def test_the_octets_after_normalizing_are_what_size_declares():
    assert scan([b"a\nb"]).size_normalized == len(b"a\r\nb\r\n")
    assert scan([b"a\r", b"\nb\r"]).size_normalized == len(b"a\r\nb\r\n")
    assert scan([]).size_normalized == 0


@pytest.mark.parametrize("length", [997, 998, 999, 5000])
@pytest.mark.parametrize("newline", [b"\r\n", b"\n", b"\r", b""])
@pytest.mark.parametrize("size", [1, 700, 1 << 16])
def test_a_line_over_1000_octets_is_measured_wherever_it_stands(length, newline, size):
    line = b"x" * length + newline
    octets = length + 2
    for body in (line, b"short\r\n" * 300 + line, line + b"short" + newline, b"\r\n" + line):
        found = scan([body[start : start + size] for start in range(0, len(body), size)])
        follows = 5 if newline == b"" and body.endswith(b"short") else 0
        assert found.longest_line == (octets + follows if octets + follows > 1000 else 0)


def test_the_longest_of_many_long_lines_is_found():
    body = b"".join(b"x" * length + b"\r\n" for length in (1200, 1100, 5, 3000, 2999, 1500))
    assert scan([body]).longest_line == 3002
    assert scan(model.single(body)).longest_line == 3002


def test_nothing_of_a_body_is_held():
    found, normalizer = BodyScan(), NewlineNormalizer()
    tracemalloc.start()
    try:
        for _ in range(300):
            found.feed(b"x" * 1024)
            normalizer.feed(b"x\n" * 512)
        assert tracemalloc.get_traced_memory()[0] < 8192
    finally:
        tracemalloc.stop()


def test_bodies_are_normalized_as_others_do():
    vectors = json.loads((VECTORS / "dot_stuffing.json").read_text())["vectors"]
    checked = [vector for vector in vectors if vector.get("op") == "to_crlf"]
    assert len(checked) == 7
    for vector in checked:
        body = vector["input"].encode("latin-1")
        for pieces in ([body], model.single(body)):
            assert normalize(pieces)[0] == vector["expected"].encode("latin-1"), vector


@pytest.mark.parametrize("body", [b"", b"x", b"x\r\n", b"x" * 3000, b"x\ny\r", b"x" * 3000 + b"\r\nNUL\0"])
def test_lines_need_not_be_measured(body):
    measured, found = BodyScan(), BodyScan(lines=False)
    for each in (measured, found):
        each.feed(body)
        each.finish()
    names = ("size", "size_normalized", "eight_bit", "nul", "bare_newline", "ends_with_newline")
    assert [getattr(found, name) for name in names] == [getattr(measured, name) for name in names]
    assert found.longest_line == 0


# Bodies that may be sent as they are


@pytest.mark.parametrize("body", [b"\r\n", b"a\r\n", b"a\r\n\r\nb\r\n", b".\r\n..\r\n"])
def test_a_plain_body(body):
    plain = plain_body(body)
    scan = BodyScan()
    scan.feed(body)
    scan.finish()
    for name in ("size", "size_normalized", "eight_bit", "nul", "bare_newline", "ends_with_newline"):
        assert getattr(plain, name) == getattr(scan, name), name


@pytest.mark.parametrize(
    "body",
    [b"", b"a", b"a\n", b"a\r", b"\r\n\r", b"a\nb\r\n", b"a\rb\r\n", b"\0\r\n", b"\xe9\r\n", b"\r\r\n", b"\n\r\n"],
)
def test_a_body_that_is_not_plain(body):
    assert plain_body(body) is None


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([b"a", b".", b"\r\n", b"\n", b"\r", b"\0", b"\xff"]), max_size=12).map(b"".join))
def test_a_body_is_plain_if_a_scan_finds_nothing(body):
    scan = BodyScan()
    scan.feed(body)
    scan.finish()
    nothing = not (scan.eight_bit or scan.nul or scan.bare_newline) and scan.ends_with_newline and body != b""
    assert (plain_body(body) is not None) == nothing
