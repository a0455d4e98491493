"""The server that is attacked, in a process of its own: says its ports, answers questions about itself.

`python victim.py '{"colour": "sync", …}'` prints {"plain": PORT, "tls": PORT}; to each line of its input it answers
with a line of facts, and it closes when its input ends.
"""

import asyncio
import gc
import hashlib
import json
import logging
import os
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import smtpkit.asyncio
import smtpkit.sync
from smtpkit import Limits, Reply
from smtpkit.endpoints import Listener

__all__ = ["HANG", "SECRET"]

HANG = 8.0  # seconds that a hook hangs which nobody can cancel; more than its limit
SECRET = "a secret of the application's"  # what an exception says, and no peer may hear
_CERTIFICATE = Path(__file__).resolve().parent.parent / "certificates" / "server.pem"

stored: dict[str, str] = {}  # the digest of each message of the good client, by its name
complaints: list[str] = []  # what was logged that should not have been
expected = [0]  # how often it was logged that the hook that raises has raised


class Complaints(logging.Handler):
    """Keeps warnings, errors and whatever comes with a traceback, but for what hooks do here on purpose."""

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.exc_info, tuple) and SECRET in str(record.exc_info[1]):
            expected[0] += 1
        elif getattr(record, "facts", {}).get("event") in ("overdue", "failures"):
            pass
        elif record.levelno >= logging.WARNING or record.exc_info:
            complaints.append(self.format(record))


class Digest:
    """What is kept of a body: its digest, under the name that the good client gave it in its first line."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._head = b""

    def add(self, octets: bytes) -> None:
        self._hash.update(octets)
        if len(self._head) < 64:
            self._head += octets[:64]

    def store(self) -> None:
        if self._head.startswith(b"Good: "):
            name = self._head[6:].partition(b"\r\n")[0].decode()
            stored[name] = "twice" if name in stored else self._hash.hexdigest()


def misbehave(recipient: str) -> None:
    """Raise, for the recipient of that name."""
    if recipient.startswith("raise@"):
        raise LookupError(SECRET)


class AsyncioSession(smtpkit.asyncio.Session):
    """Digests what comes, piece by piece."""

    async def on_rcpt(self, command: Any) -> "Reply | None":
        misbehave(str(command.forward_path))
        return None

    async def on_body(self, stream: Any) -> None:
        digest = Digest()
        async for octets in stream:
            digest.add(octets)
        if str(self.envelope.recipients[0]).startswith("hang@"):
            await asyncio.Event().wait()
        digest.store()


class SyncSession(smtpkit.sync.Session):
    """The same with threads."""

    def on_rcpt(self, command: Any) -> "Reply | None":
        misbehave(str(command.forward_path))
        return None

    def on_body(self, stream: Any) -> None:
        digest = Digest()
        for octets in stream:
            digest.add(octets)
        if str(self.envelope.recipients[0]).startswith("hang@"):
            threading.Event().wait(HANG)
        digest.store()


def facts(server: Any) -> dict[str, Any]:
    """What the server and its process hold."""
    gc.collect()
    try:
        tasks = len(asyncio.all_tasks())
    except RuntimeError:
        tasks = 0
    return {
        "connections": server.connections,
        "counters": dict(server.counters),
        "threads": threading.active_count(),
        "tasks": tasks,
        "files": len(os.listdir("/proc/self/fd")),
        "stored": stored,
        "complaints": complaints[:3],
        "raised": expected[0],
    }


def answer(server: Any) -> None:
    print(json.dumps(facts(server)), flush=True)


def ports(server: Any) -> None:
    plain, implicit = (port for _, port in server.addresses)
    print(json.dumps({"plain": plain, "tls": implicit}), flush=True)


def settings(limits: dict[str, Any]) -> dict[str, Any]:
    return {
        "listeners": [Listener("127.0.0.1", 0), Listener("127.0.0.1", 0, implicit_tls=True)],
        "hostname": "victim.example",
        "tls": (str(_CERTIFICATE), None),
        "auth": smtpkit.AuthPolicy({"user": "secret"}, required=False, allow_in_clear=True),
        "limits": Limits(**limits),
    }


async def serve_asyncio(limits: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    async with smtpkit.asyncio.serve(AsyncioSession, **settings(limits)) as server:
        ports(server)
        with ThreadPoolExecutor(1) as reading:  # of the loop's own there may be one more for each question
            while await loop.run_in_executor(reading, sys.stdin.readline):
                answer(server)


def serve_sync(limits: dict[str, Any]) -> None:
    with smtpkit.sync.serve(SyncSession, **settings(limits)) as server:
        ports(server)
        while sys.stdin.readline():
            answer(server)


def complain(unraisable: Any) -> None:
    complaints.append("".join(traceback.format_exception(unraisable.exc_value)))


def main() -> None:
    asked = json.loads(sys.argv[1])
    logging.getLogger().addHandler(Complaints())
    threading.excepthook = complain
    sys.unraisablehook = complain
    if asked["colour"] == "sync":
        serve_sync(asked["limits"])
    else:
        asyncio.run(serve_asyncio(asked["limits"]))


if __name__ == "__main__":
    main()
