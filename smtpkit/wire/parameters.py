"""The ESMTP parameters of MAIL and RCPT: one table from keyword to codec (RFC 5321 section 4.1.2).

Values given by a caller are checked by writing and reading them back: what the parser takes is what may be sent.
"""

import re

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.date_times import is_date_time
from smtpkit.wire.parameter_values import (
    DeliverBy,
    MessageTracking,
    OriginalRecipient,
    ValidSince,
    solicitation_keywords,
)
from smtpkit.wire.strings import MOST_OCTETS, SIZE_DIGITS, is_keyword, is_number
from smtpkit.wire.value import Value
from smtpkit.wire.xtext import xtext_decode, xtext_encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["PARAMETERS", "ParameterCodec", "check_parameters", "emit_parameters", "parse_parameters"]

_MAX_PARAMETERS = 32
_VALUE = r"[^\x00- =\x7f\ud800-\udfff]++"


class ParameterCodec(Value):
    """How the value of one parameter is read and written.

    Args:
        keyword: kept in upper case.
        parse: from what stands behind "=" ("" if there is none) to the value; raises ValueError.
        emit: the inverse; "" if the keyword stands alone.

    Raises:
        ParseError: the keyword is not in the grammar of RFC 5321 section 4.1.2.
    """

    __slots__ = ("keyword", "parse", "emit")

    def __init__(self, keyword: str, parse: "Callable[[str], Any]", emit: "Callable[[Any], str]" = str) -> None:
        self.keyword = _upper(keyword)
        self.parse = parse
        self.emit = emit
        _check_keyword(self.keyword)

    @classmethod
    def of_text(cls, keyword: str) -> "ParameterCodec":
        """A parameter whose value is its text, None where it has none."""
        return cls(keyword, _parse_text, _emit_text)

    def guarded(self) -> "ParameterCodec":
        """The same, held to the grammar of a value whatever its functions take; ValueError becomes ParseError."""

        def parse(text: str) -> "Any":
            if text:
                _check_value(text, text)
            try:
                return self.parse(text)
            except ParseError:
                raise
            except ValueError as error:
                raise ParseError(f"bad {self.keyword}", text) from error

        return ParameterCodec(self.keyword, parse, self.emit)


def parse_parameters(verb: str, text: str, codecs: "Mapping[str, ParameterCodec] | None" = None) -> "dict[str, Any]":
    """Read esmtp-param *(SP esmtp-param).

    Args:
        verb: "MAIL" or "RCPT".
        text: what follows the path and its space.
        codecs: the parameters that are known, by keyword; None for those of `PARAMETERS`.

    Returns:
        Upper-case keyword to value, in the order of the wire; for an unknown keyword its text, None where it has none.

    Raises:
        ParseError: 501; 555 for a known parameter of the other command.
    """
    if codecs is None:
        codecs = PARAMETERS[verb]
    values: dict[str, Any] = {}
    for parameter in text.split(" "):
        keyword, equals, value = parameter.partition("=")
        codec = codecs.get(keyword)
        if codec is None:
            keyword = _upper(keyword)
            codec = codecs.get(keyword)
        if keyword in values:
            raise ParseError("parameter given twice", parameter)
        if equals and not value:
            raise ParseError("no value after =", parameter)
        if codec is not None:
            values[keyword] = codec.parse(value)
        elif any(keyword in known for known in PARAMETERS.values()):
            raise ParseError(f"{keyword} is no parameter of {verb}", parameter, code=555)
        else:
            values[keyword] = _unknown(parameter, keyword, value if equals else None)
    if len(values) > 1:
        _check_together(values)
    return values


def emit_parameters(
    verb: str, parameters: "Mapping[str, Any]", codecs: "Mapping[str, ParameterCodec] | None" = None
) -> str:
    """Write parameters with upper-case keywords, a space between them; the arguments are as for `parse_parameters`."""
    if verb == "MAIL" and len(parameters) == 1 and _is_size(size := parameters.get("SIZE")):
        return f"SIZE={size:d}"  # what clients declare most often
    if codecs is None:
        codecs = PARAMETERS[verb]
    written = []
    for keyword, value in parameters.items():
        codec = codecs.get(keyword)
        text = codec.emit(value) if codec is not None else value
        # An unknown parameter whose value is "" gets its "=", and so is refused.
        written.append(f"{keyword}={text}" if text or (codec is None and text is not None) else keyword)
    return " ".join(written)


def check_parameters(
    verb: str, parameters: "Mapping[str, Any]", codecs: "Mapping[str, ParameterCodec] | None" = None
) -> "dict[str, Any]":
    """Give the parameters as they would come back from the wire: keywords in upper case, values in one spelling.

    Args:
        verb: "MAIL" or "RCPT".
        parameters: keyword to value.
        codecs: as for `parse_parameters`.

    Raises:
        ParseError: a keyword or value is none that may be sent.
    """
    if not parameters:
        return {}
    if verb == "MAIL" and len(parameters) == 1 and _is_size(size := parameters.get("SIZE")):
        return {"SIZE": size}  # what clients declare most often is not written and read back
    keywords = [keyword.upper() for keyword in parameters]
    try:
        text = emit_parameters(verb, dict(zip(keywords, parameters.values(), strict=True)), codecs)
    except (TypeError, AttributeError) as error:
        raise ParseError("parameter value of a wrong type", repr(dict(parameters))) from error
    values = parse_parameters(verb, text, codecs)
    if list(values) != keywords:
        raise ParseError("parameter given twice, or hidden in a value", text)
    return values


