"""What a server stores in place of a password, one line of text each, and whether a password is the one."""

__all__ = ["PasswordRecord", "decoy", "make_record", "read_secret", "right_password"]

from binascii import a2b_base64, b2a_base64
from contextlib import suppress
from os import urandom

from smtpkit.errors import ParseError
from smtpkit.sasl.facts import ITERATIONS
from smtpkit.sasl.messages import same
from smtpkit.sasl.saslprep import saslprep
from smtpkit.wire.strings import is_number
from smtpkit.wire.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.sasl.scram_keys import ScramKeys

_PBKDF2 = {"pbkdf2-sha256": ("sha256", 600_000), "pbkdf2-sha512": ("sha512", 210_000)}
_SCRYPT = "scrypt"
_SCRYPT_COST, _BLOCKS, _LANES = 1 << 14, 8, 1  # for interactive logins: 16 MiB, tens of milliseconds
_SALT = 16  # octets
_DIGEST = 32
_FORM = "scrypt$n$r$p$salt$hash or pbkdf2-sha256$iterations$salt$hash, salt and hash in base64"


class PasswordRecord(Value):
    """A slow hash of a password: enough to check it, for PLAIN and LOGIN, and not enough to log in elsewhere.

    `make_record()` makes one, `str()` gives its line of text, and `PasswordRecord.parse()` reads that.

    Args:
        scheme: "scrypt" (RFC 7914), "pbkdf2-sha256" or "pbkdf2-sha512" (RFC 8018 section 5.2).
        parameters: of scrypt n, r and p; of PBKDF2 the iterations.
        salt, digest: octets.

    Raises:
        ParseError: these do not make a record.
    """

    __slots__ = ("scheme", "parameters", "salt", "digest")

    def __init__(self, scheme: str, parameters: "tuple[int, ...]", salt: bytes, digest: bytes) -> None:
        wanted = 3 if scheme == _SCRYPT else 1 if scheme in _PBKDF2 else 0
        n = parameters[0] if parameters else 0
        if not (salt and digest and wanted == len(parameters) and all(0 < number < 1 << 30 for number in parameters)):
            raise _no_record()
        if scheme == _SCRYPT and (n < 2 or n & (n - 1)):
            raise _no_record()
        self.scheme = scheme
        self.parameters = parameters
        self.salt = salt
        self.digest = digest

    @classmethod
    def parse(cls, text: str) -> "PasswordRecord":
        """Read what `str()` gave.

        Raises:
            ParseError: it is not that; the text is not shown.
        """
        scheme, *numbers, salt, digest = parts if len(parts := text.split("$")) > 2 else ["", "", ""]
        if not all(is_number(number, 10) for number in numbers):
            raise _no_record()
        try:
            octets = [a2b_base64(part, strict_mode=True) for part in (salt, digest)]
        except ValueError:
            raise _no_record() from None
        return cls(scheme, tuple(map(int, numbers)), *octets)

    def verify(self, password: str) -> bool:
        """Whether this is the password; it takes as long as the record's parameters ask for."""
        return same(_hashed(self.scheme, self.parameters, self.salt, len(self.digest), password), self.digest)

    def __str__(self) -> str:
        octets = (b2a_base64(part, newline=False).decode() for part in (self.salt, self.digest))
        return "$".join((self.scheme, *map(str, self.parameters), *octets))

    def __repr__(self) -> str:
        return f"PasswordRecord({self.scheme!r}, {self.parameters}, <hidden>)"


