"""Enhanced status codes: the three numbers that say more than a reply code does (RFC 2034, RFC 3463)."""

from smtpkit.errors import ParseError
from smtpkit.wire.strings import is_number
from smtpkit.wire.value import Value

__all__ = ["EnhancedStatus", "leading_status"]

_LONGEST = 9  # octets of "5.999.999"
_CACHED = 512  # codes held; the registry has 80 for each class
_GRAMMAR = '("2" / "4" / "5") "." 1*3DIGIT "." 1*3DIGIT, without leading zeros'

_by_text: "dict[str, EnhancedStatus]" = {}


class EnhancedStatus(Value):
    """An enhanced status code such as 5.1.1.

    Args:
        status_class: 2 success, 4 persistent transient failure, 5 permanent failure.
        subject: what the status is about, 0 to 999 (1 address, 2 mailbox, 3 mail system, 4 network, 5 protocol,
            6 content, 7 security or policy).
        detail: 0 to 999; codes are open-ended, and unknown ones are legal (RFC 3463 section 2).

    Raises:
        ParseError: a number is out of its range.
    """

    __slots__ = ("status_class", "subject", "detail", "_text")

    def __init__(self, status_class: int, subject: int, detail: int) -> None:
        text = f"{status_class}.{subject}.{detail}"
        if status_class not in (2, 4, 5) or not 0 <= subject <= 999 or not 0 <= detail <= 999:
            raise ParseError("not an enhanced status code", text, expected=_GRAMMAR)
        self.status_class = status_class
        self.subject = subject
        self.detail = detail
        self._text = text

    @classmethod
    def parse(cls, text: str) -> "EnhancedStatus":
        """The code that a text is (RFC 2034 section 4): no leading zeros, nothing around it.

        Raises:
            ParseError: it is none.
        """
        status = _by_text.get(text)
        if status is None:
            status = _read(text)
            if status is None:
                raise ParseError("not an enhanced status code", text, expected=_GRAMMAR)
        return status

    def __str__(self) -> str:
        return self._text

    # Each code has one text, so that comparing texts is enough, and takes a tenth of the time.

    def __eq__(self, other: object) -> bool:
        if type(other) is not EnhancedStatus:
            return NotImplemented
        return self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def leading_status(text: str, status_class: int) -> EnhancedStatus | None:
    """The enhanced status code at the beginning of a reply's text.

    Returns:
        None if there is none, if neither SP nor the end of the text follows it, or if it is of another class:
        then the digits are text, as in "2.1 km away" (RFC 2034 section 4).
    """
    head = text.partition(" ")[0]
    status = _by_text.get(head)
    if status is None:
        if head[1:2] != ".":
            return None
        status = _read(head)
    return status if status is not None and status.status_class == status_class else None


def _read(text: str) -> EnhancedStatus | None:
    if len(text) > _LONGEST or not text.isascii():
        return None
    numbers = text.split(".")
    if len(numbers) != 3 or numbers[0] not in ("2", "4", "5") or not all(map(_is_number, numbers)):
        return None
    status = EnhancedStatus(int(numbers[0]), int(numbers[1]), int(numbers[2]))
    if len(_by_text) >= _CACHED:
        _by_text.clear()
    _by_text[text] = status
    return status


def _is_number(digits: str) -> bool:
    return is_number(digits, 3) and (digits[0] != "0" or digits == "0")
