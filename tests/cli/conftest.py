"""The command line as others see it: a process, its output, its exit status, and sockets on loopback."""

import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 20  # seconds after which a test fails rather than hangs

os.environ.pop("SMTPKIT_PASSWORD", None)


def environment(**changes):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **changes}


@pytest.fixture
def smtpkit():
    """smtpkit("send", …, input=octets, env={…}) -> the finished process, its output as text."""

    def run(*arguments, input=b"", env=None):  # noqa: A002 (as subprocess names it)
        finished = subprocess.run(
            [sys.executable, "-m", "smtpkit", *map(str, arguments)],
            input=input,
            capture_output=True,
            env=environment(**(env or {})),
            timeout=PATIENCE,
            check=False,
        )
        finished.stdout, finished.stderr = finished.stdout.decode(), finished.stderr.decode()
        assert "Traceback" not in finished.stderr
        return finished

    return run


class Serving:
    """A running `smtpkit serve`."""

    def __init__(self, *arguments):
        self.opened = []  # closed at the end
        self.process = subprocess.Popen(
            [sys.executable, "-m", "smtpkit", "serve", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        self.line = self.process.stdout.readline().decode().rstrip("\n")
        if not self.line.startswith("listening on "):
            raise AssertionError(self.process.communicate(timeout=PATIENCE)[1].decode())
        self.where = self.line.removeprefix("listening on ")
        self.port = int(self.where.rpartition(":")[2]) if not self.where.startswith("unix:") else None

    def connect(self):
        """A raw connection, as a binary file to read from and the socket."""
        sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        lines = sock.makefile("rb")
        self.opened += [lines, sock]
        return sock, lines

    def end(self, number):
        """Send a signal; exit status, the rest of standard output, and standard error."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        assert b"Traceback" not in err
        return self.process.returncode, out.decode(), err.decode()


@pytest.fixture
def serving():
    """serving("--maildir", …) -> a Serving on a free port, killed when the test is over."""
    started = []

    def start(*arguments):
        where = () if "--unix" in arguments else ("--port", 0)
        started.append(Serving(*where, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()
        for connection in each.opened:
            connection.close()


@pytest.fixture
def scripted():
    """scripted(greeting, *answers) -> the URL of a server that says these, one for each line that it gets.

    An answer of None closes the connection.  After an answer that begins with 354 it reads as far as the dot.
    """
    threads = []

    def start(*answers, lmtp=False):
        listening = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=play, args=(listening, answers), daemon=True)
        thread.start()
        threads.append(thread)
        return f"{'lmtp' if lmtp else 'smtp'}://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def play(listening, answers):
    with listening, suppress(OSError):
        listening.settimeout(PATIENCE)
        sock, _ = listening.accept()
        with sock, sock.makefile("rb") as lines:
            sock.settimeout(PATIENCE)
            sock.sendall(answers[0])
            for answer in answers[1:]:
                if answer is None or not lines.readline():
                    return
                sock.sendall(answer)
                if answer.startswith(b"354"):
                    while lines.readline() != b".\r\n":
                        pass
                    # What is said to the content comes next, without a line of the client's in between.
                    lines = _Pushed(lines)
            lines.readline()


class _Pushed:
    """A file that gives one empty command first."""

    def __init__(self, lines):
        self._lines = lines
        self._pushed = True

    def readline(self):
        if self._pushed:
            self._pushed = False
            return b"\r\n"
        return self._lines.readline()


def stored(maildir):
    """The messages of a Maildir, by the order of their names."""
    assert list((maildir / "tmp").iterdir()) == []
    return [path.read_bytes() for path in sorted((maildir / "new").iterdir())]


@pytest.fixture
def messages():
    """messages(maildir) -> the octets of each message in `new`."""
    return stored
