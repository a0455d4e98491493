"""Octets between a blocking socket and a driver: the only sync file that knows of sockets and time."""

import socket
import struct
import threading
from contextlib import suppress
from time import monotonic

from smtpkit.protocol.needs import READ, WRITE

__all__ = ["Transport", "dial"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from smtpkit.protocol.client_driver import ClientDriver
    from smtpkit.protocol.server_driver import ServerDriver

_BUFFER = 64 * 1024  # larger reads cost an mmap each
_FOREVER = 86400.0


class Transport:
    """One connection; `until(step)` runs a driver as far as its next need that is not READ or WRITE.

    Args:
        sock: connected.
        driver: whom the octets are for.
    """

    def __init__(self, sock: socket.socket, driver: "ClientDriver | ServerDriver") -> None:
        self.driver = driver
        self.deadline: float | None = None  # of time.monotonic()
        self.closed = False
        self._sock = sock
        self._since = 0.0
        self._seen = -1
        self._timeouts = {socket.SO_RCVTIMEO: 0.0, socket.SO_SNDTIMEO: 0.0}  # seconds, as the socket has them
        self._lock = threading.Lock()
        self._waiting = False  # in recv, between transactions
        self._ending = False
        sock.setblocking(True)
        if sock.family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def local(self) -> "Any":
        """The socket's own address."""
        return self._sock.getsockname()

    @property
    def peer(self) -> "Any":
        """The peer's address."""
        return self._sock.getpeername()

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
        """Close at once; from any thread."""
        self.closed = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    # Moving octets

    def _write(self, octets: bytes) -> bool:
        # False: the peer is gone, or does not read; what it said before that is taken in.
        if self.deadline is not None or not self._timeouts[socket.SO_SNDTIMEO]:
            self._set_timeout(socket.SO_SNDTIMEO, self._left())
        try:
            self._sock.sendall(octets)
        except BlockingIOError:
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
            self._waiting = False
        if octets or not self._ending:
            self.driver.receive(octets)
        else:
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

    # Time

    def _left(self) -> float:
        waits = self.driver.waits
        seconds = self.driver.timeout
        if waits != self._seen:
            self._seen = waits
            self._since = 0.0
        elif self._since == 0.0:
            self._since = monotonic()  # a second read in the same wait
        else:
            seconds = self._since + seconds - monotonic()
        if self.deadline is not None:
            seconds = min(seconds, self.deadline - monotonic())
        return max(seconds, 0.001)

    def _set_timeout(self, option: int, seconds: float) -> None:
        # In the kernel: a time-out of Python's own costs a poll() for each read.
        if seconds != self._timeouts[option]:
            self._timeouts[option] = seconds
            whole = int(min(seconds, _FOREVER))
            microseconds = int((seconds - whole) * 1e6) if seconds < _FOREVER else 0
            self._sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", whole, microseconds))


def dial(
    host: str,
    port: int,
    *,
    path: str = "",
    sock: socket.socket | None = None,
    local_address: "tuple[str, int] | None" = None,
    timeout: float,
) -> socket.socket:
    """Connect to a server; addresses of the host are tried in turn.

    Raises:
        OSError: no address could be reached.
    """
    if sock is not None:
        return sock
    if path:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.connect(path)
        except OSError:
            sock.close()
            raise
        return sock
    return socket.create_connection((host, port), timeout, local_address)
