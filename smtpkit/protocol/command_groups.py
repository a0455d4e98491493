"""Plain command groups (RFC 2920), whose usual replies lead to a state that is looked up for the group as a whole."""

from functools import lru_cache

from smtpkit.protocol.states import END_OF_DATA, SMTP, State
from smtpkit.wire import commands as c

__all__ = ["ACCEPTANCE", "CommandGroup", "plain_group"]

_PLAIN = frozenset({c.Mail, c.Rcpt, c.Data, c.Rset})  # whose replies say yes or no, and nothing else
_AFRESH = frozenset({"MAIL", "RSET", END_OF_DATA})


class CommandGroup:
    """The steps of a group, and what they lead to if each is answered as mostly.

    Args:
        steps: what is sent, by its names in the table of states; what begins afresh stands first.
        state: the state in the end.

    Attributes:
        codes: of the usual replies.
        recipients: how many more the transaction has then.
        afresh: whether those before them do not count any more.
    """

    __slots__ = ("afresh", "codes", "recipients", "state", "steps")

    def __init__(self, steps: "tuple[str, ...]", state: State) -> None:
        self.steps = steps
        self.state = state
        self.codes = [354 if step == "DATA" else 250 for step in steps]
        self.recipients = steps.count("RCPT")
        self.afresh = steps[0] in _AFRESH


ACCEPTANCE = CommandGroup((END_OF_DATA,), State.READY)


@lru_cache(256)
def plain_group(state: State, kinds: "tuple[type, ...]") -> CommandGroup | None:
    """What becomes of commands of these types; None if they are not all of one mail transaction, and in order."""
    if not _PLAIN.issuperset(kinds):
        return None
    steps = tuple(kind.verb for kind in kinds)  # type: ignore[attr-defined]
    for index, step in enumerate(steps):
        following = SMTP[state].get(step)  # LMTP has the same rows for these verbs
        if following is None or (index and step in _AFRESH):
            return None
        state = following
    return CommandGroup(steps, state) if steps else None
