"""What is known of a session, for the hooks that the user writes, and what these may return."""

from functools import cached_property
from os import urandom

from smtpkit.errors import ReplyError
from smtpkit.protocol.standard_replies import INTERNAL_ERROR
from smtpkit.wire.replies import Reply

__all__ = ["HOOKS", "SessionFacts", "checked", "failure_reply"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.server import ServerConnection
    from smtpkit.protocol.tls_facts import TLSFacts

HOOKS = frozenset(
    {
        "on_body",
        "on_close",
        "on_command",
        "on_connect",
        "on_hello",
        "on_login",
        "on_mail",
        "on_message",
        "on_rcpt",
        "on_reset",
    }
)


class SessionFacts:
    """The facts of one session; the Session of each adapter adds the hooks.

    Attributes:
        peer: (host, port) of the client; its credentials are not known over a unix socket: "" then.
        local: (host, port) of the own end.
        told: the attributes of XCLIENT, where a trusted peer has sent it; `peer`, `local`, `hello_name` and
            `identity` are those of the client that it tells of.  "" is what it does not know.
        identifier: what the Received field of the message under way says after "id", for the log; "" where there is
            none.
        forwarded: the attributes of XFORWARD, of the message that comes next or is under way.
    """

    peer: "Any" = ""
    local: "Any" = ""
    told: "Mapping[str, str]" = {}
    forwarded: "Mapping[str, str]" = {}
    identifier: str = ""
    _core: "ServerConnection"
    _failures = 0  # exceptions of its hooks
    _let_in = False  # whether the observer was told that it came

    @cached_property
    def id(self) -> str:
        """Names the session in log lines; not to be guessed.  It is made when it is first asked for."""
        return urandom(5).hex()

    @property
    def address(self) -> str | None:
        """The IP address of the client; None where there is none, as over a unix socket."""
        return self.peer[0] if isinstance(self.peer, tuple) else None

    @property
    def tls(self) -> "TLSFacts | None":
        """Facts of the TLS session, None in clear."""
        return self._core.tls

    @property
    def hostname(self) -> str:
        """What the server calls itself in greeting and EHLO reply."""
        return self._core.config.hostname

    @property
    def hello_name(self) -> str | None:
        """What the client calls itself in EHLO, HELO or LHLO."""
        return self.told.get("HELO") or self._core.hello_name

    @property
    def identity(self) -> str | None:
        """Who logged in, None before that."""
        return self._core.identity

    @property
    def protocol(self) -> str:
        """The WITH keyword of a Received field, such as "ESMTPSA" (RFC 3848)."""
        return self._core.protocol

    @property
    def envelope(self) -> "Envelope | None":
        """The open mail transaction as far as it was accepted, None between transactions."""
        return self._core.envelope


def checked(hook: str, answer: "Any", replies: int | None = None) -> "Any":
    """What a hook returned, if it may return that.

    Args:
        hook: its name.
        answer: what it returned.
        replies: how many a sequence of replies must hold (`ServerDriver.replies`); None for any number.

    Raises:
        ParseError: of on_login, it begins as a stored record does, and is not one.
        TypeError: it is neither None nor a Reply that decides, nor what this hook alone may return.
    """
    if answer is None:
        return None
    if isinstance(answer, Reply):
        if answer.is_intermediate or (hook == "on_login" and answer.code < 400):
            raise TypeError(f"{hook} does not return a Reply of {answer.code}")
        if hook == "on_hello" and answer.is_positive and (answer.code != 250 or len(answer.lines) > 1):
            raise TypeError("on_hello accepts with 250 and one line: the keywords are those of the configuration")
        return answer
    if hook == "on_login":
        return _read(answer)
    is_sequence = hook in ("on_message", "on_body") and isinstance(answer, (list, tuple))
    if is_sequence and all(isinstance(each, Reply) and not each.is_intermediate for each in answer):
        if replies is not None and len(answer) != replies:
            wanted = f"one for each of {replies} recipients" if replies else "one, since this is not LMTP"
            raise TypeError(f"{hook} returned a sequence of {len(answer)} replies: {wanted} is wanted")
        return answer
    raise TypeError(f"{hook} returns None or a Reply, not {type(answer).__name__}")


def failure_reply(error: Exception) -> Reply:
    """What the client is told when a hook raised this: the reply of a ReplyError, else 451 4.3.0 without a reason.

    The text of other exceptions is for the log: it may hold what no client should see.
    """
    return error.reply if isinstance(error, ReplyError) else INTERNAL_ERROR


def _read(answer: "Any") -> "Any":
    if not isinstance(answer, str) or "$" not in answer:
        return answer  # no text of a record
    from smtpkit.sasl.records import read_secret

    return read_secret(answer)
