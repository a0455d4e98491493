"""What waits beside the connections of an event loop: for an event, and for calls that take too long."""

import asyncio
from contextlib import suppress
from time import monotonic

from smtpkit.overdue import Calls

__all__ = ["Watchdog", "wait"]


class Watchdog(Calls):
    """Has the event loop tell a connection that its call is overdue; it costs a turn of the loop now and then."""

    __slots__ = ("_timer",)

    def __init__(self, limit: float | None) -> None:
        super().__init__(limit)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look, in the running loop."""
        self._timer = asyncio.get_running_loop().call_later(self.pause(monotonic()), self._look)

    def stop(self) -> None:
        """Look no more; any number of times."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        for connection in self.overdue(monotonic()):
            connection.overdue()
        self.start()


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not for ever."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
