"""The client's side of a connection: commands and content in, octets out; octets in, replies out."""

from smtpkit.errors import ParseError, RemoteProtocolError
from smtpkit.protocol.client_state import GREETING, MAY_BE_FOLLOWED, NOTHING, ClientState
from smtpkit.protocol.command_groups import ACCEPTANCE, plain_group
from smtpkit.protocol.events import NEED_DATA, AuthResponse, BodyChunk, ConnectionClosed, Transport
from smtpkit.protocol.states import END_OF_DATA, INTERMEDIATE, LAST_CHUNK, RESPONSE, State
from smtpkit.wire import commands as c
from smtpkit.wire.capabilities import Capabilities
from smtpkit.wire.dots import DotStuffer
from smtpkit.wire.replies import REPLY_OCTETS, known_replies

__all__ = ["ClientConnection"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from smtpkit.protocol.command_groups import CommandGroup
    from smtpkit.protocol.events import Signal
    from smtpkit.protocol.tls_facts import TLSFacts
    from smtpkit.wire.replies import Reply

    Event = Reply | ConnectionClosed | Literal[Signal.NEED_DATA]

_CLOSED = ConnectionClosed()
_OVER, _READ = State.CLOSED, Transport.READ  # members of an Enum take their time to be found
_UNKNOWN_COMMAND = (500, 502)
_MAY_BE_INTERMEDIATE = frozenset(step for _, step in INTERMEDIATE)
_LOGIN = ("AUTH", RESPONSE)
_MOVES_ON = frozenset({"MAIL", "RCPT", "RSET"})  # success changes the state, and the number of recipients
_CHUNKS = ("BDAT", LAST_CHUNK)
_MORE_FOLLOWS = frozenset({c.Bdat, c.Auth})
_ENDS_MESSAGE = (END_OF_DATA, LAST_CHUNK)
_UNBOUNDED = 1 << 62
_SHOWN = 80  # octets of what came that an error shows
_REFUSALS = (b"4", b"5")  # how their codes begin
_WITHOUT_STATUS = frozenset({GREETING, "EHLO", "HELO", "LHLO"})  # no enhanced status code (RFC 2034 section 4)


class ClientConnection(ClientState):
    """SMTP or LMTP as a client, without I/O.

    `send()` takes commands and content, `data_to_send()` gives the octets; feed it with `receive_data()`,
    and `next_event()` gives the replies in order.  The exchanges of `smtpkit.protocol` decide what to send
    next; this class sees to it that it is in order, and knows which reply answers what.

    Args:
        config: how the client presents itself.
        transcript: records the session; None for nobody.

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

    __slots__ = ()

    # Sending

    def send(self, *items: "c.Command | BodyChunk | AuthResponse") -> None:
        """Queue commands, pieces of content, or answers to challenges.

        Commands may be sent before the replies to MAIL, RCPT, RSET, BDAT, XFORWARD and content have come, and behind
        no other (RFC 2920 section 3.1); content only after 354, or behind its BDAT.  Dots are stuffed here;
        newlines are not touched.

        Raises:
            LocalProtocolError: one is out of order; `.expected` says what is not.  Those before it are queued.
            RemoteProtocolError: a reply lies there that nobody asked for, and would be taken for the answer.
            TypeError: one is none of these.
        """
        if not self._owed and (len(self._lines) or self._assembler.incomplete) and self.state is not _OVER:
            self._refuse_unasked()
        if self._send_group(items):
            return
        table, out, owed, transcript = self._table, self._out, self._owed, self.transcript
        for item in items:
            if not isinstance(item, c.Command):
                self._send_other(item)
                continue
            step = LAST_CHUNK if type(item) is c.Bdat and item.last else item.verb
            row = table[self._ahead]
            following = row.get(step)
            if following is None:
                # A verb that is no standard's changes no state, and may be said where NOOP may.
                if item.verb in c.SYNTAX or "NOOP" not in row:
                    raise self._out_of_order(item.verb)
                following = self._ahead
            if self._chunk_left or self.transport is not _READ or (owed and owed[-1] not in MAY_BE_FOLLOWED):
                raise self._out_of_order(item.verb)
            octets = bytes(item)
            out.append(octets)
            owed.append(step)
            self._ahead = following
            if type(item) in _MORE_FOLLOWS:
                self._note(item, octets)
            if transcript is not None:
                transcript.command(octets)

    def _send_group(self, items: "tuple[c.Command | BodyChunk | AuthResponse, ...]") -> bool:
        # All of a group at once if its commands are plain and in order, as mostly; False if they are not.
        if self._owed or self.transcript is not None or self.transport is not _READ or self._chunk_left:
            return False
        group = plain_group(self._ahead, tuple(map(type, items)))
        if group is None:
            return False
        self._out += map(bytes, items)  # type: ignore[arg-type]  # commands alone
        self._owed += group.steps
        self._ahead = group.state
        self._group = group
        return True

    def _refuse_unasked(self) -> None:
        # What lies there would be taken for the answer to what is sent now.  Of 421, which a server may say at any
        # time (RFC 5321 section 3.8), and of a refusal in the middle of content that is right.
        code = self._assembler.code or self._lines.peek(3)
        if code[:1] in _REFUSALS if self._ahead is State.DATA else b"421".startswith(code):
            return
        try:
            while self._take([], 1) is None:
                pass  # a reply of many lines
            raise self._violation("a reply that nobody asked for", self._lines.take(_SHOWN))
        except RemoteProtocolError as error:
            error.flushed = False  # what was to be sent stays here
            raise

    def _note(self, command: c.Command, octets: bytes) -> None:
        if isinstance(command, c.Bdat):
            self._chunk_left = command.size
        else:
            self._secret = b"".join(octets.split(None, 2)[2:])

    def _send_other(self, item: "BodyChunk | AuthResponse") -> None:
        if not isinstance(item, (BodyChunk, AuthResponse)):
            raise TypeError(f"a command, a BodyChunk or an AuthResponse is sent, not {item!r}")
        if self.state is _OVER:
            raise self._out_of_order(type(item).__name__)
        if isinstance(item, BodyChunk):
            self._send_content(item)
        else:
            self._send_response(item)

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
            if not self.lmtp and self.transcript is None:
                self._group = ACCEPTANCE
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
        self._owed.append(RESPONSE)
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
        elif self.state is not _OVER:
            self._lines.feed(octets)

    def next_event(self) -> "Event":
        """The next reply.

        Returns:
            A Reply; NEED_DATA if the server must send more; ConnectionClosed once it will not.

        Raises:
            RemoteProtocolError: what came is no reply, or nobody asked for it.  The connection can then only
                be closed.
        """
        replies: list[Reply] = []
        self._group = None
        while not replies:
            if (missing := self._take(replies, 1)) is not None:
                return missing
        return replies[0]

    def take_replies(self, replies: "list[Reply]") -> "ConnectionClosed | Literal[Signal.NEED_DATA] | None":
        """Append the replies that have come to what is owed, as `next_event()` gives them one by one.

        Returns:
            None once nothing is owed; else why there are no more: NEED_DATA or ConnectionClosed.

        Raises:
            RemoteProtocolError: as `next_event()`; the replies before it were appended.
        """
        while owed := len(self._owed):
            # Each reply has a line or more; but what LMTP owes may turn out to be less.
            if (missing := self._take(replies, 1 if self.lmtp else owed)) is not None:
                return missing
        return None

    def _take(self, replies: "list[Reply]", lines: int) -> "ConnectionClosed | Literal[Signal.NEED_DATA] | None":
        # So many lines, or those that have come; not None if there are none.
        if self.state is _OVER:
            return _CLOSED
        owed, table, add, transcript = self._owed, self._table, self._assembler.add, self.transcript
        came = self._lines.next_lines(lines)
        if self._group is not None:
            group, self._group = self._group, None
            if self._fulfilled(group, came, replies):
                return None
        for line in came:
            step = owed[0] if owed else None
            if transcript is not None:
                transcript.reply(line, self._secret if step in _LOGIN else b"")
            try:
                reply = add(line, step not in _WITHOUT_STATUS)
            except ParseError as error:
                if step in _LOGIN:  # a server may repeat what it was told
                    error.args, error.octets = (error.what,), b""
                raise self._violation(f"what came is no reply: {error.what}", line or b"\r\n") from error
            if reply is not None:
                if step in _MOVES_ON and reply.code < 300:
                    owed.popleft()
                    self.state = table[self.state].get(step, self.state)
                    self._accepted = self._accepted + 1 if step == "RCPT" else 0
                else:
                    self._matched(reply, step)
                replies.append(reply)
        if not came:
            return self._starved()
        if not owed:
            if not self._chunk_left:
                self._ahead = self.state
        elif self.lmtp and owed[0] in _ENDS_MESSAGE and not self._accepted:
            owed.popleft()  # nobody to answer for
            self._ahead = self.state
        return None

    def _fulfilled(self, group: "CommandGroup", came: "list[bytes]", replies: "list[Reply]") -> bool:
        # Whether a whole group was answered, in lines that servers say often, and all is well.
        if len(self._owed) != len(group.codes) or self._assembler.incomplete:  # more was sent since, or has come
            return False
        found = known_replies(came)
        if found is None or [reply.code for reply in found] != group.codes:
            return False
        replies += found
        self._owed.clear()
        self.state = group.state
        self._accepted = group.recipients + (0 if group.afresh else self._accepted)
        return True

    def _starved(self) -> "ConnectionClosed | Literal[Signal.NEED_DATA]":
        # The assembler bounds a reply whose lines have ended.  Whoever ends lines with LF sends no more: waiting
        # would be in vain.
        lines = self._lines
        if len(lines) > REPLY_OCTETS or lines.last_octet == b"\n":
            raise self._violation("a reply line without CRLF", self._lines.take(_SHOWN))
        if self._eof:
            self._close()
            return _CLOSED
        return NEED_DATA

    def _matched(self, reply: "Reply", step: str | None) -> None:
        code = reply.code
        if code == 421:
            self.closing = reply
        if step is None:
            # In the middle of content a server may give up early; nothing can follow on this connection.
            if self._ahead is not State.DATA or code < 400:
                raise self._violation("a reply that nobody asked for", bytes(reply))
            self.closing = self.closing or reply
        elif (300 <= code < 400 and step not in _MAY_BE_INTERMEDIATE) or (code < 300 and step == "DATA"):
            raise self._violation(f"{code} in answer to {step}", bytes(reply), expected="another class of reply")
        elif self.lmtp and step in _ENDS_MESSAGE and self._accepted > 1:
            # LMTP answers the end of a message once for each accepted recipient (RFC 2033 sections 4.2, 4.3).
            self._accepted -= 1
        else:
            self._owed.popleft()
            self.state = self._outcomes[code // 100][self.state].get(step, self.state)
            act = (_ON_SUCCESS if code < 400 else _ON_REFUSAL).get(step)
            if act is not None:
                act(self, reply)

    # What a reply does besides moving the state.

    def _greeted(self, reply: "Reply") -> None:
        self.greeting = reply

    def _introduced(self, reply: "Reply") -> None:
        self.capabilities = Capabilities.parse(reply, self.config.dialect.readers)

    def _introduced_plainly(self, reply: "Reply") -> None:
        self.capabilities = NOTHING

    def _answered_login(self, reply: "Reply") -> None:
        self._secret = b""

    def _ended_message(self, reply: "Reply") -> None:
        self._accepted = 0

    def _refused_chunk(self, reply: "Reply") -> None:
        if reply.code in _UNKNOWN_COMMAND:
            self.closing = reply  # it has taken the chunk for commands, or will

    def _refused_last_chunk(self, reply: "Reply") -> None:
        self._ended_message(reply)
        self._refused_chunk(reply)

    def _left(self, reply: "Reply") -> None:
        self._close()

    def _may_begin_tls(self, reply: "Reply") -> None:
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
            raise self._out_of_order("tls_established()")
        self.tls = facts
        self.capabilities = NOTHING
        self.transport = Transport.READ
        if self.transcript is not None:
            self.transcript.tls(facts.version)


_ON_SUCCESS: "dict[str, Callable[[ClientConnection, Reply], None]]" = {
    GREETING: ClientConnection._greeted,
    "EHLO": ClientConnection._introduced,
    "LHLO": ClientConnection._introduced,
    "HELO": ClientConnection._introduced_plainly,
    "STARTTLS": ClientConnection._may_begin_tls,
    "AUTH": ClientConnection._answered_login,
    RESPONSE: ClientConnection._answered_login,
    END_OF_DATA: ClientConnection._ended_message,
    LAST_CHUNK: ClientConnection._ended_message,
    "QUIT": ClientConnection._left,
}
_ON_REFUSAL: "dict[str, Callable[[ClientConnection, Reply], None]]" = {
    "AUTH": ClientConnection._answered_login,
    RESPONSE: ClientConnection._answered_login,
    END_OF_DATA: ClientConnection._ended_message,
    "BDAT": ClientConnection._refused_chunk,
    LAST_CHUNK: ClientConnection._refused_last_chunk,
}
