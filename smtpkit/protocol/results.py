"""What became of a message: a verdict for each recipient."""

import enum

from smtpkit.wire.value import Value

__all__ = ["Outcome", "SendResult", "Verdict"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from smtpkit.wire.replies import Reply


class Verdict(enum.Enum):
    """What is known of one recipient."""

    ACCEPTED = "accepted"  # the server has taken responsibility (RFC 5321 section 4.2.5)
    REFUSED = "refused"  # 5yz: do not send it again as it is
    DEFERRED = "deferred"  # 4yz: not accepted now, may be sent again
    UNKNOWN = "unknown"  # the line broke between the last octet of the content and its reply

    # Members are singletons; identity is enough and is a quarter of the price of Enum's own hash.
    __hash__ = object.__hash__


_ACCEPTED = Verdict.ACCEPTED


class Outcome(Value):
    """The verdict on one recipient and the reply that gave it.

    Attributes:
        verdict: a Verdict.
        reply: the server's words; None where the verdict is UNKNOWN, and where it is DEFERRED because the
            turn never came: what went before had failed.
    """

    __slots__ = ("verdict", "reply")

    def __init__(self, verdict: Verdict, reply: "Reply | None") -> None:
        self.verdict = verdict
        self.reply = reply

    @classmethod
    def of(cls, reply: "Reply") -> "Outcome":
        """The outcome that a final reply gives."""
        if reply.code < 300:
            return cls(_ACCEPTED, reply)
        return cls(Verdict.DEFERRED if reply.is_transient else Verdict.REFUSED, reply)


class SendResult(Value):
    """The outcome of every recipient of a send, by the address as it was given.

    Attributes:
        recipients: address to Outcome, in the order in which they were given.
    """

    __slots__ = ("recipients",)

    def __init__(self, recipients: "Mapping[str, Outcome]") -> None:
        self.recipients = recipients

    @property
    def accepted(self) -> "dict[str, Outcome]":
        """Those for whom the server has taken responsibility."""
        return self._with(Verdict.ACCEPTED)

    @property
    def refused(self) -> "dict[str, Outcome]":
        """Those refused for good (5yz)."""
        return self._with(Verdict.REFUSED)

    @property
    def deferred(self) -> "dict[str, Outcome]":
        """Those refused for now (4yz); they may be sent again."""
        return self._with(Verdict.DEFERRED)

    @property
    def unknown(self) -> "dict[str, Outcome]":
        """Those who may or may not get the message."""
        return self._with(Verdict.UNKNOWN)

    def _with(self, verdict: Verdict) -> "dict[str, Outcome]":
        return {address: outcome for address, outcome in self.recipients.items() if outcome.verdict is verdict}
