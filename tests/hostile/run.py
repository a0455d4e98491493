"""Hostile peers against both servers, all on loopback, bounded in number and time.

`python tests/hostile/run.py` takes a minute; `--quick` a few seconds for each scenario, with fewer clients.
"""

import argparse
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from smtplib import SMTPException
from subprocess import SubprocessError
from time import monotonic

from scenarios import Failed, crowded, idle, slow

__all__: list[str] = []

_WITHIN = {"asyncio": 2.0, "sync": 2.0}  # seconds for a good message among 300
_FEW = {"asyncio": 60, "sync": 20}  # among whom both serve a good client within two seconds
_IDLE = {"asyncio": 10_000, "sync": 1000}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer clients, for less time")
    parser.add_argument("--colour", choices=_IDLE, action="append", help="one of the servers alone")
    parser.add_argument("--only", choices=("slow", "crowded", "idle"), action="append", help="one scenario alone")
    parser.add_argument("--seconds", type=float, help="of hostility at once")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    quick: bool = options.quick
    kinds = options.only or ["slow", "crowded", "idle"]
    colours = options.colour or list(_IDLE)
    with ThreadPoolExecutor(2) as aside:  # slow clients need no core, but a minute
        waiting = {
            f"slow, {colour}": aside.submit(attempt, partial(slow, colour, patient=not quick, seed=options.seed))
            for colour in colours
            if "slow" in kinds
        }
        failed = [report(name, attempt(scenario)) for name, scenario in busy(options, colours, kinds)]
        failed += [report(name, outcome.result()) for name, outcome in waiting.items()]
    return int(any(failed))


def busy(options: argparse.Namespace, colours: list[str], kinds: list[str]) -> "list[tuple[str, Callable[[], str]]]":
    """The scenarios that need a core each, one after the other."""
    quick, seed = options.quick, options.seed
    seconds = options.seconds or (2.0 if quick else 15.0)
    found: list[tuple[str, Callable[[], str]]] = []
    for colour in colours:
        if "crowded" in kinds:
            few = partial(crowded, colour, clients=_FEW[colour], seconds=min(seconds, 5.0), within=2.0, seed=seed)
            many = partial(crowded, colour, clients=300, seconds=seconds, within=_WITHIN[colour], seed=seed)
            found.append((f"crowded, {colour}", few))
            found += [] if quick else [(f"crowded, {colour}", many)]
        if "idle" in kinds:
            count = 500 if quick else _IDLE[colour]
            found.append((f"idle, {colour}", partial(idle, colour, count=count, within=2.0)))
    return found


def attempt(scenario: "Callable[[], str]") -> tuple[str, bool, float]:
    """What came of a scenario, whether it failed, and the seconds that it took."""
    began = monotonic()
    try:
        said, failed = scenario(), False
    except (Failed, OSError, SMTPException, SubprocessError) as failure:
        said, failed = str(failure) or repr(failure), True
    return said, failed, monotonic() - began


def report(name: str, outcome: tuple[str, bool, float]) -> bool:
    """Print a line; whether it failed."""
    said, failed, seconds = outcome
    print(f"{'FAILED' if failed else 'passed'} {name} ({seconds:.0f} s): {said}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
