"""Text in the messages of mechanisms: UTF-8 without NUL, whose mistakes are told without showing it."""

__all__ = ["malformed", "read_saslname", "read_text", "same", "write_saslname", "write_text"]

from smtpkit.errors import ParseError


def malformed(what: str) -> ParseError:
    """The error for a SASL message that is not one; the message is not shown, since it may hold a secret."""
    return ParseError(what, code=501, enhanced="5.5.2")


def read_text(octets: bytes) -> str:
    """UTF-8 without NUL, from the peer.

    Raises:
        ParseError: it is not that.
    """
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise malformed("a SASL message must be UTF-8") from None
    if "\0" in text:
        raise malformed("NUL in a SASL message")
    return text


def write_text(text: str) -> bytes:
    """UTF-8 without NUL, from the caller.

    Raises:
        ParseError: it cannot be that.
    """
    try:
        octets = text.encode()
    except UnicodeEncodeError:
        raise ParseError("a user name cannot be written as UTF-8") from None
    if b"\0" in octets:
        raise ParseError("a user name may not hold NUL")
    return octets


def same(one: bytes, other: bytes) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    from hmac import compare_digest

    return compare_digest(one, other)


def read_saslname(name: str) -> str:
    """An identity out of a GS2 or SCRAM message, where comma and equals sign are escaped (RFC 5802 section 5.1).

    Raises:
        ParseError: an equals sign escapes nothing.
    """
    first, *others = name.split("=")
    if any(other[:2] not in ("2C", "3D") for other in others):
        raise malformed("a name with = that is not =2C or =3D")
    return first + "".join(("," if other[:2] == "2C" else "=") + other[2:] for other in others)


def write_saslname(name: str) -> str:
    """The inverse of `read_saslname()`."""
    return name.replace("=", "=3D").replace(",", "=2C")
