"""The date-time of RFC 3339 section 5.6, checked and compared as text: HOLDUNTIL and RRVS carry it."""

import re

__all__ = ["instant", "is_date_time"]

_DATE_TIME = (
    r"([0-9]{4})-(0[1-9]|1[0-2])-([0-9]{2})[Tt]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_date_time(text: str) -> bool:
    """Tell whether `text` is a date-time, of a day that exists; a second may be 60, a fraction has at most 9 digits."""
    match = re.fullmatch(_DATE_TIME, text)
    if match is None:
        return False
    year, month, day = map(int, match.groups()[:3])
    leap_day = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 1 <= day <= _DAYS[month - 1] + leap_day


def instant(text: str) -> int:
    """The seconds at which a date-time lies, from a fixed but meaningless beginning; a fraction is left out.

    Raises:
        ValueError: it is no date-time.
    """
    match = re.fullmatch(_DATE_TIME, text)
    if match is None or not is_date_time(text):
        raise ValueError(f"{text!r} is no date-time of RFC 3339")
    sign = match[7]
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    ahead = (int(match[8]) * 60 + int(match[9])) * (-60 if sign == "-" else 60) if sign else 0
    # Years that begin in March end with the day that some of them lack.
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    days = year * 365 + year // 4 - year // 100 + year // 400 + (month * 153 + 2) // 5 + day
    return ((days * 24 + hour) * 60 + minute) * 60 + second - ahead
