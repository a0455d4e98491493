"""An mbox file: one message behind the other, each appended whole, and on the disk before it is accepted."""

import os
import re
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from smtpkit.errors import ReplyError
from smtpkit.protocol.header_filter import MOST_HOPS
from smtpkit.stores.delivering import FileDelivery
from smtpkit.stores.disk import Undone, make_directory, open_private, sync_directory
from smtpkit.stores.incoming import Incoming
from smtpkit.stores.locking import MailboxLock
from smtpkit.wire.replies import Reply

__all__ = ["FromQuoter", "Mbox"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import FileIO
    from typing import IO

    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.session import SessionFacts

_BINARY = Reply(554, "Binary content cannot be kept in this mailbox", "5.6.1")
_BLOCK = 256 * 1024


class Mbox:
    """A store that appends each message to one file, in the format mboxrd.

    A message is streamed to an unnamed file first, beside the mailbox or else where temporary files are, so that the
    mailbox is locked only while it is copied; what then fails is cut off again.  Other programs are kept out by a
    dot-lock and by fcntl.  Line ends are LF; a line "From " of the content, with any number of ">" before it, gets one
    ">" more.  BODY=BINARYMIME, which does not consist of lines, is refused (554 5.6.1).

    Args:
        path: the file, which is made where it is missing.
        trace: whether Return-Path, Delivered-To and Received are put on top, and an older Return-Path taken out.
        most_hops: Received fields with which a message is refused (554 5.4.6); None for no bound.
        lock_timeout: seconds to wait for other programs that have the file locked; then 451 4.2.0.
        dot_lock: False where the directory must not be written to, as /var/mail often.

    Raises:
        OSError: the file cannot be made or written to, or is no regular file.
    """

    def __init__(
        self,
        path: "str | os.PathLike[str]",
        *,
        trace: bool = True,
        most_hops: int | None = MOST_HOPS,
        lock_timeout: float = 20.0,
        dot_lock: bool = True,
    ) -> None:
        self.path = Path(path)
        self.trace = trace
        self.most_hops = most_hops
        self.lock_timeout = lock_timeout
        self.dot_lock = dot_lock
        self._threads = Lock()
        directory = self.path.parent
        if not directory.exists():
            make_directory(directory)
        self.spool_directory = directory if os.access(directory, os.W_OK | os.X_OK) else None
        with self.opened():
            sync_directory(directory)

    def __repr__(self) -> str:
        return f"Mbox({str(self.path)!r}, trace={self.trace})"

    def begin(self, envelope: "Envelope", session: "SessionFacts") -> "Delivery":
        """A delivery of one message.

        Raises:
            ReplyError: the disk is full (452 4.3.1), or the content is binary (554 5.6.1).
            OSError: the file cannot be made.
        """
        if envelope.mail_parameters.get("BODY") == "BINARYMIME":
            raise ReplyError(_BINARY)
        incoming = Incoming(envelope, session, crlf=False, trace=self.trace, most_hops=self.most_hops)
        sender = "MAILER-DAEMON" if envelope.sender is None else re.sub(r"\s", "_", str(envelope.sender))
        heading = f"From {sender} {time.asctime(time.gmtime(incoming.time))}\n"
        return Delivery(self, incoming, heading.encode())

    def opened(self) -> "FileIO":
        """The mailbox, to read and to append to.

        Raises:
            OSError: it cannot be opened, or is no regular file.
        """
        file = open(self.path, "a+b", buffering=0, opener=open_private)  # noqa: SIM115 (the caller closes it)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(f"{self.path} is no regular file")
        return file

    def locked(self, file: "FileIO") -> MailboxLock:
        """The lock of the mailbox that is open."""
        number = file.fileno()
        return MailboxLock(self._threads, self.path, number, timeout=self.lock_timeout, dot_lock=self.dot_lock)


class Delivery(FileDelivery):
    """One message on its way into an mbox; `Mbox.begin()` makes it.

    After an error, and after `abort()`, nothing of the message is left.
    """

    __slots__ = ("_heading", "_quoter", "_store")

    def __init__(self, store: Mbox, incoming: Incoming, heading: bytes) -> None:
        self._store = store
        self._heading = heading
        self._quoter = FromQuoter()
        super().__init__(incoming, lambda: tempfile.TemporaryFile(dir=store.spool_directory))  # noqa: SIM115 (the base closes it)

    def commit(self) -> None:
        """Have the message on the disk, at the end of the mailbox.

        Raises:
            ReplyError: the disk is full (452 4.3.1), or others keep the mailbox locked (451 4.2.0).
            OSError: it cannot be written.
        """
        store = self._store
        with Undone(self):
            spool = self._open_file()
            spool.write(self._kept(self._incoming.finish()))
            spool.write(self._quoter.finish())
            with store.opened() as file, store.locked(file):
                self._append(file, spool)
        self.abort()  # closes the unnamed file, which is all that is left

    def _kept(self, octets: bytes) -> bytes:
        return self._quoter.feed(octets)

    def _append(self, file: "FileIO", spool: "IO[bytes]") -> None:
        number = file.fileno()
        before = os.fstat(number).st_size
        spool.seek(0)
        try:
            _write(number, _separation(file, before) + self._heading)
            while block := spool.read(_BLOCK):
                _write(number, block)
            _write(number, b"\n")
            os.fsync(number)
            if not before:
                sync_directory(self._store.path.parent)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(number, before)
                os.fsync(number)
            raise


class FromQuoter:
    """Makes lines with LF what mboxrd has of them: a line "From ", whatever ">" are before it, gets one ">" more."""

    __slots__ = ("_held", "_is_inside", "_last")

    def __init__(self) -> None:
        self._held = b""  # the beginning of a line that may be one
        self._is_inside = False  # whether what comes next is inside a line that is none
        self._last = b"\n"

    def feed(self, octets: bytes) -> bytes:
        """Take the next piece, and give what is ready."""
        octets = self._held + octets
        if not octets:
            return b""
        end = octets.rfind(b"\n") + 1
        is_inside = self._is_inside if not end else False
        tail = octets[end:]
        self._held = b""
        if not is_inside and re.fullmatch(rb">*+(?:F|Fr|Fro|From)?", tail):
            # Of many ">" all but one may go: where among them another one is put makes no difference.
            arrows = len(tail) - len(tail.lstrip(b">"))
            self._held = tail[max(arrows - 1, 0) :]
            octets = octets[: len(octets) - len(self._held)]
        quoted = _quoted(octets, self._is_inside)
        self._is_inside = bool(tail) if not self._held else False
        self._last = octets[-1:] or self._last
        return quoted

    def finish(self) -> bytes:
        """Give what is left at the end of the message, with the LF that its last line may lack."""
        rest, self._held = self._held, b""
        return rest + (b"" if (rest or self._last).endswith(b"\n") else b"\n")


def _quoted(octets: bytes, is_inside: bool) -> bytes:
    if b"From " not in octets:
        return octets
    begin = 0
    if is_inside:
        begin = octets.find(b"\n") + 1 or len(octets)
    return octets[:begin] + re.sub(rb"^(>*+From )", rb">\1", octets[begin:], flags=re.MULTILINE)


def _write(number: int, octets: bytes) -> None:
    # Nothing is held back: what is cut off after a failure must not come later.
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(number, rest) :]


def _separation(file: "FileIO", size: int) -> bytes:
    # The empty line that ends a message, where another program, or a crash, has left it out.
    if not size:
        return b""
    file.seek(max(size - 2, 0))
    end = file.read(2)
    if end == b"\n\n":
        return b""
    return b"\n" if end.endswith(b"\n") else b"\n\n"
