"""What a mechanism is, and the client's walk through one."""

__all__ = ["ClientLogin", "Mechanism"]

from smtpkit.errors import ParseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from smtpkit.sasl.facts import ClientFacts, ServerFacts
    from smtpkit.sasl.questions import Challenge, Question

    ClientSteps = Generator[bytes | None, bytes, bytes]
    ServerSteps = Generator[Challenge | Question, Any, str | None]


class Mechanism:
    """One SASL mechanism; a subclass names it and defines one or both roles.

    One object serves one login.

    Attributes:
        name: as in the EHLO keyword, upper case.
        credential: what a client needs for it: "password", "token", "certificate" or "nothing".
        plaintext: True if whoever reads the line learns the secret; such a mechanism needs TLS.
        mutual: True if the server proves itself too; success is believed only after that.
        binds_channel: True if it needs the channel binding octets of the TLS connection.
        error: what the server told about a failure, where the mechanism has that (OAuth); else None.
    """

    name = ""
    credential = "password"
    plaintext = False
    mutual = False
    binds_channel = False
    error: "dict[str, Any] | None" = None

    @classmethod
    def available(cls) -> bool:
        """Whether this Python can do it."""
        return True

    @classmethod
    def accepts(cls, secret: "Any") -> bool:
        """Whether a server that stores this for a user can let the user log in by it.

        Args:
            secret: a password as str or bytes, a PasswordRecord or ScramKeys.
        """
        # Who is sent the password can check it against anything; a proof wants what was proved.
        return cls.credential == "password" and (cls.plaintext or isinstance(secret, (str, bytes)))

    def client(self, facts: "ClientFacts") -> "ClientSteps":
        """The client's role: yields responses and is resumed with challenges; the last response is returned.

        Where the server speaks first, the first yield is None.

        Raises:
            ParseError: the credentials cannot be put into this mechanism's messages, or a challenge is wrong.
        """
        raise NotImplementedError

    def server(self, facts: "ServerFacts", response: bytes | None) -> "ServerSteps":
        """The server's role, as the package's docstring describes it; `response` is the initial one, or None.

        Raises:
            ParseError: a response is not one of this mechanism's.
        """
        raise NotImplementedError


class ClientLogin:
    """A client's login under way.

    Attributes:
        mechanism: the mechanism, with its `.name` and `.error`.
        done: True once the last response was given: nothing more is owed to the server, and it has proved
            itself if the mechanism is mutual.
    """

    __slots__ = ("_steps", "done", "mechanism")

    def __init__(self, mechanism: Mechanism, facts: "ClientFacts") -> None:
        self.mechanism = mechanism
        self.done = False
        self._steps = mechanism.client(facts)

    @property
    def name(self) -> str:
        """The mechanism's name."""
        return self.mechanism.name

    def start(self) -> bytes | None:
        """The initial response; None if the server speaks first.

        Raises:
            ParseError: the credentials cannot be put into this mechanism's messages.
        """
        try:
            return next(self._steps)
        except StopIteration as last:
            return self._last(last)

    def respond(self, challenge: bytes) -> bytes:
        """The response to a challenge.

        Raises:
            ParseError: the challenge is wrong, or one too many; the client must cancel.
        """
        if self.done:
            raise ParseError(f"a challenge after {self.name} was complete", challenge)
        try:
            return self._steps.send(challenge) or b""
        except StopIteration as last:
            return self._last(last)

    def finish(self) -> None:
        """Call it when the server says that the login succeeded.

        Raises:
            ParseError: the mechanism has the server prove itself, and it has not: this may not be the server.
        """
        if self.mechanism.mutual and not self.done:
            raise ParseError(f"success without the server's proof of {self.name}")

    def _last(self, last: StopIteration) -> bytes:
        response: bytes | None = last.value
        if response is None:  # the steps ended with an error before
            raise ParseError(f"{self.name} has failed, and cannot go on")
        self.done = True
        return response

    def __repr__(self) -> str:
        return f"<ClientLogin by {self.name}{', done' if self.done else ''}>"
