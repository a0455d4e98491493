"""Taking an older Return-Path out of a message on its way to the store, which puts its own on top."""

__all__ = ["ReturnPathFilter"]

_LONGEST_LINE = 8 * 1024  # octets; a longer one is no header field, and is not waited for


class ReturnPathFilter:
    """Leaves Return-Path fields out of a message that comes in pieces (RFC 5321 section 4.4).

    There is to be one only, that of the final delivery: a sender could otherwise put in what looks like it.
    """

    __slots__ = ("_held", "_is_dropping", "_is_over")

    def __init__(self) -> None:
        self._held = b""  # the beginning of a line
        self._is_dropping = False
        self._is_over = False

    def feed(self, octets: bytes) -> bytes:
        """Take the next piece, and give what is to be kept so far."""
        if self._is_over:
            return octets
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
                self._is_dropping = line.partition(b":")[0].rstrip(b" \t").lower() == b"return-path"
            if not self._is_dropping:
                kept.append(line)
        self._held = octets[start:]
        if self._is_over or len(self._held) > _LONGEST_LINE:
            kept.append(self.finish())
        return b"".join(kept)

    def finish(self) -> bytes:
        """Give what is left at the end of the message."""
        self._is_over = True
        held, self._held = self._held, b""
        return held
