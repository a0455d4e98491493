"""A directory with two files for each message: its octets as they came, and envelope and session as JSON."""

import json
import os
from contextlib import suppress
from pathlib import Path

from smtpkit.protocol.header_filter import MOST_HOPS
from smtpkit.stores.delivering import FileDelivery
from smtpkit.stores.describing import described
from smtpkit.stores.disk import Undone, make_directory, open_private, sync_directory
from smtpkit.stores.incoming import Incoming

__all__ = ["EmlDirectory"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.session import SessionFacts


class EmlDirectory:
    """A store for programs that pick messages up: NAME.eml, and NAME.json when both are complete.

    Both files are written as NAME.eml.tmp and NAME.json.tmp, synced, and renamed, the one with the envelope last: who
    waits for *.json always finds the pair, and it survives a power cut.  Names sort by time, are made here, and are
    never used twice.

    Args:
        path: the directory, which is made where it is missing.
        trace: whether Return-Path, Delivered-To and Received are put on top, and an older Return-Path taken out; by
            default the octets are those that came, for the JSON says it all.
        most_hops: Received fields with which a message is refused (554 5.4.6); None for no bound.

    Raises:
        OSError: the directory cannot be made, or not be written to.
    """

    def __init__(
        self, path: "str | os.PathLike[str]", *, trace: bool = False, most_hops: int | None = MOST_HOPS
    ) -> None:
        self.path = Path(path)
        self.trace = trace
        self.most_hops = most_hops
        make_directory(self.path)
        sync_directory(self.path)

    def __repr__(self) -> str:
        return f"EmlDirectory({str(self.path)!r}, trace={self.trace})"

    def begin(self, envelope: "Envelope", session: "SessionFacts") -> "Delivery":
        """A delivery of one message.

        Raises:
            ReplyError: the disk is full (452 4.3.1).
            OSError: the file cannot be made.
        """
        incoming = Incoming(envelope, session, crlf=True, trace=self.trace, most_hops=self.most_hops)
        return Delivery(self.path, incoming, described(envelope, session, incoming.identifier, incoming.time))


class Delivery(FileDelivery):
    """One message on its way into the directory; `EmlDirectory.begin()` makes it.

    After an error, and after `abort()`, nothing of the message is left.
    """

    __slots__ = ("_content", "_description", "_path")

    def __init__(self, path: Path, incoming: Incoming, description: "dict[str, Any]") -> None:
        self._description = description
        self._path = path
        self._content = path / f"{incoming.name}.eml"
        super().__init__(incoming, lambda: _made(self._content))

    def commit(self) -> None:
        """Have both files on the disk, under their names.

        Raises:
            ReplyError: the disk is full (452 4.3.1).
            OSError: it cannot be written.
        """
        with Undone(self):
            file = self._open_file()
            file.write(self._incoming.finish())
            description = {"file": self._content.name, "size": file.tell(), **self._description}
            envelope = self._envelope
            _finish(file)
            _finish(_made(envelope), json.dumps(description, indent=1).encode() + b"\n")
            for finished in (self._content, envelope):
                os.rename(_unfinished(finished), finished)
                sync_directory(self._path)  # the second name is never there without the first
        self._file = None

    def _remove(self) -> None:
        for path in (self._envelope, self._content):
            for each in (path, _unfinished(path)):
                with suppress(OSError):
                    each.unlink()

    @property
    def _envelope(self) -> Path:
        return self._content.with_suffix(".json")


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.tmp")


def _made(path: Path) -> "IO[bytes]":
    return open(_unfinished(path), "xb", opener=open_private)


def _finish(file: "IO[bytes]", octets: bytes = b"") -> None:
    with file:  # some file systems tell of a full disk only when it is closed
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
