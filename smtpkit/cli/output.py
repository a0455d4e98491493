"""Lines on standard output and standard error, which nobody may be reading any more."""

import os
import sys
from io import TextIOWrapper

__all__ = ["complain", "hand_lines_to", "one_line", "say", "settle", "show"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_take: "Callable[[str], object] | None" = None  # has lines for standard error written


def say(line: str) -> None:
    """One line on standard output, at once."""
    _write(sys.stdout, _shown(line))


def show(line: str) -> None:
    """One line of a transcript or a log on standard error, at once unless somebody else writes them."""
    if _take is not None:
        _take(_shown(line))
    else:
        _write(sys.stderr, _shown(line))


def complain(problem: object) -> None:
    """One line on standard error that says what went wrong, whatever the text of it is."""
    show(f"smtpkit: {one_line(problem)}")


def hand_lines_to(take: "Callable[[str], object] | None") -> "Callable[[str], object] | None":
    """From now on lines for standard error are somebody's to write; None: they are written at once again.

    Returns:
        Who had them so far, or None.
    """
    global _take
    before, _take = _take, take
    return before


def one_line(problem: object) -> str:
    """What went wrong, without line breaks; never empty."""
    if isinstance(problem, OSError) and problem.strerror:
        # What str() adds is the number, and the quotes around the name.
        problem = f"{problem.filename}: {problem.strerror}" if problem.filename is not None else problem.strerror
    return " ".join(str(problem).split()) or type(problem).__name__


def settle() -> None:
    """Make the two streams take any text, and write what they hold."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _flush(stream)  # first, since reconfigure() writes too
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _shown(line: str) -> str:
    # What a server says is in it, and must not move the cursor or change the title of a terminal.
    return line if line.isprintable() else "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)


def _write(stream: "TextIO | None", line: str) -> None:
    if stream is not None:
        try:
            stream.write(line + "\n")
        except BrokenPipeError:
            _abandon(stream)
        _flush(stream)


def _flush(stream: "TextIO") -> None:
    try:
        stream.flush()
    except BrokenPipeError:
        _abandon(stream)


def _abandon(stream: "TextIO") -> None:
    # Whoever read it has gone (`| head`): that is no failure of the command, and Python shall not complain at exit.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
