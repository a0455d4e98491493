"""Lines of a server for standard error, beside its work: a pipe that nobody reads must not hold up the mail."""

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
    """Has lines written by a thread, and drops those that are too many.

    How many are missing is said where they would stand.

    Args:
        write: writes text, and may block.
        most: characters that may wait.
    """

    def __init__(self, write: "Callable[[str], None]", most: int = _MOST) -> None:
        self._write = write
        self._most = most
        self._lines: deque[str] = deque()
        self._held = 0  # characters of them
        self._dropped = 0
        self._closed = False
        self._change = Condition()
        self._thread = Thread(target=self._run, name="smtpkit-lines", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Have a line written; it never blocks."""
        with self._change:
            if self._held + len(line) > self._most:
                self._dropped += 1
                return
            self._lines.append(line)
            self._held += len(line)
            self._change.notify()

    def close(self, seconds: float) -> None:
        """End when all is written, or after so many seconds."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        while lines := self._next():
            self._write("".join(f"{line}\n" for line in lines))

    def _next(self) -> "list[str]":
        # All that waits, as soon as there is something; nothing at the end.
        with self._change:
            self._change.wait_for(lambda: self._lines or self._closed)
            lines, dropped = list(self._lines), self._dropped
            self._lines.clear()
            self._held = self._dropped = 0
        if dropped:
            lines.append(f"smtpkit: {dropped} lines are missing here, which nobody read in time")
        return lines


@contextmanager
def writing_aside() -> "Iterator[None]":
    """Have all lines for standard error written aside, in this process, from here on."""
    if sys.stderr is None:
        yield
        return
    descriptor = sys.stderr.fileno()
    encoding = sys.stderr.encoding

    def write(text: str) -> None:
        # Not by sys.stderr: whoever is held up in it holds its lock, and the interpreter could not end.
        octets = text.encode(encoding, "backslashreplace")
        while octets:
            octets = octets[_written(descriptor, octets) :]

    aside = Aside(write)
    before = hand_lines_to(aside.put)
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
    from select import PIPE_BUF, select

    descriptor = sys.stderr.fileno()
    encoding = sys.stderr.encoding

    def write(line: str) -> None:
        octets = f"{line}\n".encode(encoding, "backslashreplace")
        while octets and select([], [descriptor], [], 0)[1]:  # for PIPE_BUF octets, as POSIX has it
            octets = octets[_written(descriptor, octets[:PIPE_BUF]) :]

    before = hand_lines_to(write)
    try:
        yield
    finally:
        hand_lines_to(before)


def _written(descriptor: int, octets: bytes) -> int:
    try:
        return os.write(descriptor, octets)
    except BlockingIOError:  # whoever gave this process the pipe does not want to wait for it either
        from select import select

        select([], [descriptor], [])
        return 0
    except OSError:  # nobody is there to read it
        return len(octets)
