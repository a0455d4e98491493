"""Reading a command line: octets to a command value, every octet accounted for (RFC 5321 section 4.1).

The lines that a server sees all day are read by one pattern or one look-up each.  Whatever does not fit goes through
the complete parser, which also finds out what is wrong.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import ASCII_MAILBOX, Mailbox, read_path
from smtpkit.wire.core_commands import (
    Bdat,
    Command,
    Data,
    Ehlo,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    Vrfy,
)
from smtpkit.wire.extension_commands import (
    HISTORIC_VERBS,
    SYNTAX,
    Auth,
    Etrn,
    StartTLS,
    UnknownCommand,
    XClient,
    XForward,
)
from smtpkit.wire.parameters import parse_parameters
from smtpkit.wire.strings import QUOTED_STRING, unquote
from smtpkit.wire.xtext import xtext_decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = [
    "HISTORIC_VERBS",
    "SYNTAX",
    "TOLERANCES",
    "Auth",
    "Bdat",
    "Command",
    "Data",
    "Ehlo",
    "Etrn",
    "Expn",
    "Helo",
    "Help",
    "Lhlo",
    "Mail",
    "Noop",
    "Quit",
    "Rcpt",
    "Rset",
    "StartTLS",
    "UnknownCommand",
    "Vrfy",
    "XClient",
    "XForward",
    "parse_command",
]


def _squeeze(match: "re.Match[bytes]") -> bytes:
    return match[1] or b" "


# What `strict=False` takes in addition: each row rewrites a line towards the one that the grammar wants, in this
# order, and the result is read strictly.  The last row cannot be rewritten: such a name is taken as it is.
# Columns: what is tolerated, an example, what it is read as, the pattern, its replacement.
TOLERANCES: "tuple[tuple[str, bytes, bytes | None, bytes, bytes | Callable[[re.Match[bytes]], bytes] | None], ...]" = (
    (
        "several spaces between words",
        b"MAIL  FROM:<a@b.example>   SIZE=1",
        b"MAIL FROM:<a@b.example> SIZE=1",
        rb'("(?:[^"\\]++|\\.)*"?+)|  ++',  # a Quoted-string, even an unfinished one, stays as it is
        _squeeze,
    ),
    (
        "a space behind the colon",
        b"RCPT TO: <a@b.example>",
        b"RCPT TO:<a@b.example>",
        rb"\A(MAIL FROM:|RCPT TO:) ",
        rb"\1",
    ),
    (
        "no angle brackets",
        b"MAIL FROM:a@b.example SIZE=1",
        b"MAIL FROM:<a@b.example> SIZE=1",
        rb'\A(MAIL FROM:|RCPT TO:)((?:"(?:[^"\\]++|\\.)*")?[^ "<>]++)(?= |\Z)',
        rb"\1<\2>",
    ),
    (
        "words behind the name in EHLO, HELO and LHLO",
        b"EHLO mail.example and more",
        b"EHLO mail.example",
        rb"\A((?:EHLO|HELO|LHLO) [!-~]++) [ -~]*+\Z",
        rb"\1",
    ),
    (
        "a name that is no domain in EHLO, HELO and LHLO",
        b"EHLO my_laptop.",
        None,
        rb"\A(?:EHLO|HELO|LHLO) [!-~]{1,255}+\Z",
        None,
    ),
)


def parse_command(line: bytes, *, smtputf8: bool = False, strict: bool = True) -> Command:
    """Read one command line.

    Whether an extension is offered, a command is legal now, or a line is too long, is not checked here.

    Args:
        line: with or without its CRLF; spaces and tabs at its end are ignored (RFC 5321 section 4.1.1).
        smtputf8: whether the MAIL of this transaction carried SMTPUTF8, so that RCPT may go beyond ASCII.
        strict: False takes `TOLERANCES` too.

    Returns:
        The command; an `UnknownCommand` for a verb that has no type.  Commands without fields are shared objects.

    Raises:
        ParseError: with the reply that a server gives: 500 where there is no verb or a bare newline, else 501; 555 for
            a parameter of the other command; 550 or 553 where SMTPUTF8 is needed.
    """
    bare = _BARE.get(line)
    if bare is not None:
        return bare
    common = _COMMON.get(line[:4])
    if common is not None:
        command = common(line)
        if command is not None:
            return command
    clean = _clean(line)
    try:
        return _parse(clean, smtputf8)
    except ParseError:
        if strict:
            raise
        return _parse_tolerantly(clean, smtputf8)


# What parse_parameters gets is ASCII without control characters; the rest it checks itself.
_END = r">(?: ([!-~ ]++))?(?:\r\n)?\Z"
_match_mail = re.compile(rf" [Ff][Rr][Oo][Mm]:<(?:{ASCII_MAILBOX})?{_END}").match
_match_rcpt = re.compile(rf" [Tt][Oo]:<{ASCII_MAILBOX}{_END}").match
_new = object.__new__


def _common_mail(line: bytes) -> Mail | None:
    """Read MAIL with an ASCII Dot-string@Domain or "<>"; None for all else.  The pattern has checked what it found."""
    match = _match_mail(line.decode("latin-1"), 4)
    if match is None:
        return None
    local_part, domain, parameters = match.groups()
    mail = _new(Mail)
    if domain is None:
        mail.reverse_path = None
    else:
        mail.reverse_path = mailbox = _new(Mailbox)
        mailbox.local_part = local_part
        mailbox.domain = domain
    try:
        mail.parameters = {} if parameters is None else parse_parameters("MAIL", parameters)
    except ParseError:
        return None  # the complete parser strips the end, and says more
    return mail


def _common_rcpt(line: bytes) -> Rcpt | None:
    """Read RCPT in the same way."""
    match = _match_rcpt(line.decode("latin-1"), 4)
    if match is None:
        return None
    local_part, domain, parameters = match.groups()
    rcpt = _new(Rcpt)
    rcpt.forward_path = mailbox = _new(Mailbox)
    mailbox.local_part = local_part
    mailbox.domain = domain
    try:
        rcpt.parameters = {} if parameters is None else parse_parameters("RCPT", parameters)
    except ParseError:
        return None
    return rcpt


def _clean(line: bytes) -> bytes:
    """Take off CRLF and the white space before it, and refuse what no command line may hold."""
    clean = line.removesuffix(b"\r\n")
    if b"\n" in clean or b"\r" in clean:
        raise ParseError("bare CR or LF", _shown(line), code=500, enhanced="5.5.2")
    clean = clean.rstrip(b" \t")
    if not clean:
        raise ParseError("empty line", code=500, enhanced="5.5.2")
    if re.search(rb"[\x00-\x1f\x7f]", clean) is not None:
        raise ParseError("control character", _shown(line), enhanced="5.5.2")
    return clean


def _parse(line: bytes, smtputf8: bool) -> Command:
    """Read a clean line strictly; the errors of the parts get the line and the right syntax."""
    match = re.match(rb"[A-Za-z0-9-]++(?= |\Z)", line)
    if match is None:
        raise ParseError("no command", _shown(line), code=500, enhanced="5.5.2")
    verb = match[0].decode().upper()
    parse = _PARSERS.get(verb)
    try:
        argument = _text(line[match.end() + 1 :], verb)
        return UnknownCommand(verb, argument) if parse is None else parse(argument, smtputf8)
    except ParseError as error:
        code = 500 if parse is None else error.code
        enhanced = "5.1.7" if verb == "MAIL" and error.enhanced == "5.1.3" else error.enhanced
        raise ParseError(error.what, _shown(line), expected=SYNTAX.get(verb), code=code, enhanced=enhanced) from error


def _text(argument: bytes, verb: str) -> str:
    if verb not in _UTF8_VERBS and not argument.isascii():
        raise ParseError("not ASCII", enhanced="5.5.2")
    try:
        return argument.decode()
    except UnicodeDecodeError as error:
        raise ParseError("not UTF-8", enhanced="5.5.2") from error


def _parse_tolerantly(line: bytes, smtputf8: bool) -> Command:
    for _, _, _, pattern, replacement in TOLERANCES:
        if replacement is not None:
            line = re.sub(pattern, replacement, line, flags=re.IGNORECASE)
    try:
        return _parse(line, smtputf8)
    except ParseError:
        verb, _, name = line.partition(b" ")
        if re.match(TOLERANCES[-1][3], line, re.IGNORECASE) is None:
            raise
        hello = _new(_HELLO[verb.upper()])
        hello.name = name.decode()
        return hello


def _shown(line: bytes) -> bytes:
    # An initial response may be a password.
    return b"AUTH" if line.lstrip()[:4].upper() == b"AUTH" else line


def _parse_mail(argument: str, smtputf8: bool) -> Mail:
    mail = _new(Mail)
    mail.reverse_path, mail.parameters = _path_and_parameters("MAIL", "FROM:", argument)
    if mail.reverse_path is not None and not mail.reverse_path.domain:
        raise ParseError("no domain", enhanced="5.1.7")
    if not (argument.isascii() or "SMTPUTF8" in mail.parameters):
        raise ParseError("address needs SMTPUTF8", code=550, enhanced="5.6.7")
    return mail


def _parse_rcpt(argument: str, smtputf8: bool) -> Rcpt:
    rcpt = _new(Rcpt)
    path, rcpt.parameters = _path_and_parameters("RCPT", "TO:", argument)
    if path is None:
        raise ParseError("no recipient", enhanced="5.1.3")
    if not (argument.isascii() or smtputf8):
        raise ParseError("address needs SMTPUTF8", code=553, enhanced="5.6.7")
    rcpt.forward_path = path
    return rcpt


def _path_and_parameters(verb: str, before: str, argument: str) -> "tuple[Mailbox | None, dict[str, Any]]":
    if argument[: len(before)].upper() != before:
        raise ParseError(f"no {before}")
    path, end = read_path(argument, len(before))
    if end == len(argument):
        return path, {}
    if argument[end] != " ":
        raise ParseError("text glued to the path")
    return path, parse_parameters(verb, argument[end + 1 :])


def _hello(kind: "type[Ehlo] | type[Helo] | type[Lhlo]") -> "Callable[[str, bool], Command]":
    return lambda argument, smtputf8: kind(argument)


def _alone(command: Command) -> "Callable[[str, bool], Command]":
    def parse(argument: str, smtputf8: bool) -> Command:
        if argument:
            raise ParseError("an argument where none may be")
        return command

    return parse


def _words(kind: "type[Noop] | type[Help]") -> "Callable[[str, bool], Command]":
    # The argument means nothing, or little: what is not quite a String is taken too.
    return lambda argument, smtputf8: kind(unquote(argument))


def _question(kind: "type[Vrfy] | type[Expn]") -> "Callable[[str, bool], Command]":
    def parse(argument: str, smtputf8: bool) -> Command:
        match = re.fullmatch(rf"{_WORD}( SMTPUTF8)?", argument, re.IGNORECASE | re.ASCII)
        if match is None:
            raise ParseError("not one String")
        return kind(unquote(match[1]), match[2] is not None)

    return parse


# One word, or one in which Quoted-strings hide the spaces, such as "John Doe"@host.
_WORD = rf'((?:[^\x00- "\\\x7f]|{QUOTED_STRING})+)'


def _parse_bdat(argument: str, smtputf8: bool) -> Bdat:
    match = re.fullmatch(r"([0-9]{1,20})( LAST)?", argument, re.IGNORECASE)
    if match is None:
        raise ParseError("bad chunk size")
    return Bdat(int(match[1]), match[2] is not None)


def _parse_auth(argument: str, smtputf8: bool) -> Auth:
    mechanism, space, response = argument.partition(" ")
    if not space:
        return Auth(mechanism)
    return Auth(mechanism, b"" if response == "=" else _base64(response))


def _base64(text: str) -> bytes:
    try:
        octets = a2b_base64(text, strict_mode=True)
    except Base64Error as error:
        raise ParseError("bad base64", enhanced="5.5.2") from error
    # One spelling for each value: also the bits that padding leaves over are zero.
    if not octets or b2a_base64(octets, newline=False).decode() != text:
        raise ParseError("bad base64", enhanced="5.5.2")
    return octets


def _parse_etrn(argument: str, smtputf8: bool) -> Etrn:
    if re.fullmatch(_WORD, argument) is None:
        raise ParseError("not one name")
    return Etrn(unquote(argument))


def _attributes(kind: "type[XClient] | type[XForward]") -> "Callable[[str, bool], Command]":
    def parse(argument: str, smtputf8: bool) -> Command:
        attributes: dict[str, str] = {}
        for attribute in argument.split(" "):
            name, equals, value = attribute.partition("=")
            if not equals or name.upper() in attributes:
                raise ParseError("bad or repeated attribute")
            attributes[name.upper()] = xtext_decode(value)
        return kind(attributes)

    return parse


_HELLO = {b"EHLO": Ehlo, b"HELO": Helo, b"LHLO": Lhlo}
_SHARED = (Data(), Rset(), Quit(), Noop(), Help(), StartTLS())
_BARE: dict[bytes, Command] = {
    spelling: command
    for command in _SHARED
    for line in (bytes(command), bytes(command).rstrip())
    for spelling in (line, line.lower())
}
_COMMON: "dict[bytes, Callable[[bytes], Command | None]]" = {
    **dict.fromkeys((b"MAIL", b"mail", b"Mail"), _common_mail),
    **dict.fromkeys((b"RCPT", b"rcpt", b"Rcpt"), _common_rcpt),
}
_UTF8_VERBS = frozenset(["MAIL", "RCPT", "VRFY", "EXPN"])
_PARSERS: "dict[str, Callable[[str, bool], Command]]" = {
    "EHLO": _hello(Ehlo),
    "HELO": _hello(Helo),
    "LHLO": _hello(Lhlo),
    "MAIL": _parse_mail,
    "RCPT": _parse_rcpt,
    "BDAT": _parse_bdat,
    "NOOP": _words(Noop),
    "HELP": _words(Help),
    "VRFY": _question(Vrfy),
    "EXPN": _question(Expn),
    "AUTH": _parse_auth,
    "ETRN": _parse_etrn,
    "XCLIENT": _attributes(XClient),
    "XFORWARD": _attributes(XForward),
    **{command.verb: _alone(command) for command in _SHARED if command.verb not in ("NOOP", "HELP")},
}
