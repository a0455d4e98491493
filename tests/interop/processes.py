"""The processes of a run: each bounded in time, on loopback, and ended by those who started it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["PATIENCE", "ROOT", "Failed", "background", "eventually", "free_port", "listening", "run", "run_python"]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds after which what hangs has failed; on a slow machine that is long


# The range of Linux for outgoing connections begins at 32768; another run begins elsewhere.
_ports = iter(range(10_000 + os.getpid() % 20_000, 32_768))


class Failed(Exception):
    """A program ended with another exit status than 0, or said what it should not."""


def environment(**changes: str) -> dict[str, str]:
    """This process's, with the checkout to be imported, one language, and no settings of the user's programs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SWAKS_", "SMTPKIT_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **changes}


def run(
    command: Sequence[object], stdin: Path | None = None, /, *, patience: float = PATIENCE, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and return it whatever its exit status; its input is empty or a file's."""
    with contextlib.ExitStack() as files:
        source = files.enter_context(stdin.open("rb")) if stdin is not None else subprocess.DEVNULL
        return subprocess.run(
            [str(word) for word in command],
            stdin=source,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            env=environment(**changes),
            timeout=patience,
            check=False,
        )


def run_python(*words: object, patience: float = PATIENCE, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program with this interpreter."""
    return run([sys.executable, *words], None, patience=patience, **changes)


@contextlib.contextmanager
def background(
    command: Sequence[object], *, log: Path, stdout: Any = subprocess.PIPE, **changes: str
) -> "Iterator[subprocess.Popen[str]]":
    """A program that runs meanwhile; its standard output can be read, its standard error is in `log`."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=errors,
            text=True,
            env=environment(**changes),
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def free_port() -> int:
    """A TCP port for programs that cannot choose one themselves; each is given out once.

    It lies below those from which connections are made, so that none of them takes it in the meantime.
    """
    for port in _ports:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise Failed("no port is free")


def listening(port: int, process: "subprocess.Popen[Any]", log: Path) -> None:
    """Return when a program takes connections."""

    def reachable() -> bool:
        if process.poll() is not None:
            raise Failed(f"it ended: {log.read_text().strip()}")
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), PATIENCE):
            return True
        return False

    if not eventually(reachable):
        raise Failed("it does not listen")


def eventually(condition: Callable[[], object], patience: float = PATIENCE) -> bool:
    """Whether the condition comes true in time; for what programs do after they have answered."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
