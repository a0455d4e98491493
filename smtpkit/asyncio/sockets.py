"""Where connections come from under asyncio: the sockets that a server listens on, and the one that a client dials."""

import asyncio
import socket

from smtpkit.asyncio.transport import Transport
from smtpkit.reaching import ATTEMPT_DELAY, Address, given_as_number, order, too_late, unreachable

__all__ = ["Acceptor", "dial"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from smtpkit.endpoints import Listener
    from smtpkit.protocol.client_driver import ClientDriver


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

    async def _listen(self, sock: socket.socket, implicit_tls: bool) -> None:
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
