"""The short exchanges of a client: greeting, hello, STARTTLS, a single command, quit, and the opening.

An exchange is a generator without I/O.  It yields what it needs from outside and is resumed with that:
a tuple of commands, sent as one group (with their replies), `Expect` (with that many replies), `UPGRADE`
(with the facts of TLS), `Call` (with what the user's function gave).  It returns its result or raises.  When
the line is lost or time is up it is thrown ConnectionLost or Timeout, whose `.replies` are those of the group
that had come.
"""

from contextlib import suppress

from smtpkit.errors import ReplyError, SMTPError, TLSError
from smtpkit.protocol.events import Transport
from smtpkit.protocol.login import login
from smtpkit.protocol.needs import UPGRADE, Expect
from smtpkit.protocol.negotiation import demand
from smtpkit.protocol.states import State
from smtpkit.wire.commands import Command, Ehlo, Helo, Lhlo, Quit, Rset, StartTLS

__all__ = ["command", "greeting", "hello", "login", "one_message", "opening", "quit_session", "reset", "start_tls"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Any, Literal

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.credentials import Credentials
    from smtpkit.protocol.needs import Wanted
    from smtpkit.protocol.results import SendResult
    from smtpkit.protocol.sending import Sending
    from smtpkit.wire.replies import Reply

    TLSPolicy = Literal["implicit", "required", "if-offered", "off"]

_NO_EHLO = frozenset({500, 502, 504, 550})  # answers of servers that know HELO only (RFC 5321 section 3.2)


def greeting() -> "Generator[Wanted, Sequence[Reply], Reply]":
    """Wait for the server's greeting (RFC 5321 section 3.1).

    Raises:
        ReplyError: the server will not talk (554, 521, 421).
    """
    (reply,) = yield Expect(1)
    if not reply.is_positive:
        raise ReplyError(reply, message=f"the server's greeting refuses service: {reply}")
    return reply


def hello(
    client: "ClientConnection", name: str, *, fall_back: bool = True
) -> "Generator[Wanted, Sequence[Reply], Reply]":
    """Say EHLO (LHLO in LMTP); `client.capabilities` are then the server's.

    Args:
        client: the connection.
        name: domain or address literal to go by.
        fall_back: whether HELO may be said to a server that does not know EHLO.  Not where an extension is
            needed, since HELO has none.

    Raises:
        ReplyError: the server refused.
    """
    first = Lhlo(name) if client.lmtp else Ehlo(name)
    (reply,) = yield (first,)
    if reply.is_positive:
        return reply
    if client.lmtp or not fall_back or reply.code not in _NO_EHLO:
        raise ReplyError(reply, first)
    plain = Helo(name)
    (reply,) = yield (plain,)
    if not reply.is_positive:
        raise ReplyError(reply, plain)
    return reply


def start_tls(client: "ClientConnection") -> "Generator[Wanted, Any, None]":
    """Begin TLS on the connection (RFC 3207); capabilities must be asked for again.

    Raises:
        TLSError: it is not offered, or was refused.
    """
    if "STARTTLS" not in client.capabilities:
        offered = ", ".join(client.capabilities) or "nothing"
        raise TLSError(
            f"TLS is required and the server does not offer STARTTLS (it offers: {offered}); "
            "if it speaks TLS from the first octet use tls='implicit', and tls='off' only if clear text will do",
            reason="not offered",
        )
    (reply,) = yield (StartTLS(),)
    if not reply.is_positive:
        raise TLSError(f"the server refused STARTTLS: {reply}", reason="refused")
    yield UPGRADE


def command(item: Command, client: "ClientConnection | None" = None) -> "Generator[Wanted, Sequence[Reply], Reply]":
    """Send one command and return its reply, whatever it is.

    Args:
        item: the command.
        client: the connection, where a command of an extension that is not offered is not to be sent.

    Raises:
        NotSupported: the server does not offer the extension that the command belongs to, or it needs TLS with a
            verified server.
    """
    if client is not None and client.state is not State.CONNECTED:  # before any hello nothing is known
        extension = client.config.owners.verbs.get(item.verb)
        if extension is not None:
            demand(client, extension, item.verb)
    (reply,) = yield (item,)
    return reply


def reset() -> "Generator[Wanted, Sequence[Reply], Reply]":
    """End an open transaction (RFC 5321 section 4.1.1.5).

    Raises:
        ReplyError: the server refused.
    """
    item = Rset()
    (reply,) = yield (item,)
    if not reply.is_positive:
        raise ReplyError(reply, item)
    return reply


def quit_session() -> "Generator[Wanted, Sequence[Reply], Reply]":
    """Take leave (RFC 5321 section 4.1.1.10)."""
    (reply,) = yield (Quit(),)
    return reply


def opening(
    client: "ClientConnection",
    name: str,
    *,
    tls: "TLSPolicy" = "if-offered",
    credentials: "Credentials | None" = None,
    allow_auth_in_clear: bool = False,
    server: "tuple[str, int] | None" = None,
) -> "Generator[Wanted, Any, Reply]":
    """All that comes before the first message: greeting, hello, TLS as the policy has it, login.

    Args:
        client: the connection.
        name: what the client calls itself.
        tls, credentials, allow_auth_in_clear: as for `connect()`.
        server: host and port that the client has connected to, which a login may tell.

    Returns:
        The greeting.

    Raises:
        ReplyError, TLSError, AuthenticationError, NotSupported: as the parts of it.
    """
    first = yield from greeting()
    needs_extension = tls == "required" or credentials is not None
    yield from hello(client, name, fall_back=not needs_extension)
    if client.tls is None and (tls == "required" or (tls == "if-offered" and "STARTTLS" in client.capabilities)):
        yield from _secured(client, name, tls, fall_back=not needs_extension)
    if credentials is not None:
        yield from login(client, credentials, allow_in_clear=allow_auth_in_clear, server=server)
    return first


def one_message(
    client: "ClientConnection",
    name: str,
    sending: "Sending",
    *,
    tls: "TLSPolicy" = "if-offered",
    credentials: "Credentials | None" = None,
    allow_auth_in_clear: bool = False,
    server: "tuple[str, int] | None" = None,
) -> "Generator[Wanted, Any, SendResult]":
    """A whole session: all that comes before the message, the message, and QUIT; close the connection after it.

    QUIT is said after a refusal too, wherever the connection still carries it; what becomes of it changes nothing.

    Raises:
        SMTPError: as `opening()` and `Client.send()`.
    """
    try:
        in_clear = allow_auth_in_clear
        yield from opening(client, name, tls=tls, credentials=credentials, allow_auth_in_clear=in_clear, server=server)
        result = yield from sending.exchange()
    except SMTPError:
        yield from _leave(client)
        raise
    yield from _leave(client)
    return result


def _leave(client: "ClientConnection") -> "Generator[Wanted, Any, None]":
    if client.idle and client.closing is None:
        with suppress(SMTPError):
            yield from quit_session()


def _secured(client: "ClientConnection", name: str, tls: str, *, fall_back: bool) -> "Generator[Wanted, Any, None]":
    try:
        yield from start_tls(client)
    except TLSError:
        # A server may say 454 to an offer of its own; who did not insist goes on in clear.  A handshake or a
        # certificate that fails is another matter: then TLS has begun, and there is no way back.
        if tls == "required" or client.transport is not Transport.READ or client.closing is not None:
            raise
        return
    yield from hello(client, name, fall_back=fall_back)
