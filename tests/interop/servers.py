"""Servers of smtpkit as real clients meet them: `python -m smtpkit serve`, storing what comes octet for octet."""

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from processes import PATIENCE, ROOT, Failed, background

__all__ = ["CA", "CERTIFICATES", "FLAVOURS", "PASSWORD", "USER", "Serve", "serving"]

CERTIFICATES = ROOT / "tests" / "certificates"
CA = CERTIFICATES / "ca.pem"
USER, PASSWORD = "alice", "pa ss=w0rd"

_LOGIN = ("--auth", f"{USER}:{PASSWORD}")


def _certificate(name: str) -> tuple[str, str]:
    return ("--tls-cert", str(CERTIFICATES / f"{name}.pem"))


FLAVOURS: dict[str, tuple[str, ...]] = {
    "clear": (),
    "starttls": _certificate("server"),
    "implicit": (*_certificate("server"), "--implicit-tls"),
    "wrong name, starttls": _certificate("wrong-name"),
    "wrong name, implicit": (*_certificate("wrong-name"), "--implicit-tls"),
    "self-signed, starttls": _certificate("self-signed"),
    "self-signed, implicit": (*_certificate("self-signed"), "--implicit-tls"),
    "login, clear": (*_LOGIN, "--allow-auth-in-clear"),
    "login, starttls": (*_LOGIN, *_certificate("server")),
    "login, implicit": (*_LOGIN, *_certificate("server"), "--implicit-tls"),
    "lmtp": ("--lmtp",),
}


class Serve:
    """A running `smtpkit serve`.

    Attributes:
        port: where it listens on 127.0.0.1.
        pid: its process.
    """

    def __init__(self, pid: int, port: int, maildir: Path, log: Path) -> None:
        self.pid = pid
        self.port = port
        self._maildir = maildir
        self._log = log
        self._known: set[Path] = set()
        self._read = 0

    def begin(self) -> None:
        """Forget what came and what was said so far."""
        self._known = set(self._stored())
        self._read = self._log.stat().st_size

    def arrived(self) -> list[Path]:
        """The files of the messages that came since `begin()`."""
        return [path for path in self._stored() if path not in self._known]

    def said(self) -> str:
        """The transcript since `begin()`, without the numbers of the sessions."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            return re.sub(r"^\[\d+\] ", "", file.read().decode(), flags=re.MULTILINE)

    def _stored(self) -> list[Path]:
        return sorted((self._maildir / "new").iterdir())


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[dict[str, Serve]]:
    """One server of each flavour, by its name."""
    with contextlib.ExitStack() as resources:
        started = {}
        for number, (flavour, options) in enumerate(FLAVOURS.items()):
            maildir, log = directory / f"maildir-{number}", directory / f"serve-{number}.log"
            words = ("serve", "--port", 0, "--maildir", maildir, "--crlf", "--no-trace", "--verbose", *options)
            size = ("--max-message-size", 64 * 1024 * 1024, "--hostname", "server.example")
            command = [sys.executable, "-m", "smtpkit", *words, *size]
            started[flavour] = resources.enter_context(background(command, log=log)), maildir, log
        servers = {}
        for flavour, (process, maildir, log) in started.items():
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("listening on 127.0.0.1:"):
                process.wait(PATIENCE)
                raise Failed(f"smtpkit serve ({flavour}): {log.read_text()}")
            servers[flavour] = Serve(process.pid, int(line.rpartition(":")[2]), maildir, log)
        yield servers
