"""The client's login: the choice of a mechanism, its messages in AUTH, and a second token where the first is refused.

An exchange as those of `smtpkit.protocol.exchanges`.
"""

from smtpkit.errors import AuthenticationError, NotSupported, ParseError
from smtpkit.protocol.events import AuthResponse
from smtpkit.protocol.limits import COMMAND_LINE
from smtpkit.protocol.needs import Call
from smtpkit.sasl.registry import best, client_mechanism
from smtpkit.wire.commands import Auth, Command

__all__ = ["login"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Sequence
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.credentials import Credentials
    from smtpkit.protocol.needs import Wanted
    from smtpkit.sasl.mechanism import ClientLogin, Mechanism
    from smtpkit.wire.replies import Reply

_HIDDEN = "<hidden>"  # as a transcript has it
_REFUSED_TOKEN = frozenset({"400", "401", "invalid_token"})  # XOAUTH2's status, and RFC 7628 section 3.2.2


def login(
    client: "ClientConnection",
    credentials: "Credentials",
    *,
    allow_in_clear: bool = False,
    server: "tuple[str, int] | None" = None,
) -> "Generator[Wanted, Any, Reply]":
    """Log in with the best mechanism that both sides, the credentials and this Python have (RFC 4954 section 4).

    There is one attempt: a refused password is not tried with another mechanism, since that locks accounts.  Only a
    token that a callable gave, and that the server refuses, is asked for and sent once more, if it is another then.
    No EHLO follows: some servers take it for the end of the login.

    Args:
        client: the connection.
        credentials: whom to log in as.
        allow_in_clear: whether mechanisms that show the secret may be used without TLS.
        server: host and port that the client has connected to, which OAUTHBEARER tells (RFC 7628 section 3.1).

    Raises:
        AuthenticationError: refused.
        NotSupported: there is no mechanism that may be used.
        ParseError: the credentials cannot be put into the mechanism's messages; nothing was sent.
    """
    kinds = _kinds(credentials)
    offered = client.capabilities.auth
    binding = _channel_binding(client)

    def usable(tls: bool) -> "type[Mechanism] | None":
        bound, allowed = binding is not None, credentials.mechanisms
        return best(offered, kinds, tls=tls, allow_in_clear=allow_in_clear, channel_binding=bound, allowed=allowed)

    mechanism = usable(client.tls is not None)
    if mechanism is None:
        raise _no_mechanism(client, kinds, credentials, with_tls=usable(True) is not None)
    if not mechanism.binds_channel and any(name.endswith("-PLUS") for name in offered):
        binding = None  # to have it would tell the server that it offered none
    facts = yield from _resolved(credentials, mechanism)
    facts["channel_binding"] = binding
    facts["host"], facts["port"] = server or ("", 0)
    try:
        return (yield from _attempt(client, mechanism, facts))
    except AuthenticationError as error:
        again = credentials.fresh_token or credentials.token
        if mechanism.credential != "token" or not callable(again) or not _wants_another_token(error):
            raise
        token = yield from _called("token", again)
        if token == facts["token"]:
            raise  # it would be refused again
        refused = error
    try:
        return (yield from _attempt(client, mechanism, {**facts, "token": token}))
    except AuthenticationError as error:
        raise error from refused


def _attempt(
    client: "ClientConnection", mechanism: "type[Mechanism]", facts: "dict[str, Any]"
) -> "Generator[Wanted, Sequence[Reply], Reply]":
    sasl = client_mechanism(mechanism, **facts)
    initial = sasl.start()
    command: Command = Auth(mechanism.name, initial)
    sent = [initial or b""]
    responses: list[bytes] = []
    if initial is not None and len(bytes(command)) > COMMAND_LINE:
        command, responses = Auth(mechanism.name, None), [initial]  # RFC 4954 section 4
    (reply,) = yield (command,)
    while reply.is_intermediate:
        response = responses.pop() if responses else _answered(sasl, reply)
        sent.append(response or b"")
        (reply,) = yield (AuthResponse(response),)
        if response is None:
            told, _ = _without_secrets(reply, {}, sent, facts)
            raise _refused(client, mechanism, told, "the server's challenge is not valid")
    if not reply.is_positive:
        told, error = _without_secrets(reply, sasl.mechanism.error or {}, sent, facts)
        raise _refused(client, mechanism, told, f"{told} ({error})" if error else str(told), error)
    try:
        sasl.finish()
    except ParseError as error:
        told, _ = _without_secrets(reply, {}, sent, facts)
        raise _refused(client, mechanism, told, str(error)) from error
    return reply


def _refused(
    client: "ClientConnection",
    mechanism: "type[Mechanism]",
    reply: "Reply",
    why: str,
    error: "dict[str, Any] | None" = None,
) -> AuthenticationError:
    from smtpkit.protocol.hints import hint_for

    return AuthenticationError(
        reply,
        Auth(mechanism.name),  # the command without its secret
        message=f"AUTH {mechanism.name}: {why}",
        hint=hint_for(reply, client.greeting, mechanism.credential),
        error=error,
    )


def _without_secrets(
    reply: "Reply", error: "dict[str, Any]", sent: "list[bytes]", facts: "dict[str, Any]"
) -> "tuple[Reply, dict[str, Any]]":
    # Some servers repeat what they refuse, and errors come to logs.
    from binascii import b2a_base64

    from smtpkit.protocol.transcript import repeats_secret

    secrets = [b2a_base64(message, newline=False) for message in sent]
    known = [str(facts.get(name, "")).encode() for name in ("username", "authzid")]

    def is_secret(text: str) -> bool:
        return any(repeats_secret(text.encode("utf-8", "surrogateescape"), each, known) for each in secrets)

    if any(map(is_secret, reply.lines)):
        reply = type(reply)(reply.code, [_HIDDEN if is_secret(line) else line for line in reply.lines], reply.enhanced)
    return reply, {} if is_secret(str(error)) else error


def _wants_another_token(error: AuthenticationError) -> bool:
    status = error.error.get("status")
    told = status is None or str(status) in _REFUSED_TOKEN
    return error.reply.is_permanent and told


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


def _kinds(credentials: "Credentials") -> "list[str]":
    kinds = [kind for kind in ("password", "token") if getattr(credentials, kind) is not None]
    # The others are never taken for what the user has not named: to be anonymous is no login for a user name.
    return kinds if credentials.mechanisms is None else [*kinds, "certificate", "nothing"]


def _resolved(credentials: "Credentials", mechanism: "type[Mechanism]") -> "Generator[Wanted, Any, dict[str, Any]]":
    values = {}
    for name in ("username", "password", "token", "authzid"):
        value = getattr(credentials, name)
        if name in ("password", "token") and name != mechanism.credential:
            continue  # a vault or an identity provider is not asked for what is not sent
        if callable(value):
            value = yield from _called(name, value)
        if value is not None:
            values[name] = value
    return values


def _called(name: str, function: "Any") -> "Generator[Wanted, Any, Any]":
    value = yield Call("", function=function)
    if not isinstance(value, (str, bytes) if name == "password" else str):
        raise ParseError(f"the callable for the {name} gave {type(value).__name__}, not str")
    return value


def _channel_binding(client: "ClientConnection") -> bytes | None:
    # What SCRAM can tie the login to, so that nobody in between can pass it on.
    facts = client.tls
    if facts is None or facts.peer_certificate is None or not client.capabilities.auth:
        return None
    from smtpkit.sasl.channel_binding import tls_server_end_point

    return tls_server_end_point(facts.peer_certificate)


def _no_mechanism(
    client: "ClientConnection", kinds: "Collection[str]", credentials: "Credentials", *, with_tls: bool
) -> NotSupported:
    offered = ", ".join(client.capabilities.auth)
    hint = "" if client.tls is not None else "; many servers offer it only after STARTTLS"
    if not offered:
        return NotSupported(f"the server offers no AUTH{hint}", extension="AUTH")
    hint = " in clear (use TLS, or allow_auth_in_clear=True)" if with_tls else ""
    if credentials.mechanisms is not None:
        named = ", ".join(each if isinstance(each, str) else each.name for each in credentials.mechanisms)
        have = f"these credentials, which name {named}"
    else:
        have = f"a {' or a '.join(kinds) or 'user name alone'}"
    return NotSupported(f"of the mechanisms offered ({offered}) none may be used with {have}{hint}", extension="AUTH")
