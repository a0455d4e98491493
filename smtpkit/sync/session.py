"""The hooks of a blocking session, and the sessions made for plain handlers and for stores."""

from smtpkit.protocol.session import SessionFacts
from smtpkit.serving import makes_sessions

__all__ = ["Session", "session_factory"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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

    def on_connect(self) -> "Reply | None":
        """A client has connected; the answer is the greeting."""

    def on_hello(self, command: "Command") -> "Reply | None":
        """EHLO, HELO or LHLO; a 250 of one line is said behind the own name, and the keywords stay."""

    def on_login(self, question: "Any") -> "Any":
        """VerifyPassword, FetchSecret or VerifyToken; asks the server's AuthPolicy."""
        auth = self._core.config.auth
        assert auth is not None  # whoever logs in was offered it
        return auth.settle(question, auth.answer(question))

    def on_mail(self, command: "Mail") -> "Reply | None":
        """MAIL: the reverse-path and its parameters."""

    def on_rcpt(self, command: "Rcpt") -> "Reply | None":
        """RCPT: a forward-path and its parameters."""

    def on_body(self, stream: "Iterator[bytes]") -> "Any":
        """The content, piece by piece; where this is overridden nothing is collected."""

    def on_message(self, message: "Message") -> "Any":
        """The whole message; in LMTP it may return a Reply for each recipient."""

    def on_command(self, command: "Command") -> "Reply | None":
        """VRFY, EXPN, ETRN, XCLIENT, XFORWARD, and commands of your own extensions.

        None is 252 to VRFY, takes XCLIENT and XFORWARD of a trusted peer, and is 502 to the others.
        """

    def on_reset(self) -> None:
        """An open transaction has ended without a verdict."""

    def on_close(self) -> None:
        """The connection has ended."""


def session_factory(handler: "Any") -> "Callable[[], Session]":
    """What makes a session for each connection.

    Args:
        handler: a function that takes a Message, a store, or a Session class or factory.

    Raises:
        TypeError: it is none of these.
    """
    from inspect import iscoroutinefunction

    if isinstance(handler, type) and issubclass(handler, SessionFacts):
        if not issubclass(handler, Session):
            raise TypeError("the class is derived from the Session of smtpkit.asyncio")
        return handler
    if hasattr(handler, "begin"):
        return lambda: _StoreSession(handler)
    if not callable(handler):
        raise TypeError(f"a handler is a function, a store or a Session class, not {handler!r}")
    if iscoroutinefunction(handler) or iscoroutinefunction(type(handler).__call__):
        raise TypeError("a coroutine function is a handler of smtpkit.asyncio")
    if makes_sessions(handler):
        return handler  # type: ignore[no-any-return]
    return lambda: _HandlerSession(handler)


class _HandlerSession(Session):
    def __init__(self, handler: "Any") -> None:
        self._handler = handler

    def on_message(self, message: "Message") -> "Any":
        return self._handler(message)


class _StoreSession(Session):
    def __init__(self, store: "Any") -> None:
        self._store = store

    def on_body(self, stream: "Iterator[bytes]") -> "Any":
        delivery = self._begin()
        try:
            for chunk in stream:
                delivery.write(chunk)
        except BaseException:
            delivery.abort()
            raise
        return delivery.commit()

    def _begin(self) -> "Any":
        return self._store.begin(self.envelope, self)
