"""The asyncio client: connect, and send."""

import asyncio
from contextlib import suppress
from time import monotonic

from smtpkit.asyncio.captured import Captured
from smtpkit.asyncio.sockets import dial
from smtpkit.asyncio.transport import Transport
from smtpkit.connected import ClientFacts
from smtpkit.connecting import ClientSettings
from smtpkit.errors import SMTPError
from smtpkit.protocol import exchanges
from smtpkit.protocol.needs import CHUNK, DONE
from smtpkit.protocol.results import SendResult
from smtpkit.protocol.sending import Sending
from smtpkit.watching import Observer

__all__ = ["Client", "Connecting", "connect", "send_message"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Generator, Iterable, Sequence
    from types import TracebackType
    from typing import Any, Self

    from smtpkit.protocol.credentials import Credentials
    from smtpkit.protocol.extensions import Extension
    from smtpkit.protocol.retry import Retry
    from smtpkit.protocol.timeouts import Timeouts
    from smtpkit.protocol.transcript import Transcript
    from smtpkit.wire.commands import Command
    from smtpkit.wire.replies import Reply


class Client(ClientFacts):
    """A live connection to a server; `connect()` makes it.

    An object serves one user at a time.

    Attributes:
        greeting: the server's first reply.
    """

    _transport: Transport | Captured

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        await self.close()

    async def send_message(
        self,
        message: "Any",
        sender: str | None = None,
        recipients: "Sequence[str] | str | None" = None,
        **options: "Any",
    ) -> SendResult:
        """Send an EmailMessage, or a Message of a server.

        Args:
            message: it is not changed; Bcc is left out of what is sent.
            sender: the reverse-path; None takes it from the header.
            recipients: the forward-paths; None takes To, Cc and Bcc.
            options: as for `send()`.

        Returns:
            The outcome of each recipient.

        Raises:
            SMTPError: as `send()`.
        """
        return await self._send(Sending.of_message(self._core, message, sender, recipients, options))

    async def send(self, sender: "Any", recipients: "Sequence[Any] | Any", body: "Any", **options: "Any") -> SendResult:
        """Send a body to recipients.

        Args:
            sender: the reverse-path: str, Mailbox, or None or "" for the null one.
            recipients: the forward-paths, or one.
            body: header and body: bytes, a binary file, an iterable or async iterable of bytes, or a
                callable that gives one of these.
            options: of `smtpkit.protocol.OPTIONS`.

        Returns:
            The outcome of each recipient; at least one was accepted.

        Raises:
            SenderRefused, RecipientsRefused, MessageRefused: nobody was accepted.
            ConnectionLost, Timeout: `.recipients` says what became of whom.
            NotSupported, ParseError: it cannot be sent; nothing was.
            TypeError, ValueError: an option or the body is none.
        """
        return await self._send(Sending(self._core, sender, recipients, body, options))

    async def command(self, command: "Command") -> "Reply":
        """Send one command, and return the reply whatever it is.

        Args:
            command: one without content, such as `Noop()` or `Vrfy("user")`; TLS and logins are for `connect()`.

        Raises:
            NotSupported: the server does not offer the extension that it belongs to.
            LocalProtocolError: it is out of order, or another call is under way.
            ConnectionLost, Timeout, RemoteProtocolError: no reply came, or none that can be read.
        """
        reply: Reply = await self._perform(exchanges.command(command, self._core))
        return reply

    async def reset(self) -> None:
        """End an open transaction (RSET).

        Raises:
            ReplyError: the server refused.
            LocalProtocolError: another call is under way.
            ConnectionLost, Timeout, RemoteProtocolError: no reply came, or none that can be read.
        """
        await self._perform(exchanges.reset())

    async def close(self) -> None:
        """Take leave and close; never raises, whatever the server does."""
        await self._quit(None)

    # For Pool and Relay alone, which keep connections; they use `_core`, `_sent` and `_perform()` as well.

    async def _connect(self, deadline: float | None) -> None:
        # Dial, greet, and log in; the log and the observer are told.
        began = monotonic()
        try:
            await self._reach(deadline)
        except BaseException as error:
            self._watch.connect_failed(self, error, monotonic() - began)
            raise
        self._watch.connected(self, monotonic() - began)

    async def _quit(self, deadline: float | None) -> None:
        # QUIT and its reply, where there is somebody to talk to, and close.
        if not self._transport.closed:
            if self._may_quit:
                with suppress(SMTPError, OSError):
                    await self._perform(exchanges.quit_session(), deadline=deadline)
            self._transport.close()
        self._watch.closed(self)

    # What follows is for the Client alone.

    async def _reach(self, deadline: float | None) -> None:
        settings = self._settings
        if settings.target.captured:
            self._transport = Captured(self._driver, settings.capture)
            self.greeting = await self._perform(settings.opening(self._core, None))
            return
        timeout = settings.connect_timeout(deadline)
        began = monotonic()
        try:
            self._transport = await dial(self._driver, timeout=timeout, **settings.route)
        except (OSError, UnicodeError) as error:
            raise settings.unreached(error, timeout) from error
        if deadline is not None:
            deadline -= monotonic() - began
        try:
            opening = settings.opening(self._core, self._transport.local)
            self.greeting = await self._perform(opening, deadline=deadline)
        except SMTPError as error:
            self._quit_unheard()
            raise settings.diagnosed(error, self._core, heard=self._driver.octets > 0) from error.__cause__

    async def _send(self, sending: Sending) -> SendResult:
        if sending.file is not None:
            await asyncio.to_thread(sending.scan_file)
        self._sent += 1
        began = monotonic()
        try:
            result: SendResult = await self._perform(sending.exchange(), sending, deadline=sending.deadline)
        except BaseException as error:
            self._watch.send_failed(self, error, monotonic() - began)
            raise
        else:
            self._watch.sent(self, result, monotonic() - began)
            return result
        finally:
            if self._transport.closed:
                self._watch.closed(self)

    async def _perform(
        self, exchange: "Generator[Any, Any, Any]", sending: Sending | None = None, *, deadline: float | None = None
    ) -> "Any":
        self._begin(exchange, sending.held if sending is not None else None, deadline)
        transport, driver = self._transport, self._driver
        try:
            need = await transport.until(driver.next)
            while need is not DONE:
                answer = await (_next_piece(sending) if need is CHUNK else _called(need))
                need = await transport.until(driver.next, answer)
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)
        return driver.result


