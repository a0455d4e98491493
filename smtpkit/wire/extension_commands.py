"""The commands that other extensions add, and the one that stands for every unknown verb."""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from smtpkit.errors import ParseError
from smtpkit.wire import core_commands as core
from smtpkit.wire.core_commands import Command
from smtpkit.wire.strings import WORD, check_no_controls, is_keyword, unquote, write_string
from smtpkit.wire.xtext import xtext_decode, xtext_encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = [
    "COMMANDS",
    "HISTORIC_VERBS",
    "SYNTAX",
    "UNAVAILABLE",
    "Auth",
    "Etrn",
    "StartTLS",
    "UnknownCommand",
    "XClient",
    "XForward",
    "decode_base64",
]

HISTORIC_VERBS = frozenset(["SEND", "SOML", "SAML", "TURN", "ATRN", "BURL", "VERB", "ONEX"])
"""Verbs that once were, or belong to extensions that are not spoken here: a server answers 502, not 500."""

UNAVAILABLE = "[UNAVAILABLE]"
"""The value of an attribute of XCLIENT or XFORWARD that is not known."""

_UNAVAILABLE = frozenset({UNAVAILABLE, "[TEMPUNAVAIL]"})
_MAX_ATTRIBUTES = 32


class StartTLS(Command):
    """STARTTLS (RFC 3207 section 4)."""

    __slots__ = ()
    verb = syntax = "STARTTLS"


class Auth(Command):
    """AUTH, the begin of a SASL exchange (RFC 4954 section 4); repr() does not show the initial response.

    Args:
        mechanism: 1 to 20 letters, digits, hyphens and underscores; kept in upper case.
        initial_response: octets, not base64; b"" is an empty one, None is none.

    Raises:
        ParseError: the mechanism's name is not in the grammar.
    """

    __slots__ = ("mechanism", "initial_response")
    verb = "AUTH"
    syntax = "AUTH mechanism [initial-response]"
    mechanism: str
    initial_response: bytes | None

    def __init__(self, mechanism: str, initial_response: bytes | None = None) -> None:
        self.mechanism = mechanism.upper()
        self.initial_response = initial_response
        if re.fullmatch(r"[A-Za-z0-9_-]{1,20}", mechanism) is None:
            raise ParseError("bad mechanism name")

    @classmethod
    def parse_argument(cls, text: str) -> "Self":
        mechanism, space, response = text.partition(" ")
        if not space:
            return cls(mechanism)
        if not response:
            raise ParseError("no initial response behind the space", expected="= for an empty one", enhanced="5.5.2")
        return cls(mechanism, b"" if response == "=" else decode_base64(response.encode()))

    def argument_text(self) -> str:
        if self.initial_response is None:
            return self.mechanism
        return f"{self.mechanism} {b2a_base64(self.initial_response, newline=False).decode() or '='}"

    def __repr__(self) -> str:
        hidden = "" if self.initial_response is None else ", <hidden>"
        return f"Auth({self.mechanism!r}{hidden})"


class Etrn(Command):
    """ETRN: start the queue for a node (RFC 1985).

    Args:
        node: a name, perhaps with "@" or "#" before it.
    """

    __slots__ = ("node",)
    verb = "ETRN"
    syntax = "ETRN name"
    node: str

    def __init__(self, node: str) -> None:
        self.node = node
        check_no_controls(node)
        if not node.isascii():
            raise ParseError("name that is not ASCII", node)

    @classmethod
    def parse_argument(cls, text: str) -> "Self":
        if re.fullmatch(WORD, text) is None:
            raise ParseError("not one name")
        return cls(unquote(text))

    def argument_text(self) -> str:
        return write_string(self.node)


def decode_base64(text: bytes) -> bytes:
    """What a client's base64 stands for (RFC 4954 section 4), of an initial response or a response.

    Each value has one spelling: also the bits that padding leaves over are zero (RFC 4648 section 3.5).

    Raises:
        ParseError: it is not base64; the text is not shown.
    """
    try:
        octets = a2b_base64(text, strict_mode=True)
    except Base64Error:
        octets = b""
    if b2a_base64(octets, newline=False) != text:
        raise ParseError("bad base64", enhanced="5.5.2")
    return octets


class _Attributes(Command):
    """XCLIENT and XFORWARD: facts about a client, told by a trusted peer (documents of Postfix).

    Args:
        attributes: name to value; names are kept in upper case, values are decoded.

    Raises:
        ParseError: none or too many, a name that is not in the grammar, a value with control characters or of more
            than 255 characters.
    """

    __slots__ = ("attributes",)
    attributes: "Mapping[str, str]"

    def __init__(self, attributes: "Mapping[str, str]") -> None:
        self.attributes = {name.upper(): value for name, value in attributes.items()}
        if not 0 < len(self.attributes) == len(attributes) <= _MAX_ATTRIBUTES:
            raise ParseError("no, too many, or repeated attributes")
        for name, value in attributes.items():
            if not is_keyword(name):
                raise ParseError("bad attribute name", name)
            if len(value) > 255:
                raise ParseError("attribute value longer than 255 characters", value)
            check_no_controls(value)

    @property
    def known(self) -> "dict[str, str]":
        """The attributes, with "" for values that say that they are not known."""
        return {name: "" if value.upper() in _UNAVAILABLE else value for name, value in self.attributes.items()}

    @classmethod
    def parse_argument(cls, text: str) -> "Self":
        attributes: dict[str, str] = {}
        for attribute in text.split(" "):
            name, equals, value = attribute.partition("=")
            if not equals or name.upper() in attributes:
                raise ParseError("bad or repeated attribute")
            attributes[name.upper()] = xtext_decode(value)
        return cls(attributes)

    def argument_text(self) -> str:
        return " ".join([f"{name}={xtext_encode(value)}" for name, value in self.attributes.items()])


class XClient(_Attributes):
    """XCLIENT: the session is this client's."""

    __slots__ = ()
    verb = "XCLIENT"
    syntax = "XCLIENT NAME=... ADDR=... ..."


class XForward(_Attributes):
    """XFORWARD: for the log, the message came from this client."""

    __slots__ = ()
    verb = "XFORWARD"
    syntax = "XFORWARD NAME=... ADDR=... ..."


class UnknownCommand(Command):
    """A command that has no type of its own.

    Args:
        verb: letters, digits and hyphens; kept in upper case; none of those that have a type.
        argument: printable ASCII behind the space, which does not end in a space.
    """

    __slots__ = ("verb", "argument")
    argument: str

    def __init__(self, verb: str, argument: str = "") -> None:
        self.verb = verb.upper()
        self.argument = argument
        if re.fullmatch(r"[A-Za-z0-9-]++", verb) is None or self.verb in SYNTAX:
            raise ParseError("no verb, or a known one", verb, enhanced="5.5.2")
        if not (argument.isascii() and argument.isprintable()) or argument.endswith(" "):
            raise ParseError("argument that is not printable ASCII", argument, enhanced="5.5.2")

    def argument_text(self) -> str:
        return self.argument


_KINDS: "tuple[type[Command], ...]" = (
    *(core.Ehlo, core.Helo, core.Lhlo, core.Mail, core.Rcpt, core.Data, core.Bdat, core.Rset, core.Noop),
    *(core.Help, core.Quit, core.Vrfy, core.Expn, StartTLS, Auth, Etrn, XClient, XForward),
)

COMMANDS = {kind.verb: kind for kind in _KINDS}
"""Verb to the type of its command; those of an application are in its `Extension`."""

SYNTAX = {verb: kind.syntax for verb, kind in COMMANDS.items()}
"""Verb to what a right line looks like."""
