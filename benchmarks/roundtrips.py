"""Round trips per message: counted in memory, and with `--delay` measured on a slow line, against other clients."""

import argparse
import asyncio
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

from client_process import CLIENTS, Blocking
from messages import SENDER, base64_body
from report import table

from smtpkit import (
    AuthPolicy,
    ClientConfig,
    ClientConnection,
    Credentials,
    Limits,
    Mail,
    Mailbox,
    Rcpt,
    ServerConfig,
    ServerConnection,
)
from smtpkit.asyncio import serve
from smtpkit.protocol import CLOSE, DONE, READ, Call
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.exchanges import opening
from smtpkit.protocol.outgoing import Outgoing
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import SessionFacts
from smtpkit.protocol.transaction import transaction
from smtpkit.tls import TLS, client_context, server_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_CERTIFICATES = Path(__file__).resolve().parents[1] / "tests" / "certificates"
_BODY = base64_body(1024)
_OFFERS = {
    "neither": [],
    "CHUNKING": ["CHUNKING"],
    "PIPELINING": ["PIPELINING"],
    "both": ["PIPELINING", "CHUNKING"],
}
_COUNTS = (1, 100)
_SETUPS: "dict[str, dict[str, Any]]" = {
    "in clear": {},
    "STARTTLS": {"tls": "required"},
    "implicit TLS": {"tls": "implicit"},
    "implicit TLS, PLAIN": {"tls": "implicit", "mechanism": "PLAIN"},
    "implicit TLS, LOGIN": {"tls": "implicit", "mechanism": "LOGIN"},
    "implicit TLS, SCRAM-SHA-256": {"tls": "implicit", "mechanism": "SCRAM-SHA-256"},
    "STARTTLS, PLAIN": {"tls": "required", "mechanism": "PLAIN"},
}


class Line:
    """A client and a server in memory; `rounds` counts how often the client waited for what it had asked for."""

    def __init__(self, offer: list[str], *, tls: str = "off", mechanism: str | None = None) -> None:
        contexts = (
            client_context(cafile=str(_CERTIFICATES / "ca.pem")),
            server_context(str(_CERTIFICATES / "server.pem")),
        )
        policy = AuthPolicy({"user": "pass"}, mechanisms=[mechanism]) if mechanism else None
        config = ServerConfig("mx.example", extensions=["SIZE", *offer], tls_available=tls != "off", auth=policy)
        implicit = tls == "implicit"
        self._policy = policy
        self._server = ServerDriver(
            ServerConnection(config),
            SessionFacts(),
            {"on_login"},
            make_tls=lambda: TLS(contexts[1], server_side=True),
            implicit_tls=implicit,
        )
        self._client = ClientDriver(
            ClientConnection(ClientConfig("c.example")),
            make_tls=lambda: TLS(contexts[0], server_side=False, server_hostname="localhost"),
            implicit_tls=implicit,
        )
        self.rounds = 0
        self._answered = self._serve(b"")  # the greeting, in clear, comes with the connection
        self._run(opening(self._client.core, "c.example", tls=tls, credentials=_credentials(mechanism)))

    def send(self, recipients: int) -> int:
        """The round trips of one message."""
        self.rounds = 0
        paths = {name: Rcpt(Mailbox.parse(name)) for name in _names(recipients)}
        mail = Mail(Mailbox.parse(SENDER), {"SIZE": len(_BODY)})
        self._run(transaction(self._client.core, mail, paths, Outgoing(_BODY)), _BODY)
        return self.rounds

    def _run(self, exchange: "Any", body: bytes | None = None) -> None:
        driver = self._client
        driver.start(exchange, body)
        while (need := driver.next(None)) is not DONE:
            octets = driver.take()
            if octets:
                self._answered += self._serve(octets)
                self.rounds += need is READ
            if need is READ:
                answered, self._answered = self._answered, b""
                driver.receive(answered)

    def _serve(self, octets: bytes) -> bytes:
        server, answer = self._server, None
        if octets:
            server.receive(octets)
        while (need := server.next(answer)) is not READ and need is not CLOSE:
            answer = self._policy.answer(need.argument) if isinstance(need, Call) and self._policy else None
        return server.take()


def _credentials(mechanism: str | None) -> Credentials | None:
    return Credentials("user", "pass") if mechanism else None


def _names(recipients: int) -> list[str]:
    return [f"recipient{number}@server.example" for number in range(recipients)]


