"""CPU time and memory of servers, against those of other libraries and against the floor of asyncio."""

import argparse
import gc

from load import Load, Plan, idle_connections, send_one
from measure import Timing
from messages import base64_body
from processes import Child, cpu_seconds, memory, pin, reset_peak
from report import table
from server_process import CERTIFICATE, SERVERS, TLS, missing

_KIB, _MIB = 1024, 1024 * 1024
_OWN = ("smtpkit.asyncio", "smtpkit.sync")
_CELLS = {
    "lock-step x1": (Plan.lock_step, _KIB, 1),
    "lock-step x20": (Plan.lock_step, _KIB, 20),
    "pipelined x20": (Plan.pipelined, _KIB, 20),
    "per connection x20": (Plan.per_connection, _KIB, 20),
    "10 MiB": (Plan.lock_step, 10 * _MIB, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds, no memory")
    parser.add_argument(
        "--servers", nargs="+", choices=SERVERS, default=list(SERVERS), help="only these, and the floor"
    )
    parser.add_argument("--cells", nargs="+", choices=_CELLS, default=list(_CELLS), help="only these")
    parser.add_argument("--no-memory", action="store_true")
    options = parser.parse_args()
    names = [name for name in SERVERS if name == "floor" or name in options.servers]
    for name in [name for name in names if missing(name)]:
        print(f"{name} is not installed: left out; README.md says how to bring it")
        names.remove(name)
    pin("load")
    rounds, seconds = (2, 0.15) if options.quick else (5, 0.35)
    _show_cpu(names, _cpu(names, options.cells, rounds, seconds))
    if not (options.quick or options.no_memory):
        _show_memory(names)


def _cpu(names: list[str], cells: list[str], rounds: int, seconds: float) -> dict[tuple[str, str], Timing]:
    children = {name: Child("server_process.py", name, role="measured") for name in names}
    ports = {name: child.read() for name, child in children.items()}
    times: dict[tuple[str, str], list[float]] = {(cell, name): [] for cell in cells for name in names}
    for cell in cells:
        for name in names:
            if name not in _OWN:  # what is measured against is warm
                _measure(children[name].pid, ports[name], cell, seconds)
    gc.disable()
    for _ in range(rounds):
        for cell in cells:
            for name in names:
                times[cell, name].append(_measure(children[name].pid, ports[name], cell, seconds))
    for child in children.values():
        child.__exit__()
    return {key: Timing(values) for key, values in times.items()}


def _measure(pid: int, port: int, cell: str, seconds: float) -> float:
    # CPU seconds of one message.
    plan, octets, connections = _CELLS[cell]
    load = Load(port, plan(base64_body(octets)), connections)
    load.run(0.02)
    begin = cpu_seconds(pid)
    messages = 0
    while not messages:
        messages = load.run(seconds)
    spent = cpu_seconds(pid) - begin
    load.close()
    return spent / messages


def _show_cpu(names: list[str], timings: dict[tuple[str, str], Timing]) -> None:
    cells = list(dict.fromkeys(cell for cell, _ in timings))
    for against in [name for name in ("floor", "aiosmtpd") if name in names]:
        rows = []
        for cell in cells:
            ratios = [timings[cell, name].median / timings[cell, against].median for name in names]
            if against == "floor":
                rows.append([cell, *(f"{ratio:.2f}" for ratio in ratios)])
            else:
                rows.append([cell, *(f"{1 / ratio:.2f}" for ratio in ratios)])
        kind = "CPU per message, times the floor" if against == "floor" else f"times as fast as {against}"
        print(table(f"Servers: {kind}", ["", *names], rows))
    rows = [
        [cell, *(f"{timings[cell, name].median * 1e6:.0f} ±{timings[cell, name].spread * 50:.0f}%" for name in names)]
        for cell in cells
    ]
    print(table("Servers: CPU per message in microseconds, for scale", ["", *names], rows))


def _show_memory(names: list[str]) -> None:
    idle = [["plain", *(f"{_idle(name):.1f}" for name in names)]]
    if CERTIFICATE.exists():
        idle.append(["TLS", *(f"{_idle(name, tls=True):.1f}" if name in TLS else "" for name in names)])
    else:
        print(f"{CERTIFICATE} is missing: no TLS")
    print(table("Servers: KiB for an idle connection", ["", *names], idle))
    rows = []
    for size in (10, 256):
        for hook in ("on_message", "on_body"):
            peaks = [
                _peak(name, hook, size) if name in _OWN or (hook, size) == ("on_message", 10) else None
                for name in names
            ]
            rows.append([f"{size} MiB, {hook}", *("" if peak is None else f"+{peak:.1f}" for peak in peaks)])
    print(table("Servers: MiB more at the peak while a message arrives", ["", *names], rows))


def _idle(name: str, *, tls: bool = False, count: int = 1000) -> float:
    with Child("server_process.py", name + (":tls" if tls else ""), role="measured") as child:
        port = child.read()
        kept = idle_connections(port, 50, tls=tls)  # what is made once is not counted
        before = memory(child.pid)
        kept += idle_connections(port, count, tls=tls)
        used = (memory(child.pid) - before) / count
        for sock in kept:
            sock.close()
    return used


def _peak(name: str, hook: str, size: int) -> float:
    variant = ":on_body" if hook == "on_body" else ""
    with Child("server_process.py", name + variant, role="measured") as child:
        port = child.read()
        send_one(port, base64_body(_MIB // 4))
        before = memory(child.pid)
        reset_peak(child.pid)
        send_one(port, base64_body(_MIB), size)
        return (memory(child.pid, "VmHWM") - before) / 1024


if __name__ == "__main__":
    main()
