"""What the cases know of a running mail server: where it listens, what it has stored, and which fields it adds."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from processes import Failed, eventually

__all__ = ["DOMAINS", "MAILBOXES", "MailServer", "Relay", "Stored", "without_trace"]

DOMAINS = ("server.example", "client.example")
MAILBOXES = ("alice", "bob", "dave", "δοκιμή")  # the local parts that every server knows, in both domains


class Stored(NamedTuple):
    """A message as a server has stored it.

    Attributes:
        content: without the fields that the server put on top, with CRLF at line ends.
        trace: those fields.
        path: its file.
    """

    content: bytes
    trace: bytes
    path: Path


class Relay(NamedTuple):
    """Where a server passes mail on to: a server of smtpkit, which need not run yet.

    Attributes:
        domain: of the recipients whose mail goes there.
        port: on 127.0.0.1.
        adapter: "sync" or "asyncio".
        lmtp: whether LMTP is spoken.
    """

    domain: str
    port: int
    adapter: str
    lmtp: bool


class MailServer(NamedTuple):
    """A running server.

    Attributes:
        name: and version.
        ports: on 127.0.0.1, by what one meets there: "clear" (STARTTLS too, unless there is a "starttls"), "implicit",
            "login PLAIN" and so on, "impatient" (where a client that waits a second gets 421).
        mail: a folder with a Maildir for each local part.
        fields: the names of header fields that it puts on top of a message.
        said: what it has to say, for a case that failed.
        crlf: whether it stores CRLF; LF is made CRLF again otherwise.
        lmtp: whether it speaks LMTP.
        login: the mechanism to log in by wherever one must.
        queue: tells what waits, with the addresses of those recipients who have not got it.
        relays: where it passes mail on to.
    """

    name: str
    ports: dict[str, int]
    mail: Path
    fields: tuple[str, ...]
    said: Callable[[], str]
    crlf: bool = False
    lmtp: bool = False
    login: str = ""
    queue: Callable[[], str] | None = None
    relays: tuple[Relay, ...] = ()

    def empty(self) -> None:
        """Forget what has come so far."""
        for path in self._files("*"):
            path.unlink()

    def stored(self, address: str, count: int = 1) -> list[Stored]:
        """What has come for a recipient, once there are so many messages.

        Raises:
            Failed: there are not so many in the end.
        """
        local_part = address.partition("@")[0]
        eventually(lambda: len(self._files(local_part)) >= count)
        paths = self._files(local_part)
        if len(paths) != count:
            raise Failed(f"{len(paths)} messages are there for {address}, not {count}\n{self.said()}")
        return [self._parsed(path) for path in paths]

    def has(self, address: str) -> bool:
        """Whether something has come for a recipient."""
        return bool(self._files(address.partition("@")[0]))

    def told(self) -> str:
        """What the server said, and what the sender's mailbox has."""
        mail = [path.read_text(errors="replace") for path in self._files("alice")]
        return "\n".join([self.said(), *mail])

    def _files(self, local_part: str) -> list[Path]:
        return sorted(self.mail.glob(f"{local_part}/new/*"))

    def _parsed(self, path: Path) -> Stored:
        octets = path.read_bytes()
        trace, content = without_trace(octets, self.fields)
        return Stored(content if self.crlf else content.replace(b"\n", b"\r\n"), trace, path)


def without_trace(octets: bytes, fields: tuple[str, ...]) -> tuple[bytes, bytes]:
    """The fields of these names on top of a message, and the rest of it."""
    names = "|".join(fields).encode() or b"(?!)"
    top = re.match(rb"(?i:(?:%b):[^\n]*\n(?:[ \t][^\n]*\n)*)*" % names, octets)
    assert top is not None
    return octets[: top.end()], octets[top.end() :]