def counted() -> str:
    """Both tables of round trips in memory."""
    rows = [[name, *(str(Line(offer).send(count)) for count in _COUNTS)] for name, offer in _OFFERS.items()]
    messages = table("Round trips of a message", ["server offers", *(f"{n} recipients" for n in _COUNTS)], rows)
    setups = [[name, str(Line(["PIPELINING"], **setup).rounds)] for name, setup in _SETUPS.items()]
    return f"{messages}\n{table('Round trips from the open connection to the first MAIL', ['', ''], setups)}"


# Through a slow line


class SlowLine:
    """A server behind a relay that hands on each piece half a round trip later; in a thread with a loop of its own."""

    def __init__(self, offer: list[str], delay: float) -> None:
        self._offer, self._delay = offer, delay / 2
        self._loop = asyncio.new_event_loop()
        self.port = 0

    def __enter__(self) -> "SlowLine":
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        self._server = await serve(
            _accept, port=0, hostname="mx.example", extensions=["SIZE", "8BITMIME", *self._offer], limits=Limits()
        )
        self._relay = await asyncio.start_server(self._relayed, "127.0.0.1", 0)
        self.port = self._relay.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._relay.close()
        await self._server.close()
        await asyncio.sleep(self._delay)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _relayed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*self._server.address)
        await asyncio.gather(self._pass_on(reader, to_server), self._pass_on(from_server, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # What has come is on its way at once, however much is already.
        loop = asyncio.get_running_loop()
        while octets := await reader.read(65536):
            loop.call_later(self._delay, writer.write, octets)
        loop.call_later(self._delay, writer.close)


async def _accept(message: "Any") -> None:
    pass


def _smtpproto() -> Blocking:
    from email.message import EmailMessage

    from smtpproto.client import SyncSMTPClient

    message = EmailMessage()
    message["From"], message["To"] = SENDER, "recipient@server.example"
    message.set_content("x" * 70)

    @contextmanager
    def session(port: int) -> "Iterator[Any]":
        with SyncSMTPClient("127.0.0.1", port, domain="client.example").connect() as connected:
            yield connected

    def connect(port: int) -> "Any":
        opened = session(port)
        return opened, opened.__enter__()

    def send(connection: "Any", recipients: list[str], body: bytes) -> None:
        connection[1].send_message(message, sender=SENDER, recipients=recipients)

    return Blocking(connect, send, lambda connection: connection[0].__exit__(None, None, None))


def _contenders() -> "dict[str, Callable[[], Blocking]]":
    names = ["smtpkit.sync", "smtpkit.asyncio", "smtplib", *(["aiosmtplib"] if find_spec("aiosmtplib") else [])]
    found = {name: CLIENTS[name] for name in names}
    return found | ({"smtpproto": _smtpproto} if find_spec("smtpproto") else {})


def _seconds(client: Blocking, port: int, recipients: list[str]) -> float:
    # Wall time of one message over an open connection; of two, the faster.
    async def awaited() -> float:
        connection = await client.connect(port)
        best = min([await _timed(connection) for _ in range(2)])
        await client.close(connection)
        return best

    async def _timed(connection: "Any") -> float:
        begin = time.perf_counter()
        await client.send(connection, recipients, _BODY)
        return time.perf_counter() - begin

    if type(client) is not Blocking:
        return asyncio.run(awaited())
    connection = client.connect(port)
    times = []
    for _ in range(2):
        begin = time.perf_counter()
        client.send(connection, recipients, _BODY)
        times.append(time.perf_counter() - begin)
    client.close(connection)
    return min(times)


def measured(delay: float) -> str:
    """Wall time of a message in round trips of the line, for each client."""
    contenders = {name: make() for name, make in _contenders().items()}
    rows = []
    for count in _COUNTS:
        for name, offer in _OFFERS.items():
            with SlowLine(offer, delay) as line:
                times = {each: _seconds(client, line.port, _names(count)) for each, client in contenders.items()}
            fastest = times["smtplib"] / times["smtpkit.sync"]
            rows.append([f"{count}, {name}", *(f"{t / delay:.1f}" for t in times.values()), f"{fastest:.1f}"])
    title = f"Wall time of a message, in round trips of {delay * 1000:.0f} ms; the last column: smtplib / smtpkit.sync"
    return table(title, ["recipients, server offers", *contenders, "times as fast"], rows)


def _milliseconds(text: str) -> float:
    return float(text.removesuffix("ms")) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=_milliseconds, help='a round trip of the slow line, such as "50ms"')
    options = parser.parse_args()
    print(counted())
    if options.delay:
        print(measured(options.delay))


if __name__ == "__main__":
    main()
