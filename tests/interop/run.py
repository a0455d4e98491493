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
from receiving import receiving_cases
from sample import write_large, write_message
from sending import sending_cases
from servers import serving


def main() -> int:
    """Run the cases that are asked for; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="run only the cases whose row holds all of these words")
    words = parser.parse_args().words
    began = time.monotonic()
    failed: list[Result] = []
    count = 0
    with tempfile.TemporaryDirectory(prefix="smtpkit-interop-") as scratch:
        for case in _cases(Path(scratch)):
            if all(word in f"{case.peer} {case.direction} {case.feature}" for word in words):
                result = perform(case)
                count += 1
                print(_row(result), flush=True)
                failed += [result] if result.problem else []
    for result in failed:
        print(f"\nFAILED: {result.case.peer}, {result.case.direction}, {result.case.feature}\n{result.problem}")
    print(f"\n{count} cases, {len(failed)} failed, {time.monotonic() - began:.1f} s")
    return 1 if failed or not count else 0


def _cases(scratch: Path) -> Iterator[Case]:
    files, large = Files(*write_message(scratch)), write_large(scratch)
    with serving(scratch) as servers:
        yield from receiving_cases(servers, files, large)
    yield from sending_cases(scratch, files, large)


def _row(result: Result) -> str:
    case = result.case
    verdict = "FAILED" if result.problem else "as known" if case.deviation else "ok"
    return f"{case.peer:17} {case.direction:13} {case.feature:52} {verdict:9} {result.seconds:5.2f}"


if __name__ == "__main__":
    sys.exit(main())
