"""What each command does to a server's session once it stands in order, and what each decision on it does."""

from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.content import ChunkedContent, DataContent
from smtpkit.protocol.events import Answered, BodyChunk, BodyRefused, Connect, Transport
from smtpkit.protocol.refusals import mail_fault, rcpt_fault
from smtpkit.protocol.server_auth import AuthSteps
from smtpkit.protocol.server_state import Reading
from smtpkit.protocol.standard_replies import without_status
from smtpkit.protocol.states import END_OF_DATA, LAST_CHUNK, NOT_COMMANDS, State
from smtpkit.wire import commands as c
from smtpkit.wire.replies import Reply

__all__ = ["ServerSteps"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.protocol.events import Event, Stepped
    from smtpkit.protocol.transcript import Transcript

_LARGE_CHUNK = 1024  # octets


class ServerSteps(AuthSteps):
    """The steps of a server's session; none of them reads octets but those of content."""

    __slots__ = ()

    # Greeting and hello

    def _accept_connect(self, event: Connect, reply: Reply) -> None:
        if len(self._lines) > self._unread_before:
            # Who does not wait while the greeting is decided is no mail client (RFC 5321 section 4.3.1).  What was
            # there before the question came up, as a whole session handed in at once, says nothing of that.
            self._say(say.EARLY)
            self._end_session()
            return
        self._say(reply)
        self._move(self._row["greeting"])

    def _reject_connect(self, event: Connect, reply: Reply | None) -> None:
        self._move_refused("greeting")
        self._say(reply or say.NO_SERVICE)

    def _reject_session(self, event: c.Command, reply: Reply | None) -> None:
        usual = say.NO_TLS_NOW if type(event) is c.StartTLS else without_status(say.INTERNAL_ERROR)
        self._say(reply or usual)

    def _do_hello(self, command: "c.Ehlo | c.Helo | c.Lhlo") -> "Stepped":
        extended = type(command) is not c.Helo
        offer = self._offer_for(extended)
        return self._wait(command, offer.reply if extended else offer.plain_reply)

    def _accept_hello(self, command: "c.Ehlo | c.Helo | c.Lhlo", reply: Reply) -> None:
        self._say(reply)
        self.hello_name = command.name
        self._extended = type(command) is not c.Helo
        self._drop_transaction()
        self.state = self._row[command.verb]
        self._renew()

    # The mail transaction

    def _do_mail(self, command: c.Mail) -> "Stepped":
        if command.parameters:
            fault = mail_fault(command.parameters, self._offer, self.config)
            if fault is not None:
                return self._refuse_step(command, fault)
        transactions = self.config.limits.transactions
        if transactions is not None and self._budget.transactions >= transactions:
            return self._answer(command, say.TOO_MANY_TRANSACTIONS)
        return self._wait(command, say.MAIL_OK)

    def _accept_mail(self, command: c.Mail, reply: Reply) -> None:
        self._say(reply)
        self.begun = True
        self._budget.refused = 0
        self._budget.transactions += 1
        self._mail = command
        self._smtputf8 = "SMTPUTF8" in command.parameters
        self._move(self._row["MAIL"])

    def _do_rcpt(self, command: c.Rcpt) -> "Stepped":
        if command.parameters:
            fault = rcpt_fault(command.parameters, self._offer, self.config)
            if fault is not None:
                return self._refuse_step(command, fault)
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
        return self._answer(command, self._with_status(command, reply))  # a check of the application's has perhaps none

    def _do_data(self, command: c.Data) -> "Stepped":
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

    def _do_bdat(self, command: c.Bdat) -> "Stepped":
        if not isinstance(self._content, ChunkedContent):
            assert self._mail is not None
            binary = self._mail.parameters.get("BODY") == "BINARYMIME"
            self._content = ChunkedContent(self.config.bare_newlines, self.config.max_message_size, binary=binary)
        self._move(self._row["BDAT"])
        if command.size >= _LARGE_CHUNK:
            self._budget.commands -= 1  # the size of the message bounds them
        self._chunk = command
        self._content.begin(command.size, command.last)
        self._reading = Reading.CONTENT
        return self._read_content()

    # Content

    def _read_content(self) -> "Stepped":
        content = self._content
        assert content is not None
        data = content.read(self._lines) if self.transcript is None else self._recorded(content, self.transcript)
        if content.complete:
            return self._piece_over(data)
        return BodyChunk(data) if data else self._starved()

    def _recorded(self, content: "DataContent | ChunkedContent", transcript: "Transcript") -> bytes:
        # What is refused is not given, but has a size.
        size, unread = content.size, len(self._lines)
        data = content.read(self._lines)
        by_data = isinstance(content, DataContent)
        transcript.content(data, content.size - size if by_data else unread - len(self._lines))
        if by_data and content.complete:
            transcript.end_of_data()
        return data

    def _piece_over(self, data: bytes) -> "Stepped":
        content = self._content
        assert content is not None
        if not content.last:
            self._reading = Reading.AFTER_CHUNK
            return BodyChunk(data) if data else self._after_chunk()
        if content.refusal is not None:
            return self._content_refused(content.refusal)
        self._reading = Reading.COMMAND
        return self._wait(BodyChunk(data, True), say.MESSAGE_ACCEPTED)

    def _after_chunk(self) -> "Stepped":
        # A chunk but the last is answered when the application has seen it, and may have refused it.
        content = self._content
        assert content is not None
        self._reading = Reading.COMMAND
        if content.refusal is None:
            return self._answer(self._chunk, say.CHUNK_OK)
        self._say(content.refusal)
        event = BodyRefused(content.refusal)
        if self.state is not State.CLOSED:
            self._move_refused("BDAT")
            self._content = None
        return event

    def _content_refused(self, reply: Reply) -> BodyRefused:
        self._reading = Reading.COMMAND
        self._say_for_all(reply)
        self._transaction_over(accepted=False)
        return BodyRefused(reply)

    def _unwanted_message(self, reply: Reply) -> "Stepped":
        # Each accepted recipient of LMTP has a reply to BDAT LAST, and where there is none nothing is said
        # (RFC 2033 section 4.3).
        if self.recipients:
            answered = self._answer(self._chunk, reply)
            for _ in self.recipients[1:]:
                self._say(reply)
            return answered
        self._drop_transaction()
        self._move_refused(LAST_CHUNK)
        return BodyRefused(reply)

    def _say_for_all(self, reply: Reply) -> None:
        if not self.config.lmtp:
            self._say(reply)
            return
        # LMTP answers for each recipient (RFC 2033 sections 4.2 and, of BDAT, 4.3).
        for _ in self.recipients:
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
        step = END_OF_DATA if self.state is State.DATA else LAST_CHUNK
        self._drop_transaction()
        if accepted:
            self._move(self._row[step])
            self._budget.commands = 0
        else:
            self._move_refused(step)

    # Commands that change little

    def _do_rset(self, command: c.Rset) -> "Stepped":
        self._say(say.OK)
        self._drop_transaction()
        self._budget.errors_in_a_row = 0
        self._move(self._row["RSET"])
        return command

    def _do_noop(self, command: c.Noop) -> "Stepped":
        return self._answer(command, say.OK)

    def _do_help(self, command: c.Help) -> "Stepped":
        known = {verb for row in self._offer.rows.values() for verb in row} - NOT_COMMANDS
        verbs = sorted({verb.removesuffix(" LAST") for verb in known})
        return self._answer(command, say.commands(verbs))

    def _do_quit(self, command: c.Quit) -> "Stepped":
        self._say(self._offer.farewell)
        self.finished = not len(self._lines)
        self._end_session()
        return command

    def _do_vrfy(self, command: c.Vrfy) -> "Stepped":
        return self._wait(command, say.CANNOT_VERIFY)

    def _do_other(self, command: c.Command) -> "Stepped":
        return self._wait(command, say.OK)

    def _do_xclient(self, command: c.XClient) -> "Stepped":
        return self._told(command, self._offer.greeting)

    def _do_xforward(self, command: c.XForward) -> "Stepped":
        return self._told(command, say.OK)

    def _told(self, command: "c.XClient | c.XForward", reply: Reply) -> "Stepped":
        # What the keyword does not name may not be told (Postfix's documents of both).
        if self._offer.attributes[command.verb].issuperset(command.attributes):
            return self._wait(command, reply)
        return self._answer(command, say.UNKNOWN_ATTRIBUTE)

    def _accept_xclient(self, command: c.XClient, reply: Reply) -> None:
        # The session begins anew, as that of another client; TLS stays (Postfix's XCLIENT document).
        self._say(reply)
        self._forget()
        self.identity = command.known.get("LOGIN") or None
        self.state = self._row["XCLIENT"]
        self._renew()

    def _accept_other(self, command: c.Command, reply: Reply) -> None:
        self._say(reply)

    def _reject_other(self, event: "Event", reply: Reply | None) -> None:
        self._say(reply or say.NOT_IMPLEMENTED)

    # STARTTLS and AUTH

    def _do_starttls(self, command: c.StartTLS) -> "Stepped":
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
