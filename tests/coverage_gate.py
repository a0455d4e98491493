"""Fail unless each module of wire/, sasl/ and protocol/ has full branch coverage from its own test file alone.

Run it with the `dev` extra installed: python tests/coverage_gate.py [MODULE.py …]
"""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
LAYERS = ("wire", "sasl", "protocol")


def modules() -> list[Path]:
    return sorted(
        path for layer in LAYERS for path in (ROOT / "smtpkit" / layer).glob("*.py") if path.name != "__init__.py"
    )


def gaps(module: Path) -> str:
    """What is not covered of a module, in words; "" if nothing."""
    own_tests = ROOT / "tests" / module.parent.name / f"test_{module.name}"
    if not own_tests.exists():
        return f"has no test file {own_tests.relative_to(ROOT)}"
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "COVERAGE_FILE": f"{scratch}/data"}
        package = ".".join(module.parent.relative_to(ROOT).parts)
        measure = [sys.executable, "-m", "coverage"]
        run = [*measure, "run", "--branch", f"--source={package}", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        tests = subprocess.run([*run, str(own_tests)], cwd=ROOT, env=environment, capture_output=True, text=True)
        if tests.returncode:
            return f"fails its tests:\n{tests.stdout[-2000:]}"
        report = [*measure, "json", "-q", "-o", f"{scratch}/report.json", f"--include={module}"]
        subprocess.run(report, cwd=ROOT, env=environment, check=True)
        (found,) = json.loads(Path(scratch, "report.json").read_text())["files"].values()
    missing = [f"line {line}" for line in found["missing_lines"]]
    missing += [f"branch {start} to {end}" for start, end in found["missing_branches"]]
    return f"is not covered: {', '.join(missing)}" if missing else ""


def main() -> int:
    chosen = [Path(name).resolve() for name in sys.argv[1:]] or modules()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(zip(chosen, pool.map(gaps, chosen), strict=True))
    for module, gap in results:
        if gap:
            print(f"{module.relative_to(ROOT)} {gap}")
    failed = sum(1 for _, gap in results if gap)
    print(f"{len(results) - failed} of {len(results)} modules are fully covered by their own tests")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
