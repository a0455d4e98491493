"""Octets between an event loop and a driver: the only asyncio file that knows of sockets, buffers and time."""

import asyncio
import threading

from smtpkit.protocol.needs import READ, WRITE

__all__ = ["Transport", "dial"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

    from smtpkit.protocol.client_driver import ClientDriver
    from smtpkit.protocol.server_driver import ServerDriver

_BUFFER = 64 * 1024
_UNREAD = 128 * 1024  # octets that may wait unread before reading stops
_LINGER = 5.0  # seconds that closing waits for a peer that does not read

_thread = threading.local()


def _standing_buffer(loop: asyncio.AbstractEventLoop) -> memoryview:
    # A selector loop fills the buffer and hands it on before it turns to the next connection, so that one
    # serves them all; a proactor loop reads ahead for each.  Letting asyncio allocate costs an mmap a read.
    if isinstance(loop, getattr(asyncio, "ProactorEventLoop", ())):
        return memoryview(bytearray(_BUFFER))
    buffer: memoryview | None = getattr(_thread, "buffer", None)
    if buffer is None:
        buffer = _thread.buffer = memoryview(bytearray(_BUFFER))
    return buffer


class Transport(asyncio.BufferedProtocol):
    """One connection.

    `until(step)` runs a driver as far as its next need that is not READ or WRITE.  While octets are awaited the
    driver runs inside the loop's callbacks, and the task that called `until` sleeps.

    Args:
        driver: whom the octets are for; it may be given later, but before the first octet.
        opened: called when the connection is made.
        begin: called with the first need of a connection that nobody called `until` for (a server's).
        lost: called when the connection is gone.
        patient: whether to stop reading while the peer does not read (a server); a client goes on, or it
            would miss the reply that explains why.
    """

    __slots__ = (
        "_begin",
        "_buffer",
        "_closed",
        "_flushing",
        "_loop",
        "_lost",
        "_opened",
        "_patient",
        "_reading",
        "_seen",
        "_since",
        "_step",
        "_timer",
        "_transport",
        "_waiter",
        "_writable",
        "deadline",
        "driver",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        driver: "ClientDriver | ServerDriver",
        *,
        opened: "Callable[[], None] | None" = None,
        begin: "Callable[[Any], None] | None" = None,
        lost: "Callable[[], None] | None" = None,
        patient: bool = False,
    ) -> None:
        self.driver = driver
        self.deadline: float | None = None  # of the loop's clock
        self._loop = loop
        self._opened = opened
        self._begin = begin
        self._lost = lost
        self._patient = patient
        self._buffer = _standing_buffer(loop)
        self._transport: asyncio.Transport | None = None
        self._step: Callable[[Any], Any] | None = None  # what gives the next need once octets have come
        self._waiter: asyncio.Future[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._seen = -1
        self._reading = True
        self._writable = True
        self._flushing = False
        self._closed = False

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
                self._waiter = None
        return need

    def start(self, step: "Callable[[Any], Any]") -> None:
        """Run the driver of a new connection; `begin` gets its first need."""
        self._step = step
        self._go_on()

    def close(self) -> None:
        """Close when what was written has left, or after a while."""
        if self._closed or self._transport is None:
            return
        self._closed = True
        self._step = None
        self._cancel_timer()
        if not self._transport.is_closing():
            octets = self.driver.take()
            if octets:
                self._transport.write(octets)
            self._transport.close()
            if self._transport.get_write_buffer_size():
                self._timer = self._loop.call_later(_LINGER, self._transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self._closed = True
        self._step = None
        self._cancel_timer()
        if self._transport is not None:
            self._transport.abort()

    def get_extra_info(self, name: str) -> "Any":
        """As of the loop's transport: "peername", "sockname"."""
        return None if self._transport is None else self._transport.get_extra_info(name)

    @property
    def closed(self) -> bool:
        """Whether the connection is closed, or lost."""
        return self._closed

    def nudge(self) -> None:
        """The driver has something new to say, such as a farewell."""
        if self._step is not None:
            self._go_on()

    # Running the driver

    def _advance(self, step: "Callable[[Any], Any]", answer: "Any" = None) -> "Any":
        # None: octets are awaited, or a flush.
        need = step(answer)
        if need is READ or need is WRITE:
            self._write()
            self._step = step
            self._arm()
            if need is WRITE:
                self._flushing = True
                if self._writable:
                    # By way of the loop, so that what came meanwhile is taken in and others have their turn.
                    self._loop.call_soon(self._flushed)
            self._regulate()
            return None
        return need

    def _go_on(self) -> None:
        step, self._step = self._step, None
        assert step is not None
        try:
            need = self._advance(step)
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
        elif self._begin is not None:
            begin, self._begin = self._begin, None
            begin(need)

    def _flushed(self) -> None:
        if self._flushing and self._step is not None:
            self._flushing = False
            self._go_on()

    def _write(self) -> None:
        octets = self.driver.take()
        if octets and self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def _regulate(self) -> None:
        # Read while octets are wanted and there is room; a patient side waits for its peer to read, too.
        wanted = self.driver.unread < _UNREAD and (self._writable or not self._patient)
        if wanted != self._reading and self._transport is not None and not self._transport.is_closing():
            self._reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    # Time: one timer, which looks at how long the present wait has lasted

    def _arm(self) -> None:
        waits = self.driver.waits
        if waits != self._seen:
            self._seen = waits
            self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._left(), self._tick)

    def _left(self) -> float:
        now = self._loop.time()
        left = self._since + self.driver.timeout - now
        if self.deadline is not None:
            left = min(left, self.deadline - now)
        return max(left, 0.0)

    def _tick(self) -> None:
        self._timer = None
        if self._step is None or self._closed:
            return  # user code runs; the next wait sets a timer
        left = self._left()
        if left > 0:
            self._timer = self._loop.call_later(left, self._tick)
            return
        self.driver.timed_out()
        self._flushing = False
        self._go_on()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the loop's transport."""
        self._transport = transport  # type: ignore[assignment]
        if self._opened is not None:
            opened, self._opened = self._opened, None
            opened()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop reads into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Octets have come."""
        self.driver.receive(bytes(self._buffer[:nbytes]))
        if self._step is not None and not self._flushing:
            self._go_on()
        else:
            self._regulate()

    def eof_received(self) -> bool:
        """The peer will send no more; what it sent may still be answered."""
        self.driver.receive(b"")
        if self._step is not None and not self._flushing:
            self._go_on()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._cancel_timer()
        self._closed = True
        self._writable = True
        self.driver.lost(exc if isinstance(exc, OSError) else None)
        self._flushing = False
        if self._step is not None:
            self._go_on()
        if self._lost is not None:
            lost, self._lost = self._lost, None
            lost()

    def pause_writing(self) -> None:
        """The peer does not read as fast as this side writes."""
        self._writable = False
        self._regulate()

    def resume_writing(self) -> None:
        """The peer reads on."""
        self._writable = True
        self._regulate()
        self._flushed()


async def dial(
    make: "Callable[[], Transport]",
    host: str,
    port: int,
    *,
    path: str = "",
    sock: "socket.socket | None" = None,
    local_address: "tuple[str, int] | None" = None,
) -> Transport:
    """Connect to a server.

    Raises:
        OSError: no address could be reached.
    """
    loop = asyncio.get_running_loop()
    if sock is not None:
        sock.setblocking(False)
        _, transport = await loop.create_connection(make, sock=sock)
    elif path:
        _, transport = await loop.create_unix_connection(make, path)
    else:
        _, transport = await loop.create_connection(
            make, host, port, local_addr=local_address, happy_eyeballs_delay=0.25
        )
    return transport
