"""What an event shows, and what it hides."""

from smtpkit.protocol.events import (
    NEED_DATA,
    PAUSED,
    Answered,
    AuthResponse,
    BodyChunk,
    BodyRefused,
    Connect,
    ConnectionClosed,
)
from smtpkit.wire.commands import Noop
from smtpkit.wire.replies import Reply


def test_the_two_answers_that_are_no_event_have_short_names():
    assert [repr(NEED_DATA), repr(PAUSED)] == ["NEED_DATA", "PAUSED"]


def test_content_is_told_by_its_size():
    assert repr(BodyChunk(b"secret", True)) == "BodyChunk(<6 octets>, last=True)"
    assert BodyChunk(b"x") == BodyChunk(b"x", False) != BodyChunk(b"x", True)


def test_an_answer_to_a_challenge_is_a_line_of_base64():
    assert AuthResponse(b"\0user\0pass").line() == b"AHVzZXIAcGFzcw==\r\n"
    assert AuthResponse(b"").line() == b"\r\n"


def test_no_answer_to_a_challenge_cancels():
    assert AuthResponse(None).line() == b"*\r\n"


def test_an_answer_to_a_challenge_is_not_shown():
    assert "pass" not in repr(AuthResponse(b"pass"))


def test_events_are_values():
    assert Connect() == Connect()
    assert ConnectionClosed() == ConnectionClosed()
    assert BodyRefused(Reply(552)) == BodyRefused(Reply(552))
    assert Answered(Noop(), Reply(250)) == Answered(Noop(), Reply(250)) != Answered(None, Reply(250))
