"""A send as the caller asks for it, made into the exchange that carries it out."""

from smtpkit.errors import LocalProtocolError, ParseError
from smtpkit.protocol.composition import compose, needs_utf8, recipients_in, sender_in
from smtpkit.protocol.dsn import DSN
from smtpkit.protocol.envelope import forward_path, reverse_path
from smtpkit.protocol.message import Message
from smtpkit.protocol.negotiation import has_ascii_form, negotiate
from smtpkit.protocol.outgoing import Outgoing, scanned, scanned_whole
from smtpkit.protocol.splitting import transactions
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.newlines import PlainBody
from smtpkit.wire.parameter_values import DeliverBy, OriginalRecipient

__all__ = ["OPTIONS", "Sending"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.needs import Wanted
    from smtpkit.protocol.outgoing import Scan
    from smtpkit.protocol.results import SendResult

_BLOCK = 256 * 1024  # octets read from a file at a time

OPTIONS = {
    "newlines": '"normalize" (default), "strict" (long lines too) or "as-is": what becomes of a lone CR or LF',
    "partial": "False to send nothing unless every recipient is accepted",
    "raise_for": '"all" (default) to raise if nobody was accepted, "any" to raise on any refusal',
    "chunking": "True for BDAT, False for DATA, None for what is shorter",
    "max_recipients": "recipients of one transaction; more are sent in several, with one result",
    "size": "octets to declare for a body that cannot be read twice",
    "eight_bit": '"declare" (default), or "send" to send 8-bit octets to a server without 8BITMIME',
    "binary": "True for BODY=BINARYMIME: octets as they are",
    "deadline": "seconds for all waits of the send; your own code that gives the body is not cut short",
    "dsn": "DSN(…): which delivery status notifications are wanted",
    "requiretls": "True to demand TLS with verified certificates on the whole way (RFC 8689)",
    "hold_for": "seconds to hold the message back (RFC 4865)",
    "deliver_by": "DeliverBy, or seconds in which to deliver (RFC 2852)",
    "priority": "-9 to 9 (RFC 6710)",
    "mail_parameters": "further parameters of MAIL: keyword to typed value",
    "rcpt_parameters": "further parameters of RCPT: one mapping for all, or one for each recipient",
}
_OF_NEGOTIATION = ("size", "eight_bit")
_OF_TRANSACTIONS = ("max_recipients", "partial", "chunking", "raise_for")


class Sending:
    """One message on its way.

    Args:
        client: the connection, after EHLO.
        sender, recipients, body: as for `Client.send()`.
        options: of OPTIONS.

    Attributes:
        held: the content where it is in memory, else None.
        file: a file that it is read from, or None.
        source: an iterator or async iterator that gives it, or None.
        deadline: seconds, or None.

    Raises:
        TypeError: there is no such option, or the body is no body.
        ValueError: an option's value makes no sense.
        ParseError: an address or a parameter is not in the grammar.
        LocalProtocolError: there is no recipient.
    """

    def __init__(
        self, client: "ClientConnection", sender: "Any", recipients: "Any", body: "Any", options: "dict[str, Any]"
    ) -> None:
        if options:
            _check_options(options)
        self._client = client
        self._options = options
        self._sender = reverse_path(sender)
        recipients = [recipients] if isinstance(recipients, (str, Mailbox)) else list(recipients)
        self._recipients = {str(recipient): forward_path(recipient) for recipient in recipients}
        if not recipients:
            raise LocalProtocolError("a message needs a recipient", expected="at least one")
        self._negotiated = self._asked(recipients) if options else {}
        self._strict = options.get("newlines") == "strict"
        self._scan: Scan | None = None
        self.deadline: float | None = options.get("deadline")
        self.held: bytes | None = None
        self.file: Any = None
        self.source: Any = None
        self._next_body: Outgoing | None = None
        self._start: int | None = None  # of the content in a file that can be read twice
        if type(body) is bytes:  # as mostly
            self.held = body
            return
        if callable(body):
            body = body()
        if isinstance(body, str):
            raise TypeError("a body is bytes, not str: encode it, or use send_message()")
        if isinstance(body, (bytes, bytearray, memoryview)):
            self.held = bytes(body)
        elif hasattr(body, "read"):
            self.file = body
        else:
            self.source = body.__aiter__() if hasattr(body, "__aiter__") else iter(body)

    @classmethod
    def of_message(
        cls, client: "ClientConnection", message: "Any", sender: "Any", recipients: "Any", options: "dict[str, Any]"
    ) -> "Sending":
        """A send of an EmailMessage, or of a Message that a server received.

        Args:
            client, options: as for the class.
            message: it is not changed; Bcc is left out of what is sent.
            sender, recipients: None takes them from the header, or from the envelope of a Message.

        Raises:
            TypeError, ValueError, ParseError, LocalProtocolError: as the class, and where the message or its header is
                at fault.
            NotSupported: the header has an address that this server cannot be told.
        """
        if isinstance(message, Message):
            sender = sender if sender is not None else message.envelope.sender
            recipients = recipients if recipients is not None else message.envelope.recipients
            return cls(client, sender, recipients, message.content, options)
        sender = sender if sender is not None else sender_in(message)
        recipients = recipients if recipients is not None else recipients_in(message)
        if isinstance(recipients, (str, Mailbox)):
            recipients = [recipients]
        capabilities = client.capabilities
        utf8 = "SMTPUTF8" in capabilities and (
            needs_utf8(message) or not all(map(_has_ascii_form, (sender, *recipients)))
        )
        content = compose(message, eight_bit="8BITMIME" in capabilities, utf8=utf8)
        sending = cls(client, sender, recipients, content, options)
        sending._negotiated["utf8_header"] = utf8
        return sending

    def scan_file(self) -> None:
        """Read a file that can be read twice once, to know its size and what is in it; it blocks.

        Raises:
            TypeError: it is a text file.
        """
        if getattr(self.file, "seekable", bool)():
            self._start = self.file.tell()
            self._scan = scanned(self._blocks(), lines=self._strict)
            self.file.seek(self._start)

    def read(self) -> bytes | None:
        """The next block of the file, None at its end; it blocks."""
        return self.file.read(_BLOCK) or None

    def exchange(self) -> "Generator[Wanted, Any, SendResult]":
        """The exchange that sends it.

        Returns:
            The outcome of each recipient; at least one was accepted.

        Raises:
            SenderRefused, RecipientsRefused, MessageRefused: nobody was accepted, or `raise_for` is "any".
            NotSupported, ParseError: it cannot be sent; where the body says so only on its way, no end of it was sent.
            ConnectionLost, Timeout, RemoteProtocolError: `.recipients` says what became of whom.
        """
        options, client = self._options, self._client
        if self.held is not None:
            self._scan = scanned_whole(self.held, lines=self._strict)
        body = self._next_body = self._make_body()
        mail, commands = negotiate(client, self._sender, self._recipients, body, **self._negotiated)
        replayable = self.held is not None or self._start is not None
        wanted = {name: options[name] for name in _OF_TRANSACTIONS if name in options} if options else {}
        return (yield from transactions(client, mail, commands, self._body, replayable=replayable, **wanted))

    def _body(self) -> Outgoing:
        # The content, from its beginning: for each transaction its own.
        body, self._next_body = self._next_body, None
        return body or self._make_body()

    def _make_body(self) -> Outgoing:
        if self._start is not None:
            self.file.seek(self._start)
        options = self._options
        if not options and type(self._scan) is PlainBody:  # as mostly
            return Outgoing(self.held, self._scan)
        return Outgoing(
            self.held,
            self._scan,
            newlines=options.get("newlines", "normalize"),
            binary=options.get("binary", False),
            eight_bit="8BITMIME" in self._client.capabilities or options.get("eight_bit") == "send",
        )

    def _blocks(self) -> "Iterator[bytes]":
        while (block := self.read()) is not None:
            yield block

    def _asked(self, recipients: "list[Any]") -> "dict[str, Any]":
        # What negotiate() is told of the options.
        given = {name: self._options[name] for name in _OF_NEGOTIATION if name in self._options}
        mail, rcpt = self._mail_parameters(), self._rcpt_parameters(recipients)
        return {**given, "mail_parameters": mail, "rcpt_parameters": rcpt}

    def _mail_parameters(self) -> "dict[str, Any]":
        options = self._options
        dsn = options.get("dsn")
        deliver_by = options.get("deliver_by")
        if isinstance(deliver_by, int):
            deliver_by = DeliverBy(deliver_by, "N")
        wanted = {
            "RET": dsn and dsn.ret,
            "ENVID": dsn and dsn.envid,
            "REQUIRETLS": options.get("requiretls") or None,
            "HOLDFOR": options.get("hold_for"),
            "BY": deliver_by,
            "MT-PRIORITY": options.get("priority"),
        }
        given = {keyword: value for keyword, value in wanted.items() if value is not None}
        return {**given, **(options.get("mail_parameters") or {})}

    def _rcpt_parameters(self, recipients: "list[Any]") -> "list[dict[str, Any]]":
        dsn = self._options.get("dsn")
        given = self._options.get("rcpt_parameters") or {}
        each: list[Any] = [given] * len(recipients) if hasattr(given, "keys") else list(given)
        if len(each) != len(recipients):
            raise ParseError("not as many rcpt_parameters as recipients", expected="one mapping, or one for each")
        parameters: dict[str, dict[str, Any]] = {}
        for address, own in zip(map(str, recipients), each, strict=True):
            wanted: dict[str, Any] = {}
            if dsn is not None and dsn.notify:
                wanted["NOTIFY"] = dsn.notify
            if dsn is not None and dsn.orcpt:
                wanted["ORCPT"] = OriginalRecipient("rfc822" if address.isascii() else "utf-8", address)
            parameters.setdefault(address, {**wanted, **own})
        return list(parameters.values())


def _has_ascii_form(address: "Any") -> bool:
    text = str(address)
    return text.isascii() or has_ascii_form(address if isinstance(address, Mailbox) else Mailbox.parse(text))


def _check_options(options: "dict[str, Any]") -> None:
    unknown = options.keys() - OPTIONS.keys()
    if unknown:
        raise TypeError(f"no option {', '.join(sorted(unknown))}; there are {', '.join(OPTIONS)}")
    if options.get("raise_for", "all") not in ("all", "any"):
        raise ValueError(f"raise_for is all or any, not {options['raise_for']!r}")
    if options.get("eight_bit", "declare") not in ("declare", "send"):
        raise ValueError(f"eight_bit is declare or send, not {options['eight_bit']!r}")
    deadline = options.get("deadline")
    if deadline is not None and not deadline > 0:
        raise ValueError(f"a deadline is a number of seconds above 0, not {deadline!r}")
    if not isinstance(options.get("dsn"), (DSN, type(None))):
        raise TypeError(f"dsn is a DSN, not {type(options['dsn']).__name__}")
    for name, least in (("max_recipients", 1), ("size", 0)):
        number = options.get(name)
        if number is not None and not (isinstance(number, int) and number >= least):
            raise ValueError(f"{name} is a whole number from {least} on, not {number!r}")
