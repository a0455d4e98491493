"""Transparency of DATA: dots stuffed and unstuffed, and the end of the data found (RFC 5321 section 4.5.2).

Only CR LF . CR LF ends the data, and its first CR LF may be that of the DATA line.  What implementations differ
on is decided thus, wherever the input is cut; the last column is what `bare_newlines="reject"` finds:

    on the wire                content
    . CR LF, at the start      nothing                the end of an empty body
    . . CR LF, at the start    . CR LF                as in any other line
    CR LF . CR LF              CR LF                  the end
    CR CR LF . CR LF           CR CR LF               the end; bare CR
    LF CR LF . CR LF           LF CR LF               the end; bare LF
    NUL CR LF . CR LF          NUL CR LF              the end; NUL
    CR LF . CR CR LF           CR LF CR CR LF         bare CR
    CR LF . CR text            CR LF CR text          bare CR
    CR LF . LF                 CR LF LF               bare LF
    CR LF . NUL CR LF          CR LF NUL CR LF        NUL
    CR LF NUL . CR LF          CR LF NUL . CR LF      NUL
    LF . CR LF                 LF . CR LF             bare LF: the dot begins no line
    LF . LF                    LF . LF                bare LF
    CR . CR LF                 CR . CR LF             bare CR
    CR . CR                    CR . CR                bare CR

"normalize" turns lone CRs and LFs of the content into CRLF, once the end is known: they can never make an end.
"""

import re
from io import IncrementalNewlineDecoder

from smtpkit.errors import ParseError
from smtpkit.wire.newlines import NewlineNormalizer

