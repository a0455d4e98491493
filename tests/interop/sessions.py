"""Servers of both adapters in this process, whose sessions refuse, to see that real clients understand them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from peers import Received, loop_in_thread
from servers import CERTIFICATES

from smtpkit import Reply, Transcript

__all__ = ["SERVERS", "Refusing"]

# Local part: what its owner's mail is answered with.
_REFUSED = {"carol": Reply(550, "No such mailbox", "5.1.1"), "erin": Reply(451, "Not now", "4.2.1")}
_KEPT = Reply(250, "Kept", "2.0.0")


class Refusing:
    """A server that refuses carol for good and erin for now: at RCPT, or, if it speaks LMTP, after the message.

    Args:
        lmtp: whether it speaks LMTP.
        port: where it listens on 127.0.0.1; 0 for a free port.
        tls: whether it offers STARTTLS.

    Attributes:
        port: where it listens.
        messages: what it received.
        transcript: of all sessions.
    """

    def __init__(self, *, lmtp: bool, port: int = 0, tls: bool = False) -> None:
        self.port = port
        self.messages: list[Received] = []
        self.transcript = Transcript()
        self.settings: dict[str, Any] = {"port": port, "hostname": "server.example", "lmtp": lmtp}
        self.settings["transcript"] = self.transcript
        if tls:
            self.settings["tls"] = (str(CERTIFICATES / "server.pem"), None)
        self._lmtp = lmtp

    def to_rcpt(self, command: Any) -> Reply | None:
        """The answer to a recipient."""
        return None if self._lmtp else _REFUSED.get(command.forward_path.local_part)

    def to_message(self, message: Any) -> list[Reply] | None:
        """The answer to a message."""
        self.messages.append(Received(message.sender, message.recipients, message.content))
        if not self._lmtp:
            return None
        return [_REFUSED.get(each.partition("@")[0], _KEPT) for each in message.recipients]


@contextlib.contextmanager
def _by_sync(**options: Any) -> Iterator[Refusing]:
    from smtpkit.sync import Session, serve

    refusing = Refusing(**options)

    class Refuses(Session):
        def on_rcpt(self, command: Any) -> Any:
            return refusing.to_rcpt(command)

        def on_message(self, message: Any) -> Any:
            return refusing.to_message(message)

    with serve(Refuses, **refusing.settings) as server:
        refusing.port = server.address[1]
        yield refusing


@contextlib.contextmanager
def _by_asyncio(**options: Any) -> Iterator[Refusing]:
    from smtpkit.asyncio import Session, serve

    refusing = Refusing(**options)

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
