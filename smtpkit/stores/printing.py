"""A store that keeps nothing: it shows each message on a stream, with nothing in it that could move a cursor."""

import sys
from io import TextIOWrapper
from tempfile import SpooledTemporaryFile
from threading import Lock

from smtpkit.printable import printable
from smtpkit.wire.commands import Mail, Rcpt

__all__ = ["Printing"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.session import SessionFacts

_IN_MEMORY = 256 * 1024  # octets of a message before it goes to a file
_LINE = 64 * 1024  # characters of a line that are shown at a time


class Printing:
    """Shows envelope and content of each message, one after the other, when it is complete.

    Args:
        stream: where to; None for standard output.
    """

    def __init__(self, stream: "TextIO | None" = None) -> None:
        self._stream = stream
        self._lock = Lock()  # sessions take turns

    def begin(self, envelope: "Envelope", session: "SessionFacts") -> "Shown":
        """A delivery of one message."""
        return Shown(self, envelope, session)

    def show(self, lines: "list[str]", content: "SpooledTemporaryFile[bytes]") -> None:
        """Write one message.

        Raises:
            OSError: the stream takes no more.
        """
        stream = self._stream or sys.stdout
        content.seek(0)
        text = TextIOWrapper(content, "utf-8", "backslashreplace", newline="\n")
        with self._lock:
            for line in lines:
                stream.write(printable(line) + "\n")
            while line := text.readline(_LINE):
                ended = line.endswith("\n")
                stream.write(printable(line.removesuffix("\n").removesuffix("\r")) + ("\n" if ended else ""))
            stream.write("\n")
            stream.flush()
        text.detach()


class Shown:
    """One message on its way to the stream; `Printing.begin()` makes it."""

    def __init__(self, store: Printing, envelope: "Envelope", session: "SessionFacts") -> None:
        self._store = store
        self._envelope = envelope
        self._session = session
        self._size = 0
        self._content = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (closed by commit or abort)

    def write(self, octets: bytes) -> None:
        """Add a piece of the content."""
        self._size += len(octets)
        self._content.write(octets)

    def commit(self) -> None:
        """Show the message.

        Raises:
            OSError: the stream takes no more.
        """
        try:
            self._store.show(self._head(), self._content)
        finally:
            self.abort()

    def abort(self) -> None:
        """Forget the message."""
        self._content.close()

    def _head(self) -> list[str]:
        envelope, session = self._envelope, self._session
        peer = session.address or "unix socket"
        user = f", {session.identity} logged in" if session.identity is not None else ""
        recipients = zip(envelope.recipients, envelope.rcpt_parameters, strict=True)
        commands = (Mail(envelope.sender, envelope.mail_parameters), *(Rcpt(*each) for each in recipients))
        return [
            f"---------- message of {self._size} octets from {peer} ({session.hello_name}) by {session.protocol}{user}",
            *(bytes(command).decode().removesuffix("\r\n") for command in commands),
            "",
        ]
