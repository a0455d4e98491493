"""What `next_event()` gives besides commands and replies, and what a connection asks of its transport."""

import enum

from smtpkit.wire.value import Value

__all__ = [
    "NEED_DATA",
    "PAUSED",
    "Answered",
    "AuthResponse",
    "BodyChunk",
    "BodyRefused",
    "Connect",
    "ConnectionClosed",
    "Signal",
    "Transport",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Literal, TypeAlias

    from smtpkit.sasl.questions import Question
    from smtpkit.wire.commands import Command
    from smtpkit.wire.replies import Reply

    # What a server's next_event() gives, and what a step of it gives: None where what was read was granted.
    Event: TypeAlias = "Command | Connect | BodyChunk | BodyRefused | Answered | ConnectionClosed | Question"
    Next: TypeAlias = "Event | Signal"
    Stepped: TypeAlias = "Next | None"


class Signal(enum.Enum):
    """The two answers of `next_event()` that are no event."""

    NEED_DATA = "need data"
    PAUSED = "paused"

    def __repr__(self) -> str:
        return self.name


NEED_DATA: "Final[Literal[Signal.NEED_DATA]]" = Signal.NEED_DATA  # the peer must send more
PAUSED: "Final[Literal[Signal.PAUSED]]" = Signal.PAUSED  # a decision of yours is due first


class Transport(enum.Enum):
    """What the owner of the connection does with its transport next."""

    READ = "read"
    START_TLS = "start TLS"  # send what is to be sent, make TLS, then call tls_established()
    CLOSE = "close"  # send what is to be sent, and close


class Connect(Value):
    """A client has connected; the standard answer is the greeting (RFC 5321 section 3.1)."""

    __slots__ = ()


class BodyChunk(Value):
    """A piece of a message's content, dots removed, however it was sent (DATA or BDAT).

    Attributes:
        data: octets, possibly none.
        last: True for the piece that ends the message; on a server that one waits for the decision.
    """

    __slots__ = ("data", "last")

    def __init__(self, data: bytes, last: bool = False) -> None:
        self.data = data
        self.last = last

    def __repr__(self) -> str:
        return f"BodyChunk(<{len(self.data)} octets>, last={self.last})"


class AuthResponse(Value):
    """A client's answer to a challenge of SASL (RFC 4954 section 4).

    Args:
        octets: the answer, not encoded; None cancels the exchange.
    """

    __slots__ = ("octets",)

    def __init__(self, octets: bytes | None) -> None:
        self.octets = octets

    def __repr__(self) -> str:
        return "AuthResponse(<hidden>)"

    def line(self) -> bytes:
        """The line that is sent."""
        from binascii import b2a_base64

        return b"*\r\n" if self.octets is None else b2a_base64(self.octets, newline=False) + b"\r\n"


class BodyRefused(Value):
    """The content came to its end and was refused with this reply; the transaction is over."""

    __slots__ = ("reply",)

    def __init__(self, reply: "Reply") -> None:
        self.reply = reply


class Answered(Value):
    """A notice: the server connection answered by itself.

    Attributes:
        command: what it answered, or None where the line was no command.
        reply: what it said.
    """

    __slots__ = ("command", "reply")

    def __init__(self, command: "Command | None", reply: "Reply") -> None:
        self.command = command
        self.reply = reply


class ConnectionClosed(Value):
    """The connection is over; from now on every call of `next_event()` says so."""

    __slots__ = ()
