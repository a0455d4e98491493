"""Private roots in which real mail servers run from Debian packages that nobody installed; see room.sh."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from processes import PATIENCE, Failed, environment, listening, run
from servers import CERTIFICATES

__all__ = ["Room"]

_AT_HOME = 'cd / && exec "$@"'


class Room:
    """A private root, to be furnished and then entered.

    Attributes:
        shared: a folder that the room sees as /shared; anybody may write in it.
        mail: a folder in it, for mailboxes.
        log: what its program says.
        pid: of the process that holds the room, once it runs.
    """

    def __init__(self, scratch: Path, name: str) -> None:
        self._folder = scratch / f"room-{name}"
        self.shared = self._folder / "shared"
        self.log = self._folder / "log"
        self.pid = 0
        self.mail = self.shared / "mail"
        for each in (self.mail, self._folder / "files", self._folder / "memory"):
            each.mkdir(parents=True)
        for each in (self.shared, self.mail):
            each.chmod(0o777)
        self._link_packages(name)
        for file in ("passwd", "group"):
            (self._folder / file).touch()
        for name in ("server", "ca"):
            self.write(f"certificates/{name}.pem", (CERTIFICATES / f"{name}.pem").read_text())

    def write(self, path: str, text: str) -> None:
        """A file at this path of the room."""
        target = self._folder / "files" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def user(self, name: str, number: int) -> None:
        """A user, and a group of that name."""
        for file, line in (
            ("passwd", f"{name}:x:{number}:{number}::/nonexistent:/bin/false"),
            ("group", f"{name}:x:{number}:"),
        ):
            with (self._folder / file).open("a") as lines:
                lines.write(f"{line}\n")

    @contextlib.contextmanager
    def running(self, *command: str, ports: Iterable[int]) -> Iterator[None]:
        """A program in the room, once it listens on these ports; all processes of the room end with it."""
        holder = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--"]
        words = [*holder, "sh", str(Path(__file__).with_name("room.sh")), str(self._folder), *command]
        with self.log.open("wb") as log:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment())
        self.pid = process.pid
        try:
            for port in ports:
                try:
                    listening(port, process, self.log)
                except Failed as failure:
                    raise Failed(f"{failure}\n{self.said()}") from None
            yield
        finally:
            with contextlib.suppress(ValueError, OSError):
                os.kill(self._first(), signal.SIGKILL)  # and with the first process of the room all others go
            process.kill()
            process.wait(PATIENCE)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run another program in the room, to its end."""
        return run(
            [
                "nsenter",
                f"--target={self._first()}",
                "--mount",
                "--pid",
                "--root",
                "--",
                "sh",
                "-c",
                _AT_HOME,
                "sh",
                *command,
            ]
        )

    def said(self) -> str:
        """What the program said, and the files of its own that are called *.log."""
        paths = [self.log, *sorted(self.shared.glob("*.log"))]
        return "\n".join(path.read_text(errors="backslashreplace") for path in paths if path.exists())

    def _first(self) -> int:
        (first,) = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(first)

    def _link_packages(self, name: str) -> None:
        packages = Path(os.environ.get("SMTPKIT_INTEROP_PACKAGES", "")) / name
        if os.geteuid() != 0 or not list(packages.glob("*.deb")):
            raise Failed(f"{name} needs its packages, which .ci/interop brings, and the superuser")
        shutil.copytree(packages, self._folder / "packages")
