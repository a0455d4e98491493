"""AnyIO, over asyncio or Trio: a message through a server and a client.

Two things are AnyIO's own under asyncio: a write that fails closes the socket, and what the peer said just before is
lost unless it was read; and from a connection that was accepted it reads without bound until it has once had to wait,
so that a client which floods from its first octet on is held by the memory alone.  `smtpkit.asyncio` has neither.
"""

# ruff: noqa: S610 (no Django is near)

import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Literal

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.memory import MemoryObjectReceiveStream

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
Arrivals = MemoryObjectReceiveStream[bytes]


@asynccontextmanager
async def reading(driver: ClientDriver | ServerDriver, stream: SocketStream) -> AsyncIterator[Arrivals]:
    """Close the stream in the end; until then read one piece ahead, also while a write waits."""
    into, arrivals = anyio.create_memory_object_stream[bytes](0)

    async def read() -> None:
        async with into:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                while True:
                    await into.send(await stream.receive(min(driver.unread_limit, 65536)))

    failure = None
    async with stream, arrivals, anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        try:
            yield arrivals
        except Exception as error:  # noqa: BLE001 (it leaves bare, not in a group)
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def until(
    driver: ClientDriver | ServerDriver, stream: SocketStream, arrivals: Arrivals, answer: Any = None
) -> Any:
    """Move octets as far as the driver's next need that is not READ or WRITE."""
    while (need := driver.next(answer)) is READ or need is WRITE:
        answer, flushed = None, False
        try:
            with anyio.fail_after(driver.remaining(anyio.current_time())):
                await stream.send(driver.take())
            flushed = True
            if need is READ:
                await receive(driver, arrivals)
            elif not driver.unread:
                receive_ready(driver, arrivals)
        except TimeoutError:
            if not flushed:
                receive_ready(driver, arrivals)  # the peer may have said why
            driver.timed_out(flushed=flushed)
        except anyio.BrokenResourceError as error:
            async for octets in arrivals:
                driver.receive(octets)
            driver.lost(error.__cause__ if isinstance(error.__cause__, OSError) else None, flushed=flushed)
    return need


async def receive(driver: ClientDriver | ServerDriver, arrivals: Arrivals) -> None:
    """Wait for octets, no longer than the driver's wait may last."""
    began = anyio.current_time()
    with anyio.fail_after(driver.remaining(began)):
        try:
            driver.receive(await arrivals.receive())
        except anyio.EndOfStream:
            driver.receive(b"")
    driver.waited(anyio.current_time() - began)


def receive_ready(driver: ClientDriver | ServerDriver, arrivals: Arrivals) -> None:
    """Take in what has come, without waiting."""
    with suppress(anyio.WouldBlock, anyio.EndOfStream):  # the next READ meets the end again
        driver.receive(arrivals.receive_nowait())


async def serve_one(
    stream: SocketStream,
    on_message: Handler,
    config: ServerConfig,
    make_tls: MakeTLS | None = None,
    *,
    implicit_tls: bool = False,
) -> None:
    """Serve one client on a connected stream, and close it."""
    core = ServerConnection(config)
    driver = ServerDriver(core, SessionFacts(), {"on_message"}, make_tls=make_tls, implicit_tls=implicit_tls)
    async with reading(driver, stream) as arrivals:
        need = await until(driver, stream, arrivals)
        while need is not CLOSE:
            try:
                answer = checked(need.name, await on_message(need.argument), driver.replies)
            except Exception as error:
                logging.exception("on_message failed")
                answer = failure_reply(error)
            need = await until(driver, stream, arrivals, answer)
        await say_goodbye(driver, stream, arrivals)


async def say_goodbye(driver: ServerDriver, stream: SocketStream, arrivals: Arrivals) -> None:
    """Write what is left, and let the client read it: octets that lie unread would have TCP take it back."""
    with anyio.move_on_after(driver.timeout), suppress(anyio.BrokenResourceError, OSError):
        await stream.send(driver.take())
        await stream.send_eof()
        async for _ in arrivals:
            pass


async def send(
    stream: SocketStream,
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
    """Send one message over a connected stream, and close it; an SMTPError if nobody was accepted."""
    core = ClientConnection(ClientConfig(lmtp=lmtp))
    driver = ClientDriver(core, make_tls=make_tls, implicit_tls=tls == "implicit", timeouts=timeouts)
    sending = Sending(core, sender, recipients, body, {})
    driver.start(one_message(core, name, sending, tls=tls), sending.held)
    async with reading(driver, stream) as arrivals:
        need = await until(driver, stream, arrivals)
        while need is not DONE:
            need = await until(
                driver, stream, arrivals, await anext(sending.source, None)
            )  # CHUNK: no credentials, no other
    result: SendResult = driver.result
    return result


async def main() -> None:
    """A server and a client on loopback."""

    async def on_message(message: Message) -> None:
        print(message.recipients, message.content)

    serve = partial(serve_one, on_message=on_message, config=ServerConfig("localhost"))
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        stream = await anyio.connect_tcp("127.0.0.1", listener.extra(SocketAttribute.local_port))
        print((await send(stream, "a@a.example", ["b@b.example"], b"Subject: hi\n\nHello.\n")).recipients)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)
