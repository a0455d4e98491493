"""Who may log in to a server, by which mechanisms, and whether one must."""

from smtpkit.sasl.questions import FetchSecret, VerifyToken
from smtpkit.wire.value import Value

__all__ = ["AuthPolicy"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    Verify = Mapping[str, Any] | Callable[[Any], Any]

_PLAINTEXT = ("PLAIN", "LOGIN")
_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-1")


class AuthPolicy(Value):
    """A server's rules for AUTH (RFC 4954).

    Args:
        verify: a mapping of user name to password or ScramKeys, or a callable that takes a question
            (VerifyPassword, FetchSecret or VerifyToken) and returns True, a secret, or None or False; under
            asyncio it may be a coroutine function.  None leaves the questions to the session's `on_login`.
        required: whether mail is refused with 530 before login.
        allow_in_clear: whether AUTH is offered without TLS; otherwise there is no AUTH keyword then.
        mechanisms: names in the order of the EHLO keyword; None for PLAIN and LOGIN, and before them, where
            `verify` is a mapping, those of SCRAM-SHA-256 and SCRAM-SHA-1 that all its secrets are good for.
        attempts: failed logins that are answered 535; the next one gets 421 (at least 3: RFC 4954 section 9).

    Raises:
        ValueError: there is no mechanism of such a name, or no mechanism or attempt at all.
    """

    __slots__ = ("verify", "required", "allow_in_clear", "mechanisms", "attempts", "_decoy")

    def __init__(
        self,
        verify: "Verify | None" = None,
        *,
        required: bool = True,
        allow_in_clear: bool = False,
        mechanisms: "Iterable[str] | None" = None,
        attempts: int = 3,
    ) -> None:
        secrets = () if verify is None or callable(verify) else tuple(map(_read, verify.values()))
        if mechanisms is None:
            scram = () if verify is None or callable(verify) else _SCRAM
            fitting = (name for name in scram if all(getattr(secret, "mechanism", name) == name for secret in secrets))
            mechanisms = (*fitting, *_PLAINTEXT)
        self.verify = verify
        self.required = required
        self.allow_in_clear = allow_in_clear
        self.mechanisms = _known(mechanisms)
        self.attempts = attempts
        self._decoy = next((secret for secret in secrets if hasattr(secret, "verify")), None)
        if attempts < 1:
            raise ValueError(f"attempts must be 1 or more, not {attempts}")

    def __repr__(self) -> str:
        return f"AuthPolicy(<verify>, required={self.required}, mechanisms={self.mechanisms})"

    def offered(self, *, tls: bool) -> tuple[str, ...]:
        """The mechanisms that may be used with or without TLS."""
        if tls:
            return self.mechanisms
        # There is nothing to bind to in clear (RFC 5802 section 6).
        return tuple(name for name in self.mechanisms if not name.endswith("-PLUS")) if self.allow_in_clear else ()

    def answer(self, question: "Any") -> "Any":
        """The answer to a question of SASL: True, a secret, or a refusal; an awaitable if `verify` gives one.

        An identity to act for other than the user's own (authzid) is refused by a mapping.
        """
        if self.verify is None:
            return None
        if callable(self.verify):
            return self.verify(question)
        if isinstance(question, VerifyToken):
            return False  # it knows no tokens
        secret = _read(self.verify.get(question.username))
        if isinstance(question, FetchSecret):
            return secret
        if question.authzid not in ("", question.username):
            return False
        # An unknown user costs what a known one with a wrong password does.
        known: Any = self._decoy if secret is None else secret
        right = known.verify(question.password) if hasattr(known, "verify") else _same(question.password, known)
        return right and secret is not None


def _read(secret: "Any") -> "Any":
    # SCRAM keys may be held as the text that str() gives: whoever got hold of it must not be able to log in with it.
    if isinstance(secret, str) and secret.startswith("SCRAM-") and "$" in secret:
        from smtpkit.sasl.scram_keys import ScramKeys

        return ScramKeys.parse(secret)
    return secret


def _known(names: "Iterable[str]") -> tuple[str, ...]:
    known = tuple(name.upper() for name in names)
    if not known:
        raise ValueError("a server that asks for login offers a mechanism")
    from smtpkit.sasl.registry import server_mechanism

    for name in known:
        server_mechanism(name)  # raises ParseError, which is a ValueError
    return known


def _same(given: str, wanted: "str | bytes | None") -> bool:
    from _operator import _compare_digest  # what hmac.compare_digest is, without hashlib

    expected = wanted.encode(errors="surrogateescape") if isinstance(wanted, str) else wanted
    return _compare_digest(given.encode(), expected or b"")
