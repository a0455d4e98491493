"""What a mechanism may need to know from outside, one record for each role."""

__all__ = ["ITERATIONS", "ClientFacts", "ServerFacts"]

from smtpkit.errors import ParseError
from smtpkit.wire.value import Value

ITERATIONS = 10_000
"""How often SCRAM hashes a password that is stored as such."""


class ClientFacts(Value):
    """What a client's mechanism works with; each uses what it needs.

    Args:
        username: whose password or token it is (the authentication identity).
        password: a str, or octets that are sent as they are; kept as octets.
        token: an OAuth 2.0 access token.
        authzid: the identity to act as; "" for the user's own.
        host, port: where the client connected to, as OAUTHBEARER may tell.
        channel_binding: the tls-server-end-point octets of this connection.  Leave it None where a -PLUS
            mechanism was offered and is not used: a SCRAM without binding that has it tells the server that none
            was offered.
        min_iterations, max_iterations: SCRAM refuses a server that announces less or more; less than 4096 none
            should (RFC 5802 section 5.1, RFC 7677 section 3), and more than ten million is no honest server's.
        nonce: fixes the client's nonce, for tests; None makes a random one.

    Raises:
        ParseError: the password cannot be written as octets.
    """

    __slots__ = (
        "username",
        "password",
        "token",
        "authzid",
        "host",
        "port",
        "channel_binding",
        "min_iterations",
        "max_iterations",
        "nonce",
    )

    def __init__(
        self,
        username: str = "",
        password: str | bytes = b"",
        *,
        token: str = "",
        authzid: str = "",
        host: str = "",
        port: int = 0,
        channel_binding: bytes | None = None,
        min_iterations: int = 4096,
        max_iterations: int = 10_000_000,
        nonce: str | None = None,
    ) -> None:
        self.username = username
        self.password = _octets(password) if isinstance(password, str) else password
        self.token = token
        self.authzid = authzid
        self.host = host
        self.port = port
        self.channel_binding = channel_binding
        self.min_iterations = min_iterations
        self.max_iterations = max_iterations
        self.nonce = nonce

    def __repr__(self) -> str:
        return f"ClientFacts(username={self.username!r}, authzid={self.authzid!r}, <secrets hidden>)"


class ServerFacts(Value):
    """What a server's mechanism works with.

    Args:
        hostname: the server's own name.
        channel_binding: the tls-server-end-point octets of this connection, if a -PLUS mechanism is offered on
            it; None otherwise.
        certificate_identity: whom the verified TLS client certificate belongs to; None for nobody.
        iterations: what SCRAM announces for passwords that are stored as such, and for unknown users.
        salt_secret: from which SCRAM derives the salts of these, so that a user keeps one and an unknown name
            cannot be told from a known one; None for one that is made anew in each process.
        nonce: fixes the server's nonce, for tests; None makes a random one.
    """

    __slots__ = (
        "hostname",
        "channel_binding",
        "certificate_identity",
        "iterations",
        "salt_secret",
        "nonce",
    )

    def __init__(
        self,
        hostname: str = "localhost",
        *,
        channel_binding: bytes | None = None,
        certificate_identity: str | None = None,
        iterations: int = ITERATIONS,
        salt_secret: bytes | None = None,
        nonce: str | None = None,
    ) -> None:
        self.hostname = hostname
        self.channel_binding = channel_binding
        self.certificate_identity = certificate_identity
        self.iterations = iterations
        self.salt_secret = salt_secret
        self.nonce = nonce

    def __repr__(self) -> str:
        return f"ServerFacts({self.hostname!r}, certificate_identity={self.certificate_identity!r})"


def _octets(password: str) -> bytes:
    try:
        return password.encode(errors="surrogateescape")  # octets of the command line that are no UTF-8 come so
    except UnicodeEncodeError:
        raise ParseError("a password cannot be written as UTF-8") from None
