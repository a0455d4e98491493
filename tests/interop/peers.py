"""Real servers: aiosmtpd in a thread of this process, and Postfix's smtp-sink as a process; what they received."""

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import re
import shutil
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mail_servers import MAILBOXES, MailServer
from processes import PATIENCE, Failed, background, eventually, free_port, listening
from servers import CERTIFICATES, PASSWORD, USER

__all__ = ["Received", "Sink", "aiosmtpd_everywhere", "aiosmtpd_server", "loop_in_thread", "smtp_sink"]


class Received(NamedTuple):
    """One message as a peer has it; `records` is what smtp-sink notes of it."""

    sender: str
    recipients: list[str]
    content: bytes
    records: str = ""


# aiosmtpd


class Inbox:
    """The hooks that aiosmtpd calls.

    Attributes:
        port: where it listens on 127.0.0.1.
        messages: what it received.
        logins: the mechanisms of the logins.
    """

    def __init__(self, refused: str, mail: Path | None) -> None:
        self.port = 0
        self.messages: list[Received] = []
        self.logins: list[str] = []
        self._refused = refused
        self._mail = mail

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address == self._refused or (self._mail is not None and address.partition("@")[0] not in MAILBOXES):
            return "550 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        recipients = list(envelope.rcpt_tos)
        self.messages.append(Received(envelope.mail_from, recipients, envelope.original_content))
        for recipient in recipients if self._mail is not None else ():
            folder = self._mail / recipient.partition("@")[0] / "new"
            folder.mkdir(parents=True, exist_ok=True)
            folder.joinpath(str(time.monotonic_ns())).write_bytes(envelope.original_content)
        return "250 2.0.0 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        from aiosmtpd.smtp import AuthResult

        self.logins.append(mechanism)
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)


@contextlib.contextmanager
def aiosmtpd_server(
    *,
    tls: str = "clear",
    certificate: str = "server",
    login: str = "",
    lmtp: bool = False,
    refused: str = "",
    mail: Path | None = None,
) -> Iterator[Inbox]:
    """An aiosmtpd that takes messages of any size.

    Args:
        tls: "clear", "starttls" or "implicit".
        certificate: in tests/certificates.
        login: the only mechanism to log in by, which must be done; "" for none.
        lmtp: True for LMTP.
        refused: a recipient that it refuses.
        mail: a folder for Maildirs; recipients that are no MAILBOXES are refused then.
    """
    from aiosmtpd.lmtp import LMTP
    from aiosmtpd.smtp import SMTP

    # It warns of login in clear, and shows the traceback of a client that goes away.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", category=UserWarning, module="aiosmtpd")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
    inbox = Inbox(refused, mail)
    settings: dict[str, Any] = {"data_size_limit": None, "enable_SMTPUTF8": True, "hostname": "server.example"}
    if tls == "starttls":
        settings |= {"tls_context": context, "require_starttls": True}
    if login:
        others = {"PLAIN", "LOGIN"} - {login}
        # With implicit TLS it does not know that there is TLS.
        settings |= {"auth_required": True, "auth_require_tls": tls == "starttls", "auth_exclude_mechanism": others}
        settings |= {"authenticator": inbox.authenticate}
    with loop_in_thread() as perform:

        async def start() -> asyncio.Server:
            kind = LMTP if lmtp else SMTP
            loop = asyncio.get_running_loop()
            implicit = context if tls == "implicit" else None
            return await loop.create_server(lambda: kind(inbox, loop=loop, **settings), "127.0.0.1", 0, ssl=implicit)

        server = perform(start())
        inbox.port = server.sockets[0].getsockname()[1]
        yield inbox


@contextlib.contextmanager
def aiosmtpd_everywhere(scratch: Path) -> Iterator[MailServer]:
    """An aiosmtpd for each way in, all with the same mailboxes."""
    mail = scratch / "aiosmtpd"
    mail.mkdir()
    ways = {way: {"tls": way} for way in ("clear", "starttls", "implicit")}
    ways |= {f"login {name}": {"tls": "starttls", "login": name} for name in ("PLAIN", "LOGIN")}
    with contextlib.ExitStack() as resources:
        ports = {
            way: resources.enter_context(aiosmtpd_server(mail=mail, **settings)).port for way, settings in ways.items()
        }
        name = f"aiosmtpd {importlib.metadata.version('aiosmtpd')}"
        yield MailServer(name, ports, mail, (), lambda: "", crlf=True)


@contextlib.contextmanager
def loop_in_thread() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """An event loop in a thread: a function that has it perform a coroutine.  In the end its tasks are cancelled."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def perform(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE)

    async def cancel() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        yield perform
    finally:
        perform(cancel())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


# smtp-sink


class Sink:
    """A running smtp-sink.

    Attributes:
        port: where it listens on 127.0.0.1.
    """

    # What it puts on top of each message in a file (smtp-sink(1), "DUMP FILE FORMAT"); behind it is an empty line.
    _TOP = re.compile(rb"((?:X-[A-Za-z-]+: [^\n]*\n)+)Received: [^\n]*\n(?:\t[^\n]*\n)*")

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self._directory = directory

    def messages(self, count: int) -> list[Received]:
        """The messages, once there are so many; their lines, which it stores with LF, have CRLF again.

        Raises:
            Failed: there are not so many in the end.
        """
        found: list[Received] = []

        def complete() -> bool:
            try:
                paths = sorted(self._directory.iterdir(), key=lambda path: path.stat().st_mtime_ns)
                found[:] = [message for message in map(self._parsed, paths) if message is not None]
            except FileNotFoundError:  # it takes away the file of a message that broke off
                return False
            return len(found) >= count

        eventually(complete)
        if len(found) != count:
            raise Failed(f"{len(found)} messages are there, not {count}")
        return found

    def _parsed(self, path: Path) -> Received | None:
        octets = path.read_bytes()
        top = self._TOP.match(octets)
        if top is None or not octets.endswith(b"\n\n"):
            return None  # it is being written
        records = [line.split(": ", 1) for line in top[1].decode().splitlines()]
        addresses = [(name, value.partition("<")[2].partition(">")[0]) for name, value in records]
        sender = next(address for name, address in addresses if name == "X-Mail-Args")
        recipients = [address for name, address in addresses if name == "X-Rcpt-Args"]
        return Received(sender, recipients, octets[top.end() : -1].replace(b"\n", b"\r\n"), top[1].decode())


@contextlib.contextmanager
def smtp_sink(scratch: Path, *options: str) -> Iterator[Sink]:
    """A smtp-sink with these options, which stores each message in a file of its own."""
    if shutil.which("smtp-sink") is None:
        raise Failed("smtp-sink is not installed: .ci/interop does that")
    directory = scratch / f"sink-{time.monotonic_ns()}"
    directory.mkdir()
    log, port = directory.with_suffix(".log"), free_port()
    # It asks the superuser for a name; nobody could not write here.
    user = ("-u", "root") if os.geteuid() == 0 else ()
    command = ["smtp-sink", "-4", "-h", "sink.example", *user, *options, "-d", f"{directory}/", f"127.0.0.1:{port}", 10]
    with background(command, log=log) as process:
        listening(port, process, log)
        yield Sink(port, directory)
