"""A hostile client's end of a connection: raw octets out, and everything that comes in is held against the grammar."""

import asyncio
import re
import socket
import struct
from typing import Self

__all__ = ["Gone", "Grammar", "Peer"]

_LINE = re.compile(rb"([2-5][0-5][0-9])([ -])[\t\x20-\x7e]*")  # RFC 5321 section 4.2; a text may be empty
_LONGEST = 512  # octets with CRLF (RFC 5321 section 4.5.3.1.5)


class Gone(Exception):
    """The server has closed the connection, or reset it."""


class Grammar:
    """Holds what a server says against the grammar of replies.

    Attributes:
        faults: what did not fit; at most a few.
        replies: whole replies so far, and `last` the code of the latest.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.replies = 0
        self.last = 0
        self._rest = b""
        self._code = b""  # of a reply that is not at its end

    def feed(self, octets: bytes) -> None:
        """Look at what has come."""
        if b"secret" in octets or b"Traceback" in octets:
            self._complain(b"of the application's own: " + octets[:200])
        *lines, self._rest = (self._rest + octets).split(b"\r\n")
        for line in lines:
            found = _LINE.fullmatch(line)
            if found is None or len(line) + 2 > _LONGEST or self._code not in (b"", found[1]):
                self._complain(line)
                continue
            self._code = found[1] if found[2] == b"-" else b""
            if not self._code:
                self.replies += 1
                self.last = int(found[1])
        if len(self._rest) > _LONGEST:
            self._complain(self._rest[:80])

    def end(self) -> None:
        """The server has ended in order: no reply may be cut off."""
        if self._rest or self._code:
            self._complain(b"cut off: " + self._rest)

    def _complain(self, line: bytes) -> None:
        if len(self.faults) < 3:
            self.faults.append(repr(line))


class Peer:
    """One connection.

    Args:
        port: of the server.
        source: the address of this end.

    Attributes:
        grammar: of what came; told nothing once the peer has begun TLS.
    """

    def __init__(self, port: int, source: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = ("127.0.0.1", port)
        self._source = source
        self.sock = socket.socket()
        self.grammar: Grammar | None = Grammar()

    async def __aenter__(self) -> Self:
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: the port may serve other pairs
        self.sock.bind((self._source, 0))
        try:
            await self._loop.sock_connect(self.sock, self._address)
        except OSError as error:
            self.sock.close()
            raise Gone from error
        return self

    async def __aexit__(self, *_: object) -> None:
        self.sock.close()

    async def write(self, octets: bytes) -> None:
        """Send octets.

        Raises:
            Gone: nobody takes them.
        """
        try:
            await self._loop.sock_sendall(self.sock, octets)
        except OSError as error:
            raise Gone from error

    async def read(self) -> bytes:
        """What has come.

        Raises:
            Gone: nothing more will.
        """
        try:
            octets = await self._loop.sock_recv(self.sock, 65536)
        except OSError as error:
            raise Gone from error
        if self.grammar is not None:
            self.grammar.feed(octets)
            if not octets:
                self.grammar.end()
        if not octets:
            raise Gone
        return octets

    async def replies(self, count: int) -> int:
        """Wait for so many replies; the code of the last one."""
        assert self.grammar is not None
        until = self.grammar.replies + count
        while self.grammar.replies < until:
            await self.read()
        return self.grammar.last

    async def say(self, octets: bytes) -> int:
        """Send one command and wait for its reply; its code."""
        await self.write(octets)
        return await self.replies(1)

    async def until_gone(self) -> None:
        """Read until the server closes."""
        while True:
            await self.read()

    def shut(self) -> None:
        """Send no more, but go on reading."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Gone from error

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
