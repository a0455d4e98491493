"""What is to go wrong in a test's server: at which step, for whom, and how often."""

from collections import Counter
from fnmatch import fnmatchcase
from threading import Lock

from smtpkit import Reply

__all__ = ["STEPS", "Fault", "Faults"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# The steps of a session, and what each stands before.
STEPS = {
    "connect": "the greeting",
    "hello": "the reply to EHLO, HELO or LHLO",
    "starttls": "the reply to STARTTLS",
    "login": "the verdict on credentials",
    "mail": "the reply to MAIL",
    "rcpt": "the reply to RCPT",
    "data": "the reply to DATA; where the content comes by BDAT, that to the first of them",
    "message": "the reply to the content; the client cannot know yet whether it was taken",
    "quit": "the reply to QUIT, which cannot be refused",
}


class Fault:
    """One thing that goes wrong; the methods of Server make it.

    Args:
        step: one of STEPS.
        action: a Reply, or its text, refuses; a number of seconds delays; None drops the line in place of the reply.
        sender, recipient: for which addresses, as patterns with * and ?, case ignored; None for any.  A message
            is meant if one of its recipients is.
        times: how often; None for always.
        each: whether each pair of sender and recipients is counted apart.

    Attributes:
        reply: what refuses, or None.
        seconds: of the delay.
        drops: whether the line is dropped.
        hits: how often it has happened.

    Raises:
        ValueError: there is no such step, the reply refuses nothing, or the delay is none.
    """

    def __init__(
        self,
        step: str,
        action: "Reply | str | float | None",
        *,
        sender: str | None = None,
        recipient: str | None = None,
        times: int | None = None,
        each: bool = False,
    ) -> None:
        if step not in STEPS:
            raise ValueError(f"a step is one of {', '.join(STEPS)}, not {step!r}")
        if times is not None and times < 1:
            raise ValueError(f"times is 1 or more, or None for always, not {times}")
        if isinstance(action, (int, float)) and not action > 0:
            raise ValueError(f"a delay lasts some seconds, not {action}")
        self.step = step
        self.reply = _refusal(step, action) if isinstance(action, (Reply, str)) else None
        self.seconds = float(action) if isinstance(action, (int, float)) else 0.0
        self.drops = action is None
        self.hits = 0
        self._sender = None if sender is None else _pattern(sender)
        self._recipient = None if recipient is None else _pattern(recipient)
        self._times = times
        self._each = each
        self._counted: Counter[tuple[str, ...]] = Counter()

    def __repr__(self) -> str:
        does = "drop the line" if self.drops else self.reply or f"{self.seconds:g} s"
        return f"<Fault at {self.step}: {does}; hits: {self.hits}>"

    def meant(self, step: str, sender: str, recipients: "Sequence[str]") -> bool:
        """Whether it is to happen now."""
        return (
            step == self.step
            and (self._sender is None or fnmatchcase(sender.lower(), self._sender))
            and (self._recipient is None or any(fnmatchcase(each.lower(), self._recipient) for each in recipients))
            and (self._times is None or self._counted[self._key(sender, recipients)] < self._times)
        )

    def happens(self, sender: str, recipients: "Sequence[str]") -> None:
        """Count it."""
        self.hits += 1
        self._counted[self._key(sender, recipients)] += 1

    def _key(self, sender: str, recipients: "Sequence[str]") -> tuple[str, ...]:
        return (sender, *recipients) if self._each else ()


class Faults(list[Fault]):
    """All that is to go wrong: at each step the first that fits decides; of delays, all that stand before it."""

    def __init__(self, faults: "Iterable[Fault]" = ()) -> None:
        super().__init__(faults)
        self._lock = Lock()

    def due(self, step: str, sender: str, recipients: "Sequence[str]") -> "tuple[float, Fault | None]":
        """What goes wrong now, which is counted.

        Returns:
            Seconds to let pass first, and the Fault that refuses or drops, or None.
        """
        seconds = 0.0
        with self._lock:
            for fault in [each for each in self if each.meant(step, sender, recipients)]:
                fault.happens(sender, recipients)
                if fault.reply is not None or fault.drops:
                    return seconds, fault
                seconds += fault.seconds
        return seconds, None


def _pattern(address: str) -> str:
    return address.lower().replace("[", "[[]")  # which begins an address literal here, and no set of characters


def _refusal(step: str, reply: Reply | str) -> Reply:
    if isinstance(reply, str):
        code, _, text = reply.partition(" ")
        if len(code) != 3 or not (code.isascii() and code.isdecimal()):
            raise ValueError(f'a reply is a text such as "550 5.1.1 No such user", not {reply!r}')
        reply = Reply(int(code), text)
    if reply.code < 400:
        raise ValueError(f"{reply} refuses nothing: 4yz and 5yz do")
    if step == "quit":
        raise ValueError("QUIT cannot be refused; disconnect() and delay() are for it")
    return reply
