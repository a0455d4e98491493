"""The record of a session: what each side said, credentials hidden by construction."""

__all__ = ["Transcript"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from smtpkit.wire.replies import Reply

_HIDDEN = "<hidden>"
_SHOWN_LINES = 40  # lines of one message's content
_SHOWN_OCTETS = 4096  # of each of them


class Transcript:
    """Lines that begin with `C: ` (the client's) and `S: ` (the server's), in order.

    The connection hands in what it understood, not octets, so that nothing secret can slip through: of AUTH
    only the mechanism is kept, of what answers a challenge nothing.

    Args:
        show: called with each line as it happens; None to only collect.
        content: True to keep the first lines of each message's content, False to keep its size only.

    Attributes:
        lines: what was recorded.
    """

    def __init__(self, show: "Callable[[str], object] | None" = None, *, content: bool = False) -> None:
        self.lines: list[str] = []
        self._show = show
        self._keeps_content = content
        self._octets = 0
        self._left = _SHOWN_LINES
        self._rest = b""

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def command(self, line: bytes) -> None:
        """The client's command line, without or with its CRLF."""
        line = line.rstrip(b"\r\n")
        words = line.split(None, 2)
        if len(words) > 2 and words[0].upper() == b"AUTH":
            line = b" ".join([*words[:2], _HIDDEN.encode()])
        self._add("C: ", _printable(line))

    def secret(self) -> None:
        """A client's line that may hold credentials."""
        self._add("C: ", _HIDDEN)

    def reply(self, reply: "Reply") -> None:
        """A reply of the server."""
        for line in bytes(reply).split(b"\r\n")[:-1]:
            # A challenge may repeat what the client said.
            self._add("S: ", f"334 {_HIDDEN}" if reply.code == 334 and len(line) > 4 else _printable(line))

    def content(self, octets: bytes) -> None:
        """A piece of a message's content, as it is on the wire or without its dots."""
        self._octets += len(octets)
        if self._keeps_content and self._left:
            *lines, rest = (self._rest + octets).split(b"\r\n", self._left)
            for line in lines:
                self._record("C: " + _printable(line[:_SHOWN_OCTETS]))
            self._left -= len(lines)
            self._rest = rest[:_SHOWN_OCTETS]

    def tls(self, version: str) -> None:
        """TLS is up."""
        self._add("-- ", version)

    def _add(self, prefix: str, text: str) -> None:
        if self._octets:
            if not self._keeps_content or self._left == 0:
                self._record(f"C: <{self._octets} octets of content>")
            elif self._rest:
                self._record("C: " + _printable(self._rest))
            self._octets, self._left, self._rest = 0, _SHOWN_LINES, b""
        self._record(prefix + text)

    def _record(self, line: str) -> None:
        self.lines.append(line)
        if self._show is not None:
            self._show(line)


def _printable(line: bytes) -> str:
    text = line.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(ch if ch.isprintable() else repr(ch)[1:-1] for ch in text)
