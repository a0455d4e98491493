"""One message to more recipients than a server takes at a time: several transactions, one result."""

from smtpkit.errors import NotSupported, RecipientsRefused, SMTPError
from smtpkit.protocol.needs import REWIND
from smtpkit.protocol.results import Outcome, SendResult, Verdict
from smtpkit.protocol.transaction import transaction

__all__ = ["transactions"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.needs import Wanted
    from smtpkit.protocol.outgoing import Outgoing
    from smtpkit.wire.commands import Mail, Rcpt
    from smtpkit.wire.replies import Reply

    Exchange = Generator[Wanted, Any, SendResult]


def transactions(
    client: "ClientConnection",
    mail: "Mail",
    recipients: "dict[str, Rcpt]",
    make_body: "Callable[[], Outgoing]",
    *,
    replayable: bool = True,
    max_recipients: int | None = None,
    partial: bool = True,
    chunking: bool | None = None,
    raise_for: str = "all",
) -> "Exchange":
    """Send one message, in as many transactions as its recipients need.

    The server's RCPTMAX (RFC 9422) and `max_recipients` are kept.  Recipients beyond what the server turns out
    to take (452 4.5.3, RFC 5321 section 4.5.3.1.10) follow in another transaction, as long as each of them gets
    the message to somebody.  A transaction whose recipients are all refused does not keep the others from theirs.

    Args:
        client, mail, recipients, partial, chunking, raise_for: as for `transaction()`.
        make_body: gives the content anew for each transaction.
        replayable: whether it can be called more than once.
        max_recipients: recipients of one transaction, None for no bound but the server's.

    Returns:
        The outcome of each recipient.  What failed after the first recipients had been accepted is in it.

    Raises:
        SMTPError: as `transaction()`, if nobody was accepted; with raise_for="any" whatever failed.
        NotSupported: the recipients need several transactions, and these cannot be made.
    """
    if len(recipients) == 1:
        return (yield from transaction(client, mail, recipients, make_body(), partial=partial, chunking=chunking))
    limit = _limit(client, len(recipients), replayable, max_recipients, partial)
    outcomes: dict[str, Outcome] = {}
    waiting = dict(recipients)
    refused: RecipientsRefused | None = None
    failure: SMTPError | None = None
    while waiting and failure is None and not (refused and client.closed):
        batch = dict(list(waiting.items())[:limit])
        excess: list[str] = []
        if outcomes:
            yield REWIND
        try:
            result = yield from transaction(client, mail, batch, make_body(), partial=partial, chunking=chunking)
            if len(result.accepted) == len(recipients):
                return result
            found = result.recipients
            excess = [address for address, outcome in found.items() if replayable and _is_excess(outcome, client.lmtp)]
        except SMTPError as error:
            found = error.recipients
            if isinstance(error, RecipientsRefused) and partial and client.closing is None:
                refused = refused or error  # which says nothing of the recipients that wait
            else:
                failure = error
        outcomes.update(found)
        waiting = {address: waiting[address] for address in waiting if address not in batch or address in excess}
        limit = min(limit, len(batch) - len(excess)) if excess else limit
    return _verdict(recipients, outcomes, failure, refused, partial, raise_for)


def _limit(client: "ClientConnection", wanted: int, replayable: bool, max_recipients: int | None, partial: bool) -> int:
    limits = [limit for limit in (max_recipients, client.capabilities.limits.get("RCPTMAX")) if limit is not None]
    limit = min(limits, default=wanted)
    if wanted <= limit or (not replayable and max_recipients is None and partial):
        return wanted  # what the server then refuses is in the result
    if not (replayable and partial):
        raise NotSupported(
            f"{wanted} recipients need several transactions of {limit}, which goes neither with partial=False "
            "nor with a body that can be read once only",
            extension="LIMITS",
        )
    return limit


def _is_excess(outcome: Outcome, lmtp: bool) -> bool:
    # 552 is what older servers say; where it was said of the mailbox after all, it is said again, and then stands
    # (RFC 5321 section 4.5.3.1.10).
    reply = outcome.reply
    if reply is None or reply.code not in (452, 552):
        return False
    if reply.enhanced is not None:
        return str(reply.enhanced).endswith(".5.3")
    return not lmtp  # where it may as well be said of a mailbox, at the end of the message


def _verdict(
    recipients: "dict[str, Rcpt]",
    outcomes: "dict[str, Outcome]",
    failure: SMTPError | None,
    refused: RecipientsRefused | None,
    partial: bool,
    raise_for: str,
) -> SendResult:
    # `failure` was the end of it; `refused` says that one transaction had no recipients.
    accepted = any(outcome.verdict is Verdict.ACCEPTED for outcome in outcomes.values())
    error = failure or refused
    if error is not None and (not accepted or raise_for == "any"):
        error.recipients = {address: outcomes[address] for address in recipients if address in outcomes}
        if isinstance(error, RecipientsRefused):  # which knows of one transaction alone
            deferred = any(outcome.verdict is Verdict.DEFERRED for outcome in outcomes.values())
            error.may_retry = deferred or (partial and len(outcomes) < len(recipients))
        raise error
    reply: Reply | None = getattr(failure, "reply", None)
    missing = Outcome.of(reply) if reply is not None else Outcome(Verdict.DEFERRED, None)
    result = SendResult({address: outcomes.get(address, missing) for address in recipients})
    for address, outcome in result.recipients.items():
        if raise_for == "any" and outcome.reply is not None and outcome.verdict is not Verdict.ACCEPTED:
            refused = RecipientsRefused(outcome.reply, message=f"{address}: {outcome.reply}")
            refused.recipients = result.recipients
            refused.may_retry = bool(result.deferred)
            raise refused
    return result
