"""An email message made ready to be sent: envelope from its header, octets without Bcc."""

import re

from smtpkit.errors import ParseError
from smtpkit.protocol.negotiation import has_ascii_form, in_ascii
from smtpkit.wire.addresses import Mailbox

__all__ = ["compose", "needs_utf8", "recipients_in", "sender_in"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.headerregistry import Address
    from email.message import Message as EmailMessage
    from typing import Any

_PRIVATE = ("bcc", "resent-bcc")  # RFC 5322 section 3.6.3
_PLAIN = ("from", "sender", "reply-to", "to", "cc", "bcc")
_ADDRESS_FIELDS = frozenset([*_PLAIN, *(f"resent-{name}" for name in _PLAIN)])


def sender_in(message: "EmailMessage") -> str:
    """The reverse-path that the header names: of the newest Resent- block, else Sender, else the one From.

    Raises:
        ParseError: the header names nobody, or several.
    """
    addresses = _named(message, "sender")[:1] or _named(message, "from")
    if len(addresses) != 1:
        raise ParseError("the header names no single sender", expected="one address in From, or a Sender field")
    return addresses[0]


def recipients_in(message: "EmailMessage") -> list[str]:
    """The forward-paths that the header names in To, Cc and Bcc, or in the newest Resent- block of them.

    Raises:
        ParseError: there is none, or a field cannot be read.
    """
    addresses = _named(message, "to", "cc", "bcc")
    if not addresses:
        raise ParseError("the header names no recipient", expected="an address in To, Cc or Bcc")
    return list(dict.fromkeys(addresses))


def needs_utf8(message: "EmailMessage") -> bool:
    """Whether an address in the header has no form in ASCII."""
    return any(
        not address.addr_spec.isascii() and not has_ascii_form(Mailbox(address.username, address.domain))
        for name, value in _raw(message)
        if name.lower() in _ADDRESS_FIELDS and not str(value).isascii()
        for address in _parsed(message, name, value).addresses
    )


def compose(message: "EmailMessage", *, eight_bit: bool, utf8: bool) -> bytes:
    """The octets of a message, with CRLF line ends and without Bcc; the message itself is not changed.

    Without `utf8`, domains in the header are written in ASCII, and names as encoded words.

    Args:
        message: of the standard library's email package.
        eight_bit: whether 8-bit parts may stay as they are (8BITMIME).
        utf8: whether the header may be UTF-8 (SMTPUTF8).

    Raises:
        ParseError: it cannot be written, or a field holds a newline that would begin another.
        NotSupported: the header has an address that cannot be written without `utf8`.
    """
    from email.errors import MessageError
    from email.generator import BytesGenerator
    from email.policy import Compat32
    from io import BytesIO

    _check_type(message)
    _check_fields(message)
    public = _public(message)
    policy: Any = message.policy
    changes: dict[str, Any] = {"linesep": "\r\n", "cte_type": "8bit" if eight_bit else "7bit"}
    legacy = isinstance(policy, Compat32)
    if not legacy:
        changes["utf8"] = utf8
    if legacy or not utf8:
        _write_addresses(public, legacy, utf8)
    out = BytesIO()
    try:
        BytesGenerator(out, mangle_from_=False, policy=policy.clone(**changes)).flatten(public)
    except (MessageError, ValueError, LookupError) as error:
        raise ParseError(f"the message cannot be written: {error}") from error
    return out.getvalue()


def _check_type(message: object) -> None:
    if not hasattr(message, "_headers"):
        raise TypeError(f"a message is an EmailMessage, not {type(message).__name__}: send() takes octets")


def _check_fields(message: "EmailMessage") -> None:
    for part in message.walk():
        for name, value in _raw(part):
            if re.fullmatch(r"[!-9;-~]+", name) is None:
                raise ParseError("not the name of a header field", name)
            if re.search(r"(?:\r\n?+|\n)(?![ \t])", str(value)):
                raise ParseError(f"a newline in the field {name}", str(value))


def _public(message: "EmailMessage") -> "EmailMessage":
    # A copy, since the generator gives a boundary to the parts that have none.
    from copy import copy, deepcopy

    public = deepcopy(message) if message.is_multipart() else copy(message)
    public._headers = [pair for pair in _raw(message) if pair[0].lower() not in _PRIVATE]  # type: ignore[attr-defined]
    return public


def _write_addresses(message: "EmailMessage", legacy: bool, utf8: bool) -> None:
    # A legacy Message cannot write UTF-8: it is folded here, and handed on as the octets that it passes unchanged.
    from email import policy

    headers = _raw(message)
    for index, (name, value) in enumerate(headers):
        if name.lower() in _ADDRESS_FIELDS and not str(value).isascii():
            header = _parsed(message, name, value)
            if not utf8:
                header = _in_ascii(name, header)
            if legacy:
                written = header.fold(policy=policy.default.clone(utf8=utf8)).partition(":")[2].strip()
                header = written.encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape")
            headers[index] = (name, header)


def _in_ascii(name: str, header: "Any") -> "Any":
    from email.headerregistry import Address, Group
    from email.policy import default

    def converted(address: "Address") -> "Address":
        if address.addr_spec.isascii():
            return address
        mailbox = in_ascii(Mailbox(address.username, address.domain))
        return Address(address.display_name, mailbox.local_part, mailbox.domain)

    groups = [Group(group.display_name, [converted(each) for each in group.addresses]) for group in header.groups]
    return default.header_factory(name, groups)


def _named(message: "EmailMessage", *fields: str) -> list[str]:
    _check_type(message)
    resent = "Resent-From" in message
    wanted = [f"resent-{field}" if resent else field for field in fields]
    return [
        str(Mailbox(address.username, address.domain))
        for name, value in (_newest_block(message) if resent else _raw(message))
        if name.lower() in wanted
        for address in _parsed(message, name, value).addresses
    ]


def _newest_block(message: "EmailMessage") -> "Iterator[tuple[str, Any]]":
    # Each block is put on top of the older ones (RFC 5322 section 3.6.6), where trace fields may separate them.
    seen: set[str] = set()
    for name, value in _raw(message):
        name = name.lower()
        if name in seen or (seen and name in ("received", "return-path")):
            return
        if name.startswith("resent-"):
            seen.add(name)
            yield name, value


def _parsed(message: "EmailMessage", name: str, value: "Any") -> "Any":
    # The parser of EmailMessage serves a legacy Message, too: that one's own takes the wrong one of two addresses.
    from email.errors import InvalidHeaderDefect
    from email.policy import default

    header: Any = message.policy.header_fetch_parse(name, value)
    if not hasattr(header, "groups"):
        header = default.header_factory(name, "".join(str(header).splitlines()))
    if any(isinstance(defect, InvalidHeaderDefect) for defect in header.defects):
        raise ParseError(f"the field {name} holds what is no address", str(header))
    return header


def _raw(message: "EmailMessage") -> "list[tuple[str, Any]]":
    headers: list[tuple[str, Any]] = message._headers  # type: ignore[attr-defined]
    return headers
