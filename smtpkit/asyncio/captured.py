"""`memory:` and `print:` in the place of a connection."""

from smtpkit.captured import CapturedTransport

__all__ = ["Captured"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Captured(CapturedTransport):
    """A Transport whose peer is in this process; it never waits."""

    async def until(self, step: "Callable[[Any], Any]", answer: "Any" = None) -> "Any":
        """As `Transport.until()`."""
        return self.advance(step, answer)
