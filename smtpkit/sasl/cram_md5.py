"""CRAM-MD5: a keyed digest of the server's challenge (RFC 2195); it proves nothing about the server."""

__all__ = ["CramMD5"]

from os import urandom

from smtpkit.errors import ParseError
from smtpkit.sasl.mechanism import Mechanism
from smtpkit.sasl.messages import malformed, read_text, same, write_text
from smtpkit.sasl.questions import Challenge, FetchSecret
from smtpkit.sasl.records import read_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.sasl.facts import ClientFacts, ServerFacts
    from smtpkit.sasl.mechanism import ClientSteps, ServerSteps


class CramMD5(Mechanism):
    """The server needs the password as such.  Whoever reads the line can try passwords at leisure."""

    name = "CRAM-MD5"

    @classmethod
    def available(cls) -> bool:
        """False where the system allows no MD5 at all."""
        try:
            _digest(b"", b"")
        except ValueError:
            return False
        return True

    def client(self, facts: "ClientFacts") -> "ClientSteps":
        """The server speaks first, with any octets; the answer is the user name and the digest."""
        if facts.authzid not in ("", facts.username):
            raise ParseError("CRAM-MD5 cannot act for another identity")
        username = write_text(facts.username)
        challenge = yield None
        return username + b" " + _digest(facts.password, challenge)

    def server(self, facts: "ServerFacts", response: bytes | None) -> "ServerSteps":
        """One challenge that never comes again, one answer; an initial response is refused (501 5.7.0)."""
        if response is not None:
            raise ParseError("CRAM-MD5 takes no initial response", enhanced="5.7.0")
        challenge = f"<{facts.nonce or urandom(16).hex()}@{facts.hostname}>".encode()
        # User names may hold spaces, the digest does not: split at the last one.
        name, space, digest = (yield Challenge(challenge)).rpartition(b" ")
        if not space or not name:
            raise malformed("CRAM-MD5 wants a user name, a space and a digest")
        username = read_text(name)
        secret = read_secret((yield FetchSecret(username, self.name)))
        if isinstance(secret, str):
            secret = secret.encode()
        known = isinstance(secret, bytes) and secret != b""
        return username if same(digest, _digest(secret if known else b"nobody", challenge)) and known else None


def _digest(secret: bytes, challenge: bytes) -> bytes:
    import hashlib
    import hmac

    def md5(octets: bytes = b"") -> "hashlib._Hash":
        # Told that it is not for security, a system that forbids MD5 may still lend it.
        return hashlib.md5(octets, usedforsecurity=False)

    return hmac.new(secret, challenge, md5).hexdigest().encode()
