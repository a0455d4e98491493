"""CPU time and memory of clients, against smtplib and aiosmtplib; the peer is the floor server."""

import argparse
from importlib.util import find_spec

from client_process import BODIES, CELLS, CLIENTS
from measure import Timing
from processes import Child, pin
from report import table

_SERVERS = {
    "PIPELINING": "PIPELINING,SIZE,8BITMIME",
    "no PIPELINING": "SIZE,8BITMIME",
    "PIPELINING and CHUNKING": "PIPELINING,SIZE,8BITMIME,CHUNKING",
}
_OWN = ("smtpkit.sync", "smtpkit.asyncio")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds, two servers, no memory")
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS), help="only these")
    parser.add_argument("--servers", nargs="+", choices=_SERVERS, default=list(_SERVERS), help="only these")
    parser.add_argument("--no-memory", action="store_true")
    options = parser.parse_args()
    names = list(CLIENTS)
    if find_spec("aiosmtplib") is None:
        print("aiosmtplib is not installed: left out")
        names.remove("aiosmtplib")
    pin("parent")
    rounds, seconds = (2, 0.04) if options.quick else (5, 0.1)
    for server in options.servers[: 2 if options.quick else None]:
        with Child("server_process.py", f"floor:{_SERVERS[server]}", role="peer") as peer:
            port = peer.read()
            _show(server, names, _cpu(names, options.cells, port, rounds, seconds))
    if not (options.quick or options.no_memory):
        with Child("server_process.py", f"floor:{_SERVERS['PIPELINING']}", role="peer") as peer:
            _show_memory(names, peer.read())


def _cpu(names: list[str], cells: list[str], port: int, rounds: int, seconds: float) -> dict[tuple[str, str], Timing]:
    children = {name: Child("client_process.py", name, role="measured") for name in names}
    times: dict[tuple[str, str], list[float]] = {(cell, name): [] for cell in cells for name in names}
    for cell in cells:
        for name in names:
            if name not in _OWN:  # what is measured against is warm
                children[name].ask(cell=cell, port=port, seconds=seconds)
    for _ in range(rounds):
        for cell in cells:
            for name in names:
                times[cell, name].append(children[name].ask(cell=cell, port=port, seconds=seconds))
    for child in children.values():
        child.__exit__()
    return {key: Timing(values) for key, values in times.items()}


def _show(server: str, names: list[str], timings: dict[tuple[str, str], Timing]) -> None:
    cells = list(dict.fromkeys(cell for cell, _ in timings))
    rows = []
    for cell in cells:
        row = [cell, _ratio(timings, cell, "floor", "smtplib"), _ratio(timings, cell, "smtpkit.sync", "smtplib")]
        if "aiosmtplib" in names:
            row.append(_ratio(timings, cell, "floor, asyncio", "aiosmtplib"))
            row.append(_ratio(timings, cell, "smtpkit.asyncio", "aiosmtplib"))
        row.append(_ratio(timings, cell, "smtpkit.asyncio", "smtplib"))
        for name in names:
            timing = timings[cell, name]
            row.append(f"{timing.median * 1e6:.0f} ±{timing.spread * 50:.0f}%")
        rows.append(row)
    ratios = [
        "floor / smtplib",
        "sync / smtplib",
        *(["floor, asyncio / aiosmtplib", "asyncio / aiosmtplib"] if "aiosmtplib" in names else []),
        "asyncio / smtplib",
    ]
    title = f"Clients, server with {server}: times as fast, and CPU per message in microseconds for scale"
    print(table(title, ["", *ratios, *names], rows))


def _ratio(timings: dict[tuple[str, str], Timing], cell: str, own: str, peer: str) -> str:
    return f"{timings[cell, peer].median / timings[cell, own].median:.2f}"


def _show_memory(names: list[str], port: int) -> None:
    names = [name for name in names if not name.startswith("floor")]
    rows = []
    for body in BODIES:
        row = [body]
        for name in names:
            if "pieces" in body and name not in _OWN:
                row.append("")  # it takes a body in one piece only
                continue
            with Child("client_process.py", name, role="measured") as child:
                row.append(f"+{child.ask(body=body, port=port) / 1024:.1f}")
        rows.append(row)
    print(table("Clients: MiB more at the peak while a message leaves", ["", *names], rows))


if __name__ == "__main__":
    main()
