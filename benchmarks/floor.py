"""The floor: the least that an asyncio server can do for a message.  It is also the peer of the clients.

It looks at four octets of each line, sends canned replies, finds the end of the data, joins and unstuffs the body,
and drops it.  It checks nothing and calls nobody.
"""

import asyncio

__all__ = ["Floor", "serve_floor"]

_BUFFER = memoryview(bytearray(64 * 1024))
_END = b"\r\n.\r\n"
_OK = b"250 2.0.0 OK\r\n"
_BDAT_OK = b"250 2.0.0 OK\r\n"
_REPLIES = {
    b"HELO": b"250 server.example\r\n",
    b"MAIL": b"250 2.1.0 OK\r\n",
    b"RCPT": b"250 2.1.5 OK\r\n",
    b"DATA": b"354 Start mail input; end with <CRLF>.<CRLF>\r\n",
    b"RSET": _OK,
    b"QUIT": b"221 2.0.0 Bye\r\n",
}


class Floor(asyncio.BufferedProtocol):
    """One connection.

    Args:
        keywords: of the EHLO reply.
    """

    def __init__(self, keywords: tuple[str, ...]) -> None:
        lines = [f"250-{word}\r\n" for word in ("server.example", *keywords)]
        lines[-1] = lines[-1].replace("-", " ", 1)
        replies = {**_REPLIES, b"EHLO": "".join(lines).encode()}
        self._replies = {**replies, **{verb.lower(): reply for verb, reply in replies.items()}}
        self._transport: asyncio.Transport
        self._rest = b""  # a line without its end
        self._pieces: list[bytes] | None = None  # of a body after DATA
        self._tail = b""
        self._left = 0  # octets of a chunk
        self._last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._transport.write(b"220 server.example ESMTP\r\n")

    def get_buffer(self, sizehint: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        octets = bytes(_BUFFER[:nbytes])
        replies: list[bytes] = []
        while octets:
            if self._pieces is not None:
                octets = self._body(octets, replies)
            elif self._left:
                octets = self._chunk(octets, replies)
            else:
                octets = self._commands(octets, replies)
        if replies:
            self._transport.write(replies[0] if len(replies) == 1 else b"".join(replies))
            if replies[-1][:3] == b"221":
                self._transport.close()

    def _commands(self, octets: bytes, replies: list[bytes]) -> bytes:
        if self._rest:
            octets = self._rest + octets
        start = 0
        while (end := octets.find(b"\r\n", start)) >= 0:
            verb = octets[start : start + 4]
            line, start = start, end + 2
            if verb == b"BDAT":
                words = octets[line:end].split()
                self._left = int(words[1])
                self._last = len(words) > 2
                self._pieces_of_chunk: list[bytes] = []
                self._rest = b""
                if not self._left:
                    replies.append(_BDAT_OK)
                    continue
                return octets[start:]
            replies.append(self._replies.get(verb, b"500 5.5.2 What?\r\n"))
            if verb in (b"DATA", b"data"):
                self._pieces = []
                self._tail = b""
                self._rest = b""
                return octets[start:]
        self._rest = octets[start:]
        return b""

    def _body(self, octets: bytes, replies: list[bytes]) -> bytes:
        assert self._pieces is not None
        seen = self._tail + octets
        end = seen.find(_END)
        if end < 0:
            self._pieces.append(octets)
            self._tail = seen[-4:]
            return b""
        behind = end + 5 - len(self._tail)
        self._pieces.append(octets[:behind])
        b"".join(self._pieces)[:-3].replace(b"\r\n..", b"\r\n.")
        self._pieces = None
        replies.append(_OK)
        return octets[behind:]

    def _chunk(self, octets: bytes, replies: list[bytes]) -> bytes:
        taken = octets[: self._left]
        self._pieces_of_chunk.append(taken)
        self._left -= len(taken)
        if not self._left:
            b"".join(self._pieces_of_chunk)
            replies.append(_BDAT_OK)
        return octets[len(taken) :]


async def serve_floor(keywords: tuple[str, ...] = ("PIPELINING", "SIZE", "8BITMIME")) -> tuple[asyncio.Server, int]:
    """Listen on a free port of the loopback interface; the server and the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Floor(keywords), "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]
