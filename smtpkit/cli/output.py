"""Lines on standard output and standard error, which nobody may be reading any more."""

import os
import sys
from io import TextIOWrapper

__all__ = ["complain", "one_line", "say", "settle", "show"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def say(line: str) -> None:
    """One line on standard output, at once."""
    _write(sys.stdout, line)


def show(line: str) -> None:
    """One line of a transcript on standard error, at once."""
    _write(sys.stderr, line)


def complain(problem: object) -> None:
    """One line on standard error that says what went wrong, whatever the text of it is."""
    _write(sys.stderr, f"smtpkit: {one_line(problem)}")


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


def _write(stream: "TextIO | None", line: str) -> None:
    if stream is not None:
        try:
            stream.write(_shown(line) + "\n")
        except BrokenPipeError:
            _abandon(stream)
        _flush(stream)


def _shown(line: str) -> str:
    # What a server says is in it, and must not move the cursor or change the title of a terminal.
    return line if line.isprintable() else "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)


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
