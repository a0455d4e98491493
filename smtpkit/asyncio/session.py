"""The hooks of a session under asyncio, and the sessions made for plain handlers and for stores."""

import asyncio
from contextlib import suppress

from smtpkit.protocol.session import SessionFacts
from smtpkit.serving import makes_sessions

__all__ = ["Session", "session_factory"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from smtpkit.protocol.message import Message
    from smtpkit.wire.commands import Command, Mail, Rcpt
    from smtpkit.wire.replies import Reply


class Session(SessionFacts):
    """What a server does with one connection: override the hooks that you need; no other is called.

    Each hook returns None for the standard answer, or a Reply, or raises ReplyError.  Any other exception is
    answered 451 4.3.0 with a fixed text and logged.  on_login alone returns True, or the secret that was asked
    for; None and False refuse.
    """

    async def on_connect(self) -> "Reply | None":
        """A client has connected; the answer is the greeting."""

    async def on_hello(self, command: "Command") -> "Reply | None":
        """EHLO, HELO or LHLO; a 250 of one line is said behind the own name, and the keywords stay."""

    async def on_login(self, question: "Any") -> "Any":
        """VerifyPassword, FetchSecret or VerifyToken; asks the server's AuthPolicy, and hashes in a worker thread."""
        auth = self._core.config.auth
        assert auth is not None  # whoever logs in was offered it
        answer: Any = auth.answer(question)
        if hasattr(answer, "__await__"):
            answer = await answer
        if auth.is_slow(question, answer):
            return await asyncio.to_thread(auth.settle, question, answer)
        return auth.settle(question, answer)

    async def on_mail(self, command: "Mail") -> "Reply | None":
        """MAIL: the reverse-path and its parameters."""

    async def on_rcpt(self, command: "Rcpt") -> "Reply | None":
        """RCPT: a forward-path and its parameters."""

    async def on_body(self, stream: "AsyncIterator[bytes]") -> "Any":
        """The content, piece by piece; where this is overridden nothing is collected."""

    async def on_message(self, message: "Message") -> "Any":
        """The whole message; in LMTP it may return a Reply for each recipient."""

    async def on_command(self, command: "Command") -> "Reply | None":
        """VRFY, EXPN, ETRN, XCLIENT, XFORWARD, and commands of your own extensions.

        None is 252 to VRFY, takes XCLIENT and XFORWARD of a trusted peer, and is 502 to the others.
        """

    async def on_reset(self) -> None:
        """An open transaction has ended without a verdict."""

    async def on_close(self) -> None:
        """The connection has ended."""


def session_factory(handler: "Any", *, in_thread: bool = False) -> "Callable[[], Session]":
    """What makes a session for each connection.

    Args:
        handler: a coroutine function that takes a Message, a store, or a Session class or factory.
        in_thread: whether a plain function may be taken, to be run in a worker thread.

    Raises:
        TypeError: it is none of these.
    """
    from inspect import iscoroutinefunction

    if isinstance(handler, type) and issubclass(handler, SessionFacts):
        if not issubclass(handler, Session):
            raise TypeError("the class is derived from the Session of smtpkit.sync")
        return handler
    if hasattr(handler, "begin"):
        return lambda: _StoreSession(handler)
    if not callable(handler):
        raise TypeError(f"a handler is a coroutine function, a store or a Session class, not {handler!r}")
    if iscoroutinefunction(handler) or iscoroutinefunction(type(handler).__call__):
        return lambda: _HandlerSession(handler)
    if in_thread:
        return lambda: _ThreadSession(handler)
    if makes_sessions(handler):
        return handler  # type: ignore[no-any-return]
    raise TypeError("a plain function would block the event loop: make it async, or say in_thread=True")


class _HandlerSession(Session):
    def __init__(self, handler: "Any") -> None:
        self._handler = handler

    def on_message(self, message: "Message") -> "Any":
        return self._handler(message)  # the caller awaits it


class _ThreadSession(Session):
    def __init__(self, handler: "Any") -> None:
        self._handler = handler

    async def on_message(self, message: "Message") -> "Any":
        return await asyncio.to_thread(self._handler, message)


class _StoreSession(Session):
    def __init__(self, store: "Any") -> None:
        self._store = store

    async def on_body(self, stream: "AsyncIterator[bytes]") -> "Any":
        delivery = await self._begin()
        try:
            async for chunk in stream:
                await asyncio.to_thread(delivery.write, chunk)
        except BaseException:
            await asyncio.to_thread(delivery.abort)
            raise
        return await asyncio.to_thread(delivery.commit)

    async def _begin(self) -> "Any":
        begun = asyncio.ensure_future(asyncio.to_thread(self._store.begin, self.envelope, self))
        try:
            return await asyncio.shield(begun)
        except asyncio.CancelledError:
            # A thread cannot be called back: what it makes is undone when it is there.
            with suppress(Exception):
                await asyncio.to_thread((await begun).abort)
            raise
