"""What a server knows of its session, and how it answers: all that its steps share."""

from smtpkit.errors import LocalProtocolError
from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.envelope import Envelope
from smtpkit.protocol.events import NEED_DATA, Answered, Connect, ConnectionClosed, Transport
from smtpkit.protocol.extensions import EXTENSIONS
from smtpkit.protocol.refusals import ERRORS, Budget
from smtpkit.protocol.standard_replies import usual_status, without_status
from smtpkit.protocol.states import LMTP_REFUSALS, SMTP_REFUSALS, State
from smtpkit.protocol.utf8_replies import spelled
from smtpkit.sasl.questions import QUESTIONS
from smtpkit.wire import commands as c
from smtpkit.wire.lines import LineBuffer
from smtpkit.wire.replies import Reply

__all__ = ["CONNECTION_CLOSED", "Reading", "ServerState"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from smtpkit.protocol.config import ServerConfig
    from smtpkit.protocol.content import ChunkedContent, DataContent
    from smtpkit.protocol.events import Event, Next, Stepped
    from smtpkit.protocol.offer import Offer
    from smtpkit.protocol.server_auth import ServerLogin
    from smtpkit.protocol.tls_facts import TLSFacts
    from smtpkit.protocol.transcript import Transcript


class Reading:
    """What the next octets are: names of the readers of ServerConnection."""

    OPENING = "opening"
    COMMAND = "command"
    CONTENT = "content"
    AFTER_CHUNK = "after chunk"
    REFUSED_CHUNK = "refused chunk"
    RESPONSE = "response"
    HANDSHAKE = "handshake"
    END = "end"


CONNECTION_CLOSED = ConnectionClosed()

# One for all connections: each would cost memory.
_NO_CHUNK = c.Bdat(0)
_NOTHING: "frozenset[Any]" = frozenset()
_NO_GRANTS: "Mapping[type, Any]" = {}

_GROUP = 100  # replies that may wait before somebody is told of it: one read may hold 4,000 RCPTs

_HELLO = frozenset({c.Ehlo, c.Helo, c.Lhlo})
_STATUS_CODES = EXTENSIONS["ENHANCEDSTATUSCODES"]

# Replies that say that a limit is reached, by identity: an application may give one that is equal.
_LIMIT_OF = {id(reply): name for name, replies in say.LIMIT_REPLIES.items() for reply in replies}

_WAITING = {
    Reading.CONTENT: "body",
    Reading.REFUSED_CHUNK: "body",
    Reading.RESPONSE: "AUTH",
    Reading.HANDSHAKE: "TLS handshake",
}


class ServerState:
    """The facts of a server's session, and the means to answer.

    Args:
        config: what the server offers and allows.
        transcript: records the session; None for nobody.
    """

    __slots__ = (
        "_budget",
        "_certificate_identity",
        "_chunk",
        "_content",
        "_eof",
        "_extended",
        "_grants",
        "_lines",
        "_login",
        "_login_failures",
        "_mail",
        "_offer",
        "_out",
        "_pending",
        "_rcpt_parameters",
        "_reading",
        "_refused_chunk",
        "_row",
        "_smtputf8",
        "_standard",
        "_unread_before",
        "_withheld",
        "begun",
        "config",
        "finished",
        "hello_name",
        "identity",
        "notice",
        "recipients",
        "state",
        "tls",
        "transcript",
        "transport",
        "unanswered",
    )

    def __init__(self, config: "ServerConfig", *, transcript: "Transcript | None" = None) -> None:
        self.config = config
        self.transcript = transcript
        self.transport = Transport.READ
        self.tls: TLSFacts | None = None
        self.unanswered: Event | None = None
        self.notice: Callable[[str], None] | None = None
        self._grants: Mapping[type, Callable[[Any, Any, Reply], None]] = _NO_GRANTS
        self.finished = False
        self.begun = False
        self._budget = Budget(config.limits)
        self._lines = LineBuffer()
        self._out: list[bytes] = []
        self._pending: Event | None = None
        self._reading = Reading.OPENING
        self._chunk = _NO_CHUNK  # the last one
        self._refused_chunk: tuple[int, Reply] = (0, say.OK)  # octets that are still to come, and the answer
        self._standard: Reply = say.OK
        self._unread_before = 0  # octets, when the greeting was asked for
        self._eof = False
        self._login_failures = 0
        self._withheld: frozenset[str] = _NOTHING  # mechanisms that cannot succeed on this connection
        self._certificate_identity: str | None = None
        self._forget()
        self.state = State.GREETING
        self._renew()

    # State

    def _forget(self) -> None:
        # All knowledge of the client.
        self.hello_name: str | None = None
        self.identity: str | None = None
        self._extended = False
        self._login: ServerLogin | None = None
        self._drop_transaction()

    def transaction_settled(self) -> None:
        """Take `begun` back: who counts transactions was told how this one has ended."""
        self.begun = False

    def _drop_transaction(self) -> None:
        self._mail: c.Mail | None = None
        self.recipients: list[Any] = []
        self._rcpt_parameters: list[Any] = []
        self._content: DataContent | ChunkedContent | None = None
        self._smtputf8 = False
        self._budget.refused = 0

    def _renew(self) -> None:
        # What is offered has changed.
        self._offer: Offer = self._offer_for(self._extended)
        self._row = self._offer.rows[self.state]

    def _offer_for(self, extended: bool) -> "Offer":
        return self.config.offer(
            tls=self.tls is not None,
            authenticated=self.identity is not None,
            extended=extended,
            withheld=self._withheld,
        )

    def _move(self, state: State) -> None:
        self.state = state
        self._row = self._offer.rows[state]

    def _move_refused(self, step: str) -> None:
        table = LMTP_REFUSALS if self.config.lmtp else SMTP_REFUSALS
        self._move(table[self.state].get(step, self.state))

    @property
    def envelope(self) -> Envelope | None:
        """The open mail transaction as far as it was accepted, or None."""
        if self._mail is None:
            return None
        mail = self._mail
        return Envelope._trusted(mail.reverse_path, self.recipients, mail.parameters, self._rcpt_parameters)

    @property
    def in_transaction(self) -> bool:
        """Whether a mail transaction is open that can still be accepted."""
        return self._mail is not None and self.state is not State.BDAT_FAILED

    # Answering

    def _acceptance(self, event: "Event | None", reply: Reply) -> Reply:
        # The application's reply as it is to be said, if it accepts.
        if reply.code >= 400 or reply.is_intermediate != self._standard.is_intermediate:
            expected = "3yz" if self._standard.is_intermediate else "2yz"
            raise LocalProtocolError(
                "accept() with a reply that does not accept", expected=expected, received=str(reply)
            )
        if type(event) not in _HELLO:
            return self._own(event, reply)
        if reply.code != 250 or len(reply.lines) > 1:
            expected = "250 and one line: the keywords are those of the configuration"
            raise LocalProtocolError("accept() of a hello with another reply", expected=expected, received=str(reply))
        name, text = self.config.hostname, reply.text
        greets = text if f"{text} ".startswith(f"{name} ") else f"{name} {text}"
        return Reply(250, (greets, *self._standard.lines[1:]))

    def _own(self, event: "Event | None", reply: Reply) -> Reply:
        # The application's reply as it is to be said.
        reply = self._with_status(event, reply)
        if reply.text.isascii():
            return reply
        return spelled(event, reply, smtputf8=self._smtputf8)

    def _misfit(self, what: str, event: "Event") -> LocalProtocolError:
        usual = "supply()" if type(event) in QUESTIONS else "accept()"
        return LocalProtocolError(what, expected=f"{usual} or reject()", received=repr(event))

    def _with_status(self, event: "Event | None", reply: Reply) -> Reply:
        # RFC 2034 section 4: each reply has a code, but a greeting, a 3yz, and what answers EHLO, HELO or LHLO.
        if type(event) in _HELLO:
            return without_status(reply)
        if reply.enhanced is not None or type(event) is Connect or reply.is_intermediate:
            return reply
        if _STATUS_CODES not in self.config.extensions:
            return reply
        if reply.is_positive and event is not None:
            status = self._standard.enhanced
        elif reply.code == 452 and type(event) is c.Rcpt:
            status = say.TOO_MANY_RECIPIENTS.enhanced  # as a client reads it (RFC 5321 section 4.5.3.1.10)
        else:
            status = usual_status(reply.code)
        return Reply(reply.code, reply.lines, status)

    def _say(self, reply: Reply) -> None:
        octets = reply._octets or bytes(reply)
        self._out.append(octets)
        if self.transcript is not None:
            self.transcript.reply(octets)
        if reply.code >= 400:
            self._refused(reply)

    def _refused(self, reply: Reply) -> None:
        if self.notice is not None:
            name = _LIMIT_OF.get(id(reply))
            if name is not None:
                self.notice(name)
            if reply.code in ERRORS:
                self.notice("error")
        if reply.code == 421:
            self._end_session()

    def _answer(self, command: c.Command | None, reply: Reply) -> Answered:
        reply = self._budget.judge(reply)
        self._say(reply)
        return Answered(command, reply)

    def _wait(self, event: "Event", standard: Reply) -> "Stepped":
        self._budget.errors_in_a_row = 0
        accept = self._grants.get(type(event))
        if accept is None:
            self._standard = standard
            self.unanswered = event
            return event
        accept(self, event, standard)
        return None if len(self._out) < _GROUP else Answered(event, standard)  # type: ignore[arg-type]

    def _end_session(self) -> None:
        self._drop_transaction()
        self.unanswered = self._pending = self._login = None
        self._move(State.CLOSED)
        self._reading = Reading.END
        self.transport = Transport.CLOSE
        self._lines.clear()
        if self.transcript is not None:
            self.transcript.flush()

    def _starved(self) -> "Next":
        if not self._eof:
            return NEED_DATA
        # What is pending is cancelled, never what was accepted (RFC 5321 section 4.1.1.10).
        self._end_session()
        return CONNECTION_CLOSED

    # What is known

    @property
    def unread(self) -> int:
        """Octets received and not yet consumed."""
        return len(self._lines)

    @property
    def unsent(self) -> int:
        """Replies that `data_to_send()` has not given yet."""
        return len(self._out)

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
        if not self._extended:
            return word  # what HELO began has no other name
        prefix = "UTF8" if self._smtputf8 else "" if self.config.lmtp else "E"
        return f"{prefix}{word}{'S' if self.tls is not None else ''}{'A' if self.identity is not None else ''}"
