"""What a server offers in one standing of a session, and so which commands and parameters are legal in it."""

from smtpkit.protocol.extensions import EXTENSIONS, Extension
from smtpkit.protocol.states import LMTP, SMTP, State
from smtpkit.wire.capabilities import ehlo_reply
from smtpkit.wire.replies import Reply

__all__ = ["Offer"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.protocol.config import ServerConfig

_COMMAND_LINE = 512  # octets with CRLF (RFC 5321 section 4.5.3.1.4)
_LINE_CAP = 8192  # what the increments of all extensions together may reach
_WITHOUT_TLS = frozenset({"NOOP", "EHLO", "LHLO", "STARTTLS", "QUIT"})  # RFC 3207 section 4
_WITHOUT_AUTH = frozenset({"AUTH", "EHLO", "HELO", "LHLO", "NOOP", "RSET", "QUIT", "STARTTLS"})  # RFC 4954 section 6
_OPTIONAL_VERBS = frozenset(verb for extension in EXTENSIONS.values() for verb in extension.verbs) - {
    "VRFY",
    "EXPN",
    "HELP",
}


class Offer:
    """The service terms of a session that is under TLS or not, logged in or not, extended or not.

    Attributes:
        reply: the positive answer to EHLO or LHLO (HELO's is `plain_reply`).
        rows: the state table, less the verbs that are not offered or not allowed yet.
        verbs: the verbs that are offered, whatever the state.
        mail_parameters, rcpt_parameters: legal ESMTP keywords.
        binary: whether BODY=BINARYMIME is legal.
        line_limits: octets with CRLF by verb, where more than 512.
        line_limit: the largest of them.
        need_tls, need_auth: what is wanted of the client before it may send mail.
        mechanisms: SASL mechanisms that may be used.
    """

    def __init__(self, config: "ServerConfig", *, tls: bool, authenticated: bool, extended: bool) -> None:
        auth = config.auth
        self.need_tls = config.require_tls and not tls
        self.need_auth = auth is not None and auth.required and not authenticated
        self.mechanisms = auth.offered(tls=tls) if auth is not None and not authenticated else ()
        extensions = [each for each in config.extensions if tls or not each.needs_tls]
        if config.tls_available and not tls:
            extensions.append(EXTENSIONS["STARTTLS"])
        if self.mechanisms:
            extensions.append(EXTENSIONS["AUTH"])
        words = {"SIZE": str(config.max_message_size or 0), "AUTH": " ".join(self.mechanisms)}
        keywords = [(each.keyword, (words.get(each.keyword) or each.ehlo).split()) for each in extensions]
        self.reply = ehlo_reply(config.hostname, "greets you", keywords)
        self.plain_reply = Reply(250, config.hostname)
        self._admit(config, extensions if extended else [])

    def _admit(self, config: "ServerConfig", extensions: "list[Extension]") -> None:
        offered = {each.keyword for each in extensions}
        self.mail_parameters = frozenset(word for each in extensions for word in each.mail_parameters)
        self.rcpt_parameters = frozenset(word for each in extensions for word in each.rcpt_parameters)
        if extensions and config.auth is not None:
            # A server that offers AUTH takes the parameter from everybody, always (RFC 4954 section 5).
            self.mail_parameters |= {"AUTH"}
        self.binary = "BINARYMIME" in offered
        self.verbs = frozenset(verb for each in extensions for verb in each.verbs)
        table = LMTP if config.lmtp else SMTP
        self.rows = {state: {v: to for v, to in row.items() if self._allows(v)} for state, row in table.items()}
        limits = {
            "MAIL": _COMMAND_LINE + sum(each.mail_octets for each in extensions),
            "RCPT": _COMMAND_LINE + sum(each.rcpt_octets for each in extensions),
        }
        self.line_limits = {verb: min(config.limits.line or limit, _LINE_CAP) for verb, limit in limits.items()}
        self.command_limit = config.limits.line or _COMMAND_LINE
        self.line_limit = max(self.command_limit, *self.line_limits.values())

    def _allows(self, verb: str) -> bool:
        verb = verb.partition(" ")[0]  # BDAT LAST
        if verb in _OPTIONAL_VERBS and verb not in self.verbs:
            return False
        if self.need_tls and verb not in _WITHOUT_TLS:
            return False
        return not self.need_auth or verb in _WITHOUT_AUTH

    def row(self, state: State) -> "dict[str, State]":
        """Verb to next state, in this state."""
        return self.rows[state]
