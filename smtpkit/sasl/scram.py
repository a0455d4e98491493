"""SCRAM: both sides prove that they know the password, and neither tells it (RFC 5802, RFC 7677).

In SMTP the server's last message comes in a 334, is answered by an empty line, and success follows.
"""

__all__ = [
    "ScramSHA1",
    "ScramSHA1Plus",
    "ScramSHA256",
    "ScramSHA256Plus",
    "ScramSHA512",
    "ScramSHA512Plus",
]

from os import urandom

from smtpkit.errors import ParseError
from smtpkit.sasl.answers import keys_for
from smtpkit.sasl.mechanism import Mechanism
from smtpkit.sasl.messages import malformed, read_text, same, write_saslname, write_text
from smtpkit.sasl.questions import Challenge, FetchSecret
from smtpkit.sasl.saslprep import saslprep
from smtpkit.sasl.scram_keys import hash_name, hmac_digest, proof_for, proves, salted_password
from smtpkit.sasl.scram_messages import ClientFirst, base64, read_client_final, read_server_final, read_server_first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.sasl.facts import ClientFacts, ServerFacts
    from smtpkit.sasl.mechanism import ClientSteps, ServerSteps

_BINDING = "tls-server-end-point"  # the one that Python's ssl lets both sides compute (RFC 5929 section 4)


class _Scram(Mechanism):
    """What all of them share; a subclass adds the name, which tells the hash."""

    mutual = True

    def client(self, facts: "ClientFacts") -> "ClientSteps":
        """Two messages and an empty one; the server's signature is verified before the last."""
        hash_ = hash_name(self.name)
        header, binding = self._binding(facts)
        username, password = _prepared(facts)
        nonce = facts.nonce or _nonce()
        bare = f"n={write_saslname(username)},r={nonce}"
        server_first = yield f"{header}{bare}".encode()

        whole_nonce, salt, iterations = read_server_first(server_first, nonce)
        if not facts.min_iterations <= iterations <= facts.max_iterations:
            raise malformed(
                f"the server wants {iterations} iterations of SCRAM, "
                f"which is not in {facts.min_iterations} to {facts.max_iterations}"
            )
        without_proof = f"c={base64(header.encode() + binding)},r={whole_nonce}".encode()
        message = b",".join((bare.encode(), server_first, without_proof))
        salted = salted_password(hash_, password, salt, iterations)
        server_final = yield without_proof + b",p=" + base64(proof_for(hash_, salted, message)).encode()

        if server_final.startswith(b"e="):
            self.error = {"error": read_text(server_final[2:])}
            yield b""  # the refusal itself is the reply to that
            raise malformed("SCRAM goes on after its end")
        expected = hmac_digest(hash_, hmac_digest(hash_, salted, b"Server Key"), message)
        if not same(read_server_final(server_final), expected):
            raise malformed("the server's signature is wrong: it does not know the password")
        return b""

    def server(self, facts: "ServerFacts", response: bytes | None) -> "ServerSteps":
        """Two messages and an empty one, one question; for an unknown user it goes on to the proof."""
        if response is None:
            response = yield Challenge(b"")
        first = ClientFirst.parse(response)
        expected_binding = self._expected_binding(first, facts)
        if expected_binding is None:
            return None
        username = saslprep(first.username)
        family = self.name.removesuffix("-PLUS")
        question = FetchSecret(username, family)
        keys = keys_for(question, (yield question), facts.iterations, facts.salt_secret)
        nonce = first.nonce + (facts.nonce or _nonce())
        server_first = f"r={nonce},s={base64(keys.salt)},i={keys.iterations}".encode()

        response = yield Challenge(server_first)
        binding, repeated_nonce, without_proof, proof = read_client_final(response)
        message = b",".join((first.bare.encode(), server_first, without_proof.encode()))
        hash_ = hash_name(family)
        if not (
            proves(hash_, keys.stored_key, proof, message)
            and binding == expected_binding
            and repeated_nonce == nonce
            and first.authzid in ("", first.username, username)
        ):
            return None
        if (yield Challenge(b"v=" + base64(hmac_digest(hash_, keys.server_key, message)).encode())):
            raise malformed("SCRAM wants an empty line in the end")
        return username

    @classmethod
    def accepts(cls, secret: "Any") -> bool:
        """A password, or keys for the same hash."""
        return isinstance(secret, (str, bytes)) or getattr(secret, "mechanism", "") == cls.name.removesuffix("-PLUS")

    def _binding(self, facts: "ClientFacts") -> tuple[str, bytes]:
        """The GS2 header, and the octets that are bound."""
        if self.binds_channel and facts.channel_binding is None:
            raise ParseError(f"{self.name} needs the channel binding octets of a TLS connection")
        flag = f"p={_BINDING}" if self.binds_channel else "n" if facts.channel_binding is None else "y"
        authzid = f"a={write_saslname(write_text(facts.authzid).decode())}" if facts.authzid else ""
        return f"{flag},{authzid},", facts.channel_binding or b"" if self.binds_channel else b""

    def _expected_binding(self, first: ClientFirst, facts: "ServerFacts") -> str | None:
        """What the final message must say about the channel; None if this login must fail (RFC 5802 section 6)."""
        octets = b""
        if self.binds_channel:
            if first.binding != _BINDING or facts.channel_binding is None:
                return None
            octets = facts.channel_binding
        elif first.binding != "n" and (first.binding != "y" or facts.channel_binding is not None):
            # With "y" the client says that no -PLUS was offered; where one was, somebody took it away.
            return None
        return base64(first.header.encode() + octets)


class ScramSHA1(_Scram):
    """RFC 5802."""

    name = "SCRAM-SHA-1"


class ScramSHA256(_Scram):
    """RFC 7677."""

    name = "SCRAM-SHA-256"


class ScramSHA512(_Scram):
    """As SCRAM-SHA-256, with SHA-512."""

    name = "SCRAM-SHA-512"


class ScramSHA1Plus(ScramSHA1):
    """Bound to the server's certificate."""

    name = "SCRAM-SHA-1-PLUS"
    binds_channel = True


class ScramSHA256Plus(ScramSHA256):
    """Bound to the server's certificate."""

    name = "SCRAM-SHA-256-PLUS"
    binds_channel = True


class ScramSHA512Plus(ScramSHA512):
    """Bound to the server's certificate."""

    name = "SCRAM-SHA-512-PLUS"
    binds_channel = True


def _prepared(facts: "ClientFacts") -> tuple[str, bytes]:
    try:
        password = facts.password.decode()
    except UnicodeDecodeError:
        raise ParseError("SCRAM wants a password in UTF-8") from None
    return saslprep(facts.username), saslprep(password).encode()


def _nonce() -> str:
    return base64(urandom(18))
