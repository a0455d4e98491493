"""UTF-8 in the application's replies: where RFC 6531 section 3.7.4 allows it, and what is said elsewhere."""

from smtpkit.protocol import standard_replies as say
from smtpkit.wire import commands as c
from smtpkit.wire.replies import Reply

__all__ = ["spelled"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.protocol.events import Event

_MOVED = (251, 551)  # the replies to RCPT that hold an address
_AMBIGUOUS = 553  # the one to VRFY that does (RFC 5321 section 3.5.1)


def spelled(event: "Event | None", reply: Reply, *, smtputf8: bool) -> Reply:
    """A reply as it may be said, whose text is not all ASCII.

    Args:
        event: what it answers.
        reply: as the application has it.
        smtputf8: whether the MAIL of this transaction carried SMTPUTF8.

    Returns:
        The reply, sent as UTF-8 where the client allows that; where it does not, one without the address that needs
        it; and the reply as it is, whose "?" stand for what is not ASCII, where no address can be meant.
    """
    if type(event) is c.Rcpt and reply.code in _MOVED:
        if smtputf8:
            return reply.in_utf8()
        return say.RCPT_OK if reply.is_positive else say.MOVED
    if isinstance(event, c.Vrfy | c.Expn):
        if event.smtputf8:
            return reply.in_utf8()
        if reply.is_positive:
            return say.CANNOT_VERIFY_IN_ASCII
        if reply.code in (*_MOVED, _AMBIGUOUS):
            return say.NEEDS_UTF8
    return reply
