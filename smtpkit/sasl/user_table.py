"""Who has which secret: a mapping of users as the answer to SASL's questions."""

__all__ = ["UserTable"]

from smtpkit.sasl.answers import settle
from smtpkit.sasl.questions import FetchSecret, VerifyToken
from smtpkit.sasl.records import decoy, read_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from smtpkit.sasl.mechanism import Mechanism
    from smtpkit.sasl.questions import Question


class UserTable:
    """Answers from a mapping; an unknown user costs what a known one with a wrong password does.

    Args:
        users: user name to password (str or bytes), PasswordRecord, ScramKeys, or the text of one of these.
            It is looked up at each login, so users may come and go.
        key: a secret from which the salts that SCRAM tells of unknown users are derived; None for a new one.

    Raises:
        ParseError: a text begins as a record does, and is not one.
    """

    def __init__(self, users: "Mapping[str, Any]", key: bytes | None = None) -> None:
        self._users = users
        self._key = key
        self._kinds = {_kind(secret): secret for secret in map(read_secret, users.values())}

    def all_fit(self, mechanism: "type[Mechanism]") -> bool:
        """Whether every user could log in by this mechanism; true of an empty table."""
        return all(map(mechanism.accepts, self._kinds.values()))

    def any_fits(self, mechanism: "type[Mechanism]") -> bool:
        """Whether somebody could log in by this mechanism; true of an empty table."""
        return not self._kinds or any(map(mechanism.accepts, self._kinds.values()))

    def answer(self, question: "Question") -> "Any":
        """What is stored of the user, or what costs as much; True or False where it costs nothing to know."""
        if isinstance(question, VerifyToken):
            return False  # there are no tokens in it
        secret = read_secret(self._users.get(question.username))
        if secret is None:
            secret = self._stand_in(question)
        if isinstance(question, FetchSecret) or hasattr(secret, "verify"):
            return secret
        return settle(question, secret or b"") is True

    def _stand_in(self, question: "Question") -> "Any":
        # The store's own kind of secret, that is, one whose hashing tells least.
        name = getattr(question, "mechanism", "")
        fitting = [kept for kept in self._kinds.values() if hasattr(kept, "verify")]
        if name:
            fitting = [keys for keys in fitting if getattr(keys, "mechanism", "") == name]
        return decoy(fitting[0], question.username, key=self._key) if fitting else None


def _kind(secret: "Any") -> "Any":
    # One secret of each kind is enough to tell what fits, and how much it costs.
    for attribute in ("mechanism", "scheme"):
        if hasattr(secret, attribute):
            return getattr(secret, attribute)
    return str if isinstance(secret, (str, bytes)) else type(secret)
