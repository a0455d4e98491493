"""MAIL and RCPT, the commands with a path and parameters (RFC 5321 sections 4.1.1.2 and 4.1.1.3)."""

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox, read_path
from smtpkit.wire.command import Command
from smtpkit.wire.parameters import PARAMETERS, check_parameters, emit_parameters, parse_parameters

__all__ = ["Mail", "Rcpt"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, ClassVar, Self

    from smtpkit.wire.parameters import ParameterCodec

    Codecs = Mapping[str, ParameterCodec]

_new = object.__new__


class _WithPath(Command):
    """MAIL and RCPT: a path and parameters.

    What a client makes is written once, to be checked, counted and sent.
    """

    __slots__ = ("_octets",)
    _octets: bytes
    parameters: "Mapping[str, Any]"
    _before: "ClassVar[str]"

    def _written(self, path: Mailbox | None, codecs: "Codecs | None") -> str:
        text = "" if path is None else str(path)
        text = f"{self._before}<{text}>"
        if self.parameters:
            text += f" {emit_parameters(self.verb, self.parameters, codecs)}"
        self._octets = f"{self.verb} {text}\r\n".encode()
        return text

    @classmethod
    def _read(cls, text: str, codecs: "Codecs | None") -> "tuple[Mailbox | None, dict[str, Any]]":
        before = cls._before
        if text[: len(before)].upper() != before:
            raise ParseError(f"no {before}")
        path, end = read_path(text, len(before))
        if end == len(text):
            return path, {}
        if text[end] != " ":
            raise ParseError("text glued to the path")
        return path, parse_parameters(cls.verb, text[end + 1 :], codecs)

    def argument_text(self) -> str:
        return bytes(self)[len(self.verb) + 1 : -2].decode()

    def keep(self, path: Mailbox | None, codecs: "Codecs") -> None:
        """Write it at once where it has parameters of an application, which only their codecs can write."""
        if not self.parameters.keys() <= PARAMETERS[self.verb].keys():
            self._written(path, codecs)


class Mail(_WithPath):
    """MAIL FROM, the begin of a mail transaction (RFC 5321 section 4.1.1.2).

    Args:
        reverse_path: who gets the bounces; None for the null reverse-path "<>".
        parameters: keyword to value, as `smtpkit.wire.parameters` types them; unknown keywords take a str,
            or None where they stand alone.  They are kept in upper case.
        codecs: the parameters that are known, by keyword; None for those of the standards alone.

    Raises:
        TypeError: the reverse-path is neither; `Mailbox.parse()` reads one.
        ParseError: the reverse-path has no domain, it needs SMTPUTF8 and the parameter is not there, or a
            parameter is none that may be sent.
    """

    __slots__ = ("reverse_path", "parameters")
    verb = "MAIL"
    syntax = "MAIL FROM:<address> [SIZE=...] [BODY=...] ..."
    _before = "FROM:"
    reverse_path: Mailbox | None
    parameters: "Mapping[str, Any]"

    def __init__(
        self,
        reverse_path: Mailbox | None,
        parameters: "Mapping[str, Any]" = {},  # noqa: B006
        codecs: "Codecs | None" = None,
    ) -> None:
        if not (reverse_path is None or isinstance(reverse_path, Mailbox)):
            raise TypeError(f"the reverse-path is a Mailbox or None, not {reverse_path!r}")
        self.reverse_path = reverse_path
        self.parameters = check_parameters("MAIL", parameters, codecs) if parameters else {}
        if reverse_path is not None and not reverse_path.domain:
            raise ParseError("no domain", reverse_path.local_part, enhanced="5.1.7")
        argument = self._written(reverse_path, codecs)
        if "SMTPUTF8" not in self.parameters and not argument.isascii():
            raise ParseError("address needs SMTPUTF8", argument, code=550, enhanced="5.6.7")

    @classmethod
    def parse_argument(cls, text: str, codecs: "Codecs | None" = None) -> "Self":
        mail = _new(cls)
        path, mail.parameters = cls._read(text, codecs)
        mail.reverse_path = path
        if path is not None and not path.domain:
            raise ParseError("no domain", enhanced="5.1.7")
        if not (text.isascii() or "SMTPUTF8" in mail.parameters):
            raise ParseError("address needs SMTPUTF8", code=550, enhanced="5.6.7")
        if codecs is not None:
            mail.keep(path, codecs)
        return mail

    def __bytes__(self) -> bytes:
        try:
            return self._octets
        except AttributeError:  # it was parsed
            self._written(self.reverse_path, None)
            return self._octets


class Rcpt(_WithPath):
    """RCPT TO, one recipient (RFC 5321 section 4.1.1.3).

    An address beyond ASCII may be sent only if the transaction's MAIL carried SMTPUTF8; this is not checked here.

    Args:
        forward_path: the recipient; without a domain it is the postmaster of the server.
        parameters, codecs: as for `Mail`.

    Raises:
        TypeError: the forward-path is none; `Mailbox.parse()` reads one.
        ParseError: a parameter is none that may be sent.
    """

    __slots__ = ("forward_path", "parameters")
    verb = "RCPT"
    syntax = "RCPT TO:<address> [NOTIFY=...] [ORCPT=...] ..."
    _before = "TO:"
    forward_path: Mailbox
    parameters: "Mapping[str, Any]"

    def __init__(
        self,
        forward_path: Mailbox,
        parameters: "Mapping[str, Any]" = {},  # noqa: B006
        codecs: "Codecs | None" = None,
    ) -> None:
        if not isinstance(forward_path, Mailbox):
            raise TypeError(f"the forward-path is a Mailbox, not {forward_path!r}")
        self.forward_path = forward_path
        if parameters:
            self.parameters = check_parameters("RCPT", parameters, codecs)
            self._written(forward_path, codecs)
        else:
            self.parameters = {}
            self._octets = f"RCPT TO:<{str(forward_path)}>\r\n".encode()  # noqa: RUF010 (half the time of !s)

    @classmethod
    def parse_argument(cls, text: str, codecs: "Codecs | None" = None, *, smtputf8: bool = False) -> "Self":
        rcpt = _new(cls)
        path, rcpt.parameters = cls._read(text, codecs)
        if path is None:
            raise ParseError("no recipient", enhanced="5.1.3")
        if not (text.isascii() or smtputf8):
            raise ParseError("address needs SMTPUTF8", code=553, enhanced="5.6.7")
        rcpt.forward_path = path
        if codecs is not None:
            rcpt.keep(path, codecs)
        return rcpt

    def __bytes__(self) -> bytes:
        try:
            return self._octets
        except AttributeError:  # it was parsed
            self._written(self.forward_path, None)
            return self._octets
