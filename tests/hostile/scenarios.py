"""What is tried on a server, and what must hold meanwhile and afterwards."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Any

from kinds import KINDS, SLOW
from processes import GoodClient, Load, Victim, crowd

__all__ = ["Failed", "crowded", "idle", "slow"]

IDLE = 4.0  # seconds of Limits.idle here, so that a run need not take long
_LATE = 6.0  # seconds that an end may come late where the machine has nothing else to do
_PATIENCE = 60.0  # seconds until what hangs fails
_HANDSHAKE, _MINUTE = 30.0, 60.0  # seconds: limits that are not to be set
_LONGER = {
    "deaf": IDLE + 5.0,  # what is left to say has five seconds more
    "hanging": 2 * IDLE,  # the handler's time, and in an event loop the client's after it
    **dict.fromkeys(("slow_handshake", "slow_tls"), _HANDSHAKE),
    **dict.fromkeys(("slow_data", "slow_chunk"), _MINUTE),
}
_BASE = 24.0  # MiB that the process may grow by whoever comes: code that is loaded late, buffers, the allocator's slack
_EACH = 0.25  # MiB for a connection: what may wait unread (128 KiB), to be written, and the connection itself
_KIB_IDLE = {"asyncio": 8.0, "sync": 40.0}  # for an idle connection; a thread's stack is most of the second
_LAST_FILES = 12.0  # seconds in which whatever was open is closed: those who linger have 5


class Failed(Exception):
    """What should have held did not."""


def crowded(colour: str, *, clients: int, seconds: float, within: float, seed: int) -> str:
    """Hostile clients of all kinds at once, while a good one sends a message now and then.

    Args:
        colour: "asyncio" or "sync".
        clients: how many are hostile.
        seconds: how long.
        within: seconds that a good message may take on a machine that has nothing else to do.
        seed: of what is random.
    """
    with Victim(colour, idle=IDLE, handler=IDLE) as victim, watched(victim, connections=2 * clients):
        load = Load()
        good = GoodClient(victim)
        with crowd(victim, sorted(KINDS), clients=clients, seconds=seconds, seed=seed) as process:
            good.send_for(seconds, every=0.2)
            within *= load.factor()
            report = finished(process, seconds)
        check(not report["faults"], f"what is no reply: {report['faults']}")
        check(max(good.times) <= within, f"a good message took {max(good.times):.2f} s, not {within:.1f} at most")
        stored = victim.facts()["stored"]
        wrong = [name for name, digest in good.accepted.items() if stored.get(name) != digest]
        check(not wrong, f"not stored whole and once: {wrong}")
        check(len(stored) == len(good.accepted) + len(victim.before["stored"]), "more was stored than was sent")
        sessions = sum(kind["sessions"] for kind in report["kinds"].values())
        middle = sorted(good.times)[len(good.times) // 2]
        return (
            f"{clients} hostile clients, {sessions} sessions; {len(good.times)} good messages, "
            f"median {middle:.2f} s, slowest {max(good.times):.2f} s; {victim.memory('VmHWM'):.0f} MiB at most"
        )


def slow(colour: str, *, patient: bool, seed: int) -> str:
    """Each kind of slow client, until the server ends it.

    Args:
        colour: "asyncio" or "sync".
        patient: whether to wait for those limits too that take half a minute and a minute.
        seed: of what is random.
    """
    bounds = dict.fromkeys(SLOW, IDLE) | _LONGER
    kinds = [name for name, bound in bounds.items() if patient or bound < _HANDSHAKE]
    with Victim(colour, idle=IDLE, handler=IDLE) as victim, watched(victim, connections=2 * len(kinds)):
        seconds = (_MINUTE if patient else IDLE) + _PATIENCE
        load = Load()
        with crowd(victim, kinds, clients=2 * len(kinds), seconds=seconds, seed=seed, once=True) as process:
            report = finished(process, seconds)
        late = _LATE * load.factor()
        for name in kinds:
            seen = report["kinds"][name]
            check(seen["longest"] <= bounds[name] + late, f"{name} was kept for {seen['longest']:.0f} s")
            silent = name in ("deaf", "slow_handshake", "slow_tls")
            check(silent or seen["codes"] == [421], f"{name} was told {seen['codes']}")
        check(not report["faults"], f"what is no reply: {report['faults']}")
        return ", ".join(f"{name} {report['kinds'][name]['longest']:.0f} s" for name in kinds)


def idle(colour: str, *, count: int, within: float) -> str:
    """Connections that have said EHLO and stand idle, while a good client goes on.

    Args:
        colour: "asyncio" or "sync".
        count: how many.
        within: seconds that a good message may take on a machine that has nothing else to do.
    """
    with Victim(colour, connections=count + 100, per_address=count) as victim, watched(victim, connections=count):
        with ExitStack() as sockets:
            for index in range(50):  # what is made once is not counted
                sockets.enter_context(_greeted(victim.ports["plain"], index))
            before = victim.memory()
            for index in range(50, count):
                sockets.enter_context(_greeted(victim.ports["plain"], index))
            each = (victim.memory() - before) * 1024 / (count - 50)
            check(victim.facts()["connections"] == count, "not all are connected")
            good, load = GoodClient(victim), Load()
            for turn in range(20):
                good.send(tls=turn % 4 == 3)
            within *= load.factor()
            check(max(good.times) <= within, f"a good message took {max(good.times):.2f} s")
        check(each <= _KIB_IDLE[colour], f"an idle connection takes {each:.1f} KiB")
        return f"{count} idle connections of {each:.1f} KiB; the slowest of 20 good messages {max(good.times):.2f} s"


@contextmanager
def watched(victim: Victim, *, connections: int) -> Iterator[None]:
    """Memory in its bound, no traceback, and everything given back in the end.

    Args:
        victim: the server.
        connections: how many there may be at once: half of them of clients, half of those that linger.
    """
    began, load = victim.memory(), Load()
    yield
    bound = began + _BASE + _EACH * connections
    check(victim.memory("VmHWM") <= bound, f"{victim.memory('VmHWM'):.0f} MiB are more than {bound:.0f}")
    before = victim.before
    after = victim.settled(before["files"], before["threads"], _LAST_FILES * load.factor())
    check(not after["complaints"], f"the log has {after['complaints']}")
    for name in ("connections", "files", "threads", "tasks"):
        check(after[name] <= before[name], f"{after[name]} {name} are left, and there were {before[name]}")


def check(holds: bool, otherwise: str) -> None:
    """Raise Failed unless it holds."""
    if not holds:
        raise Failed(otherwise)


def finished(process: Any, seconds: float) -> dict[str, Any]:
    """What a crowd reports that attacks for so long."""
    output, _ = process.communicate(timeout=seconds + _PATIENCE)
    check(process.returncode == 0, "the crowd failed")
    report: dict[str, Any] = json.loads(output)
    return report


def _greeted(port: int, index: int) -> socket.socket:
    # A connection behind its EHLO; many addresses, since one has not as many ports.
    sock = socket.create_connection(("127.0.0.1", port), _PATIENCE, (f"127.0.0.{2 + index % 200}", 0))
    sock.recv(512)
    sock.sendall(b"EHLO idle.example\r\n")
    octets, until = b"", monotonic() + _PATIENCE
    while b"\n250 " not in octets or not octets.endswith(b"\n"):
        check(monotonic() < until, "no answer to EHLO")
        octets += sock.recv(4096)
    return sock
