"""A mail transaction on its way through to the next server: what is passed on, and what is answered in its place."""

from contextlib import suppress

from smtpkit.errors import (
    AuthenticationError,
    ConnectionLost,
    NotSupported,
    ParseError,
    RemoteProtocolError,
    ReplyError,
    SMTPError,
    Timeout,
    TLSError,
)
from smtpkit.protocol.events import BodyChunk
from smtpkit.protocol.exchanges import hello
from smtpkit.protocol.header_filter import MOST_HOPS, HeaderFilter
from smtpkit.protocol.needs import NEXT_CHUNK
from smtpkit.protocol.received import received
from smtpkit.wire.addresses import domain_or_literal
from smtpkit.wire.commands import Bdat, Data, Mail, Rcpt, XClient, XForward
from smtpkit.wire.literals import address_literal
from smtpkit.wire.replies import Reply

__all__ = [
    "LOST",
    "ONE_RECIPIENT",
    "Passage",
    "Source",
    "client_facts",
    "content",
    "failure",
    "introduce",
    "mail_onward",
    "passed",
    "rcpt_onward",
    "verdict",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.exchanges import Wanted
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
_MOST_OCTETS = 10**20 - 1  # SIZE has 20 digits (RFC 1870 section 6)
_LONGEST_FACT = 255  # characters of an attribute
_UNKNOWN = "[UNAVAILABLE]"


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


def mail_onward(client: "ClientConnection", command: Mail, added: int = 0) -> Mail:
    """The MAIL command for the next server.

    Args:
        client: the connection to it.
        command: as it came.
        added: octets that the content grows by, for SIZE.

    Raises:
        ReplyError: the next server does not offer what the client asked for.
    """
    parameters = dict(command.parameters)
    offered = client.capabilities
    if parameters.get("BODY") == "BINARYMIME" and not ("BINARYMIME" in offered and "CHUNKING" in offered):
        raise ReplyError(_NO_BINARY)
    if "SMTPUTF8" in parameters and "SMTPUTF8" not in offered:
        sender = command.reverse_path
        raise ReplyError(_NO_UTF8 if sender is None or sender.is_ascii else _NO_UTF8_ADDRESS)
    if "REQUIRETLS" in parameters and not ("REQUIRETLS" in offered and client.tls is not None and client.tls.verified):
        raise ReplyError(_NO_TLS_ONWARD)
    if "SIZE" in parameters:
        parameters["SIZE"] = min(parameters["SIZE"] + added, _MOST_OCTETS)
    return Mail(command.reverse_path, _onward(client, parameters), client.config.dialect.mail)


def rcpt_onward(client: "ClientConnection", command: Rcpt) -> Rcpt:
    """The same for RCPT."""
    return Rcpt(command.forward_path, _onward(client, command.parameters), client.config.dialect.rcpt)


def _onward(client: "ClientConnection", parameters: "Mapping[str, Any]") -> "dict[str, Any]":
    kept = {}
    for keyword, value in parameters.items():
        extension = client.config.owners.parameters.get(keyword)
        if extension is None or extension.keyword in client.capabilities:
            kept[keyword] = value
        elif keyword not in _MAY_BE_LEFT_OUT:
            raise ReplyError(_NO_PARAMETER)
    return kept


def client_facts(session: "SessionFacts") -> "dict[str, str]":
    """What XCLIENT and XFORWARD can tell of a session (Postfix's documents of both)."""
    facts = {"NAME": _UNKNOWN, "PROTO": "SMTP" if session.protocol == "SMTP" else "ESMTP"}
    for names, address in ((("ADDR", "PORT"), session.peer), (("DESTADDR", "DESTPORT"), session.local)):
        told = (_UNKNOWN, _UNKNOWN)
        if isinstance(address, tuple):
            with suppress(ParseError):
                told = (address_literal(str(address[0]))[1:-1], str(address[1]))
        facts.update(zip(names, told, strict=True))
    facts["HELO"] = _fact(session.hello_name)
    facts["LOGIN"] = _fact(session.identity)
    facts["IDENT"] = _fact(session.id)
    facts["SOURCE"] = "REMOTE" if isinstance(session.peer, tuple) else "LOCAL"
    return facts


def _fact(text: str | None) -> str:
    kept = "".join(each if each.isascii() and each.isprintable() else "?" for each in (text or "")[:_LONGEST_FACT])
    return kept or _UNKNOWN


def introduce(client: "ClientConnection", facts: "Mapping[str, str]") -> "Generator[Wanted, Any, bool]":
    """Tell the next server whose mail it is that comes, by XCLIENT, else by XFORWARD, where it offers one of them.

    After XCLIENT the session begins anew, with the client's own name.

    Returns:
        Whether the connection is that client's from now on, and can be nobody else's.

    Raises:
        ReplyError: the server refused.
    """
    for kind in (XClient, XForward):
        names = client.capabilities.get(kind.verb, ())
        told = {name: value for name, value in facts.items() if name in names}
        if not told:
            continue
        command = kind(told)
        (reply,) = yield (command,)
        if not reply.is_positive:
            raise ReplyError(reply, command)
        if kind is XClient:
            yield from hello(client, _name(client, facts["HELO"]))
            return True
        break
    return False


def _name(client: "ClientConnection", name: str) -> str:
    try:
        domain_or_literal(name)
    except ParseError:
        return client.config.hostname or "localhost"
    return name


def content(client: "ClientConnection", passage: Passage, recipients: int) -> "Generator[Wanted, Any, Sequence[Reply]]":
    """Send the content of the open transaction, piece by piece as it comes.

    Args:
        client: the connection to the next server.
        passage: the content.
        recipients: how many the next server has accepted.

    Returns:
        The replies: one, or in LMTP one for each accepted recipient; where the line broke after some of them, the rest
        are 451.  One that is refused before its end has one reply.

    Raises:
        ReplyError: `passage` refuses the message; no end of the content was sent.
        ConnectionLost, Timeout, TLSError, RemoteProtocolError: the line broke before there was a verdict.
    """
    if not passage.binary:
        (reply,) = yield (Data(),)
        if not reply.is_intermediate:
            return (reply,)
    held = passage.top
    while (chunk := (yield NEXT_CHUNK)) is not None:
        chunk = passage.feed(chunk)
        if chunk:
            said = yield _piece(held, False, passage.binary)
            if said and not said[0].is_positive:
                return (said[0],)  # it gave up in the middle
            held = chunk
    try:
        replies: Sequence[Reply] = yield _piece(held + passage.finish(), True, passage.binary)
    except (ConnectionLost, Timeout, TLSError, RemoteProtocolError) as error:
        if not client.lmtp or not error.replies:
            raise
        return (*error.replies, *(LOST,) * (recipients - len(error.replies)))
    return replies


def _piece(octets: bytes, last: bool, binary: bool) -> "tuple[Bdat | BodyChunk, ...]":
    chunk = BodyChunk(octets, last)
    return (Bdat(len(octets), last), chunk) if binary else (chunk,)


def passed(reply: Reply) -> Reply:
    """A reply of the next server as the client gets it: as it is, but for 421, which would end the client's session."""
    return Reply(451, reply.lines, reply.enhanced) if reply.code == 421 else reply


def verdict(replies: "Sequence[Reply]", recipients: int, *, lmtp: bool) -> "Reply | list[Reply]":
    """What the client gets for the message.

    Args:
        replies: what `content()` gave.
        recipients: how many were accepted.
        lmtp: whether the client is told of each.
    """
    if lmtp and len(replies) == recipients:
        return [passed(reply) for reply in replies]
    return passed(replies[0])


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
