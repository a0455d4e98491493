"""Text from a peer as a terminal may show it: nothing in it moves the cursor or turns the direction of reading."""

__all__ = ["printable"]

# What acts on a terminal rather than being shown: controls, and marks that turn the direction of text.
_CONTROLS = (*range(9), *range(11, 32), *range(127, 160))  # all of C0, DEL and C1 but TAB and LF
_MARKS = (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_ESCAPES = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _CONTROLS + _MARKS}


def printable(text: str) -> str:
    """The text with what acts on a terminal escaped; TAB and LF stay."""
    return text.translate(_ESCAPES)
