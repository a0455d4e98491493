"""The server's side of a connection: octets in, events out; decisions in, octets out."""

from smtpkit.errors import LocalProtocolError, ParseError
from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.events import NEED_DATA, PAUSED, BodyChunk, Connect, ConnectionClosed, Transport
from smtpkit.protocol.refusals import out_of_place
from smtpkit.protocol.server_auth import RESPONSE_LIMIT
from smtpkit.protocol.server_steps import Reading, ServerSteps
from smtpkit.protocol.states import State
from smtpkit.sasl.questions import FetchSecret, VerifyPassword, VerifyToken
from smtpkit.wire import commands as c
from smtpkit.wire.lines import LINE_TOO_LONG
from smtpkit.wire.replies import Reply

__all__ = ["ServerConnection"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from smtpkit.protocol.config import ServerConfig
    from smtpkit.protocol.server_steps import Event, Next
    from smtpkit.protocol.tls_facts import TLSFacts
    from smtpkit.protocol.transcript import Transcript

_CLOSED = ConnectionClosed()


class ServerConnection(ServerSteps):
    """SMTP or LMTP as a server, without I/O.

    Feed it with `receive_data()`, ask it with `next_event()`, and send what `data_to_send()` gives.  It
    answers by itself what needs no decision, and says so with a notice (Answered, Rset, Quit).  Any other
    event is well-formed and legal now, and waits as `unanswered` for `accept()`, `reject()`, `supply()` or
    `answer()`; meanwhile `next_event()` is PAUSED.  Of content only `BodyChunk(last=True)` waits.

    Attributes:
        state: a State.
        transport: what the owner does with its transport (READ, START_TLS or CLOSE).
        unanswered: the event that waits for a decision, or None.
        hello_name: the client's name for itself, or None.
        tls: facts of the TLS session, or None.
        identity: who logged in, or None.
        recipients: the accepted forward-paths of the open transaction.
    """

    __slots__ = ()

    def __init__(self, config: "ServerConfig", *, transcript: "Transcript | None" = None) -> None:
        super().__init__(config, transcript)

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
        return _READERS[self._reading](self)

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

        Raises:
            LocalProtocolError: nothing waits for a decision, or the reply does not fit.
        """
        event = self._undecided("accept()")
        if reply is None:
            reply = self._standard
        elif reply.code >= 400 or reply.is_intermediate != self._standard.is_intermediate:
            raise LocalProtocolError("accept() with a reply that does not accept", received=str(reply))
        self.unanswered = None
        _ACCEPT[type(event)](self, event, reply)

    def reject(self, reply: Reply | None = None) -> None:
        """Decide `unanswered` negatively; while content is under way, refuse the message at its end.

        Args:
            reply: 4yz or 5yz; None for 451 4.3.0, or what is usual (535 for a login, 502 for EXPN).

        Raises:
            LocalProtocolError: there is nothing to refuse, or the reply is positive.
        """
        if reply is not None and reply.code < 400:
            raise LocalProtocolError("reject() with a reply that does not refuse", received=str(reply))
        if self.unanswered is None and self._content is not None:
            self._content.refusal = self._content.refusal or reply or say.INTERNAL_ERROR
            return
        event = self._undecided("reject()")
        self.unanswered = None
        _REJECT[type(event)](self, event, reply)

    def supply(self, secret: "Any") -> None:
        """Answer FetchSecret with the user's password or stored keys; None if there is no such user."""
        self._undecided("supply()")
        self.unanswered = None
        self._answer_question(secret)

    def answer(self, replies: "Sequence[Reply]") -> None:
        """Decide the end of an LMTP message: one reply for each accepted RCPT, in order (RFC 2033 section 4.2).

        Raises:
            LocalProtocolError: it is not the end of an LMTP message, or the number of replies is wrong.
        """
        event = self._undecided("answer()")
        if not self.config.lmtp or type(event) is not BodyChunk:
            raise LocalProtocolError("answer() is for the end of an LMTP message", received=repr(event))
        if len(replies) != len(self.recipients):
            wanted = f"{len(self.recipients)} replies"
            raise LocalProtocolError(
                "answer() with too few or too many replies", expected=wanted, received=len(replies)
            )
        self.unanswered = None
        for reply in replies:
            self._say(reply)
        self._transaction_over(accepted=any(reply.is_positive for reply in replies))

    def tls_established(self, facts: "TLSFacts") -> None:
        """TLS is up: forget all that was learnt from the client before it (RFC 3207 section 4.2)."""
        self.tls = facts
        if self.transport is Transport.START_TLS:
            self.transport = Transport.READ
            self._reading = Reading.COMMAND
            self._forget()
            self.state = State.CONNECTED
        self._renew()

    def close(self, reply: Reply | None = None) -> None:
        """End the session from this side, with a farewell where one is due (421: RFC 5321 section 3.8)."""
        if self.state is not State.CLOSED:
            self.unanswered = None
            if reply is not None:
                self._say(reply)
            self._end_session()

    @property
    def unread(self) -> int:
        """Octets received and not yet consumed."""
        return len(self._lines)

    @property
    def size(self) -> int:
        """Octets of the content under way, so far."""
        return 0 if self._content is None else self._content.size

    @property
    def closed(self) -> bool:
        """True once nothing more will come of this connection."""
        return self.state is State.CLOSED

    @property
    def waiting_for(self) -> str:
        """What the client is to send: "command", "body", "AUTH" or "TLS handshake"."""
        return _WAITING.get(self._reading, "command")

    @property
    def protocol(self) -> str:
        """The WITH keyword of a Received field (RFC 3848, RFC 6531 section 4.3)."""
        word = "LMTP" if self.config.lmtp else "SMTP"
        prefix = "UTF8" if self._smtputf8 else "E" if self._extended and not self.config.lmtp else ""
        return f"{prefix}{word}{'S' if self.tls is not None else ''}{'A' if self.identity is not None else ''}"

    # The readers, of which `_reading` names one.

    def _read_opening(self) -> "Next":
        self._reading = Reading.COMMAND
        protocol = "LMTP" if self.config.lmtp else "ESMTP"
        return self._wait(Connect(), Reply(220, f"{self.config.hostname} {protocol}"))

    def _read_command(self) -> "Next":
        offer = self._offer
        line = self._lines.next_line(offer.line_limit)
        if line is None:
            return self._starved()
        if line is LINE_TOO_LONG:
            return self._answer(None, say.LINE_TOO_LONG)
        if self.transcript is not None:
            self.transcript.command(line)
        self._budget.commands += 1
        if self._budget.commands > self.config.limits.commands:
            return self._answer(None, say.TOO_MANY_COMMANDS)
        try:
            command = c.parse_command(line, smtputf8=self._smtputf8, strict=self.config.strict)
        except ParseError as error:
            return self._malformed(line, error)
        verb = command.verb
        if len(line) + 2 > offer.command_limit and len(line) + 2 > offer.line_limits.get(verb, offer.command_limit):
            return self._answer(command, say.LINE_TOO_LONG)
        if verb not in self._row:
            return self._out_of_place(command)
        return _STEPS[type(command)](self, command)

    def _malformed(self, line: bytes, error: ParseError) -> "Next":
        verb = line[:4].upper()
        if verb in (b"MAIL", b"RCPT"):
            self._budget.step_refused()
        hint = f"; expected {error.expected}" if error.expected else ""
        answered = self._answer(None, Reply(error.code, f"{error.what}{hint}", error.enhanced))
        if verb == b"BDAT":
            # The size of what follows is not known, and it is not commands (RFC 3030 section 2).
            self._end_session()
        return answered

    def _out_of_place(self, command: c.Command) -> "Next":
        reply = out_of_place(command, self.state, self._offer, self.config, tls=self.tls is not None)
        if self.state is State.MAIL and command.verb in ("DATA", "BDAT") and self._budget.step_was_refused:
            reply = say.NO_VALID_RECIPIENTS if not self.config.lmtp else reply
        if type(command) is not c.Bdat:
            return self._answer(command, reply)
        if command.verb not in self._offer.verbs:
            answered = self._answer(command, reply)
            self._end_session()
            return answered
        # The octets of the chunk come all the same.  LMTP answers LAST once for each recipient: here none.
        silent = self.config.lmtp and command.last and self.state is State.MAIL
        self._refused_chunk = (command, command.size, () if silent else (reply,))
        self._reading = Reading.REFUSED_CHUNK
        return self._read_refused_chunk()

    def _read_refused_chunk(self) -> "Next":
        command, left, replies = self._refused_chunk
        left -= len(self._lines.take(left))
        if left:
            self._refused_chunk = (command, left, replies)
            return self._starved()
        self._reading = Reading.COMMAND
        return self._answer(command, replies[0]) if replies else self._read_command()

    def _read_content(self) -> "Next":
        content = self._content
        assert content is not None
        data = content.read(self._lines)
        if self.transcript is not None and data:
            self.transcript.content(data)
        if content.complete:
            return self._piece_over(data)
        return BodyChunk(data) if data else self._starved()

    def _read_response(self) -> "Next":
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
        return PAUSED

    def _read_end(self) -> "Next":
        return _CLOSED

    def _starved(self) -> "Next":
        if not self._eof:
            return NEED_DATA
        # What is pending is cancelled, never what was accepted (RFC 5321 section 4.1.1.10).
        self._end_session()
        return _CLOSED

    def _undecided(self, method: str) -> "Event":
        if self.unanswered is None:
            raise LocalProtocolError(
                f"{method} without an event that waits", state=self.state.value, expected="next_event()"
            )
        return self.unanswered


_READERS: "dict[str, Callable[[ServerConnection], Next]]" = {
    Reading.OPENING: ServerConnection._read_opening,
    Reading.COMMAND: ServerConnection._read_command,
    Reading.CONTENT: ServerConnection._read_content,
    Reading.AFTER_CHUNK: ServerConnection._after_chunk,
    Reading.REFUSED_CHUNK: ServerConnection._read_refused_chunk,
    Reading.RESPONSE: ServerConnection._read_response,
    Reading.HANDSHAKE: ServerConnection._read_handshake,
    Reading.END: ServerConnection._read_end,
}

_WAITING = {
    Reading.CONTENT: "body",
    Reading.REFUSED_CHUNK: "body",
    Reading.RESPONSE: "AUTH",
    Reading.HANDSHAKE: "TLS handshake",
}

# What each command, and each decision, does.
_STEPS: "dict[type, Callable[[Any, Any], Next]]" = {
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
    c.XClient: ServerConnection._do_other,
    c.XForward: ServerConnection._do_other,
    c.StartTLS: ServerConnection._do_starttls,
    c.Auth: ServerConnection._do_auth,
}


def _accept_question(connection: ServerConnection, question: "Any", reply: Reply) -> None:
    connection._answer_question(True)


def _reject_question(connection: ServerConnection, question: "Any", reply: Reply | None) -> None:
    connection._answer_question(False if type(question) is not FetchSecret else None, reply)


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
    **dict.fromkeys((c.Vrfy, c.Expn, c.Etrn, c.XClient, c.XForward), ServerConnection._accept_other),
    **dict.fromkeys((VerifyPassword, VerifyToken), _accept_question),
}

_REJECT: "dict[type, Callable[[Any, Any, Reply | None], None]]" = {
    Connect: ServerConnection._reject_connect,
    **dict.fromkeys((c.Ehlo, c.Helo, c.Lhlo, c.StartTLS), ServerConnection._reject_session),
    **dict.fromkeys((c.Mail, c.Rcpt, c.Data), ServerConnection._reject_step),
    BodyChunk: ServerConnection._reject_content,
    **dict.fromkeys((c.Vrfy, c.Expn, c.Etrn, c.XClient, c.XForward), ServerConnection._reject_other),
    **dict.fromkeys((VerifyPassword, VerifyToken, FetchSecret), _reject_question),
}
