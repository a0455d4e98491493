"""How a relay tells the next server whose mail it is that comes: XCLIENT and XFORWARD."""

from contextlib import suppress

from smtpkit.errors import ParseError, ReplyError
from smtpkit.protocol.exchanges import hello
from smtpkit.wire.addresses import domain_or_literal
from smtpkit.wire.commands import XClient, XForward
from smtpkit.wire.extension_commands import UNAVAILABLE
from smtpkit.wire.literals import address_literal

__all__ = ["client_facts", "introduce"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.needs import Wanted
    from smtpkit.protocol.session import SessionFacts

_LONGEST_FACT = 255  # characters of an attribute


def client_facts(session: "SessionFacts") -> "dict[str, str]":
    """What XCLIENT and XFORWARD can tell of a session (Postfix's documents of both)."""
    facts = {"NAME": UNAVAILABLE, "PROTO": "SMTP" if session.protocol == "SMTP" else "ESMTP"}
    for names, address in ((("ADDR", "PORT"), session.peer), (("DESTADDR", "DESTPORT"), session.local)):
        told = (UNAVAILABLE, UNAVAILABLE)
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
    return kept or UNAVAILABLE


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
