"""Harm is done to sessions with real servers: what a client says was accepted is stored, once, and nothing else is."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cases import Case
from fault_proxy import KINDS, SIDES, STEPS, Fault, FaultProxy, unknown_allowed, waits
from mail_servers import MailServer
from processes import PATIENCE, Failed, eventually
from sample import MESSAGE, RECIPIENT, SECOND
from scenarios import COLOURS, Sources, Trial
from senders import POOLS, SENDERS, Report

from smtpkit import Timeouts

__all__ = ["faulted_cases"]

_AT_DATA = [(step, side) for step in STEPS for side in SIDES if step != "body"]
_AT_BDAT = [(step, side) for step in ("MAIL", "RCPT", "BDAT") for side in SIDES]
_SHORT, _LONG = 0.4, PATIENCE  # seconds
_SHORT_OF_POOLS = 5.0  # in which a message after the harm is accepted too


def faulted_cases(server: MailServer, sources: Sources) -> Iterator[Case]:
    """Every kind of harm, at every step, in both colours."""
    for kind in (*KINDS, "single octets"):
        for colour in COLOURS:
            attempt = partial(_harmed, Trial(server, colour, sources), kind)
            name = f"{colour.removeprefix('smtpkit.')}: {kind}, at every step"
            yield Case(server.name, "from smtpkit", name, attempt, row=f"{kind}, at every step")
    for colour in COLOURS:
        row = "a pool, after every kind of harm, at every step"
        name = f"{colour.removeprefix('smtpkit.')}: {row}"
        attempt = partial(_pool_harmed, Trial(server, colour, sources))
        yield Case(server.name, "from smtpkit", name, attempt, row=row)


def _harmed(trial: Trial, kind: str) -> str:
    trial.server.empty()
    expected = {}
    for number, (fault, bdat) in enumerate(_faults(kind)):
        report = _sent(trial, f"{kind}-{number}", fault, chunking=bdat)
        expected[f"{kind}-{number}"] = (fault, bdat, report)
    _sent(trial, "the last one", None, chunking=False, recipient=SECOND)
    trial.server.stored(SECOND)
    for name, (fault, bdat, report) in expected.items():
        _judge(trial.server, name, fault, bdat, report)
    return f"{len(expected)} sessions"


def _pool_harmed(trial: Trial) -> str:
    # The message that meets the harm is stored as its verdict says, and the next one of the same pool is accepted.
    trial.server.empty()
    expected = []
    for number, fault in enumerate(_faults_of_pools()):
        paths = [_named(trial, f"pool-{number}-{which}") for which in ("first", "second")]
        way = trial.way(recipients=(RECIPIENT,))
        with FaultProxy(("127.0.0.1", way.port), fault) as proxy:
            send_all = POOLS[trial.colour]
            first, second = send_all(
                way._replace(port=proxy.address[1]),
                *paths,
                timeouts=Timeouts(**waits(fault, _SHORT_OF_POOLS, _LONG)),
                chunking=False,
            )
        assert second.verdicts == {RECIPIENT: "accepted"}, f"{fault}: {second}"
        expected += [(f"pool-{number}-first", fault, first), (f"pool-{number}-second", None, second)]
    _sent(trial, "the last one", None, chunking=False, recipient=SECOND)
    trial.server.stored(SECOND)
    for name, fault, report in expected:
        _judge(trial.server, name, fault, False, report)
    return f"{len(expected) // 2} pools"


def _faults_of_pools() -> Iterator[Fault]:
    for kind in ("cut", "reset", "half-close", "421"):
        for fault, bdat in _faults(kind):
            if fault is not None and not bdat:
                yield fault


def _faults(kind: str) -> Iterator[tuple[Fault | None, bool]]:
    for places, bdat in ((_AT_DATA, False), (_AT_BDAT, True)):
        for step, side in places:
            # To say 421 instead of the reply to what was stored would be a lie.
            if kind == "421" and side == "reply" and (bdat or step == "end of data"):
                continue
            yield (None if kind == "single octets" else Fault(kind, step, side)), bdat
            if kind == "single octets":
                break


def _sent(trial: Trial, name: str, fault: Fault | None, *, recipient: str = RECIPIENT, **options: Any) -> Report:
    path, way = _named(trial, name), trial.way(recipients=(recipient,))
    patience = Timeouts(**waits(fault, _SHORT, _LONG))
    single = name.startswith("single octets")
    with FaultProxy(("127.0.0.1", way.port), fault, single=single) as proxy:
        return SENDERS[trial.colour](way._replace(port=proxy.address[1]), path, timeouts=patience, **options)


def _named(trial: Trial, name: str) -> Path:
    path = trial.sources.message.with_name(f"{name}.crlf")
    path.write_bytes(b"X-Name: " + name.encode() + b"\r\n" + MESSAGE)
    return path


def _judge(server: MailServer, name: str, fault: Fault | None, bdat: bool, report: Report) -> None:
    verdict = report.verdicts.get(RECIPIENT, "none")
    wanted = {"accepted": {1}, "unknown": {0, 1}, "deferred": {0}, "none": {0}}[verdict]

    def count() -> int:
        files = server.mail.glob(f"{RECIPIENT.partition('@')[0]}/new/*")
        return sum(b"X-Name: " + name.encode() + b"\r" in path.read_bytes().replace(b"\n", b"\r") for path in files)

    if not eventually(lambda: count() in wanted):
        raise Failed(f"{fault}: {verdict}, and stored {count()} times: {report}\n{server.said()}")
    if verdict == "unknown" and (fault is None or not unknown_allowed(fault, bdat=bdat)):
        raise Failed(f"{fault}: unknown, where the last octet had not left: {report}")
    if fault is None or fault.kind == "delay" or fault.step == "QUIT":
        assert verdict == "accepted", f"{fault}: {report}"
