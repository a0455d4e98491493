"""What a message needs of the server, held against what the server offers: the parameters of MAIL and RCPT."""

from smtpkit.errors import NotSupported
from smtpkit.wire.commands import Mail, Rcpt

__all__ = ["negotiate"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.outgoing import Outgoing
    from smtpkit.wire.capabilities import Capabilities

# The extension that a caller's parameter belongs to (RFC 3461, 2852, 4865, 6710, 8689, 7293).
_NEEDED = {
    "RET": "DSN",
    "ENVID": "DSN",
    "NOTIFY": "DSN",
    "ORCPT": "DSN",
    "BY": "DELIVERBY",
    "HOLDFOR": "FUTURERELEASE",
    "HOLDUNTIL": "FUTURERELEASE",
    "MT-PRIORITY": "MT-PRIORITY",
    "REQUIRETLS": "REQUIRETLS",
    "RRVS": "RRVS",
    "SIZE": "SIZE",
    "BODY": "8BITMIME",
    "SMTPUTF8": "SMTPUTF8",
    "AUTH": "AUTH",
}


def negotiate(
    capabilities: "Capabilities",
    envelope: "Envelope",
    addresses: "list[str]",
    body: "Outgoing",
    *,
    size: int | None = None,
    utf8_header: bool = False,
    eight_bit: str = "declare",
) -> "tuple[Mail, dict[str, Rcpt]]":
    """The MAIL and RCPT commands of a message to this server.

    Args:
        capabilities: the server's.
        envelope: sender, recipients and the caller's own parameters.
        addresses: the recipients as the caller gave them.
        body: the content.
        size: octets to declare where the body's own size is not known.
        utf8_header: whether the header has 8-bit octets, so that SMTPUTF8 is needed (RFC 6531 section 1.2).
        eight_bit: "declare" to refuse 8-bit content where 8BITMIME is not offered, "send" to send it all the same.

    Raises:
        NotSupported: the server does not offer what is needed; nothing is dropped in silence.
    """
    parameters: dict[str, Any] = dict(envelope.mail_parameters)
    _demand(capabilities, parameters)
    for each in envelope.rcpt_parameters:
        _demand(capabilities, each)
    _declare_size(capabilities, parameters, body, size)
    if utf8_header or not _is_ascii(envelope):
        if "SMTPUTF8" not in capabilities:
            raise NotSupported(
                "a non-ASCII address needs SMTPUTF8, which the server does not offer", extension="SMTPUTF8"
            )
        parameters["SMTPUTF8"] = True
    _declare_body(capabilities, parameters, body, eight_bit)
    commands = {
        address: Rcpt(recipient, each)
        for address, recipient, each in zip(addresses, envelope.recipients, envelope.rcpt_parameters, strict=True)
    }
    return Mail(envelope.sender, parameters), commands


def _demand(capabilities: "Capabilities", parameters: "Any") -> None:
    for keyword in parameters:
        extension = _NEEDED.get(keyword)
        if extension is not None and extension not in capabilities:
            raise NotSupported(f"{keyword}= needs {extension}, which the server does not offer", extension=extension)


def _declare_size(
    capabilities: "Capabilities", parameters: "dict[str, Any]", body: "Outgoing", size: int | None
) -> None:
    if "SIZE" not in capabilities:
        return
    known = body.size if body.size is not None else size
    if known is None:
        return
    limit = capabilities.size
    if limit and known > limit:
        raise NotSupported(f"the message has {known} octets and the server takes {limit} at most", extension="SIZE")
    parameters.setdefault("SIZE", known)


def _declare_body(capabilities: "Capabilities", parameters: "dict[str, Any]", body: "Outgoing", eight_bit: str) -> None:
    if body.binary:
        if "BINARYMIME" not in capabilities or "CHUNKING" not in capabilities:
            raise NotSupported("a binary body needs BINARYMIME and CHUNKING", extension="BINARYMIME")
        parameters["BODY"] = "BINARYMIME"
    elif body.scan is None or body.scan.eight_bit:
        # What is not known beforehand is declared 8-bit where that can be said (RFC 6152 section 3).
        if "8BITMIME" in capabilities:
            parameters.setdefault("BODY", "8BITMIME")
        elif body.scan is not None and eight_bit != "send":
            raise NotSupported("the body has 8-bit octets and the server does not offer 8BITMIME", extension="8BITMIME")


def _is_ascii(envelope: "Envelope") -> bool:
    sender = envelope.sender
    return (sender is None or sender.is_ascii) and all(recipient.is_ascii for recipient in envelope.recipients)
