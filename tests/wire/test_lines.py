"""Lines against a model in every cut of every short input, and their cost counted."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.wire import lines
from smtpkit.wire.lines import LINE_TOO_LONG, LineBuffer, LineTooLong

model = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("transparency.py"))))

octets = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"\0", b"a", b"NOOP\r\n", b"x" * 30]), max_size=30).map(
    b"".join
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("feed"), octets),
        st.tuples(st.just("line"), st.just(20)),
        st.tuples(st.just("lines"), st.integers(1, 4)),
        st.tuples(st.just("take"), st.integers(0, 40)),
        st.tuples(st.just("push back"), octets),
        st.tuples(st.just("take all"), st.none()),
    ),
    max_size=30,
)


def test_every_short_input_gives_its_lines_in_any_mixture_of_reads():
    model.check_lines(lines, longest=7)


def test_octets_are_searched_and_copied_a_bounded_number_of_times():
    model.check_linear_work(lines)


def test_lines_of_one_read_are_each_copied_once_and_searched_once():
    octets = b"NOOP\r\n" * 10_000
    searched, copied = model.work(lines, octets, len(octets), model.read_all_lines(512))
    assert searched <= 1
    assert copied < 1


@settings(derandomize=True, deadline=None, max_examples=500)
@given(steps)
def test_any_mixture_of_reads_gives_the_octets_in_their_order(steps):
    """Under a limit that no line reaches, since skipping drops octets."""
    buffer, unread = LineBuffer(), b""
    for step, argument in steps:
        if step == "feed":
            buffer.feed(argument)
            unread += argument
        elif step == "push back":
            buffer.push_back(argument)
            unread = argument + unread
        elif step == "line":
            line, end, rest = unread.partition(b"\r\n")
            assert buffer.next_line(1 << 20) == (line if end else None)
            unread = rest if end else unread
        elif step == "lines":
            *before, rest = unread.split(b"\r\n", argument)
            found = buffer.next_lines(argument)
            # What came in several reads is given line by line.
            assert found == before[: len(found)]
            assert bool(found) == bool(before)
            unread = b"\r\n".join((*before[len(found) :], rest))
        else:
            size = len(unread) if step == "take all" else argument
            assert (buffer.take_all() if step == "take all" else buffer.take(size)) == unread[:size]
            unread = unread[size:]
        assert len(buffer) == len(unread)
    assert buffer.take_all() == unread


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(octets, max_size=8), st.integers(2, 40))
def test_lines_over_their_limit_are_reported_in_their_place_in_any_pieces(pieces, limit):
    buffer, found = LineBuffer(), []
    for piece in pieces:
        buffer.feed(piece)
        while (line := buffer.next_line(limit)) is not None:
            found.append(line)
        assert len(buffer) < limit
    assert found == model.read_lines(b"".join(pieces), limit, LINE_TOO_LONG)


def test_the_last_octet_is_the_last_that_is_unread():
    buffer = LineBuffer()
    assert buffer.last_octet == b""
    buffer.feed(b"a\r\nb")
    assert buffer.last_octet == b"b"
    buffer.feed(b"c\n")
    assert buffer.last_octet == b"\n"
    buffer.clear()
    buffer.feed(b"a\r\n")
    assert buffer.next_line(9) == b"a"
    assert buffer.last_octet == b""


def test_the_lines_of_a_read_are_given_together_and_no_more_than_are_wanted():
    buffer = LineBuffer()
    buffer.feed(b"a\r\nb\r\nc\r\nd")
    assert buffer.next_lines(2) == [b"a", b"b"]
    assert buffer.next_lines(9) == [b"c"]
    assert buffer.next_lines(9) == []
    buffer.feed(b"\r\ne\r\n")
    assert buffer.next_lines(9) == [b"d"]
    assert buffer.next_lines(9) == [b"e"]


def test_a_line_keeps_lone_newlines_and_nul():
    buffer = LineBuffer()
    buffer.feed(b"a\rb\nc\0\r\r\n\n\r\n")
    assert [buffer.next_line(99) for _ in range(3)] == [b"a\rb\nc\0\r", b"\n", None]


def test_the_limit_counts_the_crlf():
    buffer = LineBuffer()
    buffer.feed(b"NOOP\r\nNOOP\r\n")
    assert buffer.next_line(6) == b"NOOP"
    assert buffer.next_line(5) is LINE_TOO_LONG


def test_the_limit_may_change_while_a_line_comes():
    buffer = LineBuffer()
    buffer.feed(b"x" * 600)
    assert (buffer.next_line(1000), buffer.overlong) == (None, False)
    assert (buffer.next_line(500), buffer.overlong) == (None, True)


def test_line_too_long_narrows_by_identity():
    assert LineTooLong.LINE_TOO_LONG is LINE_TOO_LONG
    match LineBuffer().next_line(9):
        case None:
            pass
        case _:
            pytest.fail("a line out of nothing")


def test_a_piece_is_given_back_as_it_came_where_nothing_was_read_of_it():
    buffer, piece = LineBuffer(), b"a body"
    buffer.feed(piece)
    assert buffer.take_all() is piece


def test_what_is_peeked_at_stays_unread():
    buffer = LineBuffer()
    assert buffer.peek(3) == b""
    buffer.feed(b"a\r\n25")
    assert buffer.next_line(100) == b"a"
    assert buffer.peek(3) == b"25"
    buffer.feed(b"0 ok\r")
    buffer.feed(b"\n")
    assert (buffer.peek(3), buffer.peek(1), len(buffer)) == (b"250", b"2", 8)
    assert buffer.next_line(100) == b"250 ok"


def test_counted_octets_may_end_within_a_crlf():
    buffer = LineBuffer()
    for piece in (b"ab\r", b"\n", b"NOOP\r\n"):
        buffer.feed(piece)
    assert buffer.take(3) == b"ab\r"
    assert [buffer.next_line(99), buffer.next_line(99)] == [b"\nNOOP", None]
    for piece in (b"ab\r", b"\nc"):
        buffer.feed(piece)
    assert buffer.take(3) == b"ab\r"
    assert (buffer.next_line(99), buffer.take_all()) == (None, b"\nc")


def test_the_beginning_of_a_line_does_not_keep_what_was_read_before_it():
    class Watched(bytes):
        alive = 0

        def __new__(cls, octets):
            cls.alive += 1
            return super().__new__(cls, octets)

        def __del__(self):
            Watched.alive -= 1

    buffer = LineBuffer()
    buffer.feed(Watched(b"NOOP\r\n" * 1000 + b"QU"))
    while buffer.next_line(512) is not None:
        pass
    assert (Watched.alive, len(buffer)) == (0, 2)


@pytest.mark.parametrize("step", [1, 3, 7, 100])
def test_how_a_line_that_is_too_long_began_is_known(step):
    buffer = LineBuffer()
    octets = b"NOOP\r\nBDAT 99999999999\r\nEHLO this is too long as well\r\n"
    seen = []
    for at in range(0, len(octets), step):
        buffer.feed(octets[at : at + step])
        while (line := buffer.next_line(10)) is not None:
            seen.append(buffer.skipped if line is LINE_TOO_LONG else line)
    assert seen == [b"NOOP", b"BDAT", b"EHLO"]
    buffer.clear()
    assert buffer.skipped == b""
