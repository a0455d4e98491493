"""SASLprep: one form for user names and passwords that look the same (RFC 4013, on RFC 3454)."""

__all__ = ["saslprep"]

from smtpkit.errors import ParseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def saslprep(text: str, *, stored: bool = False) -> str:
    """Prepare a user name or password.

    Args:
        text: what the user gave.
        stored: True for what a server stores: characters that Unicode 3.2 does not assign are refused too.

    Raises:
        ParseError: it holds what may not be in it, or nothing is left of it.  The text is not shown.
    """
    # The tables change nothing in the common case.
    prepared = text if text.isascii() and text.isprintable() else _prepare(text, stored)
    if not prepared:
        raise ParseError("a user name or password is empty once it is prepared")
    return prepared


def _prepare(text: str, stored: bool) -> str:
    import stringprep as tables
    from unicodedata import ucd_3_2_0

    mapping = {ord(character): " " for character in set(text) if tables.in_table_c12(character)}
    mapping.update((ord(character), "") for character in set(text) if tables.in_table_b1(character))
    prepared = ucd_3_2_0.normalize("NFKC", text.translate(mapping))
    characters = set(prepared)  # each is looked up once: a peer chooses how many there are
    if _any(tables.in_table_d1, characters) and (
        _any(tables.in_table_d2, characters)
        or not (tables.in_table_d1(prepared[0]) and tables.in_table_d1(prepared[-1]))
    ):
        raise ParseError("a user name or password mixes the directions of writing")
    prohibited = [
        tables.in_table_c12,  # spaces other than the ASCII one
        tables.in_table_c21_c22,  # control characters
        tables.in_table_c3,  # private use
        tables.in_table_c4,  # non-characters
        tables.in_table_c5,  # surrogates
        tables.in_table_c6,  # inappropriate for plain text
        tables.in_table_c7,  # inappropriate for canonical representation
        tables.in_table_c8,  # change of display, deprecated
        tables.in_table_c9,  # tagging
    ]
    if stored:
        prohibited.append(tables.in_table_a1)  # unassigned
    if any(_any(table, characters) for table in prohibited):
        raise ParseError("a user name or password holds a character that may not be in one")
    return prepared


def _any(table: "Callable[[str], bool]", characters: set[str]) -> bool:
    return any(map(table, characters))
