"""What the owner of a connection decides about it beforehand."""

from smtpkit.errors import ParseError
from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.extensions import DEFAULT_EXTENSIONS, EXTENSIONS, OWNERS, Extension, Owners, dialect_of
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.offer import Offer
from smtpkit.wire.addresses import domain_or_literal
from smtpkit.wire.value import Value

__all__ = ["ClientConfig", "ServerConfig"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal

    from smtpkit.wire.dialect import Dialect

_NEWLINES = ("reject", "normalize", "keep")
_UNKNOWN = ("reject", "keep")


class ServerConfig(Value):
    """How a server behaves; one object may serve any number of connections.

    Args:
        hostname: the name in the greeting and the EHLO reply; a domain or an address literal.
        lmtp: True for LMTP (RFC 2033).
        extensions: EHLO keywords, with what is said behind them where that is a matter of choice, as in
            "DELIVERBY 60"; or Extension objects of one's own.  DSN is not among the default ones, since to
            offer it is a promise; STARTTLS and AUTH come from `tls_available` and `auth` alone.
        max_message_size: octets of content, told in SIZE and enforced; None for no bound.
        limits: see Limits.
        bare_newlines: what to do with a lone CR or LF (and NUL) in content: "reject" it after its real end
            with 550 5.6.0, "normalize" to CRLF, or "keep".  Only CRLF . CRLF ever ends content.
        strict: False takes the harmless departures from the grammar that are listed in
            `smtpkit.wire.commands`; newlines are never a matter of this switch.
        unknown_parameters: "reject" an ESMTP parameter whose extension is not offered (555), or "keep" it.
        tls_available: True if the owner of the connection can make TLS.
        require_tls: True to refuse mail in clear with 530 (RFC 3207 section 4).
        auth: who may log in, and whether one must.

    Raises:
        ValueError: an argument is not among those allowed.
    """

    __slots__ = (
        "_dialect",
        "_offers",
        "auth",
        "bare_newlines",
        "extensions",
        "hostname",
        "limits",
        "lmtp",
        "max_message_size",
        "require_tls",
        "strict",
        "tls_available",
        "unknown_parameters",
    )

    def __init__(
        self,
        hostname: str,
        *,
        lmtp: bool = False,
        extensions: "Iterable[str | Extension]" = DEFAULT_EXTENSIONS,
        max_message_size: int | None = 32 * 1024 * 1024,
        limits: Limits | None = None,
        bare_newlines: 'Literal["reject", "normalize", "keep"]' = "reject",
        strict: bool = False,
        unknown_parameters: 'Literal["reject", "keep"]' = "reject",
        tls_available: bool = False,
        require_tls: bool = False,
        auth: AuthPolicy | None = None,
    ) -> None:
        if bare_newlines not in _NEWLINES:
            raise ValueError(f"bare_newlines is one of {', '.join(_NEWLINES)}, not {bare_newlines!r}")
        if unknown_parameters not in _UNKNOWN:
            raise ValueError(f"unknown_parameters is one of {', '.join(_UNKNOWN)}, not {unknown_parameters!r}")
        if require_tls and not tls_available:
            raise ValueError("require_tls without tls_available would refuse everybody")
        if max_message_size is not None and max_message_size < 1:
            raise ValueError(f"max_message_size is a number of octets, or None for no bound, not {max_message_size}")
        self.hostname = domain_or_literal(hostname)
        self.lmtp = lmtp
        self.extensions = _resolve(extensions)
        self._dialect = dialect_of(self.extensions)
        self.max_message_size = max_message_size
        self.limits = limits or Limits()
        self.bare_newlines = bare_newlines
        self.strict = strict
        self.unknown_parameters = unknown_parameters
        self.tls_available = tls_available
        self.require_tls = require_tls
        self.auth = auth
        self._offers: dict[tuple[bool, bool, bool, frozenset[str]], Offer] = {}

    @property
    def dialect(self) -> "Dialect":
        """The words that the server knows, offered or not; for `parse_command()`."""
        return self._dialect

    def replace(self, **changes: "Any") -> "ServerConfig":
        """The same configuration with some of the arguments changed."""
        arguments = {name: getattr(self, name) for name in self.__match_args__}
        return ServerConfig(**{**arguments, **changes})

    def offer(
        self, *, tls: bool, authenticated: bool, extended: bool, withheld: "frozenset[str]" = frozenset()
    ) -> Offer:
        """What is offered, and so legal, in one standing of a session.

        Args:
            tls: whether TLS is active.
            authenticated: whether the client has logged in.
            extended: whether it said EHLO or LHLO; a HELO session has no extensions.
            withheld: the mechanisms of `auth` that cannot succeed on this connection.
        """
        key = (tls, authenticated, extended, withheld)
        offer = self._offers.get(key)
        if offer is None:
            offer = self._offers[key] = Offer(
                self, tls=tls, authenticated=authenticated, extended=extended, withheld=withheld
            )
        return offer


def _resolve(extensions: "Iterable[str | Extension]") -> tuple[Extension, ...]:
    resolved: dict[str, Extension] = {}
    for given in extensions:
        extension = _registered(given) if isinstance(given, str) else given
        if extension.keyword in ("STARTTLS", "AUTH"):
            raise ValueError(f"{extension.keyword} is offered by the TLS and AUTH settings, not by name")
        resolved[extension.keyword] = extension
    for extension in resolved.values():
        for needed in extension.requires:
            if needed not in resolved:
                raise ValueError(f"{extension.keyword} must not be offered without {needed} ({extension.reference})")
    return tuple(resolved.values())


def _registered(line: str) -> Extension:
    keyword, _, words = line.partition(" ")
    extension = EXTENSIONS.get(keyword.upper())
    if extension is None:
        raise ValueError(f"no extension {keyword!r} is known; give an Extension for one of your own")
    if not words:
        return extension
    if extension.read is None or not isinstance(extension.ehlo, str):
        raise ValueError(f"nothing is to be chosen behind {keyword}")
    return extension.with_ehlo(words)


class ClientConfig(Value):
    """How a client presents itself.

    Args:
        hostname: the name for EHLO, a domain or an address literal; None leaves it to the adapter, which
            gives the address literal of the connection's own end (RFC 5321 section 4.1.4).
        lmtp: True to speak LMTP.
        extensions: Extension objects of one's own, in addition to those that are known.

    Raises:
        ValueError: the hostname cannot be said, or two extensions contradict each other.
    """

    __slots__ = ("_dialect", "_owners", "extensions", "hostname", "lmtp")

    def __init__(
        self, hostname: str | None = None, *, lmtp: bool = False, extensions: "Iterable[Extension]" = ()
    ) -> None:
        if hostname is not None:
            try:
                domain_or_literal(hostname)
            except ParseError as error:
                raise ValueError(
                    f"{hostname!r} cannot be said in EHLO: it is no domain and no address literal"
                ) from error
        self.hostname = hostname
        self.lmtp = lmtp
        self.extensions = tuple(extensions)
        self._dialect = dialect_of(self.extensions)
        self._owners = Owners((*EXTENSIONS.values(), *self.extensions)) if self.extensions else OWNERS

    @property
    def dialect(self) -> "Dialect":
        """The words that the client knows, offered or not."""
        return self._dialect

    @property
    def owners(self) -> Owners:
        """Which extension a verb or a parameter belongs to, and so must be offered."""
        return self._owners
