"""A server in a process of its own, and what is found in its store afterwards."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["STORES", "messages", "running"]

_ROOT = Path(__file__).resolve().parents[2]

# A store's name to the options that have it keep what was sent; the file or directory comes behind them.
STORES = {"maildir": ["--no-trace", "--maildir"], "mbox": ["--no-trace", "--mbox"], "eml": ["--eml-dir"]}


@contextlib.contextmanager
def running(store: str, scratch: Path, *, before: Sequence[str] = ()) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`smtpkit serve` and its port, killed at the end.

    Args:
        store: of STORES.
        scratch: where "mail" is, or will be.
        before: a command that runs it, such as strace.
    """
    command = [sys.executable, "-m", "smtpkit", "serve", "--port", "0", *STORES[store], str(scratch / "mail")]
    process = subprocess.Popen(
        [*before, *command],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline().rpartition(":")[2])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with the one that `before` runs
        process.communicate()


def messages(store: str, scratch: Path) -> list[bytes]:
    """The content of every message in a store, as a reader of it finds them."""
    mail = scratch / "mail"
    if store == "maildir":
        return [path.read_bytes() for path in (mail / "new").iterdir()]
    if store == "mbox":
        parts = re.split(rb"(?m)^From \S+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\n", mail.read_bytes())
        return [re.sub(rb"(?m)^>(>*From )", rb"\1", part.removesuffix(b"\n")) for part in parts[1:]]
    found = [json.loads(path.read_bytes())["file"] for path in mail.glob("*.json")]
    return [(mail / name).read_bytes().replace(b"\r\n", b"\n") for name in found]
