"""One client of the blocking server: its driver, its session, and the calls of the session's hooks."""

from threading import Thread
from time import monotonic

from smtpkit.errors import ConnectionLost
from smtpkit.protocol.needs import CLOSE, DONE
from smtpkit.protocol.session import checked
from smtpkit.protocol.standard_replies import HANDLER_HANGS
from smtpkit.served import ServedConnection
from smtpkit.serving import overridden
from smtpkit.sync.session import Session
from smtpkit.sync.transport import Transport

__all__ = ["Connection"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from smtpkit.endpoints import Listener
    from smtpkit.protocol.needs import Call
    from smtpkit.sync.server import Server


class Connection(ServedConnection):
    """One client: its octets, and the calls of the session's hooks."""

    __slots__ = ("_began", "_hook", "_farewell")

    _server: "Server"
    transport: Transport

    def __init__(self, server: "Server", listener: "Listener", peer: "Any") -> None:
        session = server._new_session()
        super().__init__(server, listener, peer, session, overridden(type(session), Session))
        self._hook = ""  # which is called, or was last
        self._began = 0.0  # when it was, or had the last piece of a stream
        self._farewell: Thread | None = None  # ends the session of a call that hangs
        self.transport = Transport(
            self._driver,
            opened=self._opened,
            serve=self._serve,
            ended=self._ended,
            turns=server._turns,
        )

    def overdue(self) -> None:
        """For the watchdog: end the session in another thread, for the one that runs the call cannot be ended."""
        self._server._watch.overdue(self._session, self._hook)
        farewell = Thread(target=self._dismiss, name="smtpkit-farewell", daemon=True)
        try:
            farewell.start()
        except RuntimeError:  # no more threads
            self.transport.abort()
        else:
            self._farewell = farewell

    def _serve(self, need: "Any") -> None:
        transport, driver = self.transport, self._driver
        try:
            while need is not CLOSE:
                need = transport.until(driver.next, self._call(need))
        except Exception:  # noqa: BLE001 (the server goes on)
            self._server._watch.failed(self._session, "the connection")

    def _call(self, need: "Call") -> "Any":
        # The answer of a hook, unless it comes too late.
        name, watchdog = need.name, self._server._watchdog
        self._hook = name
        self._began = began = monotonic()
        watchdog.begin(self, began)
        answer = self._answer(need)
        if not watchdog.end(self, self._began):
            if self._farewell is not None:
                self._farewell.join()
            answer = HANDLER_HANGS
        self._answered(name, answer, began)
        return answer

    def _answer(self, need: "Call") -> "Any":
        # What the hook returns; what it raises is an answer too.
        name, session = need.name, self._session
        try:
            hook = getattr(session, name)
            if name == "on_body":
                answer = self._stream_to(hook)
            else:
                answer = hook() if need.argument is None else hook(need.argument)
            if answer is not None:
                answer = checked(name, answer, self._driver.replies)
        except Exception as error:  # noqa: BLE001 (whatever the user's code raises is answered)
            answer = self._raised(name, error)
        return answer

    def _stream_to(self, hook: "Callable[[Any], Any]") -> "Any":
        stream = self._body()
        try:
            return hook(stream)
        finally:
            stream.close()  # what the hook left unread is the driver's again

    def _body(self) -> "Generator[bytes, None, None]":
        transport, driver, watchdog = self.transport, self._driver, self._server._watchdog
        while True:
            if not watchdog.end(self, self._began):
                raise ConnectionLost("what reads the message has taken too long", stage="body")
            try:
                chunk = transport.until(driver.next_chunk)
            finally:  # the wait for the client is not the hook's
                self._began = monotonic()
                watchdog.begin(self, self._began)
            if chunk is DONE:
                return
            yield chunk
