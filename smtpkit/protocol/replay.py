"""A transcript played again: a scripted server for a live client, and a scripted client for a live server."""

from collections import deque

from smtpkit.errors import LocalProtocolError, ParseError, ReplayMismatch
from smtpkit.protocol.events import Transport
from smtpkit.protocol.replay_turns import Content, Said, TLSTurn, chunk_size, turns
from smtpkit.protocol.transcript import without_secrets
from smtpkit.protocol.transcript_entries import CLIENT, SERVER
from smtpkit.wire.dots import DotStuffer, DotUnstuffer, dot_stuff
from smtpkit.wire.lines import LineBuffer
from smtpkit.wire.replies import ReplyAssembler

__all__ = ["ScriptedClient", "ScriptedServer"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from smtpkit.protocol.tls_facts import TLSFacts
    from smtpkit.protocol.transcript import Transcript
    from smtpkit.protocol.transcript_entries import Line
    from smtpkit.wire.replies import Reply

_UNBOUNDED = 1 << 62
_SHOWN = 80  # octets of what came that an error shows


class _Script:
    """One side of a transcript: it says its own turns, and checks that the peer says the other ones."""

    _speaker = ""
    if TYPE_CHECKING:

        def _hears(self, turn: "Said | Content") -> bool: ...

    def __init__(self, transcript: "Transcript", *, strict: bool = False, secrets: "Iterable[bytes]" = ()) -> None:
        self._turns = deque(turns(transcript))
        self._end = len(transcript.entries) + 1
        self._strict = strict
        self._secrets = iter(secrets)
        self._input = LineBuffer()
        self._out: list[bytes] = []
        self.transport = Transport.READ
        self._go_on()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._turns)} turns left>"

    @property
    def done(self) -> bool:
        """Whether the transcript was played to its end."""
        return not self._turns

    def data_to_send(self) -> bytes:
        """All octets that are to be written now; they are given once."""
        octets = b"".join(self._out)
        self._out.clear()
        return octets

    def receive_data(self, octets: bytes) -> None:
        """Take what the peer has sent; b"" says that nothing more will come.

        Raises:
            ReplayMismatch: it is not what the transcript has.
        """
        self._input.feed(octets)
        self._go_on()
        if not octets and self._turns:
            raise self._mismatch("the end of the stream")

    def tls_established(self, facts: "TLSFacts | None" = None) -> None:
        """TLS is up; any will do.

        Raises:
            LocalProtocolError: it does not begin here.
        """
        if self.transport is not Transport.START_TLS:
            raise LocalProtocolError("tls_established() where TLS does not begin", expected=self._expected())
        self._turns.popleft()
        self.transport = Transport.READ
        self._go_on()

    def _go_on(self) -> None:
        while self._turns and self._step(self._turns[0]):
            self._turns.popleft()
        if not self._turns:
            self.transport = Transport.CLOSE
            if len(self._input):
                raise self._mismatch(self._input.take(_SHOWN))

    def _step(self, turn: "Said | Content | TLSTurn") -> bool:
        # Whether the turn is over.
        if isinstance(turn, TLSTurn):
            if len(self._input):
                raise self._mismatch(self._input.take(_SHOWN))
            self.transport = Transport.START_TLS
            return False
        if turn.speaker != self._speaker:
            return self._hears(turn)
        if isinstance(turn, Content):
            self._out.append(_on_the_wire(turn))
        else:
            self._out += [self._spoken(line, turn.number) for line in turn.lines]
        return True

    def _spoken(self, line: "Line", number: int) -> bytes:
        octets = line.octets
        if line.hidden:
            secret = next(self._secrets, b"" if self._speaker == SERVER else None)
            if secret is None:
                what = f"line {number} of the transcript is hidden"
                raise LocalProtocolError(what, expected="one more of secrets", received=str(line))
            octets = octets + b" " + secret if octets else secret
        return octets + b"\r\n" if line.ended else octets

    def _expected(self) -> str:
        return str(self._turns[0]) if self._turns else "nothing more"

    def _mismatch(self, received: "str | bytes | Line") -> ReplayMismatch:
        number = self._turns[0].number if self._turns else self._end
        return ReplayMismatch(number, self._expected(), received)


