"""Where connections come from under asyncio: the sockets that a server listens on, and the one that a client dials."""

import asyncio
import socket

from smtpkit.asyncio.transport import Transport
from smtpkit.endpoints import EXHAUSTED, PAUSE, out_of_resources
from smtpkit.reaching import ATTEMPT_DELAY, Address, given_as_number, order, too_late, unreachable

__all__ = ["Acceptor", "dial"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from smtpkit.endpoints import Listener
    from smtpkit.protocol.client_driver import ClientDriver


_AT_ONCE = 100  # connections that are accepted before others have their turn


class Acceptor:
    """The sockets that a server listens on.

    Connections are accepted here, and not by asyncio's own server: the peer is known before anything is made for it,
    and a connection that comes in the turn in which the server closes is not left behind.

    Args:
        connected: makes the Transport of a new connection; told where it came in, and the peer's address.

    Attributes:
        addresses: what it listens on, or did: (host, port), or the path of a unix socket.
    """

    def __init__(self, connected: "Callable[[Listener, Any], Transport]") -> None:
        self.addresses: list[Any] = []
        self._connected = connected
        self._loop: asyncio.AbstractEventLoop
        self._sockets: dict[socket.socket, Listener] = {}
        self._opened: list[Listener] = []
        self._coming: set[asyncio.Task[Any]] = set()  # connections on their way to their transports
        self._pausing: set[asyncio.TimerHandle] = set()
        self._accepting: list[asyncio.Task[None]] = []  # where the loop has no readers

    async def open(self, listeners: "Iterable[Listener]") -> None:
        """Listen.

        Raises:
            OSError: an address cannot be bound; `close()` closes those that were.
        """
        self._loop = asyncio.get_running_loop()
        for listener in listeners:
            for sock in listener.open():
                sock.setblocking(False)
                self._sockets[sock] = listener
                address = sock.getsockname()
                self.addresses.append(address[:2] if isinstance(address, tuple) else address)
            self._opened.append(listener)
        for sock in self._sockets:
            self._listen(sock)

    async def close(self) -> None:
        """Listen no more; any number of times."""
        while self._pausing:
            self._pausing.pop().cancel()
        while self._sockets:
            sock, _ = self._sockets.popitem()
            if not self._accepting:
                self._loop.remove_reader(sock)
            sock.close()
        for task in self._accepting:
            task.cancel()
        while self._opened:
            self._opened.pop().remove()
        if self._coming:
            await asyncio.wait(self._coming)

    def _listen(self, sock: socket.socket) -> None:
        try:
            self._loop.add_reader(sock, self._accept, sock)
        except NotImplementedError:  # as Windows has it
            self._accepting.append(self._loop.create_task(self._accept_each(sock)))

    def _accept(self, listening: socket.socket) -> None:
        listener = self._sockets[listening]
        for _ in range(_AT_ONCE):
            try:
                sock, peer = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    out_of_resources(error)
                    self._pause(listening)
                return  # else this client has gone again
            self._take(sock, listener, peer)

    async def _accept_each(self, listening: socket.socket) -> None:
        listener = self._sockets[listening]
        while True:
            try:
                sock, peer = await self._loop.sock_accept(listening)
            except OSError as error:
                if error.errno in EXHAUSTED:
                    out_of_resources(error)
                    await asyncio.sleep(PAUSE)
            else:
                self._take(sock, listener, peer)

    def _take(self, sock: socket.socket, listener: "Listener", peer: "Any") -> None:
        def make() -> Transport:
            return self._connected(listener, peer)

        def made(task: "asyncio.Task[Any]") -> None:
            self._coming.discard(task)
            if task.cancelled() or task.exception() is not None:
                sock.close()

        task = self._loop.create_task(self._loop.connect_accepted_socket(make, sock))
        self._coming.add(task)
        task.add_done_callback(made)

    def _pause(self, sock: socket.socket) -> None:
        def go_on() -> None:
            self._pausing.discard(timer)
            self._listen(sock)

        self._loop.remove_reader(sock)
        timer = self._loop.call_later(PAUSE, go_on)
        self._pausing.add(timer)


async def dial(
    driver: "ClientDriver",
    host: str,
    port: int,
    *,
    path: str = "",
    sock: socket.socket | None = None,
    local_address: "tuple[str, int] | None" = None,
    timeout: float,
) -> Transport:
    """Connect to a server; addresses of the host are tried side by side (RFC 8305).

    Raises:
        TimeoutError: not within `timeout` seconds.
        OSError: no address could be reached.
    """
    loop = asyncio.get_running_loop()
    transport = Transport(driver)
    silent: list[Address] = []
    try:
        async with asyncio.timeout(timeout):
            if path and sock is None:
                await loop.create_unix_connection(lambda: transport, path)
                return transport
            if sock is None:
                sock = await _connected(host, port, local_address, silent)
            sock.setblocking(False)
            await loop.create_connection(lambda: transport, sock=sock)
    except TimeoutError as error:
        raise too_late(silent) from error
    return transport


async def _connected(
    host: str, port: int, local_address: "tuple[str, int] | None", silent: "list[Address]"
) -> socket.socket:
    # `silent` tells the addresses that have not answered yet.
    addresses = given_as_number(host, port)
    if addresses is None:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = order(found, local_address)
    if len(addresses) == 1:
        silent += addresses
        return await _connected_alone(addresses[0], local_address)
    return await _raced(addresses, local_address, silent)


async def _connected_alone(address: Address, local_address: "tuple[str, int] | None") -> socket.socket:
    sock = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if local_address is not None:
            sock.bind(local_address)
        await asyncio.get_running_loop().sock_connect(sock, address[1])
    except BaseException:
        sock.close()
        raise
    return sock


async def _raced(
    addresses: "list[Address]", local_address: "tuple[str, int] | None", silent: "list[Address]"
) -> socket.socket:
    # Each attempt begins a moment after the one before it, or when one has failed.
    failures: list[tuple[Address, OSError]] = []
    attempts: dict[asyncio.Task[socket.socket], Address] = {}
    waiting = addresses[::-1]
    try:
        while waiting or attempts:
            if waiting:
                address = waiting.pop()
                silent.append(address)
                attempts[asyncio.create_task(_connected_alone(address, local_address))] = address
            delay = ATTEMPT_DELAY if waiting else None
            done, _ = await asyncio.wait(attempts, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                address = attempts.pop(task)
                error = task.exception()
                if error is None:
                    attempts.update((each, address) for each in done if each is not task)
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                silent.remove(address)
                failures.append((address, error))
    finally:
        for task in attempts:
            task.add_done_callback(_close_late)
            task.cancel()
    raise unreachable(failures)


def _close_late(task: "asyncio.Task[socket.socket]") -> None:
    # Somebody else was first.
    if not task.cancelled() and task.exception() is None:
        task.result().close()
