"""What a client of either adapter knows of its connection, and does without waiting."""

from smtpkit.errors import ConnectionLost, LocalProtocolError, SMTPError
from smtpkit.protocol.client import ClientConnection
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.watching import Watch

__all__ = ["ClientFacts"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from smtpkit.connecting import ClientSettings
    from smtpkit.protocol.tls_facts import TLSFacts
    from smtpkit.watching import ClientStats
    from smtpkit.wire.capabilities import Capabilities
    from smtpkit.wire.replies import Reply


class ClientFacts:
    """A connection to a server, and whether it can carry anything; the Client of each adapter sends and waits.

    Args:
        settings: of the connection.
    """

    _transport: "Any"
    greeting: "Reply"

    def __init__(self, settings: "ClientSettings") -> None:
        self._settings = settings
        self._watch = Watch(settings.observer, settings.transcript)
        self._core = ClientConnection(settings.config, transcript=self._watch.transcript)
        self._driver = ClientDriver(
            self._core,
            make_tls=settings.make_tls,
            implicit_tls=settings.target.tls == "implicit",
            timeouts=settings.timeouts,
        )
        self._busy = False
        self._sent = 0  # messages
        self._cause: BaseException | None = None  # what broke the connection

    def __repr__(self) -> str:
        transport = getattr(self, "_transport", None)  # None until there is one
        state = "closed" if transport is None or transport.closed else self._core.state.value
        return f"<Client of {self._settings.target}, {state}>"

    @property
    def url(self) -> str:
        """Where to, without user, password and options: "smtp://mail.example.org:587"."""
        return str(self._settings.target)

    @property
    def stats(self) -> "ClientStats":
        """What this connection has done: messages, recipients by verdict, octets, round trips."""
        return self._watch.stats(self._sent, self._driver)

    @property
    def capabilities(self) -> "Capabilities":
        """What the server offered in its last EHLO reply."""
        return self._core.capabilities

    @property
    def tls(self) -> "TLSFacts | None":
        """Facts of the TLS session, None in clear."""
        return self._core.tls

    # For Pool and Relay, which keep connections.

    @property
    def _is_closed(self) -> bool:
        return self._transport.closed  # type: ignore[no-any-return]

    @property
    def _is_alive(self) -> bool:
        # A look without waiting: has the server gone, or said something that nobody asked for?
        if self._transport.closed or self._busy or self._cause is not None:
            return False
        self._transport.look()
        return self._driver.alive

    @property
    def _may_be_kept(self) -> bool:
        # Whether it can carry another message, as far as is known without a look.
        return not (self._transport.closed or self._busy) and self._cause is None and self._driver.reusable

    @property
    def _may_go_on(self) -> bool:
        # The same, with a look.
        return self._is_alive and self._may_be_kept

    def _quit_unheard(self) -> None:
        # Say QUIT where somebody is there to hear it, and close without waiting for the reply.
        if self._is_alive:
            self._driver.take_leave()
        self._transport.close()
        self._watch.closed(self)

    def _drop(self) -> None:
        # Close without a word.
        self._transport.abort()
        self._watch.closed(self)

    # For the Client alone: an exchange, from its beginning to its end.

    @property
    def _may_quit(self) -> bool:
        return not self._busy and self._cause is None and not self._driver.broken

    def _begin(self, exchange: "Generator[Any, Any, Any]", held: bytes | None, deadline: float | None) -> None:
        if self._busy:
            raise LocalProtocolError("the client is in use by another call", expected="one call at a time")
        if self._cause is not None or self._transport.closed:
            reason = self._cause or self._core.closing or "it was closed"
            raise ConnectionLost(f"the connection is not usable any more: {reason}") from self._cause
        self._busy = True
        self._transport.set_deadline(self._settings.deadline if deadline is None else deadline)
        self._driver.start(exchange, held)

    def _end(self, error: BaseException | None) -> None:
        # A connection that is out of step carries nothing any more; it keeps what broke it.
        self._busy = False
        in_step = not self._driver.broken and (error is None or (isinstance(error, SMTPError) and self._core.idle))
        if not in_step:
            self._cause = error
            self._transport.abort() if error is not None else self._transport.close()
