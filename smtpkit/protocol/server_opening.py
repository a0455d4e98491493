"""How a server's connection opens: a PROXY header, where one is awaited, and TLS, then or behind STARTTLS."""

from smtpkit.errors import ParseError
from smtpkit.protocol.driver import Driver
from smtpkit.protocol.needs import READ
from smtpkit.protocol.told import take_header

__all__ = ["OpeningDriver"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from smtpkit.protocol.driver import MakeTLS, Needs
    from smtpkit.protocol.server import ServerConnection
    from smtpkit.protocol.session import SessionFacts

_HANDSHAKE = 30.0  # seconds


class OpeningDriver(Driver):
    """What a ServerDriver does before its dialogue begins, and with STARTTLS; see there for the arguments."""

    def __init__(
        self,
        core: "ServerConnection",
        session: "SessionFacts",
        make_tls: "MakeTLS | None",
        *,
        implicit_tls: bool,
        proxy_protocol: bool,
    ) -> None:
        super().__init__(core, make_tls)
        self.core = core
        self._session = session
        session._core = core
        self._implicit = implicit_tls
        self._header = b"" if proxy_protocol else None  # what has come of a PROXY header that is awaited
        self._behind_header = b""
        if proxy_protocol:
            # In the method's place until the header is complete: most connections have none, and pay nothing.
            self.receive = self._receive_header  # type: ignore[method-assign]
        self.introduced: Callable[[], None] | None = None
        self.timeout: float = core.config.limits.idle

    @property
    def _handshaking(self) -> bool:
        return self._header is not None or (self._tls is not None and self._tls.facts is None)

    def _begun(self) -> "Needs":
        # What comes before the greeting.
        core = self.core
        if self._header is not None:
            self.timeout = _HANDSHAKE
            while self._header is not None and not core.closed:
                yield READ
            self.timeout = core.config.limits.idle
        if self._implicit and not core.closed:
            yield from self._secured(received=self._behind_header)
        elif self._behind_header:
            self.receive(self._behind_header)

    def _receive_header(self, octets: bytes) -> None:
        from smtpkit.wire.proxy import parse_proxy_header

        self._header = came = (self._header or b"") + octets
        try:
            found = parse_proxy_header(came)
        except ParseError:
            self.core.close()  # without a word: who does not speak as was agreed is no client (section 2)
            if self.core.notice is not None:
                self.core.notice("proxy_header")
            return
        if found is not None:
            header, size = found
            self._behind_header, self._header = came[size:], None
            take_header(self._session, header)
            del self.receive
            if self.introduced is not None:
                self.introduced()
        elif not octets:
            self.core.close()

    def _secured(self, clear: bytes = b"", received: bytes = b"") -> "Needs":
        # From here on what comes is TLS; the 220 of STARTTLS still leaves in clear.
        self.timeout = _HANDSHAKE
        yield from self._handshake(clear, received)
        self.timeout = self.core.config.limits.idle
        if self.core.tls is None:
            self.core.close()
