"""A Maildir: one file for each message, complete and on the disk before the client is told that it was accepted."""

import errno
import os
import socket
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

from smtpkit.errors import ReplyError
from smtpkit.stores.header_filter import ReturnPathFilter
from smtpkit.stores.received import trace_fields
from smtpkit.wire.replies import Reply

__all__ = ["Maildir"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedWriter

    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.session import SessionFacts

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_ROOM = Reply(452, "Insufficient system storage", "4.3.1")
_PRIVATE = 0o700
_SYNCS_DIRECTORIES = os.name == "posix"  # Windows can open none
_counter = count(1)


class Maildir:
    """A store that keeps each message in a file of its own, whatever its recipients.

    A message is streamed to `tmp`, synced, and renamed to `new`, whose directory is synced too: a message that was
    answered 250 survives a power cut, and a reader never sees half of one.  Names of files are made here; nothing of
    what a client says is in them.

    Args:
        path: the directory; it and its `tmp`, `new` and `cur` are made where they are missing.
        crlf: True to keep line ends as they were received; False for LF, as programs that read a Maildir want them.
            BODY=BINARYMIME is always kept.
        trace: whether Return-Path, Delivered-To and Received are put on top, and an older Return-Path taken out.

    Raises:
        OSError: the directory cannot be made, or not be written to.
    """

    def __init__(self, path: "str | os.PathLike[str]", *, crlf: bool = False, trace: bool = True) -> None:
        self.path = Path(path)
        self.crlf = crlf
        self.trace = trace
        for name in ("tmp", "new", "cur"):
            directory = self.path / name
            directory.mkdir(_PRIVATE, parents=True, exist_ok=True)
            if not os.access(directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))
        _sync_directory(self.path)

    def __repr__(self) -> str:
        return f"Maildir({str(self.path)!r}, crlf={self.crlf}, trace={self.trace})"

    def begin(self, envelope: "Envelope", session: "SessionFacts") -> "Delivery":
        """A delivery of one message.

        Raises:
            ReplyError: the disk is full (452 4.3.1).
            OSError: the file cannot be made.
        """
        now = time.time()
        identifier = f"{next(_counter):x}-{os.urandom(8).hex()}"
        keeps = self.crlf or envelope.mail_parameters.get("BODY") == "BINARYMIME"
        lines = trace_fields(envelope, session, identifier, now) if self.trace else []
        return Delivery(self.path, _file_name(now, identifier), lines, keeps_crlf=keeps)


class Delivery:
    """One message on its way into a Maildir; `Maildir.begin()` makes it.

    After an error, and after `abort()`, nothing of the message is left.
    """

    __slots__ = ("_file", "_filter", "_held", "_keeps_crlf", "_new", "_tmp")

    def __init__(self, path: Path, name: str, trace: list[str], *, keeps_crlf: bool) -> None:
        self._tmp = path / "tmp" / name
        self._new = path / "new" / name
        self._keeps_crlf = keeps_crlf
        self._held = b""  # a CR at the end of a piece, whose LF may be in the next
        self._file: BufferedWriter | None = None
        with _Undone(self):
            self._file = open(self._tmp, "xb", opener=_open_private)  # noqa: SIM115 (closed by commit or abort)
            self._write("".join(f"{line}\r\n" for line in trace).encode())
        self._filter = ReturnPathFilter() if trace else None

    def write(self, octets: bytes) -> None:
        """Add a piece of the content.

        Raises:
            ReplyError: the disk is full (452 4.3.1).
            OSError: it cannot be written.
        """
        with _Undone(self):
            self._write(octets if self._filter is None else self._filter.feed(octets))

    def commit(self) -> None:
        """Have the message on the disk, under its name.

        Raises:
            ReplyError: the disk is full (452 4.3.1).
            OSError: it cannot be written.
        """
        with _Undone(self):
            if self._filter is not None:
                self._write(self._filter.finish())
            file = self._open_file()
            file.write(self._held)
            file.flush()
            os.fsync(file.fileno())
            file.close()  # some file systems tell of a full disk only here
            os.rename(self._tmp, self._new)
            _sync_directory(self._new.parent)
        self._file = None

    def abort(self) -> None:
        """Remove what there is of the message; never raises."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()
            for path in (self._tmp, self._new):
                with suppress(OSError):
                    path.unlink()

    def _write(self, octets: bytes) -> None:
        file = self._open_file()
        if not self._keeps_crlf:
            octets = self._held + octets
            self._held = b"\r" if octets.endswith(b"\r") else b""
            octets = octets.removesuffix(b"\r").replace(b"\r\n", b"\n")
        file.write(octets)

    def _open_file(self) -> "BufferedWriter":
        if self._file is None:
            raise ValueError("the delivery has failed, or was aborted")
        return self._file


class _Undone:
    """A context that removes a delivery when a step of it fails, and has a full disk say so."""

    __slots__ = ("_delivery",)

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def __enter__(self) -> None:
        """Begin the step."""

    def __exit__(self, kind: "type[BaseException] | None", error: BaseException | None, traceback: object) -> None:
        if error is None:
            return
        self._delivery.abort()
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise ReplyError(_NO_ROOM) from error


def _file_name(now: float, identifier: str) -> str:
    # As https://cr.yp.to/proto/maildir.html asks: time, what is unique on this host, and the host.
    seconds, microseconds = divmod(int(now * 1_000_000), 1_000_000)
    host = socket.gethostname().replace("/", "\\057").replace(":", "\\072")
    return f"{seconds}.M{microseconds}P{os.getpid()}Q{identifier}.{host}"


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_directory(path: Path) -> None:
    # A name is on the disk once its directory is.
    if _SYNCS_DIRECTORIES:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
