"""The fuzz run: every parser and both roles of the protocol, coverage-guided where atheris is installed.

    python tests/fuzz/run.py [--seconds N] [--target NAME]… [--engine atheris|hypothesis]

Each target runs in a process of its own.  It goes on after a finding; of each kind (error and place) the smallest
input is kept and printed as a line for `tests/fuzz/corpus/`.  The exit status is 1 if there was a finding.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))

from targets import TARGETS  # noqa: E402 (it needs the line above where smtpkit is not installed)

TOTAL = 150  # seconds of all targets together
OVERTIME = 60  # seconds after which a target hangs


def main():
    """Run the targets one after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, help=f"for each target; {TOTAL} for all together if not given")
    choices = {"choices": TARGETS, "metavar": "NAME", "help": f"one of: {', '.join(TARGETS)}"}
    parser.add_argument("--target", action="append", **choices)
    parser.add_argument("--engine", choices=("atheris", "hypothesis"), help="atheris where it is installed")
    options = parser.parse_args()
    engine = options.engine or ("atheris" if importlib.util.find_spec("atheris") else "hypothesis")
    if importlib.util.find_spec(engine) is None:
        parser.error(f"{engine} is not installed: the extras `test` and `fuzz` of smtpkit bring hypothesis and atheris")
    names = options.target or list(TARGETS)
    seconds = TOTAL / len(names) if options.seconds is None else options.seconds
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
        # It imports nothing of smtpkit before the engine is there, which counts what is covered.
        command = [sys.executable, str(HERE / "engines.py"), name, engine, str(seconds), str(report)]
        began = time.monotonic()
        try:
            ended = subprocess.run(
                command,
                cwd=scratch,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=seconds + OVERTIME,
            )
            trouble = ended.stderr[-2000:]
        except subprocess.TimeoutExpired:
            trouble = "it hangs"
        took = time.monotonic() - began
        found = json.loads(report.read_text()) if report.exists() else {"executions": 0, "findings": [], "over": False}
        if not found["over"]:
            # libFuzzer leaves the input of a crash, a time-out or too much memory in a file of that name.
            inputs = [
                ascii(path.read_bytes())
                for kind in ("crash", "timeout", "oom")
                for path in Path(scratch).glob(f"{kind}-*")
            ]
            found["findings"].append((trouble, "the process", " ".join(inputs)))
        return {**found, "seconds": took}


if __name__ == "__main__":
    sys.exit(main())
