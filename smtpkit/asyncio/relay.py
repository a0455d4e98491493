"""A server that passes mail on while it comes: each step to the next server, whose reply the client gets."""

from time import time

from smtpkit.asyncio.client import Client
from smtpkit.asyncio.session import Session
from smtpkit.errors import ReplyError, SMTPError
from smtpkit.protocol import relaying
from smtpkit.protocol.header_filter import MOST_HOPS
from smtpkit.relayed import RelayedSession, RelayFacts

__all__ = ["Relay", "RelaySession"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from smtpkit.wire.commands import Command, Mail, Rcpt
    from smtpkit.wire.replies import Reply


class RelaySession(RelayedSession, Session):
    """A session of a Relay; derive from it to decide before the next server does.

    A hook that is overridden passes on by calling that of this class, and returns what it returns.

    Args:
        relay: where to.
    """

    relay: "Relay"
    _client: Client | None

    def __init__(self, relay: "Relay") -> None:
        super().__init__(relay)

    async def on_mail(self, command: "Mail") -> "Reply | None":
        """Connect where there is no connection, and pass MAIL on."""
        self._transit.begin()
        was_connected = self._client is not None
        reply = await self._begin(command)
        if was_connected and self._client is None:
            reply = await self._begin(command)  # it went after the last message: that is no fault of this one
        return reply

    async def on_rcpt(self, command: "Rcpt") -> "Reply | None":
        """Pass RCPT on."""
        if self._client is None:
            return relaying.LOST
        command = self._transit.rcpt(self._client._core, command, self)
        return self._transit.rcpt_answered(await self._say(command))

    async def on_body(self, stream: "AsyncIterator[bytes]") -> "Any":
        """Pass the content on while it comes; the replies are those of the next server."""
        client, envelope = self._client, self.envelope
        if client is None or envelope is None:
            return relaying.LOST
        exchange = self._transit.content(client._core, envelope, self, time())
        body: Any = relaying.Source(stream)
        try:
            replies = await client._perform(exchange, body)
        except ReplyError:
            raise  # the message is refused on this side, and no end of it was sent
        except SMTPError as error:
            if self.envelope is None:
                raise  # it was the client that went
            return self._lost(error)
        finally:
            await self._end_transaction()
        return self._transit.verdict(replies, self)

    async def on_reset(self) -> None:
        """End the transaction there too."""
        await self._end_transaction()

    async def on_close(self) -> None:
        """Take leave of the next server."""
        if self._client is not None:
            self._client._quit_unheard()

    async def _begin(self, command: "Mail") -> "Reply":
        try:
            client = await self._ready()
        except SMTPError as error:
            return self._lost(error)
        return await self._say(self._transit.mail(client._core, command))

    async def _ready(self) -> Client:
        # A connection on which a transaction can begin.
        self._keep_or_leave()
        client = self._client
        anew = client is None
        if client is None:
            settings = self.relay._settings_as(self.hostname)
            client = Client(settings)
            await client._connect(settings.deadline)
            self._client = client
        await client._perform(self._transit.before_mail(client._core, self, anew=anew))
        return client

    async def _say(self, command: "Command") -> "Reply":
        client = self._client
        assert client is not None
        try:
            reply = await client.command(command)
        except SMTPError as error:
            return self._lost(error)
        if client._is_closed:
            self._client = None
        return relaying.passed(reply)

    async def _end_transaction(self) -> None:
        client = self._client
        if client is None or client._core.idle:
            return
        try:
            await client.reset()
        except SMTPError:
            self._client = None
            client._drop()


class Relay(RelayFacts):
    """A handler for `serve()` that passes mail on to one server, in constant memory.

    Each client has a connection of its own to the next server, made at its first MAIL.  MAIL and RCPT are passed on
    as they come, and the content piece by piece; what the client gets are the next server's replies.  Nothing is
    accepted that it has not accepted, and nothing is kept: there is no queue.  Where it cannot be reached or is lost,
    the client gets 451.  Received is put on top, and a message that goes round in circles is refused (554 5.4.6).

    Whoever may connect here may send whatever the next server takes from this host: see `forward_client`, or demand a
    login with `serve(auth=…)`.

    Args:
        where, port: as for `connect()`.
        forward_client: whether the next server is told whose mail it is, by XCLIENT, else by XFORWARD, where it offers
            them; it must trust this host.
        most_hops: Received fields with which a message is refused; None for no bound.
        session: a class derived from RelaySession, for hooks of your own; None for that one.
        connect_options: of `connect()`, but `sock`; local_hostname is by default what the server calls itself.

    Raises:
        TypeError: there is no such option.
        ValueError: the arguments do not fit together.
    """

    def __init__(
        self,
        where: str,
        port: int | None = None,
        *,
        forward_client: bool = False,
        most_hops: int | None = MOST_HOPS,
        session: type[RelaySession] | None = None,
        **connect_options: "Any",
    ) -> None:
        super().__init__(where, port, connect_options, forward_client=forward_client, most_hops=most_hops)
        self._session = session or RelaySession

    def __call__(self) -> RelaySession:
        """A session for one client."""
        return self._session(self)