class ScriptedServer(_Script):
    """A server that answers a live client as the transcript has it, and checks what the client says.

    It has the surface of a connection, `receive_data()`, `data_to_send()`, `transport`, and no I/O.  Commands must
    be those of the transcript, but for the numbers of SIZE and BDAT; where a secret is hidden, any will do.
    Content may be any, so that a session can be replayed by whoever has not got the message.

    Args:
        transcript: what to play.
        strict: True to check those numbers and the content too, as far as the transcript has it.
        secrets: octets for the challenges that are hidden, as they are on the wire, in their order.  Without them
            they are empty, which does for PLAIN and LOGIN; a challenge of SCRAM cannot be known beforehand.

    Attributes:
        transport: READ, START_TLS (send what is to be sent, make TLS, call `tls_established()`) or CLOSE.

    Raises:
        ParseError: the transcript has content where there can be none.
    """

    _speaker = SERVER
    _after_auth = False
    _chunk = 0  # octets that the client has announced
    _dots: DotUnstuffer | None = None
    _heard: list[bytes]  # pieces of the content under way
    _size = 0  # of these together

    def _hears(self, turn: "Said | Content") -> bool:
        if isinstance(turn, Content):
            return self._hears_content(turn)
        octets = self._input.next_line(_UNBOUNDED)
        if not isinstance(octets, bytes):
            return False
        if not self._agrees(octets, turn.lines[0]):
            raise self._mismatch(without_secrets(octets, after_auth=self._after_auth))
        self._after_auth = self._after_auth or turn.lines[0].hidden
        self._chunk = chunk_size(octets) or 0
        self._heard, self._size = [], 0
        return True

    def _agrees(self, octets: bytes, line: "Line") -> bool:
        if line.hidden:
            return octets[: len(line.octets)].upper() == line.octets.upper()
        return octets == line.octets or (not self._strict and _without_sizes(octets) == _without_sizes(line.octets))

    def _hears_content(self, turn: Content) -> bool:
        over = self._hears_data(turn) if turn.by_data else self._hears_chunk(turn)
        if over and self._strict and not turn.agrees(content := b"".join(self._heard)):
            raise self._mismatch(content[:_SHOWN] if len(content) == turn.size else f"{len(content)} octets of content")
        return over

    def _hears_data(self, turn: Content) -> bool:
        if self._dots is None:
            self._dots, self._heard, self._size = DotUnstuffer("keep"), [], 0
        self._hear(self._dots.feed(self._input.take_all()))
        if self._dots.eof and not turn.ended:
            raise self._mismatch("the end of the content")
        if not self._dots.eof and (turn.ended or self._size < turn.size):
            return False
        self._input.push_back(self._dots.unused_data)
        self._dots = None
        return True

    def _hears_chunk(self, turn: Content) -> bool:
        left = (self._chunk if turn.ended else min(self._chunk, turn.size)) - self._size
        self._hear(self._input.take(left))
        return self._size >= (self._chunk if turn.ended else min(self._chunk, turn.size))

    def _hear(self, octets: bytes) -> None:
        self._size += len(octets)
        if self._strict:
            self._heard.append(octets)


class ScriptedClient(_Script):
    """A client that says to a live server what the transcript has, and checks the replies.

    It has the surface of a connection, `receive_data()`, `data_to_send()`, `transport`, and no I/O.  Each reply must
    have the code of the transcript's, and its enhanced status code where it has one.  Content of which only the size
    is known is made up.

    Args:
        transcript: what to play.
        strict: True to check the text of replies too.
        secrets: octets for what is hidden, as they are on the wire (base64), in their order.

    Attributes:
        transport: READ, START_TLS (send what is to be sent, make TLS, call `tls_established()`) or CLOSE.

    Raises:
        ParseError: the transcript has content where there can be none.
        LocalProtocolError: later, when something is hidden and no secret is left.
    """

    _speaker = CLIENT

    def __init__(self, transcript: "Transcript", *, strict: bool = False, secrets: "Iterable[bytes]" = ()) -> None:
        super().__init__(transcript, strict=strict, secrets=secrets)
        self._assembler = ReplyAssembler()
        self._heard: list[bytes] = []  # lines of the reply under way

    def _hears(self, turn: "Said | Content") -> bool:
        assert isinstance(turn, Said)
        while isinstance(octets := self._input.next_line(_UNBOUNDED), bytes):
            self._heard.append(octets)
            try:
                reply = self._assembler.add(octets)
            except ParseError:
                reply, self._assembler = None, ReplyAssembler()
                if self._heard != [line.octets for line in turn.lines]:
                    raise self._mismatch(b"\r\n".join(self._heard)) from None
                self._heard.clear()
                return True
            if reply is not None:
                if not self._agrees(reply, turn.lines):
                    raise self._mismatch(b"\r\n".join(self._heard))
                self._heard.clear()
                return True
        return False

    def _agrees(self, reply: "Reply", lines: "tuple[Line, ...]") -> bool:
        recorded = _assembled(lines)
        if recorded is None or recorded.code != reply.code or recorded.enhanced not in (None, reply.enhanced):
            return False
        if not self._strict or any(line.hidden for line in lines):
            return True
        return [line.octets.rstrip() for line in lines] == [line.rstrip() for line in self._heard]


def _assembled(lines: "Iterable[Line]") -> "Reply | None":
    assembler, reply = ReplyAssembler(), None
    try:
        for line in lines:
            reply = assembler.add(line.octets)
    except ParseError:
        return None
    return reply


def _on_the_wire(content: Content) -> bytes:
    octets = content.octets()
    if not content.by_data:
        return octets
    return dot_stuff(octets) if content.ended else DotStuffer().feed(octets)


def _without_sizes(line: bytes) -> bytes:
    # A message of another size is sent with the same commands.
    verb, *words = line.split(b" ")
    if verb.upper() == b"BDAT":
        return b" ".join([verb, *words[1:]])
    return b" ".join([verb, *(b"SIZE=" if word[:5].upper() == b"SIZE=" else word for word in words)])
