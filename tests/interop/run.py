"""Interoperation with real peers on loopback; `python tests/interop/run.py`, best by way of `.ci/interop`.

Every case is a row of the table that is printed; the exit status is 1 if one of them failed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cases import Case, Result, perform
from clients import Files
from faulted import faulted_cases
from matrix import matrices, write_matrices
from real_servers import real_servers
from receiving import receiving_cases
from relaying import relaying_cases
from sample import DOTS, write_large, write_message
from scenarios import Sources, scenario_cases
from sending import sending_cases
from servers import serving

_HARMED = ("Postfix", "Exim")  # those whose sessions are harmed


def main() -> int:
    """Run the cases that are asked for; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="run only the cases whose row holds all of these words")
    parser.add_argument("--matrix", action="store_true", help="print the matrices, and write them into docs/interop.md")
    arguments = parser.parse_args()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="smtpkit-interop-") as scratch:
        Path(scratch).chmod(0o755)  # real servers store mail as other users
        for case in _cases(Path(scratch)):
            if all(word in f"{case.peer} {case.direction} {case.feature}" for word in arguments.words):
                results.append(perform(case))
                print(_row(results[-1]), flush=True)
    return _summary(results, arguments.matrix)


def _summary(results: list[Result], matrix: bool) -> int:
    failed = [result for result in results if result.problem]
    for result in failed:
        print(f"\nFAILED: {result.case.peer}, {result.case.direction}, {result.case.feature}\n{result.problem}")
    if matrix:
        print(f"\n{matrices(results)}")
        if not failed:
            write_matrices(results)
    seconds: dict[str, float] = {}
    for result in results:
        seconds[result.case.peer] = seconds.get(result.case.peer, 0) + result.seconds
    print()
    for peer, spent in seconds.items():
        print(f"{peer:27} {spent:6.1f} s")
    print(f"\n{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not results else 0


def _cases(scratch: Path) -> Iterator[Case]:
    files, large = Files(*write_message(scratch)), write_large(scratch)
    with serving(scratch) as servers:
        yield from receiving_cases(servers, files, large)
    yield from sending_cases(scratch, files, large)
    dots = scratch / "dots.crlf"
    dots.write_bytes(DOTS)
    began = time.monotonic()
    with real_servers(scratch) as real:
        print(f"{len(real)} real servers within {time.monotonic() - began:.1f} s")
        sources = Sources(files.crlf, dots, large)
        for server in real:
            yield from scenario_cases(server, sources)
            if server.name.startswith(_HARMED):
                yield from faulted_cases(server, sources)
            yield from relaying_cases(server, files.crlf)


def _row(result: Result) -> str:
    case = result.case
    verdict = "FAILED" if result.problem else "as known" if case.deviation else "ok"
    return (
        f"{case.peer:27} {case.direction:13} {case.feature:52} {verdict:8} {result.seconds:5.2f} {result.seen}".rstrip()
    )


if __name__ == "__main__":
    sys.exit(main())
