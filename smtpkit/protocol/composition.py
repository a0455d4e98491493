"""An email message made ready to be sent: envelope from its header, octets without Bcc."""

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox

__all__ = ["compose", "recipients_in", "sender_in"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import Message as EmailMessage
    from typing import Any

_PRIVATE = ("bcc", "resent-bcc")  # RFC 5322 section 3.6.3


def sender_in(message: "EmailMessage") -> str:
    """The reverse-path that the header names: of the newest Resent- block, else Sender, else the one From.

    Raises:
        ParseError: the header names nobody, or several.
    """
    prefix = "Resent-" if message.get_all("Resent-From") else ""
    addresses = _addresses(message, [f"{prefix}Sender"])[:1] or _addresses(message, [f"{prefix}From"])
    if len(addresses) != 1:
        raise ParseError("the header names no single sender", expected="one address in From, or a Sender field")
    return addresses[0]


def recipients_in(message: "EmailMessage") -> list[str]:
    """The forward-paths that the header names in To, Cc and Bcc, or in the newest Resent- block of them.

    Raises:
        ParseError: there is none.
    """
    prefix = "Resent-" if message.get_all("Resent-From") else ""
    addresses = _addresses(message, [f"{prefix}To", f"{prefix}Cc", f"{prefix}Bcc"])
    if not addresses:
        raise ParseError("the header names no recipient", expected="an address in To, Cc or Bcc")
    return list(dict.fromkeys(addresses))


def compose(message: "EmailMessage", *, eight_bit: bool, utf8: bool) -> bytes:
    """The octets of a message, with CRLF line ends and without Bcc; the message itself is not changed.

    Args:
        message: of the standard library's email package.
        eight_bit: whether 8-bit parts may stay as they are (8BITMIME).
        utf8: whether the header may be UTF-8 (SMTPUTF8).
    """
    from email.generator import BytesGenerator
    from email.policy import Compat32
    from io import BytesIO

    policy: Any = message.policy
    changes: dict[str, Any] = {"linesep": "\r\n", "cte_type": "8bit" if eight_bit else "7bit"}
    if not isinstance(policy, Compat32):
        changes["utf8"] = utf8
    out = BytesIO()
    BytesGenerator(out, policy=policy.clone(**changes)).flatten(_public(message))
    return out.getvalue()


def _public(message: "EmailMessage") -> "EmailMessage":
    if not any(name in message for name in _PRIVATE):
        return message
    from copy import copy

    public = copy(message)
    # The header is a list of pairs; a copy of its own keeps the caller's as it is.
    public._headers = [pair for pair in message._headers if pair[0].lower() not in _PRIVATE]  # type: ignore[attr-defined]
    return public


def _addresses(message: "EmailMessage", fields: "list[str]") -> list[str]:
    from email.utils import getaddresses

    found = []
    for field in fields:
        values = message.get_all(field, [])[:1] if field.startswith("Resent-") else message.get_all(field, [])
        for value in values:
            parsed = getattr(value, "addresses", None)
            if parsed is not None:
                found += [_spelled(each.username, each.domain) for each in parsed]
            else:
                found += [address for _, address in getaddresses([str(value)]) if address]
    return found


def _spelled(local_part: str, domain: str) -> str:
    return str(Mailbox(local_part, domain))
