"""Mailboxes, the paths that hold them, and domains (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

Text beyond ASCII is accepted here.  Whether it may be sent is a matter of the transaction, which looks at `is_ascii`.

Limits count octets of UTF-8 (RFC 5321 section 4.5.3.1), of what would be sent: the local-part with the least
quoting, since all its quoted spellings are one mailbox, and the path without the source route, which is dropped.
"""

import re
from functools import cache

from smtpkit.errors import ParseError
from smtpkit.wire.literals import is_address_literal
from smtpkit.wire.strings import QUOTED_STRING, quote, unquote
from smtpkit.wire.value import Value

__all__ = ["ASCII_DOMAIN", "ASCII_MAILBOX", "Mailbox", "domain_or_literal", "is_domain", "read_path"]

_MAX_LOCAL_PART = 64
_MAX_DOMAIN = 255
_MAX_MAILBOX = 254  # a path is at most 256 with its angle brackets
_MAX_LABEL = 63

# The common mailbox, whole and within its limits: Dot-string "@" Domain, in ASCII.  Each class is possessive and the
# next character ends it, so nothing is read twice but for the two lookaheads that count.
_ATEXT = r"[!#-'*+\-/-9=?A-Z^-~]"
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}+(?<!-)"
ASCII_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
ASCII_MAILBOX = rf"(?![^@]{{65}})(?![^>]{{255}})({_ATEXT}++(?:\.{_ATEXT}++)*)@({ASCII_DOMAIN})"

# The complete grammar.  Its classes say what is excluded, so that they hold all that is beyond ASCII.
_ATOM = r'[^\x00-\x20"(),.:;<>@\[\\\]\x7f]++'
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*"
_DOMAIN = r'\[[^\x00-\x20\[\\\]\x7f]*+\]|[^\x00-\x20"(),:;<>@\[\\\]\x7f]++'
_MAILBOX = rf"({_DOT_STRING}|{QUOTED_STRING})@({_DOMAIN})"
_SOURCE_ROUTE = rf"@(?:{_DOMAIN})(?:,@(?:{_DOMAIN}))*:"

_match_ascii_mailbox = re.compile(ASCII_MAILBOX).fullmatch
_match_dot_string = re.compile(_DOT_STRING).fullmatch


class Mailbox(Value):
    """An address: local-part "@" domain.

    Local-parts are compared as they are, domains without regard to case; both are kept as they were given.
    A U-label and its A-label are different here.

    Args:
        local_part: without quotes and escapes; any text without control characters, and it may be empty.
        domain: a domain or an address literal; "" stands for the postmaster of the server itself, and
            goes with no other local-part.

    Raises:
        ParseError: a part is not in the grammar, or too long.
    """

    __slots__ = ("local_part", "domain", "_text")
    local_part: str
    domain: str
    _text: str | None

    def __init__(self, local_part: str, domain: str) -> None:
        self.local_part = local_part
        self.domain = domain
        self._text = None
        _check(self)

    @classmethod
    def parse(cls, text: str) -> "Mailbox":
        """Read a mailbox without angle brackets, such as "a@b.example" or `"a b"@[192.0.2.1]`.

        Raises:
            ParseError: it is not in the grammar, or too long.
        """
        match = _match_ascii_mailbox(text)
        if match is not None:
            # The pattern has found the parts to be in the grammar and within the limits.
            mailbox = _new(cls)
            mailbox.local_part, mailbox.domain = match.groups()
            mailbox._text = text
            return mailbox
        mailbox, end = _read_mailbox(text, 0)
        if end != len(text):
            raise ParseError("text after the mailbox", text, offset=end, enhanced="5.1.3")
        return mailbox

    @property
    def is_ascii(self) -> bool:
        """Whether it can be sent without SMTPUTF8."""
        return self.local_part.isascii() and self.domain.isascii()

    def __str__(self) -> str:
        """Give the mailbox with the least quoting, as RFC 5321 section 4.1.2 asks."""
        text = self._text
        if text is None:
            local_part = self.local_part
            if _match_dot_string(local_part) is None:
                local_part = quote(local_part)
            text = self._text = f"{local_part}@{self.domain}" if self.domain else local_part
        return text

    def __eq__(self, other: object) -> bool:
        return _key(self) == _key(other) if isinstance(other, Mailbox) else NotImplemented

    def __hash__(self) -> int:
        return hash(_key(self))


def read_path(text: str, start: int = 0) -> tuple[Mailbox | None, int]:
    """Read "<" [source route] mailbox ">", or "<>".

    A source route is checked and dropped.  "<postmaster>" gives a mailbox without domain: whether it and "<>"
    are legal depends on the command.

    Args:
        text: where the path stands.
        start: index of its "<".

    Returns:
        The mailbox, or None for "<>", and the index behind ">".

    Raises:
        ParseError: it is not in the grammar, or too long.
    """
    if text[start : start + 1] != "<":
        raise ParseError("no angle bracket before the address", text, offset=start, enhanced="5.1.3")
    position = start + 1
    if text[position : position + 1] == ">":
        return None, position + 1
    if text[position : position + 1] == "@":
        position = _skip_source_route(text, position)
    mailbox, end = _read_mailbox(text, position)
    if not mailbox.domain and position != start + 1:
        raise ParseError("no domain behind the source route", text, offset=position, enhanced="5.1.3")
    if text[end : end + 1] != ">":
        raise ParseError("no angle bracket after the address", text, offset=end, enhanced="5.1.3")
    return mailbox, end + 1


