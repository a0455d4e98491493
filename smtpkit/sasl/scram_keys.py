"""What a server stores for SCRAM in place of a password, and the arithmetic behind it (RFC 5802 section 3)."""

__all__ = ["ScramKeys", "derived_salt", "hash_name", "hmac_digest", "proof_for", "proves", "salted_password"]

from binascii import a2b_base64, b2a_base64
from os import urandom

from smtpkit.errors import ParseError
from smtpkit.sasl.facts import ITERATIONS
from smtpkit.sasl.messages import same
from smtpkit.sasl.saslprep import saslprep
from smtpkit.wire.strings import is_number
from smtpkit.wire.value import Value

_HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}


class ScramKeys(Value):
    """Enough to check a user's password, and not enough to log in elsewhere.

    `str()` gives the usual one-line form, `mechanism$iterations:salt$stored-key:server-key` (RFC 5803), and
    `ScramKeys.parse()` reads it.

    Args:
        mechanism: "SCRAM-SHA-1", "SCRAM-SHA-256" or "SCRAM-SHA-512"; good for its -PLUS form as well.
        iterations: how often the hash was applied.
        salt, stored_key, server_key: octets.

    Raises:
        ParseError: the mechanism is not known, or there are no iterations.
    """

    __slots__ = ("mechanism", "iterations", "salt", "stored_key", "server_key")

    def __init__(self, mechanism: str, iterations: int, salt: bytes, stored_key: bytes, server_key: bytes) -> None:
        hash_name(mechanism)
        if iterations < 1 or not salt:
            raise ParseError("SCRAM keys want iterations and a salt")
        self.mechanism = mechanism
        self.iterations = iterations
        self.salt = salt
        self.stored_key = stored_key
        self.server_key = server_key

    @classmethod
    def derive(
        cls, password: str, mechanism: str = "SCRAM-SHA-256", *, iterations: int = ITERATIONS, salt: bytes | None = None
    ) -> "ScramKeys":
        """The keys of a password; a `salt` of None makes a random one.

        Raises:
            ParseError: SASLprep refuses the password.
        """
        if salt is None:
            salt = urandom(16)
        name = hash_name(mechanism)
        salted = salted_password(name, saslprep(password).encode(), salt, iterations)
        stored_key = hash_digest(name, hmac_digest(name, salted, b"Client Key"))
        return cls(mechanism, iterations, salt, stored_key, hmac_digest(name, salted, b"Server Key"))

    @classmethod
    def parse(cls, text: str) -> "ScramKeys":
        """Read what `str()` gave.

        Raises:
            ParseError: it is not that.
        """
        try:
            mechanism, spent, keys = text.split("$")
            iterations, salt = spent.split(":")
            if not is_number(iterations, 10):
                raise ValueError
            stored, server = keys.split(":")
            return cls(
                mechanism, int(iterations), *(a2b_base64(part, strict_mode=True) for part in (salt, stored, server))
            )
        except ValueError:
            raise ParseError("not SCRAM keys", expected="mechanism$iterations:salt$stored-key:server-key") from None

    def decoy(self, username: str, key: bytes | None = None) -> "ScramKeys":
        """Keys of the same cost that nobody has, for an unknown user: one name always gets the same salt.

        Args:
            username: the name that nobody has.
            key: a secret of this server; None for one that is new in each process.
        """
        salt = derived_salt(self.mechanism, username, key, len(self.salt))
        made_up = (urandom(len(octets)) for octets in (self.stored_key, self.server_key))
        return ScramKeys(self.mechanism, self.iterations, salt, *made_up)

    def verify(self, password: str) -> bool:
        """Whether this is the password: for the mechanisms that bring it to the server as such."""
        try:
            derived = self.derive(password, self.mechanism, iterations=self.iterations, salt=self.salt)
        except ParseError:
            return False
        return same(derived.stored_key, self.stored_key)

    def __str__(self) -> str:
        salt, stored, server = (
            b2a_base64(octets, newline=False).decode() for octets in (self.salt, self.stored_key, self.server_key)
        )
        return f"{self.mechanism}${self.iterations}:{salt}${stored}:{server}"

    def __repr__(self) -> str:
        return f"ScramKeys({self.mechanism!r}, {self.iterations}, <hidden>)"


def derived_salt(mechanism: str, username: str, key: bytes | None, size: int = 16) -> bytes:
    """The salt of a user without stored keys, known or not: always the same, and known to this server alone.

    Args:
        mechanism: one user has another salt for another hash.
        username: prepared.
        key: a secret of this server; None for one that is new in each process.
        size: octets, at most 64.
    """
    return hmac_digest("sha512", key or _process_key(), f"{mechanism} {username}".encode())[:size]


def hash_name(mechanism: str) -> str:
    """The name that hashlib has for a mechanism's hash.

    Raises:
        ParseError: it is no SCRAM mechanism that is known here.
    """
    try:
        return _HASHES[mechanism.removesuffix("-PLUS")]
    except KeyError:
        raise ParseError("no known SCRAM mechanism", mechanism) from None


def salted_password(name: str, password: bytes, salt: bytes, iterations: int) -> bytes:
    """Hi(), which is meant to take long: about half a microsecond an iteration."""
    import hashlib

    return hashlib.pbkdf2_hmac(name, password, salt, iterations)


def hash_digest(name: str, octets: bytes) -> bytes:
    """H()."""
    import hashlib

    return hashlib.new(name, octets).digest()


def hmac_digest(name: str, key: bytes, octets: bytes) -> bytes:
    """HMAC()."""
    import hmac

    return hmac.digest(key, octets, name)


def proof_for(name: str, salted: bytes, message: bytes) -> bytes:
    """ClientProof: the client key, hidden under a signature that the server can make too."""
    client_key = hmac_digest(name, salted, b"Client Key")
    return exclusive_or(client_key, hmac_digest(name, hash_digest(name, client_key), message))


def proves(name: str, stored_key: bytes, proof: bytes, message: bytes) -> bool:
    """Whether a ClientProof was made by somebody who has the client key that belongs to `stored_key`."""
    signature = hmac_digest(name, stored_key, message)
    return len(proof) == len(signature) and same(hash_digest(name, exclusive_or(proof, signature)), stored_key)


def exclusive_or(one: bytes, other: bytes) -> bytes:
    """Bit by bit; both are of one length."""
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


_keys: list[bytes] = []


def _process_key() -> bytes:
    if not _keys:
        _keys.append(urandom(32))
    return _keys[0]
