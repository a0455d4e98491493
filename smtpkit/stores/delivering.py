"""What the deliveries of all stores on a disk share: the file that a message is streamed to, until it is undone."""

from contextlib import suppress

from smtpkit.stores.disk import Undone

__all__ = ["FileDelivery"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from smtpkit.stores.incoming import Incoming


class FileDelivery:
    """One message on its way into a store.

    After an error, and after `abort()`, nothing of the message is left.

    Args:
        incoming: the message.
        make: makes the file that it is streamed to.

    Raises:
        ReplyError: the disk is full (452 4.3.1).
        OSError: the file cannot be made.
    """

    __slots__ = ("_file", "_incoming")

    def __init__(self, incoming: "Incoming", make: "Callable[[], IO[bytes]]") -> None:
        self._incoming = incoming
        self._file: IO[bytes] | None = None
        with Undone(self):
            self._file = make()
            self._file.write(self._kept(incoming.top))

    def write(self, octets: bytes) -> None:
        """Add a piece of the content.

        Raises:
            ReplyError: the disk is full (452 4.3.1), or the message goes round in circles (554 5.4.6).
            OSError: it cannot be written.
        """
        with Undone(self):
            self._open_file().write(self._kept(self._incoming.feed(octets)))

    def abort(self) -> None:
        """Remove what there is of the message; never raises."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()
            self._remove()

    def _remove(self) -> None:
        """Remove the files that have names; none, where the only one has none."""

    def _kept(self, octets: bytes) -> bytes:
        # How the store writes them.
        return octets

    def _open_file(self) -> "IO[bytes]":
        if self._file is None:
            raise ValueError("the delivery has failed, or was aborted")
        return self._file
