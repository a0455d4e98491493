"""The server's dialogue with a session of the user's: events to hooks, what they return to decisions."""

from smtpkit.errors import ConnectionLost, MessageRefused
from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.events import NEED_DATA, Answered, BodyChunk, BodyRefused, Connect, ConnectionClosed
from smtpkit.protocol.message import Message
from smtpkit.protocol.needs import CLOSE, DONE, READ, WRITE, Call
from smtpkit.protocol.server_hooks import call_of, default_answer, granted_to, hook_of
from smtpkit.protocol.server_opening import OpeningDriver
from smtpkit.protocol.states import State
from smtpkit.protocol.told import TOLD, take_told
from smtpkit.sasl.questions import QUESTIONS
from smtpkit.wire import commands as c
from smtpkit.wire.replies import Reply

__all__ = ["ServerDriver"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any, Literal

    from smtpkit.protocol.driver import MakeTLS, Needs
    from smtpkit.protocol.events import Next
    from smtpkit.protocol.needs import Need
    from smtpkit.protocol.server import ServerConnection
    from smtpkit.protocol.session import SessionFacts

_TURN = 10  # replies before they are written and others have their turn: one read may hold 10,000 NOOPs
_GOODBYE = 5.0  # seconds for the last octets to leave
_MINUTE = 60.0  # seconds over which the rate of content is measured
_CONTENT = (State.DATA, State.BDAT)
_NOTHING: "Mapping[str, str]" = {}


class ServerDriver(OpeningDriver):
    """Runs one server connection; see Driver for how an adapter uses it.

    What a hook returned must have passed `smtpkit.protocol.session.checked()`.

    Args:
        core: the connection.
        session: passed on in messages.
        hooks: the names of the hooks that the session overrides; no other is called.
        make_tls: makes the server's side of TLS, or None.
        implicit_tls: whether TLS begins with the first octet.
        proxy_protocol: whether a PROXY header comes before anything else; nothing is said before it is complete.
        trusted: whether XCLIENT and XFORWARD are taken where the session does not say what is to become of them.

    Attributes:
        introduced: called when a PROXY header has said who the client is.  None at first.
        bars_login: asked before on_login, with the session; the reply that it gives refuses the login, None lets it
            go on.  None at first.
    """

    def __init__(
        self,
        core: "ServerConnection",
        session: "SessionFacts",
        hooks: "Collection[str]",
        *,
        make_tls: "MakeTLS | None" = None,
        implicit_tls: bool = False,
        proxy_protocol: bool = False,
        trusted: bool = False,
    ) -> None:
        super().__init__(core, session, make_tls, implicit_tls=implicit_tls, proxy_protocol=proxy_protocol)
        self._hooks = hooks
        self._trusted = trusted
        self.bars_login: Callable[[SessionFacts], Reply | None] | None = None
        self._last_word: Reply | None = None
        self._refusal: Reply | None = None
        self._pieces: list[bytes] = []
        self._held: Next | None = None  # an event that was read and not yet handled
        self._stream_error: ConnectionLost | MessageRefused | None = None
        self._measured = 0  # octets that had come when the rate was last looked at
        self._waited = 0.0  # seconds since then
        core.granted = granted_to(hooks)
        self.next: Callable[[Any], Need | Call] = self._dialogue().send

    @property
    def unread_limit(self) -> int:
        """`Limits.unread`; `Limits.unread_before_login` where login is required and has not come."""
        core = self.core
        limits, auth = core.config.limits, core.config.auth
        needs_login = auth is not None and auth.required and core.identity is None
        return limits.unread_before_login if needs_login else limits.unread

    def timed_out(self, *, flushed: bool = True) -> None:
        """The wait has lasted too long: end, and say so (421 4.4.2)."""
        reply = say.SESSION_TOO_LONG if self.overdue else say.IDLE_TOO_LONG
        self.core.close(None if self._handshaking else reply)

    def waited(self, seconds: float) -> None:
        """Seconds were spent waiting for octets (READ), after which some came.

        A client whose content comes more slowly than `Limits.minimum_rate` is told 421 4.4.2.  What the user's
        code takes is not its fault, and not in the seconds.
        """
        if self.too_slow(seconds):
            self.core.close(say.TOO_SLOW)

    def too_slow(self, waited: float) -> bool:
        """Whether content comes more slowly than `Limits.minimum_rate`, with these seconds of waiting added."""
        rate = self.core.config.limits.minimum_rate
        if rate is None or self.core.state not in _CONTENT:
            self._measured, self._waited = self.octets, 0.0
            return False
        self._waited += waited
        if self._waited < _MINUTE:
            return False
        slow = self.octets - self._measured < rate * self._waited
        self._measured, self._waited = self.octets, 0.0
        return slow

    def turn_away(self, reply: Reply) -> None:
        """Have this said in place of the greeting."""
        self._refusal = reply

    def lost(self, error: "OSError | None", *, flushed: bool = True) -> None:
        """The transport is gone; what had come is still looked at."""
        if self._handshaking:
            self.core.close()
        self.core.receive_data(b"")

    @property
    def may_be_woken(self) -> bool:
        """Whether the wait may be cut short to end the session: no transaction is under way."""
        return not self.core.begun

    @property
    def finished(self) -> bool:
        """Whether the client has said QUIT and nothing behind it; inside TLS it still says that it goes."""
        return self.core.finished and self._tls is None

    @property
    def body_failed(self) -> bool:
        """Whether the body that on_body reads was refused or cut off, so that the hook must fail too."""
        return self._stream_error is not None

    @property
    def replies(self) -> int | None:
        """How many replies on_message and on_body may return in a sequence: one for each recipient in LMTP.

        0 outside LMTP, where they return one Reply; None once there is no message to answer for.
        """
        core = self.core
        if not core.in_transaction:
            return None
        return len(core.recipients) if core.config.lmtp else 0

    def replies_of(self, answer: "Any") -> "tuple[Reply | None, ...]":
        """What on_message or on_body answered, as replies; None is the standard one.

        One for each recipient, or one for all; none where the message was refused by the core, or cut off.
        """
        if self._stream_error is not None:
            return ()
        return tuple(answer) if isinstance(answer, (list, tuple)) else (answer,)

    def accepted_of(self, answer: "Any") -> int:
        """For how many recipients the message is accepted by what on_message or on_body answered."""
        recipients, replies = len(self.core.recipients), self.replies_of(answer)
        positive = sum(reply is None or reply.code < 400 for reply in replies)
        return positive if len(replies) > 1 else recipients * positive  # one reply is for all

    def shut_down(self, reply: Reply = say.SHUTTING_DOWN) -> bool:
        """End the session with this reply as soon as no transaction is under way (RFC 5321 section 3.8).

        Returns:
            True if that is now: the adapter asks for the next need.
        """
        self._last_word = reply
        core = self.core
        if not core.begun and core.unanswered is None and not core.closed:
            core.close(None if self._handshaking else reply)
        return core.closed

    def dismiss(self, reply: Reply) -> None:
        """End the session with this reply while the user's code runs, whose answer comes too late; then close."""
        self.core.close(reply)
        self.timeout = _GOODBYE
        self._end_tls()

    def _dialogue(self) -> "Needs":
        core, hooks = self.core, self._hooks
        collects = "on_message" in hooks and "on_body" not in hooks
        yield from self._begun()
        while True:
            event = self._held or core.next_event()
            self._held = None
            if event is NEED_DATA:
                if core.begun and core.waiting_for == "body":
                    self.waits += 1
                yield READ
                continue
            kind = type(event)
            if isinstance(event, BodyChunk):
                if collects:
                    self._pieces.append(event.data)
                    if event.last:
                        self._verdict((yield Call("on_message", self._message())))
                else:
                    yield from self._content(event)
            elif kind is Connect and self._refusal is not None:
                core.reject(self._refusal)
            elif kind in QUESTIONS and self.bars_login and (refusal := self.bars_login(self._session)) is not None:
                core.reject(refusal)
            elif (hook := hook_of(event)) is not None:
                self._decide(event, ((yield call_of(hook, event)) if hook in hooks else None) or self._default(event))
            elif kind is c.StartTLS:
                core.accept()
                yield from self._secured(clear=core.data_to_send())
            elif kind is ConnectionClosed:
                break
            if (core.begun and not core.in_transaction) or kind is c.Rset:
                yield from self._transaction_dropped()
            if self._last_word is not None and not core.begun and not core.closed:
                core.close(self._last_word)
            if core.unsent >= _TURN:
                yield WRITE
        yield from self._farewell()

    def _default(self, event: "Next") -> "Reply | None":
        return default_answer(event, trusted=self._trusted)

    def _decide(self, event: "Next", answer: "Any") -> None:
        # The answer may be a secret: nothing keeps it.
        core = self.core
        if core.unanswered is None:
            return  # the connection ended meanwhile
        if isinstance(answer, Reply) and answer.code >= 400:
            core.reject(answer)
            return
        if isinstance(event, QUESTIONS):
            core.supply(answer)
        else:
            core.accept(answer)
        if type(event) in TOLD:
            take_told(self._session, event)

    # Content

    def _content(self, event: BodyChunk) -> "Needs":
        core = self.core
        if not core.begun:
            core.reject()  # on_body was told that the message was given up, and then it was not
        elif "on_body" in self._hooks:
            yield from self._stream(event)
        elif event.last:
            if core.notice is not None:
                core.notice("message")  # no hook is asked about it
            self._verdict(None)

    def _message(self) -> Message:
        pieces, self._pieces = self._pieces, []
        envelope = self.core.envelope
        assert envelope is not None
        return Message(envelope, pieces[0] if len(pieces) == 1 else b"".join(pieces), self._session)

    def _verdict(self, answer: "Any") -> None:
        core = self.core
        if core.unanswered is None:
            return
        core.transaction_settled()
        if self._session.forwarded:
            self._session.forwarded = _NOTHING  # it was told of this message
        if answer is None:
            core.accept()
        elif isinstance(answer, Reply):
            (core.reject if answer.code >= 400 else core.accept)(answer)
        elif core.config.lmtp and len(answer) == len(core.recipients):
            core.answer(answer)
        else:
            core.reject(say.INTERNAL_ERROR)

    def _stream(self, event: BodyChunk) -> "Needs":
        core = self.core
        self._held, self._stream_error = event, None
        answer = yield Call("on_body")
        refused = isinstance(answer, Reply) and answer.code >= 400
        if refused and self._stream_error is None and core.unanswered is None and not core.closed:
            core.reject(answer)  # no need to keep the rest
            core.transaction_settled()
        try:
            while (need := self.next_chunk()) is not DONE:
                if need is READ or need is WRITE:
                    yield need
        except (MessageRefused, ConnectionLost):
            yield from self._transaction_dropped()
        else:
            self._verdict(answer)

    def next_chunk(self, answer: "Any" = None) -> "bytes | Literal[Need.READ, Need.WRITE, Need.DONE]":
        """The next piece of the body that on_body reads.

        Returns:
            Octets, DONE after a complete and acceptable body, or what the adapter must do first.

        Raises:
            MessageRefused: the core has refused the body.
            ConnectionLost: the client is gone, or has given the message up.
        """
        core = self.core
        while self._stream_error is None:
            if type(core.unanswered) is BodyChunk and self._held is None:
                return DONE
            event = self._held or core.next_event()
            self._held = None
            if event is NEED_DATA:
                self.waits += 1
                return READ
            if isinstance(event, BodyChunk):
                if event.data:
                    return event.data
            elif isinstance(event, BodyRefused):
                self._stream_error = MessageRefused(event.reply)
            elif hook_of(event) == "on_command":
                self._decide(
                    event, default_answer(event, trusted=False)
                )  # between chunks; on_body is busy, no other hook is called
            elif not isinstance(event, Answered):
                self._held = event
                self._stream_error = ConnectionLost("the client gave the message up", stage="body")
            if core.unsent >= _TURN:
                return WRITE
        raise self._stream_error

    # The rest

    def _transaction_dropped(self) -> "Needs":
        self._pieces.clear()
        if self._session.forwarded:
            self._session.forwarded = _NOTHING
        if self.core.begun:
            self.core.transaction_settled()
            if "on_reset" in self._hooks:
                yield Call("on_reset")

    def _farewell(self) -> "Needs":
        yield from self._transaction_dropped()
        self.timeout = _GOODBYE
        if "on_close" in self._hooks:
            yield WRITE
            yield Call("on_close")
        self._end_tls()
        self.next = _at_the_end  # nothing refers to the dialogue any more, and memory is free at once
        while True:
            yield CLOSE


def _at_the_end(answer: "Any") -> "Need":
    return CLOSE
