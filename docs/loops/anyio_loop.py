"""AnyIO, over asyncio or Trio: a message through a server and a client."""

# ruff: noqa: S610 (no Django is near)

import logging
import select
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import anyio
from anyio.abc import SocketAttribute, SocketStream

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


async def until(driver: ClientDriver | ServerDriver, stream: SocketStream, answer: Any = None) -> Any:
    """Move octets as far as the driver's next need that is not READ or WRITE."""
    while (need := driver.next(answer)) is READ or need is WRITE:
        answer, flushed = None, False
        try:
            with anyio.fail_after(driver.remaining(anyio.current_time())):
                await stream.send(driver.take())
            flushed = True
            if need is READ:
                await receive(driver, stream)
            elif not driver.unread:
                await receive_ready(driver, stream)
        except TimeoutError:
            driver.timed_out(flushed=flushed)
        except anyio.BrokenResourceError as error:
            if not flushed:
                await receive_ready(driver, stream)  # the peer may have said why
            driver.lost(error.__cause__ if isinstance(error.__cause__, OSError) else None, flushed=flushed)
    return need


async def receive(driver: ClientDriver | ServerDriver, stream: SocketStream) -> None:
    """Wait for octets, no longer than the driver's wait may last."""
    began = anyio.current_time()
    with anyio.fail_after(driver.remaining(began)):
        driver.receive(await received(stream))
    driver.waited(anyio.current_time() - began)


async def received(stream: SocketStream) -> bytes:
    """What the stream gives; b"" at its end."""
    try:
        return await stream.receive()
    except anyio.EndOfStream:
        return b""


async def receive_ready(driver: ClientDriver | ServerDriver, stream: SocketStream) -> None:
    """Take in what has come, without waiting."""
    poll = select.poll()
    poll.register(stream.extra(SocketAttribute.raw_socket), select.POLLIN)
    if poll.poll(0):
        with suppress(anyio.BrokenResourceError):  # the next READ meets it again
            driver.receive(await received(stream))


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
    async with stream:
        need = await until(driver, stream)
        while need is not CLOSE:
            try:
                answer = checked(need.name, await on_message(need.argument), driver.replies)
            except Exception as error:
                logging.exception("on_message failed")
                answer = failure_reply(error)
            need = await until(driver, stream, answer)
        await say_goodbye(driver, stream)


async def say_goodbye(driver: ServerDriver, stream: SocketStream) -> None:
    """Write what is left, and let the client read it: octets that lie unread would have TCP take it back."""
    with anyio.move_on_after(driver.timeout), suppress(anyio.BrokenResourceError):
        await stream.send(driver.take())
        await stream.send_eof()
        while await received(stream):
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
    async with stream:
        need = await until(driver, stream)
        while need is not DONE:
            need = await until(driver, stream, await anext(sending.source, None))  # CHUNK: no credentials, no other
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
