"""What both adapters make of the arguments of connect(): target, TLS, time-outs, and words for what failed."""

from smtpkit.errors import ConnectionLost, RemoteProtocolError, SMTPError, Timeout, TLSError
from smtpkit.protocol.config import ClientConfig
from smtpkit.protocol.exchanges import opening
from smtpkit.protocol.target import Target
from smtpkit.protocol.timeouts import Timeouts
from smtpkit.wire.literals import address_literal

__all__ = ["ClientSettings"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Generator
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.message import Message
    from smtpkit.protocol.transcript import Transcript
    from smtpkit.tls import TLS


class ClientSettings:
    """How to connect; the arguments are those of `connect()`.

    Raises:
        ValueError: they do not fit together.
    """

    def __init__(
        self,
        where: str,
        port: int | None,
        *,
        tls: str | None,
        ssl_context: "ssl.SSLContext | None",
        cafile: str | None,
        server_hostname: str | None,
        unverified_tls: bool,
        auth: "Any",
        allow_auth_in_clear: bool,
        timeouts: Timeouts | float | None,
        deadline: float | None,
        local_hostname: str | None,
        local_address: "tuple[str, int] | None",
        sock: "socket.socket | None",
        transcript: "Transcript | None",
    ) -> None:
        self.target = target = Target.parse(where, port, tls=tls, auth=auth)
        options = target.options
        if timeouts is None and "timeout" in options:
            timeouts = float(options["timeout"])
        cafile = cafile or options.get("cafile")
        if ssl_context is not None and (cafile or unverified_tls):
            raise ValueError("ssl_context has its own authorities: cafile and unverified_tls do not go with it")
        self.timeouts = timeouts if isinstance(timeouts, Timeouts) else Timeouts(timeouts)
        if deadline is not None and not deadline > 0:
            raise ValueError(f"a deadline is a number of seconds above 0, not {deadline}")
        self.deadline = deadline
        self.config = ClientConfig(local_hostname or options.get("local_hostname"), lmtp=target.lmtp)
        self.local_address = local_address
        self.sock = sock
        self.transcript = transcript
        self.outbox: list[Message] = []
        self._ssl_context = ssl_context
        self._cafile = cafile
        self._server_hostname = server_hostname or options.get("server_hostname") or target.host or "localhost"
        self._unverified = unverified_tls
        self._allow_auth_in_clear = allow_auth_in_clear or target.is_local

    @property
    def connect_timeout(self) -> float:
        """Seconds for reaching the server."""
        seconds = self.timeouts["connect"]
        return seconds if self.deadline is None else min(seconds, self.deadline)

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
        from smtpkit.tls import TLS, client_context

        if self._ssl_context is None:
            self._ssl_context = client_context(cafile=self._cafile, unverified=self._unverified)
        return TLS(self._ssl_context, server_side=False, server_hostname=self._server_hostname)

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
        )

    def diagnosed(self, error: SMTPError) -> SMTPError:
        """The same error with the likely cause and the way on, where these are known."""
        implicit = self.target.tls == "implicit"
        hint = ""
        if isinstance(error, Timeout) and error.stage == "greeting" and not implicit:
            hint = "a server that speaks TLS from the first octet waits for the client: try smtps:// or tls='implicit'"
        elif isinstance(error, TLSError) and implicit and "does not speak TLS" in str(error):
            hint = "this port begins in clear: try smtp:// with tls='required'"
        elif isinstance(error, RemoteProtocolError) and isinstance(error.received, bytes):
            if error.received[:1] in (b"\x15", b"\x16"):
                hint = "the server speaks TLS from the first octet: try smtps:// or tls='implicit'"
        elif isinstance(error, ConnectionLost) and error.stage == "greeting" and not implicit:
            hint = "if the server speaks TLS from the first octet, use smtps:// or tls='implicit'"
        if hint:
            error.args = (f"{error}; {hint}",)
        return error


def _own_name(own_end: "Any") -> str:
    # The address literal of the own end (RFC 5321 section 4.1.4); looking a name up may take seconds.
    if isinstance(own_end, tuple):
        return address_literal(own_end[0].partition("%")[0])
    return "localhost"
