"""What stands behind an EHLO keyword, as a value: one reader for each keyword whose parameters have a meaning."""

from smtpkit.errors import ParseError
from smtpkit.wire.date_times import is_date_time
from smtpkit.wire.parameter_values import solicitation_keywords
from smtpkit.wire.strings import SIZE_DIGITS, is_number
from smtpkit.wire.value import Value

__all__ = ["READERS", "HoldLimits"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_LIMITS = frozenset({"MAILMAX", "RCPTMAX", "RCPTDOMAINMAX"})  # RFC 9422 section 4
_LIMIT_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class HoldLimits(Value):
    """The value of FUTURERELEASE (RFC 4865 section 4): how far in the future a server takes messages for.

    Args:
        seconds: the greatest HOLDFOR.
        until: the latest HOLDUNTIL, as RFC 3339 writes it.

    Raises:
        ParseError: either is not in the grammar.
    """

    __slots__ = ("seconds", "until")
    seconds: int
    until: str

    def __init__(self, seconds: int, until: str) -> None:
        self.seconds = seconds
        self.until = until
        if not 0 < seconds < 1_000_000_000 or not is_date_time(until):
            raise ParseError(
                "bad FUTURERELEASE", f"{seconds} {until}", expected="seconds, then a date-time of RFC 3339"
            )


def _read_size(words: tuple[str, ...]) -> int | None:
    # 0 says that there is no fixed limit; None that nothing is known, as of more digits than MAIL could declare: here
    # RFC 1870 section 3 has no bound on them.
    digits = words[0] if words else ""
    return int(digits) if is_number(digits, SIZE_DIGITS) else None


def _read_names(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([name.upper() for name in words]))


def _read_limits(words: tuple[str, ...]) -> dict[str, int]:
    # A wrong value is left out, a parameter that has not the form of one leaves all out (RFC 9422 section 3).
    limits: dict[str, int] = {}
    for parameter in words:
        name, equals, value = parameter.partition("=")
        if not (name and _LIMIT_NAME.issuperset(name)) or not _is_limit_value(value if equals else "-"):
            return {}
        name = name.upper()
        if name in _LIMITS and is_number(value, 6) and value[0] != "0":
            limits[name] = min(int(value), limits.get(name, int(value)))
    return limits


def _is_limit_value(value: str) -> bool:
    return value.isascii() and value.isprintable() and value != "" and " " not in value and ";" not in value


def _read_deliver_by(words: tuple[str, ...]) -> int | None:
    # The least by-time of mode R; None where none is stated (RFC 2852 section 3).
    least = words[0].partition(",")[0] if words else ""
    if not least:
        return None
    if not is_number(least, 9):
        raise ParseError("bad DELIVERBY", " ".join(words), expected="seconds, at most nine digits")
    return int(least)


def _read_hold_limits(words: tuple[str, ...]) -> HoldLimits:
    if len(words) != 2 or not is_number(words[0], 9):
        raise ParseError("bad FUTURERELEASE", " ".join(words), expected="seconds, then a date-time of RFC 3339")
    return HoldLimits(int(words[0]), words[1])


def _read_profile(words: tuple[str, ...]) -> str | None:
    # The name of a priority assignment policy (RFC 6710 section 3).
    return words[0] if words else None


def _read_solicitation(words: tuple[str, ...]) -> tuple[str, ...]:
    # Keywords that the server will not take, for all of its recipients (RFC 3865 section 2.2).
    return solicitation_keywords(",".join(words), "NO-SOLICITING") if words else ()


READERS: "dict[str, Callable[[tuple[str, ...]], Any]]" = {
    "SIZE": _read_size,
    "AUTH": _read_names,
    "LIMITS": _read_limits,
    "DELIVERBY": _read_deliver_by,
    "FUTURERELEASE": _read_hold_limits,
    "MT-PRIORITY": _read_profile,
    "NO-SOLICITING": _read_solicitation,
    "XCLIENT": _read_names,
    "XFORWARD": _read_names,
}
"""By upper-case EHLO keyword what makes a value of the words behind it; ValueError where they make none."""
