"""A look at the header of a message that goes by in pieces: loops are stopped, an older Return-Path is left out."""

from smtpkit.errors import ReplyError
from smtpkit.wire.replies import Reply

__all__ = ["MOST_HOPS", "HeaderFilter"]

MOST_HOPS = 100
"""Received fields of a message that has gone round in circles (RFC 5321 section 6.3)."""

_LONGEST_LINE = 8 * 1024  # octets; a longer one is no header field, and is not waited for
_LONGEST_HEADER = 256 * 1024  # octets that are looked at, since each short line costs a microsecond
_LOOP = Reply(554, "Too many hops, the message goes round in circles", "5.4.6")


class HeaderFilter:
    """Lets a message through, and counts its Received fields, those of the first 256 KiB of its header.

    Args:
        most_hops: a message with so many Received fields is refused; None for no bound.
        return_path: whether Return-Path fields stay.  A final delivery, which puts its own on top, leaves older ones
            out (RFC 5321 section 4.4): a sender could otherwise put in what looks like it.  A relay must not look.
    """

    __slots__ = ("_held", "_hops", "_is_dropping", "_is_over", "_looked_at", "_most_hops", "_return_path")

    def __init__(self, *, most_hops: int | None = MOST_HOPS, return_path: bool = False) -> None:
        self._most_hops = most_hops
        self._return_path = return_path
        self._hops = 0
        self._held = b""  # the beginning of a line
        self._looked_at = 0  # octets
        self._is_dropping = False
        self._is_over = most_hops is None and return_path

    def feed(self, octets: bytes) -> bytes:
        """Take the next piece, and give what is to be kept so far.

        Raises:
            ReplyError: the message goes round in circles (554 5.4.6).
        """
        if self._is_over:
            return octets
        self._looked_at += len(octets)
        octets = self._held + octets
        kept = []
        start = 0
        while not self._is_over and (end := octets.find(b"\n", start) + 1):
            line = octets[start:end]
            start = end
            if line in (b"\r\n", b"\n"):
                self._is_over = True
                self._is_dropping = False
            elif line[:1] not in b" \t":  # what begins with these continues a field
                self._field(line)
            if not self._is_dropping:
                kept.append(line)
        self._held = octets[start:]
        if self._is_over or len(self._held) > _LONGEST_LINE or self._looked_at > _LONGEST_HEADER:
            kept.append(self.finish())
        return b"".join(kept)

    def finish(self) -> bytes:
        """Give what is left at the end of the message."""
        self._is_over = True
        held, self._held = self._held, b""
        return held

    def _field(self, line: bytes) -> None:
        name = line.partition(b":")[0].rstrip(b" \t").lower()
        self._is_dropping = name == b"return-path" and not self._return_path
        if name == b"received":
            self._hops += 1
            if self._most_hops is not None and self._hops >= self._most_hops:
                raise ReplyError(_LOOP)
