"""The processes of a benchmark: start them on a core of their own, read their CPU time and their memory."""

import json
import os
import subprocess
import sys
from pathlib import Path
from time import clock_gettime

__all__ = ["Child", "cpu_seconds", "memory", "pin", "reset_peak"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

_HERE = Path(__file__).resolve().parent
_CORES = sorted(os.sched_getaffinity(0))


def pin(role: str) -> None:
    """Keep this process on one core: "measured" on the first that is allowed, all others on the last."""
    os.sched_setaffinity(0, {_CORES[0] if role == "measured" else _CORES[-1]})


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads, with the kernel's own precision."""
    return clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)


def memory(pid: int, field: str = "VmRSS") -> int:
    """KiB of a process: "VmRSS" now, "VmHWM" at most since the start or `reset_peak()`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise LookupError(field)


def reset_peak(pid: int) -> None:
    """Begin anew with the most memory that a process has had."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Child:
    """A program of this directory in a process of its own; both sides write lines of JSON.

    Args:
        program: file name.
        arguments: passed on.
        role: the core, as for `pin()`.
    """

    def __init__(self, program: str, *arguments: str, role: str) -> None:
        core = _CORES[0] if role == "measured" else _CORES[-1]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(_HERE / program), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_HERE.parent), os.environ.get("PYTHONPATH", "")])},
        )
        self.pid = self._process.pid

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the end of its input tells it to stop

    def read(self) -> "Any":
        """What the child says next.

        Raises:
            RuntimeError: it has ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} has ended")
        return json.loads(line)

    def ask(self, **question: "Any") -> "Any":
        """Tell the child what to do, and wait for what comes of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self.read()
