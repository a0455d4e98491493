"""PLAIN: the password itself, in one message (RFC 4616)."""

__all__ = ["Plain"]

from smtpkit.errors import ParseError
from smtpkit.sasl.mechanism import Mechanism
from smtpkit.sasl.messages import malformed, read_text, write_text
from smtpkit.sasl.questions import Challenge, VerifyPassword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.sasl.facts import ClientFacts, ServerFacts
    from smtpkit.sasl.mechanism import ClientSteps, ServerSteps


class Plain(Mechanism):
    """`[authzid] NUL username NUL password`, each in UTF-8 without NUL (RFC 4616 section 2)."""

    name = "PLAIN"
    plaintext = True

    def client(self, facts: "ClientFacts") -> "ClientSteps":
        """One message; a password that is no UTF-8 goes out as it is, since servers compare octets."""
        if not facts.username or not facts.password or b"\0" in facts.password:
            raise ParseError("PLAIN needs a user name, and a password without NUL")
        yield from ()  # a generator that has nothing to wait for
        return b"\0".join((write_text(facts.authzid), write_text(facts.username), facts.password))

    def server(self, facts: "ServerFacts", response: bytes | None) -> "ServerSteps":
        """One message, one question."""
        if response is None:
            response = yield Challenge(b"")
        parts = response.split(b"\0")
        if len(parts) != 3 or not parts[1] or not parts[2]:
            raise malformed("PLAIN wants [authzid] NUL username NUL password")
        authzid, username, password = map(read_text, parts)
        from smtpkit.sasl.answers import settle

        question = VerifyPassword(authzid, username, password)
        return (authzid or username) if settle(question, (yield question)) is True else None
