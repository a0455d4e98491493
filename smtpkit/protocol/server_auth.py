"""One SASL exchange on the server's side: lines of base64 in, replies and questions out (RFC 4954 section 4)."""

from smtpkit.errors import ParseError
from smtpkit.protocol import standard_replies as say
from smtpkit.sasl import Challenge, server_mechanism
from smtpkit.wire.replies import Reply

__all__ = ["RESPONSE_LIMIT", "ServerLogin"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.sasl import Question

RESPONSE_LIMIT = 12288 + 2  # octets of a response line with its CRLF


class ServerLogin:
    """Drives one mechanism; each step gives a Reply (334, or the final one), or a question for the application.

    Args:
        mechanism: its name, of those that are offered.
        initial_response: octets, decoded; None if there was none.

    Attributes:
        identity: who logged in, once the reply is 235.
    """

    __slots__ = ("_exchange", "identity")

    def __init__(self, mechanism: str, initial_response: bytes | None) -> None:
        self._exchange = server_mechanism(mechanism, initial_response)
        self.identity = ""

    def start(self) -> "Reply | Question":
        """The first step."""
        return self._step(None)

    def line(self, line: bytes) -> "Reply | Question":
        """The step that the client's next line leads to; without CRLF, "*" cancels."""
        from binascii import Error, a2b_base64

        if line == b"*":
            return say.AUTH_CANCELLED
        try:
            response = a2b_base64(line, strict_mode=True)
        except Error:
            return say.AUTH_SYNTAX
        return self._step(response)

    def answer(self, answer: "Any") -> "Reply | Question":
        """The step that the application's answer leads to."""
        return self._step(answer)

    def _step(self, value: "Any") -> "Reply | Question":
        from binascii import b2a_base64

        try:
            step = self._exchange.send(value)
        except StopIteration as end:
            if end.value is None:
                return say.CREDENTIALS_INVALID
            self.identity = end.value
            return say.AUTHENTICATED
        except ParseError as error:
            return Reply(error.code, error.what, error.enhanced)
        if isinstance(step, Challenge):
            return Reply(334, b2a_base64(step.octets, newline=False).decode())
        return step
