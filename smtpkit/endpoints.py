"""Listening sockets for both adapters, bound and listening before anything is served."""

import os
import socket
import stat
from contextlib import suppress

from smtpkit.wire.value import Value

__all__ = ["Listener"]

_HIGHEST_PORT = 65535

_BACKLOG = 1024
_HAS_IPV6 = socket.has_ipv6


class Listener(Value):
    """One endpoint of a server.

    Args:
        host: address or name; "" for every address of both families.
        port: TCP port; 0 for a free one.
        unix: path of a unix socket, in place of host and port.
        sock: a socket that is bound already (and listening, or not yet), in place of the others.
        implicit_tls: whether TLS begins with the first octet.
        reuse_port: whether several processes may listen on the port (SO_REUSEPORT).

    Raises:
        ValueError: the port is no port.
    """

    __slots__ = ("host", "implicit_tls", "port", "reuse_port", "sock", "unix")

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8025,
        *,
        unix: str | None = None,
        sock: socket.socket | None = None,
        implicit_tls: bool = False,
        reuse_port: bool = False,
    ) -> None:
        if not 0 <= port <= _HIGHEST_PORT:
            raise ValueError(f"a port is a number from 0 to {_HIGHEST_PORT}, not {port}")
        self.host = host
        self.port = port
        self.unix = unix
        self.sock = sock
        self.implicit_tls = implicit_tls
        self.reuse_port = reuse_port

    def open(self) -> list[socket.socket]:
        """Sockets that listen.

        Raises:
            OSError: it cannot be bound.
        """
        if self.sock is not None:
            self.sock.listen(_BACKLOG)
            return [self.sock]
        if self.unix is not None:
            return [_listen_unix(self.unix)]
        opened: list[socket.socket] = []
        try:
            for family, address in _addresses(self.host, self.port):
                # Port 0: the second family takes the port that the first one got.
                port = self.port or (opened[0].getsockname()[1] if opened else 0)
                opened.append(_listen(family, (address, port), self.reuse_port))
        except OSError:
            for sock in opened:
                sock.close()
            raise
        return opened

    def remove(self) -> None:
        """Remove the file of a unix socket."""
        if self.unix is not None:
            with suppress(OSError):
                os.unlink(self.unix)


def _listen(family: int, address: tuple[str, int], reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {address[0]} port {address[1]}: {error.strerror}") from error
    return sock


def _listen_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(path)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on unix:{path}: {error.strerror or error}") from error
    return sock


def _remove_stale(path: str) -> None:
    # A socket that nobody listens on is left over from a process that was killed; any other file is not ours.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(FileNotFoundError, BlockingIOError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def _addresses(host: str, port: int) -> list[tuple[int, str]]:
    if host == "":
        return [(socket.AF_INET, "0.0.0.0"), *([(socket.AF_INET6, "::")] if _HAS_IPV6 else [])]  # noqa: S104 (asked for)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        number, reason = (error.errno, error.strerror) if isinstance(error, OSError) else (None, "it is no host name")
        raise OSError(number, f"cannot listen on {host}: {reason}") from error
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))
