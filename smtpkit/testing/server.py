"""A mail server for one test: a thread, a free port of this host, an inbox, and a table of what is to go wrong."""

import selectors
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread, current_thread
from urllib.parse import quote

from smtpkit import AuthPolicy, Reply, ServerConfig, Transcript
from smtpkit.testing.conversation import Conversation
from smtpkit.testing.faults import Fault, Faults
from smtpkit.testing.inbox import Inbox
from smtpkit.testing.line import Line
from smtpkit.tls import server_context

__all__ = ["Server"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from types import TracebackType
    from typing import Any, Literal, Self

_HOST = "127.0.0.1"
_FILES = Path(__file__).with_name("certificates")
_CERTIFICATES = ("valid", "wrong-name", "expired", "self-signed")
_POLICIES = (None, "starttls", "implicit")
_PATIENCE = 5.0  # seconds for threads to end


class Server:
    """A mail server for one test; enter it with `with`, or start and close it.

    It listens at a free port of 127.0.0.1, shares nothing with any other, takes mail for any recipient, and
    relays none.

    Args:
        tls: "starttls" offers it, "implicit" begins with it.
        login: user name and password: mail is then refused before login, and a login before TLS.
        allow_auth_in_clear: whether the login is offered without TLS.
        certificate: what is shown: "valid", for localhost and 127.0.0.1 (trust `cafile`); or what a client must
            refuse: "wrong-name", "expired", "self-signed".
        settings: further arguments of ServerConfig: `lmtp`, `extensions`, `max_message_size`, `require_tls`, `limits`,
            `auth` in place of `login`, …

    Attributes:
        inbox: what was received.
        transcripts: of all sessions, in the order in which they began; credentials are hidden.
        faults: what is to go wrong; `faults.clear()` ends it.
        tls: as given.
        username, password: of the login, or "".
        cafile: path of a PEM file: the authority behind the certificate.

    Raises:
        TypeError, ValueError: the arguments make no sense.
    """

    def __init__(
        self,
        *,
        tls: 'Literal["starttls", "implicit"] | None' = None,
        login: tuple[str, str] | None = None,
        allow_auth_in_clear: bool = False,
        certificate: 'Literal["valid", "wrong-name", "expired", "self-signed"]' = "valid",
        **settings: "Any",
    ) -> None:
        if tls not in _POLICIES:
            raise ValueError(f'tls is "starttls", "implicit" or None, not {tls!r}')
        if certificate not in _CERTIFICATES:
            raise ValueError(f"a certificate is one of {', '.join(_CERTIFICATES)}, not {certificate!r}")
        if login is not None:
            if tls is None and not allow_auth_in_clear:
                raise ValueError('nobody could log in: give tls="starttls" or "implicit", or allow_auth_in_clear=True')
            settings["auth"] = AuthPolicy(dict([login]), allow_in_clear=allow_auth_in_clear)
        self.username, self.password = login or ("", "")
        self.cafile = str(_FILES / "ca.pem")
        self.transcripts: list[Transcript] = []
        self.inbox = Inbox(self.transcripts)
        self.faults = Faults()
        self.tls = tls
        self._context = None if tls is None else _context(certificate)
        settings = {"hostname": "localhost", **settings}
        self._config = ServerConfig(**settings, tls_available=tls == "starttls")
        self._address: tuple[str, int] | None = None
        self._ending = Event()
        self._lock = Lock()
        self._lines: set[Line] = set()
        self._threads: list[Thread] = []

    def __repr__(self) -> str:
        return f"<smtpkit.testing.Server on {self._address}, {len(self.inbox)} messages>"

    def __enter__(self) -> "Self":
        return self.start()

    def __exit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        self.close()

    # Where it is

    @property
    def host(self) -> str:
        """The address, for which the certificate is good as well as for localhost."""
        return self._listening[0]

    @property
    def port(self) -> int:
        """The port, which stays known after the end: nobody listens there then."""
        return self._listening[1]

    @property
    def url(self) -> str:
        """All that `smtpkit` clients need: login, TLS and whom to trust."""
        scheme = "lmtp" if self._config.lmtp else "smtps" if self.tls == "implicit" else "smtp"
        user = f"{quote(self.username, '')}:{quote(self.password, '')}@" if self.username else ""
        policy = "required" if self.tls == "starttls" else "implicit"
        options = "" if self.tls is None else f"?tls={policy}&cafile={quote(self.cafile)}"
        return f"{scheme}://{user}{self.host}:{self.port}{options}"

    @property
    def _listening(self) -> tuple[str, int]:
        if self._address is None:
            raise RuntimeError("the server has not been started: enter it with `with`, or call start()")
        return self._address

    # What goes wrong

    def refuse(
        self,
        step: str,
        reply: Reply | str,
        *,
        sender: str | None = None,
        recipient: str | None = None,
        times: int | None = None,
    ) -> Fault:
        """Refuse a step: `server.refuse("rcpt", "550 5.1.1 No such user", recipient="eve@*")`; 421 ends the session.

        Args:
            step: "connect", "hello", "starttls", "login", "mail", "rcpt", "data", or "message" for its end.
            reply: a Reply or its text, 4yz or 5yz.
            sender, recipient: for whom, as patterns with * and ?; None for all.
            times: how often; None for always.  After that the next fault that fits decides, or none.

        Raises:
            ValueError: there is no such step, or the reply refuses nothing.
        """
        return self._add(Fault(step, reply, sender=sender, recipient=recipient, times=times))

    def greylist(self, reply: Reply | str = "450 4.7.1 Greylisted, try again later", *, times: int = 1) -> Fault:
        """Refuse each pair of sender and recipient so often, and then take mail for it."""
        return self._add(Fault("rcpt", reply, times=times, each=True))

    def disconnect(
        self, step: str, *, sender: str | None = None, recipient: str | None = None, times: int | None = None
    ) -> Fault:
        """Drop the line in place of the reply to a step, of which there is one more: "quit".

        At "message" the message is in the inbox already: what its client does now shows whether mail is doubled.
        """
        return self._add(Fault(step, None, sender=sender, recipient=recipient, times=times))

    def delay(
        self,
        step: str,
        seconds: float,
        *,
        sender: str | None = None,
        recipient: str | None = None,
        times: int | None = None,
    ) -> Fault:
        """Let seconds pass before the reply to a step; the end of the server ends them."""
        return self._add(Fault(step, seconds, sender=sender, recipient=recipient, times=times))

    def _add(self, fault: Fault) -> Fault:
        self.faults.append(fault)
        return fault

    # Serving

    def start(self) -> "Self":
        """Listen and serve; nothing more if it does already.

        Raises:
            RuntimeError: it was closed.
        """
        if self._ending.is_set():
            raise RuntimeError("a server that was closed does not start again")
        if self._address is None:
            listener = socket.create_server((_HOST, 0))
            self._address = listener.getsockname()
            self._stop, stopped = socket.socketpair()
            self._begin(self._accept, listener, stopped)
        return self

    def close(self) -> None:
        """End all sessions at once, and stop listening; any number of times."""
        with self._lock:
            first = not self._ending.is_set()
            self._ending.set()
            lines = list(self._lines)
        if self._address is None or not first:
            return
        self._stop.close()
        for line in lines:
            line.cut()
        for thread in self._threads:
            if thread is not current_thread():
                thread.join(_PATIENCE)

    def _begin(self, target: "Any", *arguments: "Any") -> None:
        thread = Thread(target=target, args=arguments, name="smtpkit-testing", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket, stopped: socket.socket) -> None:
        with listener, stopped, selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(stopped, selectors.EVENT_READ)
            while not self._ending.is_set():
                selector.select()
                if not self._ending.is_set():
                    with suppress(OSError):  # who has come may be gone again
                        self._welcome(Line(*listener.accept()))

    def _welcome(self, line: Line) -> None:
        transcript = Transcript()
        with self._lock:
            if self._ending.is_set():
                line.close()
                return
            self.transcripts.append(transcript)
            self._lines.add(line)
        self._begin(self._converse, line, transcript)

    def _converse(self, line: Line, transcript: Transcript) -> None:
        conversation = Conversation(
            line,
            self._config,
            context=self._context,
            implicit_tls=self.tls == "implicit",
            faults=self.faults,
            keep=self.inbox.add,
            wait=self._ending.wait,
            transcript=transcript,
        )
        conversation.run()
        with self._lock:
            self._lines.discard(line)


@cache
def _context(certificate: str) -> "ssl.SSLContext":
    return server_context(str(_FILES / f"{certificate}.pem"))
