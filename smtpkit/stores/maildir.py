"""A Maildir: one file for each message, complete and on the disk before the client is told that it was accepted."""

import os
import socket
from contextlib import suppress
from pathlib import Path

from smtpkit.protocol.header_filter import MOST_HOPS
from smtpkit.stores.delivering import FileDelivery
from smtpkit.stores.disk import Undone, make_directory, open_private, sync_directory
from smtpkit.stores.incoming import Incoming

__all__ = ["Maildir"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.session import SessionFacts


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
        most_hops: Received fields with which a message is refused (554 5.4.6); None for no bound.

    Raises:
        OSError: the directory cannot be made, or not be written to.
    """

    def __init__(
        self,
        path: "str | os.PathLike[str]",
        *,
        crlf: bool = False,
        trace: bool = True,
        most_hops: int | None = MOST_HOPS,
    ) -> None:
        self.path = Path(path)
        self.crlf = crlf
        self.trace = trace
        self.most_hops = most_hops
        for name in ("tmp", "new", "cur"):
            make_directory(self.path / name)
        sync_directory(self.path)

    def __repr__(self) -> str:
        return f"Maildir({str(self.path)!r}, crlf={self.crlf}, trace={self.trace})"

    def begin(self, envelope: "Envelope", session: "SessionFacts") -> "Delivery":
        """A delivery of one message.

        Raises:
            ReplyError: the disk is full (452 4.3.1).
            OSError: the file cannot be made.
        """
        return Delivery(
            self.path, Incoming(envelope, session, crlf=self.crlf, trace=self.trace, most_hops=self.most_hops)
        )


class Delivery(FileDelivery):
    """One message on its way into a Maildir; `Maildir.begin()` makes it.

    After an error, and after `abort()`, nothing of the message is left.
    """

    __slots__ = ("_new", "_tmp")

    def __init__(self, path: Path, incoming: Incoming) -> None:
        # As https://cr.yp.to/proto/maildir.html asks: time, what is unique on this host, and the host.
        host = socket.gethostname().replace("/", "\\057").replace(":", "\\072")
        name = f"{incoming.name}.{host}"
        self._tmp = path / "tmp" / name
        self._new = path / "new" / name
        super().__init__(incoming, lambda: open(self._tmp, "xb", opener=open_private))  # noqa: SIM115 (the base closes it)

    def commit(self) -> None:
        """Have the message on the disk, under its name.

        Raises:
            ReplyError: the disk is full (452 4.3.1).
            OSError: it cannot be written.
        """
        with Undone(self):
            file = self._open_file()
            file.write(self._incoming.finish())
            file.flush()
            os.fsync(file.fileno())
            file.close()  # some file systems tell of a full disk only here
            os.rename(self._tmp, self._new)
            sync_directory(self._new.parent)
        self._file = None

    def _remove(self) -> None:
        for path in (self._tmp, self._new):
            with suppress(OSError):
                path.unlink()
