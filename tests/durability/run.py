"""What stores promise, tried out: SIGKILL under load, the order of system calls, a full disk; best by `.ci/durability`.

The system calls need strace, and the full disk root.  The exit status is 1 if a promise is not kept.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from full import fill
from killed import deliver_and_kill
from served import STORES
from traced import EXPECTED, trace


def main() -> int:
    """Run the parts that are asked for; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=["kill", "trace", "full", []], help="some of the three; else all")
    parser.add_argument("--kills", type=int, default=20, help="SIGKILLs for each store (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    arguments = parser.parse_args()

    def kill(store: str, scratch: Path) -> str:
        report = deliver_and_kill(store, scratch, kills=arguments.kills, seed=arguments.seed)
        assert not report.problems, report
        assert report.accepted, "nothing was accepted"
        return f"{arguments.kills} kills under 20 clients: {report}"

    parts: dict[str, Callable[[str, Path], str]] = {"kill": kill, "trace": _traced, "full": fill}
    failed = 0
    for name in arguments.parts or parts:
        for store in STORES:
            with tempfile.TemporaryDirectory(prefix="smtpkit-durability-") as scratch:
                try:
                    print(f"{name:5} {store:7} {parts[name](store, Path(scratch))}", flush=True)
                except AssertionError as error:
                    failed += 1
                    print(f"{name:5} {store:7} FAILED: {error}", flush=True)
    return 1 if failed else 0


def _traced(store: str, scratch: Path) -> str:
    steps, lines = trace(store, scratch)
    assert steps == EXPECTED[store], f"{', '.join(steps)}\n" + "\n".join(lines)
    return ", ".join(steps) + "".join(f"\n    {line}" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
