"""A pool of asyncio connections: made when they are needed, used again, never more than `size`."""

import asyncio
from asyncio import Event
from contextlib import asynccontextmanager
from time import monotonic

from smtpkit.asyncio.client import Client
from smtpkit.asyncio.waiting import wait
from smtpkit.connecting import ClientSettings
from smtpkit.errors import LocalProtocolError, SMTPError
from smtpkit.pooling import PoolLimits, PoolState, PoolStats, Slot, Waiter, seconds_left
from smtpkit.retrying import Delivery

__all__ = ["Pool"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
    from types import TracebackType
    from typing import Any, Self

    from smtpkit.protocol.message import Message
    from smtpkit.protocol.results import SendResult
    from smtpkit.protocol.retry import Retry

_FAREWELL = 2.0  # seconds for taking leave of all connections


class Pool:
    """Connections to one server, for any number of senders.

    Nothing is opened until it is used, and `async with` is not needed: `close()` closes, and a pool that is
    never closed holds sockets and nothing else.  Any number of tasks of one event loop may use it.

    The defaults stay below what providers allow: three connections, each for a hundred messages, four minutes
    and eight seconds of rest.

    Args:
        where, port: as for `connect()`; "memory:" keeps messages in `outbox`, "print:" prints them.
        size: connections at once; who comes when all are in use waits, and is served in turn.
        max_messages: messages of one connection.
        max_idle: seconds that a connection may rest between two messages.
        max_age: seconds after which a connection is not used again.
        rate: messages per second, evenly spaced; None for no bound.
        connect_options: of `connect()`, but `sock`; its deadline is the default of each send, waiting included.

    Raises:
        TypeError: there is no such option.
        ValueError: the arguments do not fit together.
    """

    def __init__(
        self,
        where: str,
        port: int | None = None,
        *,
        size: int = 3,
        max_messages: int = 100,
        max_idle: float = 8.0,
        max_age: float = 240.0,
        rate: float | None = None,
        **connect_options: "Any",
    ) -> None:
        self._settings = ClientSettings.of_many("Pool", where, port, connect_options)
        self._limits = PoolLimits(size=size, max_messages=max_messages, max_idle=max_idle, max_age=max_age, rate=rate)
        self._begin_anew()

    def __repr__(self) -> str:
        stats = self._state.stats
        counts = f"{stats.in_use} in use of {self._limits.size}, {stats.idle} idle, {stats.waiting} waiting"
        return f"<Pool of {self._settings.target}, {'closed' if self._state.closed else counts}>"

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        await self.close()

    @property
    def stats(self) -> PoolStats:
        """What the pool does, and has done."""
        return self._state.stats

    @property
    def outbox(self) -> "list[Message]":
        """The messages that a pool of "memory:" has taken; with any other URL there are none."""
        return self._settings.outbox

    async def send_message(
        self,
        message: "Any",
        sender: str | None = None,
        recipients: "Sequence[str] | str | None" = None,
        *,
        retry: "Retry | None" = None,
        **options: "Any",
    ) -> "SendResult":
        """Send a message over one of the connections; arguments, result and errors as for `Client.send_message()`.

        Args:
            retry: a policy for sending again what was deferred or lost on the way.
        """
        return await self._deliver(Delivery.of_message(message, sender, recipients, retry, options))

    async def send(
        self,
        sender: "Any",
        recipients: "Sequence[Any] | Any",
        body: "Any",
        *,
        retry: "Retry | None" = None,
        **options: "Any",
    ) -> "SendResult":
        """Send a body over one of the connections; arguments, result and errors as for `Client.send()`.

        Args:
            retry: a policy for sending again what was deferred or lost on the way.
        """
        return await self._deliver(Delivery(sender, recipients, body, retry, options))

    async def send_many(
        self,
        items: "Iterable[Any] | AsyncIterable[Any]",
        *,
        in_flight: int | None = None,
        retry: "Retry | None" = None,
        **options: "Any",
    ) -> "AsyncIterator[tuple[Any, SendResult | SMTPError]]":
        """Send many messages, several at a time; results come as they are known, in any order.

        Args:
            items: an iterable or async iterable of messages, or of (sender, recipients, body); they are taken one
                by one, when there is room for another, so that they may be made on the way.
            in_flight: messages under way at once; None for the pool's size.
            retry: as for `send()`.
            options: of each send.

        Yields:
            The item, and its SendResult or the SMTPError that `send()` would have raised.  What else a body or
            the iterable raises comes out here, after the results of all that was under way.
        """
        most = in_flight or self._limits.size
        source = _Source(items)
        running: set[asyncio.Task[tuple[Any, Any]]] = set()
        failure: Exception | None = None
        try:
            while running or not source.ended:
                while len(running) < most and not source.ended:
                    running.add(asyncio.ensure_future(self._send_next(source, retry, options)))
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    running.remove(task)
                    try:
                        item, found = task.result()
                    except Exception as error:  # noqa: BLE001 (whatever the caller's code raises)
                        source.ended, failure = True, failure or error
                    else:
                        if found is not None:
                            yield item, found
        finally:
            source.ended = True
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        if failure is not None:
            raise failure

    @asynccontextmanager
    async def connection(self, *, deadline: float | None = None) -> "AsyncIterator[Client]":
        """Hand out a live Client, and take it back at the end of the block.

        One whose transaction is still open, that was closed, or that broke, is not used again.  What is sent with
        it is counted for `max_messages`, but `rate` does not hold it back.

        Args:
            deadline: seconds for getting it; None for that of the pool.

        Yields:
            The client, which is nobody else's in the block.

        Raises:
            LocalProtocolError: the pool is closed.
            Timeout: no connection was free in time.
            SMTPError: as `connect()`, where a new one was needed.
        """
        ends = self._end_of(deadline)
        slot = await self._acquire(ends, paced=False)
        try:
            await self._fill(slot, ends)
            yield slot.client
        finally:
            self._give_back(slot)

    async def close(self) -> None:
        """Take leave of all connections that rest; those in use follow when they are given back.

        Who waits gets LocalProtocolError, as does every later call.  Never raises.
        """
        clients = self._home().close()
        self._ended.set()
        ends = monotonic() + _FAREWELL
        try:
            for client in clients:
                await client._quit(max(ends - monotonic(), 0.0))
        finally:
            for client in clients:
                if not client._is_closed:
                    client._drop()

    def _begin_anew(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = Event()
        self._state = PoolState(self._limits)

    def _home(self) -> PoolState:
        # Connections belong to an event loop; those of one that is gone are gone with it.
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None and not self._loop.is_closed() and self._state.has_connections:
                raise LocalProtocolError("the pool has connections of another event loop", expected="a pool for each")
            if not self._state.closed:
                self._begin_anew()
            self._loop = loop
        return self._state

    async def _send_item(
        self, item: "Any", retry: "Retry | None", options: "dict[str, Any]"
    ) -> "SendResult | SMTPError":
        try:
            return await self._deliver(Delivery.of_item(item, retry, options))
        except SMTPError as error:
            return error

    async def _send_next(
        self, source: "_Source", retry: "Retry | None", options: "dict[str, Any]"
    ) -> "tuple[Any, SendResult | SMTPError | None]":
        item = await source.next()
        return item, None if item is _END else await self._send_item(item, retry, options)

    async def _deliver(self, delivery: Delivery) -> "SendResult":
        ends = self._end_of(delivery.deadline)
        while True:
            try:
                found: SendResult | SMTPError = await self._send_once(delivery, ends)
            except SMTPError as error:
                found = error
            pause = delivery.note(found, None if ends is None else ends - monotonic())
            if pause is not None:
                await wait(self._ended, pause)
            if pause is None or self._state.closed:
                return delivery.result()
            self._state.retried += 1

    async def _send_once(self, delivery: Delivery, ends: float | None) -> "SendResult":
        slot = await self._acquire(ends)
        try:
            while True:
                reused = await self._fill(slot, ends)
                now = monotonic()
                careful = reused and slot.has_rested(now)
                try:
                    result: SendResult = await delivery.attempt(slot.client, seconds_left(ends, now), careful=careful)
                except SMTPError as error:
                    # A connection that had rested may have been dead: one attempt on a new one is free.
                    in_time = ends is None or monotonic() < ends
                    if not (reused and in_time and delivery.may_begin_again(error)):
                        raise
                    self._discard(slot)
                else:
                    return result
        finally:
            self._give_back(slot)

    async def _acquire(self, ends: float | None, *, paced: bool = True) -> Slot:
        # Wait for one of the slots, in turn.
        state, waiter = self._home(), Waiter(Event, paced=paced)
        try:
            ending = state.ask(waiter, monotonic())
            seconds = state.patience(waiter, monotonic())
            _take_leave(ending)
            while waiter.slot is None:
                left = seconds_left(ends, monotonic())
                await wait(waiter.event, seconds if left is None else min(seconds, left))
                waiter.event.clear()
                if waiter.slot is None:
                    state.check_open()
                ending = state.advance(monotonic())
                seconds = state.patience(waiter, monotonic())
                _take_leave(ending)
        except BaseException:
            ending = state.abandon(waiter, monotonic())
            _take_leave(ending)
            raise
        return waiter.slot

    async def _fill(self, slot: Slot, ends: float | None) -> bool:
        # See to it that the slot has a live connection; True if it was used before.
        if slot.client is not None:
            if slot.client._may_go_on:
                self._state.reused += 1
                return True
            self._discard(slot)
        client = Client(self._settings)
        await client._connect(seconds_left(ends, monotonic()))
        slot.fill(client, monotonic())
        self._state.opened += 1
        return False

    def _discard(self, slot: Slot) -> None:
        # Close what is not to be used again, with a farewell where somebody is there to hear it.
        client: Client = slot.client
        slot.client = None
        if client._is_alive:
            client._quit_unheard()
            return
        client._drop()
        self._state.lost += 1

    def _give_back(self, slot: Slot) -> None:
        client: Client | None = slot.client
        usable = client is not None and client._may_be_kept
        if client is not None and not usable:
            self._discard(slot)
        carried = None if client is None else client._sent
        ending = self._state.give_back(slot, monotonic(), usable=usable, carried=carried)
        _take_leave(ending)

    def _end_of(self, deadline: float | None) -> float | None:
        seconds = self._settings.deadline if deadline is None else deadline
        return None if seconds is None else monotonic() + seconds


def _take_leave(ending: "list[Client]") -> None:
    for client in ending:
        client._quit_unheard()


_END = object()  # behind the last item


class _Source:
    """Items for several tasks, one after the other."""

    def __init__(self, items: "Any") -> None:
        self.ended = False
        self._items = items.__aiter__() if hasattr(items, "__aiter__") else iter(items)
        self._turn = asyncio.Lock()

    async def next(self) -> "Any":
        async with self._turn:
            if self.ended:
                return _END
            if hasattr(self._items, "__anext__"):
                item = await anext(self._items, _END)
            else:
                item = next(self._items, _END)
            self.ended = item is _END
            return item
