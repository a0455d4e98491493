"""Address literals: an IP address in the place of a domain (RFC 5321 section 4.1.3).

`ipaddress` is not the validator: it takes scope ids and a "::" that stands for a single group, which SMTP
refuses, and refuses leading zeros in IPv4, which SMTP takes.
"""

import re

from smtpkit.errors import ParseError

__all__ = ["address_literal", "is_address_literal", "literal_address"]

_TAG = "ipv6:"  # the only registered tag of a General-address-literal
_IPV4 = r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})"
_GROUPS = 8


def is_address_literal(text: str) -> bool:
    """Tell whether `text` is "[192.0.2.1]" or "[IPv6:2001:db8::1]", in any spelling that the grammar allows."""
    if not (text.startswith("[") and text.endswith("]")):
        return False
    if text[1 : 1 + len(_TAG)].lower() == _TAG:
        return _ipv6_groups(text[1 + len(_TAG) : -1]) is not None
    return _ipv4_numbers(text[1:-1]) is not None


def address_literal(host: str) -> str:
    """Make the literal that stands for an IP address, as in an EHLO without a domain.

    Args:
        host: an IPv4 or IPv6 address as text, such as `socket.getsockname()` gives; a scope id is left out,
            since it means nothing to the peer.

    Returns:
        "[192.0.2.1]" or "[IPv6:2001:db8::1]", the address as RFC 5952 writes it.

    Raises:
        ParseError: it is no IP address.
    """
    if (numbers := _ipv4_numbers(host)) is not None:
        return f"[{_ipv4_text(numbers)}]"
    if (groups := _ipv6_groups(host.partition("%")[0])) is not None:
        return f"[IPv6:{_ipv6_text(groups)}]"
    raise ParseError("no IP address", host)


def literal_address(literal: str) -> str:
    """Give the address inside a literal, in canonical form: "fc00::" for "[ipv6:fc00::0]".

    Raises:
        ParseError: it is no address literal.
    """
    if not is_address_literal(literal):
        raise ParseError("no address literal", literal)
    _, tagged, ipv6 = literal[1:-1].partition(":")
    inside = address_literal(ipv6 if tagged else literal[1:-1])
    return inside.removeprefix("[").removeprefix("IPv6:").removesuffix("]")


def _ipv4_numbers(text: str) -> list[int] | None:
    match = re.fullmatch(_IPV4, text)
    if match is None:
        return None
    numbers = [int(digits) for digits in match.groups()]
    return numbers if max(numbers) < 256 else None


def _ipv4_text(numbers: list[int]) -> str:
    return ".".join(map(str, numbers))


def _ipv6_groups(text: str) -> list[int] | None:
    """Read an IPv6-addr to its eight numbers, or None."""
    head, elided, tail = text.partition("::")
    if not elided:
        groups = _hex_groups(text)
        return groups if groups is not None and len(groups) == _GROUPS else None
    before, after = _hex_groups(head, last=False), _hex_groups(tail)
    if before is None or after is None:
        return None
    missing = _GROUPS - len(before) - len(after)
    # SMTP's "::" stands for at least two groups.
    return before + [0] * missing + after if missing >= 2 else None


def _hex_groups(text: str, *, last: bool = True) -> list[int] | None:
    """Read groups between colons; the last may be an IPv4 address if it is the last of the whole."""
    if not text:
        return []
    *front, end = text.split(":", _GROUPS)
    groups: list[int] = []
    if last and "." in end:
        numbers = _ipv4_numbers(end)
        if numbers is None:
            return None
        groups = [numbers[0] << 8 | numbers[1], numbers[2] << 8 | numbers[3]]
    else:
        front.append(end)
    if not all(re.fullmatch(r"[0-9A-Fa-f]{1,4}", group) for group in front):
        return None
    return [int(group, 16) for group in front] + groups


def _ipv6_text(groups: list[int]) -> str:
    """Write an address as RFC 5952 wants it: lower case, the first longest run of zero groups as "::"."""
    if groups[:6] == [0, 0, 0, 0, 0, 0xFFFF]:
        high, low = groups[6:]
        return f"::ffff:{_ipv4_text([high >> 8, high & 255, low >> 8, low & 255])}"
    start = length = run = 0
    for index, group in enumerate(groups):
        run = 0 if group else run + 1
        if run > length:
            start, length = index + 1 - run, run
    words = [f"{group:x}" for group in groups]
    if length < 2:
        return ":".join(words)
    return f"{':'.join(words[:start])}::{':'.join(words[start + length :])}"
