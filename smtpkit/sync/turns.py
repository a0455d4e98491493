"""A lock that threads get in the order in which they ask for it."""

from collections import deque
from threading import Lock

__all__ = ["Turns"]


class Turns:
    """A lock to enter with `with`, given to those who wait in their order.

    A lock of Python's own goes to whoever asks in the right moment, and among hundreds of threads some then wait for
    seconds.  Where nobody waits, this one costs two calls of such a lock.
    """

    __slots__ = ("_lock", "_waiting")

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: deque[Lock] = deque()  # each is held, until its thread has the turn

    def __enter__(self) -> None:
        if self._waiting or not self._lock.acquire(False):
            mine = Lock()
            mine.acquire()
            self._waiting.append(mine)
            self._hand_on()  # it may have become free before this thread stood in the line
            mine.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self._waiting:
            self._hand_on()

    def _hand_on(self) -> None:
        # Who takes the lock here takes it for the first in the line, or finds the line empty.
        while self._waiting and self._lock.acquire(False):
            try:
                self._waiting.popleft().release()
            except IndexError:  # another thread has been quicker
                self._lock.release()
            else:
                return
