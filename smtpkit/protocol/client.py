"""The client's side of a connection: commands and content in, octets out; octets in, replies out."""

from collections import deque

from smtpkit.errors import LocalProtocolError, ParseError, RemoteProtocolError
from smtpkit.protocol.events import NEED_DATA, AuthResponse, BodyChunk, ConnectionClosed, Transport
from smtpkit.protocol.session_use import SessionUse
from smtpkit.protocol.states import END_OF_DATA, LMTP, LMTP_REFUSALS, SMTP, SMTP_REFUSALS, State
from smtpkit.wire import commands as c
from smtpkit.wire.capabilities import Capabilities
from smtpkit.wire.dots import DotStuffer
from smtpkit.wire.lines import LineBuffer
from smtpkit.wire.replies import REPLY_OCTETS, ReplyAssembler

__all__ = ["ClientConnection"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Literal

    from smtpkit.protocol.config import ClientConfig
    from smtpkit.protocol.events import Signal
    from smtpkit.protocol.tls_facts import TLSFacts
    from smtpkit.protocol.transcript import Transcript
    from smtpkit.wire.replies import Reply

    Event = Reply | ConnectionClosed | Literal[Signal.NEED_DATA]

_CLOSED = ConnectionClosed()
_OVER, _READ = State.CLOSED, Transport.READ  # members of an Enum take their time to be found
_UNKNOWN_COMMAND = (500, 502)
_MAY_BE_INTERMEDIATE = ("DATA", "AUTH")
_LAST_CHUNK = "BDAT LAST"  # as the table of states has it
_CHUNKS = ("BDAT", _LAST_CHUNK)
_ENDS_MESSAGE = (END_OF_DATA, _LAST_CHUNK)
_UNBOUNDED = 1 << 62
_SHOWN = 80  # octets of what came that an error shows
GREETING: "Final" = "greeting"
_WITHOUT_STATUS = frozenset({GREETING, "EHLO", "HELO", "LHLO"})  # no enhanced status code (RFC 2034 section 4)


class ClientConnection:
    """SMTP or LMTP as a client, without I/O.

    `send()` takes commands and content, `data_to_send()` gives the octets; feed it with `receive_data()`,
    and `next_event()` gives the replies in order.  The exchanges of `smtpkit.protocol` decide what to send
    next; this class sees to it that it is in order, and knows which reply answers what.

    Attributes:
        state: a State, as far as the replies that came tell.
        transport: what the owner does with its transport (READ, START_TLS or CLOSE).
        capabilities: of the last EHLO; empty before it, after HELO and after STARTTLS.
        tls: facts of the TLS session, or None.
        lmtp: whether this is LMTP.
        use: what is used up of the server's LIMITS (RFC 9422).
        greeting: the server's first reply, or None before it has come.
        closing: the reply after which nothing can follow on this connection (421, one in the middle of
            content, or a BDAT that is not known), or None.
    """

    __slots__ = (
        "_accepted",
        "_ahead",
        "_assembler",
        "_bare_lf",
        "_chunk_left",
        "_eof",
        "_last_octet",
        "_lines",
        "_out",
        "_owed",
        "_refusals",
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
        self.capabilities = Capabilities()
        self.tls: TLSFacts | None = None
        self.greeting: Reply | None = None
        self.closing: Reply | None = None  # the 421, or other reply, after which nothing can follow
        self._table = LMTP if config.lmtp else SMTP
        self._refusals = LMTP_REFUSALS if config.lmtp else SMTP_REFUSALS
        self._ahead = State.CONNECTED  # the state if all that is owed turns out well
        self._owed = deque([GREETING])  # what has no reply yet, by its name in the table of states
        self._accepted = 0  # recipients of this transaction
        self._assembler = ReplyAssembler()
        self._bare_lf = False  # what came last ends in a lone LF
        self._chunk_left = 0
        self._eof = False
        self._last_octet = b""
        self._lines = LineBuffer()
        self._out: list[bytes] = []
        self._secret = b""  # what AUTH has sent last, until it is answered
        self._stuffer: DotStuffer | None = None
        self.use = SessionUse()

    def __repr__(self) -> str:
        return f"<ClientConnection: {self.state.value}, {len(self._owed)} replies owed>"

    # Sending

    def send(self, item: "c.Command | BodyChunk | AuthResponse") -> None:
        """Queue a command, a piece of content, or an answer to a challenge.

        Commands may be sent before the replies to earlier ones have come (RFC 2920); content only after
        354, or behind its BDAT.  Dots are stuffed here; newlines are not touched.

        Raises:
            LocalProtocolError: it is out of order; `.expected` says what is not.
        """
        if self.state is _OVER:
            raise self._out_of_order(type(item).__name__)
        if isinstance(item, c.Command):
            self._send_command(item)
        elif isinstance(item, BodyChunk):
            self._send_content(item)
        else:
            self._send_response(item)

    def _send_command(self, command: c.Command) -> None:
        step = _LAST_CHUNK if type(command) is c.Bdat and command.last else command.verb
        row = self._table[self._ahead]
        following = row.get(step)
        # A verb that is no standard's changes no state, and may be said where NOOP may.
        if following is None and (command.verb in c.SYNTAX or "NOOP" not in row):
            raise self._out_of_order(command.verb)
        if self._chunk_left or self.transport is not _READ:
            raise self._out_of_order(command.verb)
        octets = bytes(command)
        self._out.append(octets)
        self._owed.append(step)
        if following is not None:
            self._ahead = following
        if type(command) is c.Bdat:
            self._chunk_left = command.size
        if type(command) is c.Auth:
            self._secret = b"".join(octets.split(None, 2)[2:])
        if self.transcript is not None:
            self.transcript.command(octets)

    def _send_content(self, chunk: BodyChunk) -> None:
        if self._chunk_left or self._ahead is not State.DATA:
            return self._send_counted(chunk)
        if self.state is not State.DATA or self._owed:
            raise self._out_of_order("content")
        if self._stuffer is None:
            self._stuffer = DotStuffer()
        octets = self._stuffer.feed(chunk.data)
        end = b""
        if chunk.last:
            end = self._stuffer.finish()
            octets += end
            self._stuffer = None
            self._owed.append(END_OF_DATA)
            self._ahead = self._table[State.DATA][END_OF_DATA]
        if octets:
            self._out.append(octets)
            if self.transcript is not None:
                self.transcript.content(chunk.data + end[:-3])  # with the CRLF that it may lack
                if chunk.last:
                    self.transcript.end_of_data()
        return None

    def _send_counted(self, chunk: BodyChunk) -> None:
        expected = self._chunk_left or (self._owed and self._owed[-1] in _CHUNKS)  # BDAT 0 has an empty one
        if len(chunk.data) > self._chunk_left or not expected:
            raise self._out_of_order(f"{len(chunk.data)} octets of content")
        self._chunk_left -= len(chunk.data)
        self._out.append(chunk.data)
        if self.transcript is not None:
            self.transcript.content(chunk.data)

    def _send_response(self, response: AuthResponse) -> None:
        if self.state is not State.AUTH or self._owed:
            raise self._out_of_order("an answer to a challenge")
        self._secret = response.line()
        self._out.append(self._secret)
        self._owed.append("AUTH")
        if self.transcript is not None:
            self.transcript.secret()

    def data_to_send(self) -> bytes:
        """All octets that are to be written now; they are given once."""
        out = self._out
        if not out:
            return b""
        octets = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return octets

    # Receiving

    def receive_data(self, octets: bytes) -> None:
        """Store what came from the server; b"" says that nothing more will come.  Ignored after the end."""
        if not octets:
            self._eof = True
        elif self.state is not State.CLOSED:
            self._bare_lf = octets.endswith(b"\n") and (octets[-2:-1] or self._last_octet) != b"\r"
            self._last_octet = octets[-1:]
            self._lines.feed(octets)

    def next_event(self) -> "Event":
        """The next reply.

        Returns:
            A Reply; NEED_DATA if the server must send more; ConnectionClosed once it will not.

        Raises:
            RemoteProtocolError: what came is no reply, or nobody asked for it.  The connection can then only
                be closed.
        """
        if self.state is _OVER:
            return _CLOSED
        # The assembler bounds a reply whose lines have ended.
        while isinstance(line := self._lines.next_line(_UNBOUNDED), bytes):
            step = self._owed[0] if self._owed else None
            if self.transcript is not None:
                self.transcript.reply(line, self._secret if step == "AUTH" else b"")
            try:
                reply = self._assembler.add(line, enhanced=step not in _WITHOUT_STATUS)
            except ParseError as error:
                raise self._violation("what came is no reply", line) from error
            if reply is not None:
                return self._matched(reply)
        if len(self._lines) > REPLY_OCTETS or self._bare_lf:
            # Whoever ends lines with LF sends no more: waiting would be in vain.
            raise self._violation("a reply line without CRLF", self._lines.take(_SHOWN))
        if self._eof:
            self._close()
            return _CLOSED
        return NEED_DATA

    def _matched(self, reply: "Reply") -> "Reply":
        code = reply.code
        if code == 421:
            self.closing = reply
        owed = self._owed
        if not owed:
            return self._unasked(reply)
        step = owed[0]
        if (300 <= code < 400 and step not in _MAY_BE_INTERMEDIATE) or (code < 300 and step == "DATA"):
            raise self._violation(f"{code} in answer to {step}", bytes(reply), expected="another class of reply")
        # LMTP answers the end of a message once for each accepted recipient (RFC 2033 section 4.2).
        if self.lmtp and step in _ENDS_MESSAGE and self._accepted > 1:
            self._accepted -= 1
            return reply
        owed.popleft()
        if code < 400:
            self._succeeded(step, reply)
        else:
            self._failed(step, reply)
        if not owed and not self._chunk_left:
            self._ahead = self.state
        if self.lmtp and owed and owed[0] in _ENDS_MESSAGE and not self._accepted:
            owed.popleft()  # nobody to answer for
            self._ahead = self.state
        return reply

    def _unasked(self, reply: "Reply") -> "Reply":
        # In the middle of content a server may give up early; nothing can follow on this connection.
        if self._ahead is State.DATA and reply.code >= 400:
            self.closing = self.closing or reply
            return reply
        raise self._violation("a reply that nobody asked for", bytes(reply))

    def _succeeded(self, step: str, reply: "Reply") -> None:
        if step in _ENDS_MESSAGE:
            self.state = State.READY
            self._accepted = 0
            return
        # A server that gives 354 where it should not must still be given content (RFC 2920 section 3.1).
        following = State.DATA if step == "DATA" else self._table[self.state].get(step)
        if following is not None:
            self.state = following
        if step == "RCPT":
            self._accepted += 1
        elif step == "MAIL" or step == "RSET":
            self._accepted = 0
        elif step == "AUTH":
            self._secret = b""
            self.state = State.AUTH if reply.is_intermediate else State.READY
        elif step == GREETING:
            self.state = State.CONNECTED
            self.greeting = reply
        elif step == "EHLO" or step == "LHLO":
            self.capabilities = Capabilities.parse(reply, self.config.dialect.readers)
        elif step == "HELO":
            self.capabilities = Capabilities()
        elif step == "STARTTLS":
            self._starttls()
        elif step == "QUIT":
            self._close()

    def _failed(self, step: str, reply: "Reply") -> None:
        following = self._refusals[self.state].get(step)
        if following is not None:
            self.state = following
        if step in _ENDS_MESSAGE:
            self._accepted = 0
        elif step == "AUTH":
            self._secret = b""
        if step in _CHUNKS and reply.code in _UNKNOWN_COMMAND:
            self.closing = reply  # it has taken the chunk for commands, or will

    def _starttls(self) -> None:
        if len(self._lines):
            # Octets behind the 220 were put there by somebody else (RFC 3207 section 4.2).
            raise self._violation("octets in clear behind the reply to STARTTLS", self._lines.take(_SHOWN))
        self.transport = Transport.START_TLS

    def tls_established(self, facts: "TLSFacts") -> None:
        """TLS is up: what was learnt from the server before it is forgotten (RFC 3207 section 4.2).

        Raises:
            LocalProtocolError: TLS can begin with the connection or after STARTTLS only.
        """
        if self.state is not State.GREETING and self.transport is not Transport.START_TLS:
            raise LocalProtocolError("tls_established() where TLS cannot begin", state=self.state.value)
        self.tls = facts
        self.capabilities = Capabilities()
        self.transport = Transport.READ
        if self.transcript is not None:
            self.transcript.tls(facts.version)

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
        return self.idle and not self._eof and not len(self._lines)

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
        return END_OF_DATA if step == _LAST_CHUNK else step

    def _close(self) -> None:
        self.state = self._ahead = State.CLOSED
        self.transport = Transport.CLOSE
        self._lines = LineBuffer()
        if self.transcript is not None:
            self.transcript.flush()

    def _out_of_order(self, what: str) -> LocalProtocolError:
        allowed = [verb for verb in self._table[self._ahead] if verb != END_OF_DATA]
        if self._chunk_left:
            allowed = [f"{self._chunk_left} octets of content"]
        elif self._ahead is State.DATA:
            allowed = ["the reply to DATA" if self._owed else "content"]
        elif self.state is State.AUTH:
            allowed = ["an answer to the challenge"]
        expected = ", ".join(allowed) or "nothing"
        return LocalProtocolError(f"{what} is out of order", state=self._ahead.value, expected=expected, received=what)

    def _violation(self, what: str, octets: bytes, expected: str = "") -> RemoteProtocolError:
        state, waiting = self.state.value, self.waiting_for
        self._close()
        expected = expected or (f"a reply to {waiting}" if self._owed else "nothing")
        return RemoteProtocolError(what, state=state, expected=expected, received=octets)
