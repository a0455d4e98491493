"""The registry of service extensions: one entry each, which both roles and the documentation are driven by."""

from smtpkit.protocol.extension_checks import check_deliver_by, check_hold, check_solicitation, check_tracking
from smtpkit.wire.capability_values import READERS
from smtpkit.wire.dialect import STANDARD, Dialect
from smtpkit.wire.extension_commands import COMMANDS
from smtpkit.wire.parameter_values import MOST_SOLICITATION
from smtpkit.wire.parameters import PARAMETERS, ParameterCodec
from smtpkit.wire.strings import is_keyword
from smtpkit.wire.value import Value

__all__ = ["DEFAULT_EXTENSIONS", "EXTENSIONS", "OWNERS", "Extension", "Owners", "dialect_of"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from smtpkit.protocol.config import ServerConfig
    from smtpkit.protocol.tls_facts import TLSFacts
    from smtpkit.wire.command import Command
    from smtpkit.wire.replies import Reply

    Ehlo = str | Callable[[ServerConfig, Sequence[str]], str]
    Check = Callable[[Mapping[str, Any], Any], Reply | None]
    Codecs = dict[str, ParameterCodec]


class Extension(Value):
    """One service extension (RFC 5321 section 2.2).

    Args:
        keyword: the EHLO keyword.
        reference: where it is defined.
        ehlo: what a server says behind the keyword: text, or a callable that takes the ServerConfig and the names
            of the SASL mechanisms on offer.
        read: makes a value of the tuple of words behind the keyword, for `Capabilities.value()`; None for the words
            themselves.  A ValueError says that they make no sense.
        verbs: commands that it adds: subclasses of Command, or verbs alone, which come as UnknownCommand.
        mail_parameters, rcpt_parameters: ESMTP parameters that it adds: ParameterCodecs, or keywords alone, whose
            values are text.
        mail_octets, rcpt_octets: what it adds to the limit of a MAIL or RCPT line, in octets.
        requires: keywords of extensions without which it must not be offered.
        needs_tls: True if it is offered, and legal, under TLS only; a client uses it with a server whose certificate
            it has verified.
        check: what the parameters must obey together: takes the parameters of a MAIL or RCPT that has one of these,
            and the value that `read` makes; returns None or the Reply that refuses.  A client asks it before it
            sends.

    Attributes:
        verbs, mail_parameters, rcpt_parameters: the words, in upper case.
        commands: by verb the types of commands.
        mail_codecs, rcpt_codecs: by keyword the codecs.

    Raises:
        ValueError: a word is not in the grammar of RFC 5321, or the standards give it another meaning.
    """

    __slots__ = (
        "keyword",
        "reference",
        "ehlo",
        "read",
        "verbs",
        "mail_parameters",
        "rcpt_parameters",
        "mail_octets",
        "rcpt_octets",
        "requires",
        "needs_tls",
        "check",
        "commands",
        "mail_codecs",
        "rcpt_codecs",
    )

    def __init__(
        self,
        keyword: str,
        reference: str = "",
        *,
        ehlo: "Ehlo" = "",
        read: "Callable[[tuple[str, ...]], Any] | None" = None,
        verbs: "Iterable[type[Command] | str]" = (),
        mail_parameters: "Iterable[ParameterCodec | str]" = (),
        rcpt_parameters: "Iterable[ParameterCodec | str]" = (),
        mail_octets: int = 0,
        rcpt_octets: int = 0,
        requires: "Iterable[str]" = (),
        needs_tls: bool = False,
        check: "Check | None" = None,
    ) -> None:
        self.keyword = _word(keyword, "EHLO keyword")
        self.reference = reference
        self.ehlo = ehlo
        self.read = READERS.get(self.keyword) if read is None else read
        kinds = [(_word(each if isinstance(each, str) else each.verb, "verb"), each) for each in verbs]
        self.verbs = tuple(verb for verb, _ in kinds)
        self.commands = {verb: kind for verb, kind in map(_command, kinds) if kind is not None}
        self.mail_codecs = _codecs("MAIL", mail_parameters)
        self.rcpt_codecs = _codecs("RCPT", rcpt_parameters)
        self.mail_parameters = tuple(self.mail_codecs)
        self.rcpt_parameters = tuple(self.rcpt_codecs)
        self.mail_octets = mail_octets
        self.rcpt_octets = rcpt_octets
        self.requires = tuple(map(str.upper, requires))
        self.needs_tls = needs_tls
        self.check = check

    def __repr__(self) -> str:
        return f"<Extension {self.keyword}>"

    def usable_over(self, tls: "TLSFacts | None") -> bool:
        """Whether a client may use it on a connection: what needs TLS, with a verified server (RFC 8689 section 4.2.1).

        Args:
            tls: of the connection; None in clear.
        """
        return not self.needs_tls or (tls is not None and tls.verified)

    def with_ehlo(self, ehlo: str) -> "Extension":
        """The same extension with other words behind its keyword.

        Raises:
            ValueError: they make no sense there.
        """
        if self.read is not None:
            self.read(tuple(ehlo.split()))
        changed = object.__new__(Extension)
        for name in self.__match_args__:
            setattr(changed, name, getattr(self, name))
        changed.ehlo = ehlo
        return changed


def dialect_of(extensions: "Iterable[Extension]") -> Dialect:
    """The words of the standards and of these extensions.

    Raises:
        ValueError: two of them give one word different meanings.
    """
    commands: dict[str, type[Command]] = {}
    mail: Codecs = {}
    rcpt: Codecs = {}
    readers: dict[str, Callable[[tuple[str, ...]], Any]] = {}
    for each in extensions:
        if EXTENSIONS.get(each.keyword) is each:
            continue
        _add(commands, each.commands)
        _add(mail, each.mail_codecs)
        _add(rcpt, each.rcpt_codecs)
        if each.read is not None:
            readers[each.keyword] = each.read
    if not (commands or mail or rcpt or readers):
        return STANDARD
    return Dialect(
        commands=commands,
        mail={keyword: codec.guarded() for keyword, codec in mail.items()},
        rcpt={keyword: codec.guarded() for keyword, codec in rcpt.items()},
        readers=readers,
    )


class Owners:
    """Which extension a word belongs to; of several the first.

    Attributes:
        parameters: by ESMTP keyword.
        verbs: by verb.
    """

    __slots__ = ("parameters", "verbs")

    def __init__(self, extensions: "Iterable[Extension]") -> None:
        self.parameters: dict[str, Extension] = {}
        self.verbs: dict[str, Extension] = {}
        for each in extensions:
            for keyword in (*each.mail_parameters, *each.rcpt_parameters):
                self.parameters.setdefault(keyword, each)
            for verb in each.verbs:
                self.verbs.setdefault(verb, each)


def _add(known: "dict[str, Any]", added: "Mapping[str, Any]") -> None:
    for word, meaning in added.items():
        if known.setdefault(word, meaning) != meaning:
            raise ValueError(f"two extensions give {word} different meanings")


def _word(word: str, what: str) -> str:
    if not is_keyword(word):
        raise ValueError(f"{word!r} is no {what}: letters, digits and hyphens, not a hyphen first")
    return word.upper()


def _command(pair: "tuple[str, type[Command] | str]") -> "tuple[str, type[Command] | None]":
    verb, given = pair
    standard = COMMANDS.get(verb)
    if isinstance(given, str):
        return verb, standard
    if standard not in (None, given) or given.verb != verb:
        raise ValueError(f"{given.verb} is a verb of the standards, or not in upper case")
    return verb, given


def _codecs(verb: str, parameters: "Iterable[ParameterCodec | str]") -> "Codecs":
    codecs: Codecs = {}
    for given in parameters:
        keyword = _word(given if isinstance(given, str) else given.keyword, "parameter")
        standard = PARAMETERS[verb].get(keyword)
        if not isinstance(given, str):
            if standard not in (None, given):
                raise ValueError(f"{keyword} is a parameter of the standards")
            codecs[keyword] = given
        else:
            codecs[keyword] = standard or ParameterCodec.of_text(keyword)
    return codecs


def _size(config: "ServerConfig", mechanisms: "Sequence[str]") -> str:
    return str(config.max_message_size or 0)


def _mechanisms(config: "ServerConfig", mechanisms: "Sequence[str]") -> str:
    return " ".join(mechanisms)


def _limits(config: "ServerConfig", mechanisms: "Sequence[str]") -> str:
    # RFC 9422 section 4.
    limits = config.limits
    mailmax = "" if limits.transactions is None else f"MAILMAX={limits.transactions} "
    return f"{mailmax}RCPTMAX={limits.recipients}"


_ANY_TIME = "999999999 9999-12-31T23:59:59Z"  # what can be said (RFC 4865 section 4), no bound of the server's own

# fmt: off
_REGISTRY = (
    Extension("PIPELINING", "RFC 2920"),
    # Octets: behind a row the section that names them; elsewhere they are those of the longest legal " KEYWORD=value".
    Extension("SIZE", "RFC 1870", ehlo=_size, mail_parameters=["SIZE"], mail_octets=26),  # section 3
    Extension("8BITMIME", "RFC 6152", mail_parameters=["BODY"], mail_octets=14),
    Extension("SMTPUTF8", "RFC 6531", mail_parameters=["SMTPUTF8"], mail_octets=10,  # section 3.1
              requires=["8BITMIME"]),
    Extension("ENHANCEDSTATUSCODES", "RFC 2034"),
    Extension("CHUNKING", "RFC 3030", verbs=["BDAT"]),
    Extension("BINARYMIME", "RFC 3030", mail_parameters=["BODY"], mail_octets=16, requires=["CHUNKING"]),  # section 3
    # Section 5.4: an ENVID of 100, an ORCPT of 500, a NOTIFY of 28, and a RCPT line of at least 1036.
    Extension("DSN", "RFC 3461", mail_parameters=["RET", "ENVID"], rcpt_parameters=["NOTIFY", "ORCPT"],
              mail_octets=len(" RET=FULL ENVID=") + 100, rcpt_octets=len(" ORCPT= NOTIFY=") + 500 + 28),
    Extension("STARTTLS", "RFC 3207", verbs=["STARTTLS"]),
    Extension("AUTH", "RFC 4954", ehlo=_mechanisms, verbs=["AUTH"], mail_parameters=["AUTH"],
              mail_octets=500),  # section 3
    Extension("REQUIRETLS", "RFC 8689", mail_parameters=["REQUIRETLS"], mail_octets=11, needs_tls=True),  # section 2
    Extension("DELIVERBY", "RFC 2852", mail_parameters=["BY"], mail_octets=17, check=check_deliver_by),  # section 2
    Extension("FUTURERELEASE", "RFC 4865", ehlo=_ANY_TIME, mail_parameters=["HOLDFOR", "HOLDUNTIL"],
              mail_octets=34, check=check_hold),  # section 3
    Extension("MT-PRIORITY", "RFC 6710", mail_parameters=["MT-PRIORITY"], mail_octets=15),  # section 3
    Extension("RRVS", "RFC 7293", rcpt_parameters=["RRVS"], rcpt_octets=33),  # section 3.1
    Extension("LIMITS", "RFC 9422", ehlo=_limits),
    Extension("NO-SOLICITING", "RFC 3865", mail_parameters=["SOLICIT"], check=check_solicitation,
              mail_octets=len(" SOLICIT=") + MOST_SOLICITATION),
    # A SHA-1 in base64, ":" and nine digits make 43.
    Extension("MTRK", "RFC 3885", mail_parameters=["MTRK"], mail_octets=50, requires=["DSN"], check=check_tracking),
    Extension("CHECKPOINT", "RFC 1845", mail_parameters=["TRANSID"], mail_octets=88),
    Extension("CONPERM", "RFC 4141", mail_parameters=["CONPERM"], mail_octets=8),
    Extension("ETRN", "RFC 1985", verbs=["ETRN"]),
    # Keywords alone, whose verbs are not theirs.  VRFY may be said without (RFC 5321 section 3.5.2), and HELP is no
    # extension (section 4.1.1.8).  EXPN must be listed where it is there; who does not may answer it all the same.
    Extension("VRFY", "RFC 5321"),
    Extension("EXPN", "RFC 5321"),
    Extension("HELP", "RFC 5321"),
    Extension("XCLIENT", "Postfix", ehlo="NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT", verbs=["XCLIENT"]),
    Extension("XFORWARD", "Postfix", ehlo="NAME ADDR PORT PROTO HELO IDENT SOURCE", verbs=["XFORWARD"]),
)
# fmt: on

EXTENSIONS = {extension.keyword: extension for extension in _REGISTRY}

OWNERS = Owners(_REGISTRY)

DEFAULT_EXTENSIONS = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "HELP")
