"""What both adapters make of the arguments of connect(): target, TLS, time-outs, and words for what failed."""

from smtpkit.causes import cause_of, unreached
from smtpkit.protocol.config import ClientConfig
from smtpkit.protocol.exchanges import opening
from smtpkit.protocol.target import Target
from smtpkit.protocol.timeouts import STANDARD_TIMEOUTS, Timeouts
from smtpkit.wire.literals import address_literal

__all__ = ["ClientSettings"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Generator, Iterable
    from typing import Any

    from smtpkit.errors import SMTPError
    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.extensions import Extension
    from smtpkit.protocol.message import Message
    from smtpkit.protocol.transcript import Transcript
    from smtpkit.tls import TLS
    from smtpkit.watching import Observer


class ClientSettings:
    """How to connect; the arguments are those of `connect()`, and so are the defaults.

    Raises:
        ValueError: they do not fit together.
    """

    def __init__(
        self,
        where: str,
        port: int | None = None,
        *,
        tls: str | None = None,
        ssl_context: "ssl.SSLContext | None" = None,
        cafile: str | None = None,
        fingerprint: str | None = None,
        client_certificate: "str | tuple[str, str] | None" = None,
        server_hostname: str | None = None,
        unverified_tls: bool = False,
        auth: "Any" = None,
        allow_auth_in_clear: bool = False,
        timeouts: Timeouts | float | None = None,
        deadline: float | None = None,
        local_hostname: str | None = None,
        local_address: "tuple[str, int] | None" = None,
        sock: "socket.socket | None" = None,
        transcript: "Transcript | None" = None,
        extensions: "Iterable[Extension]" = (),
        observer: "Observer | None" = None,
    ) -> None:
        self.target = target = Target.parse(where, port, tls=tls, auth=auth, pinned=fingerprint is not None)
        options = target.options
        self.timeouts, self.deadline = _timeouts(timeouts, options), _deadline(deadline, options)
        name = local_hostname or options.get("local_hostname")
        self.config = ClientConfig(name, lmtp=target.lmtp, extensions=extensions)
        self.local_address = local_address or _local_address(options)
        self.sock, self.transcript, self.observer = sock, transcript, observer
        self.outbox: list[Message] = []
        self._tls = _TLSSettings(
            ssl_context,
            cafile or options.get("cafile"),
            options.get("fingerprint") if fingerprint is None else fingerprint,
            client_certificate,
            server_hostname or options.get("server_hostname") or target.host or "localhost",
            unverified_tls,
        )
        self._allow_auth_in_clear = allow_auth_in_clear or target.is_local

    @classmethod
    def of_many(cls, owner: str, where: str, port: int | None, options: "dict[str, Any]") -> "ClientSettings":
        """The settings of who makes connections as they are needed.

        Args:
            owner: the class that is called with these options.
            where, port, options: of `connect()`.

        Raises:
            TypeError: there is no such option; it names the owner.
            ValueError: they do not fit together, or there is a `sock`.
        """
        for name in options:
            if name not in (cls.__init__.__kwdefaults__ or {}):
                raise TypeError(f"{owner}() got an unexpected keyword argument {name!r}")
        if options.get("sock") is not None:
            raise ValueError(f"a {owner.lower()} makes its own connections: sock does not go with it")
        return cls(where, port, **options)

    def connect_timeout(self, deadline: float | None) -> float:
        """Seconds for reaching the server, of those that `deadline` and the settings leave."""
        bounds = (self.timeouts["connect"], self.deadline, deadline)
        return min(seconds for seconds in bounds if seconds is not None)

    @property
    def route(self) -> "dict[str, Any]":
        """Arguments of `dial()`: how the server is reached."""
        target = self.target
        by = {"path": target.path, "sock": self.sock, "local_address": self.local_address}
        return {"host": target.host, "port": target.port, **by}

    def capture(self, message: "Message") -> None:
        """Take a message that leaves this process not (`memory:`) or on standard output (`print:`)."""
        from smtpkit.captured import show

        if self.target.captured == "print":
            show(message)
        else:
            self.outbox.append(message)

    def make_tls(self) -> "TLS":
        """The client's side of TLS, for one connection.

        Raises:
            TLSError: the settings cannot be used.
        """
        return self._tls.make()

    def opening(self, client: "ClientConnection", own_end: "Any") -> "Generator[Any, Any, Any]":
        """The exchange that comes before the first message.

        Args:
            client: the connection.
            own_end: the socket's own address.
        """
        return opening(
            client,
            self.config.hostname or _own_name(own_end),
            tls=self.target.tls,  # type: ignore[arg-type]
            credentials=self.target.credentials,
            allow_auth_in_clear=self._allow_auth_in_clear,
            server=(self.target.host, self.target.port),
        )

    def unreached(self, error: OSError | UnicodeError, seconds: float) -> "SMTPError":
        """The error that says why there is no connection, which was tried for so many seconds."""
        return unreached(error, self.target, seconds, self.local_address)

    def diagnosed(
        self, error: "SMTPError", client: "ClientConnection | None" = None, *, heard: bool = False
    ) -> "SMTPError":
        """The same error with the likely cause and the way on, where these are known.

        Args:
            error: what the opening of a connection raised.
            client: the connection.
            heard: whether anything at all has come from the server.
        """
        cause = cause_of(error, self.target, client, heard=heard)
        if cause:
            error.args = (f"{error}; {cause}",)
        return error


class _TLSSettings:
    """What the client's side of TLS is made with, once for all connections."""

    def __init__(
        self,
        context: "ssl.SSLContext | None",
        cafile: str | None,
        fingerprint: str | None,
        certificate: "str | tuple[str, str] | None",
        server_hostname: str,
        unverified: bool,
    ) -> None:
        if context is not None and (cafile or unverified or certificate):
            raise ValueError("ssl_context has all that cafile, unverified_tls and client_certificate would set")
        if fingerprint is not None and unverified:
            raise ValueError("a pinned fingerprint is verified: unverified_tls does not go with it")
        self._context = context
        self._cafile = cafile
        self._fingerprint = fingerprint
        self._certificate = certificate
        self._server_hostname = server_hostname
        self._unverified = unverified

    def make(self) -> "TLS":
        from smtpkit.tls import TLS, client_context

        if self._context is None:
            # A pinned certificate is trusted for being that one, whoever signed it.
            unverified = self._unverified or (self._fingerprint is not None and self._cafile is None)
            self._context = client_context(cafile=self._cafile, unverified=unverified, certificate=self._certificate)
        return TLS(
            self._context,
            server_side=False,
            server_hostname=self._server_hostname,
            fingerprint=self._fingerprint,
        )


def _timeouts(given: Timeouts | float | None, options: "dict[str, str]") -> Timeouts:
    if isinstance(given, Timeouts):
        return given
    if given is None:
        return Timeouts(_seconds("timeout", options)) if "timeout" in options else STANDARD_TIMEOUTS
    return Timeouts(given)


def _deadline(given: float | None, options: "dict[str, str]") -> float | None:
    deadline = _seconds("deadline", options) if given is None and "deadline" in options else given
    if deadline is not None and not deadline > 0:
        raise ValueError(f"a deadline is a number of seconds above 0, not {deadline}")
    return deadline


def _seconds(name: str, options: "dict[str, str]") -> float:
    try:
        return float(options[name])
    except ValueError:
        raise ValueError(f"the URL's {name} is a number of seconds, not {options[name]!r}") from None


def _local_address(options: "dict[str, str]") -> "tuple[str, int] | None":
    address = options.get("local_address")
    return None if address is None else (address, 0)


def _own_name(own_end: "Any") -> str:
    # The address literal of the own end (RFC 5321 section 4.1.4); looking a name up may take seconds.
    if isinstance(own_end, tuple):
        return address_literal(own_end[0])
    return "localhost"
