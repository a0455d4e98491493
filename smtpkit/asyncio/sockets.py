"""Where connections come from under asyncio: the sockets that a server listens on, and the one that a client dials."""

import asyncio

from smtpkit.asyncio.transport import Transport

__all__ = ["Acceptor", "dial"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
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
            # Addresses are tried side by side (RFC 8305) where the loop can; uvloop takes them in turn.
            options: Any = {"happy_eyeballs_delay": 0.25} if isinstance(loop, asyncio.BaseEventLoop) else {}
            await loop.create_connection(lambda: transport, host, port, local_addr=local_address, **options)
    return transport
