"""Octets between an event loop and a driver: what reads, writes and waits under asyncio."""

import asyncio
import os
from contextlib import suppress

from smtpkit.asyncio.buffer import READ_SIZE, standing_buffer
from smtpkit.protocol.needs import CLOSE, READ, WRITE

__all__ = ["Transport"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from smtpkit.protocol.client_driver import ClientDriver
    from smtpkit.protocol.server_driver import ServerDriver

_LINGER = 5.0  # seconds that closing waits for a peer that does not read, or does not stop talking
_NOTICED = 0.05  # seconds; shorter waits are added up before the rate of content is looked at


class Transport(asyncio.BufferedProtocol):
    """One connection.

    `until(step)` runs a driver as far as its next need that is not READ or WRITE.  While octets are awaited the
    driver runs inside the loop's callbacks, and the task that called `until` sleeps.

    A server's connection begins by itself: `opened` is called, the driver runs in the callbacks, and the first
    need of it that they cannot meet makes the task that runs `serve`.

    Args:
        driver: whom the octets are for.
        opened: called when a server's connection is made.
        serve: called with the first need, and awaited.
        ended: called when the connection is gone and `serve` has returned.
    """

    __slots__ = (
        "_buffer",
        "_came_at",
        "_closed",
        "_deadline",
        "_ended",
        "_ending",
        "_eof",
        "_flushing",
        "_gone",
        "_loop",
        "_opened",
        "_reading",
        "_seen",
        "_serve",
        "_since",
        "_step",
        "_task",
        "_timer",
        "_timer_span",
        "_transport",
        "_waited",
        "_waiter",
        "_writable",
        "driver",
    )

    def __init__(
        self,
        driver: "ClientDriver | ServerDriver",
        *,
        opened: "Callable[[], None] | None" = None,
        serve: "Callable[[Any], Awaitable[None]] | None" = None,
        ended: "Callable[[], None] | None" = None,
    ) -> None:
        self.driver = driver
        self._opened = opened
        self._serve = serve
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._buffer = standing_buffer(self._loop)
        self._transport: asyncio.Transport | None = None
        self._step: Callable[[Any], Any] | None = None  # what gives the next need once octets have come
        self._waiter: asyncio.Future[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self._timer_span = 0.0  # seconds of the wait that the timer was set for
        self._since = 0.0  # of the loop's clock, when the present wait began
        self._seen = -1
        self._came_at = 0.0  # when octets came last
        self._waited = 0.0  # seconds that were spent waiting for octets
        self._reading = True
        self._writable = True
        self._flushing = False
        self._closed = False
        self._ending = False
        self._eof = False
        self._gone = False

    # What client.py and server.py call

    async def until(self, step: "Callable[[Any], Any]", answer: "Any" = None) -> "Any":
        """The next need that is not READ or WRITE.

        Args:
            step: what gives needs, such as `driver.next`.
            answer: to the last need.
        """
        need = self._advance(step, answer)
        if need is None:
            self._waiter = self._loop.create_future()
            try:
                need = await self._waiter
            finally:
                self._waiter = self._step = None  # who was cancelled wants no needs any more
        return need

    def set_deadline(self, seconds: float | None) -> None:
        """Let all waits from now on last so many seconds together; None for no bound."""
        self._deadline = None
        if seconds is not None:
            self._deadline = self._loop.time() + seconds
            self._cancel_timer()  # the next wait sets one

    def look(self) -> None:
        """Take in what has come, without waiting; a connection that is to be used again may have ended."""
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        try:
            if sock is not None and not self._closed:
                self.driver.receive(os.read(sock.fileno(), READ_SIZE))
        except BlockingIOError:
            pass
        except OSError as error:
            self.driver.lost(error)

    def shut_down(self) -> None:
        """Say goodbye as soon as no transaction is under way."""
        self._ending = True
        if self._closed and self._transport is not None:
            self._transport.close()  # it has had its goodbye, and need not linger
        elif self.driver.shut_down():
            self._flushing = False
            self._go_on()

    def close(self) -> None:
        """Close when what was written has left, or after a while."""
        transport = self._transport
        if self._closed or transport is None:
            return
        self._closed = True
        self._step = None
        self._cancel_timer()
        if transport.is_closing():
            return
        transport.write(self.driver.take())
        if self._serve is None or self._ending or self._eof or self.driver.finished or not transport.can_write_eof():
            transport.close()
        else:
            # Octets that are unread at the end have TCP reset the connection, and the peer may never see what was
            # said last: let it read that, and close.
            try:
                transport.write_eof()
                transport.resume_reading()
            except OSError:  # a peer that went without waiting has reset the connection meanwhile
                transport.abort()
        if not transport.is_closing() or transport.get_write_buffer_size():
            self._timer = self._loop.call_later(_LINGER, transport.abort)

    def abort(self) -> None:
        """Close at once, and cancel what serves."""
        self._closed = True
        self._step = None
        self._cancel_timer()
        if self._transport is not None:
            self._transport.abort()
        self.cancel()
        self._check_ended()

    def cancel(self) -> None:
        """Cancel what serves, and no more."""
        if self._task is not None:
            self._task.cancel()

    @property
    def closed(self) -> bool:
        """Whether the connection is closed, or lost."""
        return self._closed

    @property
    def local(self) -> "Any":
        """The socket's own address."""
        return None if self._transport is None else self._transport.get_extra_info("sockname")

    @property
    def peer(self) -> "Any":
        """The peer's address."""
        return None if self._transport is None else self._transport.get_extra_info("peername")

    # Running the driver

    def _advance(self, step: "Callable[[Any], Any]", answer: "Any" = None, now: float = 0.0) -> "Any":
        # None: octets are awaited, or a flush.  `now` spares another look at the clock.
        driver = self.driver
        while True:
            need = step(answer)
            if need is not READ and need is not WRITE:
                return need
            octets = driver.take()
            if octets and not self._closed:
                self._transport.write(octets)  # type: ignore[union-attr]
            elif need is WRITE and self._writable and not octets:
                answer = None  # nothing is to leave, and what has come was taken in
                continue
            self._step = step
            if driver.waits != self._seen or self._timer is None:
                self._seen = driver.waits
                self._since = now or self._loop.time()
                if self._timer is None or driver.timeout < self._timer_span:
                    self._arm()
            if need is WRITE:
                self._flushing = True
                if self._writable:
                    # By way of the loop, so that what came meanwhile is taken in and others have their turn.
                    self._loop.call_soon(self._flushed)
            if not (self._reading and self._writable):
                self._regulate()
            return None

    def _go_on(self, now: float = 0.0) -> None:
        step, self._step = self._step, None
        if step is None:
            return  # user code runs
        try:
            need = self._advance(step, None, now)
        except Exception as error:
            if self._waiter is None:
                raise
            if not self._waiter.done():
                self._waiter.set_exception(error)
            return
        if need is None:
            return
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(need)
        elif need is CLOSE:
            self.close()
            self._check_ended()  # what came before the connection was lost is worked off in turns, too
        else:
            self._task = self._loop.create_task(self._run(need))

    async def _run(self, need: "Any") -> None:
        assert self._serve is not None
        try:
            await self._serve(need)
        finally:
            self._task = None
            self.close()
            self._check_ended()

    def _check_ended(self) -> None:
        if self._gone and self._task is None and self._step is None and self._ended is not None:
            ended = self._ended
            self._opened = self._serve = self._ended = None  # what refers back goes, and memory is free at once
            ended()

    def _flushed(self) -> None:
        if self._flushing:
            self._flushing = False
            self._go_on()

    def _regulate(self) -> None:
        # Read while octets are wanted and there is room.  A server waits for its peer to read, too; a client
        # goes on, or it would miss the reply that explains why the peer does not.
        wanted = self.driver.unread < self.driver.unread_limit and (self._writable or self._serve is None)
        if wanted != self._reading and self._transport is not None and not self._transport.is_closing():
            self._reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    # Time: one timer, which looks at how long the present wait has lasted.  A wait begins when something was
    # written, or a piece of a body came; not at each read, or one octet now and then would keep a connection.

    def _arm(self) -> None:
        # Later waits as long as this one, or longer, need no other timer.
        self._cancel_timer()
        self._timer_span = self.driver.timeout
        if not self._gone:
            self._timer = self._loop.call_at(self._due(), self._tick)

    def _due(self) -> float:
        due = self._since + self.driver.timeout
        return due if self._deadline is None else min(due, self._deadline)

    def _measure(self, now: float) -> None:
        since, came_at = self._since, self._came_at
        self._waited += now - (since if since > came_at else came_at)  # noqa: FURB136 (a call costs more)
        self._came_at = now
        if self._waited >= _NOTICED:
            waited, self._waited = self._waited, 0.0
            self.driver.waited(waited)

    def _tick(self) -> None:
        self._timer = None
        if self._step is None or self._closed:
            return  # user code runs; the next wait sets a timer
        due = self._due()
        if due > self._loop.time():
            self._arm()
            return
        self.driver.overdue = self._deadline is not None and self._deadline <= due
        self.driver.timed_out(flushed=self._writable)
        self._flushing = False
        self._go_on()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the loop's transport; a server's driver begins."""
        self._transport = transport  # type: ignore[assignment]
        # The loop keeps nothing back without saying so: then this side knows what has left, and what not.
        transport.set_write_buffer_limits(high=0)  # type: ignore[attr-defined]
        if self._opened is not None:
            self._opened()
            self._step = self.driver.next
            self._go_on()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop reads into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Octets have come."""
        if not self._closed:
            self.driver.receive(bytes(self._buffer[:nbytes]))
            self._came()

    def eof_received(self) -> bool:
        """The peer will send no more; what it sent may still be answered."""
        if self._closed:
            return False
        self._eof = True
        if not self._writable and self._serve is None:
            self.driver.lost(None, flushed=False)  # what has not left by now was not read before the end
        self.driver.receive(b"")
        self._came()
        return True

    def _came(self) -> None:
        now = self._loop.time()
        if self._step is not None and self._serve is not None:
            self._measure(now)
        if self._step is None or (self._flushing and self._serve is not None):
            self._regulate()
        else:
            self._flushing = False  # what a server says in the middle of a body is the reason to stop
            self._go_on(now)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._cancel_timer()
        self._closed = self._gone = True
        if exc is not None and self._serve is None:
            self._receive_last()
        self.driver.lost(exc if isinstance(exc, OSError) else None, flushed=self._writable)
        self._writable = True
        self._flushing = False
        self._go_on()
        self._check_ended()

    def _receive_last(self) -> None:
        # After a write that failed the loop reads no more; but what a server said before it went is the reason.
        sock = self._transport.get_extra_info("socket") if self._transport else None
        with suppress(OSError):  # there is no more, for now or for ever
            while sock is not None and (octets := os.read(sock.fileno(), READ_SIZE)):
                self.driver.receive(octets)

    def pause_writing(self) -> None:
        """The peer does not read as fast as this side writes."""
        self._writable = False
        self._regulate()

    def resume_writing(self) -> None:
        """The peer reads on."""
        self._writable = True
        self._regulate()
        self._flushed()
