"""Whom a client logs in as."""

from smtpkit.wire.value import Value

__all__ = ["Credentials"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Secret = str | Callable[[], Any]


class Credentials(Value):
    """A user name and a secret.

    Args:
        username: str, or a callable that gives it when it is needed.
        password: str or callable, or None.
        token: an OAuth bearer token, str or callable; under asyncio a coroutine function will do.
        authzid: whom to act for, "" for the user.
    """

    __slots__ = ("authzid", "password", "token", "username")

    def __init__(
        self,
        username: "Secret",
        password: "Secret | None" = None,
        *,
        token: "Secret | None" = None,
        authzid: "Secret" = "",
    ) -> None:
        self.username = username
        self.password = password
        self.token = token
        self.authzid = authzid

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, <hidden>)"
