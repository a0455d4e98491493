"""From what an application answers to a question, a secret mostly, to what the mechanism goes on with."""

__all__ = ["is_slow", "keys_for", "settle"]

from smtpkit.sasl.facts import ITERATIONS
from smtpkit.sasl.questions import FetchSecret, VerifyPassword

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.sasl.scram_keys import ScramKeys


def is_slow(question: "Any", answer: "Any") -> bool:
    """Whether `settle()` would hash for milliseconds: an event loop has that done in a thread.

    Raises:
        ParseError: the answer begins as a stored record does, and is not one.
    """
    if answer is True or (not answer and isinstance(question, VerifyPassword)):
        return False
    from smtpkit.sasl.records import read_secret

    if isinstance(question, VerifyPassword):
        return hasattr(read_secret(answer), "verify")
    return _is_scram(question) and not hasattr(read_secret(answer), "stored_key")


def settle(question: "Any", answer: "Any", *, iterations: int = ITERATIONS, salt_secret: bytes | None = None) -> "Any":
    """Do the hashing that a question and its answer ask for.

    Args:
        question: VerifyPassword, FetchSecret or VerifyToken.
        answer: what the application said.
        iterations, salt_secret: see `smtpkit.sasl.ServerFacts`.

    Returns:
        For VerifyPassword True or False where the answer was a secret (an identity to act for is then refused);
        for FetchSecret and SCRAM the keys; anything else as it came.

    Raises:
        ParseError: as `is_slow()`.
    """
    is_secret = isinstance(answer, (str, bytes)) or hasattr(answer, "verify")
    if isinstance(question, VerifyPassword):
        if is_secret:
            from smtpkit.sasl.records import right_password

            right = right_password(answer, question.password)
            return right and question.authzid in ("", question.username)
    elif _is_scram(question) and (answer is None or is_secret):
        return keys_for(question, answer, iterations, salt_secret)
    return answer


def keys_for(question: FetchSecret, answer: "Any", iterations: int, salt_secret: bytes | None) -> "ScramKeys":
    """The keys that SCRAM goes on with: stored ones, those of a password, or, at its cost, such as nobody has."""
    from os import urandom

    from smtpkit.sasl.records import read_secret
    from smtpkit.sasl.scram_keys import ScramKeys, derived_salt

    family = question.mechanism
    secret = read_secret(answer)
    if isinstance(secret, ScramKeys) and secret.mechanism == family:
        return secret
    salt = derived_salt(family, question.username, salt_secret)
    try:
        password = secret.decode() if isinstance(secret, bytes) else secret
        if isinstance(password, str):
            return ScramKeys.derive(password, family, iterations=iterations, salt=salt)
    except ValueError:
        pass  # a stored password that SASLprep refuses can be nobody's
    return ScramKeys.derive(urandom(18).hex(), family, iterations=iterations, salt=salt)


def _is_scram(question: "Any") -> bool:
    return isinstance(question, FetchSecret) and question.mechanism.startswith("SCRAM-")
