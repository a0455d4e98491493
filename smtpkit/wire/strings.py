"""What the grammar has in several places: Quoted-strings and Strings (RFC 5321 section 4.1.2), keywords, numbers."""

import re

from smtpkit.errors import ParseError

__all__ = [
    "MOST_OCTETS",
    "QUOTED_STRING",
    "SIZE_DIGITS",
    "WORD",
    "check_no_controls",
    "is_keyword",
    "is_number",
    "quote",
    "unquote",
    "write_string",
]

SIZE_DIGITS = 20
"""Digits of a size, that of MAIL (RFC 1870 section 3) and, by a bound of our own, those of EHLO and of BDAT."""

MOST_OCTETS = 10**SIZE_DIGITS - 1
"""The greatest size that can be said."""

QUOTED_STRING = r'"(?:[^\x00-\x1f"\\\x7f]|\\[\x20-\x7e])*"'
"""The pattern of a Quoted-string; beyond ASCII all is allowed."""

WORD = rf'(?:[^\x00- "\\\x7f]|{QUOTED_STRING})+'
"""The pattern of one word, or of one in which Quoted-strings hide the spaces, such as "John Doe"@host."""


def quote(text: str) -> str:
    """Make a Quoted-string, in which nothing but DQUOTE and backslash is escaped; controls are not checked."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unquote(text: str) -> str:
    """Give what a Quoted-string stands for; other text is given back as it is."""
    if re.fullmatch(QUOTED_STRING, text) is None:
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def write_string(text: str) -> str:
    """Write a String, quoted only if it is not one word.

    By the grammar a word is an Atom and so has no "@"; but `VRFY user@domain` is what everybody sends and reads.
    """
    return text if re.fullmatch(r'[^\x00- "\\\x7f]++', text) is not None else quote(text)


def check_no_controls(text: str) -> None:
    """Refuse what no command line may hold, quoted or not.

    Raises:
        ParseError: there is a control character, or a surrogate, which UTF-8 cannot write.
    """
    if re.fullmatch(r"[^\x00-\x1f\x7f\ud800-\udfff]*+", text) is None:
        raise ParseError("control character or surrogate", text)


def is_keyword(text: str) -> bool:
    """Whether it is letters, digits and hyphens, not a hyphen first: an ehlo-keyword, an esmtp-keyword (RFC 5321
    sections 4.1.1.1 and 4.1.2).
    """
    return text.isascii() and text.replace("-", "").isalnum() and text[0] != "-"


def is_number(text: str, most: int) -> bool:
    """Whether it is ASCII digits, at least one and at most so many."""
    return text.isdigit() and text.isascii() and len(text) <= most
