"""One client of the asyncio server: its driver, its session, and the calls of the session's hooks."""

from asyncio import CancelledError, current_task, get_running_loop
from time import monotonic

from smtpkit.asyncio.session import Session
from smtpkit.asyncio.transport import Transport
from smtpkit.errors import ConnectionLost
from smtpkit.protocol.needs import CLOSE, DONE
from smtpkit.protocol.session import checked
from smtpkit.protocol.standard_replies import HANDLER_HANGS, HANDLER_TOO_LONG
from smtpkit.served import ServedConnection
from smtpkit.serving import overridden

__all__ = ["Connection"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import AsyncGenerator, Callable
    from typing import Any

    from smtpkit.asyncio.server import Server
    from smtpkit.endpoints import Listener
    from smtpkit.protocol.needs import Call

_STUBBORN = 5.0  # seconds that a cancelled call has for coming to its end


class Connection(ServedConnection):
    """One client: its octets, and the calls of the session's hooks."""

    __slots__ = ("_began", "_hook", "_stubborn")

    _server: "Server"
    transport: Transport

    def __init__(self, server: "Server", listener: "Listener", peer: "Any") -> None:
        session = server._new_session()
        super().__init__(server, listener, peer, session, overridden(type(session), Session))
        self._hook = ""  # which is called, or was last
        self._began = 0.0  # when it was, or had the last piece of a stream
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
        self._answered(name, answer, began)
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
        except Exception as error:  # noqa: BLE001 (whatever the user's code raises is answered)
            answer = self._raised(name, error)
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
