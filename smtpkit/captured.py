"""`memory:` and `print:`: the whole dialogue of a client, with a server in the same process that keeps the message."""

import functools
import sys

from smtpkit.printable import printable
from smtpkit.protocol.config import ServerConfig
from smtpkit.protocol.extensions import DEFAULT_EXTENSIONS, Extension
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.needs import CLOSE, READ, WRITE, Call
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import SessionFacts
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.wire.commands import Mail, Rcpt

__all__ = ["CapturedTransport", "show"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from smtpkit.protocol.client_driver import ClientDriver
    from smtpkit.protocol.message import Message

_MANY = 10**9
_EXTENSIONS = (
    *DEFAULT_EXTENSIONS,
    "BINARYMIME",
    "DSN",
    "DELIVERBY",
    "FUTURERELEASE",
    "MT-PRIORITY",
    # The registry's own is for sessions under TLS alone.
    Extension("REQUIRETLS", "RFC 8689", mail_parameters=["REQUIRETLS"], mail_octets=11),
)


class CapturedTransport:
    """What an adapter takes for a connection: the octets go to a server that accepts every message.

    It never waits.  Each adapter adds `until()`, with or without `await`.

    Args:
        driver: of the client.
        take: called with each message.
    """

    closed = False
    local: "Any" = None
    peer: "Any" = None

    def __init__(self, driver: "ClientDriver", take: "Callable[[Message], None]") -> None:
        self.driver = driver
        self._take = take
        self._server = ServerDriver(ServerConnection(_config()), SessionFacts(), {"on_message"})
        self._ended = False
        # What never leaves the process is as safe as under TLS, and options that want it are taken.
        driver.core.tls = TLSFacts("in memory", "none", verified=True)

    def advance(self, step: "Callable[[Any], Any]", answer: "Any" = None) -> "Any":
        """The next need of the client that is not READ or WRITE; arguments as for `Transport.until()`."""
        while True:
            need = step(answer)
            answer = None
            if need is not READ and need is not WRITE:
                return need
            octets = self.driver.take()
            if octets:
                self._server.receive(octets)
            self._serve()

    def set_deadline(self, seconds: float | None) -> None:
        """Nothing lasts."""

    def look(self) -> None:
        """Nothing comes unasked."""

    def close(self) -> None:
        """End the connection."""
        self.closed = True

    abort = close

    def _serve(self) -> None:
        answer = None
        while not self._ended:
            need = self._server.next(answer)
            answer = None
            octets = self._server.take()
            if octets:
                self.driver.receive(octets)
            if need is READ:
                break
            if need is CLOSE:
                self._ended = True
                self.driver.receive(b"")
            elif type(need) is Call:
                self._take(need.argument)


def show(message: "Message") -> None:
    """Print a message on standard output: its envelope as commands, and its content."""
    envelope = message.envelope
    recipients = zip(envelope.recipients, envelope.rcpt_parameters, strict=True)
    commands = (Mail(envelope.sender, envelope.mail_parameters), *(Rcpt(*each) for each in recipients))
    head = b"".join(map(bytes, commands)).decode()
    content = message.content.decode("utf-8", "backslashreplace")
    text = f"---------- message of {len(message.content)} octets, printed and not sent\n{head}\n{content}\n"
    sys.stdout.write(printable(text.replace("\r\n", "\n")))
    sys.stdout.flush()


@functools.cache
def _config() -> ServerConfig:
    limits = Limits(commands=_MANY, recipients=_MANY, errors=_MANY, errors_in_a_row=_MANY)
    return ServerConfig("localhost", extensions=_EXTENSIONS, max_message_size=None, limits=limits, bare_newlines="keep")
