"""Octets between a blocking socket and a driver: what reads, writes and waits in a thread."""

import select
import socket
import struct
import threading
from contextlib import suppress
from time import monotonic

from smtpkit.protocol.needs import READ, WRITE

__all__ = ["Transport"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from smtpkit.protocol.client_driver import ClientDriver
    from smtpkit.protocol.server_driver import ServerDriver
    from smtpkit.sync.turns import Turns

_BUFFER = 64 * 1024  # larger reads cost an mmap each
_AT_HAND = int(socket.MSG_DONTWAIT)  # these two without their Enum, which costs more than the rest of the call
_AT_ONCE = 16 * 1024  # octets that most sockets have room for
_FOREVER = 86400.0  # seconds, of which a poll() can count so many
_SHORTEST = 0.001  # seconds; 0 would mean not to wait at all
_MOMENT = struct.pack("@ll", 0, 1000)  # a millisecond, which the kernel makes a few of
_STEPS = 8  # that one turn is good for, where the user's code runs between them
_LINGER = 5.0  # seconds that closing waits for a peer that does not stop talking
_NOTICED = 0.05  # seconds; shorter waits are added up before the rate of content is looked at


class Transport:
    """One connection; `until(step)` runs a driver as far as its next need that is not READ or WRITE.

    A server's connection begins by itself: `opened` is called, and then the driver runs in a thread of its own.

    Args:
        driver: whom the octets are for.
        opened: called when a server's connection is made.
        serve: called with the first need that is not READ or WRITE.
        ended: called when `serve` has returned and the connection is closed.
        turns: of all connections of a server: whose turn it is runs the driver.
    """

    def __init__(
        self,
        driver: "ClientDriver | ServerDriver",
        *,
        opened: "Callable[[], None] | None" = None,
        serve: "Callable[[Any], None] | None" = None,
        ended: "Callable[[], None] | None" = None,
        turns: "Turns | None" = None,
    ) -> None:
        self.driver = driver
        self.closed = False
        self.local: Any = None
        self.peer: Any = None
        self._opened = opened
        self._serve = serve
        self._ended = ended
        self._sock: socket.socket
        self._arrivals = select.poll()
        self._deadline: float | None = None  # of time.monotonic(), as the next
        self._since = 0.0  # when the present wait began
        self._seen = -1
        self._lock = threading.Lock()
        self._turns = turns
        self._had = 0  # steps since octets were awaited
        self._waited = 0.0  # seconds that were spent waiting for octets
        self._waiting = False  # in recv, between transactions
        self._ending = False

    # What client.py and server.py call

    def until(self, step: "Callable[[Any], Any]", answer: "Any" = None) -> "Any":
        """The next need that is not READ or WRITE.

        Args:
            step: what gives needs, such as `driver.next`.
            answer: to the last need.
        """
        driver, turns = self.driver, self._turns
        while True:
            need = step(answer) if turns is None else self._stepped(turns, step, answer)
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

    def _stepped(self, turns: "Turns", step: "Callable[[Any], Any]", answer: "Any") -> "Any":
        # Threads that have something to do wait in this line, and not for the interpreter, which hands itself on
        # after milliseconds, and to anybody: among hundreds that would be seconds.
        had = self._had
        if had % _STEPS:
            need = step(answer)
        else:
            turns.take(late=had > 0)
            try:
                need = step(answer)
            finally:
                turns.hand_on()
        self._had = 0 if need is READ else _STEPS if need is WRITE else had + 1
        return need

    def set_deadline(self, seconds: float | None) -> None:
        """Let all waits from now on last so many seconds together; None for no bound."""
        self._deadline = None if seconds is None else monotonic() + seconds

    def look(self) -> None:
        """Take in what has come, without waiting; a connection that is to be used again may have ended."""
        try:
            if self._arrivals.poll(0):
                self.driver.receive(self._sock.recv(_BUFFER, _AT_HAND))
        except BlockingIOError:
            pass
        except OSError as error:
            self.driver.lost(error)

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
            if self._serve is not None and not self.driver.finished:
                with suppress(OSError):
                    self._sock.shutdown(socket.SHUT_WR)
                    self._linger()
        self._sock.close()

    def _linger(self) -> None:
        # Octets that are unread at the end have TCP reset the connection, and the peer may never see what was said
        # last: let it read that, and close.
        until = monotonic() + _LINGER
        with self._lock:
            self._waiting = not self._ending
        while not self._ending and (left := until - monotonic()) > 0:
            if not self._arrivals.poll(left * 1000) or not self._sock.recv(_BUFFER):
                break

    def abort(self) -> None:
        """Close at once; a server's from any thread, and its own thread follows."""
        self.closed = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._serve is None:
            # Not under another thread's feet: the number of a closed socket is given to the next one opened.
            self._sock.close()

    def _forget(self) -> None:
        # The connection is another process's, too: close the own end alone.
        self.closed = True
        self._sock.close()

    # What dial() and the acceptor call

    def connection_made(self, sock: socket.socket, peer: "Any" = None) -> None:
        """Take a connected socket; a server's driver begins."""
        self._sock = sock
        self.peer = peer
        sock.setblocking(True)
        self._arrivals.register(sock, select.POLLIN)
        with suppress(OSError):  # the peer may have gone again; reading tells
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                sock.setsockopt(socket.SOL_SOCKET, option, _MOMENT)
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
            self._opened = self._serve = self._ended = None  # what refers back goes, and memory is free at once

    # Moving octets

    def _write(self, octets: bytes) -> bool:
        # False: the peer is gone, or does not read; what it said before that is taken in.
        if self.closed:  # aborted by another thread: what is unread does not matter any more
            self.driver.timed_out(flushed=False)
            return False
        self._seen = -1  # a wait begins
        try:
            self._send(octets)
        except BlockingIOError:
            self._read_ready()
            self._time_out(flushed=False)
        except OSError as error:
            self._read_ready()
            self.driver.lost(error, flushed=False)
        else:
            return True
        return False

    def _send(self, octets: bytes) -> None:
        sent = 0
        if len(octets) <= _AT_ONCE:
            try:
                sent = self._sock.send(octets, _AT_HAND)  # what the kernel has room for needs no time-out
            except BlockingIOError:
                sent = 0
        if sent < len(octets):
            self._send_waiting(memoryview(octets)[sent:])

    def _send_waiting(self, rest: memoryview) -> None:
        while True:
            with suppress(BlockingIOError):
                rest = rest[self._sock.send(rest) :]
            if not rest:
                return
            room = select.poll()
            room.register(self._sock, select.POLLOUT)
            self._wait(room)

    def _read(self) -> None:
        serving = self._serve is not None
        if serving and self._stands_idle():
            return
        started = monotonic()
        try:
            if self._deadline is not None and started >= self._deadline:
                raise BlockingIOError  # whatever comes
            octets = self._received(started)
        except BlockingIOError:
            self._time_out(flushed=True)
            return
        except OSError as error:
            self.driver.lost(error)
            return
        finally:
            woken = self._waiting and self._awake()
        if octets or not woken:
            self.driver.receive(octets)
        if woken:
            self.driver.shut_down()
        elif serving:
            self._measure(monotonic() - started)

    def _received(self, now: float) -> bytes:
        driver = self.driver
        if driver.waits != self._seen:
            self._seen, self._since = driver.waits, now
        while True:
            try:
                return self._sock.recv(_BUFFER)
            except BlockingIOError:
                self._wait(self._arrivals)

    def _measure(self, waited: float) -> None:
        self._waited += waited
        if self._waited >= _NOTICED:
            waited, self._waited = self._waited, 0.0
            self.driver.waited(waited)

    def _read_ready(self) -> None:
        try:
            if self._arrivals.poll(0):
                self.driver.receive(self._sock.recv(_BUFFER, _AT_HAND))
        except OSError:
            pass  # reading or writing will tell

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
        with self._lock:
            self._waiting = False
            return self._ending

    # Time: a wait begins when something was written, or a piece of a body came; not at each read, or one octet
    # now and then would keep a connection.

    def _wait(self, event: select.poll) -> None:
        # For longer than a moment, which the kernel bounds, and for no more than a read or write costs anyway: a signal
        # begins the kernel's time-out anew, but not this one, and with signals often enough that would be for ever.
        left = self._left(monotonic())
        if not event.poll(min(left, _FOREVER) * 1000) and left <= _FOREVER:
            raise BlockingIOError

    def _left(self, now: float) -> float:
        if self.driver.waits != self._seen:
            self._seen = self.driver.waits
            self._since = now
        due = self._since + self.driver.timeout
        if self._deadline is not None:
            due = min(due, self._deadline)
        return max(due - now, _SHORTEST)

    def _time_out(self, *, flushed: bool) -> None:
        self.driver.overdue = self._deadline is not None and monotonic() >= self._deadline - _SHORTEST
        self.driver.timed_out(flushed=flushed)
