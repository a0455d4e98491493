"""The lock of a mailbox that others write to as well: other threads, and by dot-lock and fcntl other programs."""

import os
import socket
import time
from contextlib import suppress

from smtpkit.errors import ReplyError
from smtpkit.stores.disk import open_private
from smtpkit.wire.replies import Reply

__all__ = ["MailboxLock"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from threading import Lock
    from typing import Self

_LOCKED = Reply(451, "The mailbox is in use by another program", "4.2.0")
_AGAIN = 0.05  # seconds between attempts
_STALE = 300.0  # seconds after which a dot-lock is of a program that has died; nobody holds one so long
_MARK = 256  # octets of a dot-lock that are looked at


class MailboxLock:
    """Keeps everybody else from writing to a file.

    Args:
        threads: keeps threads of this process apart, which fcntl does not.
        path: the file.
        number: its open file descriptor.
        timeout: seconds to wait for others.
        dot_lock: whether the file `PATH.lock` is made too, which programs look for that know no fcntl lock, and which
            is good over NFS.

    Raises:
        ReplyError: on entering, others hold it for longer (451 4.2.0).
        OSError: on entering, the dot-lock cannot be made.
    """

    __slots__ = ("_dot", "_has_dot", "_number", "_threads", "_timeout")

    def __init__(self, threads: "Lock", path: "Path", number: int, *, timeout: float, dot_lock: bool) -> None:
        self._dot = path.with_name(f"{path.name}.lock") if dot_lock else None
        self._has_dot = False
        self._number = number
        self._threads = threads
        self._timeout = timeout

    def __enter__(self) -> "Self":
        until = time.monotonic() + self._timeout
        if not self._threads.acquire(timeout=self._timeout):
            raise ReplyError(_LOCKED)
        try:
            while not self._try_dot_lock():
                _wait(until)
            while not _try_fcntl(self._number):
                _wait(until)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        _unlock_fcntl(self._number)
        if self._has_dot and self._dot is not None:
            with suppress(OSError):
                self._dot.unlink()
        self._threads.release()

    def _try_dot_lock(self) -> bool:
        if self._dot is None:
            return True
        try:
            with open(self._dot, "x", opener=open_private) as file:
                file.write(_mark(os.getpid()))
        except FileExistsError:
            self._remove_stale()
        else:
            self._has_dot = True
        return self._has_dot

    def _remove_stale(self) -> None:
        assert self._dot is not None
        with suppress(OSError, ValueError):
            if time.time() - self._dot.stat().st_mtime > _STALE or self._is_of_the_dead():
                self._dot.unlink()

    def _is_of_the_dead(self) -> bool:
        # Of a process like this one, on this host, that was killed; others' locks are given their time.
        assert self._dot is not None
        with open(self._dot) as file:
            found = file.read(_MARK)
        number = int(found.partition(" ")[0])
        if found != _mark(number):
            return False
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        return False


def _mark(number: int) -> str:
    return f"{number} {socket.gethostname()}\n"  # other programs read no further than the number


def _wait(until: float) -> None:
    if time.monotonic() >= until:
        raise ReplyError(_LOCKED)
    time.sleep(_AGAIN)


def _try_fcntl(number: int) -> bool:
    import fcntl

    try:
        fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes (fcntl(2))
        return False
    return True


def _unlock_fcntl(number: int) -> None:
    import fcntl

    with suppress(OSError):
        fcntl.lockf(number, fcntl.LOCK_UN)
