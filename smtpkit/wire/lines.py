"""The octets that a peer has sent and nobody has read, given out as lines or as they are."""

from enum import Enum

__all__ = ["LINE_TOO_LONG", "LineBuffer", "LineTooLong"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_join = b"".join
_HEAD = 4  # octets: a verb
_UNBOUNDED = 1 << 62
_SHORT = 512  # octets that may be copied again for a line among them


class LineTooLong(Enum):
    """The type of LINE_TOO_LONG, what stands for a line over its limit; its one member, so that `is` narrows."""

    LINE_TOO_LONG = "LINE_TOO_LONG"


LINE_TOO_LONG: "Final" = LineTooLong.LINE_TOO_LONG


class LineBuffer:
    """Unread octets in their order.

    Only CRLF ends a line (RFC 5321 section 2.3.8); a line may hold lone CRs and LFs, and NUL.  Any mix of
    lines and counted octets, in any pieces, costs time linear in the octets: they are searched and copied
    a bounded number of times each.

    Attributes:
        overlong: whether a line over the limit that was given last is being skipped.
        skipped: the first four octets of the line over the limit that came last.
    """

    # The octets from _at on in _front are unread; behind them come those of _pieces, which are joined only when
    # they complete a line or a count.  No CRLF begins in _front between _at and _searched.
    __slots__ = ("_at", "_completed", "_front", "_pieces", "_pieces_size", "_searched", "overlong", "skipped")

    _at: int
    _completed: bool
    _front: bytes
    _pieces: list[bytes]
    _pieces_size: int
    _searched: int
    overlong: bool
    skipped: bytes

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything that is unread, and that a line is being skipped."""
        self._empty()
        self.overlong = False
        self.skipped = b""

    def __len__(self) -> int:
        return len(self._front) - self._at + self._pieces_size

    @property
    def last_octet(self) -> bytes:
        """What came last of what is unread; b"" if nothing is."""
        return self._pieces[-1][-1:] if self._pieces else self._front[self._at :][-1:]

    def feed(self, octets: bytes) -> None:
        """Add what the peer has sent.  The object itself is kept: it must be bytes."""
        if self._at == len(self._front) and not self._pieces:
            self._front = octets
            self._at = self._searched = 0
        elif octets:
            before = self._pieces[-1] if self._pieces else self._front
            if b"\r\n" in octets or (octets.startswith(b"\n") and before.endswith(b"\r")):
                self._completed = True
            self._pieces.append(octets)
            self._pieces_size += len(octets)

    def next_line(self, limit: int) -> "bytes | LineTooLong | None":
        """The next line without its CRLF.

        A line that is too long is skipped as it comes, and answered for once, when its CRLF has come.

        Args:
            limit: octets that the line may have, its CRLF included.

        Returns:
            The line, LINE_TOO_LONG in its place, or None while its CRLF has not come.
        """
        front = self._front
        end = front.find(b"\r\n", self._searched)
        if end < 0:
            if self._at == len(front) and not self._pieces:
                self._front = b""  # what was read is not kept
                self._at = self._searched = 0
                return None
            if not self._completed:
                self._starve(limit)
                return None
            self._join_pieces()
            front = self._front
            end = front.find(b"\r\n", self._searched)
            if end < 0:  # take() cut the CRLF in two
                self._starve(limit)
                return None
        start = self._at
        self._at = self._searched = end + 2
        if self.overlong or end + 2 - start > limit:
            if not self.overlong:
                self.skipped = front[start : start + _HEAD]
            self.overlong = False
            return LINE_TOO_LONG
        return front[start:end]

    def next_lines(self, most: int) -> list[bytes]:
        """The next lines, as many as have come but not more than `most`, of any length, without their CRLFs."""
        front = self._front
        if self._pieces or (most == 1 and len(front) > _SHORT):
            line = self.next_line(_UNBOUNDED)
            return [line] if isinstance(line, bytes) else []
        lines = (front[self._at :] if self._at else front).split(b"\r\n", most)
        self._front = lines.pop()
        self._at = self._searched = 0
        return lines

    def take(self, size: int) -> bytes:
        """Up to `size` octets, whatever they are; fewer if not so many are unread."""
        end = self._at + size
        if end > len(self._front) and self._pieces:
            # What is left of the front is read now, so that no octet is joined again by the next call.
            self._join_pieces()
            end = size
        octets = self._front[self._at : end]
        self._at += len(octets)
        self._searched = max(self._searched, self._at)
        if self._at == len(self._front) and not self._pieces:
            self._empty()
        return octets

    def peek(self, size: int) -> bytes:
        """Up to `size` octets, which stay unread."""
        if self._at + size > len(self._front) and self._pieces:
            self._join_pieces()
        return self._front[self._at : self._at + size]

    def take_all(self) -> bytes:
        """All unread octets."""
        if self._pieces:
            return self.take(len(self))
        octets = self._front[self._at :]  # the same object if nothing of it was read
        self._front = b""
        self._at = self._searched = 0
        return octets

    def push_back(self, octets: bytes) -> None:
        """Put octets in front of what is unread, as if they had never been taken."""
        self._front = octets + self.take_all() if len(self) else octets
        self._at = self._searched = 0

    def _empty(self) -> None:
        self._front = b""
        self._at = self._searched = 0
        self._pieces = []
        self._pieces_size = 0
        self._completed = False

    def _join_pieces(self) -> None:
        # What is left of the front has no CRLF, but may end in the CR of one.
        rest = self._front[self._at :]
        self._front = _join([rest, *self._pieces])
        self._searched = max(min(self._searched - self._at, len(rest) - 1), 0)
        self._at = 0
        self._pieces.clear()
        self._pieces_size = 0
        self._completed = False

    def _starve(self, limit: int) -> None:
        if self.overlong or len(self) >= limit:
            if not self.overlong:
                self._join_pieces()
                self.skipped = self._front[:_HEAD]
            self.overlong = True
            last = self._pieces[-1] if self._pieces else self._front
            self._empty()
            # It may be half of the CRLF.
            self._front = b"\r" if last.endswith(b"\r") else b""
            return
        if self._at * 2 > len(self._front):
            # The beginning of a line does not keep a whole read in memory.  Less is copied than was read before.
            self._front = self._front[self._at :]
            self._at = 0
        self._searched = len(self._front)
