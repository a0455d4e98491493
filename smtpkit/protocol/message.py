"""One message as a server's handler gets it: envelope, content, and the session that it came in."""

from smtpkit.protocol.envelope import Envelope

__all__ = ["Message"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import EmailMessage

    from smtpkit.protocol.session import SessionFacts


class Message:
    """A message with its envelope.

    Attributes:
        envelope: reverse-path, forward-paths and their parameters.
        content: the octets of header and body, as they were sent, dots removed.
        session: what is known of the session that it came in, or None.
    """

    __slots__ = ("content", "envelope", "session")

    def __init__(self, envelope: Envelope, content: bytes, session: "SessionFacts | None" = None) -> None:
        self.envelope = envelope
        self.content = content
        self.session = session

    def __repr__(self) -> str:
        return f"<Message from {self.sender!r} to {self.recipients}, {len(self.content)} octets>"

    @property
    def sender(self) -> str:
        """The reverse-path as text; "" for the null one."""
        sender = self.envelope.sender
        return "" if sender is None else str(sender)

    @property
    def recipients(self) -> list[str]:
        """The forward-paths as text."""
        return [str(recipient) for recipient in self.envelope.recipients]

    def as_email(self) -> "EmailMessage":
        """The content parsed by the standard library, with `email.policy.default`."""
        from email import message_from_bytes
        from email.policy import default

        return message_from_bytes(self.content, policy=default)
