"""One case: what is tried, with whom, and how it went."""

import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

from processes import PATIENCE

__all__ = ["Case", "Result", "equal", "holds", "perform"]


class Case(NamedTuple):
    """Something to try.

    Attributes:
        peer: the other program or library.
        direction: "to smtpkit" (the peer is the client) or "from smtpkit".
        feature: what is tried.
        attempt: does it, and may say what was seen; raises if anything is not as it shall be.
        patience: seconds after which it has failed.
        deviation: whether what is shown is one of DEVIATIONS.md.
        row: of the matrix in docs/interop.md; "" if it has none.
    """

    peer: str
    direction: str
    feature: str
    attempt: Callable[[], str | None]
    patience: float = 2 * PATIENCE
    deviation: bool = False
    row: str = ""


class Result(NamedTuple):
    """How a case went: `problem` is "" if all was as it shall be, `seen` what else is to be said."""

    case: Case
    problem: str
    seconds: float
    seen: str = ""


def perform(case: Case) -> Result:
    """Try a case, for as long as it may take; nothing is raised."""
    began = time.monotonic()
    seen = None
    try:
        with _at_most(case.patience):
            seen = case.attempt()
        problem = ""
    except Exception as error:  # noqa: BLE001 (whatever a peer's library raises is a finding)
        problem = f"{type(error).__name__}: {error}"
    return Result(case, problem, time.monotonic() - began, seen or "")


def equal(found: bytes, wanted: bytes) -> None:
    """Fail, and say where, unless two messages are the same octets."""
    if found == wanted:
        return
    at = next((n for n, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), min(len(found), len(wanted)))
    there, instead = found[at : at + 40], wanted[at : at + 40]
    raise AssertionError(f"{len(found)} octets where {len(wanted)} are wanted; at {at} {there!r}, not {instead!r}")


def holds(transcript: str, patterns: Iterable[str]) -> None:
    """Fail unless the patterns are found in the transcript in this order; verbs may be written in any case."""
    position = 0
    for pattern in patterns:
        found = re.compile(pattern, re.MULTILINE | re.IGNORECASE).search(transcript, position)
        if found is None:
            raise AssertionError(f"{pattern!r} is not (or not there) in the transcript:\n{transcript}")
        position = found.end()


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
