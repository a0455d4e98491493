"""Memory and speed of a relay while a large message goes through it, and whether its verdicts are the next server's.

`python benchmarks/relay.py --size 1GiB` sends one message that the next server accepts and one that it refuses at its
end, through the relay of each adapter; it fails if a relay needs more than --bound, or says anything else than the
next server.
"""

import argparse
import asyncio
import re
import sys
from time import perf_counter

from processes import Child, cpu_seconds, memory, pin, reset_peak
from server_process import _say, _until_told

import smtpkit.asyncio
import smtpkit.sync
from smtpkit import Reply, ReplyError

__all__ = ["main"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_LINE = b"x" * 76 + b"\r\n"
_PIECE = _LINE * 840  # 64 KiB
_SETTINGS: "dict[str, Any]" = {"port": 0, "max_message_size": None}


def main() -> int:
    """Run the benchmark, or with --serve one of its processes."""
    parser = argparse.ArgumentParser(description="A relay's memory, speed and verdicts.")
    parser.add_argument("--size", type=_octets, default="64MiB", help="of each message (default: 64MiB)")
    parser.add_argument("--bound", type=_octets, default="50MiB", help="resident memory of the relay, at most")
    parser.add_argument("--serve", nargs=2, metavar=("WHAT", "PORT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        what, port = arguments.serve
        {"back": _back, "sync": _sync_relay, "asyncio": _asyncio_relay}[what](int(port))
        return 0
    pin("load")
    print(f"messages of {arguments.size / 1024**2:g} MiB, one accepted and one refused by the next server\n")
    print("| relay | MiB/s | CPU seconds per GiB | resident before | peak | the client got |")
    print("| --- | --- | --- | --- | --- | --- |")
    good = [_measure(colour, arguments.size, arguments.bound) for colour in ("asyncio", "sync")]
    return 0 if all(good) else 1


def _measure(colour: str, size: int, bound: int) -> bool:
    with Child("relay.py", "--serve", "back", "0", role="load") as back:
        port = back.read()
        with Child("relay.py", "--serve", colour, str(port), role="measured") as relay:
            front = relay.read()
            _sent(front, "good", 100_000)  # warm
            before = memory(relay.pid)
            reset_peak(relay.pid)
            begin, used = perf_counter(), cpu_seconds(relay.pid)
            replies = [_sent(front, name, size) for name in ("good", "bad")]
            seconds, used = perf_counter() - begin, cpu_seconds(relay.pid) - used
            peak = memory(relay.pid, "VmHWM")
    # What the next server says depends on what has come: the octets behind the header are counted.
    equal = replies == [_verdict("good", size), _verdict("bad", size)]
    within = peak * 1024 <= bound
    rate = f"{2 * size / 1024**2 / seconds:.0f} | {used / (2 * size / 1024**3):.2f}"
    sizes = f"{before / 1024:.1f} MiB | {peak / 1024:.1f} MiB{'' if within else ' (too much)'}"
    print(f"| {colour} | {rate} | {sizes} | {'what the next server said' if equal else replies} |", flush=True)
    return equal and within


def _sent(port: int, recipient: str, size: int) -> str:
    with smtpkit.sync.connect("127.0.0.1", port) as client:
        try:
            result = client.send("a@a.example", f"{recipient}@b.example", _body(size))
        except ReplyError as error:
            return str(error.reply)
    return str(result.recipients[f"{recipient}@b.example"].reply)


def _body(size: int) -> "Iterator[bytes]":
    yield b"Subject: large\r\n\r\n"
    whole, rest = divmod(size // len(_LINE), 840)
    for _ in range(whole):
        yield _PIECE
    yield _LINE * rest


def _verdict(recipient: str, size: int) -> str:
    octets = size // len(_LINE) * len(_LINE)
    return f"250 2.0.0 took {octets}" if recipient == "good" else f"554 5.6.0 refused after {octets}"


class _Back(smtpkit.asyncio.Session):
    async def on_body(self, stream: "AsyncIterator[bytes]") -> Reply:
        octets, head = 0, b""
        async for chunk in stream:
            if not octets:
                head += chunk
                _, end, chunk = head.partition(b"\r\n\r\n")
                if not end:
                    continue
            octets += len(chunk)
        assert self.envelope is not None
        if self.envelope.recipients[0].local_part == "good":
            return Reply(250, f"took {octets}", "2.0.0")
        return Reply(554, f"refused after {octets}", "5.6.0")


async def _run(handler: "Any") -> None:
    async with smtpkit.asyncio.serve(handler, **_SETTINGS) as server:
        _say(server.address[1])
        await _until_told()


def _back(_: int) -> None:
    asyncio.run(_run(_Back))


def _asyncio_relay(port: int) -> None:
    asyncio.run(_run(smtpkit.asyncio.Relay("127.0.0.1", port)))


def _sync_relay(port: int) -> None:
    with smtpkit.sync.serve(smtpkit.sync.Relay("127.0.0.1", port), **_SETTINGS) as server:
        _say(server.address[1])
        sys.stdin.read()


def _octets(text: str) -> int:
    match = re.fullmatch(r"([0-9]+)([KMG]?)(?:iB)?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"octets are wanted, as 64MiB or 1GiB, not {text!r}")
    return int(match[1]) * _UNITS[match[2]]


if __name__ == "__main__":
    sys.exit(main())
