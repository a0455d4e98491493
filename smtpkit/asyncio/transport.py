"""Octets between an event loop and a driver: the only asyncio file that knows of sockets, buffers and time."""

import asyncio
import os
import threading
from contextlib import suppress

from smtpkit.protocol.needs import CLOSE, READ, WRITE

__all__ = ["Acceptor", "Transport", "dial", "wait"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any

    from smtpkit.endpoints import Listener
    from smtpkit.protocol.client_driver import ClientDriver
    from smtpkit.protocol.server_driver import ServerDriver

_BUFFER = 64 * 1024
_UNREAD = 128 * 1024  # octets that may wait unread before reading stops
_LINGER = 5.0  # seconds that closing waits for a peer that does not read

_thread = threading.local()


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
        unread: octets that may wait unread before reading stops.
    """

    __slots__ = (
        "_buffer",
        "_closed",
        "_deadline",
        "_ended",
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
        "_timer_due",
        "_transport",
        "_unread",
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
        unread: int = _UNREAD,
    ) -> None:
        self.driver = driver
        self._opened = opened
        self._serve = serve
        self._ended = ended
        self._unread = unread
        self._loop = asyncio.get_running_loop()
        self._buffer = _standing_buffer(self._loop)
        self._transport: asyncio.Transport | None = None
        self._step: Callable[[Any], Any] | None = None  # what gives the next need once octets have come
        self._waiter: asyncio.Future[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self._timer_due = 0.0  # of the loop's clock, as the next two
        self._since = 0.0
        self._seen = -1
        self._reading = True
        self._writable = True
        self._flushing = False
        self._closed = False
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
                self._waiter = None
                self._step = None  # who was cancelled wants no needs any more
        return need

    def set_deadline(self, seconds: float | None) -> None:
        """Let all waits from now on last so many seconds together; None for no bound."""
        self._deadline = None if seconds is None else self._loop.time() + seconds

    def shut_down(self) -> None:
        """Say goodbye as soon as no transaction is under way."""
        if self.driver.shut_down():
            self._flushing = False
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
        """Close at once, and cancel what serves."""
        self._closed = True
        self._step = None
        self._cancel_timer()
        if self._transport is not None:
            self._transport.abort()
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

    def _advance(self, step: "Callable[[Any], Any]", answer: "Any" = None) -> "Any":
        # None: octets are awaited, or a flush.
        driver = self.driver
        while True:
            need = step(answer)
            if need is not READ and need is not WRITE:
                return need
            octets = driver.take()
            if octets and not self._closed:
                self._transport.write(octets)  # type: ignore[union-attr]
            elif need is WRITE and self._writable:
                answer = None  # nothing is to leave, and what has come was taken in
                continue
            self._step = step
            if driver.waits != self._seen or self._timer is None:
                self._arm()
            if need is WRITE:
                self._flushing = True
                if self._writable:
                    # By way of the loop, so that what came meanwhile is taken in and others have their turn.
                    self._loop.call_soon(self._flushed)
            if not (self._reading and self._writable):
                self._regulate()
            return None

    def _go_on(self) -> None:
        step, self._step = self._step, None
        if step is None:
            return  # user code runs
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
        elif need is CLOSE:
            self.close()
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
        if self._gone and self._task is None and self._ended is not None:
            ended, self._ended = self._ended, None
            ended()

    def _flushed(self) -> None:
        if self._flushing:
            self._flushing = False
            self._go_on()

    def _regulate(self) -> None:
        # Read while octets are wanted and there is room.  A server waits for its peer to read, too; a client
        # goes on, or it would miss the reply that explains why the peer does not.
        wanted = self.driver.unread < self._unread and (self._writable or self._serve is None)
        if wanted != self._reading and self._transport is not None and not self._transport.is_closing():
            self._reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    # Time: one timer, which looks at how long the present wait has lasted.  A wait begins when something was
    # written, or a piece of a body came; not at each read, or one octet now and then would keep a connection.

    def _arm(self) -> None:
        self._seen = self.driver.waits
        self._since = self._loop.time()
        due = self._due()
        if self._timer is None:
            self._set_timer(due)
        elif due < self._timer_due:
            self._timer.cancel()
            self._set_timer(due)

    def _set_timer(self, due: float) -> None:
        self._timer_due = due
        self._timer = self._loop.call_at(due, self._tick)

    def _due(self) -> float:
        due = self._since + self.driver.timeout
        return due if self._deadline is None else min(due, self._deadline)

    def _tick(self) -> None:
        self._timer = None
        if self._step is None or self._closed:
            return  # user code runs; the next wait sets a timer
        due = self._due()
        if due > self._loop.time():
            self._set_timer(due)
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
        self.driver.receive(bytes(self._buffer[:nbytes]))
        self._came()

    def eof_received(self) -> bool:
        """The peer will send no more; what it sent may still be answered."""
        self.driver.receive(b"")
        self._came()
        return True

    def _came(self) -> None:
        if self._flushing and self._serve is None:
            self._flushing = False  # what a server says in the middle of a body is the reason to stop
        if self._step is not None and not self._flushing:
            self._go_on()
        else:
            self._regulate()

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
        sock = self._transport.get_extra_info("socket") if self._transport is not None else None
        with suppress(OSError):  # there is no more, for now or for ever
            while sock is not None and (octets := os.read(sock.fileno(), _BUFFER)):
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


class Acceptor:
    """The sockets that a server listens on.

    Args:
        connected: makes the Transport of a new connection; told whether TLS begins with the first octet.

    Attributes:
        addresses: what it listens on, or did: (host, port), or the path of a unix socket.
    """

    def __init__(self, connected: "Callable[[bool], Transport]") -> None:
        self.addresses: list[Any] = []
        self._connected = connected
        self._servers: list[asyncio.Server] = []
        self._opened: list[Listener] = []

    async def open(self, listeners: "Iterable[Listener]") -> None:
        """Listen.

        Raises:
            OSError: an address cannot be bound; `close()` closes those that were.
        """
        for listener in listeners:
            sockets = listener.open()
            self._opened.append(listener)
            try:
                while sockets:
                    await self._listen(sockets[0], listener.implicit_tls)
                    del sockets[0]
            finally:
                for sock in sockets:
                    sock.close()

    async def _listen(self, sock: "socket.socket", implicit_tls: bool) -> None:
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        address = sock.getsockname()
        is_tcp = isinstance(address, tuple)
        make = loop.create_server if is_tcp else loop.create_unix_server
        self._servers.append(await make(lambda: self._connected(implicit_tls), sock=sock))
        self.addresses.append(address[:2] if is_tcp else address)

    def close(self) -> None:
        """Listen no more; any number of times."""
        for server in self._servers:
            server.close()
        while self._opened:
            self._opened.pop().remove()


async def dial(
    driver: "ClientDriver",
    host: str,
    port: int,
    *,
    path: str = "",
    sock: "socket.socket | None" = None,
    local_address: "tuple[str, int] | None" = None,
    timeout: float,
) -> Transport:
    """Connect to a server.

    Raises:
        TimeoutError: not within `timeout` seconds.
        OSError: no address could be reached.
    """
    loop = asyncio.get_running_loop()
    transport = Transport(driver)
    async with asyncio.timeout(timeout):
        if sock is not None:
            sock.setblocking(False)
            await loop.create_connection(lambda: transport, sock=sock)
        elif path:
            await loop.create_unix_connection(lambda: transport, path)
        else:
            await loop.create_connection(
                lambda: transport, host, port, local_addr=local_address, happy_eyeballs_delay=0.25
            )
    return transport


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not for ever."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _standing_buffer(loop: asyncio.AbstractEventLoop) -> memoryview:
    # A selector loop fills the buffer and hands it on before it turns to the next connection, so that one
    # serves them all; a proactor loop reads ahead for each.  Letting asyncio allocate costs an mmap a read.
    if isinstance(loop, getattr(asyncio, "ProactorEventLoop", ())):
        return memoryview(bytearray(_BUFFER))
    buffer: memoryview | None = getattr(_thread, "buffer", None)
    if buffer is None:
        buffer = _thread.buffer = memoryview(bytearray(_BUFFER))
    return buffer
