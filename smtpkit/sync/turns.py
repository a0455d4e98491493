"""A lock that threads get in the order in which they ask for it, those who ask late after the others."""

from collections import deque
from threading import Lock

__all__ = ["Turns"]

_SHARE = 4  # of so many turns one is for those who are late, however many others come


class Turns:
    """Whose turn it is, given to those who wait in their order; those who are late have a line of their own.

    A lock of Python's own goes to whoever asks in the right moment, and among hundreds of threads some then wait for
    seconds.  Where nobody waits, a turn costs two calls of such a lock.
    """

    __slots__ = ("_given", "_late", "_lock", "_waiting")

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: deque[Lock] = deque()  # each is held, until its thread has the turn
        self._late: deque[Lock] = deque()
        self._given = 0  # turns to those who waited

    def take(self, *, late: bool = False) -> None:
        """Wait for the turn.

        Args:
            late: whether others go first, as long as one turn in four is left.
        """
        if self._waiting or self._late or not self._lock.acquire(False):
            mine = Lock()
            mine.acquire()
            (self._late if late else self._waiting).append(mine)
            self._give()  # it may have become free before this thread stood in the line
            mine.acquire()

    def hand_on(self) -> None:
        """End the turn."""
        self._lock.release()
        if self._waiting or self._late:
            self._give()

    def _give(self) -> None:
        # Who takes the lock here takes it for the first in a line, or finds that another thread has been quicker.
        while (self._waiting or self._late) and self._lock.acquire(False):
            self._given += 1
            line = self._late if self._given % _SHARE == 0 else self._waiting
            line = line or self._waiting or self._late
            if line:
                line.popleft().release()
                return
            self._lock.release()
