"""What both adapters make of the arguments of serve(): configuration, TLS, admission, and the session for a handler."""

import os

from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.config import ServerConfig
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.session import HOOKS
from smtpkit.protocol.standard_replies import TOO_MANY_CONNECTIONS
from smtpkit.wire.addresses import is_domain
from smtpkit.wire.literals import address_literal
from smtpkit.wire.replies import Reply

__all__ = ["NO_SESSION", "Admission", "ServerLog", "ServerSettings", "makes_sessions", "overridden", "session_id"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Any

    from smtpkit.endpoints import Listener
    from smtpkit.protocol.server_driver import ServerDriver
    from smtpkit.protocol.session import SessionFacts
    from smtpkit.protocol.transcript import Transcript
    from smtpkit.tls import TLS

NO_SESSION = Reply(421, "Internal error, try again later", "4.3.0")


class ServerSettings:
    """How to serve; the arguments are those of `serve()`.

    Raises:
        ValueError: they do not fit together.
        TLSError: certificate or key cannot be used.
    """

    def __init__(
        self,
        listeners: "list[Listener]",
        *,
        hostname: str | None,
        config: ServerConfig | None,
        tls: "ssl.SSLContext | tuple[str, str] | None",
        auth: "Any",
        limits: Limits | None,
        transcript: "Transcript | Callable[[], Transcript] | None",
        proxy_protocol: bool,
        **settings: "Any",
    ) -> None:
        implicit = [listener for listener in listeners if listener.implicit_tls]
        if implicit and tls is None:
            raise ValueError("implicit TLS needs tls=")
        self.listeners = listeners
        self.proxy_protocol = proxy_protocol
        self._transcript = transcript
        self.context = _context(tls)
        changes: dict[str, Any] = dict(settings)
        if auth is not None:
            changes["auth"] = _auth_policy(auth)
        if limits is not None:
            changes["limits"] = limits
        if hostname is not None or config is None:
            changes["hostname"] = hostname or _own_name(listeners)
        if tls is not None:
            changes["tls_available"] = True
        made = config.replace(**changes) if config is not None else ServerConfig(**changes)
        if made.auth is not None and made.auth.certificate_identity is not None:
            logged = _logged(made.auth.certificate_identity)
            made = made.replace(auth=made.auth.with_certificate_identity(logged))
        self.config = made

    def new_transcript(self) -> "Transcript | None":
        """What records one session."""
        return self._transcript() if callable(self._transcript) else self._transcript

    def make_tls(self) -> "TLS":
        """The server's side of TLS, for one connection."""
        from smtpkit.tls import TLS

        assert self.context is not None
        return TLS(self.context, server_side=True)


def _auth_policy(auth: "Any") -> AuthPolicy:
    if isinstance(auth, str):
        if auth not in ("required", "optional"):
            raise ValueError(f'auth is "required" or "optional", which leave it to on_login, or a policy, not {auth!r}')
        return AuthPolicy(required=auth == "required")
    return auth if isinstance(auth, AuthPolicy) else AuthPolicy(auth)


def _logged(identity: "Callable[[Any], str | None]") -> "Callable[[Any], str | None]":
    def certificate_identity(facts: "Any") -> str | None:
        try:
            return identity(facts)
        except Exception:
            from logging import getLogger

            getLogger("smtpkit.server").exception("certificate_identity failed")
            return None

    return certificate_identity


def _context(tls: "Any") -> "ssl.SSLContext | None":
    if not isinstance(tls, tuple):
        return tls  # type: ignore[no-any-return]
    from smtpkit.tls import server_context

    return server_context(*tls)


def _own_name(listeners: "list[Listener]") -> str:
    # The host's own short name costs no look-up; the fully qualified one may take seconds.
    from socket import gethostname

    name = gethostname()
    if is_domain(name):
        return name
    return next((address_literal(each.host) for each in listeners if each.host[:1].isdigit()), "localhost")


class Admission:
    """Counts connections in all and from each address, against the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_address: dict[str, int] = {}
        self.connections = 0

    def enter(self, address: str) -> Reply | None:
        """A connection comes; the reply that turns it away, or None."""
        count = self._by_address.get(address, 0)
        if self.connections >= self._limits.connections or (address and count >= self._limits.per_address):
            return TOO_MANY_CONNECTIONS
        self.connections += 1
        self._by_address[address] = count + 1
        return None

    def leave(self, address: str) -> None:
        """A connection that entered has gone."""
        self.connections -= 1
        if self._by_address[address] == 1:
            del self._by_address[address]
        else:
            self._by_address[address] -= 1


class ServerLog:
    """The log lines of a server; each names the session.

    `smtpkit.server` has connections at DEBUG and failures of the user's code at ERROR, with their traceback;
    `smtpkit.server.mail` one line at INFO for each message.
    """

    def __init__(self) -> None:
        # Not at import: a client would pay for it.
        from logging import INFO, getLogger

        self._server = getLogger("smtpkit.server")
        self._mail = getLogger("smtpkit.server.mail")
        self._info = INFO

    def opened(self, session: "SessionFacts") -> None:
        """A client has connected."""
        self._server.debug("%s connect from %s", session.id, session.peer)

    def closed(self, session: "SessionFacts") -> None:
        """It has gone."""
        self._server.debug("%s closed", session.id)

    def failed(self, session: "SessionFacts", hook: str) -> None:
        """The user's code raised the exception that is being handled."""
        self._server.exception("%s %s failed", session.id, hook)

    def message(self, session: "SessionFacts", driver: "ServerDriver", answer: "Any") -> None:
        """The user's code has answered a message."""
        if self._mail.isEnabledFor(self._info):
            self._mail.info("%s %s", session.id, driver.summary(answer))


_hooks_of: dict[type, frozenset[str]] = {}


def overridden(cls: type, base: type) -> frozenset[str]:
    """The hooks of a session class that are to be called: those it overrides, and on_login, which has a default."""
    hooks = _hooks_of.get(cls)
    if hooks is None:
        own = (name for name in HOOKS if getattr(cls, name) is not getattr(base, name))
        hooks = _hooks_of[cls] = frozenset(own) | {"on_login"}
    return hooks


def makes_sessions(handler: "Any") -> bool:
    """Whether a callable is a factory of sessions: it can be called with nothing, and is not made for a message."""
    from inspect import signature

    try:
        wanted = signature(handler)
        wanted.bind()
    except (TypeError, ValueError):
        return False
    return not any(parameter.kind is parameter.VAR_POSITIONAL for parameter in wanted.parameters.values())


def session_id() -> str:
    """A name for a session in log lines, not to be guessed."""
    return os.urandom(5).hex()
