"""What a server's mechanism yields: a challenge for the client, or a question for the application."""

__all__ = ["QUESTIONS", "Challenge", "FetchSecret", "Question", "VerifyPassword", "VerifyToken"]

from smtpkit.wire.value import Value


class Challenge(Value):
    """Octets for the client; the mechanism is resumed with the octets of its response."""

    __slots__ = ("octets",)

    def __init__(self, octets: bytes) -> None:
        self.octets = octets


class VerifyPassword(Value):
    """Is this the user's password, and may the user act as `authzid`?  The answer is True or False.

    Args:
        authzid: the identity to act as; "" for the user's own.
        username: the identity whose password it is.
        password: as the client sent it; nothing is normalized.
    """

    __slots__ = ("authzid", "username", "password")

    def __init__(self, authzid: str, username: str, password: str) -> None:
        self.authzid = authzid
        self.username = username
        self.password = password

    def __repr__(self) -> str:
        return f"VerifyPassword(authzid={self.authzid!r}, username={self.username!r}, password=<hidden>)"


class FetchSecret(Value):
    """What is the user's secret?  The answer is the password (str or bytes), or None for an unknown user.

    For a SCRAM mechanism it may be ScramKeys as well.  The application does not compare anything: the
    mechanism does, and a secret that was handed out has not logged anybody in yet.
    """

    __slots__ = ("username", "mechanism")

    def __init__(self, username: str, mechanism: str) -> None:
        self.username = username
        self.mechanism = mechanism


class VerifyToken(Value):
    """Is this bearer token good, and is it this user's?  The answer is True, the identity as a str, or False.

    Args:
        username: the identity that the client gave; "" if it left that to the token, and then the answer
            must be the identity.
        token: the OAuth 2.0 access token.
    """

    __slots__ = ("username", "token")

    def __init__(self, username: str, token: str) -> None:
        self.username = username
        self.token = token

    def __repr__(self) -> str:
        return f"VerifyToken(username={self.username!r}, token=<hidden>)"


Question = VerifyPassword | FetchSecret | VerifyToken
QUESTIONS = (VerifyPassword, FetchSecret, VerifyToken)
