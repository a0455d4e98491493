"""One session of a test's server: the core's events, each looked up in the table of faults before it is answered.

It drives the core by itself, and is no Session of an adapter: a test wants to decide what no server's owner
does, such as DATA and STARTTLS, and to leave without a word.
"""

from contextlib import suppress
from itertools import compress

from smtpkit import (
    NEED_DATA,
    BodyChunk,
    Connect,
    ConnectionClosed,
    Data,
    Ehlo,
    Envelope,
    FetchSecret,
    Helo,
    Lhlo,
    Mail,
    Message,
    Quit,
    Rcpt,
    Reply,
    ServerConnection,
    StartTLS,
    Transport,
    VerifyPassword,
    VerifyToken,
)
from smtpkit.protocol import SessionFacts

__all__ = ["Conversation"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Any

    from smtpkit import ServerConfig, Transcript
    from smtpkit.testing.faults import Fault, Faults
    from smtpkit.testing.line import Line

_STEPS: "dict[type, str]" = {
    Connect: "connect",
    **dict.fromkeys((Ehlo, Helo, Lhlo), "hello"),
    StartTLS: "starttls",
    **dict.fromkeys((VerifyPassword, FetchSecret, VerifyToken), "login"),
    Mail: "mail",
    Rcpt: "rcpt",
    Data: "data",
    Quit: "quit",
}
_DELIVERED = Reply(250, "Message accepted", "2.0.0")


class Conversation:
    """A client's session, from greeting to end.

    Args:
        line: to the client.
        config: of the server.
        context: its TLS settings, or None.
        implicit_tls: whether TLS begins with the first octet.
        faults: what is to go wrong.
        keep: called with each message that is accepted, before its client hears of that.
        wait: called with seconds to let pass; returns True when the server ends meanwhile.
        transcript: records the session.
    """

    def __init__(
        self,
        line: "Line",
        config: "ServerConfig",
        *,
        context: "ssl.SSLContext | None",
        implicit_tls: bool,
        faults: "Faults",
        keep: "Callable[[Message], None]",
        wait: "Callable[[float], bool]",
        transcript: "Transcript",
    ) -> None:
        self._line = line
        self._context = context
        self._implicit_tls = implicit_tls
        self._faults = faults
        self._keep = keep
        self._wait = wait
        self._core = ServerConnection(config, transcript=transcript)
        self._facts = _Facts(self._core, line)
        self._content: list[bytes] = []
        self._asked = False  # whether the step "data" of this transaction is over

    def run(self) -> None:
        """Serve the client until it is gone, and close the line."""
        try:
            with suppress(OSError, _Dropped):  # it may go at any time
                self._converse()
                self._line.say_goodbye()
        finally:
            self._line.close()

    def _converse(self) -> None:
        core, line = self._core, self._line
        if self._implicit_tls:
            self._start_tls()
        while (event := core.next_event()) != ConnectionClosed():
            if event is not NEED_DATA:
                self._take(event)
            line.write(core.data_to_send())
            if core.transport is Transport.START_TLS:
                self._start_tls()
            elif event is NEED_DATA:
                core.receive_data(line.read())

    def _start_tls(self) -> None:
        assert self._context is not None
        self._core.tls_established(self._line.start_tls(self._context))

    def _take(self, event: "Any") -> None:
        core = self._core
        if isinstance(event, BodyChunk):
            self._take_content(event)
        elif (step := _STEPS.get(type(event))) is not None:
            if isinstance(event, Mail):
                self._content.clear()
            self._asked = isinstance(event, Data)
            if self._passes(step, *self._addresses(event)) and core.unanswered is not None:
                core.accept()
        elif core.unanswered is not None:
            core.accept()  # VRFY and its kind

    def _take_content(self, chunk: BodyChunk) -> None:
        self._content.append(chunk.data)
        if not self._asked:  # there was no DATA: it comes by BDAT
            self._asked = True
            if not self._passes("data", *self._addresses(chunk)):
                return
        if chunk.last:
            self._take_message(*self._addresses(chunk))

    def _take_message(self, sender: str, recipients: list[str]) -> None:
        # In LMTP each recipient has a verdict of its own.
        core, lmtp = self._core, self._core.config.lmtp
        faults = [self._due("message", sender, group) for group in ([each] for each in recipients)] if lmtp else []
        faults = faults or [self._due("message", sender, recipients)] * len(recipients)
        taken = [fault is None or fault.drops for fault in faults]
        if any(taken):
            self._keep(self._message(taken))
        if any(fault is not None and fault.drops for fault in faults):
            raise _Dropped
        replies = [(fault and fault.reply) or _DELIVERED for fault in faults]
        if lmtp:
            core.answer(replies)
        elif replies[0].is_positive:
            core.accept()
        else:
            core.reject(replies[0])

    def _message(self, taken: list[bool]) -> Message:
        envelope = self._core.envelope
        assert envelope is not None
        if not all(taken):
            envelope = Envelope(
                envelope.sender,
                compress(envelope.recipients, taken),
                envelope.mail_parameters,
                list(compress(envelope.rcpt_parameters, taken)),
            )
        return Message(envelope, b"".join(self._content), self._facts)

    def _passes(self, step: str, sender: str, recipients: list[str]) -> bool:
        # Whether nothing goes wrong at this step.
        fault = self._due(step, sender, recipients)
        if fault is None:
            return True
        if fault.drops:
            raise _Dropped
        self._core.reject(fault.reply)
        return False

    def _due(self, step: str, sender: str, recipients: list[str]) -> "Fault | None":
        seconds, fault = self._faults.due(step, sender, recipients)
        if self._wait(seconds):
            raise _Dropped
        return fault

    def _addresses(self, event: "Any") -> tuple[str, list[str]]:
        # Sender and recipients that a step is about.
        if isinstance(event, Mail):
            return str(event.reverse_path or ""), []
        envelope = self._core.envelope
        if envelope is None:
            return "", []
        recipients = [event.forward_path] if isinstance(event, Rcpt) else envelope.recipients
        return str(envelope.sender or ""), [str(each) for each in recipients]


class _Dropped(Exception):
    # The line is to be dropped, without a word.
    pass


class _Facts(SessionFacts):
    # What a message says of its session.

    def __init__(self, core: ServerConnection, line: "Line") -> None:
        self._core = core
        self.peer, self.local = line.peer, line.local
