"""The words that one side of a session knows: the verbs, the parameters, and what is read behind EHLO keywords."""

from smtpkit.wire.capability_values import READERS
from smtpkit.wire.extension_commands import COMMANDS
from smtpkit.wire.parameters import PARAMETERS

__all__ = ["STANDARD", "Dialect"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from smtpkit.wire.command import Command
    from smtpkit.wire.parameters import ParameterCodec

    Reader = Callable[[tuple[str, ...]], Any]


class Dialect:
    """The standards' words, and those that extensions of one's own add; what the standards define cannot be changed.

    Args:
        commands: by verb the types of the commands that are added.
        mail, rcpt: by keyword the parameters that are added.
        readers: by EHLO keyword what makes a value of the words behind it.
    """

    __slots__ = ("commands", "mail", "rcpt", "readers")

    def __init__(
        self,
        *,
        commands: "Mapping[str, type[Command]]" = {},  # noqa: B006
        mail: "Mapping[str, ParameterCodec]" = {},  # noqa: B006
        rcpt: "Mapping[str, ParameterCodec]" = {},  # noqa: B006
        readers: "Mapping[str, Reader]" = {},  # noqa: B006
    ) -> None:
        # What stands here is looked up whole, so that what is added costs the rest nothing.
        self.commands = {**commands, **COMMANDS}
        self.mail = {**mail, **PARAMETERS["MAIL"]}
        self.rcpt = {**rcpt, **PARAMETERS["RCPT"]}
        self.readers = {**readers, **READERS}

    def __repr__(self) -> str:
        words = [
            word
            for own, known in (
                (self.commands, COMMANDS),
                (self.mail, PARAMETERS["MAIL"]),
                (self.rcpt, PARAMETERS["RCPT"]),
            )
            for word in own
            if word not in known
        ]
        return f"<Dialect of {', '.join(['the standards', *words])}>"


STANDARD = Dialect()
"""What the standards define, and nothing else."""
