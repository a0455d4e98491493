"""How fast dots are stuffed and unstuffed, against the least possible work and against other libraries.

Run it from a checkout: python3 benchmarks/codec.py
"""

import asyncio
import importlib
import random
import smtplib
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from measure import compare

from smtpkit.wire.dots import DotStuffer, DotUnstuffer, dot_stuff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Pieces = list[bytes]
    Job = Callable[[Pieces], object]

SIZE = 2 << 20  # octets of each body
PIECES = {"64 KiB": 64 * 1024, "1 KiB": 1024, "a line": 0}
FLOOR = "floor: find and two copies"


def main() -> None:
    """Print one table for each job, kind of body and size of pieces."""
    for package in ("aiosmtplib", "aiosmtpd", "smtpproto", "twisted"):
        if not _has(package):
            print(f"{package} is not installed: its rows are missing")
    print("CPU time as a multiple of the floor: less is better (± spread of five rounds in percent of the median)\n")
    for job, contenders in (("stuff", stuffers()), ("unstuff", unstuffers())):
        for kind, body in bodies().items():
            octets = body if job == "stuff" else dot_stuff(body)
            for size_name, size in PIECES.items():
                report(f"{job}, {kind}, pieces of {size_name}", contenders, pieces_of(octets, size), len(octets))


def report(title: str, contenders: "dict[str, Job]", pieces: "Pieces", size: int) -> None:
    """Time the contenders on the same pieces and print a row for each."""
    timings = compare({name: lambda job=job: job(pieces) for name, job in contenders.items()})  # type: ignore[misc]
    floor = timings[FLOOR].median
    print(title)
    for name, timing in timings.items():
        rate = size / timing.median / 1e9
        print(f"  {name:28} {timing.median / floor:8.2f} x  ±{timing.spread * 100:3.0f} %  {rate:6.2f} GB/s")
    print()


# Bodies


def bodies() -> dict[str, bytes]:
    """One body of each kind, without lone newlines, ending in CRLF."""
    chance = random.Random(1)
    base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    lines = [" ".join("".join(chance.choices("etaoinshrdlu", k=5)) for _ in range(11)) + "." for _ in range(60)]
    return {
        "base64": _filled("".join(chance.choices(base64, k=76)) for _ in lines),
        "text, 1 line in 30 begins with a dot": _filled(
            "." * (number % 30 == 9) + line for number, line in enumerate(lines)
        ),
        "every line begins with a dot": _filled("." + line for line in lines),
    }


