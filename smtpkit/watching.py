"""What is told of a client connection while it lives: to the log, to an observer, and as numbers."""

import sys
from itertools import count

from smtpkit.errors import SMTPError
from smtpkit.protocol.results import Verdict
from smtpkit.protocol.transcript import Transcript
from smtpkit.wire.value import Value

__all__ = ["ClientStats", "Observer", "Watch"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from logging import Logger
    from typing import Any

    from smtpkit.protocol.client_driver import ClientDriver
    from smtpkit.protocol.results import Outcome, SendResult

_DEBUG, _INFO = 10, 20  # of logging, which is not imported for who does not use it
_MARKS = {"C: ": "> ", "S: ": "< "}

_numbers = count(1)


class Observer:
    """What is told of connections, for metrics and traces: override what you need.

    Each method is a plain function in both adapters.  It is called by whoever called the client, in the same thread
    or task, when the thing has happened; durations are seconds.  What it raises goes to the log, and changes nothing.
    `client` is the Client: its `url`, `tls`, `capabilities` and `stats` may be read, and nothing may be sent by it.
    """

    def connected(self, client: "Any", seconds: float) -> None:
        """A connection is made, and logged in where there are credentials."""

    def connect_failed(self, client: "Any", error: BaseException, seconds: float) -> None:
        """No connection came about; `error` is what the caller gets."""

    def sent(self, client: "Any", result: "SendResult", seconds: float) -> None:
        """A send has returned: at least one recipient was accepted."""

    def send_failed(self, client: "Any", error: BaseException, seconds: float) -> None:
        """A send has raised, or was cancelled; `error.recipients` says what became of whom."""

    def closed(self, client: "Any") -> None:
        """A connection that was made has ended; its `stats` are complete."""


class ClientStats(Value):
    """What one connection has done.

    Attributes:
        messages: how often a message was handed in, whatever came of it.
        accepted, refused, deferred, unknown: recipients by their verdict.
        octets_in, octets_out: what went over the line, TLS included.
        round_trips: how often commands or content were sent and their replies waited for.
    """

    __slots__ = ("messages", "accepted", "refused", "deferred", "unknown", "octets_in", "octets_out", "round_trips")

    def __init__(
        self,
        *,
        messages: int = 0,
        accepted: int = 0,
        refused: int = 0,
        deferred: int = 0,
        unknown: int = 0,
        octets_in: int = 0,
        octets_out: int = 0,
        round_trips: int = 0,
    ) -> None:
        self.messages = messages
        self.accepted = accepted
        self.refused = refused
        self.deferred = deferred
        self.unknown = unknown
        self.octets_in = octets_in
        self.octets_out = octets_out
        self.round_trips = round_trips

    def __repr__(self) -> str:
        return f"ClientStats({', '.join(f'{name}={getattr(self, name)}' for name in self.__match_args__)})"


class Watch:
    """Tells what happens to one connection.

    Whether the log wants its lines is looked at once, when the connection is made.

    Args:
        observer: an Observer, or None.
        transcript: the caller's, or None.

    Attributes:
        transcript: what the connection records into: the caller's transcript, the log, both, or None.
    """

    __slots__ = ("_counts", "_lives", "_log", "_number", "_observer", "transcript")

    def __init__(self, observer: Observer | None, transcript: Transcript | None) -> None:
        self._observer = observer
        self._counts = dict.fromkeys(Verdict, 0)
        self._number = next(_numbers)
        self._log = _logger()
        self._lives = False
        self.transcript = transcript
        if self._log is not None and self._log.isEnabledFor(_DEBUG):
            lines = Transcript(self._line, keep=False)
            self.transcript = lines if transcript is None else _Both(transcript, lines)

    def stats(self, messages: int, driver: "ClientDriver") -> ClientStats:
        """The numbers so far."""
        by_verdict = {verdict.value: number for verdict, number in self._counts.items()}
        return ClientStats(
            messages=messages,
            octets_in=driver.octets,
            octets_out=driver.octets_out,
            round_trips=driver.round_trips,
            **by_verdict,
        )

    def connected(self, client: "Any", seconds: float) -> None:
        """The connection is ready for messages."""
        self._lives = True
        if self._log is not None and self._log.isEnabledFor(_DEBUG):
            tls = client.tls
            self._write(_DEBUG, "connected to %s, %s", client.url, "in clear" if tls is None else tls.version)
        self._tell(client, "connected", seconds)

    def connect_failed(self, client: "Any", error: BaseException, seconds: float) -> None:
        """The connection did not come about."""
        if self._log is not None:
            self._write(_INFO, "no connection to %s: %s", client.url, _named(error))
        self._tell(client, "connect_failed", error, seconds)

    def sent(self, client: "Any", result: "SendResult", seconds: float) -> None:
        """A send has returned."""
        self._count(result.recipients.values())
        if self._log is not None and self._log.isEnabledFor(_INFO):
            last = list(result.accepted.values())[-1:]
            told = f" ({last[0].reply})" if last else ""
            self._write(_INFO, "sent in %.3f s: %s%s", seconds, _verdicts(result.recipients.values()), told)
        if self._observer is not None:
            self._tell(client, "sent", result, seconds)

    def send_failed(self, client: "Any", error: BaseException, seconds: float) -> None:
        """A send has raised."""
        outcomes = error.recipients.values() if isinstance(error, SMTPError) else ()
        self._count(outcomes)
        if self._log is not None:
            verdicts = f" ({_verdicts(outcomes)})" if outcomes else ""
            self._write(_INFO, "not sent in %.3f s: %s%s", seconds, _named(error), verdicts)
        self._tell(client, "send_failed", error, seconds)

    def closed(self, client: "Any") -> None:
        """The connection has ended; told once, and only if it was made."""
        if self._lives:
            self._lives = False
            if self._log is not None and self._log.isEnabledFor(_DEBUG):
                self._write(_DEBUG, "closed: %r", client.stats)
            self._tell(client, "closed")

    def _count(self, outcomes: "Iterable[Outcome]") -> None:
        counts = self._counts
        for outcome in outcomes:
            counts[outcome.verdict] += 1

    def _tell(self, client: "Any", what: str, *facts: object) -> None:
        if self._observer is not None:
            try:
                getattr(self._observer, what)(client, *facts)
            except Exception:  # the verdict stands, whatever becomes of who is told
                from logging import getLogger

                getLogger("smtpkit.client").exception("#%d: the observer failed at %s()", self._number, what)

    def _line(self, line: str) -> None:
        self._write(_DEBUG, "%s%s", _MARKS.get(line[:3], line[:3]), line[3:])

    def _write(self, level: int, message: str, *facts: object) -> None:
        assert self._log is not None
        self._log.log(level, f"#%d {message}", self._number, *facts)


class _Both(Transcript):
    """Records into two transcripts."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Transcript, second: Transcript) -> None:
        super().__init__()
        self._first = first
        self._second = second

    def command(self, line: bytes) -> None:
        self._first.command(line)
        self._second.command(line)

    def secret(self) -> None:
        self._first.secret()
        self._second.secret()

    def reply(self, octets: bytes, secret: bytes = b"") -> None:
        self._first.reply(octets, secret)
        self._second.reply(octets, secret)

    def content(self, octets: bytes, size: int | None = None) -> None:
        self._first.content(octets, size)
        self._second.content(octets, size)

    def end_of_data(self) -> None:
        self._first.end_of_data()
        self._second.end_of_data()

    def tls(self, version: str) -> None:
        self._first.tls(version)
        self._second.tls(version)

    def flush(self) -> None:
        self._first.flush()
        self._second.flush()


def _logger() -> "Logger | None":
    # Who has not imported logging has not asked it for anything, and need not pay for its import.
    logging = sys.modules.get("logging")
    return logging.getLogger("smtpkit.client") if logging is not None else None


def _verdicts(outcomes: "Iterable[Outcome]") -> str:
    counts: dict[str, int] = {}
    for outcome in outcomes:
        counts[outcome.verdict.value] = counts.get(outcome.verdict.value, 0) + 1
    return ", ".join(f"{number} {verdict}" for verdict, number in counts.items())


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
