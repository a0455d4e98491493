"""What a pool knows: its connections, who waits for one, and what a change asks to be done; no I/O and no clock."""

from collections import OrderedDict

from smtpkit.errors import LocalProtocolError, Timeout
from smtpkit.wire.value import Value

__all__ = ["PoolLimits", "PoolState", "PoolStats", "Slot", "Waiter", "seconds_left"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_RESTED = 1.0  # seconds
_FOREVER = 86400.0  # seconds; who waits looks again at the latest then


class PoolLimits(Value):
    """Bounds of a pool.

    Args:
        size: connections at once.
        max_messages: messages of one connection.
        max_idle: seconds that a connection may rest between two messages.
        max_age: seconds after which a connection is not used again.
        rate: messages per second, evenly spaced; None for no bound.

    Raises:
        ValueError: a limit is not above 0, or a count is no whole number.
    """

    __slots__ = ("max_age", "max_idle", "max_messages", "rate", "size")

    def __init__(self, *, size: int, max_messages: int, max_idle: float, max_age: float, rate: float | None) -> None:
        self.size = size
        self.max_messages = max_messages
        self.max_idle = max_idle
        self.max_age = max_age
        self.rate = rate
        for name in self.__match_args__:
            limit = getattr(self, name)
            if limit is not None and not (isinstance(limit, (int, float)) and limit > 0):
                raise ValueError(f"{name} is a number above 0, not {limit!r}")
        for name in ("size", "max_messages"):
            if not isinstance(getattr(self, name), int):
                raise ValueError(f"{name} is a whole number, not {getattr(self, name)!r}")


class PoolStats(Value):
    """What a pool does, and has done.

    Attributes:
        idle: connections that rest.
        in_use: connections that are handed out, or being made.
        waiting: calls that wait for a connection.
        opened: connections made so far.
        reused: how often a connection was used again.
        lost: connections that were found dead when they were to be used again, or broke in use.
        messages: how often a message was handed to a server, whatever came of it.
        retried: attempts after the first, of all messages.
    """

    __slots__ = ("idle", "in_use", "waiting", "opened", "reused", "lost", "messages", "retried")

    def __init__(
        self,
        *,
        idle: int = 0,
        in_use: int = 0,
        waiting: int = 0,
        opened: int = 0,
        reused: int = 0,
        lost: int = 0,
        messages: int = 0,
        retried: int = 0,
    ) -> None:
        self.idle = idle
        self.in_use = in_use
        self.waiting = waiting
        self.opened = opened
        self.reused = reused
        self.lost = lost
        self.messages = messages
        self.retried = retried

    def __repr__(self) -> str:
        return f"PoolStats({', '.join(f'{name}={getattr(self, name)}' for name in self.__match_args__)})"


class Slot:
    """The right to have one of the pool's connections, and that connection once it is made.

    Attributes:
        client: the connection, or None.
        opened: when it was made.
        since: when it was given back last.
        messages: how many it has carried.
    """

    __slots__ = ("client", "messages", "opened", "since")

    def __init__(self) -> None:
        self.client: Any = None
        self.opened = self.since = 0.0
        self.messages = 0

    def has_rested(self, now: float) -> bool:
        """Whether the server may have given the connection up since it was used last."""
        return now - self.since >= _RESTED

    def fill(self, client: "Any", now: float) -> None:
        """Put a new connection in."""
        self.client = client
        self.opened = now
        self.messages = 0


class Waiter:
    """A call that wants a slot, and waits where there is none.

    Args:
        make_event: makes what wakes it, if it has to wait: `set()` says that it should look again.
        paced: whether it is for one message, which the rate may hold back.

    Attributes:
        event: what `make_event` has made, or None.
        slot: what it waits for, once it has it.
    """

    __slots__ = ("_make_event", "event", "paced", "slot")

    def __init__(self, make_event: "Callable[[], Any]", *, paced: bool = True) -> None:
        self._make_event = make_event
        self.paced = paced
        self.event: Any = None
        self.slot: Slot | None = None

    def wait(self) -> None:
        """It is going to wait."""
        self.event = self._make_event()

    def wake(self) -> None:
        """Have it look again."""
        if self.event is not None:
            self.event.set()


class PoolState:
    """The state of a pool; every change is a function that takes the time and waits for nothing.

    Those that return a list name the connections that are to be closed, after a farewell.
    Connections are used last in, first out, so that those that are not needed grow old; who waits is served in
    the order in which they came.

    Attributes:
        limits: a PoolLimits.
        closed: whether the pool is closed.
        opened, reused, lost, messages, retried: as for PoolStats.
    """

    def __init__(self, limits: PoolLimits) -> None:
        self.limits = limits
        self.closed = False
        self.opened = self.reused = self.lost = self.messages = self.retried = 0
        self._idle: list[Slot] = []  # given back last, used first
        self._in_use: set[Slot] = set()
        self._waiting: OrderedDict[Waiter, None] = OrderedDict()
        self._next = 0.0  # when the rate allows another message

    @property
    def stats(self) -> PoolStats:
        """A snapshot."""
        return PoolStats(
            idle=len(self._idle),
            in_use=len(self._in_use),
            waiting=len(self._waiting),
            opened=self.opened,
            reused=self.reused,
            lost=self.lost,
            messages=self.messages,
            retried=self.retried,
        )

    @property
    def has_connections(self) -> bool:
        """Whether there are any, or will be."""
        return bool(self._idle or self._in_use)

    def ask(self, waiter: Waiter, now: float) -> "list[Any]":
        """Let someone wait; `waiter.slot` is set at once where a connection is free and nobody waits before.

        Raises:
            LocalProtocolError: the pool is closed.
        """
        self.check_open()
        self._waiting[waiter] = None
        ending = self.advance(now)
        if waiter.slot is None:
            waiter.wait()
        return ending

    def check_open(self) -> None:
        """Raise LocalProtocolError if the pool is closed."""
        if self.closed:
            raise LocalProtocolError("the pool is closed", expected="no call after close()")

    def advance(self, now: float) -> "list[Any]":
        """Hand out what can be handed out now."""
        ending = self._expired(now)
        while self._waiting:
            waiter = next(iter(self._waiting))
            if not self._has_room():
                break
            if waiter.paced and self._next > now:
                waiter.wake()  # it is the first in the row: let it see until when it has to wait
                break
            if waiter.paced and self.limits.rate is not None:
                self._next = now + 1 / self.limits.rate
            del self._waiting[waiter]
            waiter.slot = self._idle.pop() if self._idle else Slot()
            self._in_use.add(waiter.slot)
            waiter.wake()
        return ending

    def patience(self, waiter: Waiter, now: float) -> float:
        """Seconds after which a waiter looks again, if nobody wakes it."""
        first = next(iter(self._waiting), None)
        if waiter is not first or not waiter.paced or not self._has_room():
            return _FOREVER
        return max(self._next - now, 0.0)

    def abandon(self, waiter: Waiter, now: float) -> "list[Any]":
        """Take back all that was done for a waiter that waits no longer."""
        slot = waiter.slot
        if slot is None:
            self._waiting.pop(waiter, None)
            return self.advance(now)
        if waiter.paced and self.limits.rate is not None:
            self._next -= 1 / self.limits.rate
        return self.give_back(slot, now, usable=True)

    def give_back(self, slot: Slot, now: float, *, usable: bool, carried: int | None = None) -> "list[Any]":
        """Take back a slot.

        Args:
            slot: one that was handed out.
            now: the time.
            usable: whether its connection can carry more; if not, its owner has closed it.
            carried: messages that its connection has carried so far; None if it was not used.
        """
        if slot not in self._in_use:
            return []  # of a pool that was forgotten meanwhile
        self._in_use.remove(slot)
        ending = []
        if carried is not None:
            self.messages += carried - slot.messages
            slot.messages = carried
            slot.since = now
        if slot.client is not None and usable:
            if self.closed or self._is_worn(slot, now):
                ending.append(slot.client)
            else:
                self._idle.append(slot)
        elif slot.client is not None:
            self.lost += 1
        return ending + self.advance(now)

    def close(self) -> "list[Any]":
        """Hand out nothing more; who waits is woken, and finds the pool closed."""
        self.closed = True
        for waiter in self._waiting:
            waiter.wake()
        self._waiting.clear()
        ending = [slot.client for slot in self._idle]
        self._idle.clear()
        return ending

    def _has_room(self) -> bool:
        return bool(self._idle) or len(self._in_use) < self.limits.size

    def _expired(self, now: float) -> "list[Any]":
        expired = [slot for slot in self._idle if self._is_worn(slot, now) or now - slot.since >= self.limits.max_idle]
        for slot in expired:
            self._idle.remove(slot)
        return [slot.client for slot in expired]

    def _is_worn(self, slot: Slot, now: float) -> bool:
        return slot.messages >= self.limits.max_messages or now - slot.opened >= self.limits.max_age


def seconds_left(ends: float | None, now: float) -> float | None:
    """Seconds until a deadline, None where there is none.

    Raises:
        Timeout: it has passed.
    """
    if ends is not None and ends <= now:
        raise Timeout("the deadline passed before the message could be sent", stage="pool")
    return None if ends is None else ends - now
