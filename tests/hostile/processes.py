"""The server under attack as its attackers' starter sees it, and the client that must go on being served."""

import hashlib
import json
import os
import resource
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self

__all__ = ["GoodClient", "Load", "Victim", "crowd"]

_HERE = Path(__file__).resolve().parent
_PATIENCE = 60.0  # seconds until what hangs fails


class Victim:
    """The server of victim.py, in a process of its own.

    Args:
        colour: "asyncio" or "sync".
        limits: arguments of smtpkit.Limits.

    Attributes:
        ports: "plain" and "tls".
        before: the facts about it before anybody came.
    """

    def __init__(self, colour: str, **limits: Any) -> None:
        self.colour = colour
        self._process = subprocess.Popen(
            [sys.executable, "-bb", str(_HERE / "victim.py"), json.dumps({"colour": colour, "limits": limits})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_many_files,
            env={"PYTHONPATH": str(_HERE.parents[1]), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        self.ports: dict[str, int] = self._read()
        GoodClient(self).send(tls=True)  # what is made once is there before anything is counted
        self.settled(0, 0, 0)
        self.before = self.facts()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=_PATIENCE)  # the end of its input tells it to stop
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise

    def facts(self) -> dict[str, Any]:
        """What the server says of itself now."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        facts: dict[str, Any] = self._read()
        return facts

    def settled(self, files: int, threads: int, seconds: float) -> dict[str, Any]:
        """The facts once nobody is connected and there are no more files and threads than these, or after a while."""
        until = monotonic() + seconds
        while True:
            facts = self.facts()
            over = not facts["connections"] and facts["files"] <= files and facts["threads"] <= threads
            if over or monotonic() >= until:
                return facts
            sleep(0.05)

    def memory(self, field: str = "VmRSS") -> float:
        """MiB that its process has now, or with "VmHWM" had at most."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
        raise LookupError(field)

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {self.colour} server has ended with status {self._process.wait()}")
        return json.loads(line)


class GoodClient:
    """A client of another make that behaves, with a new connection for each message.

    Attributes:
        accepted: the digest of each message that the server has taken, by its name.
        times: the seconds that each took, from connecting to the end of QUIT.
    """

    _numbers = iter(range(1_000_000))

    def __init__(self, victim: Victim) -> None:
        self._victim = victim
        self.accepted: dict[str, str] = {}
        self.times: list[float] = []

    def send(self, *, tls: bool = False) -> None:
        """Send one message.

        Raises:
            smtplib.SMTPException, OSError: it was not taken.
        """
        name = f"message-{next(self._numbers)}"
        content = f"Good: {name}\r\nSubject: hi\r\n\r\n".encode() + b".dots\r\nand text\r\n" * 200
        began = monotonic()
        with smtplib.SMTP("127.0.0.1", self._victim.ports["plain"], "good.example", timeout=_PATIENCE) as client:
            if tls:
                client.starttls()
            client.sendmail("good@good.example", ["user@victim.example"], content)
            self.accepted[name] = hashlib.sha256(content).hexdigest()
        self.times.append(monotonic() - began)

    def send_for(self, seconds: float, every: float) -> None:
        """Send a message now and then; one in four under TLS."""
        until = monotonic() + seconds
        while (began := monotonic()) < until:
            self.send(tls=len(self.times) % 4 == 3)
            sleep(max(0.0, every - (monotonic() - began)))


class Load:
    """What the programs take of this machine, since this was made, that are not of this run."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._used = _of_others()

    def factor(self) -> float:
        """How many times as long everything takes for their sake."""
        capacity = (monotonic() - self._began) * (os.cpu_count() or 1)
        return 1 / (1 - min(max(0.0, (_of_others() - self._used) / capacity), 0.9))


@contextmanager
def crowd(victim: Victim, kinds: list[str], **asked: Any) -> Iterator["subprocess.Popen[str]"]:
    """crowd.py against the server; it is ended with the block, if it has not ended by itself."""
    asked = {"once": False, "seed": 1, **victim.ports, "kinds": kinds, **asked}
    command = [sys.executable, str(_HERE / "crowd.py"), json.dumps(asked)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _of_others() -> float:
    # Seconds of processors that were used since the machine began, without those of this process and its children.
    total = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    ticks = sum(int(each) for at, each in enumerate(total) if at not in (3, 4))  # idle, and waiting for a disk
    for process in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = process.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if str(os.getpid()) in (process.parent.name, fields[1]):
            ticks -= sum(int(each) for each in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
