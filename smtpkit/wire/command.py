"""What all commands have in common, and what a command of an application's own must have."""

from smtpkit.errors import ParseError
from smtpkit.wire.strings import check_no_controls
from smtpkit.wire.value import Value

__all__ = ["Command"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar, Self


class Command(Value):
    """What all commands have in common; a command of one's own is a subclass that an `Extension` names.

    Attributes:
        verb: in upper case, as it stands on the wire.
        syntax: what a right line looks like, for HELP and for error messages; ASCII.
    """

    __slots__ = ()
    verb: str
    syntax: "ClassVar[str]" = ""

    @classmethod
    def parse_argument(cls, text: str) -> "Self":
        """Read what follows the verb and a space, "" if nothing does; the inverse of `argument_text()`.

        Raises:
            ParseError: it is not right.  A command of one's own may raise any ValueError.
        """
        if text:
            raise ParseError("an argument where none may be")
        return cls()

    def argument_text(self) -> str:
        """Give what follows the verb and a space; "" if nothing does."""
        return ""

    def __bytes__(self) -> bytes:
        argument = self.argument_text()
        if not argument:
            return f"{self.verb}\r\n".encode()
        check_no_controls(argument)
        return f"{self.verb} {argument}\r\n".encode()
