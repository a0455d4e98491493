"""A disk that is full, and one that became read-only: 4xx, nothing left over, and the server goes on."""

import contextlib
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from served import messages, running

__all__ = ["fill"]

_MEGABYTES = 2
_MESSAGE = b"Subject: full\r\n\r\n" + (b"x" * 76 + b"\r\n") * 2000  # 156 KB


def fill(store: str, scratch: Path) -> str:
    """Fill a small file system with messages, and see what the server says; needs root.

    Returns:
        What was seen, in words.

    Raises:
        AssertionError: something else than it must be.
    """
    with _tmpfs(scratch) as disk, running(store, disk) as (process, port):
        accepted = 0
        with smtplib.SMTP("127.0.0.1", port, "client.example", timeout=60) as smtp:
            while (reply := _sent(smtp)).startswith("250"):
                accepted += 1
            assert reply.startswith("452 4.3.1"), reply
            assert _sent(smtp).startswith("452 4.3.1"), "the second time"
            assert smtp.noop()[0] == 250, "the session is over"
            assert len(messages(store, disk)) == accepted, "not what was accepted is stored"
            assert not [path for path in disk.rglob("*") if path.suffix == ".tmp" or path.parent.name == "tmp"]
            _read_only(disk)
            read_only = _sent(smtp)
            assert read_only.startswith("451 4.3.0"), read_only
            _read_only(disk, "rw")
            _make_room(store, disk)
            assert _sent(smtp).startswith("250"), "it takes no more although there is room again"
        assert process.poll() is None, "the server has ended"
    return f"{accepted} messages, then {reply}; read-only: {read_only}; then 250 again"


def _sent(smtp: smtplib.SMTP) -> str:
    try:
        smtp.sendmail("a@a.example", ["b@b.example"], _MESSAGE)
    except smtplib.SMTPResponseException as error:
        return f"{error.smtp_code} {bytes(error.smtp_error).decode()}"
    return "250"


def _make_room(store: str, disk: Path) -> None:
    if store == "mbox":
        (disk / "mail").write_bytes(b"")
    else:
        for path in (disk / "mail").rglob("*"):
            if path.is_file():
                path.unlink()


@contextlib.contextmanager
def _tmpfs(scratch: Path) -> Iterator[Path]:
    disk = scratch / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _read_only(disk: Path, how: str = "ro") -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)
