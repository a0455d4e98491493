"""Octets between blocking sockets and a driver: the only sync file that knows of sockets, threads and time."""

import errno
import selectors
import socket
import struct
import threading
from contextlib import suppress
from time import monotonic

from smtpkit.protocol.needs import READ, WRITE

__all__ = ["Acceptor", "Transport", "dial", "wait"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from smtpkit.endpoints import Listener
    from smtpkit.protocol.client_driver import ClientDriver
    from smtpkit.protocol.server_driver import ServerDriver

_BUFFER = 64 * 1024  # larger reads cost an mmap each
_FOREVER = 86400.0
_SHORTEST = 0.001  # seconds; 0 would mean for ever
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Transport:
    """One connection; `until(step)` runs a driver as far as its next need that is not READ or WRITE.

    A server's connection begins by itself: `opened` is called, and then the driver runs in a thread of its own.

    Args:
        driver: whom the octets are for.
        opened: called when a server's connection is made.
        serve: called with the first need that is not READ or WRITE.
        ended: called when `serve` has returned and the connection is closed.
        unread: for the asyncio twin; here nothing is read before it is wanted.
    """

    def __init__(
        self,
        driver: "ClientDriver | ServerDriver",
        *,
        opened: "Callable[[], None] | None" = None,
        serve: "Callable[[Any], None] | None" = None,
        ended: "Callable[[], None] | None" = None,
        unread: int = 0,
    ) -> None:
        self.driver = driver
        self.closed = False
        self.local: Any = None
        self.peer: Any = None
        self._opened = opened
        self._serve = serve
        self._ended = ended
        self._sock: socket.socket
        self._deadline: float | None = None  # of time.monotonic()
        self._since = 0.0
        self._seen = -1
        self._timeouts = {socket.SO_RCVTIMEO: 0.0, socket.SO_SNDTIMEO: 0.0}  # seconds, as the socket has them
        self._lock = threading.Lock()
        self._waiting = False  # in recv, between transactions
        self._ending = False

    # What client.py and server.py call

    def until(self, step: "Callable[[Any], Any]", answer: "Any" = None) -> "Any":
        """The next need that is not READ or WRITE.

        Args:
            step: what gives needs, such as `driver.next`.
            answer: to the last need.
        """
        driver = self.driver
        while True:
            need = step(answer)
            answer = None
            if need is READ:
                octets = driver.take()
                if not octets or self._write(octets):
                    self._read()
            elif need is WRITE:
                octets = driver.take()
                if (not octets or self._write(octets)) and not driver.unread:
                    self._read_ready()
            else:
                return need

    def set_deadline(self, seconds: float | None) -> None:
        """Let all waits from now on last so many seconds together; None for no bound."""
        self._deadline = None if seconds is None else monotonic() + seconds

    def shut_down(self) -> None:
        """From another thread: say goodbye as soon as no transaction is under way."""
        with self._lock:
            self._ending = True
            if self._waiting:
                with suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RD)  # wakes the thread that reads

    def close(self) -> None:
        """Write what is left, and close."""
        if not self.closed:
            octets = self.driver.take()
            if octets:
                self._write(octets)
            self.closed = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        self._sock.close()

    def abort(self) -> None:
        """Close at once; a server's from any thread, and its own thread follows."""
        self.closed = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._serve is None:
            # Not under another thread's feet: the number of a closed socket is given to the next one opened.
            self._sock.close()

    # What dial() and the acceptor call

    def connection_made(self, sock: socket.socket, peer: "Any" = None) -> None:
        """Take a connected socket; a server's driver begins."""
        self._sock = sock
        self.peer = peer
        sock.setblocking(True)
        with suppress(OSError):  # the peer may have gone again; reading tells
            self.local = sock.getsockname()
            if sock.family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._opened is not None:
            self._opened()
            threading.Thread(target=self._run, name="smtpkit-connection", daemon=True).start()

    def give_up(self) -> None:
        """Close a server's connection that has no thread."""
        self._sock.close()
        if self._ended is not None:
            self._ended()

    def _run(self) -> None:
        assert self._serve is not None
        assert self._ended is not None
        try:
            self._serve(self.until(self.driver.next))
        finally:
            self.close()
            self._ended()

    # Moving octets

    def _write(self, octets: bytes) -> bool:
        # False: the peer is gone, or does not read; what it said before that is taken in.
        self._seen = -1  # a wait begins
        rest = memoryview(octets)
        try:
            while rest:
                self._set_timeout(socket.SO_SNDTIMEO, self._left())
                rest = rest[self._sock.send(rest) :]
        except BlockingIOError:
            self._read_ready()
            self.driver.timed_out()
        except OSError as error:
            self._read_ready()
            self.driver.lost(error, flushed=False)
        else:
            return True
        return False

    def _read(self) -> None:
        self._set_timeout(socket.SO_RCVTIMEO, self._left())
        if self._stands_idle():
            return
        try:
            octets = self._sock.recv(_BUFFER)
        except BlockingIOError:
            self.driver.timed_out()
            return
        except OSError as error:
            self.driver.lost(error)
            return
        finally:
            woken = self._awake()
        if octets or not woken:
            self.driver.receive(octets)
        if woken:
            self.driver.shut_down()

    def _read_ready(self) -> None:
        with suppress(OSError):
            octets = self._sock.recv(_BUFFER, socket.MSG_DONTWAIT)
            if octets:
                self.driver.receive(octets)

    def _stands_idle(self) -> bool:
        # Whether the server ends, so that nothing is to be awaited; if not, it may wake this thread.
        if not self.driver.may_be_woken:
            return False
        with self._lock:
            if self._ending:
                self.driver.shut_down()
                return True
            self._waiting = True
        return False

    def _awake(self) -> bool:
        # Whether shut_down() has ended the wait.
        if not self._waiting:
            return False
        with self._lock:
            self._waiting = False
            return self._ending

    # Time: a wait begins when something was written, or a piece of a body came; not at each read, or one octet
    # now and then would keep a connection.

    def _left(self) -> float:
        waits = self.driver.waits
        seconds = self.driver.timeout
        now = monotonic()
        if waits != self._seen:
            self._seen = waits
            self._since = now
        else:
            seconds += self._since - now
        if self._deadline is not None:
            seconds = min(seconds, self._deadline - now)
        return max(seconds, _SHORTEST)

    def _set_timeout(self, option: int, seconds: float) -> None:
        # In the kernel: a time-out of Python's own costs a poll() for each read.
        if seconds != self._timeouts[option]:
            self._timeouts[option] = seconds
            whole = int(min(seconds, _FOREVER))
            microseconds = int((seconds - whole) * 1e6) if seconds < _FOREVER else 0
            self._sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", whole, microseconds))


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
                self._closed.wait(1.0)  # until others have gone
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


def wait(event: threading.Event, seconds: float) -> None:
    """Wait for an event, but not for ever."""
    event.wait(seconds)


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
