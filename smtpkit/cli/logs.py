"""What `smtpkit serve` says while it runs: log lines for people or as JSON, and transcripts of sessions."""

import logging

from smtpkit.cli.output import complain, one_line, show
from smtpkit.protocol.transcript import Transcript

__all__ = ["LEVELS", "Sessions", "configure", "set_up"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from smtpkit.cli.parser import Parser

LEVELS = ("debug", "info", "warning", "error")


def configure(parser: "Parser") -> None:
    """Add the options."""
    group = parser.group("what it says on standard error")
    group.add_argument(
        "--log-level",
        choices=LEVELS,
        default="warning",
        help="info: a line for each message; debug: connections too (default: warning)",
    )
    group.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="for people, or one object a line"
    )
    group.add_argument("--verbose", action="store_true", help="show every session")


def set_up(arguments: "Namespace") -> None:
    """Have the log say what is wanted."""
    logger = logging.getLogger()
    for handler in logger.handlers[:]:
        if isinstance(handler, _Lines | _Objects):
            logger.removeHandler(handler)
    logger.addHandler(_Objects() if arguments.log_format == "json" else _Lines())
    logging.getLogger("smtpkit").setLevel(arguments.log_level.upper())


class _Lines(logging.Handler):
    """Lines for people: what went wrong as the other commands say it, the rest with the time."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        text = f"{record.getMessage()}: {one_line(error)}" if error is not None else record.getMessage()
        if record.levelno >= logging.WARNING:
            complain(text)
        else:
            facts = getattr(record, "facts", {})
            peer = f" peer={facts['peer']}" if facts.get("event", "connect") != "connect" else ""
            session, _, rest = text.partition(" ")
            show(f"{_time(record)} {session}{peer} {rest}")


class _Objects(logging.Handler):
    """One JSON object for each record, with the facts that the server attaches to it."""

    def emit(self, record: logging.LogRecord) -> None:
        from json import dumps

        said: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            said["error"] = f"{record.exc_info[0].__name__}: {record.exc_info[1]}"
        show(dumps(said, default=str).replace("\x7f", "\\u007f"))  # all else that does not print, dumps() has escaped


def _time(record: logging.LogRecord) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Sessions:
    """Numbers the sessions, so that lines of one can be told from those of another."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._count = 0

    def transcript(self) -> Transcript:
        """What shows the next session."""
        self._count += 1
        number = f"{self._prefix}{self._count}"
        return Transcript(lambda line: show(f"[{number}] {line}"), keep=False)
