"""The date-time of RFC 3339 section 5.6, checked as text: HOLDUNTIL and RRVS carry it."""

import re

__all__ = ["is_date_time"]

_DATE_TIME = (
    r"([0-9]{4})-(0[1-9]|1[0-2])-([0-9]{2})[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_date_time(text: str) -> bool:
    """Tell whether `text` is a date-time, of a day that exists; a second may be 60, a fraction has at most 9 digits."""
    match = re.fullmatch(_DATE_TIME, text)
    if match is None:
        return False
    year, month, day = map(int, match.groups())
    leap_day = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 1 <= day <= _DAYS[month - 1] + leap_day
