"""Whom a client logs in as."""

from smtpkit.wire.value import Value

__all__ = ["Credentials"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from smtpkit.sasl.mechanism import Mechanism

    Text = str | Callable[[], Any]
    Password = str | bytes | Callable[[], Any]


class Credentials(Value):
    """A user name and a secret.

    Each but `mechanisms` may be a callable that gives the value when it is needed; with `smtpkit.asyncio` it may be a
    coroutine function.

    Args:
        username: "" for EXTERNAL, where the TLS client certificate tells.
        password: str, written as UTF-8 (SCRAM prepares it by SASLprep), or bytes, sent as they are; or None.
        token: an OAuth bearer token.  A callable is asked at each login, and once more if the server refuses the token.
        authzid: whom to act for, "" for the user.
        fresh_token: a callable that is asked in place of `token` after a refusal, where that gives cached ones.
        mechanisms: the only ones to use: names, or classes of your own (`smtpkit.sasl.Mechanism`), which come first.
            None for the best that needs a password or a token; EXTERNAL and ANONYMOUS are used if named here.

    Raises:
        ParseError: there is no mechanism of such a name.
    """

    __slots__ = ("username", "password", "token", "authzid", "fresh_token", "mechanisms")

    def __init__(
        self,
        username: "Text" = "",
        password: "Password | None" = None,
        *,
        token: "Text | None" = None,
        authzid: "Text" = "",
        fresh_token: "Callable[[], Any] | None" = None,
        mechanisms: "Iterable[str | type[Mechanism]] | None" = None,
    ) -> None:
        self.username = username
        self.password = password
        self.token = token
        self.authzid = authzid
        self.fresh_token = fresh_token
        self.mechanisms = None if mechanisms is None else _known(mechanisms)

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, <hidden>)"


def _known(mechanisms: "Iterable[str | type[Mechanism]]") -> "tuple[str | type[Mechanism], ...]":
    from smtpkit.sasl.registry import mechanism

    listed = [mechanisms] if isinstance(mechanisms, str) else mechanisms
    return tuple(mechanism(each).name if isinstance(each, str) else mechanism(each) for each in listed)
