"""Who may log in to a server, by which mechanisms, and whether one must."""

from smtpkit.sasl.facts import ITERATIONS
from smtpkit.sasl.questions import VerifyToken
from smtpkit.wire.value import Value

__all__ = ["AuthPolicy"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from smtpkit.protocol.tls_facts import TLSFacts
    from smtpkit.sasl.mechanism import Mechanism
    from smtpkit.sasl.questions import Question
    from smtpkit.sasl.user_table import UserTable

    Verify = Mapping[str, Any] | Callable[[Any], Any]

_PLAINTEXT = ("PLAIN", "LOGIN")
_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-1")
_TOKENS = ("OAUTHBEARER", "XOAUTH2")
_NOTHING: "frozenset[str]" = frozenset()


class AuthPolicy(Value):
    """A server's rules for AUTH (RFC 4954).

    Args:
        verify: a mapping of user name to password, to a record that `smtpkit.sasl.make_record()` made, or to
            ScramKeys; or a callable that takes a question (VerifyPassword or FetchSecret, and VerifyToken where
            there is no `tokens`) and returns True, what is stored of the user, or None or False; under asyncio it
            may be a coroutine function.  None leaves the questions to the session's `on_login`.
        required: whether mail is refused with 530 before login.
        allow_in_clear: whether AUTH is offered without TLS; otherwise there is no AUTH keyword then.
        mechanisms: names, or classes of your own (`smtpkit.sasl.Mechanism`), in the order of the EHLO keyword.
            None for what can succeed: EXTERNAL with `certificate_identity`; where `verify` is a mapping, those of
            SCRAM-SHA-256 and SCRAM-SHA-1 that all its secrets are good for; OAUTHBEARER and XOAUTH2 with
            `tokens`; PLAIN and LOGIN unless there is no `verify` but one of the other two.
        attempts: failed logins that are answered 535; the next one gets 421 (at least 3: RFC 4954 section 9).
        tokens: a callable that takes VerifyToken and returns True, the token's identity as a str, or False;
            under asyncio it may be a coroutine function.
        certificate_identity: a callable that takes the TLSFacts of a verified client certificate and returns
            whose it is, or None: who may log in by EXTERNAL.  It is called when TLS begins, and what it raises
            comes out of there; in a server of smtpkit it is logged, and the certificate is nobody's.
        salt_secret: from which SCRAM derives the salts of users whose password is stored as such, and of unknown
            ones; give the processes of one server the same.  None for one that is new in each process.
        iterations: what SCRAM announces for these.

    Raises:
        TypeError: `verify` is neither a mapping nor a callable.
        ValueError: there is no mechanism of such a name, this Python cannot do it, or nobody could log in by it;
            there is no mechanism or attempt at all; a stored record is none.
    """

    __slots__ = (
        "verify",
        "required",
        "allow_in_clear",
        "mechanisms",
        "attempts",
        "tokens",
        "certificate_identity",
        "salt_secret",
        "iterations",
        "_classes",
        "_users",
    )

    def __init__(
        self,
        verify: "Verify | None" = None,
        *,
        required: bool = True,
        allow_in_clear: bool = False,
        mechanisms: "Iterable[str | type[Mechanism]] | None" = None,
        attempts: int = 3,
        tokens: "Callable[[VerifyToken], Any] | None" = None,
        certificate_identity: "Callable[[TLSFacts], str | None] | None" = None,
        salt_secret: bytes | None = None,
        iterations: int = ITERATIONS,
    ) -> None:
        if attempts < 1 or iterations < 1:
            raise ValueError(f"attempts and iterations must be 1 or more, not {attempts} and {iterations}")
        self.verify = verify
        self.required = required
        self.allow_in_clear = allow_in_clear
        self.attempts = attempts
        self.tokens = tokens
        self.certificate_identity = certificate_identity
        self.salt_secret = salt_secret
        self.iterations = iterations
        self._users = _table(verify, salt_secret)
        self._classes = {each.name: each for each in self._wanted(mechanisms)}
        self.mechanisms = tuple(self._classes)
        if not self.mechanisms:
            raise ValueError("a server that asks for login offers a mechanism")

    def __repr__(self) -> str:
        return f"AuthPolicy(<verify>, required={self.required}, mechanisms={self.mechanisms})"

    def offered(self, *, tls: bool, withheld: "frozenset[str]" = _NOTHING) -> tuple[str, ...]:
        """The mechanisms that may be used with or without TLS, less those that `withheld()` named."""
        if tls:
            return tuple(name for name in self.mechanisms if name not in withheld)
        if not self.allow_in_clear:
            return ()
        # There is nothing to bind to in clear (RFC 5802 section 6), and no certificate.
        return tuple(name for name, each in self._classes.items() if not _needs_tls(each))

    def withheld(self, facts: "TLSFacts") -> "tuple[frozenset[str], str | None]":
        """What one TLS connection allows.

        Returns:
            The names of the mechanisms that cannot succeed on it, and whose the client's certificate is.
        """
        needing = [each for each in self._classes.values() if _needs_tls(each)]
        if not needing:
            return _NOTHING, None
        asked = self.certificate_identity if facts.verified and facts.peer_certificate is not None else None
        identity = asked(facts) if asked is not None else None
        bindable = facts.channel_binding is not None
        without = (each.name for each in needing if not (bindable if each.binds_channel else identity))
        return frozenset(without), identity

    def with_certificate_identity(self, function: "Callable[[TLSFacts], str | None]") -> "AuthPolicy":
        """The same rules with another `certificate_identity`, such as one that logs what the first raises."""
        other = AuthPolicy.__new__(AuthPolicy)
        for name in AuthPolicy.__slots__:
            setattr(other, name, getattr(self, name))
        other.certificate_identity = function
        return other

    def mechanism(self, name: str) -> "type[Mechanism]":
        """The class of a mechanism that is offered."""
        return self._classes[name]

    def decides(self, question: "Question") -> bool:
        """Whether `answer()` knows whom to let in, or that is left to the application."""
        return self.verify is not None or (self.tokens is not None and isinstance(question, VerifyToken))

    def answer(self, question: "Question") -> "Any":
        """The answer to a question of SASL: True, a secret, or a refusal; an awaitable if the callable gives one.

        A secret may take time to check: see `is_slow()`.
        """
        if self.tokens is not None and isinstance(question, VerifyToken):
            return self.tokens(question)
        if self._users is not None:
            return self._users.answer(question)
        return self.verify(question) if callable(self.verify) else None

    def is_slow(self, question: "Question", answer: "Any") -> bool:
        """Whether `settle()` would hash for milliseconds: an event loop has that done in a thread."""
        from smtpkit.sasl.answers import is_slow

        return is_slow(question, answer)

    def settle(self, question: "Question", answer: "Any") -> "Any":
        """Do the hashing that an answer asks for.

        Returns:
            For VerifyPassword True or False in place of a secret, for SCRAM the keys; any other answer as it is.
        """
        from smtpkit.sasl.answers import settle

        return settle(question, answer, iterations=self.iterations, salt_secret=self.salt_secret)

    def _wanted(self, mechanisms: "Iterable[str | type[Mechanism]] | None") -> "list[type[Mechanism]]":
        from smtpkit.sasl.registry import mechanism

        if mechanisms is None:
            return [mechanism(name) for name in self._usual()]
        wanted = [mechanism(each) for each in mechanisms]  # ParseError is a ValueError
        for each in wanted:
            if not each.available():
                raise ValueError(f"this Python cannot do {each.name}")
            if lacking := self._lacking(each):
                raise ValueError(f"nobody could log in by {each.name}: {lacking}")
        return wanted

    def _usual(self) -> "Iterable[str]":
        from smtpkit.sasl.registry import mechanism

        if self.certificate_identity is not None:
            yield "EXTERNAL"
        if self._users is not None:
            yield from (name for name in _SCRAM if self._users.all_fit(mechanism(name)))
        if self.tokens is not None:
            yield from _TOKENS
        if self.verify is not None or (self.tokens is None and self.certificate_identity is None):
            yield from _PLAINTEXT

    def _lacking(self, mechanism: "type[Mechanism]") -> str:
        # What a mechanism wants and this policy has not, if it is known not to have it.
        if mechanism.credential == "certificate" and self.certificate_identity is None:
            return "certificate_identity is not given"
        if mechanism.credential == "token" and self.tokens is None and self._users is not None:
            return "a mapping holds no tokens, and tokens is not given"
        if mechanism.credential == "password" and self._users is not None and not self._users.any_fits(mechanism):
            return "what is stored is not what it needs, as CRAM-MD5 needs the passwords as such"
        return ""


def _table(verify: "Any", salt_secret: bytes | None) -> "UserTable | None":
    if verify is None or callable(verify):
        return None
    if not hasattr(verify, "values"):
        raise TypeError(f"verify is a mapping of users or a callable, not {type(verify).__name__}")
    from smtpkit.sasl.user_table import UserTable

    return UserTable(verify, salt_secret)


def _needs_tls(mechanism: "type[Mechanism]") -> bool:
    return mechanism.binds_channel or mechanism.credential == "certificate"
