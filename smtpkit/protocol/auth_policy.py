"""Who may log in to a server, by which mechanisms, and whether one must."""

from smtpkit.sasl.questions import VerifyPassword
from smtpkit.wire.value import Value

__all__ = ["AuthPolicy"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    Verify = Mapping[str, Any] | Callable[[Any], Any]

_PLAINTEXT = ("PLAIN", "LOGIN")


class AuthPolicy(Value):
    """A server's rules for AUTH (RFC 4954).

    Args:
        verify: a mapping of user name to password, or a callable that takes a question (VerifyPassword,
            FetchSecret or VerifyToken) and returns True, a secret, or None or False; under asyncio it may
            be a coroutine function.  None leaves the questions to the session's `on_login`.
        required: whether mail is refused with 530 before login.
        allow_in_clear: whether AUTH is offered without TLS; otherwise there is no AUTH keyword then.
        mechanisms: names in the order of the EHLO keyword; None for PLAIN and LOGIN.
        attempts: failed logins that are answered 535; the next one gets 421 (at least 3: RFC 4954 section 9).
    """

    __slots__ = ("allow_in_clear", "attempts", "mechanisms", "required", "verify")

    def __init__(
        self,
        verify: "Verify | None" = None,
        *,
        required: bool = True,
        allow_in_clear: bool = False,
        mechanisms: "Iterable[str] | None" = None,
        attempts: int = 3,
    ) -> None:
        self.verify = verify
        self.required = required
        self.allow_in_clear = allow_in_clear
        self.mechanisms = tuple(mechanisms) if mechanisms is not None else _PLAINTEXT
        self.attempts = attempts

    def __repr__(self) -> str:
        return f"AuthPolicy(<verify>, required={self.required}, mechanisms={self.mechanisms})"

    def offered(self, *, tls: bool) -> tuple[str, ...]:
        """The mechanisms that may be used with or without TLS."""
        return self.mechanisms if tls or self.allow_in_clear else ()

    def answer(self, question: "Any") -> "Any":
        """The answer to a question of SASL: True, a secret, or a refusal; an awaitable if `verify` gives one.

        An identity to act for other than the user's own (authzid) is refused by a mapping.
        """
        if self.verify is None:
            return None
        if callable(self.verify):
            return self.verify(question)
        secret = self.verify.get(question.username)
        if not isinstance(question, VerifyPassword):
            return secret
        if question.authzid not in ("", question.username):
            return False
        return _same(question.password, secret)


def _same(given: str, wanted: "str | bytes | None") -> bool:
    from _operator import _compare_digest  # what hmac.compare_digest is, without hashlib

    # An unknown user costs the same comparison as a known one with a wrong password.
    expected = wanted.encode() if isinstance(wanted, str) else wanted
    return _compare_digest(given.encode(), expected or b"") and expected is not None
