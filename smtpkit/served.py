"""What a server of either adapter knows of itself and of each of its connections, and does without waiting."""

from time import monotonic

from smtpkit.admission import Admission
from smtpkit.errors import ReplyError
from smtpkit.observing import ServerWatch
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import failure_reply
from smtpkit.protocol.standard_replies import HANDLER_HANGS, NOT_A_PROXY, SHUTTING_DOWN

__all__ = ["ServedConnection", "ServerFacts"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any, Protocol

    from smtpkit.endpoints import Listener
    from smtpkit.protocol.session import SessionFacts
    from smtpkit.serving import ServerSettings
    from smtpkit.wire.replies import Reply

    class Event(Protocol):
        """An event of threads or of an event loop."""

        def set(self) -> None:
            """It has happened."""

        def is_set(self) -> bool:
            """Whether it has."""


_OF_MESSAGES = frozenset({"on_message", "on_body"})


class ServerFacts:
    """A server: who is connected, whom it lets in, and what it counts; the Server of each adapter listens and waits.

    Args:
        settings: how to serve.

    Attributes:
        counters: numbers since it began, by the names in `smtpkit.observing.COUNTERS`, and "over_" and the name for
            each limit that was reached.
    """

    _acceptor: "Any"
    _closed: "Event"  # close() was called
    _gone: "Event"  # after that, and the last connection has ended

    def __init__(self, settings: "ServerSettings") -> None:
        self._settings = settings
        self._admission = Admission(settings.config.limits, settings.ledger)
        self._connections: set[Any] = set()
        self._watch = ServerWatch(settings.ledger, settings.observer)
        self._bars_login = self._watch.bars_login  # one for all connections
        self.counters = self._watch.counters

    def __repr__(self) -> str:
        return f"<Server on {self.addresses}, {self.connections} connections>"

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._connections)

    @property
    def addresses(self) -> "list[Any]":
        """What it listens on, or did: (host, port), or the path of a unix socket."""
        return list(self._acceptor.addresses)

    @property
    def address(self) -> "tuple[str, int]":
        """(host, port) of the first TCP endpoint.

        Raises:
            RuntimeError: there is none.
        """
        for address in self.addresses:
            if isinstance(address, tuple):
                return address
        raise RuntimeError("the server has no TCP endpoint; see .addresses")

    def reload_tls(self) -> None:
        """Read the files of certificates anew: connections that come get what is in them, the others go on.

        Raises:
            TLSError: they cannot be used; the server goes on with those that it has.
            RuntimeError: TLS was given as an SSLContext, or there is none.
        """
        self._settings.reload_tls()

    def _is_first_to_close(self) -> bool:
        with self._watch.lock:
            first = not self._closed.is_set()
            self._closed.set()
        return first


class ServedConnection:
    """One client of a server: whether it may stay, what is told and counted of it, and that it has gone.

    The Connection of each adapter moves its octets and calls the hooks.

    Args:
        server: whose client it is.
        listener: where it came in.
        peer: the address that has connected.
        session: the user's, for this client.
        hooks: those of the session that are called.
    """

    __slots__ = (
        "_address",
        "_admitted",
        "_believed",
        "_driver",
        "_gone",
        "_proxied",
        "_server",
        "_session",
        "_since",
        "transport",
    )

    transport: "Any"

    def __init__(
        self,
        server: ServerFacts,
        listener: "Listener",
        peer: "Any",
        session: "SessionFacts",
        hooks: "Collection[str]",
    ) -> None:
        settings = server._settings
        self._server = server
        self._session = session
        self._proxied = settings.stands_behind_proxy(listener)
        self._believed = settings.believes(peer)
        trusted = self._believed is True and not self._proxied  # behind a proxy, peer is not the client
        core = ServerConnection(settings.config_for(trusted=trusted), transcript=settings.new_transcript())
        core.notice = self._noticed
        self._driver = ServerDriver(
            core,
            session,
            hooks,
            make_tls=settings.make_tls,
            implicit_tls=listener.implicit_tls,
            proxy_protocol=self._proxied,
            trusted=trusted,
        )
        self._driver.bars_login = server._bars_login
        if self._proxied:
            self._driver.introduced = self._introduced
        self._address: str | None = None  # whose connection is counted; None while that is not known
        self._admitted = False
        self._since = monotonic()
        self._gone = False

    # From the door in …

    def _opened(self) -> None:
        server, session = self._server, self._session
        session.peer = self.transport.peer or ""
        session.local = self.transport.local or ""
        self.transport.set_deadline(server._settings.config.limits.total)
        server._connections.add(self)  # which needs no lock: nothing is asked of the set before
        server._watch.came(session)
        if self._proxied and self._believed is False:
            # It may be no proxy, and what it says is not read: it hears nothing either.
            self._driver.core.close()
            server._watch.turned_away(session, "", NOT_A_PROXY)
        else:
            self._admit(None if self._proxied else session.address)

    def _introduced(self) -> None:
        # A PROXY header has said who the client is.
        address = self._session.address
        if self._admitted and address is not None:
            self._leave()
            self._admit(address)

    def _admit(self, address: str | None) -> None:
        server, session = self._server, self._session
        self._address = address
        with server._watch.lock:
            refusal, limit = server._admission.enter(address, monotonic())
        self._admitted = refusal is None
        if server._closed.is_set():
            refusal = SHUTTING_DOWN
        if refusal is not None:
            self._driver.turn_away(refusal)
            server._watch.turned_away(session, limit, refusal)
        elif address is not None or not self._proxied:
            server._watch.let_in(session)

    # … by what it does …

    def _noticed(self, name: str) -> None:
        if name == "message":
            self._settled(None, 0.0)
        else:
            self._server._watch.noticed(self._session, name)

    def _answered(self, hook: str, answer: "Any", began: float) -> None:
        # A hook that was called then has answered.
        if hook in _OF_MESSAGES:
            self._settled(answer, monotonic() - began)

    def _raised(self, hook: str, error: Exception) -> "Reply":
        # What a hook has raised is an answer too.
        if not isinstance(error, ReplyError) and not self._driver.body_failed:
            self._server._watch.failed(self._session, hook, error)
        return failure_reply(error)

    def _settled(self, answer: "Any", seconds: float) -> None:
        farewell = self._server._watch.answered(self._session, self._driver, answer, seconds)
        if farewell is not None:
            self._driver.shut_down(farewell)

    # … to the door out

    def _dismiss(self) -> None:
        # A call hangs.  The client is told, and need not wait; what was admitted counts as long as the call goes on.
        self._driver.dismiss(HANDLER_HANGS)
        self.transport.close()
        self._parted(admitted=self._admitted)

    def _leave(self) -> None:
        if self._admitted:
            self._admitted = False
            with self._server._watch.lock:
                self._server._admission.leave(self._address)

    def _parted(self, *, admitted: bool) -> None:
        # The client is gone; the user's code need not be.
        server = self._server
        if self._gone:
            return
        self._gone = True
        server._watch.closed(self._session, admitted, monotonic() - self._since)
        with server._watch.lock:
            server._connections.discard(self)
            if not server._connections and server._closed.is_set():
                server._gone.set()

    def _ended(self) -> None:
        admitted = self._admitted
        self._leave()
        self._parted(admitted=admitted)
        self._driver.core.notice = self._driver.introduced = None  # which refer back to this
