"""What both adapters make of the arguments of serve(): configuration, TLS, trust, and the session for a handler."""

from smtpkit.admission import TrustedPeers
from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.config import ServerConfig
from smtpkit.protocol.ledger import Ledger
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.session import HOOKS
from smtpkit.wire.addresses import is_domain
from smtpkit.wire.literals import address_literal

__all__ = ["ServerSettings", "makes_sessions", "overridden"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable
    from typing import Any

    from smtpkit.endpoints import Listener
    from smtpkit.observing import ServerObserver
    from smtpkit.protocol.transcript import Transcript
    from smtpkit.tls import TLS

_FAILED_LOGINS = 100  # from one address in ten minutes


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
        tls: "Any",
        auth: "Any",
        limits: Limits | None,
        transcript: "Transcript | Callable[[], Transcript] | None",
        proxy_protocol: bool,
        trusted: "Iterable[str] | None",
        ledger: Ledger | None,
        observer: "ServerObserver | None",
        **settings: "Any",
    ) -> None:
        implicit = [listener for listener in listeners if listener.implicit_tls]
        if implicit and tls is None:
            raise ValueError("implicit TLS needs tls=")
        self.listeners = listeners
        self.observer = observer
        self.ledger = ledger if ledger is not None else Ledger(failed_logins=_FAILED_LOGINS)
        self.config = _config(listeners, hostname, config, auth, limits, tls_available=tls is not None, **settings)
        if self.config.lmtp and any(each.port == 25 and not (each.unix or each.sock) for each in listeners):
            raise ValueError("LMTP is never spoken on port 25, which is SMTP's (RFC 2033 section 5)")
        self._proxy_protocol = proxy_protocol
        self._trusted = None if trusted is None else TrustedPeers(trusted)
        self._told = self.config if trusted is None else _with_told(self.config)
        self._transcript = transcript
        self._load = _loader(tls)
        self._context = self._load() if self._load is not None else tls

    def stands_behind_proxy(self, listener: "Listener") -> bool:
        """Whether a PROXY header comes first."""
        return self._proxy_protocol or listener.proxy_protocol

    def believes(self, peer: "Any") -> bool | None:
        """Whether the word of a peer about others is taken; None where nobody has said of whom it is."""
        return None if self._trusted is None else peer in self._trusted

    def config_for(self, *, trusted: bool) -> ServerConfig:
        """The configuration for one connection: who is trusted is offered XCLIENT and XFORWARD."""
        return self._told if trusted else self.config

    def new_transcript(self) -> "Transcript | None":
        """What records one session; where that cannot be made, it goes unrecorded."""
        if not callable(self._transcript):
            return self._transcript
        try:
            return self._transcript()
        except Exception:
            from logging import getLogger

            getLogger("smtpkit.server").exception("transcript failed")
            return None

    def make_tls(self) -> "TLS":
        """The server's side of TLS, for one connection."""
        from smtpkit.tls import TLS

        assert self._context is not None
        return TLS(self._context, server_side=True)

    def reload_tls(self) -> None:
        """Read the files of certificates anew, for the connections that come.

        Raises:
            TLSError: they cannot be used; those that were read before remain.
            RuntimeError: TLS was given as an SSLContext, or there is none.
        """
        if self._load is None:
            raise RuntimeError("what can be read anew is tls= as files, Certificates or a callable")
        self._context = self._load()


def _config(
    listeners: "list[Listener]",
    hostname: str | None,
    config: ServerConfig | None,
    auth: "Any",
    limits: Limits | None,
    **settings: "Any",
) -> ServerConfig:
    changes: dict[str, Any] = dict(settings)
    if not changes["tls_available"]:
        del changes["tls_available"]
    if auth is not None:
        changes["auth"] = _auth_policy(auth)
    if limits is not None:
        changes["limits"] = limits
    if hostname is not None or config is None:
        changes["hostname"] = hostname or _own_name(listeners)
    made = config.replace(**changes) if config is not None else ServerConfig(**changes)
    if made.auth is not None and made.auth.certificate_identity is not None:
        logged = _logged(made.auth.certificate_identity)
        made = made.replace(auth=made.auth.with_certificate_identity(logged))
    return made


def _with_told(config: ServerConfig) -> ServerConfig:
    own = {each.keyword for each in config.extensions}
    return config.replace(
        extensions=(*config.extensions, *(word for word in ("XCLIENT", "XFORWARD") if word not in own))
    )


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


def _loader(tls: "Any") -> "Callable[[], ssl.SSLContext] | None":
    # What reads the certificates, now and later; None for a context that the caller has made.
    if tls is None or hasattr(tls, "wrap_bio"):
        return None
    if callable(tls):
        return tls  # type: ignore[no-any-return]
    from smtpkit.certificates import Certificates

    return (tls if isinstance(tls, Certificates) else Certificates(tls)).load


def _own_name(listeners: "list[Listener]") -> str:
    # The host's own short name costs no look-up; the fully qualified one may take seconds.
    from socket import gethostname

    name = gethostname()
    if is_domain(name):
        return name
    return next((address_literal(each.host) for each in listeners if each.host[:1].isdigit()), "localhost")


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
