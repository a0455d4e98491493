"""Where blocking connections come from: the sockets that a server listens on, and the one that a client dials."""

import errno
import selectors
import socket
import threading
from time import monotonic

from smtpkit.sync.transport import Transport

__all__ = ["Acceptor", "dial"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from smtpkit.endpoints import Listener
    from smtpkit.protocol.client_driver import ClientDriver

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SHORTEST = 0.001  # seconds; 0 would mean not to wait
_PAUSE = 1.0  # seconds


class Acceptor:
    """The sockets that a server listens on, and the thread that accepts.

    Args:
        connected: makes the Transport of a new connection; told whether TLS begins with the first octet.

    Attributes:
        addresses: what it listens on, or did: (host, port), or the path of a unix socket.
    """

    def __init__(self, connected: "Callable[[bool], Transport]") -> None:
        self.addresses: list[Any] = []
        self._connected = connected
        self._selector = selectors.DefaultSelector()
        self._opened: list[Listener] = []
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._wake: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def open(self, listeners: "Iterable[Listener]") -> None:
        """Listen.

        Raises:
            OSError: an address cannot be bound; `close()` closes those that were.
        """
        for listener in listeners:
            for sock in listener.open():
                sock.setblocking(False)
                self._selector.register(sock, selectors.EVENT_READ, listener.implicit_tls)
                address = sock.getsockname()
                self.addresses.append(address[:2] if isinstance(address, tuple) else address)
            self._opened.append(listener)
        self._wake, woken = socket.socketpair()
        self._selector.register(woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="smtpkit-accept", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more; any number of times, from any thread."""
        with self._lock:
            self._closed.set()
            if self._wake is not None:
                self._wake.close()  # which the thread sees
                self._wake = None
            thread, self._thread = self._thread, None
            if thread is not None:
                thread.join()
            elif self._selector.get_map() is not None:
                self._close_sockets()
            while self._opened:
                self._opened.pop().remove()

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                for key, _ in self._selector.select():
                    if key.data is not None:
                        self._accept(key.fileobj, key.data)  # type: ignore[arg-type]
        finally:
            self._close_sockets()

    def _accept(self, listening: socket.socket, implicit_tls: bool) -> None:
        try:
            sock, peer = listening.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._closed.wait(_PAUSE)  # until others have gone
            return  # else this client has gone again
        transport = self._connected(implicit_tls)
        try:
            transport.connection_made(sock, peer)
        except RuntimeError:  # no more threads
            transport.give_up()

    def _close_sockets(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()


def dial(
    driver: "ClientDriver",
    host: str,
    port: int,
    *,
    path: str = "",
    sock: socket.socket | None = None,
    local_address: "tuple[str, int] | None" = None,
    timeout: float,
) -> Transport:
    """Connect to a server; addresses of the host are tried in turn.

    Raises:
        TimeoutError: not within `timeout` seconds.
        OSError: no address could be reached.
    """
    if sock is None:
        sock = _connected_unix(path, timeout) if path else _connected(host, port, local_address, timeout)
    transport = Transport(driver)
    transport.connection_made(sock)
    return transport


def _connected_unix(path: str, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def _connected(host: str, port: int, local_address: "tuple[str, int] | None", timeout: float) -> socket.socket:
    deadline = monotonic() + timeout
    failure = OSError(errno.EHOSTUNREACH, "the name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:
            failure = error
            continue
        try:
            sock.settimeout(max(deadline - monotonic(), _SHORTEST))
            if local_address is not None:
                sock.bind(local_address)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure
