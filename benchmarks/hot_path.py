"""What each step of smtpkit's asyncio server costs while it works: samples of where its CPU time goes."""

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

from load import Load, Plan
from messages import base64_body
from processes import Child, cpu_seconds, pin
from report import table

__all__ = ["STEPS"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_TICK = 0.001  # seconds of CPU between two samples
_PLANS = {"lock-step": Plan.lock_step, "pipelined": Plan.pipelined}

# The end of a path, and the function if not all of them: the step.  The first that fits counts.
STEPS: list[tuple[str, str, str]] = [
    ("selectors.py", "", "epoll: wait for octets"),
    ("selector_events.py", "write", "send: the reply's system call"),
    ("selector_events.py", "", "recv: the read's system call"),
    ("asyncio/events.py", "", "loop: run what is ready"),
    ("asyncio/base_events.py", "", "loop: run what is ready"),
    ("smtpkit/asyncio/transport.py", "", "transport: octets, timer, wake-up"),
    ("smtpkit/asyncio/buffer.py", "", "transport: octets, timer, wake-up"),
    ("smtpkit/asyncio/", "", "task: the call of the handler"),
    ("smtpkit/protocol/session.py", "", "task: the call of the handler"),
    ("smtpkit/serving.py", "", "task: the call of the handler"),
    ("smtpkit/watching.py", "", "task: the call of the handler"),
    ("benchmarks/hot_path.py", "", "task: the call of the handler"),
    ("logging/__init__.py", "", "task: the call of the handler"),
    ("smtpkit/protocol/server_driver.py", "", "driver: events to hooks and back"),
    ("smtpkit/protocol/server_hooks.py", "", "driver: events to hooks and back"),
    ("smtpkit/protocol/driver.py", "", "driver: events to hooks and back"),
    ("smtpkit/protocol/message.py", "", "driver: events to hooks and back"),
    ("smtpkit/wire/lines.py", "", "lines: find their ends"),
    ("smtpkit/wire/dots.py", "", "content: dots, newlines, the end"),
    ("smtpkit/wire/newlines.py", "", "content: dots, newlines, the end"),
    ("smtpkit/protocol/content.py", "", "content: dots, newlines, the end"),
    ("smtpkit/wire/", "", "commands: lines to values"),
    ("smtpkit/protocol/", "", "connection: order, limits, envelope, replies"),
    ("", "", "anything else"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=8.0, help="for each of the two loads")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(_serve())
        return
    pin("load")
    columns = {name: _measure(plan, options.connections, options.seconds) for name, plan in _PLANS.items()}
    names = dict.fromkeys(name for *_, name in STEPS)
    rows = [[name, *(f"{column[name]:.1f}" for column in columns.values())] for name in names]
    rows.append(["together", *(f"{sum(column.values()):.1f}" for column in columns.values())])
    print(table("Microseconds of CPU for a message of 1 KiB", ["", *columns], rows))


def _measure(plan: "type[Plan] | object", connections: int, seconds: float) -> Counter[str]:
    # Microseconds of each step: the CPU time of a message, shared out by the samples.
    with Child("hot_path.py", "--serve", role="measured") as child:
        load = Load(child.read(), plan(base64_body(1024)), connections)  # type: ignore[operator]
        load.run(0.5)
        child.ask()
        began, start = cpu_seconds(child.pid), perf_counter()
        messages = 0
        while perf_counter() - start < seconds:
            messages += load.run(0.5)
        spent = cpu_seconds(child.pid) - began
        samples: dict[str, int] = child.ask()
        load.close()
    each = spent / messages * 1e6 / sum(samples.values())
    return Counter({name: count * each for name, count in samples.items()})


# The server


async def _serve() -> None:
    from smtpkit.asyncio import Message, serve

    async def handler(message: Message) -> None:
        pass

    samples: Counter[tuple[str, str]] = Counter()

    def sample(_: int, frame: "FrameType | None") -> None:
        if frame is not None:
            samples[frame.f_code.co_filename, frame.f_code.co_name] += 1

    signal.signal(signal.SIGPROF, sample)
    loop = asyncio.get_running_loop()
    async with serve(handler, port=0, hostname="server.example") as server:
        print(json.dumps(server.address[1]), flush=True)
        signal.setitimer(signal.ITIMER_PROF, _TICK, _TICK)
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(_by_step(samples)), flush=True)
            samples.clear()
        signal.setitimer(signal.ITIMER_PROF, 0)


def _by_step(samples: Counter[tuple[str, str]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (file, function), count in list(samples.items()):  # a sample may come meanwhile
        path = Path(file).as_posix()
        found[next(name for end, only, name in STEPS if end in path and only in ("", function))] += count
    return found


if __name__ == "__main__":
    main()
