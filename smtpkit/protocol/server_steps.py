"""What each command does to a server's session once it stands in order, and what each decision on it does."""

from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.content import ChunkedContent, DataContent
from smtpkit.protocol.envelope import Envelope
from smtpkit.protocol.events import Answered, BodyChunk, BodyRefused, Connect, Transport
from smtpkit.protocol.extensions import EXTENSIONS
from smtpkit.protocol.refusals import Budget
from smtpkit.protocol.server_auth import ServerLogin
from smtpkit.protocol.states import END_OF_DATA, State
from smtpkit.wire import commands as c
from smtpkit.wire.lines import LineBuffer
from smtpkit.wire.replies import Reply

__all__ = ["Reading", "ServerSteps"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.protocol.config import ServerConfig
    from smtpkit.protocol.events import ConnectionClosed, Signal
    from smtpkit.protocol.offer import Offer
    from smtpkit.protocol.tls_facts import TLSFacts
    from smtpkit.protocol.transcript import Transcript
    from smtpkit.sasl.questions import Question

    Event = c.Command | Connect | BodyChunk | BodyRefused | Answered | ConnectionClosed | Question
    Next = Event | Signal

_DEFINED = frozenset(word for each in EXTENSIONS.values() for word in (*each.mail_parameters, *each.rcpt_parameters))


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


class ServerSteps:
    """The state of a server's session, and the steps that change it; no step reads octets."""

    __slots__ = (
        "_budget",
        "_content",
        "_eof",
        "_extended",
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
        "config",
        "hello_name",
        "identity",
        "recipients",
        "state",
        "tls",
        "transcript",
        "transport",
        "unanswered",
    )

    def __init__(self, config: "ServerConfig", transcript: "Transcript | None") -> None:
        self.config = config
        self.transcript = transcript
        self.transport = Transport.READ
        self.tls: TLSFacts | None = None
        self.unanswered: Event | None = None
        self._budget = Budget(config.limits)
        self._lines = LineBuffer()
        self._out: list[bytes] = []
        self._pending: Event | None = None
        self._reading = Reading.OPENING
        self._refused_chunk: tuple[c.Command, int, tuple[Reply, ...]] = (c.Noop(), 0, ())
        self._standard: Reply = say.OK
        self._eof = False
        self._login_failures = 0
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

    def _drop_transaction(self) -> None:
        self._mail: c.Mail | None = None
        self.recipients: list[Any] = []
        self._rcpt_parameters: list[Any] = []
        self._content: DataContent | ChunkedContent | None = None
        self._smtputf8 = False
        self._budget.transaction_begins()

    def _renew(self) -> None:
        # What is offered has changed.
        self._offer: Offer = self.config.offer(
            tls=self.tls is not None, authenticated=self.identity is not None, extended=self._extended
        )
        self._row = self._offer.rows[self.state]

    def _move(self, state: State) -> None:
        self.state = state
        self._row = self._offer.rows[state]

    @property
    def envelope(self) -> Envelope | None:
        """The open mail transaction as far as it was accepted, or None."""
        if self._mail is None:
            return None
        return Envelope(self._mail.reverse_path, self.recipients, self._mail.parameters, self._rcpt_parameters)

    # Answering

    def _say(self, reply: Reply) -> None:
        self._out.append(bytes(reply))
        if self.transcript is not None:
            self.transcript.reply(reply)
        if reply.code == 421:
            self._end_session()

    def _answer(self, command: c.Command | None, reply: Reply) -> Answered:
        reply = self._budget.judge(reply)
        self._say(reply)
        return Answered(command, reply)

    def _wait(self, event: "Event", standard: Reply) -> "Event":
        self._budget.errors_in_a_row = 0
        self._standard = standard
        self.unanswered = event
        return event

    def _end_session(self) -> None:
        self._drop_transaction()
        self._move(State.CLOSED)
        self._reading = Reading.END
        self.transport = Transport.CLOSE
        self._lines.clear()

    # Greeting and hello

    def _accept_connect(self, event: Connect, reply: Reply) -> None:
        self._say(reply)
        self._move(State.CONNECTED)
        self._reading = Reading.COMMAND

    def _reject_connect(self, event: Connect, reply: Reply | None) -> None:
        self._move(State.REFUSED)
        self._reading = Reading.COMMAND
        self._say(reply or say.NO_SERVICE)

    def _reject_session(self, event: c.Command, reply: Reply | None) -> None:
        self._say(reply or say.INTERNAL_ERROR)

    def _do_hello(self, command: "c.Ehlo | c.Helo | c.Lhlo") -> "Next":
        extended = type(command) is not c.Helo
        offer = self.config.offer(tls=self.tls is not None, authenticated=self.identity is not None, extended=extended)
        return self._wait(command, offer.reply if extended else offer.plain_reply)

    def _accept_hello(self, command: "c.Ehlo | c.Helo | c.Lhlo", reply: Reply) -> None:
        self._say(reply)
        self.hello_name = command.name
        self._extended = type(command) is not c.Helo
        self._drop_transaction()
        self.state = State.READY
        self._renew()

    # The mail transaction

    def _do_mail(self, command: c.Mail) -> "Next":
        parameters = command.parameters
        if parameters:
            fault = self._fault_in(parameters)
            if fault is not None:
                return self._refuse_step(command, fault)
        transactions = self.config.limits.transactions
        if transactions is not None and self._budget.transactions >= transactions:
            return self._answer(command, say.TOO_MANY_TRANSACTIONS)
        return self._wait(command, say.MAIL_OK)

    def _fault_in(self, parameters: "Any") -> Reply | None:
        offer, limit = self._offer, self.config.max_message_size
        if not self._legal(parameters, offer.mail_parameters):
            return say.UNKNOWN_PARAMETER
        if parameters.get("BODY") == "BINARYMIME" and not offer.binary:
            return say.UNKNOWN_PARAMETER
        if limit is not None and parameters.get("SIZE", 0) > limit:  # RFC 1870 section 6.1
            return say.TOO_LARGE
        return None

    def _legal(self, parameters: "Any", offered: "frozenset[str]") -> bool:
        # What an extension of the registry defines must be offered; "keep" lets anything else through.
        strangers = parameters.keys() - offered
        return not strangers or (self.config.unknown_parameters == "keep" and not strangers & _DEFINED)

    def _accept_mail(self, command: c.Mail, reply: Reply) -> None:
        self._say(reply)
        self._drop_transaction()
        self._budget.transactions += 1
        self._mail = command
        self._smtputf8 = "SMTPUTF8" in command.parameters
        self._move(self._row["MAIL"])

    def _do_rcpt(self, command: c.Rcpt) -> "Next":
        parameters = command.parameters
        if parameters and not self._legal(parameters, self._offer.rcpt_parameters):
            return self._refuse_step(command, say.UNKNOWN_PARAMETER)
        if len(self.recipients) >= self.config.limits.recipients:
            return self._refuse_step(command, say.TOO_MANY_RECIPIENTS)
        return self._wait(command, say.RCPT_OK)

    def _accept_rcpt(self, command: c.Rcpt, reply: Reply) -> None:
        self._say(reply)
        self.recipients.append(command.forward_path)
        self._rcpt_parameters.append(command.parameters)
        self._move(self._row["RCPT"])

    def _refuse_step(self, command: c.Command, reply: Reply) -> Answered:
        self._budget.step_refused()
        return self._answer(command, reply)

    def _do_data(self, command: c.Data) -> "Next":
        assert self._mail is not None
        if self._mail.parameters.get("BODY") == "BINARYMIME":  # RFC 3030 section 3
            return self._answer(command, say.BINARY_NEEDS_BDAT)
        return self._wait(command, say.START_DATA)

    def _accept_data(self, command: c.Data, reply: Reply) -> None:
        self._say(reply)
        self._move(self._row["DATA"])
        self._content = DataContent(self.config.bare_newlines, self.config.max_message_size)
        self._reading = Reading.CONTENT

    def _reject_step(self, event: c.Command, reply: Reply | None) -> None:
        self._budget.step_refused()
        self._say(reply or say.INTERNAL_ERROR)

    def _do_bdat(self, command: c.Bdat) -> "Next":
        if not isinstance(self._content, ChunkedContent):
            assert self._mail is not None
            binary = self._mail.parameters.get("BODY") == "BINARYMIME"
            self._content = ChunkedContent(self.config.bare_newlines, self.config.max_message_size, binary=binary)
        self._move(self._row["BDAT"])
        self._content.begin(command.size, command.last)
        self._reading = Reading.CONTENT
        return self._read_content()

    def _read_content(self) -> "Next":
        raise NotImplementedError

    # The end of content

    def _piece_over(self, data: bytes) -> "Next":
        content = self._content
        assert content is not None
        if not content.last:
            self._reading = Reading.AFTER_CHUNK
            return BodyChunk(data) if data else self._after_chunk()
        if content.refusal is not None:
            return self._content_refused(content.refusal)
        self._reading = Reading.COMMAND
        return self._wait(BodyChunk(data, True), say.MESSAGE_ACCEPTED)

    def _after_chunk(self) -> "Next":
        # A chunk but the last is answered when the application has seen it, and may have refused it.
        content = self._content
        assert content is not None
        self._reading = Reading.COMMAND
        if content.refusal is None:
            return self._answer(c.Bdat(0), say.CHUNK_OK)
        self._say(content.refusal)
        event = BodyRefused(content.refusal)
        if self.state is not State.CLOSED:
            self._move(State.BDAT_FAILED)
            self._content = None
        return event

    def _content_refused(self, reply: Reply) -> BodyRefused:
        self._reading = Reading.COMMAND
        self._say_for_all(reply)
        self._transaction_over(accepted=False)
        return BodyRefused(reply)

    def _say_for_all(self, reply: Reply) -> None:
        # LMTP answers for each recipient (RFC 2033 section 4.2).
        for _ in self.recipients if self.config.lmtp else (None,):
            if self.state is not State.CLOSED:
                self._say(reply)

    def _accept_content(self, event: BodyChunk, reply: Reply) -> None:
        self._say_for_all(reply)
        self._transaction_over(accepted=True)

    def _reject_content(self, event: BodyChunk, reply: Reply | None) -> None:
        self._say_for_all(reply or say.INTERNAL_ERROR)
        self._transaction_over(accepted=False)

    def _transaction_over(self, *, accepted: bool) -> None:
        if self.state is State.CLOSED:
            return
        self._move(self._row[END_OF_DATA if self.state is State.DATA else "BDAT LAST"])
        self._drop_transaction()
        if accepted:
            self._budget.commands = 0

    # Commands that change little

    def _do_rset(self, command: c.Rset) -> "Next":
        self._say(say.OK)
        self._drop_transaction()
        self._budget.errors_in_a_row = 0
        self._move(self._row["RSET"])
        return command

    def _do_noop(self, command: c.Noop) -> "Next":
        return self._answer(command, say.OK)

    def _do_help(self, command: c.Help) -> "Next":
        verbs = sorted({verb.partition(" ")[0] for row in self._offer.rows.values() for verb in row} - {END_OF_DATA})
        return self._answer(command, Reply(214, f"Commands: {' '.join(verbs)}", "2.0.0"))

    def _do_quit(self, command: c.Quit) -> "Next":
        self._say(Reply(221, f"{self.config.hostname} closing", "2.0.0"))
        self._end_session()
        return command

    def _do_vrfy(self, command: c.Vrfy) -> "Next":
        return self._wait(command, say.CANNOT_VERIFY)

    def _do_other(self, command: c.Command) -> "Next":
        return self._wait(command, say.OK)

    def _accept_other(self, command: c.Command, reply: Reply) -> None:
        self._say(reply)

    def _reject_other(self, event: "Event", reply: Reply | None) -> None:
        self._say(reply or say.NOT_IMPLEMENTED)

    # STARTTLS and AUTH

    def _do_starttls(self, command: c.StartTLS) -> "Next":
        if len(self._lines):
            # Whatever follows STARTTLS in clear was put there by somebody else (RFC 3207 section 4.2).
            self._say(say.INJECTED)
            self._end_session()
            return Answered(command, say.INJECTED)
        return self._wait(command, say.READY_FOR_TLS)

    def _accept_starttls(self, command: c.StartTLS, reply: Reply) -> None:
        if len(self._lines):
            self._say(say.INJECTED)
            self._end_session()
            return
        self._say(reply)
        self.transport = Transport.START_TLS
        self._reading = Reading.HANDSHAKE

    def _do_auth(self, command: c.Auth) -> "Next":
        if command.mechanism not in self._offer.mechanisms:
            return self._answer(command, say.UNKNOWN_MECHANISM)
        self._login = ServerLogin(command.mechanism, command.initial_response)
        return self._login_step(command, self._login.start())

    def _login_step(self, command: c.Command | None, step: "Reply | Question") -> "Next":
        if not isinstance(step, Reply):
            return self._wait(step, say.AUTHENTICATED)
        if step.is_intermediate:
            self._reading = Reading.RESPONSE
        else:
            step = self._login_over(step)
        return self._answer(command, step)

    def _login_over(self, reply: Reply) -> Reply:
        login, self._login = self._login, None
        self._reading = Reading.COMMAND
        if login is not None and reply.code == 235:
            self.identity = login.identity
            self._renew()
        elif reply.code == 535:
            self._login_failures += 1
            policy = self.config.auth
            if policy is not None and self._login_failures > policy.attempts:
                return say.TOO_MANY_LOGINS
        return reply

    def _answer_question(self, answer: "Any", refusal: Reply | None = None) -> None:
        assert self._login is not None
        step = self._login.answer(answer)
        if isinstance(step, Reply) and step.code == 535 and refusal is not None:
            step = refusal
        # A further question is an event of its own.
        event = self._login_step(None, step)
        if not isinstance(step, Reply):
            self._pending, self.unanswered = event, None  # type: ignore[assignment]
