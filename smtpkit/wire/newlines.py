"""Newlines of a body: making every one CRLF, and finding out what a body holds before it is sent."""

from io import IncrementalNewlineDecoder

__all__ = ["BodyScan", "NewlineNormalizer", "PlainBody", "plain_body"]

_LINE_LIMIT = 1000  # octets of a text line with its CRLF (RFC 5321 section 4.5.3.1.6)


class NewlineNormalizer:
    """Makes every lone CR or LF a CRLF, in a body that comes in pieces (RFC 5321 section 2.3.8).

    A piece that needs no change is given back as the same object.

    Attributes:
        changed: whether a lone CR or LF was found.  A CR at the end of a piece counts once it is known
            what follows it.
    """

    __slots__ = ("_after_cr", "_kinds", "changed")

    def __init__(self) -> None:
        # It tells which kinds of newline it has seen, four times as fast as counting them does.
        self._kinds = IncrementalNewlineDecoder(None, translate=False)
        self._after_cr = False  # the last octet given was CR, and its LF has not been
        self.changed = False

    def feed(self, chunk: bytes) -> bytes:
        """Take the next piece and give it with its newlines made CRLF."""
        if not chunk:
            return chunk
        if not self.changed:
            self._kinds.decode(chunk.decode("latin-1"))
            self.changed = self._kinds.newlines not in (None, "\r\n")
        after_cr = self._after_cr
        self._after_cr = chunk.endswith(b"\r")
        if not self.changed:
            return chunk
        head = b""
        if after_cr:
            head = b"\n"
            chunk = chunk.removeprefix(b"\n")
        octets = head + chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        # Whether an LF belongs to the last CR is known only when the next piece has come.
        return octets[:-1] if self._after_cr else octets

    def finish(self) -> bytes:
        """What is missing at the end of the body: the LF of a CR that came last, or nothing."""
        if not self._after_cr:
            return b""
        self._after_cr = False
        self.changed = True
        return b"\n"


class BodyScan:
    """What a body holds, found piece by piece; all of it is final after `finish()`.

    Args:
        lines: whether to look for the longest line, which takes a third of the time.

    Attributes:
        size: octets fed.
        size_normalized: octets once every newline is CRLF and one was added where the last line lacks it.
            Before `finish()` what the end needs is not in it.
        eight_bit: an octet above 127 was seen.
        nul: NUL was seen.
        bare_newline: a CR without LF, or an LF without CR, was seen.  Nothing but a CR at the end of the
            last piece waits for `finish()`.
        longest_line: octets of the longest line, CRLF included, where that is over 1000, the limit of
            RFC 5321 section 4.5.3.1.6; else 0, since shorter lines are not measured.  Lines are those of
            the normalized body.  0 without `lines`.
        ends_with_newline: the last octets are CRLF, or there are none: DATA adds nothing.
    """

    __slots__ = (
        "_lines",
        "_longest",
        "_normalizer",
        "_open",
        "_tail",
        "eight_bit",
        "nul",
        "size",
        "size_normalized",
    )

    def __init__(self, *, lines: bool = True) -> None:
        self._normalizer = NewlineNormalizer()
        self._lines = lines
        self._longest = _LINE_LIMIT
        self._open = 0  # octets of the line that has not ended
        self._tail = b"\r\n"  # the last two octets
        self.size = 0
        self.size_normalized = 0
        self.eight_bit = False
        self.nul = False

    @property
    def bare_newline(self) -> bool:
        return self._normalizer.changed

    @property
    def longest_line(self) -> int:
        return self._longest if self._longest > _LINE_LIMIT else 0

    @property
    def ends_with_newline(self) -> bool:
        return self._tail == b"\r\n"

    def feed(self, chunk: bytes) -> None:
        """Look at the next piece."""
        if not chunk.isascii():
            self.eight_bit = True
        if b"\0" in chunk:
            self.nul = True
        self._tail = chunk[-2:] if len(chunk) > 1 else (self._tail + chunk)[-2:]
        self.size += len(chunk)
        self._measure(self._normalizer.feed(chunk))

    def finish(self) -> None:
        """Look at the end: no piece follows."""
        if end := self._normalizer.finish():
            self._measure(end)
        if self._open:
            self._measure(b"\r\n")

    def _measure(self, octets: bytes) -> None:
        self.size_normalized += len(octets)
        if self._lines:
            self._find_longest(octets)
        last = octets.rfind(b"\n")
        self._open = len(octets) - last - 1 if last >= 0 else self._open + len(octets)

    def _find_longest(self, octets: bytes) -> None:
        # From the beginning of a line, the last LF within the longest length so far is the end of a line,
        # and everything before it is shorter: most octets are never looked at.
        size = len(octets)
        start = -self._open
        while (reach := start + self._longest) < size:
            newline = octets.rfind(b"\n", max(start, 0), reach) if reach > 0 else -1
            if newline < 0:
                newline = octets.find(b"\n", max(reach, 0))
                if newline < 0:
                    break
                self._longest = newline + 1 - start
            start = newline + 1


class PlainBody:
    """What `BodyScan` would say of a body that may be sent as it is: most are so, and are found to be so at once.

    Attributes:
        size: octets.
    """

    __slots__ = ("size",)

    eight_bit = nul = bare_newline = False
    longest_line = 0  # nobody has looked
    ends_with_newline = True

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    def size_normalized(self) -> int:
        return self.size


def plain_body(body: bytes) -> PlainBody | None:
    """Whether a whole body is ASCII without NUL, whose newlines are all CRLF, and there is one at its end.

    Returns:
        What there is to say of it; None if it is not so, or empty.
    """
    if not (body.endswith(b"\r\n") and body.isascii()) or b"\0" in body:
        return None
    kinds = IncrementalNewlineDecoder(None, False)
    kinds.decode(body.decode("latin-1"))
    return PlainBody(len(body)) if kinds.newlines == "\r\n" else None
