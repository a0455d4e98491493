"""The commands of RFC 5321 section 4.1.1, LMTP and CHUNKING: a value type each, which bytes() writes with its CRLF."""

import re

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import domain_or_literal
from smtpkit.wire.command import Command
from smtpkit.wire.path_commands import Mail, Rcpt
from smtpkit.wire.strings import MOST_OCTETS, SIZE_DIGITS, WORD, check_no_controls, unquote, write_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "Bdat",
    "Command",
    "Data",
    "Ehlo",
    "Expn",
    "Helo",
    "Help",
    "Lhlo",
    "Mail",
    "Noop",
    "Quit",
    "Rcpt",
    "Rset",
    "Vrfy",
]

_CHUNK_SIZE = rf"([0-9]{{1,{SIZE_DIGITS}}})( LAST)?"


class _Hello(Command):
    """EHLO, HELO and LHLO: the client gives its name.

    Args:
        name: a domain or an address literal, in ASCII.
    """

    __slots__ = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        self.name = domain_or_literal(name)

    @classmethod
    def parse_argument(cls, text: str) -> "Self":
        return cls(text)

    def argument_text(self) -> str:
        return self.name


class Ehlo(_Hello):
    """EHLO (RFC 5321 section 4.1.1.1)."""

    __slots__ = ()
    verb = "EHLO"
    syntax = "EHLO domain"


class Helo(_Hello):
    """HELO (RFC 5321 section 4.1.1.1); the grammar has no literal here, but it is sent, and so taken."""

    __slots__ = ()
    verb = "HELO"
    syntax = "HELO domain"


class Lhlo(_Hello):
    """LHLO, the EHLO of LMTP (RFC 2033 section 4.1)."""

    __slots__ = ()
    verb = "LHLO"
    syntax = "LHLO domain"


class Data(Command):
    """DATA: the message follows, up to a line with a dot alone (RFC 5321 section 4.1.1.4)."""

    __slots__ = ()
    verb = syntax = "DATA"


class Bdat(Command):
    """BDAT: so many octets of the message follow at once (RFC 3030 section 2).

    Args:
        size: octets of the chunk.
        last: whether the chunk ends the message.

    Raises:
        ParseError: the size has more than 20 digits, or is negative.
    """

    __slots__ = ("size", "last")
    verb = "BDAT"
    syntax = "BDAT size [LAST]"
    size: int
    last: bool

    def __init__(self, size: int, last: bool = False) -> None:
        self.size = size
        self.last = last
        if not 0 <= size <= MOST_OCTETS:
            raise ParseError("bad chunk size", str(size))

    @classmethod
    def parse_argument(cls, text: str) -> "Self":
        match = re.fullmatch(_CHUNK_SIZE, text, re.IGNORECASE)
        if match is None:
            raise ParseError("bad chunk size")
        return cls(int(match[1]), match[2] is not None)

    def argument_text(self) -> str:
        return f"{self.size:d} LAST" if self.last else f"{self.size:d}"


class Rset(Command):
    """RSET: the mail transaction is given up (RFC 5321 section 4.1.1.5)."""

    __slots__ = ()
    verb = syntax = "RSET"


class _Words(Command):
    """NOOP and HELP: an optional String, in printable ASCII.

    Args:
        text: the argument, without the quotes of a Quoted-string.
    """

    __slots__ = ("text",)
    text: str

    def __init__(self, text: str = "") -> None:
        self.text = text
        if not (text.isascii() and text.isprintable()):
            raise ParseError("argument that is not printable ASCII", text)

    @classmethod
    def parse_argument(cls, text: str) -> "Self":
        # The argument means nothing, or little: what is not quite a String is taken too.
        return cls(unquote(text))

    def argument_text(self) -> str:
        return write_string(self.text) if self.text else ""


class Noop(_Words):
    """NOOP: nothing but a reply (RFC 5321 section 4.1.1.9); the argument means nothing."""

    __slots__ = ()
    verb = "NOOP"
    syntax = "NOOP [text]"


class Help(_Words):
    """HELP, in general or about a command (RFC 5321 section 4.1.1.8)."""

    __slots__ = ()
    verb = "HELP"
    syntax = "HELP [command]"


class Quit(Command):
    """QUIT: the end of the session (RFC 5321 section 4.1.1.10)."""

    __slots__ = ()
    verb = syntax = "QUIT"


class _Question(Command):
    """VRFY and EXPN.

    Args:
        text: a user name, a mailbox or a list name, without the quotes of a Quoted-string.
        smtputf8: whether the reply may hold UTF-8, and `text` be UTF-8 (RFC 6531 section 3.7.4.2).
    """

    __slots__ = ("text", "smtputf8")
    text: str
    smtputf8: bool

    def __init__(self, text: str, smtputf8: bool = False) -> None:
        self.text = text
        self.smtputf8 = smtputf8
        check_no_controls(text)
        if not (smtputf8 or text.isascii()):
            raise ParseError("argument needs SMTPUTF8", text, code=550, enhanced="5.6.7")

    @classmethod
    def parse_argument(cls, text: str) -> "Self":
        match = re.fullmatch(rf"({WORD})( SMTPUTF8)?", text, re.IGNORECASE | re.ASCII)
        if match is None:
            raise ParseError("not one String")
        return cls(unquote(match[1]), match[2] is not None)

    def argument_text(self) -> str:
        return f"{write_string(self.text)} SMTPUTF8" if self.smtputf8 else write_string(self.text)


class Vrfy(_Question):
    """VRFY: is this a mailbox? (RFC 5321 section 4.1.1.6)."""

    __slots__ = ()
    verb = "VRFY"
    syntax = "VRFY address [SMTPUTF8]"


class Expn(_Question):
    """EXPN: who is on this list? (RFC 5321 section 4.1.1.7)."""

    __slots__ = ()
    verb = "EXPN"
    syntax = "EXPN list [SMTPUTF8]"
