"""OAUTHBEARER and XOAUTH2: a bearer token in place of a password (RFC 7628; XOAUTH2 is Google's forerunner)."""

__all__ = ["OAuthBearer", "XOAuth2"]

from smtpkit.errors import ParseError
from smtpkit.sasl.mechanism import Mechanism
from smtpkit.sasl.messages import malformed, read_saslname, read_text, write_saslname, write_text
from smtpkit.sasl.questions import Challenge, VerifyToken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.sasl.facts import ClientFacts, ServerFacts
    from smtpkit.sasl.mechanism import ClientSteps, ServerSteps


class _Bearer(Mechanism):
    """What the two have in common: one message with the token; a refusal tells its reason in a challenge."""

    credential = "token"
    plaintext = True
    refusal = b""
    answer_to_refusal = b""

    def client(self, facts: "ClientFacts") -> "ClientSteps":
        """One message; after a refusal its reason is in `.error`, and the exchange is brought to its end."""
        if not facts.token.isascii() or not facts.token.isprintable() or not facts.token or " " in facts.token:
            raise ParseError("an access token is one word of printable ASCII characters")
        if "\1" in facts.username + facts.authzid + facts.host:
            raise ParseError("a user name may not hold a control character")
        self.error = _read_error((yield self.message(facts)))
        return self.answer_to_refusal

    def server(self, facts: "ServerFacts", response: bytes | None) -> "ServerSteps":
        """One message, one question."""
        if response is None:
            response = yield Challenge(b"")
        fields = read_text(response).split("\1")
        if len(fields) < 4 or fields[-2:] != ["", ""]:
            raise malformed(f"{self.name} wants fields that end with %x01, and one more %x01")
        username, pairs = self.read(fields[:-2])
        scheme, _, token = pairs.get("auth", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise malformed(f"{self.name} wants auth=Bearer and a token")
        answer = yield VerifyToken(username, token.strip(" "))
        identity = answer if isinstance(answer, str) else username if answer is True else ""
        if not identity:
            yield Challenge(self.refusal)
        return identity or None

    def message(self, facts: "ClientFacts") -> bytes:
        """The client's message."""
        raise NotImplementedError

    def read(self, fields: list[str]) -> "tuple[str, dict[str, str]]":
        """The user name and the key-value pairs in a client's message."""
        raise NotImplementedError


class OAuthBearer(_Bearer):
    """RFC 7628 section 3.1: a GS2 header with the identity, then key-value pairs."""

    name = "OAUTHBEARER"
    refusal = b'{"status":"invalid_token"}'
    answer_to_refusal = b"\1"

    def message(self, facts: "ClientFacts") -> bytes:
        identity = facts.authzid or facts.username
        fields = [f"n,a={write_saslname(identity)}," if identity else "n,,"]
        if facts.host and facts.host.isascii():  # it has no place for another name
            fields.append(f"host={facts.host}")
        if facts.port:
            fields.append(f"port={facts.port}")
        return write_text("\1".join([*fields, f"auth=Bearer {facts.token}", "", ""]))

    def read(self, fields: list[str]) -> "tuple[str, dict[str, str]]":
        header, *pairs = fields
        flag, _, rest = header.partition(",")
        identity, comma, excess = rest.partition(",")
        if flag not in ("n", "y") or not comma or excess or (identity and identity[:2] != "a="):
            raise malformed("OAUTHBEARER wants a GS2 header without channel binding")
        return read_saslname(identity[2:]), _pairs(pairs)


class XOAuth2(_Bearer):
    """As Google and Microsoft document it: the user name is a field as the token is."""

    name = "XOAUTH2"
    refusal = b'{"status":"401","schemes":"Bearer"}'

    def message(self, facts: "ClientFacts") -> bytes:
        return write_text(f"user={facts.username}\1auth=Bearer {facts.token}\1\1")

    def read(self, fields: list[str]) -> "tuple[str, dict[str, str]]":
        pairs = _pairs(fields)
        return pairs.get("user", ""), pairs


def _pairs(fields: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals or key in pairs:
            raise malformed("a field is not key=value, or there twice")
        pairs[key] = value
    return pairs


def _read_error(challenge: bytes) -> "dict[str, Any]":
    """The JSON object that tells why a token was refused; {} if it is none."""
    import json

    try:
        error = json.loads(challenge)
    except (ValueError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {}
