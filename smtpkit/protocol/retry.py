"""When a message is sent again: a policy, and a body that can be given more than once."""

from smtpkit.errors import (
    ConnectionLost,
    NotSupported,
    RemoteProtocolError,
    ReplyError,
    SenderRefused,
    SMTPError,
    Timeout,
    TLSError,
)
from smtpkit.protocol.results import Verdict
from smtpkit.wire.value import Value

__all__ = ["Replay", "Retry", "is_stale"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


class Retry(Value):
    """How often, and after how long, a message is sent again to those who did not get it.

    Sent again is what the server deferred (4yz), and what was lost on the way before the last octet had left;
    never to a recipient who may have got it.

    Args:
        attempts: how often it is sent at most, the first time included.
        delay: seconds before the second attempt.
        factor: each further wait is so many times the one before.
        max_delay: seconds that a wait lasts at most.
        jitter: the share of each wait that chance may take away, from 0 to 1, so that those who failed together
            do not come back together.
        random: gives a number from 0 to 1; None for `random.random`.

    Raises:
        ValueError: a number is out of its range.
    """

    __slots__ = ("attempts", "delay", "factor", "max_delay", "jitter", "random")

    def __init__(
        self,
        attempts: int = 3,
        delay: float = 1.0,
        *,
        factor: float = 2.0,
        max_delay: float = 60.0,
        jitter: float = 0.25,
        random: "Callable[[], float] | None" = None,
    ) -> None:
        if not isinstance(attempts, int) or attempts < 1:
            raise ValueError(f"attempts is a whole number from 1 on, not {attempts!r}")
        for name, value, least in (("delay", delay, 0), ("factor", factor, 1), ("max_delay", max_delay, 0)):
            if not value >= least:
                raise ValueError(f"{name} is a number from {least} on, not {value!r}")
        if not 0 <= jitter <= 1:
            raise ValueError(f"jitter is a share from 0 to 1, not {jitter!r}")
        self.attempts = attempts
        self.delay = delay
        self.factor = factor
        self.max_delay = max_delay
        self.jitter = jitter
        self.random = random

    def pause(self, made: int) -> float | None:
        """Seconds to wait after so many attempts, None if there is to be no other."""
        if made >= self.attempts:
            return None
        seconds = self.delay
        for _ in range(made - 1):  # a power of floats may overflow
            if seconds >= self.max_delay:
                break
            seconds *= self.factor
        seconds = min(seconds, self.max_delay)
        if self.jitter and seconds:
            seconds *= 1 - self.jitter * (self.random or _chance())()
        return seconds


def _chance() -> "Callable[[], float]":
    from random import random

    return random


class Replay:
    """A body for as many attempts as it is good for.

    Args:
        body: as for `Client.send()`; a callable gives a body for each attempt.
    """

    def __init__(self, body: "Any") -> None:
        self._body = body
        self._start: int | None = None
        self._once: _Once | _AsyncOnce | _FileOnce | None = None
        if callable(body) or isinstance(body, (bytes, bytearray, memoryview, str)):
            pass  # str is refused by whoever sends
        elif hasattr(body, "read"):
            if getattr(body, "seekable", bool)():
                self._start = body.tell()
            else:
                self._once = _FileOnce(body)
        elif hasattr(body, "__aiter__"):
            source = body.__aiter__()
            if source is body:
                self._once = _AsyncOnce(source)
        else:
            source = iter(body)
            if source is body:
                self._once = _Once(source)

    @property
    def possible(self) -> bool:
        """Whether the body can be given from its beginning."""
        return self._once is None or not self._once.begun

    def take(self) -> "Any":
        """The body, from its beginning."""
        if self._once is not None:
            return self._once
        if self._start is not None:
            self._body.seek(self._start)
            return self._body
        return self._body() if callable(self._body) else self._body


class _FileOnce:
    """A file that knows whether its reading has begun."""

    def __init__(self, file: "Any") -> None:
        self._file = file
        self.begun = False

    def read(self, size: int) -> bytes:
        self.begun = True
        octets: bytes = self._file.read(size)
        return octets


class _Once:
    """An iterator that knows whether it has begun."""

    def __init__(self, source: "Iterator[bytes]") -> None:
        self._source = source
        self.begun = False

    def __iter__(self) -> "_Once":
        return self

    def __next__(self) -> bytes:
        self.begun = True
        return next(self._source)


class _AsyncOnce:
    """An async iterator that knows whether it has begun."""

    def __init__(self, source: "Any") -> None:
        self._source = source
        self.begun = False

    def __aiter__(self) -> "_AsyncOnce":
        return self

    async def __anext__(self) -> bytes:
        self.begun = True
        piece: bytes = await anext(self._source)
        return piece


def is_stale(error: SMTPError) -> bool:
    """Whether a connection that was used again may have been dead or used up, so that a new one will do.

    It will not if anybody has, or may have, got the message.
    """
    if any(outcome.verdict in (Verdict.ACCEPTED, Verdict.UNKNOWN) for outcome in error.recipients.values()):
        return False
    if isinstance(error, ReplyError):
        # 421, or 451 4.4.2 as some servers say it, in answer to the first command after a rest.
        leaving = error.reply.code == 421 or str(error.reply.enhanced) == "4.4.2"
        return leaving and isinstance(error, SenderRefused)
    if isinstance(error, NotSupported):
        return error.may_retry  # the server's LIMITS leave no room in this session
    if isinstance(error, Timeout):
        return not error.replies  # whatever stands between forgot the connection
    return isinstance(error, (ConnectionLost, RemoteProtocolError, TLSError))
