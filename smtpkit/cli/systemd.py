"""What systemd is told of a service of Type=notify (sd_notify(3)); nothing where nobody asked for it."""

import os
import socket
from contextlib import contextmanager
from time import monotonic_ns

from smtpkit.cli.output import complain

__all__ = ["ready", "reloading", "stopping"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE = 1.0  # seconds


def ready() -> None:
    """The endpoints can be connected to."""
    _notify("READY=1")


@contextmanager
def reloading() -> "Iterator[None]":
    """Certificates are read anew, until the end of the block."""
    _notify(f"RELOADING=1\nMONOTONIC_USEC={monotonic_ns() // 1000}")
    try:
        yield
    finally:
        ready()


def stopping() -> None:
    """No more connections are taken."""
    _notify("STOPPING=1")


def _notify(state: str) -> None:
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    address = f"\0{where[1:]}" if where.startswith("@") else where  # the abstract name space of Linux
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(_PATIENCE)
            sock.sendto(state.encode(), os.fsencode(address))
    except OSError as error:
        complain(f"systemd was not told at {where}: {error.strerror or error}")
