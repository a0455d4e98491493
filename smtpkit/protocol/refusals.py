"""Why a server connection refuses a command, and how many refusals a client may collect."""

from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.extensions import OWNERS
from smtpkit.protocol.states import State
from smtpkit.wire.commands import HISTORIC_VERBS, SYNTAX, UnknownCommand

__all__ = ["ERRORS", "Budget", "mail_fault", "out_of_place", "rcpt_fault"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from smtpkit.protocol.config import ServerConfig
    from smtpkit.protocol.limits import Limits
    from smtpkit.protocol.offer import Offer
    from smtpkit.wire.commands import Command
    from smtpkit.wire.replies import Reply

ERRORS = frozenset({500, 501, 502, 503, 504, 555})  # codes that count against the budget
# Requests of HTTP, which a browser may be made to send here (the last is how HTTP/2 begins).
_BROWSER = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE", "PRI"})

# What is missing in a state, by verb where the verb matters (RFC 5321 section 4.1.4).
_MISSING = {
    (State.READY, "RCPT"): say.NEED_MAIL,
    (State.READY, "DATA"): say.NEED_MAIL,
    (State.READY, "BDAT"): say.NEED_MAIL,
    (State.MAIL, "DATA"): say.NEED_RCPT,
    (State.MAIL, "BDAT"): say.NEED_RCPT,
    **{(state, "MAIL"): say.NESTED_MAIL for state in (State.MAIL, State.RCPT, State.BDAT, State.BDAT_FAILED)},
    **{
        (State.CONNECTED, verb): say.HELLO_FIRST
        for verb in ("MAIL", "RCPT", "DATA", "BDAT", "AUTH", "STARTTLS", "ETRN")
    },
}


def out_of_place(
    command: "Command",
    state: State,
    offer: "Offer",
    config: "ServerConfig",
    *,
    tls: bool,
    authenticated: bool,
    refused: bool,
) -> "Reply":
    """The reply to a command that has no row in the state table as it is offered.

    Not recognized is 500, recognized but off is 502 (RFC 5321 section 4.2.4), wanting TLS or login is 530 (RFC 3207
    section 4, RFC 4954 section 6), out of order is 503 (RFC 5321 section 4.1.4), or 554 where all recipients were
    refused.

    Args:
        command, state: what was said, and where the session stands.
        offer, config: what may be said, and the settings behind it.
        tls, authenticated: whether the session is under TLS, and logged in.
        refused: whether a MAIL, RCPT or DATA of the transaction was refused.
    """
    verb = command.verb
    if state is State.REFUSED:
        return say.BAD_SEQUENCE
    if isinstance(command, UnknownCommand) and verb not in offer.verbs:
        if verb in _BROWSER and state is State.CONNECTED:
            return say.NOT_MAIL
        return say.NOT_IMPLEMENTED if verb in HISTORIC_VERBS else say.UNKNOWN_COMMAND
    if verb in (("HELO", "EHLO") if config.lmtp else ("LHLO",)):
        return say.UNKNOWN_COMMAND  # RFC 2033 section 4.1
    if verb == "STARTTLS" and tls:
        return say.TLS_ACTIVE
    if verb == "AUTH" and config.auth is not None and verb not in offer.verbs:
        return _auth_not_offered(state, config, tls=tls, authenticated=authenticated)
    if (verb in OWNERS.verbs or verb not in SYNTAX) and verb not in offer.verbs:
        return say.NOT_IMPLEMENTED
    reply = offer.demand(verb) or _MISSING.get((state, verb), say.BAD_SEQUENCE)
    if reply is say.NEED_RCPT and refused and not config.lmtp:  # LMTP has 503 alone (RFC 2033 section 4.2)
        return say.NO_VALID_RECIPIENTS
    return reply


def _auth_not_offered(state: State, config: "ServerConfig", *, tls: bool, authenticated: bool) -> "Reply":
    if authenticated:
        return say.AUTHENTICATED_ALREADY
    if state is State.CONNECTED:
        return say.HELLO_FIRST
    return say.NOT_IMPLEMENTED if tls or not config.tls_available else say.NEED_TLS


def mail_fault(parameters: "Mapping[str, Any]", offer: "Offer", config: "ServerConfig") -> "Reply | None":
    """The reply to ESMTP parameters of MAIL that are not offered, or not kept; None if all are right."""
    if not _offered(parameters, offer.mail_parameters, offer.dialect.mail, config):
        return say.UNKNOWN_PARAMETER
    if parameters.get("BODY") == "BINARYMIME" and not offer.binary:
        return say.UNKNOWN_PARAMETER
    limit = config.max_message_size
    if limit is not None and parameters.get("SIZE", 0) > limit:  # RFC 1870 section 6.1
        return say.TOO_LARGE
    return _checked(parameters, offer) if offer.checks else None


def rcpt_fault(parameters: "Mapping[str, Any]", offer: "Offer", config: "ServerConfig") -> "Reply | None":
    """The same for RCPT."""
    if not _offered(parameters, offer.rcpt_parameters, offer.dialect.rcpt, config):
        return say.UNKNOWN_PARAMETER
    return _checked(parameters, offer) if offer.checks else None


def _offered(
    parameters: "Mapping[str, Any]", offered: "frozenset[str]", known: "Mapping[str, Any]", config: "ServerConfig"
) -> bool:
    # What an extension defines must be offered; "keep" lets anything else through.
    if offered.issuperset(parameters):
        return True
    return config.unknown_parameters == "keep" and known.keys().isdisjoint(parameters.keys() - offered)


def _checked(parameters: "Mapping[str, Any]", offer: "Offer") -> "Reply | None":
    for keyword in parameters:
        check = offer.checks.get(keyword)
        reply = check(parameters) if check is not None else None
        if reply is not None:
            return reply
    return None


class Budget:
    """Counts what a client asks and what it gets wrong, and says when it is enough.

    Attributes:
        commands: since the last accepted message.
        errors, errors_in_a_row: as Limits counts them.
        refused: 1 where MAIL, RCPT or DATA was refused, 2 where a 503 behind it was counted, too; 0 again with MAIL,
            RSET or a greeting.
        transactions: MAIL commands accepted.
    """

    __slots__ = ("_limits", "commands", "errors", "errors_in_a_row", "refused", "transactions")

    def __init__(self, limits: "Limits") -> None:
        self._limits = limits
        self.refused = 0
        self.commands = 0
        self.errors = 0
        self.errors_in_a_row = 0
        self.transactions = 0

    def step_refused(self) -> None:
        """MAIL, RCPT or DATA was refused, so that pipelined followers must fail too."""
        self.refused = self.refused or 1

    def judge(self, reply: "Reply") -> "Reply":
        """Count an answer; the reply to give, which is 421 once the errors are enough."""
        if reply.code not in ERRORS:
            if reply.code < 400:
                self.errors_in_a_row = 0
            return reply
        if reply.code == 503 and self._follows_a_refusal():
            return reply
        self.errors += 1
        self.errors_in_a_row += 1
        limits = self._limits
        if self.errors >= limits.errors:
            return say.TOO_MANY_ERRORS
        if self.errors_in_a_row >= limits.errors_in_a_row:
            return say.TOO_MANY_IN_A_ROW
        return reply

    def _follows_a_refusal(self) -> bool:
        # The first 503 behind a refusal counts, the others of the same group do not.
        if self.refused == 1:
            self.refused = 2
            return False
        return self.refused == 2
