"""Twisted, with the driver's TLS in place of its own: a message through a server and a client."""

# ruff: noqa: N802, N815 (the names are Twisted's)

import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine
from typing import Any, Literal

from twisted.internet import defer, reactor
from twisted.internet.defer import Deferred, DeferredQueue, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater, react
from twisted.python.failure import Failure
from zope.interface import implementer

from smtpkit import ClientConfig, ClientConnection, Message, Reply, SendResult, ServerConfig, ServerConnection, Timeouts
from smtpkit.protocol import (
    CLOSE,
    DONE,
    READ,
    WRITE,
    ClientDriver,
    Sending,
    ServerDriver,
    SessionFacts,
    checked,
    failure_reply,
    one_message,
)
from smtpkit.tls import TLS

Answer = Reply | list[Reply] | None  # None is 250; a list is for LMTP, one for each recipient
Handler = Callable[[Message], Awaitable[Answer]]
MakeTLS = Callable[[], TLS]


@implementer(IHalfCloseableProtocol, IPushProducer)
class Octets(Protocol):
    """A connection for coroutines: nothing is read while something lies unread, or written while too much waits.

    Args:
        began: called with the connection once it is made.
    """

    transport: Any

    def __init__(self, began: "Callable[[Octets], Coroutine[Any, Any, None]] | None" = None) -> None:
        self.lost: OSError | None = None
        self._began = began
        self._arrivals: DeferredQueue[bytes] = DeferredQueue()  # b"" is the end
        self._room: Deferred[None] | None = None  # awaited while too much waits to be written

    async def write(self, octets: bytes, seconds: float) -> None:
        """Write; defer.TimeoutError if the peer does not read."""
        self.transport.write(octets)
        if self._room is not None:
            await self._room.addTimeout(seconds, reactor)
        if self.lost is not None:
            raise self.lost

    async def read(self, seconds: float) -> bytes:
        """Wait for octets; b"" at the end."""
        if not self._arrivals.pending:
            self.transport.resumeProducing()
        return await self._arrivals.get().addTimeout(seconds, reactor)

    async def read_ready(self) -> bytes | None:
        """What has come; None if nothing has."""
        self.transport.resumeProducing()
        await deferLater(reactor, 0)
        return await self._arrivals.get() if self._arrivals.pending else None

    # What the reactor calls

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        if self._began is not None:
            ensureDeferred(self._began(self))

    def dataReceived(self, data: bytes) -> None:
        self.transport.pauseProducing()
        self._arrivals.put(data)

    def readConnectionLost(self) -> None:
        self._arrivals.put(b"")

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = ConnectionError(reason.getErrorMessage())
        self._arrivals.put(b"")
        self.resumeProducing()

    def pauseProducing(self) -> None:
        self._room = self._room or Deferred()

    def resumeProducing(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.called:
            room.callback(None)

    stopProducing = resumeProducing


async def until(driver: ClientDriver | ServerDriver, octets: Octets, answer: Any = None) -> Any:
    """Move octets as far as the driver's next need that is not READ or WRITE."""
    while (need := driver.next(answer)) is READ or need is WRITE:
        answer, flushed = None, False
        try:
            await octets.write(driver.take(), driver.remaining(reactor.seconds()))
            flushed = True
            if need is READ:
                began = reactor.seconds()
                driver.receive(await octets.read(driver.remaining(began)))
                driver.waited(reactor.seconds() - began)
            elif not driver.unread:
                await receive_ready(driver, octets)
        except defer.TimeoutError:
            if not flushed:
                await receive_ready(driver, octets)  # the peer may have said why
            driver.timed_out(flushed=flushed)
        except OSError as error:
            await receive_ready(driver, octets)
            driver.lost(error, flushed=flushed)
    return need


async def receive_ready(driver: ClientDriver | ServerDriver, octets: Octets) -> None:
    """Take in what has come, without waiting."""
    came = await octets.read_ready()
    if came is not None:
        driver.receive(came)


class SMTPFactory(Factory):
    """Serves each client; to listen with."""

    def __init__(
        self, on_message: Handler, config: ServerConfig, make_tls: MakeTLS | None = None, *, implicit_tls: bool = False
    ) -> None:
        self.on_message = on_message
        self.config = config
        self.make_tls = make_tls
        self.implicit_tls = implicit_tls

    def buildProtocol(self, addr: IAddress) -> Octets:
        return Octets(self.serve_one)

    async def serve_one(self, octets: Octets) -> None:
        """Serve one client, and close the connection."""
        driver = ServerDriver(
            ServerConnection(self.config),
            SessionFacts(),
            {"on_message"},
            make_tls=self.make_tls,
            implicit_tls=self.implicit_tls,
        )
        need = await until(driver, octets)
        while need is not CLOSE:
            try:
                answer = checked(need.name, await self.on_message(need.argument), driver.replies)
            except Exception as error:
                logging.exception("on_message failed")
                answer = failure_reply(error)
            need = await until(driver, octets, answer)
        await say_goodbye(driver, octets)


async def say_goodbye(driver: ServerDriver, octets: Octets) -> None:
    """Write what is left, and let the client read it: octets that lie unread would have TCP take it back."""
    octets.transport.write(driver.take())
    if octets.lost is None:
        octets.transport.loseWriteConnection()
    ends = reactor.seconds() + driver.timeout
    try:
        while await octets.read(ends - reactor.seconds()):
            pass
    except defer.TimeoutError:
        octets.transport.abortConnection()
    else:
        octets.transport.loseConnection()


async def send(
    octets: Octets,
    sender: str,
    recipients: list[str],
    body: bytes | AsyncIterable[bytes],
    *,
    lmtp: bool = False,
    name: str = "localhost",
    tls: Literal["implicit", "required", "if-offered", "off"] = "off",
    make_tls: MakeTLS | None = None,
    timeouts: Timeouts | None = None,
) -> SendResult:
    """Send one message over a connection, and close it; an SMTPError if nobody was accepted."""
    core = ClientConnection(ClientConfig(lmtp=lmtp))
    driver = ClientDriver(core, make_tls=make_tls, implicit_tls=tls == "implicit", timeouts=timeouts)
    sending = Sending(core, sender, recipients, body, {})
    driver.start(one_message(core, name, sending, tls=tls), sending.held)
    try:
        need = await until(driver, octets)
        while need is not DONE:
            need = await until(driver, octets, await anext(sending.source, None))  # CHUNK: no credentials, no other
    except BaseException:
        octets.transport.abortConnection()
        raise
    octets.transport.loseConnection()
    result: SendResult = driver.result
    return result


async def main(reactor: Any) -> None:
    """A server and a client on loopback."""

    async def on_message(message: Message) -> None:
        print(message.recipients, message.content)

    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    listening = await endpoint.listen(SMTPFactory(on_message, ServerConfig("localhost")))
    octets = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", listening.getHost().port), Octets())
    print((await send(octets, "a@a.example", ["b@b.example"], b"Subject: hi\n\nHello.\n")).recipients)
    await listening.stopListening()


if __name__ == "__main__":
    react(lambda reactor: ensureDeferred(main(reactor)))
