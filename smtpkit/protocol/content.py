"""The content of one message as a server receives it: framing by DATA or by BDAT, its size, its newlines."""

from smtpkit.protocol.standard_replies import BARE_NEWLINE, TOO_LARGE
from smtpkit.wire.dots import DotUnstuffer
from smtpkit.wire.newlines import BodyScan, NewlineNormalizer

__all__ = ["ChunkedContent", "DataContent"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from smtpkit.wire.lines import LineBuffer
    from smtpkit.wire.replies import Reply

_UNBOUNDED = 2**63


class DataContent:
    """Content that ends with CRLF . CRLF (RFC 5321 section 4.1.1.4).

    Attributes:
        size: octets so far, dots removed.
        refusal: why the message will be refused at its end, or None.
        complete: whether the end was read.
        last: True, always: DATA has one piece.
    """

    __slots__ = ("_dots", "_limit", "complete", "refusal", "size")

    last = True

    def __init__(self, bare_newlines: 'Literal["reject", "normalize", "keep"]', limit: int | None) -> None:
        self._dots = DotUnstuffer(bare_newlines)
        self._limit = _UNBOUNDED if limit is None else limit
        self.size = 0
        self.refusal: Reply | None = None
        self.complete = False

    def read(self, lines: "LineBuffer") -> bytes:
        """Take what is unread and give the content in it; what stands behind the end is put back.

        Once the message is to be refused, nothing is given, and the rest is only counted.
        """
        octets = lines.take_all()
        if not octets:
            return octets
        dots = self._dots
        data = dots.feed(octets)
        self.size += len(data)
        if self.size > self._limit and self.refusal is None:
            self.refusal = TOO_LARGE
        if dots.violation is not None and (self.refusal is None or self.refusal is TOO_LARGE):
            self.refusal = BARE_NEWLINE  # also behind the size, so that the reply does not depend on the pieces
        if dots.eof:
            self.complete = True
            behind = dots.unused_data
            if behind:
                lines.push_back(behind)
        return data if self.refusal is None else b""


class ChunkedContent:
    """Content that comes in counted chunks (RFC 3030 section 2).

    The octets of a chunk are read to the last whatever becomes of them: they must not be taken for
    commands.  Lone newlines are judged as in DATA, since the next hop may use DATA.

    Attributes:
        size: octets announced so far.
        refusal: why the message will be refused, or None.
        complete: whether the chunk under way was read to its end.
        last: whether that chunk is the last.
    """

    __slots__ = ("_left", "_limit", "_normalizer", "_scan", "complete", "last", "refusal", "size")

    def __init__(
        self, bare_newlines: 'Literal["reject", "normalize", "keep"]', limit: int | None, *, binary: bool = False
    ) -> None:
        self._limit = _UNBOUNDED if limit is None else limit
        self._scan = BodyScan(lines=False) if bare_newlines == "reject" and not binary else None
        self._normalizer = NewlineNormalizer() if bare_newlines == "normalize" and not binary else None
        self._left = 0
        self.size = 0
        self.refusal: Reply | None = None
        self.complete = False
        self.last = False

    def begin(self, size: int, last: bool) -> None:
        """Expect a chunk of `size` octets."""
        self._left = size
        self.complete = False
        self.last = last
        self.size += size
        if self.size > self._limit and self.refusal is None:
            self.refusal = TOO_LARGE

    def read(self, lines: "LineBuffer") -> bytes:
        """Take what is unread of the chunk and give its content; nothing once it is to be refused."""
        data = lines.take(self._left)
        self._left -= len(data)
        self.complete = self._left == 0
        if self.refusal is not None:
            return b""
        if self._scan is not None:
            self._judge(self._scan, data)
        if self._normalizer is not None:
            data = self._normalizer.feed(data)
            if self.complete and self.last:
                data += self._normalizer.finish()
        return data if self.refusal is None else b""

    def _judge(self, scan: BodyScan, data: bytes) -> None:
        scan.feed(data)
        if self.complete and self.last:
            scan.finish()
        if scan.nul or scan.bare_newline:
            self.refusal = BARE_NEWLINE
