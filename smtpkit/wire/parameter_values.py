"""The values of ESMTP parameters that have parts of their own; str() gives what stands behind "=", parse() reads it."""

import re

from smtpkit.errors import ParseError
from smtpkit.wire.date_times import is_date_time
from smtpkit.wire.strings import check_no_controls
from smtpkit.wire.value import Value
from smtpkit.wire.xtext import utf8_xtext_decode, utf8_xtext_encode, xtext_decode, xtext_encode

__all__ = [
    "MOST_SOLICITATION",
    "DeliverBy",
    "MessageTracking",
    "OriginalRecipient",
    "ValidSince",
    "solicitation_keywords",
]

MOST_SOLICITATION = 1000
"""Characters that the keywords of NO-SOLICITING have together, with their commas (RFC 3865 section 2.2)."""

_SOLICITATION = r"[A-Za-z][A-Za-z0-9._:-]*+(?:,[A-Za-z][A-Za-z0-9._:-]*+)*"
_BILLION = 1_000_000_000  # seconds have at most nine digits


class OriginalRecipient(Value):
    """The value of ORCPT (RFC 3461 section 4.2, RFC 6533 section 3): the address as the message's sender wrote it.

    Args:
        address_type: "rfc822", "utf-8", or another registered type, which is passed on unchanged.
        address: decoded; 1 to 500 characters without controls, ASCII unless the type is "utf-8".

    Raises:
        ParseError: the type is no atom, or the address is none of that kind.
    """

    __slots__ = ("address_type", "address")
    address_type: str
    address: str

    def __init__(self, address_type: str, address: str) -> None:
        known = address_type.lower()
        self.address_type = known if known in ("rfc822", "utf-8") else address_type
        self.address = address
        if re.fullmatch(r"[!#-'*+\-/-9?A-Z^-~]++", address_type) is None:  # atext but "=", which no value may hold
            raise ParseError("bad address type", address_type)
        if not (0 < len(address) <= 500 and (address.isascii() or known == "utf-8")):
            raise ParseError("bad original recipient", address)
        check_no_controls(address)

    @classmethod
    def parse(cls, text: str) -> "OriginalRecipient":
        """Read addr-type ";" xtext; ParseError if it is not that."""
        address_type, semicolon, address = text.partition(";")
        if not semicolon:
            raise ParseError("bad ORCPT", text, expected="addr-type;xtext")
        decode = utf8_xtext_decode if address_type.lower() == "utf-8" else xtext_decode
        return cls(address_type, decode(address))

    def __str__(self) -> str:
        # The 7-bit form may be sent with and without SMTPUTF8.
        encode = utf8_xtext_encode if self.address_type == "utf-8" else xtext_encode
        return f"{self.address_type};{encode(self.address)}"


class DeliverBy(Value):
    """The value of BY (RFC 2852 section 4).

    Args:
        seconds: within which the message is to be delivered; zero or less only in mode "N".
        mode: "N" to notify, "R" to return the message, when the time is over.
        trace: whether relays that do not know this are to be reported.

    Raises:
        ParseError: a part is out of range.
    """

    __slots__ = ("seconds", "mode", "trace")
    seconds: int
    mode: str
    trace: bool

    def __init__(self, seconds: int, mode: str, trace: bool = False) -> None:
        self.seconds = seconds
        self.mode = mode
        self.trace = trace
        if mode not in ("N", "R"):
            raise ParseError("bad by-mode", mode, expected="N or R")
        if not -_BILLION < seconds < _BILLION or (mode == "R" and seconds <= 0):
            raise ParseError("bad by-time", str(seconds))

    @classmethod
    def parse(cls, text: str) -> "DeliverBy":
        """Read by-time ";" by-mode ["T"]; ParseError if it is not that."""
        match = re.fullmatch(r"([+-]?[0-9]{1,9});([NRnr])([Tt]?)", text)
        if match is None:
            raise ParseError("bad BY", text, expected="seconds;N or seconds;R, then perhaps T")
        return cls(int(match[1]), match[2].upper(), bool(match[3]))

    def __str__(self) -> str:
        return f"{self.seconds};{self.mode}{'T' if self.trace else ''}"


class ValidSince(Value):
    """The value of RRVS (RFC 7293 section 3.1): since when the mailbox must have had its owner.

    Args:
        date_time: as RFC 3339 writes it, without a fraction.
        action: "R" to reject otherwise, "C" to clear the parameter where the next server does not know it.

    Raises:
        ParseError: either is not in the grammar.
    """

    __slots__ = ("date_time", "action")
    date_time: str
    action: str

    def __init__(self, date_time: str, action: str = "R") -> None:
        self.date_time = date_time
        self.action = action
        if "." in date_time or not is_date_time(date_time) or action not in ("C", "R"):
            raise ParseError("bad RRVS", f"{date_time};{action}", expected="date-time, then perhaps ;C or ;R")

    @classmethod
    def parse(cls, text: str) -> "ValidSince":
        """Read date-time [";" ("C" / "R")]; ParseError if it is not that."""
        date_time, semicolon, action = text.partition(";")
        return cls(date_time, action.upper() if semicolon else "R")

    def __str__(self) -> str:
        return self.date_time if self.action == "R" else f"{self.date_time};{self.action}"


class MessageTracking(Value):
    """The value of MTRK (RFC 3885 section 3.1).

    Args:
        certifier: base64 without padding, since "=" cannot stand in a value.
        timeout: seconds for which the message may be tracked, or None.

    Raises:
        ParseError: either is not in the grammar.
    """

    __slots__ = ("certifier", "timeout")
    certifier: str
    timeout: int | None

    def __init__(self, certifier: str, timeout: int | None = None) -> None:
        self.certifier = certifier
        self.timeout = timeout
        if re.fullmatch(r"[A-Za-z0-9+/]++", certifier) is None or not 0 <= (timeout or 0) < _BILLION:
            raise ParseError("bad MTRK", certifier, expected="base64, then perhaps :seconds")

    @classmethod
    def parse(cls, text: str) -> "MessageTracking":
        """Read certifier [":" seconds]; ParseError if it is not that."""
        certifier, colon, timeout = text.partition(":")
        if colon and re.fullmatch(r"[0-9]{1,9}", timeout) is None:
            raise ParseError("bad MTRK", text, expected="base64, then perhaps :seconds")
        return cls(certifier, int(timeout) if colon else None)

    def __str__(self) -> str:
        return self.certifier if self.timeout is None else f"{self.certifier}:{self.timeout}"


def solicitation_keywords(text: str, of: str = "SOLICIT") -> tuple[str, ...]:
    """Read the keywords of SOLICIT, or of NO-SOLICITING in an EHLO reply (RFC 3865 section 2.2).

    Args:
        text: words between commas.
        of: whose they are, for the error.

    Raises:
        ParseError: they are not in the grammar, or too long.
    """
    if len(text) > MOST_SOLICITATION or re.fullmatch(_SOLICITATION, text) is None:
        raise ParseError(f"bad {of}", text, expected="words between commas")
    return tuple(text.split(","))