class Connecting:
    """A connection to be made: await it, or enter it with `async with`; either gives the Client."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._client: Client | None = None

    def __await__(self) -> "Generator[Any, Any, Client]":
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Client:
        self._client = client = Client(self._settings)
        await client._connect(self._settings.deadline)
        return client

    async def __aexit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        if self._client is not None:
            await self._client.close()


def connect(
    where: str,
    port: int | None = None,
    *,
    tls: str | None = None,
    ssl_context: "ssl.SSLContext | None" = None,
    cafile: str | None = None,
    fingerprint: str | None = None,
    client_certificate: "str | tuple[str, str] | None" = None,
    server_hostname: str | None = None,
    unverified_tls: bool = False,
    auth: "Credentials | tuple[str, str] | None" = None,
    allow_auth_in_clear: bool = False,
    timeouts: "Timeouts | float | None" = None,
    deadline: float | None = None,
    local_hostname: str | None = None,
    local_address: "tuple[str, int] | None" = None,
    sock: "socket.socket | None" = None,
    transcript: "Transcript | None" = None,
    extensions: "Iterable[Extension]" = (),
    observer: Observer | None = None,
) -> Connecting:
    """Connect to a server, and log in where credentials are given.

    Args:
        where: "smtp://host:25", "smtps://user:password@host", "lmtp://…", "lmtp+unix:///path", or a host.
        port: TCP port; None for the usual one.
        tls: "implicit", "required", "if-offered" or "off"; None for what the port and the credentials ask for.
        ssl_context: the TLS settings; None for the system's authorities and TLS 1.2 or later.
        cafile: PEM file of authorities that are trusted in place of the system's.
        fingerprint: SHA-256 of the one certificate that is trusted, in hexadecimal digits.
        client_certificate: what is shown to a server that asks for it: a PEM file with certificate and key, or
            one of each.
        server_hostname: the name that the certificate must have; None for the host connected to.
        unverified_tls: True takes any certificate: there is no knowing who reads along.
        auth: whom to log in as.
        allow_auth_in_clear: whether a password may be sent without TLS to another host than this one.
        timeouts: seconds for every wait, or Timeouts.
        deadline: seconds for all of connecting, and by default for each later call.
        local_hostname: the name for EHLO; None for the address literal of the own end.
        local_address: (host, port) to connect from.
        sock: a connected socket, in place of dialling; host and port still give the defaults.
        transcript: records the session.
        extensions: Extension objects of your own.
        observer: an Observer, which is told of what happens, for metrics and traces.

    Returns:
        An object to await, or to enter with `async with`; either gives a Client.

    Raises:
        ValueError: the arguments do not fit together.
        ConnectionLost, Timeout, TLSError, AuthenticationError, ReplyError, NotSupported: when it is awaited.
    """
    settings = ClientSettings(**locals())  # every argument, by its name
    return Connecting(settings)


async def send_message(
    message: "Any",
    where: str,
    *,
    sender: str | None = None,
    recipients: "Sequence[str] | str | None" = None,
    options: "dict[str, Any] | None" = None,
    retry: "Retry | None" = None,
    **connect_options: "Any",
) -> SendResult:
    """Send one message over a connection of its own.

    Args:
        message: an EmailMessage, or a Message of a server.
        where: as for `connect()`.
        sender, recipients: as for `Client.send_message()`.
        options: of the send.
        retry: a policy for sending again what was deferred or lost on the way; None for one attempt.
        connect_options: of `connect()`.

    Returns:
        The outcome of each recipient; at least one was accepted.

    Raises:
        SMTPError: as `connect()` and `Client.send()`; the last one, where it was tried again.
        TypeError, ValueError: an option is none.
    """
    if retry is not None:
        from smtpkit.asyncio.pool import Pool

        async with Pool(where, size=1, **connect_options) as pool:
            return await pool.send_message(message, sender, recipients, retry=retry, **(options or {}))
    async with connect(where, **connect_options) as client:
        return await client.send_message(message, sender, recipients, **(options or {}))


async def _next_piece(sending: Sending | None) -> "bytes | None":
    assert sending is not None
    if sending.file is not None:
        return await asyncio.to_thread(sending.read)
    if hasattr(sending.source, "__anext__"):
        piece: bytes | None = await anext(sending.source, None)
        return piece
    return next(sending.source, None)


async def _called(need: "Any") -> "Any":
    value = need.function()
    return await value if hasattr(value, "__await__") else value
