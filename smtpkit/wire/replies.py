"""Replies: a code, lines of text, and perhaps an enhanced status code (RFC 5321 section 4.2, RFC 2034)."""

from smtpkit.errors import ParseError
from smtpkit.wire.status import EnhancedStatus, leading_status
from smtpkit.wire.value import Value

__all__ = ["REPLY_OCTETS", "Reply", "ReplyAssembler", "known_replies", "parse_reply"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LINE = 512  # octets of a line that is sent, with code and CRLF (RFC 5321 section 4.5.3.1.5)
REPLY_OCTETS = 64 * 1024  # octets of a reply that is received, its lines and their CRLFs together
_REPLY_LINES = 512
_REPLY_TEXT = 48 * 1024  # characters of a reply that is sent: its codes and CRLFs fit into the rest
_SHORTEST_PIECE = 240  # characters of the lines as which a longer one is sent, on the average
_FIVE = ord("5")  # the highest second digit in the grammar of a code (RFC 5321 section 4.2)
_CODES = {b"%d" % code: code for code in range(200, 600)}
_SEPARATORS = frozenset({b" ", b"-", b""})
_KNOWN = 256  # replies held
_KNOWN_LINE = 64  # octets of their lines, at most

# Servers say the same again and again: a reply of one short line, which may hold an enhanced status code, is made once.
_by_line: "dict[bytes, Reply]" = {}


class Reply(Value):
    """A reply of one line or of many.

    Args:
        code: 200 to 599.
        text: one line, or a sequence of lines; none is one empty line.  What is neither TAB nor %d32-126 is
            sent as "?", but for `in_utf8()`; a line too long for the wire is sent as several.
        enhanced: the enhanced status code, which is sent on every line.  Its class is the first digit of the
            code, so that a 3yz reply has none (RFC 2034 section 4).  None takes one that the text begins with,
            as whoever reads the reply will.

    Attributes:
        code, enhanced: as above, `enhanced` as an EnhancedStatus or None.
        lines: the text as a tuple of lines, without the enhanced status code.

    Raises:
        ParseError: a code out of range, CR, LF or NUL in the text, an enhanced status code of another class, or
            more text than `parse_reply()` takes: some 500 lines and 48 KiB.
    """

    __slots__ = ("code", "lines", "enhanced", "_octets")

    def __init__(
        self, code: int, text: "str | Sequence[str]" = (), enhanced: EnhancedStatus | str | None = None
    ) -> None:
        if not 200 <= code <= 599:
            raise ParseError("not a reply code", str(code), expected="200 to 599")
        lines = (text,) if isinstance(text, str) else tuple(text) or ("",)
        for line in lines:
            if "\r" in line or "\n" in line or "\0" in line:
                raise ParseError("CR, LF or NUL in the text of a reply", line)
        if isinstance(enhanced, str):
            enhanced = EnhancedStatus.parse(enhanced)
        if len(lines) + sum(map(len, lines)) // _SHORTEST_PIECE > _REPLY_LINES or sum(map(len, lines)) > _REPLY_TEXT:
            raise ParseError("too much text for a reply", lines[0])
        if enhanced is None:
            enhanced = leading_status(lines[0], code // 100)
            if enhanced is not None:
                lines = tuple(_without(enhanced, line) for line in lines)
        elif enhanced.status_class != code // 100:
            raise ParseError(f"an enhanced status code of another class than the reply code {code}", str(enhanced))
        self.code = code
        self.lines = lines
        self.enhanced = enhanced
        self._octets: bytes | None = None

    @property
    def text(self) -> str:
        """The lines, joined by LF."""
        return "\n".join(self.lines)

    @property
    def is_positive(self) -> bool:
        """2yz: done."""
        return self.code < 300

    @property
    def is_intermediate(self) -> bool:
        """3yz: so far so good, more is wanted."""
        return 300 <= self.code < 400

    @property
    def is_transient(self) -> bool:
        """4yz: refused for now; the same may be accepted later."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5yz: refused for good."""
        return self.code >= 500

    def in_utf8(self) -> "Reply":
        """The same reply, its text to be sent as UTF-8 (RFC 6531 section 3.7.4); as it is if that is too long."""
        lines = [_as_octets(line) for line in self.lines]
        if sum(map(len, lines)) > _REPLY_TEXT:
            return self
        reply = _made(self.code, self.lines, self.enhanced)
        reply._octets = _emit(reply, lines)
        return reply

    def __bytes__(self) -> bytes:
        octets = self._octets
        if octets is None:
            octets = self._octets = _emit(self, [_in_ascii(line) for line in self.lines])
        return octets

    def __str__(self) -> str:
        words = [str(self.code)]
        if self.enhanced is not None:
            words.append(str(self.enhanced))
        words += [line for line in self.lines if line]
        text = " ".join(words)
        if text.isprintable():
            return text
        # Controls of a server do not reach a terminal or a log file.
        return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in text)

    def __repr__(self) -> str:
        text = self.lines[0] if len(self.lines) == 1 else self.lines
        status = "" if self.enhanced is None else f", {str(self.enhanced)!r}"
        return f"Reply({self.code}, {text!r}{status})"


class ReplyAssembler:
    """Puts the replies of one connection together, line by line.

    It takes any three digits that begin with 2 to 5: only the first digit decides what a client does
    (RFC 5321 section 4.2.1).  After an error the connection can only be closed.

    Args:
        strict: take only the codes of the grammar, whose second digit is 0 to 5.
    """

    __slots__ = ("_code", "_lines", "_octets", "_status", "_strict")

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._code = 0
        self._lines: list[str] = []  # of the reply under way; empty between replies
        self._octets = 0
        self._status: EnhancedStatus | None = None

    @property
    def incomplete(self) -> bool:
        """True in the middle of a reply."""
        return bool(self._lines)

    @property
    def code(self) -> bytes:
        """The code of the reply under way, b"" between replies."""
        return b"%d" % self._code if self._lines else b""

    def add(self, line: bytes, enhanced: bool = True) -> Reply | None:
        """Take the next line.

        An enhanced status code is one only if its class is that of the reply and SP or the end of the line
        follows; it is taken off the first line, and off the others where they repeat it.  Text is UTF-8;
        octets that are not become surrogates (as `surrogateescape` makes them), so that none is lost.

        Args:
            line: without its CRLF.
            enhanced: whether there may be an enhanced status code; False in a greeting and in replies to
                HELO, EHLO and LHLO (RFC 2034 section 4).  The first line of a reply decides.

        Returns:
            The reply that the line ends, or None if more lines follow.

        Raises:
            ParseError: the line is no part of a reply, its code differs from that of the lines before it, or
                the reply has more than 512 lines or 64 KiB.
        """
        if enhanced and not self._lines and (known := _by_line.get(line)) is not None:
            return known
        code = _CODES.get(line[:3])
        separator = line[3:4]
        if code is None or separator not in _SEPARATORS or (self._strict and line[1] > _FIVE):
            raise ParseError("not a reply line", line, expected='code [("-" / SP) text]')
        try:
            text = line[4:].decode()
        except UnicodeDecodeError:
            text = line[4:].decode("utf-8", "surrogateescape")
        if not text.isprintable() and ("\r" in text or "\n" in text or "\0" in text):
            raise ParseError("a bare CR, a bare LF or NUL in a reply", line)
        if self._lines or separator == b"-" or len(line) > _LINE:
            return self._gather(line, code, text, enhanced)
        status = leading_status(text, code // 100) if enhanced else None
        if status is not None:
            text = text.partition(" ")[2]
        reply = _made(code, (text,), status)
        if enhanced and len(line) <= _KNOWN_LINE and line[1] <= _FIVE:
            _keep(line, reply)
        return reply

    def _gather(self, line: bytes, code: int, text: str, enhanced: bool) -> Reply | None:
        lines = self._lines
        if not lines:
            self._code = code
            self._octets = 0
            self._status = leading_status(text, code // 100) if enhanced else None
        elif code != self._code:
            # Taking the better one would lose mail, the worse one duplicate it.
            raise ParseError(f"another code than {self._code} in the same reply", line)
        self._octets += len(line) + 2
        if len(lines) >= _REPLY_LINES or self._octets > REPLY_OCTETS:
            raise ParseError("a reply without end", line, expected="at most 512 lines and 64 KiB")
        lines.append(text if self._status is None else _without(self._status, text))
        if line[3:4] == b"-":
            return None
        self._lines = []
        return _made(code, tuple(lines), self._status)


def known_replies(lines: "list[bytes]") -> "list[Reply] | None":
    """The replies of lines that each have been one before; None if one of them has not.

    Args:
        lines: without their CRLFs, none of them in the middle of a reply, or where RFC 2034 allows no status code.
    """
    found = [*map(_by_line.get, lines)]
    return found if all(found) else None  # type: ignore[return-value]


def parse_reply(octets: bytes) -> Reply:
    """One whole reply, of one line or of many, each with its CRLF.

    It knows no context, and so takes an enhanced status code wherever the code and its class allow one.

    Raises:
        ParseError: it is not one whole reply, or more (RFC 5321 section 4.2); text of any octets but CR, LF
            and NUL is accepted.
    """
    if octets[-2:] != b"\r\n":
        raise ParseError("a reply without CRLF at its end", octets)
    assembler = ReplyAssembler(strict=True)
    lines = octets[:-2].split(b"\r\n", _REPLY_LINES)
    for index, line in enumerate(lines, 1):
        reply = assembler.add(line)
        if reply is not None:
            if index != len(lines):
                raise ParseError("octets behind the end of a reply", octets)
            return reply
    raise ParseError("a reply without its last line", octets)


def _without(status: EnhancedStatus, line: str) -> str:
    # The text of a line, behind the status code where it repeats it.
    return line.partition(" ")[2] if leading_status(line, status.status_class) == status else line


def _made(code: int, lines: tuple[str, ...], status: EnhancedStatus | None) -> Reply:
    # What was parsed is valid: the constructor would only look again.
    reply = Reply.__new__(Reply)
    reply.code = code
    reply.lines = lines
    reply.enhanced = status
    reply._octets = None
    return reply


def _keep(line: bytes, reply: Reply) -> None:
    if len(_by_line) >= _KNOWN:
        _by_line.clear()
    _by_line[line] = reply


def _emit(reply: Reply, lines: list[str]) -> bytes:
    # The lines have one character for each octet.
    status = "" if reply.enhanced is None else str(reply.enhanced)
    room = _LINE - 6 - (len(status) + 1 if status else 0)
    if len(lines) > 1 or len(lines[0]) > room:
        lines = [piece for line in lines for piece in _pieces(line, room)]
    if status:
        lines = [f"{status} {line}" if line else status for line in lines]
    octets = "".join([f"{reply.code}-{line}\r\n" for line in lines[:-1]])
    # The SP stays where nothing follows it, as RFC 5321 section 4.2.1 asks.
    return f"{octets}{reply.code} {lines[-1]}\r\n".encode("latin-1")


def _in_ascii(line: str) -> str:
    if line.isascii() and line.isprintable():
        return line
    return "".join([char if char == "\t" or " " <= char <= "~" else "?" for char in line])


def _as_octets(line: str) -> str:
    # Its octets in UTF-8, one character for each.
    printable = "".join([char if char == "\t" or char.isprintable() else "?" for char in line])
    return printable.encode().decode("latin-1")


def _pieces(line: str, room: int) -> "Iterator[str]":
    start = 0
    while len(line) - start > room:
        space = line.rfind(" ", start + 1, start + room + 1)
        end = space if space > 0 else start + room
        while "\x80" <= line[end] < "\xc0":  # within a character
            end -= 1
        yield line[start:end]
        start = end + (space > 0)
    yield line[start:]
