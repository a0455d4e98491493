"""Listening sockets for both adapters, bound and listening before anything is served."""

import errno
import os
import socket
import stat
from contextlib import suppress

from smtpkit.wire.value import Value

__all__ = ["EXHAUSTED", "PAUSE", "Listener", "out_of_resources"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Self

_HIGHEST_PORT = 65535
_FIRST_INHERITED = 3  # SD_LISTEN_FDS_START

# What accept() fails with where there is no room for another socket, and the seconds after which it is tried again.
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PAUSE = 1.0

# What IPv6 addresses fail with where the kernel has it switched off, though names have them and Python knows them.
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})

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
        mode: permissions of the unix socket, such as 0o660; None for what the umask leaves.
        proxy_protocol: whether each connection begins with a PROXY header, as with `serve(proxy_protocol=True)`.

    Raises:
        ValueError: the port is no port.
    """

    __slots__ = ("host", "implicit_tls", "mode", "port", "proxy_protocol", "reuse_port", "sock", "unix")

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8025,
        *,
        unix: str | None = None,
        sock: socket.socket | None = None,
        implicit_tls: bool = False,
        reuse_port: bool = False,
        mode: int | None = None,
        proxy_protocol: bool = False,
    ) -> None:
        if not 0 <= port <= _HIGHEST_PORT:
            raise ValueError(f"a port is a number from 0 to {_HIGHEST_PORT}, not {port}")
        self.host = host
        self.port = port
        self.unix = unix
        self.sock = sock
        self.implicit_tls = implicit_tls
        self.reuse_port = reuse_port
        self.mode = mode
        self.proxy_protocol = proxy_protocol

    @classmethod
    def inherited(
        cls,
        *,
        implicit_tls: "Collection[str]" = ("smtps", "submissions"),
        proxy_protocol: "Collection[str]" = (),
        environ: "Mapping[str, str] | None" = None,
    ) -> "list[Self]":
        """The sockets that the process was started with, as systemd does it (sd_listen_fds(3)).

        Args:
            implicit_tls: names (FileDescriptorName=) of those where TLS begins with the first octet.
            proxy_protocol: names of those where a PROXY header comes first.
            environ: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES; None for those of the process.

        Raises:
            OSError: there are none for this process, or one is no socket that takes connections.
        """
        environ = os.environ if environ is None else environ
        number = environ.get("LISTEN_FDS", "")
        if environ.get("LISTEN_PID") != str(os.getpid()) or not number.isdecimal() or not int(number):
            raise OSError(errno.ENOTSOCK, "this process was not started with sockets (LISTEN_FDS)")
        names = environ.get("LISTEN_FDNAMES", "").split(":")
        made = []
        for place in range(int(number)):
            name = names[place] if place < len(names) else ""
            sock = _inherited(_FIRST_INHERITED + place)
            made.append(cls(sock=sock, implicit_tls=name in implicit_tls, proxy_protocol=name in proxy_protocol))
        return made

    def open(self) -> list[socket.socket]:
        """Sockets that listen.

        Raises:
            OSError: it cannot be bound.
        """
        if self.sock is not None:
            self.sock.listen(_BACKLOG)
            return [self.sock]
        if self.unix is not None:
            return [_listen_unix(self.unix, self.mode)]
        opened: list[socket.socket] = []
        missing = None
        for family, address in _addresses(self.host, self.port):
            # Port 0: the second family takes the port that the first one got.
            port = self.port or (opened[0].getsockname()[1] if opened else 0)
            try:
                opened.append(_listen(family, (address, port), self.reuse_port))
            except OSError as error:
                if family != socket.AF_INET6 or error.errno not in _NO_IPV6:
                    for sock in opened:
                        sock.close()
                    raise
                missing = error
        if missing is not None:
            if not opened:
                raise missing
            from logging import getLogger

            getLogger("smtpkit.server").warning("%s", missing.strerror)
        return opened

    def remove(self) -> None:
        """Remove the file of a unix socket."""
        if self.unix is not None:
            with suppress(OSError):
                os.unlink(self.unix)


def out_of_resources(error: OSError) -> None:
    """Say in the log that connections have to wait."""
    from logging import getLogger

    getLogger("smtpkit.server").warning("connections have to wait: %s", error.strerror)


def _listen(family: int, address: tuple[str, int], reuse_port: bool) -> socket.socket:
    sock = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise OSError(error.errno, f"cannot listen on {address[0]} port {address[1]}: {error.strerror}") from error
    return sock


def _inherited(number: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=number)
    except OSError as error:
        raise OSError(error.errno, f"file descriptor {number} is no socket: {error.strerror}") from error
    if sock.type != socket.SOCK_STREAM:
        sock.detach()
        raise OSError(errno.EINVAL, f"file descriptor {number} is no socket that takes connections")
    sock.set_inheritable(False)
    return sock


def _listen_unix(path: str, mode: int | None) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(path)
        if mode is not None:
            os.chmod(path, mode)  # nobody can connect yet
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
