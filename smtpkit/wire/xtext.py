"""xtext and its two relatives for UTF-8 addresses: how any text fits into the value of an ESMTP parameter."""

import re

from smtpkit.errors import ParseError

__all__ = ["utf8_xtext_decode", "utf8_xtext_encode", "xtext_decode", "xtext_encode"]

# Patterns as text: `re` compiles and keeps those that are used, and most connections use none.
# xchar: %d33-126 but "+" and "=" (RFC 3461 section 4).
_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})*"
_HEXCHAR = rb"\+(..)"
_NO_XCHAR = rb"[^!-*,-<>-~]"
# QCHAR: xchar but "\" (RFC 6533 section 3).  Beyond ASCII the text stands for itself, or as \x{...}: two to six
# digits, no leading zero but in two-digit forms.  Of ASCII only what is no QCHAR may be written so.
_HEXPOINT = (
    "[01][0-9A-Fa-f]|20|2[Bb]|3[Dd]|5[Cc]|7[Ff]|[89A-Fa-f][0-9A-Fa-f]|[1-9A-Fa-f][0-9A-Fa-f]{2,4}|10[0-9A-Fa-f]{4}"
)
_UTF8_XTEXT = rf"(?:[^\x00- +=\\\x7f]|\\x\{{(?:{_HEXPOINT})\}})+"
_EMBEDDED = r"\\x\{([^}]{2,6})\}"
_NO_QCHAR = r"[^!-*,-<>-\[\]-~]"
_NO_QCHAR_IN_ASCII = r"[\x00- +=\\\x7f]"
_FORBIDDEN = r"[\x00\n\r\ud800-\udfff]"


def xtext_encode(text: str) -> str:
    """Encode text as xtext (RFC 3461 section 4); beyond ASCII the octets of its UTF-8 are encoded.

    Raises:
        ParseError: it holds CR, LF or NUL, or a lone surrogate.
    """
    _check(text, text)
    return re.sub(_NO_XCHAR, lambda octet: b"+%02X" % ord(octet[0]), text.encode()).decode()


def xtext_decode(text: str) -> str:
    """Decode xtext; hexadecimal digits may be in lower case.

    Raises:
        ParseError: it is not xtext, or it hides CR, LF, NUL, or octets that are not UTF-8.
    """
    if re.fullmatch(_XTEXT, text) is None:
        raise ParseError("bad xtext", text)
    if "+" not in text:
        return text
    octets = re.sub(_HEXCHAR, lambda hexchar: bytes.fromhex(hexchar[1].decode()), text.encode())
    try:
        decoded = octets.decode()
    except UnicodeDecodeError as error:
        raise ParseError("xtext that is not UTF-8", text) from error
    _check(decoded, text)
    return decoded


def utf8_xtext_encode(text: str, *, smtputf8: bool = False) -> str:
    r"""Encode an address as utf-8-addr-xtext, or with `smtputf8` as utf-8-addr-unitext (RFC 6533 section 3).

    Args:
        text: the address.
        smtputf8: True leaves characters beyond ASCII as they are; False writes them as `\x{3C0}`.

    Raises:
        ParseError: it is empty, holds CR, LF or NUL, or a lone surrogate.
    """
    if not text:
        raise ParseError("empty address")
    _check(text, text)
    pattern = _NO_QCHAR_IN_ASCII if smtputf8 else _NO_QCHAR
    return re.sub(pattern, lambda character: rf"\x{{{ord(character[0]):02X}}}", text)


def utf8_xtext_decode(text: str) -> str:
    """Decode either of the two forms.

    Raises:
        ParseError: it is neither, or it hides CR, LF, NUL or a surrogate.
    """
    if re.fullmatch(_UTF8_XTEXT, text) is None:
        raise ParseError("bad utf-8-addr-xtext", text)
    decoded = re.sub(_EMBEDDED, lambda embedded: chr(int(embedded[1], 16)), text)
    _check(decoded, text)
    return decoded


def _check(decoded: str, given: str) -> None:
    # What is decoded here ends in files, logs and bounces: a line end would begin a header field there.
    if re.search(_FORBIDDEN, decoded) is not None:
        raise ParseError("CR, LF, NUL or a surrogate in xtext", given)
