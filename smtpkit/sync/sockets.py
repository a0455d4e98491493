"""Where blocking connections come from: the sockets that a server listens on, and the one that a client dials."""

import errno
import os
import selectors
import socket
import threading
from time import monotonic

from smtpkit.endpoints import EXHAUSTED, PAUSE, out_of_resources
from smtpkit.reaching import ATTEMPT_DELAY, Address, given_as_number, order, too_late, unreachable
from smtpkit.sync.transport import Transport

__all__ = ["Acceptor", "dial"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from smtpkit.endpoints import Listener
    from smtpkit.protocol.client_driver import ClientDriver

_SHORTEST = 0.001  # seconds; 0 would mean not to wait
_UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})


class Acceptor:
    """The sockets that a server listens on, and the thread that accepts.

    Args:
        connected: makes the Transport of a new connection; told where it came in, and the peer's address.

    Attributes:
        addresses: what it listens on, or did: (host, port), or the path of a unix socket.
    """

    def __init__(self, connected: "Callable[[Listener, Any], Transport]") -> None:
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
                self._selector.register(sock, selectors.EVENT_READ, listener)
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

    def _accept(self, listening: socket.socket, listener: "Listener") -> None:
        try:
            sock, peer = listening.accept()
        except OSError as error:
            if error.errno in EXHAUSTED:
                out_of_resources(error)
                self._closed.wait(PAUSE)
            return  # else this client has gone again
        transport = self._connected(listener, peer)
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
    """Connect to a server; addresses of the host are tried side by side (RFC 8305).

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
    addresses = given_as_number(host, port) or order(_found(host, port, timeout), local_address)
    if len(addresses) == 1:
        return _connected_alone(addresses[0], local_address, deadline)
    with _Race(local_address) as race:
        return race.run(addresses, deadline)


def _found(host: str, port: int, timeout: float) -> "list[Any]":
    # A look-up has no time-out of its own, and a thread that hangs in one cannot be ended, only left behind.
    outcome: list[Any] = []

    def look_up() -> None:
        try:
            outcome.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            outcome.append(error)

    thread = threading.Thread(target=look_up, name="smtpkit-look-up", daemon=True)
    thread.start()
    thread.join(timeout)
    if not outcome:
        raise too_late(())
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    found: list[Any] = outcome[0]
    return found


def _connected_alone(address: Address, local_address: "tuple[str, int] | None", deadline: float) -> socket.socket:
    sock = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        sock.settimeout(max(deadline - monotonic(), _SHORTEST))
        if local_address is not None:
            sock.bind(local_address)
        sock.connect(address[1])
    except TimeoutError as error:
        sock.close()
        raise too_late([address]) from error
    except OSError:
        sock.close()
        raise
    return sock


class _Race:
    """Attempts side by side, each begun a moment after the one before it, or when that has failed (RFC 8305)."""

    def __init__(self, local_address: "tuple[str, int] | None") -> None:
        self._local_address = local_address
        self._selector = selectors.DefaultSelector()
        self._failures: list[tuple[Address, OSError]] = []

    def __enter__(self) -> "_Race":
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def run(self, addresses: "list[Address]", deadline: float) -> socket.socket:
        """The first connection that stands."""
        waiting = addresses[::-1]
        next_attempt = 0.0  # by the clock
        while waiting or self._selector.get_map():
            now = monotonic()
            if now >= deadline:
                raise too_late(key.data for key in self._selector.get_map().values())
            if waiting and now >= next_attempt:
                self._begin(waiting.pop())
                next_attempt = now + ATTEMPT_DELAY
            wait = min(deadline, next_attempt if waiting else deadline) - now
            for key, _ in self._selector.select(wait) if self._selector.get_map() else ():
                self._selector.unregister(key.fileobj)
                if self._stands(key.fileobj, key.data):  # type: ignore[arg-type]
                    return key.fileobj  # type: ignore[return-value]
                next_attempt = 0.0
            if not self._selector.get_map():
                next_attempt = 0.0
        raise unreachable(self._failures)

    def _begin(self, address: Address) -> None:
        sock = None
        try:
            sock = socket.socket(address[0], socket.SOCK_STREAM)
            sock.setblocking(False)
            if self._local_address is not None:
                sock.bind(self._local_address)
            number = sock.connect_ex(address[1])
            if number not in _UNDER_WAY:
                raise OSError(number, os.strerror(number))
            self._selector.register(sock, selectors.EVENT_WRITE, address)
        except OSError as error:
            if sock is not None:
                sock.close()
            self._failures.append((address, error))

    def _stands(self, sock: socket.socket, address: Address) -> bool:
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            sock.close()
            self._failures.append((address, OSError(number, os.strerror(number))))
        return number == 0
