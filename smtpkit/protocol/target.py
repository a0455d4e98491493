"""Where a client connects to, and on which terms: a URL, or host and port, with the defaults of each port."""

from smtpkit.protocol.credentials import Credentials
from smtpkit.wire.literals import is_address_literal
from smtpkit.wire.strings import is_number
from smtpkit.wire.value import Value

__all__ = ["Target"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SCHEMES = ("smtp", "smtps", "lmtp", "lmtp+unix", "smtp+unix")
_POLICIES = ("implicit", "required", "if-offered", "off")
_HIGHEST_PORT = 65535
_SUBMISSION = 587  # RFC 6409
_SUBMISSIONS = 465  # RFC 8314 section 3.3
_CAPTURED = ("memory:", "print:")
_OPTIONS = {"tls", "cafile", "fingerprint", "server_hostname", "local_hostname", "local_address", "timeout", "deadline"}


class Target(Value):
    """A server to connect to.

    Attributes:
        host: name or address; "" over a unix socket.
        port: TCP port; 0 over a unix socket.
        path: of the unix socket, or "".
        lmtp: whether LMTP is spoken.
        tls: "implicit", "required", "if-offered" or "off".
        credentials: Credentials, or None.
        captured: "memory" or "print" where messages stay in this process, else "".
        options: what the URL's query says: "cafile", "fingerprint", "server_hostname", "local_hostname",
            "local_address", "timeout", "deadline".
    """

    __slots__ = ("captured", "credentials", "host", "lmtp", "options", "path", "port", "tls")

    def __init__(
        self,
        host: str,
        port: int,
        *,
        path: str = "",
        lmtp: bool = False,
        tls: str = "if-offered",
        credentials: Credentials | None = None,
        captured: str = "",
        options: "dict[str, str] | None" = None,
    ) -> None:
        self.host = host
        self.port = port
        self.path = path
        self.lmtp = lmtp
        self.tls = tls
        self.credentials = credentials
        self.captured = captured
        self.options = options or {}

    def __str__(self) -> str:
        if self.captured:
            return f"{self.captured}:"
        scheme = "lmtp" if self.lmtp else "smtps" if self.tls == "implicit" else "smtp"
        if self.path:
            return f"{scheme}+unix://{self.path}"
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether it is this host: 127/8, ::1, localhost, a unix socket or this process, and nothing else."""
        if self.path or self.captured:
            return True
        host = self.host.lower()
        return host in ("localhost", "::1") or (host.startswith("127.") and is_address_literal(f"[{host}]"))

    @classmethod
    def parse(
        cls, where: str, port: int | None = None, *, tls: str | None = None, auth: "Any" = None, pinned: bool = False
    ) -> "Target":
        """Read a URL, or a host with a port.

        Args:
            where: "smtp://user:password@host:port?tls=…", "smtps://…", "lmtp://…", "lmtp+unix:///path", or a host;
                "memory:" or "print:" for no server at all: neither TLS nor login there, whatever else is given.
            port: TCP port; None for the usual one: 25, with credentials 587, implicit TLS 465, LMTP 24.
            tls: policy; None for "implicit" with smtps and port 465, "required" with port 587, with
                credentials for another host or with a pinned certificate, and "if-offered" otherwise.
            auth: Credentials, or (username, password); it wins over the URL's.
            pinned: whether the server's certificate is pinned; the URL may say it, too.

        Raises:
            ValueError: the URL, the port or the policy is not one, or LMTP is to be spoken on port 25; the message
                does not show a password.
        """
        captured = where.lower().removesuffix("//")
        if captured in _CAPTURED:
            return cls("", 0, tls="off", captured=captured.removesuffix(":"))
        scheme, netloc, path, options = _split(where)
        user, host, url_port = _authority(netloc)
        credentials = _credentials(auth) or _from_url(user)
        unix = scheme.endswith("+unix")
        if unix != bool(path) or unix == bool(host):
            raise ValueError(f"{scheme}:// stands before {'a path, as in ///run/socket' if unix else 'a host alone'}")
        lmtp = scheme.startswith("lmtp")
        in_url = options.pop("tls", None)
        tls = in_url if tls is None else tls
        if scheme == "smtps":
            if tls not in (None, "implicit"):
                raise ValueError("smtps is TLS from the first octet; for another policy write smtp")
            tls = "implicit"
        port = port if port is not None else url_port
        if port is None:
            usual = _SUBMISSIONS if tls == "implicit" else _SUBMISSION if credentials else 25
            port = 0 if unix else 24 if lmtp else usual
        elif not unix and not 0 < port <= _HIGHEST_PORT:
            raise ValueError(f"a port is a number from 1 to {_HIGHEST_PORT}, not {port}")
        if lmtp and port == 25:
            raise ValueError("LMTP is never spoken on port 25, which is SMTP's (RFC 2033 section 5)")
        target = cls(host, port, path=path, lmtp=lmtp, tls="", credentials=credentials, options=options)
        pinned = pinned or "fingerprint" in options
        target.tls = _default_policy(target, pinned) if tls is None else tls
        if target.tls not in _POLICIES:
            raise ValueError(f"tls is one of {', '.join(_POLICIES)}, not {target.tls!r}")
        if pinned and target.tls == "off":
            raise ValueError("a pinned certificate is shown in TLS only: tls='off' does not go with it")
        return target


def _default_policy(target: Target, pinned: bool) -> str:
    if target.port == _SUBMISSIONS:
        return "implicit"
    if target.port == _SUBMISSION or pinned or (target.credentials is not None and not target.is_local):
        return "required"
    return "if-offered"


def _split(where: str) -> "tuple[str, str, str, dict[str, str]]":
    from urllib.parse import parse_qsl, unquote

    if (not where.isprintable() and any(ch <= " " or ch == "\x7f" for ch in where)) or " " in where:
        raise ValueError("a host or URL holds no spaces and no controls")
    scheme, separator, rest = where.partition("://")
    if not separator:
        if set(where) & set("@/?#"):
            raise ValueError("a host alone has no user name, path or options; write a URL, smtp://…")
        return "smtp", f"[{where}]" if where.count(":") > 1 and "[" not in where else where, "", {}
    scheme = scheme.lower()
    if scheme not in _SCHEMES:
        raise ValueError(f"the scheme of the URL is none of {', '.join(_SCHEMES)}")
    rest, _, query = rest.partition("?")
    netloc, slash, path = rest.partition("/")
    if "#" in where or "@" in query + path:
        # These may be the rest of a password, which no error shows.
        raise ValueError("in a user name or password of a URL, each of / ? # @ : and % is written as % and two digits")
    path = unquote(slash + path) if path else ""
    if "\0" in path:
        raise ValueError("the path of a socket holds no NUL")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not options.keys() <= _OPTIONS:
        raise ValueError(f"the URL's options are none but {', '.join(sorted(_OPTIONS))}")
    return scheme, netloc, path, options


def _authority(netloc: str) -> "tuple[str, str, int | None]":
    user, _, address = netloc.rpartition("@")
    if address.startswith("["):
        host, bracket, after = address[1:].partition("]")
        numbers, _, scope = host.partition("%")
        if not bracket or (after and not after.startswith(":")) or not _is_ip_address(numbers) or not scope.isascii():
            raise ValueError("an IPv6 address in a URL stands in brackets, a port behind them")
        port = after[1:]
    else:
        host, _, port = address.partition(":")
        if "[" in host or "]" in host:
            raise ValueError("brackets in a URL stand around all of the host")
    if port and not (is_number(port, 5) and 0 < int(port) <= _HIGHEST_PORT):
        raise ValueError(f"what stands behind the host and its colon is no port, a number from 1 to {_HIGHEST_PORT}")
    return user, host, int(port) if port else None


def _is_ip_address(text: str) -> bool:
    return is_address_literal(f"[IPv6:{text}]") or is_address_literal(f"[{text}]")


def _from_url(user: str) -> Credentials | None:
    from urllib.parse import unquote

    if not user:
        return None
    name, colon, password = user.partition(":")
    return Credentials(unquote(name), unquote(password) if colon else None)


def _credentials(auth: "Any") -> Credentials | None:
    if auth is None or isinstance(auth, Credentials):
        return auth
    if not isinstance(auth, (tuple, list)) or len(auth) != 2:
        raise ValueError("auth is Credentials, or (username, password)")
    return Credentials(*auth)
