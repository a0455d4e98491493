"""What waits beside the threads of connections: for an event, and for calls that take too long."""

import threading
from time import monotonic

from smtpkit.overdue import Calls

__all__ = ["Watchdog", "wait"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.overdue import Overdue


class Watchdog(Calls):
    """A thread that tells a connection that its call is overdue; it sleeps as long as none can be."""

    __slots__ = ("_stopped", "_telling")

    def __init__(self, limit: float | None) -> None:
        super().__init__(limit)
        self._stopped = threading.Event()
        self._telling = threading.Lock()

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        threading.Thread(target=self._run, name="smtpkit-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Look no more; any number of times, from any thread."""
        self._stopped.set()

    def end(self, connection: "Overdue", began: float) -> bool:
        """A call is over; False where it was found overdue before, and its connection has been told so."""
        if self._running.pop((connection, began), False):
            return True
        with self._telling:
            return False

    def _run(self) -> None:
        while not self._stopped.wait(self.pause(monotonic())):
            with self._telling:
                for connection in self.overdue(monotonic()):
                    connection.overdue()


def wait(event: threading.Event, seconds: float) -> None:
    """Wait for an event, but not for ever."""
    event.wait(seconds)
