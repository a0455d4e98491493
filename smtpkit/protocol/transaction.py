"""The mail transaction of a client: MAIL, RCPT and the content in the shortest conversation the RFCs allow."""

from contextlib import suppress

from smtpkit.errors import ConnectionLost, MessageRefused, RecipientsRefused, SenderRefused, SMTPError, Timeout
from smtpkit.protocol.events import BodyChunk
from smtpkit.protocol.needs import NEXT_CHUNK
from smtpkit.protocol.results import Outcome, SendResult, Verdict
from smtpkit.protocol.states import State
from smtpkit.wire.commands import Bdat, Data, Mail, Rcpt, Rset

__all__ = ["transaction"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Any, Literal

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.exchanges import Wanted
    from smtpkit.protocol.outgoing import Outgoing
    from smtpkit.wire.commands import Command
    from smtpkit.wire.replies import Reply

    Group = tuple[Command | BodyChunk, ...]

# A group's replies are read before the next group goes out, so that nothing can deadlock (RFC 2920 section 3.1).
_GROUP_COMMANDS = 128
_GROUP_OCTETS = 32 * 1024
_ONE_CHUNK = 64 * 1024  # octets of content that may leave with the commands, as one BDAT LAST


def transaction(
    client: "ClientConnection",
    mail: Mail,
    recipients: "dict[str, Rcpt]",
    body: "Outgoing",
    *,
    partial: bool = True,
    chunking: bool | None = None,
    raise_for: 'Literal["all", "any"]' = "all",
) -> "Generator[Wanted, Any, SendResult]":
    """Send one message to its recipients.

    Args:
        client: the connection, after EHLO.
        mail: the MAIL command.
        recipients: the RCPT command of each, by the address as the caller gave it.
        body: the content.
        partial: whether to send although some recipients were refused; if not, the content waits for all.
        chunking: True for BDAT in any case, False for DATA; None for BDAT where it saves a round trip.
        raise_for: "all" raises if nobody was accepted, "any" on any refusal.

    Returns:
        The outcome of each recipient; at least one was accepted.

    Raises:
        SenderRefused, RecipientsRefused, MessageRefused: nobody was accepted.
        ConnectionLost, Timeout: with `.recipients`; UNKNOWN if all of the content had left.
    """
    attempt = _Attempt(client, mail, recipients)
    try:
        yield from _converse(client, attempt, body, partial=partial, chunking=chunking)
        attempt.check_verdict(raise_for)
    except (ConnectionLost, Timeout) as error:
        attempt.lost(error)
        raise
    except SMTPError as error:
        error.recipients = attempt.outcomes
        yield from _reset(client)
        raise
    return SendResult(attempt.outcomes)


def _converse(
    client: "ClientConnection", attempt: "_Attempt", body: "Outgoing", *, partial: bool, chunking: bool | None
) -> "Generator[Wanted, Any, None]":
    pipelining = "PIPELINING" in client.capabilities
    chunked = body.binary or (chunking if chunking is not None else body.size_held(_ONE_CHUNK))
    chunked = chunked and "CHUNKING" in client.capabilities
    whole = body.whole() if chunked and body.size_held(_ONE_CHUNK) else None
    start: Group = () if chunked else (Data(),)
    if whole is not None:
        start = (Bdat(len(whole), True), BodyChunk(whole, True))
    together = pipelining and partial

    groups = _groups((attempt.mail, *attempt.commands), start if together else (), pipelining)
    if start and not together:
        groups.append(start)
    for number, group in enumerate(groups):
        if number:
            attempt.check_start(partial)  # before more is sent
        attempt.take((yield attempt.sends(group)))
    if client.state is State.DATA and not attempt.pending:
        # A needless 354 gets an empty body, and nothing that is said to it counts (RFC 2920 section 3.1).
        yield (BodyChunk(b"", True),)
    attempt.check_start(partial)
    if whole is None:
        yield from _content(attempt, body, chunked)


def _content(attempt: "_Attempt", body: "Outgoing", chunked: bool) -> "Generator[Wanted, Any, None]":
    held = b""
    while (chunk := (yield NEXT_CHUNK)) is not None:
        for piece in body.feed(chunk):
            if held:
                attempt.take((yield attempt.sends(_piece(held, False, chunked))))
                if not attempt.pending:
                    return  # the server gave up in the middle
            held = piece
    for piece in body.finish():
        held += piece
    attempt.take((yield attempt.sends(_piece(held, True, chunked))))


def _piece(octets: bytes, last: bool, chunked: bool) -> "Group":
    chunk = BodyChunk(octets, last)
    return (Bdat(len(octets), last), chunk) if chunked else (chunk,)


def _reset(client: "ClientConnection") -> "Generator[Wanted, Any, None]":
    # Leave the connection fit for the next transaction (RFC 5321 section 4.1.1.5).
    if client.closing is None and client.state in (State.MAIL, State.RCPT, State.BDAT, State.BDAT_FAILED):
        with suppress(ConnectionLost, Timeout):  # the refusal stands, whatever became of the connection
            yield (Rset(),)


def _groups(commands: "tuple[Command, ...]", start: "Group", pipelining: bool) -> "list[Group]":
    # MAIL and RCPT in windows; `start` leaves with the last of them.
    if not pipelining:
        return [(command,) for command in commands]
    groups: list[Group] = []
    group: list[Any] = []
    octets = 0
    for command in commands:
        size = len(bytes(command))
        if len(group) == _GROUP_COMMANDS or octets + size > _GROUP_OCTETS:
            groups.append(tuple(group))
            group, octets = [], 0
        group.append(command)
        octets += size
    return [*groups, (*group, *start)]


class _Attempt:
    """What is known of a transaction under way."""

    def __init__(self, client: "ClientConnection", mail: Mail, recipients: "dict[str, Rcpt]") -> None:
        self.mail = mail
        self.commands = recipients.values()
        self.outcomes: dict[str, Outcome] = {}
        self.pending: list[str] = []  # accepted by RCPT, no verdict yet
        self._addresses = list(recipients)
        self._asked = 0  # recipients whose RCPT was answered
        self._mail_reply: Reply | None = None
        self._start_reply: Reply | None = None
        self._lmtp = client.lmtp
        self._group: Group = ()

    def sends(self, group: "Group") -> "Group":
        """Note what the next replies answer."""
        self._group = group
        return group

    def take(self, replies: "Sequence[Reply]") -> None:
        """Take the replies to the group, or those of them that came."""
        for item, reply in zip(self._group, replies, strict=False):
            kind = type(item)
            if kind is Rcpt:
                address = self._addresses[self._asked]
                self._asked += 1
                if reply.is_positive:
                    self.pending.append(address)
                else:
                    self.outcomes[address] = Outcome.of(reply)
            elif kind is Mail:
                self._mail_reply = reply
            elif kind is Data:
                self._start_reply = reply
        # What is left answers content: its end, or (a refusal before it) all of it.
        steps = sum(1 for item in self._group if type(item) in (Mail, Rcpt, Data))
        self._take_final(replies[steps:])

    def _take_final(self, replies: "Sequence[Reply]") -> None:
        if not replies or (replies[0].is_positive and not self._ends()):
            return  # a chunk but the last was taken
        if self._lmtp and self._ends():
            decided = list(zip(self.pending, replies, strict=False))
        else:
            decided = [(address, replies[0]) for address in self.pending]
        for address, reply in decided:
            self.outcomes[address] = Outcome.of(reply)
        self.pending = self.pending[len(decided) :]

    def _ends(self) -> bool:
        last = self._group[-1] if self._group else None
        return type(last) is BodyChunk and last.last

    def check_start(self, partial: bool) -> None:
        """Raise if the content must not, or need not, follow."""
        if self._mail_reply is not None and not self._mail_reply.is_positive:
            self.outcomes.clear()  # the 503s behind it say nothing about the recipients
            raise SenderRefused(self._mail_reply, self.mail)
        if self._asked == len(self._addresses):
            refusals = [outcome.reply for outcome in self.outcomes.values() if outcome.verdict is not Verdict.ACCEPTED]
            accepted = len(self._addresses) - len(refusals)
            if refusals and refusals[0] is not None and (not accepted or not partial):
                raise RecipientsRefused(refusals[0])
        if self._start_reply is not None and self._start_reply.code >= 400:
            self._take_refusal(self._start_reply)
            raise MessageRefused(self._start_reply, Data())

    def _take_refusal(self, reply: "Reply") -> None:
        for address in self.pending:
            self.outcomes[address] = Outcome.of(reply)
        self.pending = []

    def check_verdict(self, raise_for: str) -> None:
        """Raise if nobody got the message, or not everybody where all are wanted."""
        self.outcomes = {address: self.outcomes[address] for address in self._addresses if address in self.outcomes}
        refused = [outcome.reply for outcome in self.outcomes.values() if outcome.verdict is not Verdict.ACCEPTED]
        if not refused or refused[0] is None:
            return
        if len(refused) == len(self.outcomes):
            raise MessageRefused(refused[0])
        if raise_for == "any":
            raise RecipientsRefused(refused[0])

    def lost(self, error: "ConnectionLost | Timeout") -> None:
        """The line broke: say what is known, and what is not."""
        self.take(error.replies)
        ending = self._ends() and error.flushed
        mail_refused = self._mail_reply is not None and not self._mail_reply.is_positive
        if ending and not mail_refused:
            # All of the content had left; whether it was accepted, only the lost reply could have told.
            for address in (*self.pending, *self._addresses[self._asked :]):
                self.outcomes[address] = Outcome(Verdict.UNKNOWN, None)
        error.recipients = self.outcomes
        error.may_retry = not any(outcome.verdict is Verdict.UNKNOWN for outcome in self.outcomes.values())
