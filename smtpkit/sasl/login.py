"""LOGIN: user name and password in two messages (draft-murchison-sasl-login; obsolete, and everywhere)."""

__all__ = ["Login"]

from smtpkit.errors import ParseError
from smtpkit.sasl.mechanism import Mechanism
from smtpkit.sasl.messages import read_text, write_text
from smtpkit.sasl.questions import Challenge, VerifyPassword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.sasl.facts import ClientFacts, ServerFacts
    from smtpkit.sasl.mechanism import ClientSteps, ServerSteps


class Login(Mechanism):
    """The server asks for a user name, then for a password.  It knows no authzid."""

    name = "LOGIN"
    plaintext = True

    def client(self, facts: "ClientFacts") -> "ClientSteps":
        """Two messages; what the server's prompts say is ignored, since they differ."""
        if facts.authzid not in ("", facts.username):
            raise ParseError("LOGIN cannot act for another identity")
        username = write_text(facts.username)
        yield None
        yield username
        return facts.password

    def server(self, facts: "ServerFacts", response: bytes | None) -> "ServerSteps":
        """Two messages, one question; some clients send the user name as initial response."""
        if response is None:
            response = yield Challenge(b"Username:")
        username = read_text(response)
        password = read_text((yield Challenge(b"Password:")))
        if not username or not password:
            return None
        from smtpkit.sasl.answers import settle

        question = VerifyPassword("", username, password)
        return username if settle(question, (yield question)) is True else None