__all__ = ["DotStuffer", "DotUnstuffer", "dot_stuff", "dot_unstuff"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

_CR = b"\r"
_CRLF = b"\r\n"
_LEADING_DOT = re.compile(rb"\r\n\.")  # finds it faster than bytes.find does


def dot_stuff(body: bytes) -> bytes:
    """A whole body as DATA wants it after 354: dots stuffed, and the end-of-data line behind it.

    A CRLF is added where a body that is not empty lacks it (RFC 5321 section 4.1.1.4).  Lone CRs and LFs
    pass unchanged: see `NewlineNormalizer`.
    """
    stuffer = DotStuffer()
    return stuffer.feed(body) + stuffer.finish()


def dot_unstuff(octets: bytes) -> bytes:
    """The body in one whole DATA payload, end-of-data line included; the inverse of `dot_stuff()`.

    Lone CRs and LFs pass unchanged.

    Raises:
        ParseError: the end-of-data line is missing, or octets follow it.
    """
    unstuffer = DotUnstuffer("keep")
    body = unstuffer.feed(octets)
    if not unstuffer.eof:
        raise ParseError("no end of data", octets[-5:], expected="CRLF . CRLF", code=550, enhanced="5.6.0")
    if unstuffer.unused_data:
        offset = len(octets) - len(unstuffer.unused_data)
        raise ParseError("octets behind the end of data", octets, offset=offset, code=550, enhanced="5.6.0")
    return body


class DotStuffer:
    """Stuffs the dots of one body that comes in pieces; `finish()` gives the end-of-data line."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = _CRLF  # what of CRLF the octets so far end with; the DATA line ended with all of it

    def feed(self, chunk: bytes) -> bytes:
        """Take the next piece of the body, and give it stuffed; the same object if there was nothing to stuff."""
        if not chunk:
            return chunk
        begun = self._begun
        given = 0
        if begun and chunk[0] in b".\n":
            chunk = begun + chunk
            given = len(begun)
        self._begun = _begun_at_end(chunk)
        if b"." in chunk:
            chunk = b"\r\n..".join(_split_at_leading_dots(chunk))
        return chunk[given:]

    def finish(self) -> bytes:
        """The end-of-data line, with a CRLF before it if the body lacks its last one."""
        return b".\r\n" if self._begun == _CRLF else b"\r\n.\r\n"


class DotUnstuffer:
    """Takes what follows DATA in pieces, and gives the content, until the data ends; as `zlib.decompressobj` does.

    Args:
        bare_newlines: what to do with a CR or LF that is not part of a CRLF.
            "reject": note it in `violation`, and NUL as well; once it is, nothing more is given.
            "normalize": make it CRLF, in the content and after the end was found by the strict rule.
            "keep": pass it.

    Attributes:
        eof: whether the end of the data was read.
        unused_data: the octets behind it.  Those fed later are appended.
        violation: under "reject" the first of "bare LF", "bare CR" and "NUL" in the content, else None.
            The end is looked for all the same, so that the session stays in step.
    """

    __slots__ = ("_begun", "_behind", "_kinds", "_normalizer", "eof", "violation")

    def __init__(self, bare_newlines: 'Literal["reject", "normalize", "keep"]' = "reject") -> None:
        if bare_newlines not in ("reject", "normalize", "keep"):
            raise ValueError(f"bare_newlines is reject, normalize or keep, not {bare_newlines!r}")
        self._begun = _CRLF  # what of CRLF.CRLF the octets so far end with; the DATA line ended with CRLF
        self._kinds = IncrementalNewlineDecoder(None, False) if bare_newlines == "reject" else None
        self._normalizer = NewlineNormalizer() if bare_newlines == "normalize" else None
        self._behind: list[bytes] = []  # joined when they are asked for: each octet is copied once
        self.eof = False
        self.violation: str | None = None

    @property
    def unused_data(self) -> bytes:
        if len(self._behind) != 1:
            self._behind = [b"".join(self._behind)]
        return self._behind[0]

    def feed(self, octets: bytes) -> bytes:
        """Take the next octets, and give the content in them: the same object if there was nothing to remove."""
        if self.eof:
            self._behind.append(octets)
            return b""
        if not octets:
            return octets
        after_cr = self._begun == _CR
        content = self._unstuff(octets)
        if self._kinds is None:
            return content if self._normalizer is None else self._normalizer.feed(content)
        if self.violation is None:
            # It tells which kinds of newline it has seen, in a quarter of the time that counting them takes.
            self._kinds.decode(content.decode("latin-1"))
            if self._kinds.newlines in (None, "\r\n") and b"\0" not in content:
                return content
            self.violation = _first_violation(_CR + content if after_cr else content)
        return b""

    def _unstuff(self, octets: bytes) -> bytes:
        # Of CRLF.CRLF all can be given as soon as it comes but the dot, which is never content, and the CR
        # behind it.  So it is enough to know how much of it has come.
        begun = self._begun
        given = 0
        if len(begun) > 2 or (begun and octets[0] in b".\n"):
            octets = begun + octets
            given = min(len(begun), 2)
        if b"." not in octets or len(pieces := _split_at_leading_dots(octets)) == 1:
            self._begun = _begun_at_end(octets)
            return octets[given:]
        if len(pieces) == 2 and pieces[1].startswith(_CRLF):  # nothing but the end, as mostly
            self.eof = True
            self._behind = [pieces[1][2:]]
            return (pieces[0] + _CRLF)[given:]
        # An end shows as a piece that begins with CRLF, or an empty one.  Few others are as small.
        if min(pieces) < b"\r\x0b" and (end := _piece_behind_end(pieces)):
            pieces[end:] = [b""]
            content = _CRLF.join(pieces)
            self.eof = True
            self._behind = [octets[len(content) + end + 2 :]]
            return content[given:]
        last = pieces[-1]
        self._begun = _begun_at_end(last)
        if last in (b"", _CR):  # behind a dot
            self._begun = b"\r\n." + last
            pieces[-1] = b""
        return _CRLF.join(pieces)[given:]


def _first_violation(content: bytes) -> str:
    # Slow, and so used on one piece of a body at most.
    found = next(re.finditer(rb"\r(?!\n)|(?<!\r)\n|\0", content))
    return {b"\r": "bare CR", b"\n": "bare LF"}.get(found[0], "NUL")


def _begun_at_end(octets: bytes) -> bytes:
    return _CRLF if octets.endswith(_CRLF) else _CR if octets.endswith(_CR) else b""


def _split_at_leading_dots(octets: bytes) -> list[bytes]:
    # For each match the pattern costs more than bytes.split does; where there are many, that takes over.
    pieces = _LEADING_DOT.split(octets, 64)
    if len(pieces) > 64:
        pieces[64:] = pieces[64].split(b"\r\n.")
    return pieces


def _piece_behind_end(pieces: list[bytes]) -> int:
    last = len(pieces) - 1
    for index in range(1, last + 1):
        piece = pieces[index]
        if piece.startswith(_CRLF) or (not piece and index < last):
            return index
    return 0
