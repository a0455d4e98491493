"""The server's end of one connection in a test: a socket, in clear or under TLS, that any thread may cut."""

import socket
from contextlib import suppress

from smtpkit.tls import TLS, TLSFacts

__all__ = ["Line"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

_BUFFER = 64 * 1024
_LINGER = 5.0  # seconds


class Line:
    """Plain octets of one client; every method but `cut()` is for the thread that serves it, and raises OSError.

    Args:
        sock: connected.
        peer: the client's address.
    """

    def __init__(self, sock: socket.socket, peer: "Any") -> None:
        with suppress(OSError):  # who has come may be gone again
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._tls: TLS | None = None
        self._early = b""  # what came together with the end of the handshake
        self.peer = peer
        self.local: Any = sock.getsockname()

    def start_tls(self, context: "ssl.SSLContext") -> TLSFacts:
        """From here on all is under TLS; TLSError, an OSError, if the client does not come to that."""
        self._tls = tls = TLS(context, server_side=True)
        while tls.facts is None:
            try:
                self._early = tls.feed(self._sock.recv(_BUFFER))
            finally:
                self._sock.sendall(tls.data_to_send())  # an alert, if it failed
        return tls.facts

    def read(self) -> bytes:
        """What comes next; b"" at the end."""
        if self._early:
            octets, self._early = self._early, b""
            return octets
        while True:
            octets = self._sock.recv(_BUFFER)
            tls = self._tls
            if tls is None:
                return octets
            plain = tls.feed(octets)
            self._sock.sendall(tls.data_to_send())
            if plain or not octets or tls.eof:
                return plain

    def write(self, octets: bytes) -> None:
        """Send them, all."""
        if octets and self._tls is not None:
            self._tls.write(octets)
            octets = self._tls.data_to_send()
        self._sock.sendall(octets)

    def say_goodbye(self) -> None:
        """End the own direction and await the client's end: what it has still sent would have TCP take all back."""
        if self._tls is not None:
            self._tls.close()
            self._sock.sendall(self._tls.data_to_send())
        self._sock.shutdown(socket.SHUT_WR)
        self._sock.settimeout(_LINGER)
        while self._sock.recv(_BUFFER):
            pass

    def cut(self) -> None:
        """End both directions; the thread that reads finds the end.  From any thread."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()
