"""What a client knows of its connection: where it stands, what is owed, and what it may do next."""

from collections import deque

from smtpkit.errors import LocalProtocolError, RemoteProtocolError
from smtpkit.protocol.events import Transport
from smtpkit.protocol.session_use import SessionUse
from smtpkit.protocol.states import (
    END_OF_DATA,
    LAST_CHUNK,
    LMTP,
    LMTP_OUTCOMES,
    NOT_COMMANDS,
    RESPONSE,
    SMTP,
    SMTP_OUTCOMES,
    State,
)
from smtpkit.wire.capabilities import Capabilities
from smtpkit.wire.lines import LineBuffer
from smtpkit.wire.replies import ReplyAssembler

__all__ = ["GREETING", "MAY_BE_FOLLOWED", "NOTHING", "ClientState"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from smtpkit.protocol.command_groups import CommandGroup
    from smtpkit.protocol.config import ClientConfig
    from smtpkit.protocol.extensions import Extension
    from smtpkit.protocol.tls_facts import TLSFacts
    from smtpkit.protocol.transcript import Transcript
    from smtpkit.wire.dots import DotStuffer
    from smtpkit.wire.replies import Reply

GREETING: "Final" = "greeting"
NOTHING = Capabilities()  # what is known to be offered before EHLO

# What may have something behind it before its reply has come: of the commands of RFC 5321 three, and content
# (RFC 2920 section 3.1); chunks (RFC 3030 section 4.2); and what its own document lets through (Postfix's of XFORWARD).
# Any other command is the last of a group, as is each whose extension says nothing.
MAY_BE_FOLLOWED = frozenset({GREETING, "MAIL", "RCPT", "RSET", END_OF_DATA, "BDAT", LAST_CHUNK, "XFORWARD"})

_WAITS = {LAST_CHUNK: END_OF_DATA, RESPONSE: "AUTH"}  # whose names for a user are others than in the table of states
_OVER = State.CLOSED  # members of an Enum take their time to be found


class ClientState:
    """Where a connection stands, as far as the replies that came tell.

    Args:
        config: how the client presents itself.
        transcript: records the session; None for nobody.
    """

    __slots__ = (
        "_accepted",
        "_ahead",
        "_assembler",
        "_chunk_left",
        "_eof",
        "_group",
        "_lines",
        "_out",
        "_outcomes",
        "_owed",
        "_secret",
        "_stuffer",
        "_table",
        "capabilities",
        "closing",
        "config",
        "greeting",
        "lmtp",
        "state",
        "tls",
        "transcript",
        "transport",
        "use",
    )

    def __init__(self, config: "ClientConfig", *, transcript: "Transcript | None" = None) -> None:
        self.config = config
        self.lmtp = config.lmtp
        self.transcript = transcript
        self.state = State.GREETING
        self.transport = Transport.READ
        self.capabilities = NOTHING
        self.tls: TLSFacts | None = None
        self.greeting: Reply | None = None
        self.closing: Reply | None = None  # the 421, or other reply, after which nothing can follow
        self._table = LMTP if config.lmtp else SMTP
        self._outcomes = LMTP_OUTCOMES if config.lmtp else SMTP_OUTCOMES
        self._ahead = State.CONNECTED  # the state if all that is owed turns out well
        self._owed = deque([GREETING])  # what has no reply yet, by its name in the table of states
        self._accepted = 0  # recipients of this transaction
        self._assembler = ReplyAssembler()
        self._chunk_left = 0
        self._eof = False
        self._group: CommandGroup | None = None  # that was sent last, until something has come
        self._lines = LineBuffer()
        self._out: list[bytes] = []
        self._secret = b""  # what AUTH has sent last, until it is answered
        self._stuffer: DotStuffer | None = None
        self.use = SessionUse()

    def __repr__(self) -> str:
        return f"<ClientConnection: {self.state.value}, {len(self._owed)} replies owed>"

    # Facts

    @property
    def closed(self) -> bool:
        """True once nothing more will come of this connection."""
        return self.state is State.CLOSED

    @property
    def idle(self) -> bool:
        """Whether a new exchange may begin: nothing is owed and no transaction is open."""
        return not self._owed and not self._chunk_left and self.state in (State.READY, State.CONNECTED)

    @property
    def owed(self) -> int:
        """The number of commands and contents that have no reply yet."""
        return len(self._owed)

    @property
    def quiet(self) -> bool:
        """Whether a new exchange may begin, and nothing has come unasked: no reply, no end of the stream."""
        return self.idle and self.silent

    @property
    def silent(self) -> bool:
        """Whether all that has come was taken: there is no octet more, no end of the stream, and none was said."""
        return not self._eof and self.state is not _OVER and not len(self._lines)

    @property
    def unread(self) -> int:
        """Octets received and not yet consumed."""
        return len(self._lines)

    @property
    def waiting_for(self) -> str:
        """What the next reply answers: "greeting", a verb, "end of data"; or "body" while content is sent."""
        if not self._owed:
            return "body" if self.state is State.DATA or self._chunk_left else "command"
        step = self._owed[0]
        return _WAITS.get(step, step)

    def missing(self, verb: str) -> "Extension | None":
        """The extension that a verb belongs to, where the server does not offer it; None where nothing is missing."""
        extension = self.config.owners.verbs.get(verb)
        return None if extension is None or extension.keyword in self.capabilities else extension

    def _close(self) -> None:
        self.state = self._ahead = State.CLOSED
        self.transport = Transport.CLOSE
        self._lines = LineBuffer()
        if self.transcript is not None:
            self.transcript.flush()

    def _out_of_order(self, what: str) -> LocalProtocolError:
        allowed = list(filter(self._may_be_said, self._table[self._ahead]))
        if self.transport is Transport.START_TLS:
            allowed = ["tls_established()"]
        elif self._owed and self._owed[-1] not in MAY_BE_FOLLOWED:
            allowed = [f"the reply to {_WAITS.get(self._owed[-1], self._owed[-1])}"]
        elif self._chunk_left:
            allowed = [f"{self._chunk_left} octets of content"]
        elif self._ahead is State.DATA:
            allowed = ["the reply to DATA" if self._owed else "content"]
        elif self.state is State.AUTH:
            allowed = ["an answer to the challenge"]
        expected = ", ".join(allowed) or "nothing"
        return LocalProtocolError(f"{what} is out of order", state=self._ahead.value, expected=expected, received=what)

    def _may_be_said(self, verb: str) -> bool:
        return verb not in NOT_COMMANDS and verb != LAST_CHUNK and self.missing(verb) is None

    def _violation(self, what: str, octets: bytes, expected: str = "") -> RemoteProtocolError:
        state, waiting = self.state, self.waiting_for
        self._close()
        if not expected:
            expected = "the greeting" if waiting == GREETING else f"a reply to {waiting}" if self._owed else "nothing"
        if waiting == "AUTH" or state is State.AUTH:
            octets = b"<hidden>"  # a server may repeat what it was told
        return RemoteProtocolError(what, state=state.value, expected=expected, received=octets)
