"""The mail transaction of a client: MAIL, RCPT and the content in the shortest conversation the RFCs allow."""

from contextlib import suppress

from smtpkit.errors import (
    ConnectionLost,
    MessageRefused,
    NotSupported,
    RecipientsRefused,
    RemoteProtocolError,
    ReplyError,
    SenderRefused,
    SMTPError,
    Timeout,
    TLSError,
)
from smtpkit.protocol.events import BodyChunk
from smtpkit.protocol.needs import NEXT_CHUNK
from smtpkit.protocol.outgoing import PIECE, as_group
from smtpkit.protocol.results import Outcome, SendResult, Verdict
from smtpkit.protocol.states import State
from smtpkit.wire.commands import Data, Mail, Rcpt, Rset

__all__ = ["transaction"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.needs import Wanted
    from smtpkit.protocol.outgoing import Outgoing
    from smtpkit.wire.commands import Command
    from smtpkit.wire.replies import Reply

    Group = tuple[Command | BodyChunk, ...]

_DATA = (Data(),)
_ACCEPTED = Verdict.ACCEPTED
# A group's replies are read before the next group goes out, so that nothing can deadlock (RFC 2920 section 3.1).
_GROUP_COMMANDS = 128
_GROUP_OCTETS = 32 * 1024 - 32  # and DATA or BDAT


def transaction(
    client: "ClientConnection",
    mail: Mail,
    recipients: "dict[str, Rcpt]",
    body: "Outgoing",
    *,
    partial: bool = True,
    chunking: bool | None = None,
) -> "Generator[Wanted, Any, SendResult]":
    """Send one message to its recipients.

    Args:
        client: the connection, after EHLO.
        mail: the MAIL command.
        recipients: the RCPT command of each, by the address as the caller gave it.
        body: the content.
        partial: whether to send although some recipients were refused; if not, the content waits for all.
        chunking: True for BDAT in any case, False for DATA; None for BDAT where it saves a round trip.

    Returns:
        The outcome of each recipient; at least one was accepted.

    Raises:
        SenderRefused, RecipientsRefused, MessageRefused: nobody was accepted.
        ConnectionLost, Timeout, TLSError, RemoteProtocolError: UNKNOWN in `.recipients` are those of whom the
            server was to speak when the line broke, all of the content having left; in LMTP others may have
            been accepted before.
        NotSupported: CHUNKING is demanded and not offered, or the server's LIMITS leave no room in this session.
    """
    client.use.begin(client.capabilities.limits, recipients.values())
    attempt = _Attempt(client, mail, recipients)
    try:
        yield from _converse(client, attempt, body, partial=partial, chunking=chunking)
        attempt.check_verdict()
    except (ConnectionLost, Timeout, TLSError, RemoteProtocolError) as error:
        attempt.lost(error)
        attempt.tell(error)
        raise
    except SMTPError as error:
        attempt.tell(error)
        yield from _reset(client)
        raise
    return SendResult(attempt.ordered())


def _converse(
    client: "ClientConnection", attempt: "_Attempt", body: "Outgoing", *, partial: bool, chunking: bool | None
) -> "Generator[Wanted, Any, None]":
    pipelining = "PIPELINING" in client.capabilities
    held = body.whole(PIECE)
    chunked = _is_chunked(client, body, held is not None, chunking)
    whole = None if held is None else as_group(held, True, chunked)
    start: Group = (whole or ()) if chunked else _DATA
    # An LMTP server answers BDAT LAST once for each accepted recipient: how often must be known beforehand.
    together = pipelining and partial and not (client.lmtp and chunked)

    groups = _groups(attempt.commands, start if together else (), pipelining)
    if start and not together:
        groups.append(start)
    for number, group in enumerate(groups):
        if number:
            attempt.check_start(partial, client.closing)  # before more is sent
        attempt.take((yield attempt.begin(group)))
    if client.state is State.DATA and not attempt.pending:
        # A needless 354 gets an empty body, and nothing that is said to it counts (RFC 2920 section 3.1).
        with suppress(SMTPError):
            yield (BodyChunk(b"", True),)
    attempt.check_start(partial, None if start else client.closing)
    if whole is None:
        yield from _content(attempt, body, chunked)
    elif not chunked:
        attempt.take((yield attempt.begin(whole)))


def _is_chunked(client: "ClientConnection", body: "Outgoing", held: bool, chunking: bool | None) -> bool:
    if "CHUNKING" in client.capabilities:
        return body.binary or (held if chunking is None else chunking)
    if chunking:
        raise NotSupported("the server does not offer CHUNKING", extension="CHUNKING")
    return False


def _content(attempt: "_Attempt", body: "Outgoing", chunked: bool) -> "Generator[Wanted, Any, None]":
    held = b""
    while (chunk := (yield NEXT_CHUNK)) is not None:
        for piece in body.feed(chunk):
            if held:
                attempt.take((yield attempt.begin(as_group(held, False, chunked))))
                if not attempt.pending:
                    return  # the server gave up in the middle
            held = piece
    for piece in body.finish():
        held += piece
    attempt.take((yield attempt.begin(as_group(held, True, chunked))))


def _reset(client: "ClientConnection") -> "Generator[Wanted, Any, None]":
    # Leave the connection fit for the next transaction (RFC 5321 section 4.1.1.5).
    if client.closing is None and client.state in (State.MAIL, State.RCPT, State.BDAT, State.BDAT_FAILED):
        with suppress(SMTPError):  # the refusal stands, whatever becomes of the connection
            yield (Rset(),)


def _groups(commands: "tuple[Command, ...]", start: "Group", pipelining: bool) -> "list[Group]":
    # MAIL and RCPT in windows; `start` leaves with the last of them.
    if not pipelining:
        return [(command,) for command in commands]
    if len(commands) < _GROUP_COMMANDS and sum(map(len, map(bytes, commands))) <= _GROUP_OCTETS:
        return [(*commands, *start)]
    groups: list[Group] = []
    group: list[Any] = []
    octets = 0
    for command in commands:
        size = len(bytes(command))
        if len(group) == _GROUP_COMMANDS - 1 or octets + size > _GROUP_OCTETS:
            groups.append(tuple(group))
            group, octets = [], 0
        group.append(command)
        octets += size
    return [*groups, (*group, *start)]


class _Attempt:
    """What is known of a transaction under way."""

    __slots__ = (
        "_addresses",
        "_anybody_accepted",
        "_asked",
        "_greeting",
        "_group",
        "_lmtp",
        "_mail_reply",
        "_refused",
        "_start_reply",
        "_well",
        "commands",
        "outcomes",
        "pending",
    )

    def __init__(self, client: "ClientConnection", mail: Mail, recipients: "dict[str, Rcpt]") -> None:
        self.commands: tuple[Command, ...] = (mail, *recipients.values())
        self.outcomes: dict[str, Outcome] = {}
        self.pending: list[str] = []  # accepted by RCPT, no verdict yet
        self._addresses = list(recipients)
        self._asked = 0  # recipients whose RCPT was answered
        self._refused: dict[str, Reply] = {}  # those whose RCPT was refused
        self._anybody_accepted = False  # whether somebody got the message
        self._mail_reply: Reply | None = None
        self._start_reply: Reply | None = None
        self._well = True  # whether every reply to a command was as it mostly is
        self._lmtp = client.lmtp
        self._greeting = client.greeting
        self._group: Group = ()

    def ordered(self) -> "dict[str, Outcome]":
        """The outcomes in the order in which the recipients were given."""
        outcomes = self.outcomes
        if not self._refused:  # as where all were accepted
            return outcomes
        return {address: outcomes[address] for address in self._addresses if address in outcomes}

    def begin(self, group: "Group") -> "Group":
        """Note what the next replies answer."""
        self._group = group
        return group

    def take(self, replies: "Sequence[Reply]", *, broken: bool = False) -> None:
        """Take the replies to the group; where the line broke, those of them that had come."""
        group = self._group
        if len(replies) == len(self._addresses) + 2 and type(group[0]) is Mail:
            *before, last = [reply.code for reply in replies]
            content = type(group[-1]) is not Data
            if max(before) < 300 and (content or last == 354):  # all in one group, and well so far, as mostly
                self._mail_reply = replies[0]
                self.pending = self._addresses[:]
                self._asked = len(self.pending)
                if content:
                    self._take_final(replies[-1:], broken)
                else:
                    self._start_reply = replies[-1]
                return
        self._well = False
        taken = 0
        for item, reply in zip(group, replies, strict=False):
            kind = type(item)
            if kind is Rcpt:
                address = self._addresses[self._asked]
                self._asked += 1
                if reply.code < 300:
                    self.pending.append(address)
                else:
                    self.outcomes[address] = Outcome.of(reply)
                    self._refused[address] = reply
            elif kind is Mail:
                self._mail_reply = reply
            elif kind is Data:
                self._start_reply = reply
            else:
                break  # what is left answers content
            taken += 1
        if len(replies) > taken:
            self._take_final(replies[taken:], broken)

    def _take_final(self, replies: "Sequence[Reply]", broken: bool) -> None:
        ends = self._ends()
        if replies[0].code < 300 and not ends:
            return  # a chunk but the last was taken
        if self._lmtp and ends and (broken or len(replies) == len(self.pending)):
            told = dict(zip(self.pending, map(Outcome.of, replies), strict=False))
        else:
            told = dict.fromkeys(self.pending, Outcome.of(replies[0]))  # perhaps before the end
        self.pending = self.pending[len(told) :]
        self.outcomes.update(told)
        for outcome in told.values():
            if outcome.verdict is _ACCEPTED:
                self._anybody_accepted = True
                break

    def _ends(self) -> bool:
        last = self._group[-1] if self._group else None
        return type(last) is BodyChunk and last.last

    def check_start(self, partial: bool, closing: "Reply | None") -> None:
        """Raise if the content must not, or need not, follow; `closing` is what the server took leave with."""
        if self._well and closing is None:
            return
        if closing is not None and self._start_reply is None:
            for address in self._addresses[self._asked :]:
                self.outcomes[address] = Outcome.of(closing)
                self._refused[address] = closing
            self._asked = len(self._addresses)
            self._start_reply = closing
        # A server that refused MAIL and took the message all the same is to be believed about the message.
        if self._mail_refused and not self._anybody_accepted:
            assert self._mail_reply is not None
            self.outcomes.clear()  # the 503s behind it say nothing about the recipients
            from smtpkit.protocol.hints import hint_for

            raise SenderRefused(self._mail_reply, self.commands[0], hint=hint_for(self._mail_reply, self._greeting))
        all_asked = self._asked == len(self._addresses)
        if all_asked and self._refused and (not partial or len(self._refused) == self._asked):
            address, reply = next(iter(self._refused.items()))
            raise RecipientsRefused(reply, message=f"{address}: {reply}")
        if self._start_reply is not None and not self._start_reply.is_intermediate:
            for address in self.pending:
                self.outcomes[address] = Outcome.of(self._start_reply)
            raise MessageRefused(self._start_reply, Data())

    @property
    def _mail_refused(self) -> bool:
        return self._mail_reply is not None and not self._mail_reply.is_positive

    def check_verdict(self) -> None:
        """Raise if nobody got the message."""
        if not self._anybody_accepted:
            outcomes = self.ordered().items()
            reply = next(outcome.reply for address, outcome in outcomes if address not in self._refused)
            assert reply is not None
            raise MessageRefused(reply, message=f"the message was refused: {reply}")

    def lost(self, error: "ConnectionLost | Timeout | TLSError | RemoteProtocolError") -> None:
        """The line broke: find out what is known, and what is not."""
        self.take(error.replies, broken=True)
        if self._ends() and error.flushed and not self._mail_refused:
            # All of the content had left; whether it was accepted, only the lost reply could have told.
            unknown = (*self.pending, *self._addresses[self._asked :])
            self.outcomes.update(dict.fromkeys(unknown, Outcome(Verdict.UNKNOWN, None)))
            if unknown:
                error.args = (f"{error}; whether the message was accepted is not known",)

    def tell(self, error: SMTPError) -> None:
        """Have the error say what is known of each recipient."""
        error.recipients = outcomes = self.ordered()
        if isinstance(error, (ReplyError, ConnectionLost, Timeout, TLSError, RemoteProtocolError)):
            verdicts = {outcome.verdict for outcome in outcomes.values()}
            waits = len(outcomes) < len(self._addresses) or Verdict.DEFERRED in verdicts
            error.may_retry = waits and Verdict.UNKNOWN not in verdicts
        if isinstance(error, SenderRefused):
            error.may_retry = error.reply.is_transient
