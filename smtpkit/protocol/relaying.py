"""A mail transaction on its way through to the next server: what is passed on, and what is answered in its place."""

from smtpkit.errors import (
    AuthenticationError,
    ConnectionLost,
    NotSupported,
    RemoteProtocolError,
    ReplyError,
    SMTPError,
    Timeout,
    TLSError,
)
from smtpkit.protocol.header_filter import MOST_HOPS, HeaderFilter
from smtpkit.protocol.introducing import client_facts, introduce
from smtpkit.protocol.needs import NEXT_CHUNK
from smtpkit.protocol.outgoing import as_group
from smtpkit.protocol.received import received
from smtpkit.wire.commands import Data, Mail, Rcpt
from smtpkit.wire.replies import Reply
from smtpkit.wire.strings import MOST_OCTETS

__all__ = ["LOST", "ONE_RECIPIENT", "Passage", "Source", "Transit", "failure", "passed"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.needs import Wanted
    from smtpkit.protocol.session import SessionFacts

LOST = Reply(451, "The connection to the next server was lost", "4.4.2")
ONE_RECIPIENT = Reply(452, "One recipient at a time, send to the others in transactions of their own", "4.5.3")

_UNREACHABLE = Reply(451, "The next server does not answer", "4.4.1")
_UNWILLING = Reply(451, "The next server takes no mail now", "4.4.1")
_GARBLED = Reply(451, "The next server does not keep to the protocol", "4.5.0")
_INSECURE = Reply(451, "No secure connection to the next server", "4.7.5")
_MISCONFIGURED = Reply(451, "The way to the next server is not set up", "4.3.5")
_NO_PARAMETER = Reply(555, "The next server does not know this parameter", "5.5.4")
_NO_TLS_ONWARD = Reply(550, "REQUIRETLS support required on the way to the next server", "5.7.30")
_NO_BINARY = Reply(554, "The next server takes no binary content", "5.6.3")
_NO_EIGHT_BIT = Reply(554, "The next server takes no 8-bit content", "5.6.3")
_NO_UTF8_ADDRESS = Reply(550, "The next server takes no addresses beyond ASCII", "5.6.7")
_NO_UTF8 = Reply(550, "The next server takes no internationalized messages", "5.6.9")

# What a relay may leave out where the next server does not offer it: SIZE is an estimate, 8-bit content is looked for,
# AUTH is a hint (RFC 4954 section 5), and a priority holds for this hop (RFC 6710 section 4.3).
_MAY_BE_LEFT_OUT = frozenset({"SIZE", "BODY", "AUTH", "MT-PRIORITY"})
_ADDED = 512  # octets of a Received field, nearly always


class Transit:
    """The transactions of one session, one after the other, on their way through to the next server.

    It is asked before each step what is to be said there, and told what came of it.

    Args:
        forward_client: whether the next server is told whose mail it is.
        most_hops: Received fields with which a message is refused; None for no bound.
    """

    __slots__ = ("_accepted", "_forward_client", "_introduced", "_messages", "_most_hops")

    def __init__(self, *, forward_client: bool = False, most_hops: int | None = MOST_HOPS) -> None:
        self._forward_client = forward_client
        self._most_hops = most_hops
        self._introduced: dict[str, str] | None = None  # of the client that the next server takes this one for
        self._messages = 0
        self._accepted = 0  # recipients of this transaction

    def begin(self) -> None:
        """The client has said MAIL."""
        self._messages += 1
        self._accepted = 0

    def may_stay(self, session: "SessionFacts") -> bool:
        """Whether the connection that there is can carry this client's mail; it is not left as somebody else's."""
        return self._introduced is None or self._introduced == client_facts(session)

    def before_mail(
        self, client: "ClientConnection", session: "SessionFacts", *, anew: bool
    ) -> "Generator[Wanted, Any, None]":
        """Tell the next server whose mail comes, where that is wanted and it does not know, and count a transaction.

        Args:
            client: the connection to it.
            session: the client's.
            anew: whether the connection was made just now.

        Raises:
            NotSupported: the server's limits allow no further transaction (RFC 9422).
            ReplyError: the server does not want to know.
        """
        if anew:
            self._introduced = None
        if self._forward_client and self._introduced is None:
            facts = client_facts(session)
            if (yield from introduce(client, facts)):
                self._introduced = facts
        client.use.begin(client.capabilities.limits, ())

    def mail(self, client: "ClientConnection", command: Mail) -> Mail:
        """What MAIL is for the next server.

        Args:
            client: the connection to it.
            command: as it came.

        Raises:
            ReplyError: it does not offer what the client asked for.
        """
        parameters = dict(command.parameters)
        offered = client.capabilities
        if parameters.get("BODY") == "BINARYMIME" and not ("BINARYMIME" in offered and "CHUNKING" in offered):
            raise ReplyError(_NO_BINARY)
        if "SMTPUTF8" in parameters and "SMTPUTF8" not in offered:
            sender = command.reverse_path
            raise ReplyError(_NO_UTF8 if sender is None or sender.is_ascii else _NO_UTF8_ADDRESS)
        if "SIZE" in parameters:
            parameters["SIZE"] = min(parameters["SIZE"] + _ADDED, MOST_OCTETS)
        return Mail(command.reverse_path, _onward(client, parameters), client.config.dialect.mail)

    def rcpt(self, client: "ClientConnection", command: Rcpt, session: "SessionFacts") -> Rcpt:
        """What RCPT is for the next server.

        Args:
            client: the connection to it.
            command: as it came.
            session: the client's.

        Raises:
            ReplyError: it does not offer what the client asked for, or answers for each recipient where this client
                hears one reply (RFC 2033 section 4.2), and has accepted one.
        """
        if client.lmtp and self._accepted and not session._core.config.lmtp:
            raise ReplyError(ONE_RECIPIENT)
        return Rcpt(command.forward_path, _onward(client, command.parameters), client.config.dialect.rcpt)

    def rcpt_answered(self, reply: Reply) -> Reply:
        """Count an accepted recipient; the reply is what the client gets."""
        self._accepted += reply.is_positive
        return reply

    def content(
        self, client: "ClientConnection", envelope: "Envelope", session: "SessionFacts", now: float
    ) -> "Generator[Wanted, Any, Sequence[Reply]]":
        """Send the content of the open transaction, piece by piece as it comes.

        Args:
            client: the connection to the next server.
            envelope: of the message.
            session: that it comes in.
            now: seconds since the epoch.

        Returns:
            The replies: one, or in LMTP one for each accepted recipient; where the line broke after some of them, the
            rest are 451.  One that is refused before its end has one reply.

        Raises:
            ReplyError: the message goes round in circles, or cannot be passed on; no end of the content was sent.
            ConnectionLost, Timeout, TLSError, RemoteProtocolError: the line broke before there was a verdict.
        """
        session.identifier = identifier = f"{session.id}-{self._messages}"
        eight_bit = "8BITMIME" in client.capabilities
        passage = Passage(envelope, session, identifier, now, eight_bit=eight_bit, most_hops=self._most_hops)
        if not passage.binary:
            (reply,) = yield (Data(),)
            if not reply.is_intermediate:
                return (reply,)
        held = passage.top
        while (chunk := (yield NEXT_CHUNK)) is not None:
            chunk = passage.feed(chunk)
            if chunk:
                said = yield as_group(held, False, passage.binary)
                if said and not said[0].is_positive:
                    return (said[0],)  # it gave up in the middle
                held = chunk
        try:
            replies: Sequence[Reply] = yield as_group(held + passage.finish(), True, passage.binary)
        except (ConnectionLost, Timeout, TLSError, RemoteProtocolError) as error:
            if not client.lmtp or not error.replies:
                raise
            return (*error.replies, *(LOST,) * (self._accepted - len(error.replies)))
        return replies

    def verdict(self, replies: "Sequence[Reply]", session: "SessionFacts") -> "Reply | list[Reply]":
        """What the client gets for the message: one reply, or in LMTP one for each accepted recipient.

        Args:
            replies: what `content()` gave.
            session: the client's.
        """
        if session._core.config.lmtp and len(replies) == self._accepted:
            return [passed(reply) for reply in replies]
        return passed(replies[0])


class Passage:
    """The content of one message on its way through.

    Args:
        envelope: of the message.
        session: that it comes in.
        identifier: for its Received field.
        now: seconds since the epoch.
        eight_bit: whether the next server takes 8-bit content.
        most_hops: Received fields with which a message is refused; None for no bound.

    Attributes:
        top: the Received field that this hop adds (RFC 5321 section 4.4).
        binary: whether the content goes by BDAT, as it is.
    """

    __slots__ = ("_header", "_seven_bit", "binary", "top")

    def __init__(
        self,
        envelope: "Envelope",
        session: "SessionFacts",
        identifier: str,
        now: float,
        *,
        eight_bit: bool,
        most_hops: int | None = MOST_HOPS,
    ) -> None:
        body = envelope.mail_parameters.get("BODY")
        self._seven_bit = body == "8BITMIME" and not eight_bit  # RFC 6152 section 3
        self._header = HeaderFilter(most_hops=most_hops, return_path=True)
        self.binary = body == "BINARYMIME"
        self.top = "".join(f"{line}\r\n" for line in received(envelope, session, identifier, now)).encode()

    def feed(self, octets: bytes) -> bytes:
        """Take the next piece, and give what may leave.

        Raises:
            ReplyError: the message goes round in circles, or has 8-bit octets that cannot be passed on.
        """
        if self._seven_bit and not octets.isascii():
            raise ReplyError(_NO_EIGHT_BIT)
        return self._header.feed(octets)

    def finish(self) -> bytes:
        """Give what is left at the end."""
        return self._header.finish()


class Source:
    """The body of a message as an adapter's client asks for it, which is the stream of the adapter's server."""

    __slots__ = ("source",)

    held = file = None

    def __init__(self, source: "Any") -> None:
        self.source = source


def passed(reply: Reply) -> Reply:
    """A reply of the next server as the client gets it: as it is, but for 421, which would end the client's session."""
    return Reply(451, reply.lines, reply.enhanced) if reply.code == 421 else reply


def failure(error: SMTPError) -> Reply:
    """What the client is told where the next server cannot be reached or is lost: 451, and nothing of the error's text.

    Args:
        error: of connecting, or of an exchange.
    """
    if isinstance(error, (AuthenticationError, NotSupported)):
        return _MISCONFIGURED
    if isinstance(error, TLSError):
        return _INSECURE
    if isinstance(error, ReplyError):
        return _UNWILLING
    if isinstance(error, RemoteProtocolError):
        return _GARBLED
    return _UNREACHABLE if getattr(error, "stage", "") in ("connect", "greeting") else LOST


def _onward(client: "ClientConnection", parameters: "Mapping[str, Any]") -> "dict[str, Any]":
    kept = {}
    for keyword, value in parameters.items():
        extension = client.config.owners.parameters.get(keyword)
        if extension is None or (extension.keyword in client.capabilities and extension.usable_over(client.tls)):
            kept[keyword] = value
        elif keyword not in _MAY_BE_LEFT_OUT:
            raise ReplyError(_NO_TLS_ONWARD if keyword == "REQUIRETLS" else _NO_PARAMETER)
    return kept
