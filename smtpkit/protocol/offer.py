"""What a server offers in one standing of a session, and so which commands and parameters are legal in it."""

from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.extensions import EXTENSIONS, OWNERS, Extension
from smtpkit.protocol.limits import AUTH_LINE, COMMAND_LINE
from smtpkit.protocol.states import LMTP, NOT_COMMANDS, SMTP, State
from smtpkit.wire.capabilities import ehlo_reply
from smtpkit.wire.replies import Reply

__all__ = ["Offer"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from smtpkit.protocol.config import ServerConfig

    Check = Callable[[Mapping[str, Any]], Reply | None]

_LINE_CAP = 8192  # what the increments of all extensions together may reach
_WITHOUT_TLS = frozenset({"NOOP", "EHLO", "LHLO", "STARTTLS", "QUIT"})  # RFC 3207 section 4
# RFC 4954 section 6; and STARTTLS, without which AUTH may not be had, and XCLIENT, by which a proxy tells who has
# logged in to it.
_WITHOUT_AUTH = frozenset({"AUTH", "EHLO", "HELO", "LHLO", "NOOP", "RSET", "QUIT", "STARTTLS", "XCLIENT"})
# Of the table of states, those of no extension.
_PLAIN_VERBS = frozenset(verb for row in (*SMTP.values(), *LMTP.values()) for verb in row) - OWNERS.verbs.keys()


class Offer:
    """The service terms of a session that is under TLS or not, logged in or not, extended or not.

    Attributes:
        reply: the positive answer to EHLO or LHLO (HELO's is `plain_reply`).
        greeting, farewell: what is said first, and to QUIT.
        rows: the state table, less the verbs that are not offered or not allowed yet.
        verbs: the verbs that the extensions add, whatever the state.
        mail_parameters, rcpt_parameters: legal ESMTP keywords.
        binary: whether BODY=BINARYMIME is legal.
        checks: by ESMTP keyword what all parameters of the command must obey, if it is there.
        attributes: by verb those that XCLIENT and XFORWARD may tell.
        dialect: the words that are known.
        line_limits: octets with CRLF for MAIL and RCPT, to which parameters belong.
        command_limit: the same for any other command.
        line_limit: the largest of them.
        need_tls, need_auth: what is wanted of the client before it may send mail.
        mechanisms: SASL mechanisms that may be used, less those that are withheld.
    """

    def __init__(
        self,
        config: "ServerConfig",
        *,
        tls: bool,
        authenticated: bool,
        extended: bool,
        withheld: "frozenset[str]" = frozenset(),
    ) -> None:
        auth = config.auth
        self.need_tls = config.require_tls and not tls
        self.need_auth = auth is not None and auth.required and not authenticated
        may_log_in = auth is not None and not authenticated and not self.need_tls
        self.mechanisms = auth.offered(tls=tls, withheld=withheld) if auth is not None and may_log_in else ()
        extensions = [each for each in config.extensions if tls or not each.needs_tls]
        if config.tls_available and not tls:
            extensions.append(EXTENSIONS["STARTTLS"])
        if self.mechanisms:
            extensions.append(EXTENSIONS["AUTH"])
        words = {each.keyword: _ehlo_words(each, config, self.mechanisms) for each in extensions}
        self.reply = ehlo_reply(config.hostname, "greets you", words.items())
        self.checks = _checks(extensions, words) if extended else {}
        self.attributes = {word: frozenset(map(str.upper, words.get(word, ()))) for word in ("XCLIENT", "XFORWARD")}
        self.dialect = config.dialect
        self.plain_reply = say.hello(config.hostname)
        self.greeting = say.greeting(config.hostname, lmtp=config.lmtp)
        self.farewell = say.farewell(config.hostname)
        self.verbs = frozenset(verb for each in extensions for verb in each.verbs)
        if auth is not None and EXTENSIONS["AUTH"] not in extensions:
            # Such a server takes the parameter from everybody, always (RFC 4954 section 5).
            extensions.append(EXTENSIONS["AUTH"])
        self._admit_parameters(config, extensions if extended else [])
        self._admit_verbs(LMTP if config.lmtp else SMTP, extended)

    def demand(self, verb: str) -> Reply | None:
        """The refusal of what may not be said yet: TLS is wanted first, or a login; None where neither is."""
        if self.need_tls and verb not in _WITHOUT_TLS:
            return say.NEED_TLS
        if self.need_auth and verb not in _WITHOUT_AUTH:
            return say.NEED_AUTH
        return None

    def _admit_parameters(self, config: "ServerConfig", extensions: "list[Extension]") -> None:
        self.mail_parameters = frozenset(word for each in extensions for word in each.mail_parameters)
        self.rcpt_parameters = frozenset(word for each in extensions for word in each.rcpt_parameters)
        self.binary = EXTENSIONS["BINARYMIME"] in extensions
        limits = {
            "MAIL": COMMAND_LINE + sum(each.mail_octets for each in extensions),
            "RCPT": COMMAND_LINE + sum(each.rcpt_octets for each in extensions),
        }
        given = config.limits.line
        self.line_limits = {verb: given or min(limit, _LINE_CAP) for verb, limit in limits.items()}
        if self.mechanisms and extensions:
            # RFC 4954 section 4 wants long initial responses sent as responses; clients with tokens do not care.
            self.line_limits["AUTH"] = given or AUTH_LINE
        self.command_limit = given or COMMAND_LINE
        self.line_limit = max(self.command_limit, *self.line_limits.values())

    def _admit_verbs(self, table: "dict[State, dict[str, State]]", extended: bool) -> None:
        rows = {state: dict(row) for state, row in table.items()}
        known = {verb for row in table.values() for verb in row}
        for verb in self.verbs - known:
            # A verb of an extension that the application has added changes no state.
            for state in (State.READY, State.MAIL, State.RCPT):
                rows[state][verb] = state
        self.rows = {
            state: {verb: to for verb, to in row.items() if self._allows(state, verb.removesuffix(" LAST"), extended)}
            for state, row in rows.items()
        }

    def _allows(self, state: State, verb: str, extended: bool) -> bool:
        if verb in NOT_COMMANDS:
            return True
        # A HELO session has no extensions; XCLIENT alone is legal before any hello.
        offered = verb in self.verbs and (extended or state is State.CONNECTED)
        return (offered or verb in _PLAIN_VERBS) and self.demand(verb) is None


def _ehlo_words(extension: "Extension", config: "ServerConfig", mechanisms: "Sequence[str]") -> list[str]:
    ehlo = extension.ehlo
    return (ehlo if isinstance(ehlo, str) else ehlo(config, mechanisms)).split()


def _checks(extensions: "list[Extension]", words: "dict[str, list[str]]") -> "dict[str, Check]":
    checks: dict[str, Check] = {}
    for each in extensions:
        if each.check is not None:
            value = each.read(tuple(words[each.keyword])) if each.read is not None else tuple(words[each.keyword])
            check = _bound(each.check, value)
            checks.update(dict.fromkeys((*each.mail_parameters, *each.rcpt_parameters), check))
    return checks


def _bound(check: "Callable[[Mapping[str, Any], Any], Reply | None]", value: "Any") -> "Check":
    return lambda parameters: check(parameters, value)
