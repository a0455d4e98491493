"""A pool of blocking connections: made when they are needed, used again, never more than `size`."""

import os
from contextlib import contextmanager
from threading import Event, Lock
from time import monotonic
from weakref import WeakSet

from smtpkit.connecting import ClientSettings
from smtpkit.errors import SMTPError
from smtpkit.pooling import PoolLimits, PoolState, PoolStats, Slot, Waiter, seconds_left
from smtpkit.retrying import Delivery
from smtpkit.sync.client import Client
from smtpkit.sync.waiting import wait

__all__ = ["Pool"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Self

    from smtpkit.protocol.message import Message
    from smtpkit.protocol.results import SendResult
    from smtpkit.protocol.retry import Retry

_FAREWELL = 2.0  # seconds for taking leave of all connections

_pools: "WeakSet[Pool]" = WeakSet()


class Pool:
    """Connections to one server, for any number of senders.

    Nothing is opened until it is used, and `with` is not needed: `close()` closes, and a pool that is never closed
    holds sockets and nothing else.  Any number of threads may use it.

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
        _pools.add(self)

    def __repr__(self) -> str:
        stats = self._state.stats
        counts = f"{stats.in_use} in use of {self._limits.size}, {stats.idle} idle, {stats.waiting} waiting"
        return f"<Pool of {self._settings.target}, {'closed' if self._state.closed else counts}>"

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        self.close()

    @property
    def stats(self) -> PoolStats:
        """What the pool does, and has done."""
        with self._lock:
            return self._state.stats

    @property
    def outbox(self) -> "list[Message]":
        """The messages that a pool of "memory:" has taken; with any other URL there are none."""
        return self._settings.outbox

    def send_message(
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
        return self._deliver(Delivery.of_message(message, sender, recipients, retry, options))

    def send(
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
        return self._deliver(Delivery(sender, recipients, body, retry, options))

    def send_many(
        self,
        items: "Iterable[Any]",
        *,
        in_flight: int | None = None,
        retry: "Retry | None" = None,
        **options: "Any",
    ) -> "Iterator[tuple[Any, SendResult | SMTPError]]":
        """Send many messages, several at a time; results come as they are known, in any order.

        Args:
            items: messages, or (sender, recipients, body); they are taken one by one, when there is room for
                another, so that they may be made on the way.
            in_flight: messages under way at once; None for the pool's size.
            retry: as for `send()`.
            options: of each send.

        Yields:
            The item, and its SendResult or the SMTPError that `send()` would have raised.  What else a body or
            the iterable raises comes out here, after the results of all that was under way.
        """
        from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
        from concurrent.futures import wait as finished

        most = in_flight or self._limits.size
        source: Iterator[Any] | None = iter(items)
        running: dict[Future[SendResult | SMTPError], Any] = {}
        failure: Exception | None = None
        executor = ThreadPoolExecutor(most, "smtpkit-pool")
        try:
            while source is not None or running:
                while source is not None and len(running) < most:
                    try:
                        item = next(source)  # in the caller's thread
                    except StopIteration:
                        source = None
                    except Exception as error:  # noqa: BLE001 (whatever the caller's code raises)
                        source, failure = None, error
                    else:
                        running[executor.submit(self._send_item, item, retry, options)] = item
                for future in finished(running, return_when=FIRST_COMPLETED).done:
                    item = running.pop(future)
                    try:
                        found = future.result()
                    except Exception as error:  # noqa: BLE001 (whatever the caller's code raises)
                        source, failure = None, failure or error
                    else:
                        yield item, found
        finally:
            executor.shutdown(cancel_futures=True)
        if failure is not None:
            raise failure

    @contextmanager
    def connection(self, *, deadline: float | None = None) -> "Iterator[Client]":
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
        slot = self._acquire(ends, paced=False)
        try:
            self._fill(slot, ends)
            yield slot.client
        finally:
            self._give_back(slot)

    def close(self) -> None:
        """Take leave of all connections that rest; those in use follow when they are given back.

        Who waits gets LocalProtocolError, as does every later call.  Never raises.
        """
        with self._lock:
            clients = self._home().close()
            self._ended.set()
        ends = monotonic() + _FAREWELL
        try:
            for client in clients:
                client._quit(max(ends - monotonic(), 0.0))
        finally:
            for client in clients:
                if not client._is_closed:
                    client._drop()

    def _begin_anew(self) -> None:
        self._lock = Lock()
        self._ended = Event()
        self._state = PoolState(self._limits)

    def _home(self) -> PoolState:
        return self._state

    def _send_item(self, item: "Any", retry: "Retry | None", options: "dict[str, Any]") -> "SendResult | SMTPError":
        try:
            return self._deliver(Delivery.of_item(item, retry, options))
        except SMTPError as error:
            return error

    def _deliver(self, delivery: Delivery) -> "SendResult":
        ends = self._end_of(delivery.deadline)
        while True:
            try:
                found: SendResult | SMTPError = self._send_once(delivery, ends)
            except SMTPError as error:
                found = error
            pause = delivery.note(found, None if ends is None else ends - monotonic())
            if pause is not None:
                wait(self._ended, pause)
            if pause is None or self._state.closed:
                return delivery.result()
            with self._lock:
                self._state.retried += 1

    def _send_once(self, delivery: Delivery, ends: float | None) -> "SendResult":
        slot = self._acquire(ends)
        try:
            while True:
                reused = self._fill(slot, ends)
                now = monotonic()
                careful = reused and slot.has_rested(now)
                try:
                    result: SendResult = delivery.attempt(slot.client, seconds_left(ends, now), careful=careful)
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

    def _acquire(self, ends: float | None, *, paced: bool = True) -> Slot:
        # Wait for one of the slots, in turn.
        state, waiter = self._home(), Waiter(Event, paced=paced)
        try:
            with self._lock:
                ending = state.ask(waiter, monotonic())
                seconds = state.patience(waiter, monotonic())
            _take_leave(ending)
            while waiter.slot is None:
                left = seconds_left(ends, monotonic())
                wait(waiter.event, seconds if left is None else min(seconds, left))
                with self._lock:
                    waiter.event.clear()
                    if waiter.slot is None:
                        state.check_open()
                    ending = state.advance(monotonic())
                    seconds = state.patience(waiter, monotonic())
                _take_leave(ending)
        except BaseException:
            with self._lock:
                ending = state.abandon(waiter, monotonic())
            _take_leave(ending)
            raise
        return waiter.slot

    def _fill(self, slot: Slot, ends: float | None) -> bool:
        # See to it that the slot has a live connection; True if it was used before.
        if slot.client is not None:
            if slot.client._may_go_on:
                with self._lock:
                    self._state.reused += 1
                return True
            self._discard(slot)
        client = Client(self._settings)
        client._connect(seconds_left(ends, monotonic()))
        slot.fill(client, monotonic())
        with self._lock:
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
        with self._lock:
            self._state.lost += 1

    def _give_back(self, slot: Slot) -> None:
        client: Client | None = slot.client
        usable = client is not None and client._may_be_kept
        if client is not None and not usable:
            self._discard(slot)
        carried = None if client is None else client._sent
        with self._lock:
            ending = self._state.give_back(slot, monotonic(), usable=usable, carried=carried)
        _take_leave(ending)

    def _end_of(self, deadline: float | None) -> float | None:
        seconds = self._settings.deadline if deadline is None else deadline
        return None if seconds is None else monotonic() + seconds


def _take_leave(ending: "list[Client]") -> None:
    for client in ending:
        client._quit_unheard()


def _forget_all() -> None:
    # In a forked child: the connections are the parent's, which goes on with them; nothing is said to the servers.
    for pool in _pools:
        for client in pool._state.close():
            client._forget()
        pool._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
