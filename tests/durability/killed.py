"""SIGKILL at random moments while clients deliver: what got 250 is stored, whole and once."""

import hashlib
import random
import socket
import threading
import time
from pathlib import Path

from served import messages, running

__all__ = ["Report", "deliver_and_kill"]

_PATIENCE = 60  # seconds


class Report:
    """What came of a run.

    Attributes:
        accepted: messages that got 250.
        sent: messages whose last octet had left.
        problems: what must not be, in words.
        kept: messages that are stored without a 250 having come: the answer was lost, not they.
        halves: of an mbox, ends of messages that were being written at a kill, and got no 250.
    """

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.sent: set[str] = set()
        self.problems: list[str] = []
        self.kept = 0
        self.halves = 0

    def __str__(self) -> str:
        unanswered = f"{self.kept} more were stored and the answer was lost"
        halves = f", {self.halves} half written at a kill and not answered" if self.halves else ""
        verdict = "; ".join(self.problems) or "each of those is stored, whole and once"
        return f"{len(self.accepted)} messages got 250: {verdict} ({unanswered}{halves})"


def deliver_and_kill(store: str, scratch: Path, *, kills: int, clients: int = 20, seed: int = 1) -> Report:
    """Start a server, kill it at a random moment, and again; then look at what is stored.

    Args:
        store: of `served.STORES`.
        scratch: an empty directory.
        kills: how often.
        clients: at once.
        seed: of the moments and of the messages.
    """
    chance = random.Random(seed)
    report = Report()
    lock = threading.Lock()
    for turn in range(kills):
        with running(store, scratch) as (process, port):
            threads = [
                threading.Thread(target=_client, args=(port, f"{turn}-{number}", chance.random(), report, lock))
                for number in range(clients)
            ]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.1, 0.8))
            until = time.monotonic() + _PATIENCE
            while not report.accepted and time.monotonic() < until:
                time.sleep(0.01)  # on a slow machine the first one takes longer
            process.kill()
            for thread in threads:
                thread.join(_PATIENCE)
    _compare(store, scratch, report)
    return report


def _client(port: int, name: str, chance: float, report: Report, lock: threading.Lock) -> None:
    source = random.Random(chance)
    try:
        with socket.create_connection(("127.0.0.1", port), _PATIENCE) as sock, sock.makefile("rb") as lines:
            sock.sendall(b"EHLO client.example\r\n")
            for number in range(100_000):
                identifier = f"{name}-{number}"
                _until(lines, b"250 ")
                sock.sendall(b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n")
                _until(lines, b"354 ")
                content = _content(identifier, source.randrange(1, 400))
                sock.sendall(content[: len(content) // 2])
                sock.sendall(content[len(content) // 2 :] + b".\r\n")
                with lock:
                    report.sent.add(identifier)
                _until(lines, b"250 ")
                with lock:
                    report.accepted.add(identifier)
                sock.sendall(b"NOOP\r\n")
    except OSError:
        pass  # the server was killed


def _until(lines: object, beginning: bytes) -> None:
    while not (line := lines.readline()).startswith(beginning):  # type: ignore[attr-defined]
        if not line:
            raise ConnectionError("the server is gone")


def _content(identifier: str, size: int) -> bytes:
    # The body tells whether it is whole; "From " in it is for the mbox.
    lines = [f"From {identifier} line {number} {'x' * 40}\r\n" for number in range(size)]
    body = "".join(lines).encode()
    digest = hashlib.sha256(body.replace(b"\r\n", b"\n")).hexdigest()
    return f"Subject: {identifier}\r\nX-Digest: {digest}\r\n\r\n".encode() + body


def _compare(store: str, scratch: Path, report: Report) -> None:
    found: dict[str, int] = {}
    for message in messages(store, scratch):
        head, _, body = message.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\n") if ": " in line)
        name = fields.get("Subject", "?")
        if fields.get("X-Digest") == hashlib.sha256(body).hexdigest():
            found[name] = found.get(name, 0) + 1
        elif store == "mbox" and name not in report.accepted:
            report.halves += 1
        else:
            report.problems.append(f"{name} is stored by half")
    lost = report.accepted - found.keys()
    twice = [name for name, times in found.items() if times > 1]
    strange = found.keys() - report.sent
    report.problems += [f"{len(lost)} are lost"] * bool(lost) + [f"{len(twice)} are there twice"] * bool(twice)
    report.problems += [f"{len(strange)} are stored that were never sent whole"] * bool(strange)
    report.kept = len(found.keys() - report.accepted)
