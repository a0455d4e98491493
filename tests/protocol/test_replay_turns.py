"""Turns: what a line of a transcript is, its place tells."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.protocol.replay_turns import Content, Said, TLSTurn, chunk_size, turns
from smtpkit.protocol.transcript import Transcript


def shown(text):
    """Each turn as its number and its text."""
    return [(turn.number, str(turn)) for turn in turns(Transcript.parse(text))]


def contents(text):
    return [turn for turn in turns(Transcript.parse(text)) if isinstance(turn, Content)]


def test_commands_replies_and_tls_are_turns_and_comments_are_none():
    text = "# x\nS: 220-a\nS: 220 b\n\nC: EHLO c\nS: 250 ok\n-- TLSv1.3\nC: NOOP"
    assert shown(text) == [
        (2, "S: 220-a\nS: 220 b"),
        (5, "C: EHLO c"),
        (6, "S: 250 ok"),
        (7, "the beginning of TLS"),
        (8, "C: NOOP"),
    ]
    assert [turn.speaker for turn in turns(Transcript.parse(text))] == ["S", "C", "S", None, "C"]


@pytest.mark.parametrize("text", ["S: 250-a", "S: 250-a\nC: NOOP", "S: 250-a\nS: 251 b", "S: 250-a\n-- TLSv1.3"])
def test_a_reply_without_its_end_ends_where_another_turn_begins(text):
    first = turns(Transcript.parse(text))[0]
    assert isinstance(first, Said)
    assert len(first.lines) == 1


@pytest.mark.parametrize(
    ("lines", "octets", "size", "ended"),
    [
        ("C: a\nC: ..b\nC:\nC: .", b"a\r\n.b\r\n\r\n", 9, True),
        ("C: .", b"", 0, True),
        ("C: <9 octets of content>\nC: .", b"", 9, True),
        ("C: a\nC: <9 octets of content>\nC: .", b"a\r\n", 9, True),
        ("C: a\nC: b\\", b"a\r\nb", 4, False),
        ("C: <9 octets of content>\nS: 552 no", b"", 9, False),
        ("C: .\\", b"", 0, None),
    ],
)
def test_content_follows_354(lines, octets, size, ended):
    found = contents(f"C: DATA\nS: 354 go\n{lines}")
    if ended is None:
        assert found == []
    else:
        assert found == [Content(3, octets, size, by_data=True, ended=ended)]
        assert hash(found[0]) == hash(Content(3, octets, size, by_data=True, ended=ended))


@pytest.mark.parametrize("rest", ["", "\nS: 421 bye", "\n-- TLSv1.3"])
def test_there_may_be_no_content_behind_354(rest):
    assert contents(f"C: DATA\nS: 354 go{rest}") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("C: BDAT 3\nC: a\nC: NOOP", [Content(2, b"a\r\n", 3, by_data=False, ended=True)]),
        ("C: BDAT 5 LAST\nC: .\nC: ab\\\nC: QUIT", [Content(2, b".\r\nab", 5, by_data=False, ended=True)]),
        ("C: BDAT 9\nC: a\nC: <9 octets of content>", [Content(2, b"a\r\n", 9, by_data=False, ended=True)]),
        ("C: BDAT 9\nC: <4 octets of content>\nS: 421 x", [Content(2, b"", 4, by_data=False, ended=False)]),
        ("C: BDAT 0 LAST\nC: QUIT", []),
        ("C: BDAT 3", []),
        ("C: BDAT x\nC: QUIT", []),
    ],
)
def test_content_follows_bdat_as_far_as_it_says(text, found):
    assert contents(text) == found


def test_what_is_sent_in_a_group_stays_in_order():
    text = "C: BDAT 1\nC: x\\\nC: BDAT 0 LAST\nS: 250 a\nS: 250 b"
    assert [str(turn) for turn in turns(Transcript.parse(text))] == [
        "C: BDAT 1",
        "C: <1 octets of content>",
        "C: BDAT 0 LAST",
        "S: 250 a",
        "S: 250 b",
    ]


def test_content_shows_as_its_size():
    assert str(Content(1, b"a\r\n", 3, by_data=True, ended=True)) == "C: <3 octets of content> C: ."
    assert str(Content(1, b"a\r\n", 3, by_data=True, ended=False)) == "C: <3 octets of content>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("C: <5 octets of content>", "line 1 of a transcript: no content can be sent here"),
        ("# x\nC: BDAT 2\nC: abc", "line 3 of a transcript: 5 octets of content behind BDAT 2"),
    ],
)
def test_content_that_cannot_be_is_refused(text, message):
    with pytest.raises(ParseError, match=message):
        turns(Transcript.parse(text))


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 500), st.sampled_from([b"", b"a\r\n", b"ab"]))
@example(0, b"")
@example(1, b"")
@example(73, b"ab")
def test_content_is_made_up_to_its_size(more, known):
    content = Content(1, known, len(known) + more, by_data=True, ended=True)
    octets = content.octets()
    assert len(octets) == content.size
    assert octets.startswith(known)
    assert more < 2 or octets.endswith(b"\r\n")
    assert b"\r" not in octets.replace(b"\r\n", b"")
    assert content.agrees(octets)
    assert not content.agrees(octets + b"x")
    assert not known or not content.agrees(b"z" * content.size)


@pytest.mark.parametrize(
    ("line", "size"), [(b"bdat 12 LAST", 12), (b"BDAT", None), (b"BDAT -1", None), (b"NOOP 1", None)]
)
def test_the_size_of_a_chunk(line, size):
    assert chunk_size(line) == size


def test_tls_is_a_value():
    assert TLSTurn(1) == TLSTurn(1)


def test_content_is_said_by_the_client():
    assert Content(1, b"", 0, by_data=True, ended=True).speaker == "C"
