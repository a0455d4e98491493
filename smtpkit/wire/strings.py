"""Quoted-strings, and the String that is the argument of VRFY, EXPN, NOOP, HELP and ETRN (RFC 5321 section 4.1.2)."""

import re

from smtpkit.errors import ParseError

__all__ = ["QUOTED_STRING", "WORD", "check_no_controls", "quote", "unquote", "write_string"]

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
