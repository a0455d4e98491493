"""When a message is sent again, and which bodies can be given again."""

import asyncio
import io

import pytest

from smtpkit.errors import (
    ConnectionLost,
    MessageRefused,
    NotSupported,
    RemoteProtocolError,
    SenderRefused,
    Timeout,
    TLSError,
)
from smtpkit.protocol.results import Outcome, Verdict
from smtpkit.protocol.retry import Replay, Retry, is_stale
from smtpkit.wire.replies import Reply


def test_waits_grow_up_to_a_bound_and_end_with_the_attempts():
    retry = Retry(6, 1.0, factor=3.0, max_delay=10.0, jitter=0)
    assert [retry.pause(made) for made in range(1, 7)] == [1.0, 3.0, 9.0, 10.0, 10.0, None]


def test_waits_stay_finite_whatever_the_number_of_attempts():
    assert Retry(10**9, 1.0, factor=1e9, jitter=0).pause(10**8) == 60.0
    assert Retry(10**9, 0.0).pause(1000) == 0.0


def test_chance_takes_a_share_of_each_wait():
    assert Retry(2, 8.0, jitter=0.5, random=lambda: 1.0).pause(1) == 4.0
    assert Retry(2, 8.0, jitter=0.5, random=lambda: 0.0).pause(1) == 8.0
    assert all(6.0 <= Retry(2, 8.0).pause(1) <= 8.0 for _ in range(100))


@pytest.mark.parametrize(
    "wrong",
    [{"attempts": 0}, {"attempts": 1.5}, {"delay": -1}, {"factor": 0.5}, {"max_delay": -1}, {"jitter": 2}],
    ids=str,
)
def test_a_number_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Retry(**wrong)


def test_the_least_of_everything_is_in_range():
    retry = Retry(1, 0, factor=1, max_delay=0, jitter=0)
    assert retry.pause(1) is None
    assert Retry(2, 0, factor=1, max_delay=0, jitter=1).pause(1) == 0


def test_a_policy_is_a_value():
    assert Retry() == Retry(3, 1.0)
    assert Retry() != Retry(4)


# Bodies


class Pipe(io.BytesIO):
    def seekable(self):
        return False


class Pieces:
    def __aiter__(self):
        async def pieces():
            yield b"a"

        return pieces()


def test_octets_and_lists_are_given_again_as_they_are():
    for body in (b"a", bytearray(b"a"), memoryview(b"a"), "a", [b"a", b"b"], Pieces()):
        replay = Replay(body)
        assert replay.take() is replay.take() is body
        assert replay.possible


def test_a_file_that_can_seek_begins_again_where_it_stood():
    file = io.BytesIO(b"skipped body")
    file.seek(8)
    replay = Replay(file)
    assert replay.take().read() == b"body"
    assert replay.possible
    assert replay.take().read() == b"body"


def test_a_callable_makes_a_body_each_time():
    replay = Replay(lambda: iter([b"a"]))
    assert [list(replay.take()), list(replay.take())] == [[b"a"], [b"a"]]
    assert replay.possible


def test_a_file_that_cannot_seek_is_given_again_until_its_reading_begins():
    replay = Replay(Pipe(b"body"))
    assert replay.possible
    assert replay.take() is replay.take()
    assert replay.take().read(100) == b"body"
    assert not replay.possible


def test_an_iterator_is_given_again_until_it_has_begun():
    replay = Replay(iter([b"a", b"b"]))
    assert replay.possible
    assert next(iter(replay.take())) == b"a"
    assert not replay.possible
    assert list(replay.take()) == [b"b"]


def test_an_async_iterator_is_given_again_until_it_has_begun():
    async def test():
        replay = Replay(Pieces().__aiter__())
        assert replay.possible
        assert [piece async for piece in replay.take()] == [b"a"]
        assert not replay.possible

    asyncio.run(test())


def test_what_is_no_body_is_refused_as_a_client_would():
    with pytest.raises(TypeError):
        Replay(7)


# Stale connections


def lost(kind, *, replies=(), **outcomes):
    error = kind("gone", replies=replies) if kind in (ConnectionLost, Timeout) else kind("gone")
    error.recipients = {address: Outcome(verdict, None) for address, verdict in outcomes.items()}
    return error


@pytest.mark.parametrize("kind", [ConnectionLost, RemoteProtocolError, TLSError, Timeout])
def test_a_line_that_broke_may_have_been_dead_before(kind):
    assert is_stale(lost(kind))
    assert is_stale(lost(kind, a=Verdict.DEFERRED))


@pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.UNKNOWN])
def test_it_was_not_where_somebody_may_have_got_the_message(verdict):
    assert not is_stale(lost(ConnectionLost, a=verdict))


def test_a_server_that_answered_before_it_fell_silent_was_alive():
    assert not is_stale(lost(Timeout, replies=[Reply(250, "ok")]))


@pytest.mark.parametrize(
    ("reply", "stale"),
    [
        (Reply(421, "bye"), True),
        (Reply(451, "timeout waiting for data", "4.4.2"), True),
        (Reply(451, "not now"), False),
        (Reply(550, "no", "5.7.1"), False),
    ],
    ids=str,
)
def test_a_farewell_to_the_first_command_says_that_the_rest_was_too_long(reply, stale):
    assert is_stale(SenderRefused(reply)) is stale
    assert not is_stale(MessageRefused(reply))


def test_a_session_that_is_used_up_is_no_reason_to_give_up():
    error = NotSupported("the server takes 3 messages in one session", extension="LIMITS")
    error.may_retry = True
    assert is_stale(error)


def test_other_errors_have_other_causes():
    assert not is_stale(NotSupported("no"))