def _upper(text: str) -> str:
    # str.upper() would also make ASCII letters of U+017F and U+0131.
    return text.upper() if text.isascii() else text


def _unknown(parameter: str, keyword: str, value: str | None) -> str | None:
    _check_keyword(keyword, parameter)
    if value is not None:
        _check_value(value, parameter)
    return value


def _check_keyword(keyword: str, parameter: str = "") -> None:
    if not is_keyword(keyword):
        raise ParseError("bad parameter", parameter or keyword, expected="keyword, then perhaps =value")


def _check_value(value: str, parameter: str) -> None:
    if re.fullmatch(_VALUE, value) is None:
        raise ParseError("bad parameter value", parameter)


def _parse_text(text: str) -> str | None:
    return text or None


def _emit_text(value: str | None) -> str:
    if value == "":
        raise ParseError("no value after =")
    return "" if value is None else value


def _check_together(values: "Mapping[str, Any]") -> None:
    if len(values) > _MAX_PARAMETERS:
        raise ParseError(f"more than {_MAX_PARAMETERS} parameters")
    if "HOLDFOR" in values and "HOLDUNTIL" in values:
        raise ParseError("HOLDFOR and HOLDUNTIL exclude each other")  # RFC 4865 section 5


def _parse_flag(text: str) -> bool:
    if text:
        raise ParseError("a value where none may be", text)
    return True


def _emit_flag(value: bool) -> str:
    return "" if value is True else str(value)


def _parse_size(text: str) -> int:
    if is_number(text, SIZE_DIGITS):
        return int(text)
    raise ParseError("bad SIZE", text, expected=f"1 to {SIZE_DIGITS} digits")


def _is_size(value: "Any") -> bool:
    return type(value) is int and 0 <= value <= MOST_OCTETS


def _one_of(keyword: str, *words: str) -> "Callable[[str], str]":
    table = {word: word for word in words}

    def parse(text: str) -> str:
        word = table.get(text) or table.get(_upper(text))
        if word is None:
            raise ParseError(f"bad {keyword}", text, expected=" or ".join(words))
        return word

    return parse


def _parse_envid(text: str) -> str:
    envid = xtext_decode(text)
    if not (envid.isprintable() and envid.isascii() and 0 < len(text) <= 100):
        raise ParseError("bad ENVID", text, expected="1 to 100 characters of xtext")
    return envid


def _parse_notify(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(_upper(text).split(",")))
    if words == ("NEVER",) or {"SUCCESS", "FAILURE", "DELAY"}.issuperset(words):
        return words
    raise ParseError("bad NOTIFY", text, expected="NEVER, or a list of SUCCESS, FAILURE and DELAY")


def _parse_auth(text: str) -> Mailbox | None:
    address = xtext_decode(text)
    if address == "<>":
        return None
    try:
        return Mailbox.parse(address if "@" in address else "")  # the bare postmaster is no Mailbox of the grammar
    except ParseError as error:
        raise ParseError("bad AUTH", text, expected="a mailbox as xtext, or <>") from error


def _emit_auth(value: Mailbox | None) -> str:
    return "<>" if value is None else xtext_encode(str(value))


def _parse_hold_for(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,8}", text) is None:
        raise ParseError("bad HOLDFOR", text, expected="seconds, 1 to 999999999")
    return int(text)


def _parse_hold_until(text: str) -> str:
    if not is_date_time(text):
        raise ParseError("bad HOLDUNTIL", text, expected="a date-time of RFC 3339")
    return text


def _parse_mt_priority(text: str) -> int:
    if re.fullmatch(r"0|-?[1-9]", text) is None:
        raise ParseError("bad MT-PRIORITY", text, expected="-9 to 9", enhanced="5.5.2")  # RFC 6710 section 4.1
    return int(text)


def _parse_transid(text: str) -> str:
    if re.fullmatch(r"<[!-;?-~]++>", text) is None:
        raise ParseError("bad TRANSID", text, expected="text in angle brackets")
    return text[1:-1]


_KNOWN = {
    "MAIL": (
        ParameterCodec("SIZE", _parse_size),
        ParameterCodec("BODY", _one_of("BODY", "7BIT", "8BITMIME", "BINARYMIME")),
        ParameterCodec("SMTPUTF8", _parse_flag, _emit_flag),
        ParameterCodec("RET", _one_of("RET", "FULL", "HDRS")),
        ParameterCodec("ENVID", _parse_envid, xtext_encode),
        ParameterCodec("AUTH", _parse_auth, _emit_auth),
        ParameterCodec("BY", DeliverBy.parse),
        ParameterCodec("HOLDFOR", _parse_hold_for),
        ParameterCodec("HOLDUNTIL", _parse_hold_until),
        ParameterCodec("MT-PRIORITY", _parse_mt_priority),
        ParameterCodec("REQUIRETLS", _parse_flag, _emit_flag),
        ParameterCodec("MTRK", MessageTracking.parse),
        ParameterCodec("SOLICIT", solicitation_keywords, ",".join),
        ParameterCodec("TRANSID", _parse_transid, "<{}>".format),
        ParameterCodec("CONPERM", _parse_flag, _emit_flag),
    ),
    "RCPT": (
        ParameterCodec("NOTIFY", _parse_notify, ",".join),
        ParameterCodec("ORCPT", OriginalRecipient.parse),
        ParameterCodec("RRVS", ValidSince.parse),
    ),
}
PARAMETERS = {verb: {codec.keyword: codec for codec in codecs} for verb, codecs in _KNOWN.items()}
"""By verb and keyword the parameters of the standards; those of an application are in its `Extension`."""
