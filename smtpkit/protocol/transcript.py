"""The record of a session: what each side said, credentials hidden by construction."""

from smtpkit.errors import ParseError
from smtpkit.protocol.transcript_entries import CLIENT, SERVER, ContentSize, Line, TLSStarted, parse_entry
from smtpkit.wire.extension_commands import COMMANDS, HISTORIC_VERBS

__all__ = ["Transcript", "repeats_secret", "without_secrets"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any

    from smtpkit.protocol.transcript_entries import Entry

_SHOWN_LINES = 40  # lines of one message's content
_SHOWN_OCTETS = 4096  # of each of them
_SHORTEST_SECRET = 4  # octets; shorter ones are found in words that repeat nothing
_PART = 8  # octets of base64; a line that has so many of what was sent in a row does not have them by chance
_LONGEST_VERB = 8  # letters of an unknown word that may be a verb: fewer than base64 has of a password
_KNOWN_VERBS = frozenset(COMMANDS) | HISTORIC_VERBS
# Any other word behind AUTH may be a secret that somebody has put there.
# fmt: off
_MECHANISMS = frozenset(
    {
        "ANONYMOUS", "CRAM-MD5", "DIGEST-MD5", "EXTERNAL", "GS2-KRB5", "GSSAPI", "GSS-SPNEGO", "KERBEROS_V4",
        "LOGIN", "NTLM", "OAUTHBEARER", "OTP", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-512-PLUS", "SECURID", "SKEY", "XOAUTH2"
    }
)
# fmt: on


class Transcript:
    r"""What was said in a session, in order: it records, compares, pickles, and has a text form.

    The connection hands in what it understood, not octets, so that nothing secret can slip through: of AUTH
    only the mechanism is kept, of challenges and what answers them nothing; of a verb that nobody knows
    nothing but the verb, and once AUTH was said, not even that.  An extension of one's own is such a verb.

    `str()` gives lines that begin with `C: ` (the client's) and `S: ` (the server's), and `-- TLSv1.3` where
    TLS began; `parse()` reads them back without loss.  What is not printable stands there as `\x1b`.

    Args:
        show: called with each line as it happens, the size of content when it is over; None to only collect.
        content: True to keep the first lines of each message's content, False to keep its size only.
        entries: what was said before.
        keep: False to only show, and keep nothing: for sessions without end.
    """

    __slots__ = (
        "_dotted",
        "_entries",
        "_keeps",
        "_keeps_content",
        "_left",
        "_rest",
        "_saw_auth",
        "_show",
        "_shown",
        "_size",
    )

    _left: int
    _rest: bytes
    _shown: int
    _size: int

    def __init__(
        self,
        show: "Callable[[str], object] | None" = None,
        *,
        content: bool = False,
        entries: "Iterable[Entry]" = (),
        keep: bool = True,
    ) -> None:
        self._entries: list[Entry] = list(entries)
        self._keeps = keep
        self._show = show
        self._keeps_content = content
        self._saw_auth = False
        self._dotted = True  # whether content comes by DATA
        self._content_over()

    @classmethod
    def parse(cls, text: str) -> "Transcript":
        """A transcript from its text form.

        Lines that are empty or begin with `#` are kept as comments; empty ones at the end are not.  Nothing is
        hidden here: a secret that somebody has written into the text is there.

        Raises:
            ParseError: a line is none of a transcript; it is named by its number.
        """
        entries = []
        text = text.rstrip("\r\n")
        for number, line in enumerate(text.split("\n") if text else (), 1):
            try:
                entries.append(parse_entry(line.removesuffix("\r")))
            except ParseError as error:
                raise ParseError(f"line {number} of a transcript: {error.what}", line) from error
        return cls(entries=entries)

    @property
    def entries(self) -> "tuple[Entry, ...]":
        """What was recorded; entry n is line n + 1 of the text."""
        return (*self._entries, *self._tail())

    @property
    def lines(self) -> list[str]:
        """The same as text."""
        return [str(entry) for entry in self.entries]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def __repr__(self) -> str:
        return f"<Transcript: {len(self.entries)} lines>"

    def __eq__(self, other: object) -> bool:
        return self.entries == other.entries if isinstance(other, Transcript) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> "tuple[Any, ...]":
        return _restored, (self.entries,)

    # What the connections of both roles record

    def command(self, line: bytes) -> None:
        """The client's command line, without or with its CRLF; what may be secret is not kept."""
        entry = without_secrets(line, after_auth=self._saw_auth)
        verb = entry.octets[:4].upper()
        self._saw_auth = self._saw_auth or verb == b"AUTH"
        self._dotted = verb != b"BDAT"
        self._add(entry)

    def secret(self) -> None:
        """A client's line that may hold credentials."""
        self._add(Line(CLIENT, b"", hidden=True))

    def reply(self, octets: bytes, secret: bytes = b"") -> None:
        """A reply of the server, or a line of one; or what should have been one.

        Args:
            octets: without or with the last CRLF.
            secret: what the client has sent by AUTH, as it was sent; a line that repeats it is hidden.
        """
        for line in octets.removesuffix(b"\r\n").split(b"\r\n"):
            # A challenge may repeat what the client said.
            if (line[:3] == b"334" and len(line) > 4) or (secret and repeats_secret(line, secret)):
                self._add(Line(SERVER, line[:3], hidden=True))
            else:
                self._add(Line(SERVER, line[:_SHOWN_OCTETS], ended=len(line) <= _SHOWN_OCTETS))

    def content(self, octets: bytes, size: int | None = None) -> None:
        """A piece of a message's content, or of a chunk, without its dots.

        Args:
            octets: what came, or as much of it as is at hand.
            size: how many octets came, if not all are at hand.
        """
        self._size += len(octets) if size is None else size
        if self._keeps_content and self._left:
            *lines, self._rest = (self._rest + octets).split(b"\r\n", self._left)
            for line in lines:
                self._shown += len(line) + 2
                self._record(self._content_line(line))
            self._left -= len(lines)
            if not self._left:
                self._rest = b""
            elif len(self._rest) > _SHOWN_OCTETS:
                self._shown += _SHOWN_OCTETS
                self._record(self._content_line(self._rest[:_SHOWN_OCTETS], ended=False))
                self._left, self._rest = 0, b""

    def end_of_data(self) -> None:
        """The line that ends content sent by DATA."""
        self._add(Line(CLIENT, b"."))

    def tls(self, version: str) -> None:
        """TLS is up."""
        self._add(TLSStarted(version))

    def flush(self) -> None:
        """Nothing more is said: show what there is of content that was cut off."""
        if self._size:
            for each in self._tail():
                self._record(each)
            self._content_over()

    def _content_line(self, line: bytes, *, ended: bool = True) -> Line:
        return Line(CLIENT, b"." + line if self._dotted and line[:1] == b"." else line, ended=ended)

    def _tail(self) -> "list[Entry]":
        # What is to be said of content that has not ended.
        tail: list[Entry] = [self._content_line(self._rest, ended=False)] if self._rest else []
        if self._shown + len(self._rest) < self._size:
            tail.append(ContentSize(self._size))
        return tail

    def _content_over(self) -> None:
        self._size = 0  # octets of the content under way
        self._shown = 0  # those that stand in entries
        self._left = _SHOWN_LINES
        self._rest = b""  # the line under way

    def _add(self, entry: "Entry") -> None:
        self.flush()
        self._record(entry)

    def _record(self, entry: "Entry") -> None:
        if self._keeps:
            self._entries.append(entry)
        if self._show is not None:
            self._show(str(entry))


def without_secrets(line: bytes, *, after_auth: bool = False) -> Line:
    """What may be shown of a client's line that was read as a command.

    Args:
        line: without or with its CRLF.
        after_auth: whether AUTH was said before, so that what is no command may be a stray answer to a challenge.
    """
    line = line.removesuffix(b"\r\n").replace(b"\r\n", b"\n")
    words = line.split(None, 2)
    verb = words[0].decode("latin-1").upper() if words else ""
    if verb == "AUTH":
        shown = words[:2] if len(words) > 1 and words[1].decode("latin-1").upper() in _MECHANISMS else words[:1]
        return Line(CLIENT, b" ".join(shown), hidden=len(words) > len(shown))
    if verb in _KNOWN_VERBS or not words:
        return Line(CLIENT, line)
    if after_auth or len(words[0]) > _LONGEST_VERB or not words[0].isalpha():
        return Line(CLIENT, b"", hidden=True)
    return Line(CLIENT, words[0], hidden=len(words) > 1)


def repeats_secret(line: bytes, secret: bytes, known: "Collection[bytes]" = ()) -> bool:
    """Whether a line of a reply to AUTH has what the client sent, or a part of it.

    Args:
        line: the line.
        secret: what was sent, as base64.
        known: words that are no secret where they stand alone, such as the user's name.
    """
    from binascii import Error, a2b_base64

    encoded = secret.strip()
    try:
        # Password, token, digest, and the user that they belong to.
        words = a2b_base64(encoded).replace(b"\0", b" ").replace(b"\x01", b" ").split()
    except Error:
        words = []
    if any(len(word) >= _SHORTEST_SECRET and word in line for word in (encoded, *words) if word not in known):
        return True
    return any(encoded[at : at + _PART] in line for at in range(0, len(encoded) - _PART + 1, _PART))


def _restored(entries: "Iterable[Entry]") -> Transcript:
    return Transcript(entries=entries)
