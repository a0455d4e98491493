"""Reading a command line: octets to a command value, every octet accounted for (RFC 5321 section 4.1).

The lines that a server sees all day are read by one pattern or one look-up each.  Whatever does not fit goes through
the complete parser, which also finds out what is wrong.
"""

import re

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import ASCII_MAILBOX, Mailbox
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
from smtpkit.wire.dialect import STANDARD, Dialect
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
from smtpkit.wire.strings import SIZE_DIGITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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


def parse_command(line: bytes, *, smtputf8: bool = False, strict: bool = True, dialect: Dialect = STANDARD) -> Command:
    """Read one command line.

    Whether an extension is offered, a command is legal now, or a line is too long, is not checked here.

    Args:
        line: with or without its CRLF; spaces and tabs at its end are ignored (RFC 5321 section 4.1.1).
        smtputf8: whether the MAIL of this transaction carried SMTPUTF8, so that RCPT may go beyond ASCII.
        strict: False takes `TOLERANCES` too.
        dialect: the words that are known, if others than those of the standards; `ServerConfig.dialect` is one.

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
        command = common(line, dialect)
        if command is not None:
            return command
    clean = _clean(line)
    try:
        return _parse(clean, smtputf8, dialect)
    except ParseError:
        if strict:
            raise
        return _parse_tolerantly(clean, smtputf8, dialect)


# What parse_parameters gets is ASCII without control characters; the rest it checks itself.  Most clients declare the
# size, and nothing else.
_END = r">(?: ([!-~ ]++))?(?:\r\n)?\Z"
_MAIL_END = rf">(?: SIZE=([0-9]{{1,{SIZE_DIGITS}}}+)| ([!-~ ]++))?(?:\r\n)?\Z"
_match_mail = re.compile(rf" [Ff][Rr][Oo][Mm]:<(?:{ASCII_MAILBOX})?{_MAIL_END}").match
_match_rcpt = re.compile(rf" [Tt][Oo]:<{ASCII_MAILBOX}{_END}").match
_new = object.__new__


def _common_mail(line: bytes, dialect: Dialect) -> Mail | None:
    """Read MAIL with an ASCII Dot-string@Domain or "<>"; None for all else.  The pattern has checked what it found."""
    match = _match_mail(line.decode("latin-1"), 4)
    if match is None:
        return None
    local_part, domain, size, parameters = match.groups()
    mail = _new(Mail)
    if domain is None:
        mail.reverse_path = None
    else:
        mail.reverse_path = mailbox = _new(Mailbox)
        mailbox.local_part = local_part
        mailbox._text = None
        mailbox.domain = domain
    if parameters is None:
        mail.parameters = {} if size is None else {"SIZE": int(size)}
        return mail
    try:
        mail.parameters = parse_parameters("MAIL", parameters, dialect.mail)
    except ParseError:
        return None  # the complete parser strips the end, and says more
    if dialect is not STANDARD:
        mail.keep(mail.reverse_path, dialect.mail)
    return mail


def _common_rcpt(line: bytes, dialect: Dialect) -> Rcpt | None:
    """Read RCPT in the same way."""
    match = _match_rcpt(line.decode("latin-1"), 4)
    if match is None:
        return None
    local_part, domain, parameters = match.groups()
    rcpt = _new(Rcpt)
    rcpt.forward_path = mailbox = _new(Mailbox)
    mailbox.local_part = local_part
    mailbox._text = None
    mailbox.domain = domain
    if parameters is None:
        rcpt.parameters = {}
        return rcpt
    try:
        rcpt.parameters = parse_parameters("RCPT", parameters, dialect.rcpt)
    except ParseError:
        return None
    if dialect is not STANDARD:
        rcpt.keep(mailbox, dialect.rcpt)
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


def _parse(line: bytes, smtputf8: bool, dialect: Dialect) -> Command:
    """Read a clean line strictly; the errors of the parts get the line and the right syntax."""
    match = re.match(rb"[A-Za-z0-9-]++(?= |\Z)", line)
    if match is None:
        raise ParseError("no command", _shown(line), code=500, enhanced="5.5.2")
    verb = match[0].decode().upper()
    kind = dialect.commands.get(verb)
    try:
        argument = _text(line[match.end() + 1 :], verb)
        if kind is None:
            return UnknownCommand(verb, argument)
        if not argument and verb in _ALONE:
            return _ALONE[verb]
        if kind is Mail:
            return Mail.parse_argument(argument, dialect.mail)
        if kind is Rcpt:
            return Rcpt.parse_argument(argument, dialect.rcpt, smtputf8=smtputf8)
        return kind.parse_argument(argument)
    except ValueError as error:
        raise _explained(error, verb, line, kind) from error


def _explained(error: ValueError, verb: str, line: bytes, kind: "type[Command] | None") -> ParseError:
    if not isinstance(error, ParseError):  # a command of the application's own says it in its own way
        error = ParseError("bad argument")
    enhanced = "5.1.7" if verb == "MAIL" and error.enhanced == "5.1.3" else error.enhanced
    if kind is None:
        return ParseError(error.what, _shown(line), code=500, enhanced=enhanced)
    return ParseError(error.what, _shown(line), expected=kind.syntax, code=error.code, enhanced=enhanced)


def _text(argument: bytes, verb: str) -> str:
    if verb not in _UTF8_VERBS and not argument.isascii():
        raise ParseError("not ASCII", enhanced="5.5.2")
    try:
        return argument.decode()
    except UnicodeDecodeError as error:
        raise ParseError("not UTF-8", enhanced="5.5.2") from error


def _parse_tolerantly(line: bytes, smtputf8: bool, dialect: Dialect) -> Command:
    for _, _, _, pattern, replacement in TOLERANCES:
        if replacement is not None:
            line = re.sub(pattern, replacement, line, flags=re.IGNORECASE)
    try:
        return _parse(line, smtputf8, dialect)
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


_HELLO = {b"EHLO": Ehlo, b"HELO": Helo, b"LHLO": Lhlo}
_SHARED = (Data(), Rset(), Quit(), Noop(), Help(), StartTLS())
_ALONE = {command.verb: command for command in _SHARED}
_BARE: dict[bytes, Command] = {
    spelling: command
    for command in _SHARED
    for line in (bytes(command), bytes(command).rstrip())
    for spelling in (line, line.lower())
}
_COMMON: "dict[bytes, Callable[[bytes, Dialect], Command | None]]" = {
    **dict.fromkeys((b"MAIL", b"mail", b"Mail"), _common_mail),
    **dict.fromkeys((b"RCPT", b"rcpt", b"Rcpt"), _common_rcpt),
}
_UTF8_VERBS = frozenset(["MAIL", "RCPT", "VRFY", "EXPN"])
