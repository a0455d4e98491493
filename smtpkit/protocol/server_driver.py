"""The server's dialogue with a session of the user's: events to hooks, what they return to decisions."""

from smtpkit.errors import ConnectionLost, MessageRefused
from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.driver import Driver
from smtpkit.protocol.events import NEED_DATA, Answered, BodyChunk, BodyRefused, Connect, ConnectionClosed, Transport
from smtpkit.protocol.message import Message
from smtpkit.protocol.needs import CLOSE, DONE, READ, WRITE, Call
from smtpkit.sasl.questions import FetchSecret, VerifyPassword, VerifyToken
from smtpkit.wire import commands as c
from smtpkit.wire.replies import Reply

__all__ = ["ServerDriver"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Any, Literal

    from smtpkit.protocol.driver import MakeTLS, Needs
    from smtpkit.protocol.needs import Need
    from smtpkit.protocol.server import ServerConnection
    from smtpkit.protocol.server_state import Next
    from smtpkit.protocol.session import SessionFacts

_NOTICES = 100  # answered commands before the answers are written: one read may hold 40,000 NOOPs
_HANDSHAKE = 30.0  # seconds
_GOODBYE = 5.0  # seconds for the last octets to leave

_HOOKS: "dict[type, str]" = {
    Connect: "on_connect",
    **dict.fromkeys((c.Ehlo, c.Helo, c.Lhlo), "on_hello"),
    c.Mail: "on_mail",
    c.Rcpt: "on_rcpt",
    **dict.fromkeys((VerifyPassword, VerifyToken, FetchSecret), "on_login"),
    **dict.fromkeys((c.Vrfy, c.Expn, c.Etrn, c.XClient, c.XForward), "on_command"),
}
_HELLOS = frozenset({c.Ehlo, c.Helo, c.Lhlo})


class ServerDriver(Driver):
    """Runs one server connection; see Driver for how an adapter uses it.

    Args:
        core: the connection.
        session: passed on in messages.
        hooks: the names of the hooks that the session overrides; no other is called.
        make_tls: makes the server's side of TLS, or None.
        implicit_tls: whether TLS begins with the first octet.
    """

    def __init__(
        self,
        core: "ServerConnection",
        session: "SessionFacts",
        hooks: "Collection[str]",
        *,
        make_tls: "MakeTLS | None" = None,
        implicit_tls: bool = False,
    ) -> None:
        super().__init__(core, make_tls)
        self.core = core
        self._session = session
        self._hooks = hooks
        self._implicit = implicit_tls
        self._ending = False
        self._refusal: Reply | None = None
        self._open = False  # a transaction without a verdict
        self._pieces: list[bytes] = []
        self._held: Next | None = None  # an event that was read and not yet handled
        self._stream_error: ConnectionLost | MessageRefused | None = None
        self.next: Callable[[Any], Need | Call] = self._dialogue().send

    @property
    def timeout(self) -> float:
        """Seconds that the present wait may last."""
        if self.core.closed:
            return _GOODBYE
        return _HANDSHAKE if self._handshaking else self.core.config.limits.idle

    def timed_out(self) -> None:
        """The wait has lasted too long: end, and say so (421 4.4.2)."""
        self.core.close(None if self._handshaking else say.IDLE_TOO_LONG)

    def turn_away(self, reply: Reply) -> None:
        """Have this said in place of the greeting."""
        self._refusal = reply

    def lost(self, error: "OSError | None", *, flushed: bool = True) -> None:
        """The transport is gone."""
        self.core.receive_data(b"")

    @property
    def may_be_woken(self) -> bool:
        """Whether the wait may be cut short to end the session: no transaction is under way."""
        return not self._open

    @property
    def body_failed(self) -> bool:
        """Whether the body that on_body reads was refused or cut off, so that the hook must fail too."""
        return self._stream_error is not None

    def summary(self, answer: "Any") -> str:
        """One line about the message at its end."""
        core = self.core
        envelope = core.envelope
        sender = envelope.sender if envelope is not None else None
        said = "cut off" if self._stream_error is not None else answer or "accepted"
        return f"from=<{sender or ''}> recipients={len(core.recipients)} size={core.size} {said}"

    def shut_down(self) -> bool:
        """End the session as soon as no transaction is under way (RFC 5321 section 3.8).

        Returns:
            True if that is now: the adapter asks for the next need.
        """
        self._ending = True
        if not self._open and self.core.unanswered is None and not self.core.closed:
            self.core.close(None if self._handshaking else say.SHUTTING_DOWN)
        return self.core.closed

    @property
    def _handshaking(self) -> bool:
        return self._tls is not None and self._tls.facts is None

    def _dialogue(self) -> "Needs":
        core, hooks = self.core, self._hooks
        if self._implicit:
            yield from self._handshake()
            if core.tls is None:
                core.close()
        notices = 0
        while True:
            event = self._held or core.next_event()
            self._held = None
            kind = type(event)
            hook = _HOOKS.get(kind)
            if event is NEED_DATA:
                notices = 0
                yield READ
            elif kind is Connect and self._refusal is not None:
                core.reject(self._refusal)
            elif hook is not None:
                argument = None if kind is Connect else event
                self._decide(event, (yield Call(hook, argument)) if hook in hooks else _default(event))
                if kind in _HELLOS:
                    yield from self._transaction_dropped()
            elif isinstance(event, BodyChunk):
                yield from self._content(event)
            elif kind is c.Data:
                core.accept()
            elif kind is Answered:
                notices += 1
                if notices == _NOTICES:
                    notices = 0
                    yield WRITE
            elif kind is c.StartTLS:
                yield from self._start_tls()
            elif kind is ConnectionClosed:
                break
            else:  # Rset, Quit, BodyRefused
                yield from self._transaction_dropped()
            if self._ending and not self._open and not core.closed:
                core.close(say.SHUTTING_DOWN)
        yield from self._farewell()

    def _decide(self, event: "Next", answer: "Any") -> None:
        core = self.core
        if core.unanswered is None:
            return  # the connection ended meanwhile
        if isinstance(answer, Reply):
            if answer.code >= 400:
                core.reject(answer)
                return
            core.accept(answer)
        elif isinstance(event, (VerifyPassword, VerifyToken, FetchSecret)):
            core.supply(answer)
        else:
            core.accept()
        if type(event) is c.Mail:
            self._open = True

    # Content

    def _content(self, event: BodyChunk) -> "Needs":
        if "on_body" in self._hooks:
            yield from self._stream(event)
            return
        self._pieces.append(event.data)
        if not event.last:
            self.waits += 1
            return
        pieces, self._pieces = self._pieces, []
        answer = None
        if "on_message" in self._hooks:
            content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            envelope = self.core.envelope
            assert envelope is not None
            answer = yield Call("on_message", Message(envelope, content, self._session))
        self._verdict(answer)

    def _verdict(self, answer: "Any") -> None:
        core = self.core
        self._open = False
        if core.unanswered is None:
            return
        if answer is None:
            core.accept()
        elif isinstance(answer, Reply):
            if answer.code >= 400:
                core.reject(answer)
            else:
                core.accept(answer)
        elif core.config.lmtp and len(answer) == len(core.recipients):
            core.answer(answer)
        else:
            core.reject(say.INTERNAL_ERROR)

    def _stream(self, event: BodyChunk) -> "Needs":
        self._held = event
        self._stream_error = None
        answer = yield Call("on_body")
        refused = isinstance(answer, Reply) and answer.code >= 400
        if refused and self._stream_error is None and self.core.unanswered is None:
            self.core.reject(answer)  # no need to keep the rest
        try:
            while (need := self.next_chunk()) is not DONE:
                if need is READ:
                    yield READ
        except (MessageRefused, ConnectionLost):
            pass  # the core has answered, or there is nobody to answer
        if self._stream_error is None:
            self._verdict(answer)
        else:
            yield from self._transaction_dropped()

    def next_chunk(self, answer: "Any" = None) -> "bytes | Literal[Need.READ, Need.WRITE, Need.DONE]":
        """The next piece of the body that on_body reads.

        Returns:
            Octets, DONE after a complete and acceptable body, or what the adapter must do first.

        Raises:
            MessageRefused: the core has refused the body.
            ConnectionLost: the client is gone, or has given the message up.
        """
        if self._stream_error is not None:
            raise self._stream_error
        while type(self.core.unanswered) is not BodyChunk or self._held is not None:
            event = self._held or self.core.next_event()
            self._held = None
            if event is NEED_DATA:
                self.waits += 1
                return READ
            if isinstance(event, BodyChunk):
                if event.data:
                    return event.data
            elif isinstance(event, BodyRefused):
                self._stream_error = MessageRefused(event.reply)
                raise self._stream_error
            elif not isinstance(event, Answered):
                self._held = event
                self._stream_error = ConnectionLost("the client gave the message up", stage="body")
                raise self._stream_error
        return DONE

    # The rest

    def _transaction_dropped(self) -> "Needs":
        self._pieces.clear()
        if self._open:
            self._open = False
            if "on_reset" in self._hooks:
                yield Call("on_reset")

    def _start_tls(self) -> "Needs":
        core = self.core
        core.accept()
        if core.transport is Transport.START_TLS:
            # From here on what comes is TLS; the 220 still leaves in clear.
            yield from self._handshake(clear=core.data_to_send())
            if core.tls is None:
                core.close()

    def _farewell(self) -> "Needs":
        yield from self._transaction_dropped()
        if "on_close" in self._hooks:
            yield WRITE
            yield Call("on_close")
        self._end_tls()
        yield CLOSE


def _default(event: "Next") -> "Any":
    # What is answered where the session has no hook: 252 to VRFY, 502 to the others of its kind.
    if isinstance(event, (c.Expn, c.Etrn, c.XClient, c.XForward)):
        return say.NOT_IMPLEMENTED
    return None
