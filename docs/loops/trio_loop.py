"""Trio: a message through a server and a client."""

import logging
import select
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import trio

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


async def until(driver: ClientDriver | ServerDriver, stream: trio.SocketStream, answer: Any = None) -> Any:
    """Move octets as far as the driver's next need that is not READ or WRITE."""
    while (need := driver.next(answer)) is READ or need is WRITE:
        answer, flushed = None, False
        try:
            with trio.fail_after(driver.remaining(trio.current_time())):
                await stream.send_all(driver.take())
            flushed = True
            if need is READ:
                await receive(driver, stream)
            elif not driver.unread:
                await receive_ready(driver, stream)
        except trio.TooSlowError:
            if not flushed:
                await receive_ready(driver, stream)  # the peer may have said why
            driver.timed_out(flushed=flushed)
        except trio.BrokenResourceError as error:
            if not flushed:
                await receive_ready(driver, stream)
            driver.lost(error.__cause__ if isinstance(error.__cause__, OSError) else None, flushed=flushed)
    return need


async def receive(driver: ClientDriver | ServerDriver, stream: trio.SocketStream) -> None:
    """Wait for octets, no longer than the driver's wait may last."""
    began = trio.current_time()
    with trio.fail_after(driver.remaining(began)):
        driver.receive(await stream.receive_some(min(driver.unread_limit, 65536)))
    driver.waited(trio.current_time() - began)


async def receive_ready(driver: ClientDriver | ServerDriver, stream: trio.SocketStream) -> None:
    """Take in what has come, without waiting."""
    poll = select.poll()
    poll.register(stream.socket, select.POLLIN)
    if poll.poll(0):
        with suppress(trio.BrokenResourceError):  # the next READ meets it again
            driver.receive(await stream.receive_some(min(driver.unread_limit, 65536)))


async def serve_one(
    stream: trio.SocketStream,
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


async def say_goodbye(driver: ServerDriver, stream: trio.SocketStream) -> None:
    """Write what is left, and let the client read it: octets that lie unread would have TCP take it back."""
    with trio.move_on_after(driver.timeout), suppress(trio.BrokenResourceError):
        await stream.send_all(driver.take())
        await stream.send_eof()
        while await stream.receive_some(65536):
            pass


async def send(
    stream: trio.SocketStream,
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

    async with trio.open_nursery() as nursery:
        serve = partial(serve_one, on_message=on_message, config=ServerConfig("localhost"))
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        stream = await trio.open_tcp_stream(*listener.socket.getsockname())
        print((await send(stream, "a@a.example", ["b@b.example"], b"Subject: hi\n\nHello.\n")).recipients)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
