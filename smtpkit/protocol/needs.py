"""What a driver needs of its adapter, and what an exchange wants of its driver."""

import enum

from smtpkit.wire.value import Value

__all__ = [
    "CHUNK",
    "CLOSE",
    "DONE",
    "NEXT_CHUNK",
    "READ",
    "REWIND",
    "UPGRADE",
    "WRITE",
    "Call",
    "Expect",
    "Need",
    "Want",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, Literal, TypeAlias

    from smtpkit.protocol.events import AuthResponse, BodyChunk
    from smtpkit.wire.command import Command

    Wanted: TypeAlias = "tuple[Command | BodyChunk | AuthResponse, ...] | Expect | Want | Call"  # of an exchange


class Need(enum.Enum):
    """What `driver.next()` gives, besides calls of the user's code."""

    READ = "read"  # write what take() gives, then wait until octets have come
    WRITE = "write"  # write what take() gives, take in what has come if nothing is unread, come again
    CLOSE = "close"  # write what take() gives, and close the transport
    CHUNK = "chunk"  # the next piece of the user's body; come again with it, None at its end
    DONE = "done"  # the exchange, or the body, is over

    def __repr__(self) -> str:
        return self.name


class Want(enum.Enum):
    """What an exchange yields besides commands."""

    NEXT_CHUNK = "next chunk"  # resumed with octets of the user's body, None at its end
    REWIND = "rewind"  # the next chunk of a body held in memory is its first again
    UPGRADE = "upgrade"  # resumed once TLS is up


READ: "Final[Literal[Need.READ]]" = Need.READ
WRITE: "Final[Literal[Need.WRITE]]" = Need.WRITE
CLOSE: "Final[Literal[Need.CLOSE]]" = Need.CLOSE
CHUNK: "Final[Literal[Need.CHUNK]]" = Need.CHUNK
DONE: "Final[Literal[Need.DONE]]" = Need.DONE
NEXT_CHUNK: "Final[Literal[Want.NEXT_CHUNK]]" = Want.NEXT_CHUNK
REWIND: "Final[Literal[Want.REWIND]]" = Want.REWIND
UPGRADE: "Final[Literal[Want.UPGRADE]]" = Want.UPGRADE


class Expect(Value):
    """An exchange waits for this many replies that no command of its own asked for (the greeting)."""

    __slots__ = ("replies",)

    def __init__(self, replies: int) -> None:
        self.replies = replies


class Call(Value):
    """The user's function is to be called, and awaited where it is a coroutine function.

    A client's exchange yields it for a token (`name` is ""); a server's driver gives it for each hook.

    Attributes:
        name: the hook.
        function: what is called, or None to take `name` from the session.
        argument: what is passed, or None for nothing.
    """

    __slots__ = ("argument", "function", "name")

    def __init__(self, name: str, argument: "Any" = None, function: "Callable[..., Any] | None" = None) -> None:
        self.name = name
        self.argument = argument
        self.function = function
