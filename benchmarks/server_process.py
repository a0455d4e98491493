"""One server in a process of its own: `python server_process.py NAME` says its port, and ends with its input."""

import asyncio
import json
import os
import ssl
import sys
from pathlib import Path
from shutil import which

from floor import serve_floor

__all__ = ["CERTIFICATE", "SERVERS", "TLS", "missing"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

_HERE = Path(__file__).resolve().parent
CERTIFICATE = _HERE.parent / "tests" / "certificates" / "server.pem"
_OCTETS = 512 * 1024 * 1024


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


async def _until_told() -> None:
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def _say(port: int) -> None:
    print(json.dumps(port), flush=True)


async def _floor(variant: str) -> None:
    _, port = await serve_floor(tuple(variant.split(",")) if variant else ("PIPELINING", "SIZE", "8BITMIME"))
    _say(port)
    await _until_told()


async def _aiosmtpd(variant: str) -> None:
    from aiosmtpd.smtp import SMTP

    class Handler:
        async def handle_DATA(self, server: "Any", session: "Any", envelope: "Any") -> str:  # noqa: N802 (its name)
            return "250 OK"

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Handler(), hostname="server.example", data_size_limit=_OCTETS),
        "127.0.0.1",
        0,
        ssl=_tls() if variant == "tls" else None,
        backlog=1024,
    )
    _say(server.sockets[0].getsockname()[1])
    await _until_told()


def _settings(variant: str) -> "dict[str, Any]":
    # The default limits, but for the number of connections and the size, which the memory cells need.
    from smtpkit import Limits

    settings: dict[str, Any] = {
        "port": 0,
        "hostname": "server.example",
        "max_message_size": _OCTETS,
        "limits": Limits(connections=4000, per_address=4000),
    }
    if variant == "tls":
        settings.update(tls=_tls(), implicit_tls=True)
    return settings


async def _smtpkit_asyncio(variant: str) -> None:
    from smtpkit.asyncio import Message, Session, serve

    async def handler(message: Message) -> None:
        pass

    class Streaming(Session):
        async def on_body(self, stream: "AsyncIterator[bytes]") -> None:
            async for _ in stream:
                pass

    async with serve(Streaming if variant == "on_body" else handler, **_settings(variant)) as server:
        _say(server.address[1])
        await _until_told()


def _smtpkit_sync(variant: str) -> None:
    from smtpkit.sync import Message, Session, serve

    def handler(message: Message) -> None:
        pass

    class Streaming(Session):
        def on_body(self, stream: "Iterator[bytes]") -> None:
            for _ in stream:
                pass

    with serve(Streaming if variant == "on_body" else handler, **_settings(variant)) as server:
        _say(server.address[1])
        sys.stdin.read()


def _twisted(variant: str) -> None:
    from threading import Thread

    from twisted.internet import defer, reactor
    from twisted.mail import smtp
    from zope.interface import implementer

    @implementer(smtp.IMessage)
    class Sink:
        def __init__(self) -> None:
            self.lines: list[bytes] = []

        def lineReceived(self, line: bytes) -> None:  # noqa: N802 (Twisted's name)
            self.lines.append(line)

        def eomReceived(self) -> "Any":  # noqa: N802
            return defer.succeed(b"".join(self.lines))

        def connectionLost(self) -> None:  # noqa: N802
            pass

    @implementer(smtp.IMessageDelivery)
    class Delivery:
        def receivedHeader(self, *_: "Any") -> bytes:  # noqa: N802
            return b""

        def validateFrom(self, helo: "Any", origin: "Any") -> "Any":  # noqa: N802
            return origin

        def validateTo(self, user: "Any") -> "Any":  # noqa: N802
            return Sink

    class Factory(smtp.SMTPFactory):  # type: ignore[misc]
        protocol = smtp.ESMTP
        timeout = 300

        def buildProtocol(self, address: "Any") -> "Any":  # noqa: N802
            protocol = smtp.SMTPFactory.buildProtocol(self, address)
            protocol.delivery = Delivery()
            protocol.host = b"server.example"
            return protocol

    running: Any = reactor
    port = running.listenTCP(0, Factory(), interface="127.0.0.1", backlog=1024)
    _say(port.getHost().port)
    Thread(target=lambda: (sys.stdin.read(), running.callFromThread(running.stop)), daemon=True).start()
    running.run()


def _smtp_server(variant: str) -> None:
    # In place of this process: whoever started it knows its number.
    os.execvp("node", ["node", str(_HERE / "node" / "server.mjs")])


def _go_smtp(variant: str) -> None:
    os.execv(_HERE / "go" / "server", ["server"])


SERVERS = {
    "floor": _floor,
    "smtpkit.asyncio": _smtpkit_asyncio,
    "smtpkit.sync": _smtpkit_sync,
    "aiosmtpd": _aiosmtpd,
    "Twisted": _twisted,
    "smtp-server": _smtp_server,
    "go-smtp": _go_smtp,
}
TLS = ("smtpkit.asyncio", "smtpkit.sync", "aiosmtpd")  # those that have a variant ":tls"


def missing(name: str) -> bool:
    """Whether a peer is not installed."""
    from importlib.util import find_spec

    if name == "smtp-server":
        return which("node") is None or not (_HERE / "node" / "node_modules" / name).is_dir()
    if name == "go-smtp":
        return not (_HERE / "go" / "server").exists()
    return name in ("aiosmtpd", "Twisted") and find_spec(name.lower()) is None


def main() -> None:
    name, _, variant = sys.argv[1].partition(":")
    made = SERVERS[name](variant)
    if made is not None:
        asyncio.run(made)


if __name__ == "__main__":
    main()
