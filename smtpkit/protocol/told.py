"""What a trusted peer tells of the client that it speaks for, as facts of the session.

The PROXY header has a specification of its own; XCLIENT and XFORWARD are told in Postfix's documents of these names.
"""

from smtpkit.errors import ParseError
from smtpkit.wire.extension_commands import XClient, XForward
from smtpkit.wire.literals import address_literal
from smtpkit.wire.strings import is_number

__all__ = ["TOLD", "take_header", "take_told"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.protocol.session import SessionFacts
    from smtpkit.wire.proxy import ProxyHeader

TOLD = (XClient, XForward)
"""The commands that tell it."""


def take_header(session: "SessionFacts", header: "ProxyHeader") -> None:
    """Let the session be that of the header's client; without an address the proxy speaks for itself."""
    if header.source:
        session.peer = (header.source, header.source_port)
        session.local = (header.destination, header.destination_port)


def take_told(session: "SessionFacts", command: "Any") -> None:
    """Take the attributes of an XCLIENT or XFORWARD that was accepted; nothing else has any effect."""
    # An attribute that is not known any more hides the one that was.
    if type(command) is XClient:
        told = session.told = {**session.told, **command.known}
        session.peer = _address(told, "ADDR", "PORT", session.peer)
        session.local = _address(told, "DESTADDR", "DESTPORT", session.local)
    elif type(command) is XForward:
        session.forwarded = {**session.forwarded, **command.known}


def _address(told: dict[str, str], address: str, port: str, present: "Any") -> "Any":
    host, number = told.get(address, ""), told.get(port, "")
    host = host[5:] if host[:5].upper() == "IPV6:" else host
    if not _is_address(host):
        return present
    return host, int(number) if is_number(number, 5) else 0


def _is_address(host: str) -> bool:
    try:
        return bool(host and address_literal(host))
    except ParseError:
        return False
