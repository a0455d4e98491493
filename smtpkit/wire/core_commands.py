"""The commands of RFC 5321 section 4.1.1, LMTP and CHUNKING: a value type each, which bytes() writes with its CRLF."""

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox, domain_or_literal
from smtpkit.wire.parameters import check_parameters, emit_parameters
from smtpkit.wire.strings import check_no_controls, write_string
from smtpkit.wire.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar

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


class Command(Value):
    """What all commands have in common.

    Attributes:
        verb: in upper case, as it stands on the wire.
        syntax: what a right line looks like, for HELP and for error messages; ASCII.
    """

    __slots__ = ()
    verb: str
    syntax: "ClassVar[str]" = ""

    def argument_text(self) -> str:
        """Give what follows the verb and a space; "" if nothing does."""
        return ""

    def __bytes__(self) -> bytes:
        argument = self.argument_text()
        return f"{self.verb} {argument}\r\n".encode() if argument else f"{self.verb}\r\n".encode()


class _Hello(Command):
    """EHLO, HELO and LHLO: the client gives its name.

    Args:
        name: a domain or an address literal, in ASCII.
    """

    __slots__ = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        self.name = domain_or_literal(name)

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


class _WithPath(Command):
    """MAIL and RCPT: what a client makes is written once, to be checked, counted and sent."""

    __slots__ = ("_octets",)
    _octets: bytes

    def __bytes__(self) -> bytes:
        try:
            return self._octets
        except AttributeError:  # it was parsed
            self._octets = octets = super().__bytes__()
            return octets


class Mail(_WithPath):
    """MAIL FROM, the begin of a mail transaction (RFC 5321 section 4.1.1.2).

    Args:
        reverse_path: who gets the bounces; None for the null reverse-path "<>".
        parameters: keyword to value, as `smtpkit.wire.parameters` types them; unknown keywords take a str,
            or None where they stand alone.  They are kept in upper case.

    Raises:
        TypeError: the reverse-path is neither; `Mailbox.parse()` reads one.
        ParseError: the reverse-path has no domain, it needs SMTPUTF8 and the parameter is not there, or a
            parameter is none that may be sent.
    """

    __slots__ = ("reverse_path", "parameters")
    verb = "MAIL"
    syntax = "MAIL FROM:<address> [SIZE=...] [BODY=...] ..."
    reverse_path: Mailbox | None
    parameters: "Mapping[str, Any]"

    def __init__(self, reverse_path: Mailbox | None, parameters: "Mapping[str, Any]" = {}) -> None:  # noqa: B006
        if not (reverse_path is None or isinstance(reverse_path, Mailbox)):
            raise TypeError(f"the reverse-path is a Mailbox or None, not {reverse_path!r}")
        self.reverse_path = reverse_path
        self.parameters = check_parameters("MAIL", parameters)
        if reverse_path is not None and not reverse_path.domain:
            raise ParseError("no domain", reverse_path.local_part, enhanced="5.1.7")
        argument = self.argument_text()
        if "SMTPUTF8" not in self.parameters and not argument.isascii():
            raise ParseError("address needs SMTPUTF8", argument, code=550, enhanced="5.6.7")
        self._octets = f"MAIL {argument}\r\n".encode()

    def argument_text(self) -> str:
        path = "" if self.reverse_path is None else self.reverse_path
        return f"FROM:<{path}> {emit_parameters(self.parameters)}" if self.parameters else f"FROM:<{path}>"


class Rcpt(_WithPath):
    """RCPT TO, one recipient (RFC 5321 section 4.1.1.3).

    An address beyond ASCII may be sent only if the transaction's MAIL carried SMTPUTF8; this is not checked here.

    Args:
        forward_path: the recipient; without a domain it is the postmaster of the server.
        parameters: as for `Mail`.

    Raises:
        TypeError: the forward-path is none; `Mailbox.parse()` reads one.
        ParseError: a parameter is none that may be sent.
    """

    __slots__ = ("forward_path", "parameters")
    verb = "RCPT"
    syntax = "RCPT TO:<address> [NOTIFY=...] [ORCPT=...] ..."
    forward_path: Mailbox
    parameters: "Mapping[str, Any]"

    def __init__(self, forward_path: Mailbox, parameters: "Mapping[str, Any]" = {}) -> None:  # noqa: B006
        if not isinstance(forward_path, Mailbox):
            raise TypeError(f"the forward-path is a Mailbox, not {forward_path!r}")
        self.forward_path = forward_path
        self.parameters = check_parameters("RCPT", parameters)
        self._octets = f"RCPT {self.argument_text()}\r\n".encode()

    def argument_text(self) -> str:
        path = f"TO:<{self.forward_path}>"
        return f"{path} {emit_parameters(self.parameters)}" if self.parameters else path


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
        if not 0 <= size < 10**20:
            raise ParseError("bad chunk size", str(size))

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
