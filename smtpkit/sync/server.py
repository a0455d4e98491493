"""The blocking server: listens, runs a driver for each connection, and calls the session's hooks."""

import selectors
import socket
import threading

from smtpkit.endpoints import Listener
from smtpkit.errors import ReplyError
from smtpkit.protocol.needs import CLOSE, DONE
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import checked
from smtpkit.protocol.standard_replies import INTERNAL_ERROR
from smtpkit.serving import Admission, ServerLog, ServerSettings, overridden, session_id
from smtpkit.sync.session import Session, session_factory
from smtpkit.sync.transport import Transport

__all__ = ["Server", "serve"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Self

    from smtpkit.protocol.config import ServerConfig
    from smtpkit.protocol.limits import Limits
    from smtpkit.protocol.needs import Call
    from smtpkit.protocol.transcript import Transcript


class Server:
    """A server; `serve()` makes it.  Enter it with `with`, or start it, and it listens.

    One thread accepts, and each connection has a thread.  `close()` may be called from any thread.

    Attributes:
        counters: "connections", "refused", "messages" since it began.
    """

    def __init__(self, handler: "Any", settings: ServerSettings) -> None:
        self._make_session = session_factory(handler)
        self._settings = settings
        self._admission = Admission(settings.config.limits)
        self._log = ServerLog()
        self._connections: set[_Connection] = set()
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._gone = threading.Event()
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._thread: threading.Thread | None = None
        self.counters = {"connections": 0, "refused": 0, "messages": 0}

    def __repr__(self) -> str:
        return f"<Server on {self.addresses}, {self.connections} connections>"

    def __enter__(self) -> "Self":
        return self.start()

    def start(self) -> "Self":
        """Listen, and serve in threads of its own.

        Raises:
            OSError: an address cannot be bound.
        """
        selector = selectors.DefaultSelector()
        try:
            for listener in self._settings.listeners:
                for sock in listener.open():
                    self._sockets.append(sock)
                    sock.setblocking(False)
                    selector.register(sock, selectors.EVENT_READ, listener.implicit_tls)
        except BaseException:
            selector.close()
            self.close()
            raise
        self._wake = socket.socketpair()
        selector.register(self._wake[0], selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._accept, args=(selector,), name="smtpkit-accept", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._connections)

    @property
    def addresses(self) -> "list[Any]":
        """What it listens on: (host, port), or the path of a unix socket."""
        names = [sock.getsockname() for sock in self._sockets]
        return [name[:2] if isinstance(name, tuple) else name for name in names]

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

    def serve_forever(self) -> None:
        """Wait until the server is closed."""
        if self._thread is None:
            self.start()
        self._closed.wait()

    def close(self, grace: float = 5.0) -> None:
        """Stop listening, let transactions under way finish, and close; any number of times.

        Args:
            grace: seconds that they have for it.
        """
        with self._lock:
            first = not self._closed.is_set()
            self._closed.set()
            connections = list(self._connections)
        if first and self._wake is not None:
            self._wake[1].send(b"\0")
        if self._thread is not None:
            self._thread.join()
        for connection in connections:
            if first:
                connection.shut_down()
        if self.connections:
            self._gone.wait(grace)
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.abort()
        for sock in self._sockets:
            sock.close()
        for listener in self._settings.listeners:
            if first:
                listener.remove()

    def _accept(self, selector: selectors.BaseSelector) -> None:
        wake = self._wake
        assert wake is not None
        with wake[0], wake[1], selector:
            while not self._closed.is_set():
                for key, _ in selector.select():
                    if key.fileobj is not wake[0]:
                        self._accept_one(key.fileobj, key.data)  # type: ignore[arg-type]

    def _accept_one(self, listening: socket.socket, implicit_tls: bool) -> None:
        try:
            sock, _ = listening.accept()
        except OSError:
            return  # the client has gone again
        connection = _Connection(self, sock, implicit_tls)
        with self._lock:
            self._connections.add(connection)
        threading.Thread(target=connection.run, name="smtpkit-connection", daemon=True).start()


class _Connection:
    """One client: its driver, its session, and the thread that runs both."""

    __slots__ = ("_admitted", "_driver", "_server", "_session", "transport")

    def __init__(self, server: Server, sock: socket.socket, implicit_tls: bool) -> None:
        settings = server._settings
        core = ServerConnection(settings.config, transcript=settings.new_transcript())
        session = self._session = server._make_session()
        session._core = core
        session.id = session_id()
        self._server = server
        self._driver = ServerDriver(
            core,
            session,
            overridden(type(session), Session),
            make_tls=settings.make_tls,
            implicit_tls=implicit_tls,
        )
        self._admitted = False
        self.transport = Transport(sock, self._driver)

    def shut_down(self) -> None:
        """Say goodbye as soon as no transaction is under way."""
        self.transport.shut_down()

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    def run(self) -> None:
        """The connection's thread."""
        try:
            self._opened()
            self._serve(self.transport.until(self._driver.next))
        finally:
            self.transport.close()
            self._leave()

    def _opened(self) -> None:
        server, session = self._server, self._session
        session.peer = self.transport.peer or ""
        session.local = self.transport.local or ""
        with server._lock:
            refusal = server._admission.enter(self._address)
            server.counters["connections"] += 1
        self._admitted = refusal is None
        if refusal is not None:
            server.counters["refused"] += 1
            self._driver.turn_away(refusal)
        server._log.opened(session)

    @property
    def _address(self) -> str:
        peer = self._session.peer
        return peer[0] if isinstance(peer, tuple) else ""

    def _serve(self, need: "Any") -> None:
        transport, driver = self.transport, self._driver
        while need is not CLOSE:
            need = transport.until(driver.next, self._call(need))

    def _call(self, need: "Call") -> "Any":
        # What the hook returns; what it raises is an answer too.
        session = self._session
        try:
            hook = getattr(session, need.name)
            if need.name == "on_body":
                answer = checked("on_body", hook(self._body()))
            elif need.argument is None:
                answer = checked(need.name, hook())
            else:
                answer = checked(need.name, hook(need.argument))
        except ReplyError as error:
            answer = error.reply
        except Exception:  # noqa: BLE001 (whatever the user's code raises is answered 451)
            if not self._driver.body_failed:
                self._server._log.failed(session, need.name)
            answer = INTERNAL_ERROR
        if need.name in ("on_message", "on_body"):
            with self._server._lock:
                self._server.counters["messages"] += 1
            self._server._log.message(session, self._driver, answer)
        return answer

    def _body(self) -> "Iterator[bytes]":
        transport, driver = self.transport, self._driver
        while (chunk := transport.until(driver.next_chunk)) is not DONE:
            yield chunk

    def _leave(self) -> None:
        server = self._server
        with server._lock:
            server._connections.discard(self)
            if self._admitted:
                server._admission.leave(self._address)
            last = not server._connections
        server._log.closed(self._session)
        if last and server._closed.is_set():
            server._gone.set()


def serve(
    handler: "Any",
    host: str = "127.0.0.1",
    port: int = 8025,
    *,
    hostname: str | None = None,
    config: "ServerConfig | None" = None,
    tls: "ssl.SSLContext | tuple[str, str] | None" = None,
    implicit_tls: bool = False,
    auth: "Any" = None,
    limits: "Limits | None" = None,
    unix: str | None = None,
    sock: "socket.socket | None" = None,
    listeners: "Sequence[Listener] | None" = None,
    reuse_port: bool = False,
    transcript: "Transcript | Callable[[], Transcript] | None" = None,
    **settings: "Any",
) -> Server:
    """Serve SMTP or LMTP.

    Args:
        handler: a function that takes one Message and returns None (250), a Reply, or for LMTP a
            sequence of them; or a store; or a Session class or factory.
        host, port: where to listen; port 0 picks a free one.
        hostname: the name in greeting and EHLO reply; None for the host's own.
        config: a ServerConfig; what else is given here wins over it.
        tls: SSLContext, or (certfile, keyfile): offers STARTTLS.
        implicit_tls: whether TLS begins with the first octet instead.
        auth: AuthPolicy, or what it verifies with: login is then required.
        limits: Limits.
        unix: path of a unix socket, in place of host and port.
        sock: a bound socket, in place of host and port.
        listeners: several endpoints, in place of all these.
        reuse_port: whether several processes may listen on the port.
        transcript: records every session; or a callable that gives each its own.
        settings: further arguments of ServerConfig, such as `lmtp` or `max_message_size`.

    Returns:
        A Server to enter with `with`, or to start; it is bound and listening then.

    Raises:
        TypeError, ValueError: the arguments do not fit together.
        OSError: on entering, the address cannot be bound.
    """
    endpoints = (
        list(listeners)
        if listeners is not None
        else [Listener(host, port, unix=unix, sock=sock, implicit_tls=implicit_tls, reuse_port=reuse_port)]
    )
    made = ServerSettings(
        endpoints,
        hostname=hostname,
        config=config,
        tls=tls,
        auth=auth,
        limits=limits,
        transcript=transcript,
        **settings,
    )
    return Server(handler, made)
