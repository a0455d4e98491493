"""Lines of a server for standard error: a pipe that nobody reads must not hold up the mail."""

import os
import sys
from collections import deque
from contextlib import contextmanager
from threading import Condition, Thread

from smtpkit.cli.output import hand_lines_to

__all__ = ["Aside", "writing_aside", "writing_if_there_is_room"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST = 1 << 20  # characters that wait; what comes beyond them is dropped
_LAST = 0.5  # seconds for what waits at the end


class Aside:
    """Writes what can be written at once, has a thread write the rest, and drops what is too much.

    A line that was written at once is there before whatever happens next: before the reply that it
    shows, or before the process is killed. How many are missing is said where they would stand.

    Args:
        write: writes octets, and may block.
        at_once: writes what it can of octets without blocking, and returns how many these are.
        most: octets that may wait.
    """

    def __init__(self, write: "Callable[[bytes], None]", at_once: "Callable[[bytes], int]", most: int = _MOST) -> None:
        self._write = write
        self._at_once = at_once
        self._most = most
        self._waiting: deque[bytes] = deque()
        self._held = 0  # octets of them
        self._dropped = 0
        self._writing = False  # the thread is at it, and what comes now has to stand behind that
        self._closed = False
        self._change = Condition()
        self._thread = Thread(target=self._run, name="smtpkit-lines", daemon=True)
        self._thread.start()

    def put(self, octets: bytes) -> None:
        """Have octets written; it never blocks."""
        with self._change:
            if not self._waiting and not self._writing:
                octets = octets[self._at_once(octets) :]
            elif self._held + len(octets) > self._most:
                self._dropped += 1
                return
            if octets:
                self._waiting.append(octets)
                self._held += len(octets)
                self._change.notify()

    def close(self, seconds: float) -> None:
        """End when all is written, or after so many seconds."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        while octets := self._next():
            self._write(octets)

    def _next(self) -> bytes:
        # All that waits, as soon as there is something; nothing at the end.
        with self._change:
            self._writing = False
            self._change.wait_for(lambda: self._waiting or self._closed)
            octets, dropped = b"".join(self._waiting), self._dropped
            self._waiting.clear()
            self._held = self._dropped = 0
            self._writing = True
        if dropped:
            octets += b"smtpkit: %d lines are missing here, which nobody read in time\n" % dropped
        return octets


@contextmanager
def writing_aside() -> "Iterator[None]":
    """Have all lines for standard error that would have to wait written aside, in this process, from here on."""
    if sys.stderr is None:
        yield
        return
    from select import select

    descriptor = sys.stderr.fileno()
    encode = _encoder()

    def write(octets: bytes) -> None:
        # Not by sys.stderr: whoever is held up in it holds its lock, and the interpreter could not end.
        while octets:
            if not (written := _written(descriptor, octets)):
                select([], [descriptor], [])
            octets = octets[written:]

    aside = Aside(write, lambda octets: _written_at_once(descriptor, octets))
    before = hand_lines_to(lambda line: aside.put(encode(line)))
    try:
        yield
    finally:
        hand_lines_to(before)
        aside.close(_LAST)


@contextmanager
def writing_if_there_is_room() -> "Iterator[None]":
    """Have lines for standard error dropped that would have to wait; for a process that forks, and so has no threads.

    It holds in the forked processes too, but where `writing_aside()` does.
    """
    if sys.stderr is None:
        yield
        return
    descriptor = sys.stderr.fileno()
    encode = _encoder()
    before = hand_lines_to(lambda line: _written_at_once(descriptor, encode(line)))
    try:
        yield
    finally:
        hand_lines_to(before)


def _encoder() -> "Callable[[str], bytes]":
    encoding = sys.stderr.encoding
    return lambda line: f"{line}\n".encode(encoding, "backslashreplace")


def _written_at_once(descriptor: int, octets: bytes) -> int:
    from select import PIPE_BUF, select

    at = 0
    while at < len(octets) and select([], [descriptor], [], 0)[1]:  # for PIPE_BUF octets, as POSIX has it
        if not (written := _written(descriptor, octets[at : at + PIPE_BUF])):
            break
        at += written
    return at


def _written(descriptor: int, octets: bytes) -> int:
    try:
        return os.write(descriptor, octets)
    except BlockingIOError:  # whoever gave this process the pipe does not want to wait for it either
        return 0
    except OSError:  # nobody is there to read it
        return len(octets)
