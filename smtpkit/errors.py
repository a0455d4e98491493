"""Every error that smtpkit raises, and the facts that each carries.

    SMTPError
    ├── ParseError (ValueError)            octets or a value that the grammar does not allow
    ├── ProtocolError
    │   ├── LocalProtocolError             this side called what is not allowed now
    │   ├── RemoteProtocolError            the peer sent what no standard knows
    │   └── ReplayMismatch                 the peer said something else than the transcript that is replayed
    ├── ReplyError                         the server said no
    │   ├── AuthenticationError            to the credentials
    │   ├── SenderRefused                  to MAIL
    │   ├── RecipientsRefused              to every RCPT (or to one, where one is enough)
    │   └── MessageRefused                 to DATA, or to the message itself
    ├── ConnectionLost (ConnectionError)   the line broke
    ├── Timeout (TimeoutError)             the peer was silent for too long
    ├── TLSError (OSError)                 no encryption, or not with the right peer
    └── NotSupported                       the server does not offer what the message or the caller needs

Every error of a send has `.recipients` (the outcome of each recipient that has one) and `.may_retry`.
"""

__all__ = [
    "AuthenticationError",
    "ConnectionLost",
    "LocalProtocolError",
    "MessageRefused",
    "NotSupported",
    "ParseError",
    "ProtocolError",
    "RecipientsRefused",
    "RemoteProtocolError",
    "ReplayMismatch",
    "ReplyError",
    "SMTPError",
    "SenderRefused",
    "TLSError",
    "Timeout",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from smtpkit.protocol.results import Outcome
    from smtpkit.wire.commands import Command
    from smtpkit.wire.replies import Reply

_SHOWN = 80  # octets of a peer's input that an error shows, escaped


class SMTPError(Exception):
    """The root of smtpkit's errors.

    Attributes:
        recipients: the outcome of each recipient that has a verdict, by the address as it was given.
        may_retry: True if sending the same message again, to the recipients that `recipients` does not
            name as accepted, can neither duplicate it nor is known to be useless.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.recipients: Mapping[str, Outcome] = {}
        self.may_retry = False

    def __reduce__(self) -> "tuple[Any, ...]":
        # BaseException would call the class with `args`, which is the message alone.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[SMTPError], arguments: "tuple[Any, ...]", state: "dict[str, Any]") -> SMTPError:
    error = cls.__new__(cls, *arguments)
    error.args = arguments
    error.__dict__.update(state)
    return error


class ParseError(SMTPError, ValueError):
    """Octets, or a value given by the caller, that the grammar does not allow.

    Attributes:
        what: what is wrong, in fixed words that may be shown to a peer.
        octets: the input, shortened to what may be shown.
        offset: index of the first wrong octet, or None where it is not known.
        expected: the syntax that would have been right, or None.
        code, enhanced: the reply that a server gives to it.
    """

    def __init__(
        self,
        what: str,
        octets: bytes | str = b"",
        *,
        offset: int | None = None,
        expected: str | None = None,
        code: int = 501,
        enhanced: str = "5.5.4",
    ) -> None:
        message = what
        if offset is not None:
            message += f" at offset {offset}"
        if octets:
            message += f" in {octets[:_SHOWN]!r}"
        if expected is not None:
            message += f"; expected {expected}"
        super().__init__(message)
        self.what = what
        self.octets = octets[:_SHOWN]
        self.offset = offset
        self.expected = expected
        self.code = code
        self.enhanced = enhanced


class ProtocolError(SMTPError):
    """One of the two sides left the protocol.

    Attributes:
        state: the name of the state in which it happened.
        expected: what was legal then, in words.
        received: what came or was called instead; of the peer's octets the first 80.
    """

    def __init__(self, message: str, *, state: str = "", expected: str = "", received: object = "") -> None:
        shown = received[:_SHOWN] if isinstance(received, bytes) else received
        details = [
            f"{name} {value}"
            for name, value in (("in state", state), ("expected", expected), ("received", shown and repr(shown)))
            if value
        ]
        super().__init__(f"{message} ({', '.join(details)})" if details else message)
        self.state = state
        self.expected = expected
        self.received = shown


class LocalProtocolError(ProtocolError):
    """A method was called, or a command sent, that is not allowed now; `.expected` says what is."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what no standard knows; the connection can only be closed.

    Attributes:
        replies, flushed: as for ConnectionLost.
    """

    replies: "tuple[Reply, ...]" = ()
    flushed = True


class ReplayMismatch(ProtocolError):
    """A live peer did not say what the transcript has that is replayed to it.

    Args:
        line: number of the line in the transcript, from 1; behind the last one nothing was expected.
        expected: what the transcript has there.
        received: what came.
    """

    def __init__(self, line: int, expected: str, received: object) -> None:
        super().__init__(f"not what line {line} of the transcript says", expected=repr(expected), received=received)
        self.line = line
        self.expected = expected


class ReplyError(SMTPError):
    """The server refused; raised by a server's handler, it is the refusal.

    Args:
        reply: the reply that was received, or is to be sent.
        command: what it answers, or None.
        hint: the known cause and the way on, where a server of a known provider says this; else "".
    """

    def __init__(
        self, reply: "Reply", command: "Command | None" = None, *, message: str | None = None, hint: str = ""
    ) -> None:
        verb = f"{command.verb}: " if command is not None else ""
        message = message or f"{verb}{reply}"
        super().__init__(f"{message}; {hint}" if hint else message)
        self.reply = reply
        self.command = command
        self.hint = hint
        self.may_retry = reply.is_transient


class AuthenticationError(ReplyError):
    """The server refused the credentials, or has not proved that it knows them itself.

    Attributes:
        mechanism: the SASL mechanism that was used, or "".
        error: what the server told about it beside the reply: of OAUTHBEARER and XOAUTH2 the JSON object, of SCRAM
            the key "error"; else {}.
    """

    mechanism = ""

    def __init__(
        self,
        reply: "Reply",
        command: "Command | None" = None,
        *,
        message: str | None = None,
        hint: str = "",
        error: "Mapping[str, Any] | None" = None,
    ) -> None:
        super().__init__(reply, command, message=message, hint=hint)
        self.error = dict(error or {})
        self.mechanism = getattr(command, "mechanism", "")


class SenderRefused(ReplyError):
    """The server refused MAIL."""


class RecipientsRefused(ReplyError):
    """No recipient was accepted; `.reply` is the first refusal, `.recipients` has them all."""


class MessageRefused(ReplyError):
    """The server refused DATA or the message; on a server, the core refused the body under way."""


class _StageError(SMTPError):
    """What a loss and a silence have in common: the stage, and the replies that had come."""

    def __init__(self, message: str, *, stage: str = "", replies: "Sequence[Reply]" = ()) -> None:
        super().__init__(f"{message} ({stage})" if stage else message)
        self.stage = stage
        self.replies = tuple(replies)
        self.flushed = True
        self.may_retry = True


class ConnectionLost(_StageError, ConnectionError):
    """The connection ended before its time.

    Attributes:
        stage: what was being waited for: connect, TLS handshake, greeting, a verb such as EHLO, LHLO, STARTTLS,
            AUTH, MAIL, RCPT, DATA or BDAT, body, end of data; command where nothing was.
        replies: those of the group under way that had come.
        flushed: False if it is known that not all of what was to be sent had left this side.
    """


class Timeout(_StageError, TimeoutError):
    """The peer was silent for longer than the stage allows; attributes as for ConnectionLost."""


class TLSError(SMTPError, OSError):
    """TLS was required and could not be had, the certificate does not verify, or TLS broke.

    Attributes:
        reason: "not offered" or "refused" for STARTTLS, "clear" where the peer does not speak TLS on this port,
            "version" without one in common, "certificate" for one that does not verify or is not the pinned one,
            "client certificate" where the server wants one; "" for all else.
        replies, flushed: as for ConnectionLost.
    """

    replies: "tuple[Reply, ...]" = ()
    flushed = True

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class NotSupported(SMTPError):
    """The server does not offer an extension that the message or the caller needs; nothing was sent.

    Attributes:
        extension: the EHLO keyword that is missing.
    """

    def __init__(self, message: str, *, extension: str = "") -> None:
        super().__init__(message)
        self.extension = extension
