"""The asyncio server: listens, runs a driver for each connection, and calls the session's hooks."""

from asyncio import Event

from smtpkit.asyncio.session import Session, session_factory
from smtpkit.asyncio.sockets import Acceptor
from smtpkit.asyncio.transport import Transport, wait
from smtpkit.endpoints import Listener
from smtpkit.errors import ReplyError
from smtpkit.protocol.needs import CLOSE, DONE
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import checked
from smtpkit.protocol.standard_replies import INTERNAL_ERROR, SHUTTING_DOWN
from smtpkit.serving import NO_SESSION, Admission, ServerLog, ServerSettings, overridden, session_id

__all__ = ["Server", "serve"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence
    from types import TracebackType
    from typing import Any, Self

    from smtpkit.protocol.config import ServerConfig
    from smtpkit.protocol.limits import Limits
    from smtpkit.protocol.needs import Call
    from smtpkit.protocol.transcript import Transcript
    from smtpkit.wire.replies import Reply

_LAST_WAIT = 1.0  # seconds for connections that were aborted to be gone


class Server:
    """A server; `serve()` makes it.  Enter it with `async with`, or await it, and it listens.

    Attributes:
        counters: since it began, "connections", those of them that were "refused", and "messages" accepted.
    """

    def __init__(self, make_session: "Callable[[], Session]", settings: ServerSettings) -> None:
        self._make_session = make_session
        self._settings = settings
        self._admission = Admission(settings.config.limits)
        self._log = ServerLog()
        self._acceptor = Acceptor(self._connected)
        self._connections: set[_Connection] = set()
        self._closed = Event()
        self._gone = Event()
        self.counters = {"connections": 0, "refused": 0, "messages": 0}

    def __repr__(self) -> str:
        return f"<Server on {self.addresses}, {self.connections} connections>"

    def __await__(self) -> "Generator[Any, Any, Self]":
        return self.start().__await__()

    async def __aenter__(self) -> "Self":
        return await self.start()

    async def __aexit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        await self.close()

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

    async def start(self) -> "Self":
        """Listen and serve; nothing more if it does already.

        Raises:
            OSError: an address cannot be bound.
            RuntimeError: it was closed.
        """
        if self._closed.is_set():
            raise RuntimeError("a server that was closed does not start again")
        if not self.addresses:
            try:
                await self._acceptor.open(self._settings.listeners)
            except BaseException:
                await self.close()
                raise
        return self

    async def serve_forever(self) -> None:
        """Serve until the server is closed; when this is cancelled, close it."""
        await self.start()
        try:
            await self._closed.wait()
        except BaseException:
            await self.close()
            raise

    async def close(self, grace: float = 5.0) -> None:
        """Stop listening, let transactions under way finish, and close; any number of times.

        Args:
            grace: seconds that they have for it.
        """
        first = not self._closed.is_set()
        self._closed.set()
        self._acceptor.close()
        if first:
            for connection in list(self._connections):
                connection.transport.shut_down()
        if self._connections:
            await wait(self._gone, grace)
        for connection in list(self._connections):
            connection.transport.abort()
        if self._connections:
            await wait(self._gone, _LAST_WAIT)

    def _connected(self, implicit_tls: bool) -> Transport:
        return _Connection(self, implicit_tls).transport

    def _new_session(self) -> Session:
        try:
            session = self._make_session()
            if not isinstance(session, Session):
                raise TypeError(f"the session factory made {session!r}, which is no Session of this adapter")
            session.id = session_id()
        except Exception:  # noqa: BLE001 (the user's code)
            session = _NoSession()
            session.id = session_id()
            self._log.failed(session, "the session factory")
        return session


class _NoSession(Session):
    # In place of one that could not be made.

    async def on_connect(self) -> "Reply":
        return NO_SESSION


class _Connection:
    """One client: its driver, its session, and the calls of the session's hooks."""

    __slots__ = ("_address", "_admitted", "_driver", "_server", "_session", "transport")

    def __init__(self, server: Server, implicit_tls: bool) -> None:
        settings = server._settings
        core = ServerConnection(settings.config, transcript=settings.new_transcript())
        session = self._session = server._new_session()
        self._server = server
        self._driver = ServerDriver(
            core,
            session,
            overridden(type(session), Session),
            make_tls=settings.make_tls,
            implicit_tls=implicit_tls,
            proxy_protocol=settings.proxy_protocol,
        )
        self._admitted = False
        self.transport = Transport(
            self._driver,
            opened=self._opened,
            serve=self._serve,
            ended=self._ended,
            unread=settings.config.limits.unread,
        )

    def _opened(self) -> None:
        server, session = self._server, self._session
        session.peer = peer = self.transport.peer or ""
        self._address = peer[0] if isinstance(peer, tuple) else ""  # whose connection it is, whoever sends by it
        session.local = self.transport.local or ""
        refusal = server._admission.enter(self._address)
        self._admitted = refusal is None
        server._connections.add(self)
        server.counters["connections"] += 1
        server.counters["refused"] += refusal is not None
        if server._closed.is_set():
            refusal = SHUTTING_DOWN
        if refusal is not None:
            self._driver.turn_away(refusal)
        server._log.opened(session)

    async def _serve(self, need: "Any") -> None:
        transport, driver = self.transport, self._driver
        try:
            while need is not CLOSE:
                need = await transport.until(driver.next, await self._call(need))
        except Exception:  # noqa: BLE001 (the server goes on)
            self._server._log.failed(self._session, "the connection")

    async def _call(self, need: "Call") -> "Any":
        # What the hook returns; what it raises is an answer too.
        name, session = need.name, self._session
        try:
            hook = getattr(session, name)
            if name == "on_body":
                answer = await self._stream_to(hook)
            else:
                answer = await (hook() if need.argument is None else hook(need.argument))
            answer = checked(name, answer, self._driver.replies)
        except ReplyError as error:
            answer = error.reply
        except Exception:  # noqa: BLE001 (whatever the user's code raises is answered 451)
            if not self._driver.body_failed:
                self._server._log.failed(session, name)
            answer = INTERNAL_ERROR
        if name in ("on_message", "on_body"):
            self._server.counters["messages"] += self._driver.accepts(answer)
            self._server._log.message(session, self._driver, answer)
        return answer

    async def _stream_to(self, hook: "Callable[[Any], Any]") -> "Any":
        stream = self._body()
        try:
            return await hook(stream)
        finally:
            await stream.aclose()  # what the hook left unread is the driver's again

    async def _body(self) -> "AsyncGenerator[bytes, None]":
        transport, driver = self.transport, self._driver
        while (chunk := await transport.until(driver.next_chunk)) is not DONE:
            yield chunk

    def _ended(self) -> None:
        server = self._server
        server._connections.discard(self)
        if self._admitted:
            server._admission.leave(self._address)
        if not server._connections and server._closed.is_set():
            server._gone.set()
        server._log.closed(self._session)


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
    proxy_protocol: bool = False,
    in_thread: bool = False,
    transcript: "Transcript | Callable[[], Transcript] | None" = None,
    **settings: "Any",
) -> Server:
    """Serve SMTP or LMTP.

    Args:
        handler: a coroutine function that takes one Message and returns None (250), a Reply, or for LMTP a
            sequence of them; or a store; or a Session class or factory.
        host, port: where to listen; port 0 picks a free one.
        hostname: the name in greeting and EHLO reply; None for the host's own.
        config: a ServerConfig; what else is given here wins over it.
        tls: SSLContext, or (certfile, keyfile): offers STARTTLS.
        implicit_tls: whether TLS begins with the first octet instead.
        auth: AuthPolicy, or what it verifies with: login is then required; or "required" or "optional", where the
            session's `on_login` is asked.
        limits: Limits.
        unix: path of a unix socket, in place of host and port.
        sock: a bound socket, in place of host and port.
        listeners: several endpoints, in place of all these.
        reuse_port: whether several processes may listen on the port.
        proxy_protocol: whether each connection begins with a PROXY header, version 1 or 2, which then says who
            the peer is.  Only where nobody but the proxy can connect: whatever it says is believed.
        in_thread: whether the handler is a plain function, to be called in a worker thread.
        transcript: records every session; or a callable that gives each its own.
        settings: further arguments of ServerConfig, such as `lmtp` or `max_message_size`.

    Returns:
        A Server to enter with `async with`, or to await; it is bound and listening then.

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
        proxy_protocol=proxy_protocol,
        **settings,
    )
    return Server(session_factory(handler, in_thread=in_thread), made)
