"""EXTERNAL and ANONYMOUS: identities that are known from elsewhere, or not at all (RFC 4422 appendix A, RFC 4505)."""

__all__ = ["Anonymous", "External"]

from smtpkit.errors import ParseError
from smtpkit.sasl.mechanism import Mechanism
from smtpkit.sasl.messages import malformed, read_text, write_text
from smtpkit.sasl.questions import Challenge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.sasl.facts import ClientFacts, ServerFacts
    from smtpkit.sasl.mechanism import ClientSteps, ServerSteps

_TRACE_LIMIT = 255  # characters, RFC 4505 section 2


class External(Mechanism):
    """The identity is that of the TLS client certificate.

    A client may name the identity to act as; the server here lets it act for none but its own.
    """

    name = "EXTERNAL"
    credential = "certificate"

    def client(self, facts: "ClientFacts") -> "ClientSteps":
        """One message: the authzid, mostly empty."""
        yield from ()  # a generator that has nothing to wait for
        return write_text(facts.authzid)

    def server(self, facts: "ServerFacts", response: bytes | None) -> "ServerSteps":
        """One message, no question: `facts.certificate_identity` is the answer."""
        if response is None:
            response = yield Challenge(b"")
        authzid = read_text(response)
        identity = facts.certificate_identity
        return identity if identity and authzid in ("", identity) else None


class Anonymous(Mechanism):
    """Nobody in particular; the message may tell an address or any other word for the log."""

    name = "ANONYMOUS"
    credential = "nothing"

    def client(self, facts: "ClientFacts") -> "ClientSteps":
        """One message: the user name, as trace information."""
        yield from ()  # a generator that has nothing to wait for
        if len(facts.username) > _TRACE_LIMIT:
            raise ParseError(f"ANONYMOUS tells {_TRACE_LIMIT} characters at most", facts.username)
        return write_text(facts.username)

    def server(self, facts: "ServerFacts", response: bytes | None) -> "ServerSteps":
        """One message, no question."""
        if response is None:
            response = yield Challenge(b"")
        if len(read_text(response)) > _TRACE_LIMIT:
            raise malformed(f"ANONYMOUS tells {_TRACE_LIMIT} characters at most")
        return "anonymous"
