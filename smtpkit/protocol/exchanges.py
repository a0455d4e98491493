"""The short exchanges of a client: greeting, hello, STARTTLS, login, a single command, quit, and the opening.

An exchange is a generator without I/O.  It yields what it needs from outside and is resumed with that:
a tuple of commands, sent as one group (with their replies), `Expect` (with that many replies), `UPGRADE`
(with the facts of TLS), `Call` (with what the user's function gave).  It returns its result or raises.  When
the line is lost or time is up it is thrown ConnectionLost or Timeout, whose `.replies` are those of the group
that had come.
"""

from contextlib import suppress

from smtpkit.errors import AuthenticationError, NotSupported, ParseError, ReplyError, SMTPError, TLSError
from smtpkit.protocol.events import AuthResponse, Transport
from smtpkit.protocol.needs import UPGRADE, Call, Expect
from smtpkit.sasl import choose, client_mechanism
from smtpkit.wire.commands import Auth, Command, Ehlo, Helo, Lhlo, Quit, Rset, StartTLS

__all__ = ["command", "greeting", "hello", "login", "one_message", "opening", "quit_session", "reset", "start_tls"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Any, Literal

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.credentials import Credentials
    from smtpkit.protocol.events import BodyChunk
    from smtpkit.protocol.needs import Want
    from smtpkit.protocol.results import SendResult
    from smtpkit.protocol.sending import Sending
    from smtpkit.sasl import ClientLogin
    from smtpkit.wire.replies import Reply

    Wanted = tuple[Command | BodyChunk | AuthResponse, ...] | Expect | Want | Call
    TLSPolicy = Literal["implicit", "required", "if-offered", "off"]

_NO_EHLO = frozenset({500, 502, 504, 550})  # answers of servers that know HELO only (RFC 5321 section 3.2)
_COMMAND_LINE = 512


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
            "if it speaks TLS from the first octet use tls='implicit', and tls='off' only if clear text will do"
        )
    (reply,) = yield (StartTLS(),)
    if not reply.is_positive:
        raise TLSError(f"the server refused STARTTLS: {reply}")
    yield UPGRADE


def login(
    client: "ClientConnection", credentials: "Credentials", *, allow_in_clear: bool = False
) -> "Generator[Wanted, Sequence[Reply], Reply]":
    """Log in with the best mechanism that both sides have; one attempt (RFC 4954 section 4).

    A refused password is not tried with another mechanism: that locks accounts.  No EHLO follows: some
    servers take it for the end of the login.

    Args:
        client: the connection.
        credentials: whom to log in as.
        allow_in_clear: whether mechanisms that show the secret may be used without TLS.

    Raises:
        AuthenticationError: refused.
        NotSupported: there is no mechanism that may be used.
        ParseError: the credentials cannot be put into the mechanism's messages; nothing was sent.
    """
    kinds = [kind for kind in ("password", "token") if getattr(credentials, kind) is not None]
    offered = client.capabilities.auth
    binding = _channel_binding(client)
    mechanism = choose(
        offered,
        kinds,
        tls=client.tls is not None,
        allow_in_clear=allow_in_clear,
        channel_binding=binding is not None,
    )
    if mechanism is None:
        raise _no_mechanism(client, kinds)
    if not mechanism.endswith("-PLUS") and any(name.endswith("-PLUS") for name in offered):
        binding = None  # to have it would tell the server that it offered none
    facts = yield from _resolved(credentials)
    sasl = client_mechanism(mechanism, **facts, channel_binding=binding)
    initial = sasl.start()
    command: Command = Auth(mechanism, initial)
    if initial is not None and len(bytes(command)) > _COMMAND_LINE:
        command, responses = Auth(mechanism, None), [initial]  # RFC 4954 section 4
    else:
        responses = []
    (reply,) = yield (command,)
    command = Auth(mechanism)  # as errors show it
    while reply.is_intermediate:
        response = responses.pop() if responses else _answered(sasl, reply)
        (reply,) = yield (AuthResponse(response),)
        if response is None:
            raise AuthenticationError(reply, command, message=f"AUTH {mechanism}: the server's challenge is not valid")
    if not reply.is_positive:
        reason = f" ({sasl.mechanism.error})" if sasl.mechanism.error else ""
        raise AuthenticationError(reply, command, message=f"AUTH {mechanism}: {reply}{reason}")
    try:
        sasl.finish()
    except ParseError as error:
        raise AuthenticationError(reply, command, message=f"AUTH {mechanism}: {error}") from error
    return reply


def command(item: Command) -> "Generator[Wanted, Sequence[Reply], Reply]":
    """Send one command and return its reply, whatever it is."""
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
) -> "Generator[Wanted, Any, Reply]":
    """All that comes before the first message: greeting, hello, TLS as the policy has it, login.

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
        yield from login(client, credentials, allow_in_clear=allow_auth_in_clear)
    return first


def one_message(
    client: "ClientConnection",
    name: str,
    sending: "Sending",
    *,
    tls: "TLSPolicy" = "if-offered",
    credentials: "Credentials | None" = None,
    allow_auth_in_clear: bool = False,
) -> "Generator[Wanted, Any, SendResult]":
    """A whole session: all that comes before the message, the message, and QUIT; close the connection after it.

    QUIT is said after a refusal too, wherever the connection still carries it; what becomes of it changes nothing.

    Raises:
        SMTPError: as `opening()` and `Client.send()`.
    """
    try:
        yield from opening(client, name, tls=tls, credentials=credentials, allow_auth_in_clear=allow_auth_in_clear)
        result = yield from sending.exchange()
    except SMTPError:
        if client.idle:
            yield from _leave()
        raise
    yield from _leave()
    return result


def _leave() -> "Generator[Wanted, Any, None]":
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


def _answered(sasl: "ClientLogin", reply: "Reply") -> bytes | None:
    # The answer to a challenge; None, which cancels, where it cannot be understood (RFC 4954 section 4).
    from binascii import Error, a2b_base64

    try:
        challenge = a2b_base64(reply.text.encode("ascii", "replace"), strict_mode=True)
    except Error:
        if not sasl.mechanism.plaintext:
            return None
        challenge = b""  # some servers prompt in clear text; PLAIN and LOGIN do not read it
    try:
        return sasl.respond(challenge)
    except ParseError:
        return None


def _resolved(credentials: "Credentials") -> "Generator[Wanted, Any, dict[str, Any]]":
    values = {}
    for name in ("username", "password", "token", "authzid"):
        value = getattr(credentials, name)
        if callable(value):
            value = yield Call("", function=value)
        if value is not None:
            values[name] = value
    return values


def _channel_binding(client: "ClientConnection") -> bytes | None:
    # What SCRAM can tie the login to, so that nobody in between can pass it on.
    facts = client.tls
    if facts is None or facts.peer_certificate is None or not client.capabilities.auth:
        return None
    from smtpkit.sasl.channel_binding import tls_server_end_point

    return tls_server_end_point(facts.peer_certificate)


def _no_mechanism(client: "ClientConnection", kinds: "Sequence[str]") -> NotSupported:
    offered = ", ".join(client.capabilities.auth)
    if not offered:
        hint = "" if client.tls is not None else "; many servers offer it only after STARTTLS"
        return NotSupported(f"the server offers no AUTH{hint}", extension="AUTH")
    have = " or a ".join(kinds) or "user name alone"
    hint = "" if client.tls is not None else " in clear (use TLS, or allow_auth_in_clear=True)"
    return NotSupported(f"of the mechanisms offered ({offered}) none may be used with a {have}{hint}", extension="AUTH")
