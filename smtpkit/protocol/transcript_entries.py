"""The lines of a transcript as values, each with its text form, from which it is read back without loss."""

from smtpkit.errors import ParseError
from smtpkit.wire.strings import is_number
from smtpkit.wire.value import Value

__all__ = ["CLIENT", "SERVER", "Comment", "ContentSize", "Line", "TLSStarted", "parse_entry"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import Match, Pattern

CLIENT = "C"
SERVER = "S"

_HIDDEN = "<hidden>"
_SIZE = ("<", " octets of content>")
_TLS = "-- "


class Line(Value):
    """What one side said, up to a CRLF: a command, a line of a reply, a line of content.

    Content is as it is on the wire: after 354 with its dots doubled, and a line that is a single dot ends it.

    Args:
        speaker: CLIENT or SERVER.
        octets: without the CRLF, and without what is secret.
        hidden: whether a secret followed, with a space before it unless `octets` is empty.
        ended: False if no CRLF followed: the end of a chunk, or a line that was too long to be kept.

    Raises:
        ParseError: there is no such speaker, the octets have a CRLF, or a secret is on a line without end.
    """

    __slots__ = ("speaker", "octets", "hidden", "ended")

    def __init__(self, speaker: str, octets: bytes, *, hidden: bool = False, ended: bool = True) -> None:
        if speaker not in (CLIENT, SERVER):
            raise ParseError("no side of a session", speaker, expected="C or S")
        if b"\r\n" in octets:
            raise ParseError("more than one line", octets)
        if hidden and not ended:
            raise ParseError("what is hidden ends with its line", octets)
        self.speaker = speaker
        self.octets = octets
        self.hidden = hidden
        self.ended = ended

    def __str__(self) -> str:
        text = _escaped(self.octets)
        if self.hidden:
            text = f"{text} {_HIDDEN}" if text else _HIDDEN
        elif text.endswith(_HIDDEN):
            text = text[: -len(_HIDDEN)] + "\\x3c" + _HIDDEN[1:]
        elif _size_in(text) is not None:
            text = "\\x3c" + text[1:]
        return f"{self.speaker}: {text}" + ("" if self.ended else "\\")

    def __repr__(self) -> str:
        return f"<{self}>"


class ContentSize(Value):
    """The size of a message's content, or of a chunk, of which not all is shown.

    Args:
        octets: dots removed; of the content from its beginning, lines shown before included.

    Raises:
        ParseError: it is no size.
    """

    __slots__ = ("octets",)
    speaker = CLIENT

    def __init__(self, octets: int) -> None:
        if octets < 1:
            raise ParseError("not a size of content", str(octets))
        self.octets = octets

    def __str__(self) -> str:
        return f"{CLIENT}: {_SIZE[0]}{self.octets}{_SIZE[1]}"


class TLSStarted(Value):
    """TLS is up.

    Args:
        version: such as "TLSv1.3".

    Raises:
        ParseError: it is no word.
    """

    __slots__ = ("version",)
    speaker = None

    def __init__(self, version: str) -> None:
        if not version.isprintable() or not version or version != version.strip():
            raise ParseError("not a version of TLS", version)
        self.version = version

    def __str__(self) -> str:
        return f"{_TLS}{self.version}"


class Comment(Value):
    """A line that says nothing: empty, or beginning with "#".

    Args:
        text: the whole line.

    Raises:
        ParseError: it is not one such line.
    """

    __slots__ = ("text",)
    speaker = None

    def __init__(self, text: str) -> None:
        if text and (text[0] != "#" or "\n" in text or "\r" in text):
            raise ParseError("not a comment", text, expected='"#" text')
        self.text = text

    def __str__(self) -> str:
        return self.text


if TYPE_CHECKING:
    Entry = Line | ContentSize | TLSStarted | Comment


def parse_entry(text: str) -> "Entry":
    """The entry that a line of text stands for; `str()` gives the same text.

    Raises:
        ParseError: it is none.
    """
    if text[:2] in ("C:", "S:") and text[2:3] in (" ", ""):
        return _spoken(text[0], text[3:])
    if text.startswith(_TLS):
        return TLSStarted(text[len(_TLS) :])
    if text and text[0] != "#":
        raise ParseError("not a line of a transcript", text, expected='"C: ", "S: ", "-- " or "#"')
    return Comment(text)


def _spoken(speaker: str, text: str) -> "Line | ContentSize":
    size = _size_in(text) if speaker == CLIENT else None
    if size is not None:
        return ContentSize(size)
    if text == _HIDDEN:
        return Line(speaker, b"", hidden=True)
    if text.endswith(f" {_HIDDEN}"):
        return Line(speaker, _unescaped(text[: -len(_HIDDEN) - 1]), hidden=True)
    if (len(text) - len(text.rstrip("\\"))) % 2:
        return Line(speaker, _unescaped(text[:-1]), ended=False)
    return Line(speaker, _unescaped(text))


def _size_in(text: str) -> int | None:
    before, after = _SIZE
    digits = text[len(before) : -len(after)]
    if not (text.startswith(before) and text.endswith(after) and is_number(digits, 19)) or digits[0] == "0":
        return None
    return int(digits)


def _escaped(octets: bytes) -> str:
    # What a terminal might obey, and what is no UTF-8, is written as its octets: \x1b.
    text = octets.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "".join(f"\\x{each:02x}" for each in char.encode()) for char in text)


def _unescaped(text: str) -> bytes:
    octets = text.encode("utf-8", "surrogateescape")
    return _escape().sub(_octet, octets) if b"\\" in octets else octets


def _octet(match: "Match[bytes]") -> bytes:
    if match[1] is not None:
        return bytes([int(match[1], 16)])
    if match[2] is None:
        raise ParseError(
            "a backslash that stands for nothing", match.string, offset=match.start(), expected=r"\\ or \x"
        )
    return b"\\"


def _escape() -> "Pattern[bytes]":
    import re

    return re.compile(rb"\\(?:x([0-9a-f]{2})|(\\))?")
