"""A body on its way out: what it holds, and its octets with the newlines that SMTP wants."""

from smtpkit.errors import NotSupported, ParseError
from smtpkit.protocol.events import BodyChunk
from smtpkit.wire.commands import Bdat
from smtpkit.wire.newlines import BodyScan, NewlineNormalizer, PlainBody, plain_body

__all__ = ["PIECE", "Outgoing", "as_group", "scanned", "scanned_whole"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    Newlines = Literal["normalize", "strict", "as-is"]
    Scan = BodyScan | PlainBody

PIECE = 96 * 1024  # octets: what leaves at a time; from 128 KiB on the allocator may ask the kernel for each of them
_GATHER = 16 * 1024  # smaller pieces of an iterable wait for each other


class Outgoing:
    """The content of one message.

    Args:
        body: octets, if they are held; None if they come piece by piece through `feed()`.
        scan: what was found in a body that can be read twice, or None.
        newlines: "normalize" makes every lone CR or LF a CRLF, "strict" refuses them and lines of more than 1000
            octets (RFC 5321 section 4.5.3.1.6), "as-is" sends them (section 2.3.8 forbids that to DATA).
        binary: True for BODY=BINARYMIME: octets as they are, NUL included.
        eight_bit: whether octets above 127 may be sent, for a body that was not scanned.

    Attributes:
        size: octets of content as SIZE counts them (RFC 1870 section 5), or None if that is not known.

    Raises:
        ParseError: a body that was scanned cannot be sent as `newlines` wants.
        ValueError: `newlines` is none of the three.
    """

    # What a plain body, the usual one, never changes.
    _tail = b"\r\n"  # the last two octets given; an empty body lacks no newline
    _live: BodyScan | None = None  # judges what was not scanned beforehand
    _normalizer: NewlineNormalizer | None = None

    def __init__(
        self,
        body: bytes | None = None,
        scan: "Scan | None" = None,
        *,
        newlines: "Newlines" = "normalize",
        binary: bool = False,
        eight_bit: bool = True,
    ) -> None:
        if newlines not in ("normalize", "strict", "as-is"):
            raise ValueError(f"newlines is normalize, strict or as-is, not {newlines!r}")
        self.size: int | None
        self.body = body
        self.scan = scan
        self.binary = binary
        if type(scan) is PlainBody:  # which leaves as a whole
            self.size = scan.size
            return
        self._gathered: list[bytes] = []
        self._gathered_octets = 0
        self._newlines = newlines
        self._eight_bit = eight_bit
        if scan is not None:
            self._check(scan)
        elif not binary:
            self._live = BodyScan(lines=newlines == "strict")
        if newlines == "normalize" and not binary and (scan is None or scan.bare_newline):
            self._normalizer = NewlineNormalizer()
        if scan is None or binary:
            self.size = None if scan is None else scan.size
        elif self._normalizer is not None:
            self.size = scan.size_normalized
        else:
            self.size = scan.size + 2 * (not scan.ends_with_newline)

    def whole(self, limit: int) -> bytes | None:
        """All of the body as it is to be sent; None if it is not held, or has more than `limit` octets."""
        body, scan = self.body, self.scan
        if body is None or len(body) > limit:
            return None
        if scan is not None and self._normalizer is None:
            return body if self.binary or scan.ends_with_newline else body + b"\r\n"
        return b"".join([*self.feed(body), *self.finish()])

    def feed(self, chunk: "bytes | bytearray | memoryview") -> "Iterable[bytes]":
        """Take a piece of the user's body; give what is ready to leave, in pieces that are not empty.

        Raises:
            TypeError: it is not bytes.
            ParseError, NotSupported: it cannot be sent.
        """
        chunk = _octets(chunk)
        if self._live is not None:
            self._live.feed(chunk)
            self._check(self._live)
        if self._normalizer is not None:
            chunk = self._normalizer.feed(chunk)
        self._tail = (self._tail + chunk[-2:])[-2:]
        if len(chunk) + self._gathered_octets >= _GATHER:
            chunk = b"".join([*self._gathered, chunk]) if self._gathered else chunk
            self._gathered.clear()
            self._gathered_octets = 0
            return (chunk,) if len(chunk) <= PIECE else _slices(chunk)
        if chunk:
            self._gathered.append(chunk)
            self._gathered_octets += len(chunk)
        return ()

    def finish(self) -> "Iterable[bytes]":
        """What is left to leave at the end of the user's body."""
        if self._live is not None:
            self._live.finish()
            self._check(self._live)
        rest = b"".join(self._gathered)
        self._gathered.clear()
        self._gathered_octets = 0
        if self._normalizer is not None:
            end = self._normalizer.finish()
            rest += end
            self._tail = (self._tail + end)[-2:]
        if not self.binary and self._tail != b"\r\n":
            rest += b"\r\n"  # as DATA would (RFC 5321 section 4.1.1.4), so that BDAT gives the same message
        return (rest,) if rest else ()

    def _check(self, scan: "Scan") -> None:
        if self.binary:
            return
        if scan.nul:
            raise ParseError("NUL in the body: it can be sent only as BODY=BINARYMIME", code=550, enhanced="5.6.0")
        if self._newlines == "strict" and scan.bare_newline:
            raise ParseError("a lone CR or LF in the body", expected="CRLF", code=550, enhanced="5.6.0")
        if self._newlines == "strict" and scan.longest_line:
            octets = f"a line of {scan.longest_line} octets in the body"
            raise ParseError(octets, expected="1000 at most, CRLF included", code=550, enhanced="5.6.0")
        if scan is self._live and scan.eight_bit and not self._eight_bit:
            raise NotSupported("the body has 8-bit octets, which the server does not take", extension="8BITMIME")


def as_group(octets: bytes, last: bool, chunked: bool) -> "tuple[Bdat | BodyChunk, ...]":
    """A piece of the content as it is sent: after BDAT, or within DATA."""
    chunk = BodyChunk(octets, last)
    return (Bdat(len(octets), last), chunk) if chunked else (chunk,)


def scanned_whole(body: bytes, *, lines: bool = False) -> "Scan":
    """Say what is in a body that is held in memory; `lines` as for `scanned()`."""
    return (plain_body(body) if len(body) <= PIECE and not lines else None) or scanned((body,), lines=lines)


def scanned(pieces: "Iterable[bytes]", *, lines: bool = False) -> BodyScan:
    """Read a body once, and say what is in it.

    Args:
        pieces: of the body.
        lines: whether the longest line is looked for too, as "strict" wants it.

    Raises:
        TypeError: a piece is not bytes.
    """
    scan = BodyScan(lines=lines)
    for piece in pieces:
        octets = _octets(piece)
        if len(octets) <= PIECE:
            scan.feed(octets)
        else:
            for part in _slices(octets):
                scan.feed(part)
    scan.finish()
    return scan


def _octets(piece: "bytes | bytearray | memoryview") -> bytes:
    if type(piece) is bytes:
        return piece
    if not isinstance(piece, (bytes, bytearray, memoryview)):
        raise TypeError(f"a body gives bytes, not {type(piece).__name__}")
    return bytes(piece)


def _slices(body: bytes) -> "Iterable[bytes]":
    return (body[start : start + PIECE] for start in range(0, len(body), PIECE))
