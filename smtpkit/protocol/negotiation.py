"""What a message needs of the server, held against what the server offers: the parameters of MAIL and RCPT."""

from smtpkit.errors import NotSupported, ParseError
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import Mail, Rcpt

__all__ = ["demand", "has_ascii_form", "in_ascii", "negotiate"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.extensions import Extension
    from smtpkit.protocol.outgoing import Outgoing
    from smtpkit.wire.capabilities import Capabilities

_NONE: "Mapping[str, Any]" = {}


def negotiate(
    client: "ClientConnection",
    sender: Mailbox | None,
    recipients: "dict[str, Mailbox]",
    body: "Outgoing",
    *,
    mail_parameters: "Mapping[str, Any]" = _NONE,
    rcpt_parameters: "Sequence[Mapping[str, Any]]" = (),
    size: int | None = None,
    eight_bit: str = "declare",
    utf8_header: bool = False,
) -> "tuple[Mail, dict[str, Rcpt]]":
    """The MAIL and RCPT commands of a message to this server.

    Args:
        client: the connection, after EHLO.
        sender: the reverse-path.
        recipients: the forward-paths, by the addresses as the caller gave them.
        body: the content.
        mail_parameters, rcpt_parameters: the caller's own, of RCPT for each recipient or none.
        size: octets to declare where the body's own size is not known.
        eight_bit: "declare" to refuse 8-bit content where 8BITMIME is not offered, "send" to send it all the same.
        utf8_header: whether the header holds addresses that are not ASCII, as they are.

    Raises:
        NotSupported: the server does not offer what is needed; nothing is dropped in silence.
        ParseError: a parameter is none that may be sent.
    """
    capabilities, dialect = client.capabilities, client.config.dialect
    parameters = _demanded(client, mail_parameters) if mail_parameters else {}
    if "SIZE" in capabilities:
        _declare_size(capabilities, parameters, size if body.size is None else body.size)
    scan = body.scan
    if mail_parameters or body.binary or scan is None or scan.eight_bit:
        _declare_body(capabilities, parameters, body, eight_bit)
    paths: Iterable[Mailbox] = recipients.values()
    if utf8_header or not ((sender is None or sender.is_ascii) and all(map(str.isascii, recipients))):
        # Who relays a message with SMTPUTF8 bounces it where the next server lacks that: it is asked for in need only.
        try:
            if utf8_header:
                raise _beyond_ascii("the header")
            sender, paths = sender and in_ascii(sender), tuple(map(in_ascii, paths))
        except NotSupported:
            if "SMTPUTF8" not in capabilities:
                raise
            parameters["SMTPUTF8"] = True
    mail = Mail(sender, parameters, dialect.mail)
    if mail_parameters:  # what was declared here fits
        _check(client, mail.parameters)
    if not any(rcpt_parameters):
        return mail, dict(zip(recipients, map(Rcpt, paths), strict=True))
    commands = {}
    for address, path, each in zip(recipients, paths, rcpt_parameters, strict=True):
        command = commands[address] = Rcpt(path, _demanded(client, each), dialect.rcpt)
        _check(client, command.parameters)
    return mail, commands


def demand(client: "ClientConnection", extension: "Extension", word: str) -> None:
    """See to it that a word of an extension, a verb or a parameter, may be said.

    Raises:
        NotSupported: the server does not offer the extension, or it needs TLS with a verified server.
    """
    name = extension.keyword
    if name not in client.capabilities:
        if word == name:
            raise NotSupported(f"the server does not offer {name}", extension=name)
        raise NotSupported(f"{word} needs {name}, which the server does not offer", extension=name)
    if not extension.usable_over(client.tls):
        raise NotSupported(f"{word} needs TLS and a verified certificate", extension=name)


def in_ascii(mailbox: Mailbox) -> Mailbox:
    """The same mailbox with its domain in ASCII (RFC 5891 section 4.4); a local-part has no such form.

    Raises:
        NotSupported: there is none.
    """
    if mailbox.is_ascii:
        return mailbox
    domain = mailbox.domain
    if mailbox.local_part.isascii():
        try:
            encoded = domain.encode("idna").decode("ascii")
            # The codec knows IDNA 2003, which makes other names of some: those are not to be guessed at.
            if encoded.encode("ascii").decode("idna") == domain.lower():
                return Mailbox(mailbox.local_part, encoded)
        except UnicodeError:
            pass  # as of a label that is too long
    raise _beyond_ascii(mailbox)


def has_ascii_form(mailbox: Mailbox) -> bool:
    """Whether a mailbox can be said without SMTPUTF8."""
    try:
        return in_ascii(mailbox).is_ascii
    except NotSupported:
        return False


def _beyond_ascii(what: object) -> NotSupported:
    return NotSupported(f"{what} needs SMTPUTF8, which the server does not offer", extension="SMTPUTF8")


def _demanded(client: "ClientConnection", parameters: "Mapping[str, Any]") -> "dict[str, Any]":
    demanded = {keyword.upper(): value for keyword, value in parameters.items()}
    owners = client.config.owners.parameters
    for keyword in demanded:
        if keyword in owners:
            demand(client, owners[keyword], keyword)
    return demanded


def _check(client: "ClientConnection", parameters: "Mapping[str, Any]") -> None:
    # What the server would refuse by what it says in its EHLO reply is not sent.
    owners = client.config.owners.parameters
    for keyword in parameters:
        extension = owners.get(keyword)
        if extension is not None and extension.check is not None:
            reply = extension.check(parameters, client.capabilities.value(extension.keyword))
            if reply is not None:
                raise NotSupported(f"{keyword}: the server would refuse it: {reply}", extension=extension.keyword)


def _declare_size(capabilities: "Capabilities", parameters: "dict[str, Any]", size: int | None) -> None:
    if size is None:
        return
    limit = capabilities.size
    if limit and size > limit:
        raise NotSupported(f"the message has {size} octets and the server takes {limit} at most", extension="SIZE")
    parameters.setdefault("SIZE", size)


def _declare_body(capabilities: "Capabilities", parameters: "dict[str, Any]", body: "Outgoing", eight_bit: str) -> None:
    if body.binary:
        if "BINARYMIME" not in capabilities or "CHUNKING" not in capabilities:
            raise NotSupported("a binary body needs BINARYMIME and CHUNKING", extension="BINARYMIME")
        parameters["BODY"] = "BINARYMIME"
    elif parameters.get("BODY") == "BINARYMIME":
        raise ParseError("BODY=BINARYMIME is for a body that is sent with binary=True")
    elif body.scan is None or body.scan.eight_bit:
        # What is not known beforehand is declared 8-bit where that can be said (RFC 6152 section 3).
        if "8BITMIME" in capabilities:
            parameters["BODY"] = "8BITMIME"
        elif body.scan is not None and eight_bit != "send":
            raise NotSupported("the body has 8-bit octets and the server does not offer 8BITMIME", extension="8BITMIME")