def make_record(password: str, scheme: str = "scrypt", *, cost: int | None = None, salt: bytes | None = None) -> str:
    """The line of text that a server stores for a password.

    Args:
        password: it is prepared by SASLprep where that allows it, as it will be when it is verified.
        scheme: "scrypt", "pbkdf2-sha256" or "pbkdf2-sha512", which serve PLAIN and LOGIN; or "SCRAM-SHA-256",
            "SCRAM-SHA-1" or "SCRAM-SHA-512", which serve that mechanism too (see ScramKeys).
        cost: scrypt's n (a power of 2; 16384 for None: 16 MiB, tens of milliseconds), or iterations.
        salt: None for a random one.

    Raises:
        ParseError: there is no such scheme, the cost is none, or SCRAM's preparation refuses the password.
    """
    salt = salt or urandom(_SALT)
    if scheme.startswith("SCRAM-"):
        from smtpkit.sasl.scram_keys import ScramKeys

        return str(ScramKeys.derive(password, scheme, iterations=cost or ITERATIONS, salt=salt))
    if scheme == _SCRYPT:
        parameters: tuple[int, ...] = (cost or _SCRYPT_COST, _BLOCKS, _LANES)
    else:
        parameters = (cost or _PBKDF2.get(scheme, ("", 0))[1],)
    PasswordRecord(scheme, parameters, salt, b"?")  # raises before the work is done
    return str(PasswordRecord(scheme, parameters, salt, _hashed(scheme, parameters, salt, _DIGEST, password)))


def read_secret(secret: "Any") -> "Any":
    """A stored secret as an object: the text of a record or of SCRAM keys is read, anything else comes back.

    Whoever gets hold of such a text must not be able to log in with it as a password.  A password that looks
    like one can be stored as bytes.

    Raises:
        ParseError: it begins as a record or keys do, and is not one.
    """
    if isinstance(secret, str) and "$" in secret:
        scheme = secret.partition("$")[0]
        if scheme == _SCRYPT or scheme in _PBKDF2:
            return PasswordRecord.parse(secret)
        if scheme.startswith("SCRAM-"):
            from smtpkit.sasl.scram_keys import ScramKeys

            return ScramKeys.parse(secret)
    return secret


def right_password(secret: "Any", password: str) -> bool:
    """Whether a password is the one of which `secret` is stored, in a time that does not tell how wrong it is.

    Args:
        secret: a password (str or bytes), a PasswordRecord or ScramKeys, or the text of one; anything else,
            None too, is nobody's.
        password: as the client sent it.

    Raises:
        ParseError: as `read_secret()`.
    """
    secret = read_secret(secret)
    if isinstance(secret, bytes):
        return same(secret, password.encode(errors="surrogateescape")) and secret != b""
    if isinstance(secret, str):
        return same(_prepared(secret), _prepared(password)) and secret != ""
    return bool(secret.verify(password)) if hasattr(secret, "verify") else False


def decoy(stored: "PasswordRecord | ScramKeys | str", username: str = "", *, key: bytes | None = None) -> "Any":
    """What to verify in place of an unknown user's secret: it costs and looks like `stored`, and is never right.

    Args:
        stored: the record or the keys of any real user.
        username: SCRAM tells the salt, so one name must always have the same.
        key: a secret of this server from which salts are derived; None for one that is new in each process.

    Raises:
        ParseError: `stored` is a password, or not a record.
    """
    found = read_secret(stored)
    if isinstance(found, PasswordRecord):
        return PasswordRecord(found.scheme, found.parameters, found.salt, urandom(len(found.digest)))
    from smtpkit.sasl.scram_keys import ScramKeys

    if not isinstance(found, ScramKeys):
        raise ParseError("a decoy is made like a record or SCRAM keys")
    return found.decoy(username, key)


def _hashed(scheme: str, parameters: "tuple[int, ...]", salt: bytes, size: int, password: str) -> bytes:
    import hashlib

    octets = _prepared(password)
    try:
        if scheme == _SCRYPT:
            n, r, p = parameters
            memory = 128 * r * (n + p + 2) + (1 << 20)  # octets, RFC 7914 section 5 and what OpenSSL adds
            return hashlib.scrypt(octets, salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=size)
        return hashlib.pbkdf2_hmac(_PBKDF2[scheme][0], octets, salt, parameters[0], size)
    except (AttributeError, ValueError, OverflowError) as error:  # FIPS and old OpenSSL have no scrypt
        raise ParseError(f"this Python cannot compute {scheme} with {parameters}") from error


def _prepared(password: str) -> bytes:
    # RFC 4616 section 2 wants both sides prepared; what SASLprep refuses is compared as it is.
    with suppress(ParseError):
        password = saslprep(password)
    return password.encode(errors="surrogateescape")


def _no_record() -> ParseError:
    return ParseError("not a password record", expected=_FORM)
