"""Transcripts: what is said is shown, what is secret never is, and neither fills the memory."""

import pytest

from smtpkit.protocol.transcript import Transcript
from smtpkit.wire.replies import Reply


def test_lines_stand_in_order_and_are_shown_as_they_happen():
    shown = []
    transcript = Transcript(shown.append)
    transcript.reply(Reply(220, "mx.example"))
    transcript.command(b"EHLO c.example\r\n")
    transcript.reply(Reply(250, ["mx.example", "SIZE 100"]))
    transcript.tls("TLSv1.3")
    assert transcript.lines == shown
    assert str(transcript) == "S: 220 mx.example\nC: EHLO c.example\nS: 250-mx.example\nS: 250 SIZE 100\n-- TLSv1.3"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"AUTH PLAIN AHUAcA==\r\n", "C: AUTH PLAIN <hidden>"),
        (b"auth plain AHUAcA==", "C: auth plain <hidden>"),
        (b"AUTH  PLAIN  AHUAcA== x", "C: AUTH PLAIN <hidden>"),
        (b" AUTH\tPLAIN AHUAcA==", "C: AUTH PLAIN <hidden>"),
        (b"AUTH LOGIN", "C: AUTH LOGIN"),
        (b"AUTH", "C: AUTH"),
        (b"NOOP AUTH PLAIN x", "C: NOOP AUTH PLAIN x"),
    ],
)
def test_of_auth_only_the_mechanism_is_shown(line, shown):
    transcript = Transcript()
    transcript.command(line)
    assert transcript.lines == [shown]


def test_challenges_and_their_answers_are_hidden():
    transcript = Transcript()
    transcript.reply(Reply(334, "c2VjcmV0"))
    transcript.secret()
    transcript.reply(Reply(334))
    assert transcript.lines == ["S: 334 <hidden>", "C: <hidden>", "S: 334 "]


def test_what_a_terminal_might_obey_is_escaped():
    transcript = Transcript()
    transcript.command(b"NOOP \x1b[2J\xff \xc3\xa9")
    assert transcript.lines == ["C: NOOP \\x1b[2J\\xff é"]


def test_content_is_counted():
    transcript = Transcript()
    transcript.content(b"x" * 10)
    transcript.content(b"y" * 5)
    transcript.reply(Reply(250, "Ok"))
    transcript.reply(Reply(250, "Ok"))
    assert transcript.lines == ["C: <15 octets of content>", "S: 250 Ok", "S: 250 Ok"]


def test_content_may_be_shown_however_it_is_cut():
    for cut in range(12):
        transcript = Transcript(content=True)
        body = b"one\r\ntwo\r\nx"
        transcript.content(body[:cut])
        transcript.content(body[cut:])
        transcript.reply(Reply(250))
        assert transcript.lines[:-1] == ["C: one", "C: two", "C: x"]
        assert transcript.lines[-1].startswith("S: 250")


def test_content_that_ends_with_its_line_has_nothing_behind_it():
    transcript = Transcript(content=True)
    transcript.content(b"one\r\n")
    transcript.reply(Reply(250, "Ok"))
    assert transcript.lines == ["C: one", "S: 250 Ok"]


def test_of_long_content_the_first_lines_are_shown_and_the_size():
    transcript = Transcript(content=True)
    for _ in range(50):
        transcript.content(b"line\r\n")
    transcript.reply(Reply(250, "Ok"))
    assert transcript.lines == ["C: line"] * 40 + ["C: <300 octets of content>", "S: 250 Ok"]
    transcript.content(b"next\r\n")
    transcript.reply(Reply(250, "Ok"))
    assert transcript.lines[-2:] == ["C: next", "S: 250 Ok"]


def test_a_line_without_end_is_not_kept_whole():
    transcript = Transcript(content=True)
    for _ in range(100):
        transcript.content(b"x" * 10_000)
    transcript.reply(Reply(250, "Ok"))
    assert transcript.lines == ["C: " + "x" * 4096, "S: 250 Ok"]
