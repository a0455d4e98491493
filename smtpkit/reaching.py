"""Which addresses of a host are tried, in which order, and words for when none of them answers (RFC 8305)."""

import errno
import os
import socket

__all__ = ["ATTEMPT_DELAY", "Address", "given_as_number", "order", "too_late", "unreachable"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, TypeAlias

Address: "TypeAlias" = "tuple[int, Any]"  # family, and what connect() takes

ATTEMPT_DELAY = 0.25  # seconds until the next address is tried beside those before it (RFC 8305 section 5)


def given_as_number(host: str, port: int) -> "list[Address] | None":
    """The address if `host` is one, so that nothing has to be looked up; else None."""
    try:
        # As bytes, or it would be taken through IDNA first.
        given = host.encode("ascii") if host.isascii() else host
        found = socket.getaddrinfo(given, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return [(family, address) for family, _, _, _, address in found]


def order(found: "Iterable[Any]", local_address: "tuple[str, int] | None" = None) -> "list[Address]":
    """The addresses of a host in the order in which they are tried: families in turn (RFC 8305 section 4).

    Args:
        found: what `getaddrinfo` gave; which family comes first is its decision.
        local_address: where the connection is to come from; addresses of another family are left out.
    """
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    if local_address is not None:
        wanted = socket.AF_INET6 if ":" in local_address[0] else socket.AF_INET
        addresses = [each for each in addresses if each[0] == wanted]
    by_family: dict[int, list[Address]] = {}
    for each in addresses:
        by_family.setdefault(each[0], []).append(each)
    families = list(by_family.values())
    longest = max(map(len, families), default=0)
    return [family[place] for place in range(longest) for family in families if place < len(family)]


def unreachable(failures: "Sequence[tuple[Address, OSError]]") -> OSError:
    """The error that says what became of each address."""
    if not failures:
        return OSError(errno.EHOSTUNREACH, "the name has no address that can be used")
    (_, last) = failures[-1]
    if len(failures) == 1:
        return OSError(last.errno, _reason(last))
    words = (f"{address[0]} ({_reason(error)})" for (_, address), error in failures)
    return OSError(last.errno, f"none of its addresses answered: {', '.join(words)}")


def too_late(tried: "Iterable[Address]") -> TimeoutError:
    """The error that says which addresses were still silent when time was up."""
    silent = ", ".join(str(address[0]) for _, address in tried)
    return TimeoutError(f"{silent} did not answer in time" if silent else "the name was not found in time")


def _reason(error: OSError) -> str:
    # asyncio has words of its own, which say that it failed and not why.
    return os.strerror(error.errno) if error.errno else error.strerror or str(error)
