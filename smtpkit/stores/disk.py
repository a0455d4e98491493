"""What stores on a disk share: private files, names that last, and a delivery that is undone when a step fails."""

import errno
import os
from pathlib import Path

from smtpkit.errors import ReplyError
from smtpkit.wire.replies import Reply

__all__ = ["Undone", "make_directory", "open_private", "sync_directory"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Delivery(Protocol):
        def abort(self) -> None: ...


_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_ROOM = Reply(452, "Insufficient system storage", "4.3.1")
_PRIVATE = 0o700
_SYNCS_DIRECTORIES = os.name == "posix"  # Windows can open none


class Undone:
    """A context for one step of a delivery: what fails is undone, and a full disk says so.

    Args:
        delivery: its `abort()` is called when the step fails.
    """

    __slots__ = ("_delivery",)

    def __init__(self, delivery: "Delivery") -> None:
        self._delivery = delivery

    def __enter__(self) -> None:
        """Begin the step."""

    def __exit__(self, kind: "type[BaseException] | None", error: BaseException | None, traceback: object) -> None:
        if error is None:
            return
        self._delivery.abort()
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise ReplyError(_NO_ROOM) from error


def make_directory(path: Path) -> None:
    """Have a directory for the owner alone, unless it is there; a name that is made is on the disk.

    Raises:
        OSError: it cannot be made, or not be written to.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(_PRIVATE, parents=True, exist_ok=True)
    for each in missing:
        sync_directory(each.parent)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def open_private(path: str, flags: int) -> int:
    """An opener for `open()`: a file that is made is for the owner alone."""
    return os.open(path, flags, 0o600)


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk: a file lasts once its name does.

    Raises:
        OSError: it cannot be synced.
    """
    if _SYNCS_DIRECTORIES:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
