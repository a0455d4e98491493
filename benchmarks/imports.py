"""What importing costs, against smtplib and aiosmtplib, and what `import smtpkit` loads."""

import argparse
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import Timing
from processes import pin
from report import table

_PEERS = {"smtpkit": "smtplib", "smtpkit.sync": "smtplib", "smtpkit.asyncio": "aiosmtplib", "smtpkit.tls": "ssl"}
# A fresh interpreter, without the site packages' start-up files, counts from its own first line on.
_PROGRAM = """
import sys
sys.path[:0] = {paths!r}
from time import process_time
begin = process_time()
{statement}
print(process_time() - begin)
"""
_LIST = """
import sys
before = set(sys.modules)
sys.path[:0] = {paths!r}
import smtpkit
import json
print(json.dumps(sorted(set(sys.modules) - before)))
"""
_bytecode = TemporaryDirectory(prefix="smtpkit-imports-")
_ROOT = str(Path(__file__).resolve().parent.parent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="five rounds")
    options = parser.parse_args()
    pin("measured")
    modules = list(dict.fromkeys([*_PEERS, *_PEERS.values(), "asyncio"]))
    if find_spec("aiosmtplib") is None:
        print("aiosmtplib is not installed: left out")
        modules.remove("aiosmtplib")
    times: dict[str, list[float]] = {module: [] for module in modules}
    for module in modules:
        _import(module)  # compiles, and warms the disk cache
    for _ in range(5 if options.quick else 21):
        for module in modules:
            times[module].append(_import(module))
    timings = {module: Timing(values) for module, values in times.items()}
    rows = []
    for module, timing in timings.items():
        peer = _PEERS.get(module, "")
        ratio = f"{timing.median / timings[peer].median:.2f} of {peer}" if peer in timings else ""
        rows.append([f"import {module}", f"{timing.median * 1e3:.1f}", f"±{timing.spread * 50:.0f}%", ratio])
    print(table("Imports: CPU in milliseconds, a bare interpreter taken off", ["", "ms", "spread", "share"], rows))
    loaded = [name for name in _loaded() if name != "json" and not name.startswith("json.")]
    own = [name for name in loaded if name.partition(".")[0] == "smtpkit"]
    others = [name for name in loaded if name not in own]
    print(f"import smtpkit loads {len(own)} modules of its own, and of the standard library:")
    print("  " + ", ".join(others))


def _import(module: str) -> float:
    return float(_run(_PROGRAM.format(statement=f"import {module}", paths=_paths())))


def _loaded() -> list[str]:
    names: list[str] = json.loads(_run(_LIST.format(paths=_paths())))
    return names


def _paths() -> list[str]:
    # -S leaves out what the start-up files of an environment import, so the peers' place has to be said.
    return [_ROOT, *(path for path in sys.path if path.endswith("site-packages"))]


def _run(program: str) -> str:
    # Byte code is kept in a place of its own, whatever the environment says about writing it.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-S", "-X", f"pycache_prefix={_bytecode.name}", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


if __name__ == "__main__":
    main()
