"""Many hostile clients in a process of their own: `python crowd.py '{"plain": PORT, …}'` attacks and reports.

Each client plays sessions of one kind, one after the other, until the time is over, or with "once" a single one.
"""

import asyncio
import json
import os
import resource
import signal
import sys
from random import Random
from time import monotonic
from typing import Any

from kinds import KINDS, TLS_ALONE
from peer import Gone, Peer

__all__: list[str] = []

_PAUSE = 0.01  # seconds between two sessions of one client
_ADDRESSES = 50
_NICE = 10  # the clients stand for other machines, which would not take processors from the server
_LATE = 90  # seconds behind its time in which a crowd is ended by force


class Crowd:
    """All clients, and what became of them.

    Attributes:
        kinds: for each kind the number of its sessions, the longest of them in seconds, and the codes of last replies.
        faults: what is no reply, by kind.
    """

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked
        self._end = monotonic() + asked["seconds"]
        self.kinds: dict[str, dict[str, Any]] = {
            name: {"sessions": 0, "refused": 0, "longest": 0.0, "codes": []} for name in asked["kinds"]
        }
        self.faults: list[str] = []

    async def attack(self) -> None:
        """Until the time is over."""
        asked = self._asked
        clients = [asyncio.create_task(self._client(index)) for index in range(asked["clients"])]
        _, late = await asyncio.wait(clients, timeout=asked["seconds"])
        for client in late:
            client.cancel()
        for outcome in await asyncio.gather(*clients, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def _client(self, index: int) -> None:
        asked = self._asked
        name = asked["kinds"][index % len(asked["kinds"])]
        random = Random(f"{asked['seed']}.{index}")
        source = f"127.0.0.{2 + index % _ADDRESSES}"
        while monotonic() < self._end:
            await self._session(name, random, source)
            if asked["once"]:
                return
            await asyncio.sleep(_PAUSE)

    async def _session(self, name: str, random: Random, source: str) -> None:
        seen, began = self.kinds[name], monotonic()
        peer = Peer(self._asked["tls" if name in TLS_ALONE else "plain"], source)
        grammar = peer.grammar
        assert grammar is not None
        try:
            async with peer:
                await KINDS[name](peer, random)
        except (Gone, TimeoutError):
            pass
        finally:
            seen["sessions"] += 1
            seen["refused"] += grammar.replies == 1 and grammar.last == 421
            seen["longest"] = max(seen["longest"], monotonic() - began)
            if grammar.last not in seen["codes"]:
                seen["codes"].append(grammar.last)
            if len(self.faults) < 10:
                self.faults += [f"{name}: {fault}" for fault in grammar.faults]


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.nice(_NICE)
    asked = json.loads(sys.argv[1])
    signal.alarm(int(asked["seconds"]) + _LATE)
    crowd = Crowd(asked)
    asyncio.run(crowd.attack())
    print(json.dumps({"kinds": crowd.kinds, "faults": crowd.faults}))


if __name__ == "__main__":
    main()
