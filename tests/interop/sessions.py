"""Servers of both adapters in this process, whose sessions refuse, to see that real clients understand them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from peers import Received, loop_in_thread
from sample import OTHER

from smtpkit import Reply, Transcript

__all__ = ["SERVERS", "Refusing"]

_NO_SUCH_MAILBOX = Reply(550, "No such mailbox", "5.1.1")


class Refusing:
    """A server that refuses OTHER: at RCPT, or, if it speaks LMTP, after the message.

    Attributes:
        port: where it listens on 127.0.0.1.
        messages: what it received.
        transcript: of all sessions.
    """

    def __init__(self, *, lmtp: bool) -> None:
        self.port = 0
        self.messages: list[Received] = []
        self.transcript = Transcript()
        self.settings: dict[str, Any] = {"port": 0, "hostname": "server.example", "lmtp": lmtp}
        self.settings["transcript"] = self.transcript
        self._lmtp = lmtp

    def to_rcpt(self, command: Any) -> Reply | None:
        """The answer to a recipient."""
        return _NO_SUCH_MAILBOX if str(command.forward_path) == OTHER and not self._lmtp else None

    def to_message(self, message: Any) -> list[Reply] | None:
        """The answer to a message."""
        self.messages.append(Received(message.sender, message.recipients, message.content))
        if not self._lmtp:
            return None
        return [_NO_SUCH_MAILBOX if each == OTHER else Reply(250, "Kept", "2.0.0") for each in message.recipients]


@contextlib.contextmanager
def _by_sync(*, lmtp: bool) -> Iterator[Refusing]:
    from smtpkit.sync import Session, serve

    refusing = Refusing(lmtp=lmtp)

    class Refuses(Session):
        def on_rcpt(self, command: Any) -> Any:
            return refusing.to_rcpt(command)

        def on_message(self, message: Any) -> Any:
            return refusing.to_message(message)

    with serve(Refuses, **refusing.settings) as server:
        refusing.port = server.address[1]
        yield refusing


@contextlib.contextmanager
def _by_asyncio(*, lmtp: bool) -> Iterator[Refusing]:
    from smtpkit.asyncio import Session, serve

    refusing = Refusing(lmtp=lmtp)

    class Refuses(Session):
        async def on_rcpt(self, command: Any) -> Any:
            return refusing.to_rcpt(command)

        async def on_message(self, message: Any) -> Any:
            return refusing.to_message(message)

    async def start() -> Any:
        return await serve(Refuses, **refusing.settings)

    with loop_in_thread() as perform:
        server = perform(start())
        refusing.port = server.address[1]
        yield refusing
        perform(server.close())


SERVERS: dict[str, Callable[..., contextlib.AbstractContextManager[Refusing]]] = {
    "sync": _by_sync,
    "asyncio": _by_asyncio,
}