def is_domain(text: str) -> bool:
    """Tell whether `text` is a domain: labels of letters, digits and inner hyphens between dots, or U-labels.

    Of IDNA (RFC 5891) this checks normalization form C, the classes of characters that no label may hold, and the
    length of the A-label.  Bidirectional and most contextual rules are left to whoever looks the name up.
    """
    if text.isascii():
        return len(text) <= _MAX_DOMAIN and _ascii_domain().fullmatch(text) is not None
    return _octets(text) <= _MAX_DOMAIN and all(
        re.fullmatch(_LABEL, label) is not None if label.isascii() else _is_u_label(label) for label in text.split(".")
    )


def domain_or_literal(text: str) -> str:
    """Give `text` back if it can stand after EHLO or name a server: an ASCII domain or an address literal.

    Raises:
        ParseError: it is neither (RFC 5321 section 4.1.1.1, RFC 6531 section 3.7.1).
    """
    if text.isascii() and (is_domain(text) or is_address_literal(text)):
        return text
    raise ParseError("no domain or address literal", text)


_new = object.__new__


@cache
def _ascii_domain() -> "re.Pattern[str]":
    return re.compile(ASCII_DOMAIN)


def _key(mailbox: Mailbox) -> tuple[str, str]:
    # Only "postmaster" stands alone, and it does so in any case (RFC 5321 section 4.5.1).
    return (mailbox.local_part, mailbox.domain.lower()) if mailbox.domain else ("", "")


def _check(mailbox: Mailbox) -> None:
    local_part, domain = mailbox.local_part, mailbox.domain
    if not domain:
        if local_part.lower() != "postmaster":
            raise ParseError("no domain", local_part, enhanced="5.1.3")
        return
    if re.fullmatch(r"[^\x00-\x1f\x7f\ud800-\udfff]*+", local_part) is None:
        raise ParseError("control character or surrogate in the local-part", local_part, enhanced="5.1.3")
    if not (is_address_literal(domain) if domain.startswith("[") else is_domain(domain)):
        raise ParseError("bad domain", domain, enhanced="5.1.3")
    text = str(mailbox)
    octets = _octets(text)
    if octets - _octets(domain) - 1 > _MAX_LOCAL_PART:
        raise ParseError(f"local-part longer than {_MAX_LOCAL_PART} octets", text, enhanced="5.1.3")
    if octets > _MAX_MAILBOX:
        raise ParseError(f"path longer than {_MAX_MAILBOX + 2} octets", text, enhanced="5.1.3")


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _read_mailbox(text: str, start: int) -> tuple[Mailbox, int]:
    match = re.compile(_MAILBOX).match(text, start)
    if match is not None:
        local_part, domain = match.groups()
        return Mailbox(unquote(local_part), domain), match.end()
    if text[start : start + 10].lower() == "postmaster":
        return Mailbox(text[start : start + 10], ""), start + 10
    raise ParseError("bad mailbox", text, offset=start, expected="local-part@domain", enhanced="5.1.3")


def _skip_source_route(text: str, start: int) -> int:
    match = re.compile(_SOURCE_ROUTE).match(text, start)
    if match is None:
        raise ParseError("bad source route", text, offset=start, enhanced="5.1.3")
    for domain in match[0][1:-1].split(",@"):
        if not (is_domain(domain) or is_address_literal(domain)):
            raise ParseError("bad domain in the source route", text, offset=start, enhanced="5.1.3")
    return match.end()


def _is_u_label(label: str) -> bool:
    import unicodedata  # large, and needed for names beyond ASCII alone

    if label[0] == "-" or label[-1] == "-" or not unicodedata.is_normalized("NFC", label):
        return False
    for index, character in enumerate(label):
        if character < "\x80":
            if not (character.isalnum() or character == "-"):
                return False
        elif character in _JOINERS:
            # RFC 5892 appendix A: a joiner follows a virama.  The rule for Arabic needs tables that Python lacks.
            if index == 0 or unicodedata.combining(label[index - 1]) != _VIRAMA:
                return False
        elif character in _OTHER_DOTS or unicodedata.category(character) in _NEVER_IN_LABELS:
            return False
    return len("xn--" + label.encode("punycode").decode()) <= _MAX_LABEL


_JOINERS = "\u200c\u200d"
_VIRAMA = 9
_OTHER_DOTS = "\u3002\uff0e\uff61"  # IDNA2003 took them for dots: not everybody would see the same domain
_NEVER_IN_LABELS = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"])
