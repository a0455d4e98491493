"""A transcript as turns: commands, whole replies, and contents, which what stands before them tells from commands."""

from smtpkit.errors import ParseError
from smtpkit.protocol.transcript_entries import CLIENT, SERVER, Comment, ContentSize, Line, TLSStarted
from smtpkit.wire.value import Value

__all__ = ["Content", "Said", "TLSTurn", "chunk_size", "turns"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from smtpkit.protocol.transcript import Transcript

    Entries = list[tuple[int, Line | ContentSize | TLSStarted]]

_WIDTH = 72  # octets of a line of made-up content, with its CRLF
_MADE_UP = b"x" * (_WIDTH - 2) + b"\r\n"


class Said(Value):
    """A command, or a reply.

    Attributes:
        number: of its first line in the transcript.
        speaker: CLIENT or SERVER.
        lines: one of a command, all of a reply.
    """

    __slots__ = ("number", "speaker", "lines")

    def __init__(self, number: int, speaker: str, lines: "tuple[Line, ...]") -> None:
        self.number = number
        self.speaker = speaker
        self.lines = lines

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines))


class Content(Value):
    """The content of a message, or of a chunk.

    Attributes:
        number: of its first line in the transcript.
        shown: its first octets, dots removed.
        size: of all that was sent.
        by_data: whether it was sent by DATA.
        ended: whether the line that ends it by DATA was sent; a chunk ends by its size.
    """

    __slots__ = ("number", "shown", "size", "by_data", "ended")
    speaker = CLIENT

    def __init__(self, number: int, shown: bytes, size: int, *, by_data: bool, ended: bool) -> None:
        self.number = number
        self.shown = shown
        self.size = size
        self.by_data = by_data
        self.ended = ended

    def __str__(self) -> str:
        return f"{CLIENT}: <{self.size} octets of content>" + (f" {CLIENT}: ." if self.by_data and self.ended else "")

    def octets(self) -> bytes:
        """The content, made up where it is not shown."""
        left = self.size - len(self.shown)
        if left <= 0:
            return self.shown
        lines, rest = divmod(left, _WIDTH)
        if rest == 1:  # no room for a CRLF
            return self.shown + b"x" + _MADE_UP * lines
        return self.shown + (b"x" * (rest - 2) + b"\r\n" if rest else b"") + _MADE_UP * lines

    def agrees(self, octets: bytes) -> bool:
        """Whether this content, as far as it is known, is that one."""
        return len(octets) == self.size and octets.startswith(self.shown)


class TLSTurn(Value):
    """TLS begins.

    Attributes:
        number: of the line in the transcript.
    """

    __slots__ = ("number",)
    speaker = None

    def __init__(self, number: int) -> None:
        self.number = number

    def __str__(self) -> str:
        return "the beginning of TLS"


def chunk_size(line: bytes) -> int | None:
    """The size that a BDAT command announces; None for any other line."""
    words = line[:64].split()
    if len(words) > 1 and words[0].upper() == b"BDAT" and words[1].isdigit():
        return int(words[1])
    return None


def turns(transcript: "Transcript") -> "list[Said | Content | TLSTurn]":
    """The turns of a transcript, in order.

    Raises:
        ParseError: a size of content stands where there is none, or a chunk has more octets than its BDAT says.
    """
    entries: Entries = [
        (number, each) for number, each in enumerate(transcript.entries, 1) if not isinstance(each, Comment)
    ]
    entries.reverse()
    made: list[Said | Content | TLSTurn] = []
    while entries:
        number, entry = entries.pop()
        if isinstance(entry, TLSStarted):
            made.append(TLSTurn(number))
        elif isinstance(entry, ContentSize):
            raise ParseError(f"line {number} of a transcript: no content can be sent here", str(entry))
        elif entry.speaker == CLIENT:
            made.append(Said(number, CLIENT, (entry,)))
            size = chunk_size(entry.octets)
            if size:
                made += _chunk(entries, size)
        else:
            reply = _reply(entry, entries)
            made.append(Said(number, SERVER, reply))
            if reply[-1].octets[:3] == b"354":
                made += _data(entries)
    return made


def _reply(first: Line, entries: "Entries") -> tuple[Line, ...]:
    lines = [first]
    while lines[-1].octets[3:4] == b"-" and entries:
        _, entry = entries[-1]
        if not isinstance(entry, Line) or entry.speaker != SERVER or entry.octets[:3] != first.octets[:3]:
            break
        lines.append(entry)
        entries.pop()
    return tuple(lines)


def _data(entries: "Entries") -> "Iterable[Content]":
    shown, size, number, ended = bytearray(), 0, entries[-1][0] if entries else 0, False
    while entries and not ended and entries[-1][1].speaker == CLIENT:
        _, entry = entries.pop()
        if isinstance(entry, ContentSize):
            size = entry.octets
            continue
        assert isinstance(entry, Line)
        ended = entry.octets == b"." and entry.ended
        if not ended:
            shown += entry.octets.removeprefix(b".") + (b"\r\n" if entry.ended else b"")
    if shown or size or ended:
        yield Content(number, bytes(shown), max(size, len(shown)), by_data=True, ended=ended)


def _chunk(entries: "Entries", announced: int) -> "Iterable[Content]":
    shown, size, number = bytearray(), 0, entries[-1][0] if entries else 0
    while entries and size < announced and entries[-1][1].speaker == CLIENT:
        _, entry = entries.pop()
        if isinstance(entry, ContentSize):
            size = entry.octets
            continue
        assert isinstance(entry, Line)
        shown += entry.octets + (b"\r\n" if entry.ended else b"")
        size = len(shown)
    if size > announced:
        raise ParseError(f"line {number} of a transcript: {size} octets of content behind BDAT {announced}")
    if size:
        yield Content(number, bytes(shown), size, by_data=False, ended=size == announced)
