"""The argument parser of every command: argparse, with its errors in one line."""

from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter

from smtpkit.cli.output import complain

__all__ = ["Group", "Option", "Parser", "permissions", "port", "positive", "seconds"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Action
    from typing import Any, NoReturn

_USAGE = 2
_HIGHEST_PORT = 65535
_ALL_PERMISSIONS = 0o777


class Option:
    """What else but argparse has to know of an option.

    Args:
        names: all of them, with their dashes.
        action: as argparse names it.
    """

    __slots__ = ("is_repeatable", "is_switch", "names")

    def __init__(self, names: tuple[str, ...], action: str) -> None:
        self.names = names
        self.is_switch = action == "store_true"
        self.is_repeatable = action == "append"


class Group:
    """Options under one heading, or of which one excludes the others.

    Args:
        container: the group, as argparse has it.
        options: of the parser, where those of the group are kept too.
    """

    def __init__(self, container: "Any", options: dict[str, Option]) -> None:
        self._container = container
        self._options = options

    def add_argument(self, *names: str, **how: "Any") -> None:
        """Add an option; the arguments are argparse's."""
        self._container.add_argument(*names, **how)
        self._options.update(dict.fromkeys(names, Option(names, how.get("action", "store"))))

    def exclusive(self) -> "Group":
        """A group within this one, of whose options one may be given."""
        return Group(self._container.add_mutually_exclusive_group(), self._options)


class Parser(ArgumentParser):
    """As argparse's, but it takes no abbreviations and says what is wrong in one line.

    Args:
        prog: "smtpkit" and the command.
        description, epilog: what --help shows before and after the options, with its line breaks.

    Attributes:
        options: each Option by each of its names.
    """

    def __init__(self, *, prog: str, description: str, epilog: str) -> None:
        self.options: dict[str, Option] = {}
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def add_argument(self, *names: str, **how: "Any") -> "Action":
        """Add an option or an argument, as argparse does."""
        self.options.update(dict.fromkeys(names, Option(names, how.get("action", "store"))))
        return super().add_argument(*names, **how)

    def group(self, title: str) -> Group:
        """Options under a heading of their own."""
        return Group(self.add_argument_group(title), self.options)

    def error(self, message: str) -> "NoReturn":
        """Say what is wrong, and exit with status 2."""
        complain(f"{message} (see {self.prog} --help)")
        self.exit(_USAGE)


def port(text: str) -> int:
    """A TCP port; 0 is one of them."""
    if not (text.isascii() and text.isdecimal() and int(text) <= _HIGHEST_PORT):
        raise ArgumentTypeError(f"a port is a number up to {_HIGHEST_PORT}, not {text!r}")
    return int(text)


def permissions(text: str) -> int:
    """Permissions of a file, in octal."""
    if not (text.isascii() and text.isdecimal() and set(text) <= set("01234567") and int(text, 8) <= _ALL_PERMISSIONS):
        raise ArgumentTypeError(f"permissions are octal digits such as 660, not {text!r}")
    return int(text, 8)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise ArgumentTypeError(f"a whole number above 0 is wanted, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """A duration above 0."""
    try:
        duration = float(text)
    except ValueError:
        duration = 0.0
    if not 0 < duration < float("inf"):
        raise ArgumentTypeError(f"seconds above 0 are wanted, not {text!r}")
    return duration
