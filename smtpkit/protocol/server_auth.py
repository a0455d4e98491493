"""AUTH on the server's side: lines of base64 in, replies and questions out (RFC 4954 section 4)."""

from smtpkit.errors import LocalProtocolError, ParseError
from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.limits import AUTH_LINE
from smtpkit.protocol.server_state import Reading, ServerState
from smtpkit.protocol.states import INTERMEDIATE, RESPONSE
from smtpkit.sasl import Challenge, FetchSecret, server_mechanism
from smtpkit.wire.extension_commands import decode_base64
from smtpkit.wire.replies import Reply

__all__ = ["RESPONSE_LIMIT", "AuthSteps", "ServerLogin"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.protocol.events import Stepped
    from smtpkit.sasl import Mechanism, Question
    from smtpkit.wire.commands import Auth, Command

RESPONSE_LIMIT = AUTH_LINE + 2  # octets of a response line with its CRLF


class ServerLogin:
    """Drives one mechanism; each step gives a Reply (334, or the final one), or a question for the application.

    Args:
        mechanism: its name, or its class.
        initial_response: octets, decoded; None if there was none.
        facts: see `smtpkit.sasl.facts.ServerFacts`.

    Attributes:
        identity: who logged in, once the reply is 235.
    """

    __slots__ = ("_exchange", "identity")

    def __init__(self, mechanism: "str | type[Mechanism]", initial_response: bytes | None, **facts: "Any") -> None:
        self._exchange = server_mechanism(mechanism, initial_response, **facts)
        self.identity = ""

    def start(self) -> "Reply | Question":
        """The first step."""
        return self._step(None)

    def line(self, line: bytes) -> "Reply | Question":
        """The step that the client's next line leads to; without CRLF, "*" cancels."""
        if line == b"*":
            return say.AUTH_CANCELLED
        try:
            response = decode_base64(line)
        except ParseError:
            return say.AUTH_SYNTAX
        return self._step(response)

    def answer(self, answer: "Any") -> "Reply | Question":
        """The step that the application's answer leads to; a secret that cannot be read is 454 4.7.0."""
        return self._step(answer, say.LOGIN_UNAVAILABLE)

    def _step(self, value: "Any", unusable: Reply | None = None) -> "Reply | Question":
        from binascii import b2a_base64

        try:
            step = self._exchange.send(value)
        except StopIteration as end:
            if not end.value:
                return say.CREDENTIALS_INVALID
            self.identity = end.value
            return say.AUTHENTICATED
        except ParseError as error:
            return unusable or Reply(error.code, error.what, error.enhanced)
        if isinstance(step, Challenge):
            return Reply(334, b2a_base64(step.octets, newline=False).decode())
        return step


class AuthSteps(ServerState):
    """The steps of AUTH; none of them reads octets."""

    __slots__ = ()

    def _do_auth(self, command: "Auth") -> "Stepped":
        auth = self.config.auth
        if auth is None or command.mechanism not in self._offer.mechanisms:
            return self._answer(command, say.UNKNOWN_MECHANISM)
        # The binding is known to SCRAM only where a mechanism that uses it is offered (RFC 5802 section 6).
        binds = any(auth.mechanism(name).binds_channel for name in self._offer.mechanisms)
        self._login = ServerLogin(
            auth.mechanism(command.mechanism),
            command.initial_response,
            hostname=self.config.hostname,
            channel_binding=self.tls.channel_binding if binds and self.tls is not None else None,
            certificate_identity=self._certificate_identity,
            iterations=auth.iterations,
            salt_secret=auth.salt_secret,
        )
        self._move(INTERMEDIATE[self.state, "AUTH"])
        return self._login_step(command, self._login.start())

    def _reject_question(self, question: "Question", reply: Reply | None) -> None:
        if reply is None:
            self._answer_question(None)  # the mechanism refuses in its own way
        else:
            self._login_step(None, reply)

    def _login_step(self, command: "Command | None", step: "Reply | Question") -> "Stepped":
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
        assert login is not None
        assert self.config.auth is not None
        if reply.code != 235:
            return self._login_refused(reply, self.config.auth.attempts)
        self._move(self._row[RESPONSE])
        self.identity = login.identity
        self._renew()
        if self.notice is not None:
            self.notice("login")
        return reply

    def _login_refused(self, reply: Reply, attempts: int) -> Reply:
        self._move_refused(RESPONSE)
        if reply.is_permanent and reply.code not in (500, 501):  # which answer a line, not credentials
            self._login_failures += 1
            if self.notice is not None:
                self.notice("failed_login")
            if self._login_failures > attempts:
                return say.TOO_MANY_LOGINS
        return reply

    def _answer_of_policy(self, question: "Any") -> "Any":
        auth = self.config.auth
        assert auth is not None
        if not auth.decides(question):
            if isinstance(question, FetchSecret):
                raise LocalProtocolError("accept() of a question that wants a secret", expected="supply() or reject()")
            return True
        answer = auth.answer(question)
        if hasattr(answer, "__await__"):
            close = getattr(answer, "close", None)
            if close is not None:
                close()
            raise LocalProtocolError(
                "accept() of a login that has to be awaited", expected="supply() with what AuthPolicy.answer() gives"
            )
        return auth.settle(question, answer)

    def _answer_question(self, answer: "Any") -> None:
        assert self._login is not None
        step = self._login.answer(answer)
        event = self._login_step(None, step)
        if not isinstance(step, Reply):
            # A further question is an event of its own.
            self._pending, self.unanswered = event, None  # type: ignore[assignment]
