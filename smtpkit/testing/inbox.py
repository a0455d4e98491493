"""The messages that a test's server has received, and waiting for them."""

from collections.abc import Sequence
from threading import Condition
from time import monotonic
from typing import overload

from smtpkit import Mailbox, Message, ParseError

__all__ = ["Inbox"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit import Transcript

_SHOWN_SESSIONS = 5  # in an error


class Inbox(Sequence[Message]):
    """What has come, in order: `len(inbox)`, `inbox[0]`, `for message in inbox`.

    A message is here before its client hears that it was accepted, so that a test whose code sends in the test's
    own thread need not wait.

    Args:
        transcripts: of the sessions, which an error of `wait()` shows.
    """

    def __init__(self, transcripts: "Sequence[Transcript]" = ()) -> None:
        self._messages: list[Message] = []
        self._transcripts = transcripts
        self._changed = Condition()

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        return self._messages[index]

    def __len__(self) -> int:
        return len(self._messages)

    def __repr__(self) -> str:
        return f"<Inbox: {self._messages}>"

    def wait(self, count: int = 1, timeout: float = 5.0) -> list[Message]:
        """All messages, once there are so many; for code that sends in the background.

        Args:
            count: how many there must be at the least.
            timeout: seconds.

        Raises:
            AssertionError: fewer have come; it says which, and shows the last sessions.
        """
        until = monotonic() + timeout
        with self._changed:
            while len(self._messages) < count:
                if (left := until - monotonic()) <= 0:
                    raise AssertionError(self._complaint(count, timeout))
                self._changed.wait(left)
            return list(self._messages)

    def to(self, address: str) -> list[Message]:
        """The messages with this address among their recipients, whatever the case of its letters."""
        wanted = _plain(address)
        return [message for message in self._messages if wanted in map(_plain, message.recipients)]

    def add(self, message: Message) -> None:
        """Take a message; the server does."""
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget what has come."""
        self._messages.clear()

    def _complaint(self, count: int, timeout: float) -> str:
        lines = [f"{_counted(count)} should have come within {timeout:g} s, but {len(self)} did:"]
        lines += [f"  from {each.sender!r} to {each.recipients}, {len(each.content)} octets" for each in self]
        sessions = self._transcripts[-_SHOWN_SESSIONS:]
        for number, session in enumerate(sessions, len(self._transcripts) - len(sessions) + 1):
            lines += [f"session {number}:", *(f"  {line}" for line in session.lines)]
        if not sessions:
            lines.append("nobody has connected")
        return "\n".join(lines)


def _counted(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def _plain(address: str) -> str:
    # One spelling of those that mean the same, such as quotes that are not needed.
    try:
        return str(Mailbox.parse(address)).lower()
    except ParseError:
        return address.lower()
