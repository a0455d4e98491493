"""The fuzz run: every parser and both roles of the protocol, coverage-guided where atheris is installed.

    python tests/fuzz/run.py [--seconds N] [--target NAME]… [--engine atheris|hypothesis]

Each target runs in a process of its own.  It goes on after a finding; of each kind (error and place) the smallest
input is kept and printed as a line for `tests/fuzz/corpus/`.  The exit status is 1 if there was a finding.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE)]

TOTAL = 150  # seconds of all targets together
OVERTIME = 60  # seconds after which a target hangs
LONGEST = 2048  # octets of an input


def main():
    """Run the targets one after the other, and print the table."""
    from targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, help=f"for each target; {TOTAL} for all together if not given")
    choices = {"choices": TARGETS, "metavar": "NAME", "help": f"one of: {', '.join(TARGETS)}"}
    parser.add_argument("--target", action="append", **choices)
    parser.add_argument("--engine", choices=("atheris", "hypothesis"), help="atheris where it is installed")
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)  # this is the process of one target
    options = parser.parse_args()
    engine = options.engine or ("atheris" if importlib.util.find_spec("atheris") else "hypothesis")
    if options.report is not None:
        from engines import run_target

        run_target(options.target[0], engine, options.seconds, options.report, LONGEST)
        return 0
    names = options.target or list(TARGETS)
    seconds = options.seconds or TOTAL / len(names)
    row = "{:<26} {:<10} {:>12} {:>8} {:>8}".format
    print(row("target", "engine", "executions", "seconds", "findings"), flush=True)
    findings, executions, began = [], 0, time.monotonic()
    for name in names:
        report = in_own_process(name, engine, seconds)
        print(row(name, engine, report["executions"], round(report["seconds"]), len(report["findings"])), flush=True)
        findings += [(name, *finding) for finding in report["findings"]]
        executions += report["executions"]
    print(row(f"all {len(names)}", engine, executions, round(time.monotonic() - began), len(findings)))
    for name, error, place, octets in findings:
        print(f"\n{name}: {error}\n  at {place}\n  {octets}")
    return 1 if findings else 0


def in_own_process(name, engine, seconds):
    """Run one target for so long; a process that dies or hangs is a finding, with the input that it had."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.json")
        command = [sys.executable, __file__, "--target", name, "--engine", engine]
        command += ["--seconds", str(seconds), "--report", str(report)]
        began = time.monotonic()
        try:
            ended = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=seconds + OVERTIME)
            trouble = ended.stderr[-2000:]
        except subprocess.TimeoutExpired:
            trouble = "it hangs"
        took = time.monotonic() - began
        found = json.loads(report.read_text()) if report.exists() else {"executions": 0, "findings": [], "over": False}
        if not found["over"]:
            found["findings"].append((trouble, "the process", found.get("last", "")))
        return {**found, "seconds": took}


if __name__ == "__main__":
    sys.exit(main())
