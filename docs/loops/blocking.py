"""Blocking sockets by hand: a message through a server and a client, each in a thread."""

import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Thread
from time import monotonic
from typing import Any, Literal

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

Handler = Callable[[Message], Reply | list[Reply] | None]  # None is 250; a list is for LMTP, one for each recipient
MakeTLS = Callable[[], TLS]


def until(driver: ClientDriver | ServerDriver, sock: socket.socket, answer: Any = None) -> Any:
    """Move octets as far as the driver's next need that is not READ or WRITE."""
    while (need := driver.next(answer)) is READ or need is WRITE:
        answer, flushed = None, False
        try:
            sock.settimeout(driver.remaining(monotonic()))
            sock.sendall(driver.take())
            flushed = True
            if need is READ:
                receive(driver, sock)
            elif not driver.unread:
                receive_ready(driver, sock)
        except OSError as error:
            if not flushed:
                receive_ready(driver, sock)  # the peer may have said why
            if isinstance(error, TimeoutError):
                driver.timed_out(flushed=flushed)
            else:
                driver.lost(error, flushed=flushed)
    return need


def receive(driver: ClientDriver | ServerDriver, sock: socket.socket) -> None:
    """Wait for octets, no longer than the driver's wait may last."""
    began = monotonic()
    sock.settimeout(driver.remaining(began))
    driver.receive(sock.recv(min(driver.unread_limit, 65536)))
    driver.waited(monotonic() - began)


def receive_ready(driver: ClientDriver | ServerDriver, sock: socket.socket) -> None:
    """Take in what has come, without waiting."""
    with suppress(OSError):  # nothing has come, or the next READ meets the same error
        sock.settimeout(0)
        driver.receive(sock.recv(min(driver.unread_limit, 65536)))


def serve_one(
    sock: socket.socket,
    on_message: Handler,
    config: ServerConfig,
    make_tls: MakeTLS | None = None,
    *,
    implicit_tls: bool = False,
) -> None:
    """Serve one client on a connected socket, and close it."""
    core = ServerConnection(config)
    driver = ServerDriver(core, SessionFacts(), {"on_message"}, make_tls=make_tls, implicit_tls=implicit_tls)
    with sock, suppress(OSError):
        need = until(driver, sock)
        while need is not CLOSE:
            try:
                answer = checked(need.name, on_message(need.argument), driver.replies)
            except Exception as error:
                logging.exception("on_message failed")
                answer = failure_reply(error)
            need = until(driver, sock, answer)
        say_goodbye(driver, sock)


def say_goodbye(driver: ServerDriver, sock: socket.socket) -> None:
    """Write what is left, and let the client read it: octets that lie unread would have TCP take it back."""
    sock.settimeout(driver.timeout)
    sock.sendall(driver.take())
    sock.shutdown(socket.SHUT_WR)
    ends = monotonic() + driver.timeout
    while monotonic() < ends and sock.recv(65536):
        pass


def serve(listener: socket.socket, *arguments: Any, **options: Any) -> None:
    """Serve each client in a thread, until the listener is shut down; the arguments are those of `serve_one`."""
    with suppress(OSError):
        while True:
            sock, _ = listener.accept()
            Thread(target=serve_one, args=(sock, *arguments), kwargs=options, daemon=True).start()


def send(
    sock: socket.socket,
    sender: str,
    recipients: list[str],
    body: bytes | Iterable[bytes],
    *,
    lmtp: bool = False,
    name: str = "localhost",
    tls: Literal["implicit", "required", "if-offered", "off"] = "off",
    make_tls: MakeTLS | None = None,
    timeouts: Timeouts | None = None,
) -> SendResult:
    """Send one message over a connected socket, and close it; an SMTPError if nobody was accepted."""
    core = ClientConnection(ClientConfig(lmtp=lmtp))
    driver = ClientDriver(core, make_tls=make_tls, implicit_tls=tls == "implicit", timeouts=timeouts)
    sending = Sending(core, sender, recipients, body, {})
    driver.start(one_message(core, name, sending, tls=tls), sending.held)
    with sock:
        need = until(driver, sock)
        while need is not DONE:
            need = until(driver, sock, next(sending.source, None))  # CHUNK: without credentials there is no other
    result: SendResult = driver.result
    return result


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    arguments = (listener, lambda message: print(message.recipients, message.content), ServerConfig("localhost"))
    Thread(target=serve, args=arguments, daemon=True).start()
    client = socket.create_connection(listener.getsockname(), timeout=30)
    print(send(client, "a@a.example", ["b@b.example"], b"Subject: hi\n\nHello.\n").recipients)
