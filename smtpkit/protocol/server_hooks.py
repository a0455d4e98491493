"""Which hook of a session each event of a server is for, and what is answered where the session has no such hook."""

from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.events import Connect
from smtpkit.protocol.needs import Call
from smtpkit.protocol.told import TOLD
from smtpkit.sasl.questions import QUESTIONS
from smtpkit.wire import commands as c

__all__ = ["call_of", "default_answer", "granted_to", "hook_of"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from smtpkit.protocol.events import Next
    from smtpkit.wire.replies import Reply

_HOOKS: "dict[type, str]" = {
    Connect: "on_connect",
    **dict.fromkeys((c.Ehlo, c.Helo, c.Lhlo), "on_hello"),
    c.Mail: "on_mail",
    c.Rcpt: "on_rcpt",
    **dict.fromkeys(QUESTIONS, "on_login"),
    **dict.fromkeys((c.Vrfy, c.Expn, c.Etrn, *TOLD), "on_command"),
}
_STEPS: "dict[type, str]" = {c.Mail: "on_mail", c.Rcpt: "on_rcpt", c.Data: ""}
_DECIDING = frozenset({"on_mail", "on_rcpt"})
_GRANTED: "dict[frozenset[str], frozenset[type]]" = {  # one for all connections
    hooks: frozenset(step for step, hook in _STEPS.items() if hook not in hooks)
    for hooks in map(frozenset, ((), ("on_mail",), ("on_rcpt",), ("on_mail", "on_rcpt")))
}


def hook_of(event: "Next") -> str | None:
    """The name of the hook, or None."""
    hook = _HOOKS.get(type(event))
    if hook is None and isinstance(event, c.Command) and event.verb not in c.SYNTAX:
        return "on_command"  # a command that the application has added
    return hook


def granted_to(hooks: "Collection[str]") -> "frozenset[type]":
    """The steps of a transaction that need no decision where a session has these hooks."""
    return _GRANTED[_DECIDING.intersection(hooks)]


def call_of(hook: str, event: "Next") -> Call:
    """The call of a hook."""
    return Call(hook, None if type(event) is Connect else event)


def default_answer(event: "Next", *, trusted: bool) -> "Reply | None":
    """What is answered where the session says nothing; None for the standard reply.

    That is 252 to VRFY and 502 to the others of its kind; what a trusted peer tells about its client is taken.
    """
    if hook_of(event) != "on_command" or type(event) is c.Vrfy or (trusted and type(event) in TOLD):
        return None
    return say.NOT_IMPLEMENTED
