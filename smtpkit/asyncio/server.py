"""The asyncio server: listens, runs a driver for each connection, and calls the session's hooks."""

import asyncio
from contextlib import suppress

from smtpkit.asyncio.session import Session, session_factory
from smtpkit.asyncio.transport import Transport
from smtpkit.endpoints import Listener
from smtpkit.errors import ReplyError
from smtpkit.protocol.needs import CLOSE, DONE
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import checked
from smtpkit.protocol.standard_replies import INTERNAL_ERROR
from smtpkit.serving import Admission, ServerLog, ServerSettings, overridden, session_id

__all__ = ["Server", "serve"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncIterator, Callable, Generator, Sequence
    from types import TracebackType
    from typing import Any, Self

    from smtpkit.protocol.config import ServerConfig
    from smtpkit.protocol.limits import Limits
    from smtpkit.protocol.needs import Call
    from smtpkit.protocol.transcript import Transcript


class Server:
    """A server; `serve()` makes it.  Enter it with `async with`, or await it, and it listens.

    Attributes:
        counters: "connections", "refused", "messages" since it began.
    """

    def __init__(self, handler: "Any", settings: ServerSettings, *, in_thread: bool = False) -> None:
        self._make_session = session_factory(handler, in_thread=in_thread)
        self._settings = settings
        self._admission = Admission(settings.config.limits)
        self._log = ServerLog()
        self._connections: set[_Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._sockets: list[socket.socket] = []
        self._closed = asyncio.Event()
        self._gone = asyncio.Event()
        self.counters = {"connections": 0, "refused": 0, "messages": 0}

    def __repr__(self) -> str:
        return f"<Server on {self.addresses}, {self.connections} connections>"

    def __await__(self) -> "Generator[Any, Any, Self]":
        return self.__aenter__().__await__()

    async def __aenter__(self) -> "Self":
        loop = asyncio.get_running_loop()
        try:
            for listener in self._settings.listeners:
                for sock in listener.open():
                    self._sockets.append(sock)
                    self._servers.append(await self._listen(loop, sock, listener.implicit_tls))
        except BaseException:
            await self.close()
            raise
        return self

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

    async def serve_forever(self) -> None:
        """Wait until the server is closed, or this is cancelled."""
        if not self._servers:
            await self
        await self._closed.wait()

    async def close(self, grace: float = 5.0) -> None:
        """Stop listening, let transactions under way finish, and close; any number of times.

        Args:
            grace: seconds that they have for it.
        """
        first = not self._closed.is_set()
        self._closed.set()
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            if first:
                connection.shut_down()
        if self._connections:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._gone.wait()
        for connection in list(self._connections):
            connection.abort()
        for listener in self._settings.listeners:
            if first:
                listener.remove()

    async def _listen(
        self, loop: asyncio.AbstractEventLoop, sock: "socket.socket", implicit_tls: bool
    ) -> asyncio.Server:
        def connected() -> Transport:
            connection = _Connection(self, implicit_tls)
            return connection.transport

        sock.setblocking(False)
        make = loop.create_unix_server if isinstance(sock.getsockname(), str) else loop.create_server
        return await make(connected, sock=sock)


class _Connection:
    """One client: its driver, its session, and the task that calls the hooks, made when the first is due."""

    __slots__ = ("_admitted", "_driver", "_server", "_session", "_task", "transport")

    def __init__(self, server: Server, implicit_tls: bool) -> None:
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
        self._task: asyncio.Task[None] | None = None
        self._admitted = False
        self.transport = Transport(
            asyncio.get_running_loop(),
            self._driver,
            begin=self._begin,
            opened=self._opened,
            lost=self._leave,
            patient=True,
        )

    def shut_down(self) -> None:
        """Say goodbye as soon as no transaction is under way."""
        if self._driver.shut_down():
            self.transport.nudge()

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()
        if self._task is not None:
            self._task.cancel()

    def _opened(self) -> None:
        server, session = self._server, self._session
        session.peer = self.transport.get_extra_info("peername") or ""
        session.local = self.transport.get_extra_info("sockname") or ""
        refusal = server._admission.enter(self._address)
        self._admitted = refusal is None
        server._connections.add(self)
        server.counters["connections"] += 1
        if refusal is not None:
            server.counters["refused"] += 1
            self._driver.turn_away(refusal)
        server._log.opened(session)
        self.transport.start(self._driver.next)

    @property
    def _address(self) -> str:
        peer = self._session.peer
        return peer[0] if isinstance(peer, tuple) else ""

    def _begin(self, need: "Any") -> None:
        if need is CLOSE:
            self.transport.close()
        else:
            self._task = asyncio.get_running_loop().create_task(self._serve(need))

    async def _serve(self, need: "Any") -> None:
        transport, driver = self.transport, self._driver
        try:
            while need is not CLOSE:
                need = await transport.until(driver.next, await self._call(need))
        finally:
            transport.close()
            self._task = None
            self._leave()

    async def _call(self, need: "Call") -> "Any":
        # What the hook returns; what it raises is an answer too.
        session = self._session
        try:
            hook = getattr(session, need.name)
            if need.name == "on_body":
                answer = checked("on_body", await hook(self._body()))
            elif need.argument is None:
                answer = checked(need.name, await hook())
            else:
                answer = checked(need.name, await hook(need.argument))
        except ReplyError as error:
            answer = error.reply
        except Exception:  # noqa: BLE001 (whatever the user's code raises is answered 451)
            if not self._driver.body_failed:
                self._server._log.failed(session, need.name)
            answer = INTERNAL_ERROR
        if need.name in ("on_message", "on_body"):
            self._server.counters["messages"] += 1
            self._server._log.message(session, self._driver, answer)
        return answer

    async def _body(self) -> "AsyncIterator[bytes]":
        transport, driver = self.transport, self._driver
        while (chunk := await transport.until(driver.next_chunk)) is not DONE:
            yield chunk

    def _leave(self) -> None:
        server = self._server
        if self._task is None and self in server._connections:
            server._connections.discard(self)
            if self._admitted:
                server._admission.leave(self._address)
            server._log.closed(self._session)
            if not server._connections and server._closed.is_set():
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
        auth: AuthPolicy, or what it verifies with: login is then required.
        limits: Limits.
        unix: path of a unix socket, in place of host and port.
        sock: a bound socket, in place of host and port.
        listeners: several endpoints, in place of all these.
        reuse_port: whether several processes may listen on the port.
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
        **settings,
    )
    return Server(handler, made, in_thread=in_thread)
