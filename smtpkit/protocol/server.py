"""The server's side of a connection: octets in, events out; decisions in, octets out."""

from functools import cache

from smtpkit.errors import LocalProtocolError, ParseError
from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.events import PAUSED, BodyChunk, Connect, Transport
from smtpkit.protocol.refusals import out_of_place
from smtpkit.protocol.server_auth import RESPONSE_LIMIT
from smtpkit.protocol.server_state import CONNECTION_CLOSED, Reading
from smtpkit.protocol.server_steps import ServerSteps
from smtpkit.protocol.states import State
from smtpkit.sasl.questions import QUESTIONS
from smtpkit.wire import commands as c
from smtpkit.wire.commands import parse_command
from smtpkit.wire.lines import LINE_TOO_LONG
from smtpkit.wire.replies import Reply

__all__ = ["ServerConnection"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from smtpkit.protocol.events import Event, Next, Stepped
    from smtpkit.protocol.tls_facts import TLSFacts


class ServerConnection(ServerSteps):
    """SMTP or LMTP as a server, without I/O.

    Feed it with `receive_data()`, ask it with `next_event()`, and send what `data_to_send()` gives.  It
    answers by itself what needs no decision, and says so with a notice (Answered, Rset, Quit).  Any other
    event is well-formed and legal now, and waits as `unanswered` for `accept()`, `reject()`, `supply()` or
    `answer()`; meanwhile `next_event()` is PAUSED.  Of content only `BodyChunk(last=True)` waits.

    Args:
        config: what the server offers and allows.
        transcript: records the session; None for nobody.

    Attributes:
        state: a State.
        transport: what the owner does with its transport (READ, START_TLS or CLOSE).
        unanswered: the event that waits for a decision, or None.
        notice: for who counts: called with the name of each limit that is reached (that of `Limits`,
            "max_message_size", or "attempts"), with "error" for each reply that is one, with "login" and with
            "failed_login"; by the driver with "message" where no hook is asked about one, and with "proxy_header"
            for one that cannot be read.  None at first.
        finished: whether the client has said QUIT, and nothing behind it.
        begun: whether a MAIL was accepted, and `transaction_settled()` was not called since.
        hello_name: the client's name for itself, or None.
        tls: facts of the TLS session, or None.
        identity: who logged in, or None.
        recipients: the accepted forward-paths of the open transaction.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<ServerConnection: {self.state.value}, {self.unread} octets unread, unanswered={self.unanswered}>"

    def receive_data(self, octets: bytes) -> None:
        """Store what came from the client; b"" says that nothing more will come.  Ignored after the end."""
        if not octets:
            self._eof = True
        elif self._reading is not Reading.END:
            self._lines.feed(octets)

    def next_event(self) -> "Next":
        """Consume at most one command or one piece of content, and say what it was.

        Returns:
            An event; NEED_DATA if the client must send more; PAUSED if a decision, or TLS, is due first.
        """
        if self.unanswered is not None:
            return PAUSED
        if self._pending is not None:
            self.unanswered, self._pending = self._pending, None
            return self.unanswered
        while (event := _READERS[self._reading](self)) is None:
            pass  # it was granted
        return event

    @property
    def granted(self) -> "frozenset[type]":
        """Types of commands that are accepted at once with their standard reply, and not given; none at first."""
        return frozenset(self._grants)

    @granted.setter
    def granted(self, kinds: "frozenset[type]") -> None:
        self._grants = _grants(frozenset(kinds))

    def data_to_send(self) -> bytes:
        """All octets that are to be written now; they are given once."""
        out = self._out
        if not out:
            return b""
        octets = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return octets

    def accept(self, reply: Reply | None = None) -> None:
        """Decide `unanswered` positively, with its standard reply or another positive one.

        A reply of one's own gets an enhanced status code where it has none and they are offered.  To EHLO, HELO
        and LHLO it is one line of code 250, and only replaces what is said behind the server's name: the keywords
        come from the configuration.  A question of SASL gets the answer of the AuthPolicy where that knows whom to
        let in, which may be a refusal; `supply(True)` lets in whoever it is.

        Raises:
            LocalProtocolError: nothing waits for a decision, the reply does not fit, or the policy gives no answer
                that can be had at once.
        """
        event = self.unanswered
        step = _ACCEPT.get(type(event))
        if step is None and isinstance(event, c.Command):
            step = _OTHER_ACCEPT
        if step is None:
            self.supply(self._answer_of_policy(self._undecided("accept()")))
            return
        reply = self._standard if reply is None else self._acceptance(event, reply)
        self.unanswered = None
        step(self, event, reply)

    def reject(self, reply: Reply | None = None) -> None:
        """Decide `unanswered` negatively; while content is under way, refuse the message at its end.

        Args:
            reply: 4yz or 5yz; None for 451 4.3.0, or what is usual (535 for a login, 502 for EXPN).

        Raises:
            LocalProtocolError: there is nothing to refuse, or the reply is positive.
        """
        if reply is not None and reply.code < 400:
            raise LocalProtocolError(
                "reject() with a reply that does not refuse", expected="4yz or 5yz", received=str(reply)
            )
        if self.unanswered is None and self._content is not None:
            reply = reply if reply is None else self._with_status(None, reply)
            self._content.refusal = self._content.refusal or reply or say.INTERNAL_ERROR
            return
        event = self._undecided("reject()")
        self.unanswered = None
        _REJECT.get(type(event), ServerConnection._reject_other)(
            self, event, reply if reply is None else self._own(event, reply)
        )

    def supply(self, secret: "Any") -> None:
        """Answer a question of SASL: FetchSecret with the user's password or stored keys, the others with True.

        Args:
            secret: what was asked for; None if there is no such user, or False, refuse.

        Raises:
            LocalProtocolError: no question waits.
        """
        event = self._undecided("supply()")
        if type(event) not in QUESTIONS:
            raise self._misfit("supply() is for the questions of SASL", event)
        self.unanswered = None
        self._answer_question(secret)

    def answer(self, replies: "Sequence[Reply]") -> None:
        """Decide the end of an LMTP message: one reply for each accepted RCPT, in order (RFC 2033 sections 4.2, 4.3).

        Raises:
            LocalProtocolError: it is not the end of an LMTP message, or the number of replies is wrong.
        """
        event = self._undecided("answer()")
        if not self.config.lmtp or type(event) is not BodyChunk:
            raise self._misfit("answer() is for the end of an LMTP message", event)
        if any(reply.is_intermediate for reply in replies):
            raise LocalProtocolError("answer() with a reply that decides nothing", expected="2yz, 4yz or 5yz")
        if len(replies) != len(self.recipients):
            wanted = f"{len(self.recipients)} replies"
            raise LocalProtocolError(
                "answer() with too few or too many replies", expected=wanted, received=len(replies)
            )
        self.unanswered = None
        for reply in replies:
            if self.state is not State.CLOSED:
                self._say(self._with_status(event, reply))
        self._transaction_over(accepted=any(reply.is_positive for reply in replies))

    def tls_established(self, facts: "TLSFacts") -> None:
        """TLS is up: forget all that was learnt from the client before it (RFC 3207 section 4.2).

        What is received from the moment STARTTLS was accepted on is taken for what TLS has decrypted.

        Raises:
            LocalProtocolError: TLS can begin with the connection or after STARTTLS only.
        """
        if self.state is not State.GREETING and self.transport is not Transport.START_TLS:
            expected = "tls_established() before the greeting, or after STARTTLS was accepted"
            raise LocalProtocolError("TLS cannot begin here", state=self.state.value, expected=expected)
        self.tls = facts
        if self.config.auth is not None:
            self._withheld, self._certificate_identity = self.config.auth.withheld(facts)
        if self.transcript is not None:
            self.transcript.tls(facts.version)
        if self.transport is Transport.START_TLS:
            self.transport = Transport.READ
            self._reading = Reading.COMMAND
            self._forget()
            self.state = self._row["STARTTLS"]
        self._renew()

    def close(self, reply: Reply | None = None) -> None:
        """End the session from this side; nothing more happens where it has ended.

        Args:
            reply: a farewell, 421 mostly (RFC 5321 section 3.8); None to go without a word.
        """
        if self.state is not State.CLOSED:
            if reply is not None:
                self._say(reply if self.state is State.GREETING else self._with_status(None, reply))
            self._end_session()

    # The readers, of which `_reading` names one.

    def _read_opening(self) -> "Stepped":
        self._reading = Reading.COMMAND
        self._unread_before = len(self._lines)
        return self._wait(_CONNECT, self._offer.greeting)

    def _read_command(self) -> "Stepped":
        offer = self._offer
        line = self._lines.next_line(offer.line_limit)
        if line is None:
            return self._starved()
        if line is LINE_TOO_LONG:
            if self.transcript is not None:
                self.transcript.secret()
            return self._refuse_line(None, say.LINE_TOO_LONG, chunk=self._lines.skipped.upper() == b"BDAT")
        if self.transcript is not None:
            self.transcript.command(line)
        budget = self._budget
        budget.commands += 1
        if budget.commands > self.config.limits.commands:
            return self._answer(None, say.TOO_MANY_COMMANDS)
        try:
            command = parse_command(line, smtputf8=self._smtputf8, strict=self.config.strict, dialect=offer.dialect)
        except ParseError as error:
            return self._malformed(line, error)
        size = len(line) + 2
        if size > offer.command_limit and size > offer.line_limits.get(command.verb, offer.command_limit):
            if command.verb in ("MAIL", "RCPT"):
                self._budget.step_refused()
            return self._refuse_line(command, say.LINE_TOO_LONG, chunk=type(command) is c.Bdat)
        if command.verb not in self._row:
            return self._out_of_place(command)
        return _STEPS.get(type(command), _OTHER_STEP)(self, command)

    def _refuse_line(self, command: c.Command | None, reply: Reply, *, chunk: bool) -> "Next":
        answered = self._answer(command, reply)
        if chunk:
            # A chunk follows its BDAT at once, and would be taken for commands (RFC 3030 section 2).
            self._end_session()
        return answered

    def _malformed(self, line: bytes, error: ParseError) -> "Next":
        if self.state is State.REFUSED:
            return self._answer(None, say.BAD_SEQUENCE)
        verb = line[:4].upper()
        if verb in (b"MAIL", b"RCPT"):
            self._budget.step_refused()
        hint = f"; expected {error.expected}" if error.expected else ""
        status = None if verb in _HELLO else error.enhanced  # RFC 2034 section 4
        return self._refuse_line(None, Reply(error.code, f"{error.what}{hint}", status), chunk=verb == b"BDAT")

    def _out_of_place(self, command: c.Command) -> "Stepped":
        reply = out_of_place(
            command,
            self.state,
            self._offer,
            self.config,
            tls=self.tls is not None,
            authenticated=self.identity is not None,
            refused=self._budget.refused > 0,
        )
        if type(command) is not c.Bdat:
            return self._answer(command, self._with_status(command, reply))
        if command.verb not in self._offer.verbs:
            return self._refuse_line(command, reply, chunk=True)
        self._chunk = command
        self._refused_chunk = (command.size, reply)
        self._reading = Reading.REFUSED_CHUNK
        return self._read_refused_chunk()

    def _read_refused_chunk(self) -> "Stepped":
        # The octets of the chunk come all the same.
        left, reply = self._refused_chunk
        octets = self._lines.take(left)
        left -= len(octets)
        if self.transcript is not None:
            self.transcript.content(octets)
        if left:
            self._refused_chunk = (left, reply)
            return self._starved()
        self._reading = Reading.COMMAND
        if self._chunk.last and self.config.lmtp and self._mail is not None:
            return self._unwanted_message(reply)
        return self._answer(self._chunk, reply)

    def _read_response(self) -> "Stepped":
        line = self._lines.next_line(RESPONSE_LIMIT)
        if line is None:
            return self._starved()
        if self.transcript is not None:
            self.transcript.secret()
        if line is LINE_TOO_LONG:
            return self._login_step(None, say.AUTH_LINE_TOO_LONG)
        assert self._login is not None
        return self._login_step(None, self._login.line(line))

    def _read_handshake(self) -> "Next":
        return self._starved() if self._eof else PAUSED

    def _read_end(self) -> "Next":
        return CONNECTION_CLOSED

    def _undecided(self, method: str) -> "Event":
        if self.unanswered is None:
            raise LocalProtocolError(
                f"{method} without an event that waits", state=self.state.value, expected="next_event()"
            )
        return self.unanswered


_CONNECT = Connect()
_HELLO = (b"EHLO", b"HELO", b"LHLO")

_READERS: "dict[str, Callable[[ServerConnection], Stepped]]" = {
    Reading.OPENING: ServerConnection._read_opening,
    Reading.COMMAND: ServerConnection._read_command,
    Reading.CONTENT: ServerConnection._read_content,
    Reading.AFTER_CHUNK: ServerConnection._after_chunk,
    Reading.REFUSED_CHUNK: ServerConnection._read_refused_chunk,
    Reading.RESPONSE: ServerConnection._read_response,
    Reading.HANDSHAKE: ServerConnection._read_handshake,
    Reading.END: ServerConnection._read_end,
}

# What each command, and each decision, does.
_STEPS: "dict[type, Callable[[Any, Any], Stepped]]" = {
    c.Ehlo: ServerConnection._do_hello,
    c.Helo: ServerConnection._do_hello,
    c.Lhlo: ServerConnection._do_hello,
    c.Mail: ServerConnection._do_mail,
    c.Rcpt: ServerConnection._do_rcpt,
    c.Data: ServerConnection._do_data,
    c.Bdat: ServerConnection._do_bdat,
    c.Rset: ServerConnection._do_rset,
    c.Noop: ServerConnection._do_noop,
    c.Help: ServerConnection._do_help,
    c.Quit: ServerConnection._do_quit,
    c.Vrfy: ServerConnection._do_vrfy,
    c.Expn: ServerConnection._do_other,
    c.Etrn: ServerConnection._do_other,
    c.XClient: ServerConnection._do_xclient,
    c.XForward: ServerConnection._do_xforward,
    c.StartTLS: ServerConnection._do_starttls,
    c.Auth: ServerConnection._do_auth,
}
# Of the commands that the application has added.
_OTHER_STEP = ServerConnection._do_other
_OTHER_ACCEPT = ServerConnection._accept_other

_OTHERS = (c.Vrfy, c.Expn, c.Etrn, c.XForward)

_ACCEPT: "dict[type, Callable[[Any, Any, Reply], None]]" = {
    Connect: ServerConnection._accept_connect,
    c.Ehlo: ServerConnection._accept_hello,
    c.Helo: ServerConnection._accept_hello,
    c.Lhlo: ServerConnection._accept_hello,
    c.Mail: ServerConnection._accept_mail,
    c.Rcpt: ServerConnection._accept_rcpt,
    c.Data: ServerConnection._accept_data,
    BodyChunk: ServerConnection._accept_content,
    c.StartTLS: ServerConnection._accept_starttls,
    c.XClient: ServerConnection._accept_xclient,
    **dict.fromkeys(_OTHERS, ServerConnection._accept_other),
}

_REJECT: "dict[type, Callable[[Any, Any, Reply | None], None]]" = {
    Connect: ServerConnection._reject_connect,
    **dict.fromkeys((c.Ehlo, c.Helo, c.Lhlo, c.StartTLS), ServerConnection._reject_session),
    **dict.fromkeys((c.Mail, c.Rcpt, c.Data), ServerConnection._reject_step),
    BodyChunk: ServerConnection._reject_content,
    **dict.fromkeys((*_OTHERS, c.XClient), ServerConnection._reject_other),
    **dict.fromkeys(QUESTIONS, ServerConnection._reject_question),
}


@cache
def _grants(kinds: "frozenset[type]") -> "dict[type, Callable[[Any, Any, Reply], None]]":
    return {kind: _ACCEPT.get(kind, _OTHER_ACCEPT) for kind in kinds if issubclass(kind, c.Command)}
