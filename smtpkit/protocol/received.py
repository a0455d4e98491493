"""The trace fields that go on top of a message: at each hop, and at its final delivery (RFC 5321 section 4.4)."""

import re

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import is_domain
from smtpkit.wire.literals import address_literal, is_address_literal

__all__ = ["received", "trace_fields"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.session import SessionFacts

_LONGEST_NAME = 255  # octets of what a client calls itself


def trace_fields(envelope: "Envelope", session: "SessionFacts", identifier: str, now: float) -> list[str]:
    """Return-Path, a Delivered-To for each recipient, and Received, as lines without their ends.

    Args:
        envelope: of the message.
        session: that it came in.
        identifier: of the message, an atom.
        now: seconds since the epoch.
    """
    sender = "" if envelope.sender is None else str(envelope.sender)
    recipients = dict.fromkeys(map(str, envelope.recipients))
    return [
        f"Return-Path: <{sender}>",
        *(f"Delivered-To: {recipient}" for recipient in recipients),
        *received(envelope, session, identifier, now),
    ]


def received(envelope: "Envelope", session: "SessionFacts", identifier: str, now: float) -> list[str]:
    """The Received field, folded into lines; arguments as for `trace_fields()`.

    FOR is there with one recipient only: it would tell the others' addresses, Bcc among them.
    """
    from email.utils import formatdate

    only = f"for <{envelope.recipients[0]}>" if len(set(envelope.recipients)) == 1 else ""
    with_clause = f"with {session.protocol} id {identifier}"
    return [
        f"Received: from {_client(session)}",
        f"\tby {session.hostname} {with_clause}{';' if not only else ''}",
        *([f"\t{only};"] if only else []),
        f"\t{formatdate(now, localtime=True)}",
    ]


def _client(session: "SessionFacts") -> str:
    # Extended-Domain: the name that the client gives itself, and what is known of it, its address.
    name = session.hello_name or ""
    literal = _literal(session.peer)
    if is_address_literal(name) or (is_domain(name) and (name.isascii() or session.protocol.startswith("UTF8"))):
        return f"{name} ({literal})" if literal else name
    # No name that may stand here: the address does, and the name is a comment.
    return f"{literal or 'localhost'} (HELO {_cleaned(name)})"


def _literal(peer: object) -> str:
    if isinstance(peer, tuple):
        try:
            return address_literal(str(peer[0]))
        except ParseError:
            pass
    return ""  # a unix socket


def _cleaned(name: str) -> str:
    # Nothing that could end the comment, or quote its end.
    return re.sub(r"[^!#-'*-\[\]-~]", "?", name[:_LONGEST_NAME])
