"""The options of `smtpkit serve` that bound what clients may do."""

from argparse import ArgumentTypeError

from smtpkit.asyncio import Ledger
from smtpkit.cli.parser import positive, seconds
from smtpkit.protocol.ledger import KINDS
from smtpkit.protocol.limits import Limits

__all__ = ["configure", "ledger", "limits"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from smtpkit.cli.parser import Parser

_WINDOW = 600.0  # seconds
_FAILED_LOGINS = 100

# Limits, by their names, that an option sets: how that is called, its type, and its help.
_OPTIONS = {
    "connections": ("--max-connections", positive, "open at once"),
    "per_address": ("--max-per-address", positive, "open at once from one address"),
    "recipients": ("--max-recipients", positive, "of one message"),
    "commands": ("--max-commands", positive, "between two messages"),
    "errors": ("--max-errors", positive, "in one session"),
    "transactions": ("--max-transactions", positive, "in one session (default: any number)"),
    "idle": ("--idle-timeout", seconds, "seconds of one wait for the client"),
    "total": ("--session-timeout", seconds, "seconds of one session"),
    "minimum_rate": ("--minimum-rate", positive, "octets a second of content, over a minute"),
    "handler": ("--handler-timeout", seconds, "seconds that the handler, or the store, may take"),
}
_OF_ALL = ("connections", "per_address")  # which workers share


def configure(parser: "Parser") -> None:
    """Add the options."""
    group = parser.group("limits")
    usual = Limits()
    for name, (option, kind, text) in _OPTIONS.items():
        default = getattr(usual, name)
        shown = text if default is None else f"{text} (default: {default})"
        metavar = "S" if kind is seconds else "N"
        group.add_argument(option, dest=f"limit_{name}", type=kind, metavar=metavar, help=shown)
    group.add_argument(
        "--rate",
        action="append",
        type=_rate,
        metavar="KIND=N",
        help=f"what may come from one address in --rate-window seconds: {', '.join(KINDS)}; repeatable"
        f" (default: failed_logins={_FAILED_LOGINS})",
    )
    group.add_argument("--rate-window", type=seconds, default=_WINDOW, metavar="S", help="(default: 600)")


def limits(arguments: "Namespace") -> Limits:
    """What is given, and the defaults; of several workers each has its part of the connections."""
    given = {name: getattr(arguments, f"limit_{name}") for name in _OPTIONS}
    found = {name: limit for name, limit in given.items() if limit is not None}
    usual = Limits()
    for name in _OF_ALL:
        of_all = found.get(name, getattr(usual, name))
        found[name] = -(-of_all // arguments.workers)
    return Limits(**found)


def ledger(arguments: "Namespace") -> Ledger:
    """The ledger of one process, or of all workers, whose memory they inherit."""
    rates = {"failed_logins": _FAILED_LOGINS, **dict(arguments.rate or ())}
    workers: int = arguments.workers
    if workers == 1:
        return Ledger(window=arguments.rate_window, **rates)
    from mmap import mmap

    memory = memoryview(mmap(-1, Ledger.size(workers=workers)))
    return Ledger(window=arguments.rate_window, workers=workers, memory=memory, **rates)


def _rate(text: str) -> tuple[str, int]:
    kind, _, number = text.partition("=")
    if kind not in KINDS:
        raise ArgumentTypeError(f"KIND=N is wanted, KIND one of {', '.join(KINDS)}, not {text!r}")
    return kind, positive(number)
