"""One message on its way through several attempts: who still waits for it, and what is known of everybody."""

from smtpkit.errors import SMTPError
from smtpkit.protocol.composition import recipients_in
from smtpkit.protocol.message import Message
from smtpkit.protocol.results import SendResult, Verdict
from smtpkit.protocol.retry import Replay, Retry, is_stale
from smtpkit.wire.addresses import Mailbox

__all__ = ["Delivery"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.protocol.results import Outcome

_ONCE = Retry(1)
_ONE_READING = (
    "not sent again: the body was read and gives its content only once; "
    "bytes, a file that can seek, or a callable that makes the body can be sent again"
)


class Delivery:
    """A send, as often as it needs.

    Args:
        sender, recipients, body: as for `Client.send()`.
        retry: when to send again; None for never.
        options: of the send; its deadline is for all attempts together.
        message: in the place of a body, as for `Client.send_message()`.

    Attributes:
        deadline: seconds for all attempts and the waits between them, or None.
    """

    def __init__(
        self,
        sender: "Any",
        recipients: "Any",
        body: "Any",
        retry: Retry | None,
        options: "dict[str, Any]",
        *,
        message: "Any" = None,
    ) -> None:
        if retry is not None and not isinstance(retry, Retry):
            raise TypeError(f"retry is a Retry, not {type(retry).__name__}")
        self.deadline: float | None = options.get("deadline")
        if self.deadline is not None and not self.deadline > 0:
            raise ValueError(f"a deadline is a number of seconds above 0, not {self.deadline}")
        self._sender = sender
        self._recipients = [recipients] if isinstance(recipients, (str, Mailbox)) else list(recipients)
        self._waiting = self._recipients
        self._message = message
        self._replay = Replay(body)
        self._retry = retry or _ONCE
        self._options = options
        self._made = 0
        self._outcomes: dict[str, Outcome] = {}
        self._error: SMTPError | None = None
        self._settled: SendResult | None = None  # of the only attempt

    @classmethod
    def of_message(
        cls, message: "Any", sender: "Any", recipients: "Any", retry: Retry | None, options: "dict[str, Any]"
    ) -> "Delivery":
        """A send of an EmailMessage, or of a Message that a server received."""
        if recipients is None:
            of_server = isinstance(message, Message)
            recipients = message.envelope.recipients if of_server else recipients_in(message)
        return cls(sender, recipients, b"", retry, options, message=message)

    @classmethod
    def of_item(cls, item: "Any", retry: Retry | None, options: "dict[str, Any]") -> "Delivery":
        """A send of a message, or of (sender, recipients, body)."""
        if isinstance(item, tuple):
            sender, recipients, body = item
            return cls(sender, recipients, body, retry, options)
        return cls.of_message(item, None, None, retry, options)

    def attempt(self, client: "Any", seconds: float | None, *, careful: bool = False) -> "Any":
        """Send to those who wait: the result of the client's method, or an awaitable of it.

        Args:
            client: a Client of either adapter.
            seconds: deadline of this attempt, or None.
            careful: whether the content waits until the server has been heard.  BDAT may leave with the commands,
                and if the connection was dead then, nobody knows what became of the message.
        """
        options = self._options if seconds is None else {**self._options, "deadline": seconds}
        if careful and options.get("chunking") is None:
            options = {**options, "chunking": False}
        given = options.get("rcpt_parameters")
        if given and not hasattr(given, "keys") and self._waiting is not self._recipients:
            each = dict(zip(map(str, reversed(self._recipients)), reversed(list(given)), strict=False))
            options = {**options, "rcpt_parameters": [each[str(address)] for address in self._waiting]}
        if self._message is not None:
            return client.send_message(self._message, self._sender, self._waiting, **options)
        return client.send(self._sender, self._waiting, self._replay.take(), **options)

    def may_begin_again(self, error: SMTPError) -> bool:
        """Whether an attempt that failed on a connection that was used again is worth a new connection at once."""
        return is_stale(error) and self._replay.possible

    def note(self, found: SendResult | SMTPError, seconds: float | None) -> float | None:
        """Take what came of an attempt.

        Args:
            found: its result, or its error.
            seconds: what is left of the deadline, or None.

        Returns:
            Seconds until the next attempt; None if there is to be none, and then `result()` tells.
        """
        self._made += 1
        if self._retry is _ONCE and isinstance(found, SendResult):
            self._settled = found
            return None
        self._outcomes.update(found.recipients)
        error = found if isinstance(found, SMTPError) else None
        self._error = error or self._error
        if error is not None and not error.may_retry:
            return None
        self._waiting = [address for address in self._recipients if self._is_waiting(address)]
        if not self._waiting or self._has(Verdict.UNKNOWN):
            return None
        if not self._options.get("partial", True) and self._has(Verdict.REFUSED):
            return None  # all or nothing
        pause = self._retry.pause(self._made)
        if pause is None or (seconds is not None and pause >= seconds):
            return None
        if not self._replay.possible:
            if error is not None:
                error.add_note(_ONE_READING)
            return None
        return pause

    def result(self) -> SendResult:
        """What came of all attempts.

        Raises:
            SMTPError: the last error, if nobody was accepted, or if not everybody was and raise_for="any".
        """
        if self._settled is not None:
            return self._settled
        addresses = [str(each) for each in self._recipients]
        outcomes = {address: self._outcomes[address] for address in addresses if address in self._outcomes}
        accepted = [each for each in outcomes.values() if each.verdict is Verdict.ACCEPTED]
        wanted = len(set(addresses)) if self._options.get("raise_for") == "any" else 1
        if self._error is not None and len(accepted) < wanted:
            self._error.recipients = outcomes
            raise self._error
        return SendResult(outcomes)

    def _is_waiting(self, address: "Any") -> bool:
        outcome = self._outcomes.get(str(address))
        return outcome is None or outcome.verdict is Verdict.DEFERRED

    def _has(self, verdict: Verdict) -> bool:
        return any(outcome.verdict is verdict for outcome in self._outcomes.values())
