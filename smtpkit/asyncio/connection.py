"""One client of the asyncio server: its driver, its session, and the calls of the session's hooks."""

from asyncio import CancelledError, current_task, get_running_loop
from time import monotonic

from smtpkit.asyncio.session import Session
from smtpkit.asyncio.transport import Transport
from smtpkit.errors import ConnectionLost, ReplyError
from smtpkit.protocol.needs import CLOSE, DONE
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import checked
from smtpkit.protocol.standard_replies import HANDLER_HANGS, HANDLER_TOO_LONG, INTERNAL_ERROR, SHUTTING_DOWN
from smtpkit.serving import NOT_A_PROXY, overridden

__all__ = ["Connection"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import AsyncGenerator, Callable
    from typing import Any

    from smtpkit.asyncio.server import Server
    from smtpkit.endpoints import Listener
    from smtpkit.protocol.needs import Call
    from smtpkit.wire.replies import Reply

_STUBBORN = 5.0  # seconds that a cancelled call has for coming to its end


class Connection:
    """One client: its driver, its session, and the calls of the session's hooks."""

    __slots__ = (
        "_address",
        "_admitted",
        "_began",
        "_believed",
        "_driver",
        "_gone",
        "_hook",
        "_server",
        "_session",
        "_since",
        "_stubborn",
        "transport",
    )

    def __init__(self, server: "Server", listener: "Listener", peer: "Any") -> None:
        settings = server._settings
        proxied = settings.stands_behind_proxy(listener)
        self._believed = settings.believes(peer)
        trusted = self._believed is True and not proxied  # behind a proxy, peer is not the client
        config = settings.config_for(trusted=trusted)
        core = ServerConnection(config, transcript=settings.new_transcript())
        core.notice = self._noticed
        session = self._session = server._new_session()
        self._server = server
        self._driver = ServerDriver(
            core,
            session,
            overridden(type(session), Session),
            make_tls=settings.make_tls,
            implicit_tls=listener.implicit_tls,
            proxy_protocol=proxied,
            trusted=trusted,
        )
        self._driver.bars_login = self._bars_login
        if proxied:
            self._driver.introduced = self._introduced
        self._address: str | None = None
        self._admitted = False
        self._since = monotonic()
        self._hook = ""  # which is called, or was last
        self._began = 0.0  # when it was, or had the last piece of a stream
        self._gone = False
        self._stubborn: TimerHandle | None = None  # waits for a cancelled call to end
        self.transport = Transport(
            self._driver,
            opened=self._opened,
            serve=self._serve,
            ended=self._ended,
        )

    def overdue(self) -> None:
        """For the watchdog: cancel the call; one that goes on all the same is left behind."""
        self._server._watch.overdue(self._session, self._hook)
        self._stubborn = get_running_loop().call_later(_STUBBORN, self._dismiss)
        self.transport.cancel()

    def _dismiss(self) -> None:
        # The client is told, and need not wait; what was admitted counts as long as the call goes on.
        self._driver.dismiss(HANDLER_HANGS)
        self.transport.close()
        self._parted(admitted=self._admitted)

    def _opened(self) -> None:
        server, session = self._server, self._session
        session.peer = self.transport.peer or ""
        session.local = self.transport.local or ""
        self.transport.set_deadline(server._settings.config.limits.total)
        server._connections.add(self)
        server._watch.came(session)
        if self._believed is False and self._driver.introduced is not None:
            # It may be no proxy, and what it says is not read: it hears nothing either.
            self._driver.core.close()
            server._watch.turned_away(session, "", NOT_A_PROXY)
        else:
            # Behind a proxy it is not known yet whose connection it is.
            self._admit(None if self._driver.introduced is not None else session.address)

    def _introduced(self) -> None:
        # A PROXY header has said who the client is.
        address = self._session.address
        if self._admitted and address is not None:
            self._leave()
            self._admit(address)

    def _admit(self, address: str | None) -> None:
        server, session = self._server, self._session
        self._address = address
        refusal, limit = server._admission.enter(address, monotonic())
        self._admitted = refusal is None
        if server._closed.is_set():
            refusal = SHUTTING_DOWN
        if refusal is not None:
            self._driver.turn_away(refusal)
            server._watch.turned_away(session, limit, refusal)
        elif address is not None or self._driver.introduced is None:
            server._watch.let_in(session)

    def _leave(self) -> None:
        if self._admitted:
            self._admitted = False
            self._server._admission.leave(self._address)

    def _noticed(self, name: str) -> None:
        if name == "message":
            self._answered(None, 0.0)
            return
        self._server._watch.noticed(self._session, name)

    def _bars_login(self) -> "Reply | None":
        return self._server._watch.bars_login(self._session)

    def _answered(self, answer: "Any", seconds: float) -> None:
        farewell = self._server._watch.answered(self._session, self._driver, answer, seconds)
        if farewell is not None:
            self._driver.shut_down(farewell)

    async def _serve(self, need: "Any") -> None:
        transport, driver = self.transport, self._driver
        try:
            while need is not CLOSE:
                need = await transport.until(driver.next, await self._call(need))
        except Exception:  # noqa: BLE001 (the server goes on)
            self._server._watch.failed(self._session, "the connection")

    async def _call(self, need: "Call") -> "Any":
        # The answer of a hook, unless it comes too late.
        name, watchdog = need.name, self._server._watchdog
        self._hook = name
        self._began = began = monotonic()
        watchdog.begin(self, began)
        try:
            answer = await self._answer(need)
        except CancelledError:
            if self._stubborn is None:
                raise
            answer = HANDLER_TOO_LONG
        finally:
            in_time = watchdog.end(self, self._began)
        if not in_time:
            self._caught_up()
        if self._gone:
            answer = HANDLER_HANGS
        if name in ("on_message", "on_body"):
            self._answered(answer, monotonic() - began)
        return answer

    def _caught_up(self) -> None:
        # The call that was overdue has come to its end.
        task, timer = current_task(), self._stubborn
        assert task is not None
        assert timer is not None
        task.uncancel()
        timer.cancel()
        self._stubborn = None

    async def _answer(self, need: "Call") -> "Any":
        # What the hook returns; what it raises is an answer too.
        name, session = need.name, self._session
        try:
            hook = getattr(session, name)
            if name == "on_body":
                answer = await self._stream_to(hook)
            else:
                answer = await (hook() if need.argument is None else hook(need.argument))
            if answer is not None:
                answer = checked(name, answer, self._driver.replies)
        except ReplyError as error:
            answer = error.reply
        except Exception as error:  # noqa: BLE001 (whatever the user's code raises is answered 451)
            if not self._driver.body_failed:
                self._server._watch.failed(session, name, error)
            answer = INTERNAL_ERROR
        return answer

    async def _stream_to(self, hook: "Callable[[Any], Any]") -> "Any":
        stream = self._body()
        try:
            return await hook(stream)
        finally:
            await stream.aclose()  # what the hook left unread is the driver's again

    async def _body(self) -> "AsyncGenerator[bytes, None]":
        transport, driver, watchdog = self.transport, self._driver, self._server._watchdog
        while True:
            if not watchdog.end(self, self._began):
                raise ConnectionLost("what reads the message has taken too long", stage="body")
            try:
                chunk = await transport.until(driver.next_chunk)
            finally:  # the wait for the client is not the hook's
                self._began = monotonic()
                watchdog.begin(self, self._began)
            if chunk is DONE:
                return
            yield chunk

    def _parted(self, *, admitted: bool) -> None:
        # The client is gone; the user's code need not be.
        server = self._server
        if self._gone:
            return
        self._gone = True
        server._watch.closed(self._session, admitted, monotonic() - self._since)
        server._connections.discard(self)
        if not server._connections and server._closed.is_set():
            server._gone.set()

    def _ended(self) -> None:
        admitted = self._admitted
        self._leave()
        self._parted(admitted=admitted)
        self._driver.core.notice = self._driver.introduced = self._driver.bars_login = None  # which refer back to this
