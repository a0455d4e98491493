"""The clients of smtpkit, each made to send one message and to tell what became of each recipient."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from clients import Way
from processes import PATIENCE, Failed, run_python
from sample import SENDER
from servers import CA, PASSWORD, USER

from smtpkit import Credentials, SMTPError, Timeouts, Transcript

__all__ = ["POOLS", "SENDERS", "Report", "url"]

_BLOCK = 64 * 1024
_FIRST = 512


class Report(NamedTuple):
    """What a client said of a send.

    Attributes:
        verdicts: recipient to "accepted", "refused", "deferred" or "unknown"; those that were not tried are left out.
        error: the name of the error's class, or "" if there was none; the command says its exit status instead.
        text: what the error said.
        transcript: of the session.
        memory: KiB that the command had at most; 0 for the libraries.
    """

    verdicts: dict[str, str]
    error: str
    text: str
    transcript: str
    memory: int = 0


def url(way: Way) -> str:
    """The address of a server, with a user where one logs in; the password is told otherwise."""
    scheme = "lmtp" if way.lmtp else "smtps" if way.tls == "implicit" else "smtp"
    return f"{scheme}://{f'{USER}@' if way.mechanism else ''}{way.host}:{way.port}"


def by_command(way: Way, path: Path, **options: Any) -> Report:
    """`python -m smtpkit send`; it has no options for what the libraries alone can do."""
    assert not options, options
    words = ["--from", SENDER, "--cafile", CA, "--timeout", PATIENCE, "--transcript", path]
    for recipient in way.recipients:
        words += ["--to", recipient]
    # The same as `-m smtpkit`, and the most memory that the process had.
    program = "import sys, smtpkit.cli as c; s = c.main(); print(open('/proc/self/status').read()); sys.exit(s)"
    done = run_python("-c", program, "send", url(way), *words, SMTPKIT_PASSWORD=PASSWORD)
    if "Traceback" in done.stderr:
        raise Failed(done.stderr)
    verdicts = {}
    for line in done.stdout.splitlines():
        address, _, rest = line.partition(" ")
        if address in way.recipients and rest != "not sent":
            verdicts[address] = rest.partition(":")[0]
    memory = int(done.stdout.partition("VmHWM:")[2].split()[0])
    return Report(verdicts, f"status {done.returncode}" if done.returncode else "", done.stderr, done.stderr, memory)


def by_sync(
    way: Way,
    path: Path,
    *,
    idle: float = 0,
    pause: float = 0,
    timeouts: Timeouts | float = PATIENCE,
    first: bytes = b"",
    **options: Any,
) -> Report:
    """`smtpkit.sync`, from a file; or from an iterator, with a pause before its second piece.

    Args:
        way: where to.
        path: the message.
        idle: seconds between connecting and sending.
        pause: seconds in the middle of the message.
        timeouts: seconds for every wait, or Timeouts.
        first: octets that go before all others, over a socket of one's own.
        options: of the send.
    """
    import smtpkit.sync

    def pieces(file: Any) -> Iterator[bytes]:
        yield file.read(_FIRST)
        time.sleep(pause)
        while piece := file.read(_BLOCK):
            yield piece

    def send(transcript: Transcript) -> Any:
        with (
            smtpkit.sync.connect(url(way), **_settings(way, transcript, timeouts, first)) as client,
            path.open("rb") as file,
        ):
            time.sleep(idle)
            return client.send(SENDER, way.recipients, pieces(file) if pause else file, **options)

    return _reported(send)


def by_asyncio(
    way: Way,
    path: Path,
    *,
    idle: float = 0,
    pause: float = 0,
    timeouts: Timeouts | float = PATIENCE,
    first: bytes = b"",
    **options: Any,
) -> Report:
    """`smtpkit.asyncio`, from an async iterator, which cannot be read twice; the arguments are those of `by_sync()`."""
    import smtpkit.asyncio

    async def send(transcript: Transcript) -> Any:
        async with smtpkit.asyncio.connect(url(way), **_settings(way, transcript, timeouts, first)) as client:
            await asyncio.sleep(idle)
            return await client.send(SENDER, way.recipients, _pieces(path, pause), **options)

    return _reported(lambda transcript: asyncio.run(asyncio.wait_for(send(transcript), PATIENCE)))


async def _pieces(path: Path, pause: float) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        yield file.read(_FIRST)
        await asyncio.sleep(pause)
        while piece := file.read(_BLOCK):
            yield piece


def by_pool_sync(way: Way, *paths: Path, timeouts: Timeouts | float = PATIENCE, **options: Any) -> list[Report]:
    """A pool of `smtpkit.sync`, which sends one message after the other."""
    import smtpkit.sync

    transcript = Transcript()
    with smtpkit.sync.Pool(url(way), size=1, **_settings(way, transcript, timeouts, b"")) as pool:
        return [
            _reported(lambda _, path=path: pool.send(SENDER, way.recipients, path.read_bytes(), **options))
            for path in paths
        ]


def by_pool_asyncio(way: Way, *paths: Path, timeouts: Timeouts | float = PATIENCE, **options: Any) -> list[Report]:
    """A pool of `smtpkit.asyncio`, which sends one message after the other."""
    import smtpkit.asyncio

    async def send_all() -> list[Any]:
        transcript = Transcript()
        async with smtpkit.asyncio.Pool(url(way), size=1, **_settings(way, transcript, timeouts, b"")) as pool:
            sends = (pool.send(SENDER, way.recipients, path.read_bytes(), **options) for path in paths)
            return [await _outcome(send) for send in sends]

    outcomes = asyncio.run(asyncio.wait_for(send_all(), PATIENCE))
    return [_reported(partial(_again, outcome)) for outcome in outcomes]


async def _outcome(send: Awaitable[Any]) -> Any:
    try:
        return await send
    except SMTPError as error:
        return error


def _again(outcome: Any, _: Transcript) -> Any:
    if isinstance(outcome, SMTPError):
        raise outcome
    return outcome


def _settings(way: Way, transcript: Transcript, timeouts: Timeouts | float, first: bytes) -> dict[str, Any]:
    credentials = Credentials(USER, token=way.token) if way.token else Credentials(USER, way.password)
    sock = None
    if first:
        sock = socket.create_connection((way.host, way.port), PATIENCE)
        sock.sendall(first)
    return {
        "sock": sock,
        "tls": {"clear": "off", "starttls": "required"}.get(way.tls, way.tls),
        "cafile": str(CA),
        "auth": credentials if way.mechanism else None,
        "timeouts": timeouts,
        "transcript": transcript,
    }


def _reported(send: Callable[[Transcript], Any]) -> Report:
    transcript = Transcript()
    try:
        outcomes, error, text = send(transcript).recipients, "", ""
    except SMTPError as failure:
        outcomes, error, text = failure.recipients, type(failure).__name__, str(failure)
    verdicts = {address: outcome.verdict.value for address, outcome in outcomes.items()}
    return Report(verdicts, error, text, str(transcript))


POOLS: dict[str, Callable[..., list[Report]]] = {
    "smtpkit.sync": by_pool_sync,
    "smtpkit.asyncio": by_pool_asyncio,
}
SENDERS: dict[str, Callable[..., Report]] = {
    "smtpkit send": by_command,
    "smtpkit.sync": by_sync,
    "smtpkit.asyncio": by_asyncio,
}
