"""Harm is done to sessions with real servers: what a client says was accepted is stored, once, and nothing else is."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from cases import Case
from fault_proxy import KINDS, SIDES, STEPS, Fault, FaultProxy, unknown_allowed
from mail_servers import MailServer
from processes import Failed, eventually
from sample import MESSAGE, RECIPIENT, SECOND
from scenarios import COLOURS, Sources, Trial
from senders import SENDERS, Report

__all__ = ["faulted_cases"]

_AT_DATA = [(step, side) for step in STEPS for side in SIDES if step != "body"]
_AT_BDAT = [(step, side) for step in ("MAIL", "RCPT", "BDAT") for side in SIDES]
_SHORT, _LONG = 0.4, 10.0  # seconds


def faulted_cases(server: MailServer, sources: Sources) -> Iterator[Case]:
    """Every kind of harm, at every step, in both colours."""
    for kind in (*KINDS, "single octets"):
        for colour in COLOURS:
            attempt = partial(_harmed, Trial(server, colour, sources), kind)
            name = f"{colour.removeprefix('smtpkit.')}: {kind}, at every step"
            yield Case(server.name, "from smtpkit", name, attempt, 60, row=f"{kind}, at every step")


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
    path = trial.sources.message.with_name("harmed.crlf")
    path.write_bytes(b"X-Name: " + name.encode() + b"\r\n" + MESSAGE)
    way = trial.way(recipients=(recipient,))
    patience = _SHORT if fault is not None and fault.kind in ("stall", "half-close") else _LONG
    single = name.startswith("single octets")
    with FaultProxy(("127.0.0.1", way.port), fault, single=single) as proxy:
        return SENDERS[trial.colour](way._replace(port=proxy.address[1]), path, timeouts=patience, **options)


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
