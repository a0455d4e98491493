"""The asyncio server: listens, runs a driver for each connection, and calls the session's hooks."""

from asyncio import Event

from smtpkit.asyncio.connection import Connection
from smtpkit.asyncio.session import Session, session_factory
from smtpkit.asyncio.sockets import Acceptor
from smtpkit.asyncio.transport import Transport
from smtpkit.asyncio.waiting import Watchdog, wait
from smtpkit.endpoints import Listener
from smtpkit.protocol.standard_replies import NO_SESSION
from smtpkit.served import ServerFacts
from smtpkit.serving import ServerSettings

__all__ = ["Server", "serve"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Generator, Iterable, Sequence
    from types import TracebackType
    from typing import Any, Self

    from smtpkit.certificates import Certificates
    from smtpkit.observing import ServerObserver
    from smtpkit.protocol.config import ServerConfig
    from smtpkit.protocol.ledger import Ledger
    from smtpkit.protocol.limits import Limits
    from smtpkit.protocol.transcript import Transcript
    from smtpkit.wire.replies import Reply

_LAST_WAIT = 1.0  # seconds for connections that were aborted to be gone


class Server(ServerFacts):
    """A server; `serve()` makes it.  Enter it with `async with`, or await it, and it listens.

    Attributes:
        counters: numbers since it began, by the names in `smtpkit.observing.COUNTERS`, and "over_" and the name for
            each limit that was reached.
    """

    _closed: Event
    _gone: Event

    def __init__(self, make_session: "Callable[[], Session]", settings: ServerSettings) -> None:
        super().__init__(settings)
        self._make_session = make_session
        self._acceptor = Acceptor(self._connected)
        self._closed = Event()
        self._gone = Event()
        self._watchdog = Watchdog(settings.config.limits.handler)

    def __await__(self) -> "Generator[Any, Any, Self]":
        return self.start().__await__()

    async def __aenter__(self) -> "Self":
        return await self.start()

    async def __aexit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        await self.close()

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
                self._watchdog.start()
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
        first = self._is_first_to_close()
        await self._acceptor.close()
        if first:
            for connection in list(self._connections):
                connection.transport.shut_down()
        if self._connections:
            await wait(self._gone, grace)
        for connection in list(self._connections):
            connection.transport.abort()
        if self._connections:
            await wait(self._gone, _LAST_WAIT)
        self._watchdog.stop()

    def _connected(self, listener: Listener, peer: "Any") -> Transport:
        return Connection(self, listener, peer).transport

    def _new_session(self) -> Session:
        try:
            session = self._make_session()
            if not isinstance(session, Session):
                raise TypeError(f"the session factory made {session!r}, which is no Session of this adapter")
        except Exception as error:  # noqa: BLE001 (the user's code)
            session = _NoSession()
            self._watch.failed(session, "the session factory", error)
        return session


class _NoSession(Session):
    # In place of one that could not be made.

    async def on_connect(self) -> "Reply":
        return NO_SESSION


def serve(
    handler: "Any",
    host: str = "127.0.0.1",
    port: int = 8025,
    *,
    hostname: str | None = None,
    config: "ServerConfig | None" = None,
    tls: "ssl.SSLContext | Certificates | tuple[str, str | None] | str | Callable[[], ssl.SSLContext] | None" = None,
    implicit_tls: bool = False,
    auth: "Any" = None,
    limits: "Limits | None" = None,
    unix: str | None = None,
    sock: "socket.socket | None" = None,
    listeners: "Sequence[Listener] | None" = None,
    reuse_port: bool = False,
    proxy_protocol: bool = False,
    trusted: "Iterable[str] | None" = None,
    ledger: "Ledger | None" = None,
    observer: "ServerObserver | None" = None,
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
        tls: offers STARTTLS: a PEM file with certificate and key, a pair of files, Certificates, an SSLContext, or a
            callable that makes one; `reload_tls()` reads files anew, and calls the callable again.
        implicit_tls: whether TLS begins with the first octet instead.
        auth: AuthPolicy, or what it verifies with: login is then required; or "required" or "optional", where the
            session's `on_login` is asked.
        limits: Limits.
        unix: path of a unix socket, in place of host and port.
        sock: a bound socket, in place of host and port.
        listeners: several endpoints, in place of all these.
        reuse_port: whether several processes may listen on the port.
        proxy_protocol: whether each connection begins with a PROXY header, version 1 or 2, which then says who
            the peer is.  Without `trusted` only where nobody but the proxy can connect: whatever it says is believed.
        trusted: addresses and networks whose word about others is taken: PROXY headers come from them alone, and they
            are offered XCLIENT and XFORWARD; "unix" for unix sockets.
        ledger: what came from each address lately, with limits; None for one that bars an address from logging in
            after 100 failures in ten minutes.
        observer: a ServerObserver, told of what happens.
        in_thread: whether the handler is a plain function, to be called in a worker thread.
        transcript: records every session; or a callable that gives each its own.
        settings: further arguments of ServerConfig, such as `lmtp` or `max_message_size`.

    Returns:
        A Server to enter with `async with`, or to await; it is bound and listening then.

    Raises:
        TypeError, ValueError: the arguments do not fit together.
        OSError: on entering, the address cannot be bound.
    """
    endpoint = Listener(host, port, unix=unix, sock=sock, implicit_tls=implicit_tls, reuse_port=reuse_port)
    made = ServerSettings(
        [endpoint] if listeners is None else list(listeners),
        hostname=hostname,
        config=config,
        tls=tls,
        auth=auth,
        limits=limits,
        transcript=transcript,
        proxy_protocol=proxy_protocol,
        trusted=trusted,
        ledger=ledger,
        observer=observer,
        **settings,
    )
    return Server(session_factory(handler, in_thread=in_thread), made)
