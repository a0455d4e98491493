"""Which calls of a server's user code have gone on for too long: what the watchdogs of both adapters look at."""

__all__ = ["Calls"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Overdue(Protocol):
        """A connection, as a watchdog knows it."""

        def overdue(self) -> None:
            """Its call has gone on for too long."""


_LONGEST = 3600.0  # seconds between two looks


class Calls:
    """The calls that run.  All may take equally long, so the first to begin is the first to be overdue.

    A call is known by its connection and the time when it began.  Either whoever made it ends it, or it is found
    overdue, never both: in this way threads agree on whose the connection is, without a lock.

    Args:
        limit: seconds that a call may take; None for any number.
    """

    __slots__ = ("_limit", "_running")

    def __init__(self, limit: float | None) -> None:
        self._limit = float("inf") if limit is None else limit
        self._running: dict[tuple[Overdue, float], bool] = {}

    def begin(self, connection: "Overdue", now: float) -> None:
        """A call begins."""
        self._running[connection, now] = True

    def end(self, connection: "Overdue", began: float) -> bool:
        """A call is over; False where it was found overdue before."""
        return self._running.pop((connection, began), False)

    def overdue(self, now: float) -> "list[Overdue]":
        """The connections whose calls have gone on for too long; each call is given once."""
        due = now - self._limit
        late = [call for call in list(self._running) if call[1] <= due]
        return [connection for connection, began in late if self.end(connection, began)]

    def pause(self, now: float) -> float:
        """Seconds in which no other call can become overdue, whatever begins meanwhile."""
        first = next((began for _, began in list(self._running)), now)
        return min(max(first + self._limit - now, 0.0), _LONGEST)