def _filled(lines: "Iterable[str]") -> bytes:
    block = "".join(f"{line}\r\n" for line in lines).encode("ascii")
    return block * (SIZE // len(block))


def pieces_of(octets: bytes, size: int) -> "Pieces":
    """The octets in pieces of a size, or line by line for size 0."""
    if size == 0:
        return octets.splitlines(keepends=True)
    return [octets[start : start + size] for start in range(0, len(octets), size)]


# Contenders


def stuffers() -> "dict[str, Job]":
    """Those that are installed, by name.  All but smtpkit and Twisted need the whole body: they join the pieces."""
    jobs: dict[str, Job] = {FLOOR: floor, "smtpkit": stuff_by_smtpkit, "smtplib": stuff_by_smtplib}
    if _has("aiosmtplib"):
        jobs["aiosmtplib"] = stuff_by_aiosmtplib()
    if _has("smtpproto"):
        jobs["smtpproto (its replace)"] = stuff_by_smtpproto
    if _has("twisted"):
        jobs["Twisted"] = stuff_by_twisted()
    return jobs


def unstuffers() -> "dict[str, Job]":
    """Those that are installed, by name."""
    jobs: dict[str, Job] = {
        FLOOR: floor,
        "smtpkit, reject": lambda pieces: unstuff_by_smtpkit(pieces, DotUnstuffer("reject")),
        "smtpkit, normalize": lambda pieces: unstuff_by_smtpkit(pieces, DotUnstuffer("normalize")),
        "smtpkit, keep": lambda pieces: unstuff_by_smtpkit(pieces, DotUnstuffer("keep")),
    }
    if _has("aiosmtpd"):
        jobs["aiosmtpd (its loop)"] = unstuff_by_aiosmtpd
    if _has("twisted"):
        jobs["Twisted"] = unstuff_by_twisted()
    return jobs


def floor(pieces: "Pieces") -> object:
    """What no codec in Python can do without: look for the end of data, copy in, copy out."""
    for piece in pieces:
        piece.find(b"\r\n.\r\n")
        bytearray(piece)[:]
    return None


def stuff_by_smtpkit(pieces: "Pieces") -> object:
    """DotStuffer."""
    stuffer = DotStuffer()
    for piece in pieces:
        stuffer.feed(piece)
    return stuffer.finish()


def unstuff_by_smtpkit(pieces: "Pieces", unstuffer: DotUnstuffer) -> object:
    """DotUnstuffer, under the policy it was made with."""
    for piece in pieces:
        unstuffer.feed(piece)
    assert unstuffer.eof
    assert unstuffer.violation is None
    return unstuffer


def stuff_by_smtplib(pieces: "Pieces") -> object:
    """smtplib.SMTP.data(), but for the socket."""
    quoted: bytes = smtplib._quote_periods(b"".join(pieces))  # type: ignore[attr-defined]
    return quoted + b".\r\n"


def stuff_by_aiosmtplib() -> "Job":
    """What aiosmtplib's protocol does to a message before it writes it."""
    protocol = importlib.import_module("aiosmtplib.protocol")

    def job(pieces: "Pieces") -> object:
        message = protocol.LINE_ENDINGS_REGEX.sub(b"\r\n", b"".join(pieces))
        return protocol.PERIOD_REGEX.sub(b"..", message) + b".\r\n"

    return job


def stuff_by_smtpproto(pieces: "Pieces") -> object:
    """The one expression of smtpproto, which cannot be called on octets (it misses a dot in the first line)."""
    return b"".join(pieces).replace(b"\r\n.", b"\r\n..") + b".\r\n"


def stuff_by_twisted() -> "Job":
    """SMTPClient.transformChunk.  It is meant for lines that end in LF; CRLF costs it one octet more a line."""
    client = importlib.import_module("twisted.mail.smtp").SMTPClient(b"client.example")

    def job(pieces: "Pieces") -> object:
        for piece in pieces:
            client.transformChunk(piece)
        return None

    return job


def unstuff_by_aiosmtpd(pieces: "Pieces") -> object:
    """What aiosmtpd's smtp_DATA does: a StreamReader's lines, a bytearray each, dots deleted, joined."""
    return asyncio.run(_aiosmtpd_loop(pieces))


async def _aiosmtpd_loop(pieces: "Pieces") -> bytes:
    reader = asyncio.StreamReader(limit=1 << 30)
    for piece in pieces:
        reader.feed_data(piece)
    data = []
    while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
        data.append(bytearray().join([line]))
    for text in data:
        if text.startswith(b"."):
            del text[0]
    return b"".join(data)


def unstuff_by_twisted() -> "Job":
    """twisted.mail.smtp.SMTP in its DATA mode, with a message that joins its lines."""
    smtp = importlib.import_module("twisted.mail.smtp")

    class Message:
        def __init__(self) -> None:
            self.lines: list[bytes] = []

        def lineReceived(self, line: bytes) -> None:  # noqa: N802 (Twisted's name)
            self.lines.append(line)

        def eomReceived(self) -> object:  # noqa: N802 (Twisted's name)
            b"\r\n".join(self.lines)
            return importlib.import_module("twisted.internet.defer").succeed(None)

    def job(pieces: "Pieces") -> object:
        server = smtp.SMTP()
        server.transport = SimpleNamespace(disconnecting=False)
        server.mode = smtp.DATA
        server.datafailed = None
        server._SMTP__messages = [Message()]
        server._SMTP__inheader = server._SMTP__inbody = 0
        server.sendLine = lambda line: None
        for piece in pieces:
            server.dataReceived(piece)
        return server

    return job


def _has(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    main()
