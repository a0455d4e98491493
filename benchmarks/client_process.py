"""One client in a process of its own: `python client_process.py NAME` does what it is asked, and says what it cost."""

import asyncio
import gc
import json
import os
import sys
from threading import Thread
from time import perf_counter, process_time

from messages import RECIPIENT, SENDER, base64_body, text_body
from processes import memory, reset_peak

__all__ = ["CELLS", "CLIENTS"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_KIB, _MIB = 1024, 1024 * 1024
_ONE = [RECIPIENT]
_TWENTY = [f"recipient{number}@server.example" for number in range(20)]
_SMALL = base64_body(_KIB)
_PIECE = base64_body(64 * _KIB)

_POOLED = "1 KiB, pooled"  # by those that have a pool; the others use one connection

# Recipients, body, connections at once, whether each message gets a connection of its own.
CELLS = {
    "1 KiB, reused": (_ONE, lambda: _SMALL, 1, False),
    _POOLED: (_ONE, lambda: _SMALL, 1, False),
    "connect each": (_ONE, lambda: _SMALL, 1, True),
    "x20": (_ONE, lambda: _SMALL, 20, False),
    "20 recipients": (_TWENTY, lambda: _SMALL, 1, False),
    "10 MiB base64": (_ONE, lambda: base64_body(10 * _MIB), 1, False),
    "10 MiB dotted text": (_ONE, lambda: text_body(10 * _MIB), 1, False),
}


class Work:
    """Sends for so long, and counts.

    Attributes:
        messages: that were accepted.
    """

    def __init__(self, port: int, recipients: list[str], body: bytes, seconds: float) -> None:
        self.port = port
        self.recipients = recipients
        self.body = body
        self.messages = 0
        self._seconds = seconds
        self.restart()

    def restart(self) -> None:
        self.messages = 0
        self.deadline = perf_counter() + self._seconds

    def more(self) -> bool:
        """Count a message; whether there is time for another."""
        self.messages += 1
        return perf_counter() < self.deadline


class Blocking:
    """What blocking clients have in common.

    Args:
        connect: from a port to a connection.
        send: a message over a connection: recipients and body.
        close: a connection.
        pool: from a port to a pool, which is used as a connection is; None if there is none.
    """

    def __init__(
        self,
        connect: "Callable[[int], Any]",
        send: "Callable[[Any, list[str], Any], Any]",
        close: "Callable[[Any], Any]",
        pool: "Callable[[int], Any] | None" = None,
    ) -> None:
        self.connect = connect
        self.pool = pool or connect
        self.send = send
        self.close = close

    def measure(self, work: Work, at_once: int, reconnect: bool, connect: "Callable[[int], Any]") -> float:
        """CPU seconds of one message; `connect` is the client's own, or its `pool`."""
        connections = [] if reconnect else [connect(work.port) for _ in range(at_once)]
        for each in connections:
            self.send(each, work.recipients, _SMALL)
        work.restart()
        begin = process_time()
        if reconnect:
            self._reconnecting(work)
        elif at_once == 1:
            self._sending(work, connections[0])
        else:
            threads = [Thread(target=self._sending, args=(work, each)) for each in connections]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        spent = process_time() - begin
        for each in connections:
            self.close(each)
        return spent / work.messages

    def peak(self, port: int, body: "Any") -> int:
        """KiB more while one message leaves; `body` makes it."""
        connection = self.connect(port)
        self.send(connection, _ONE, _PIECE)
        octets = body()
        gc.collect()
        before = memory(os.getpid())
        reset_peak(os.getpid())
        self.send(connection, _ONE, octets)
        used = memory(os.getpid(), "VmHWM") - before
        self.close(connection)
        return used

    def _sending(self, work: Work, connection: "Any") -> None:
        send, recipients, body = self.send, work.recipients, work.body
        send(connection, recipients, body)
        while work.more():
            send(connection, recipients, body)

    def _reconnecting(self, work: Work) -> None:
        while True:
            connection = self.connect(work.port)
            self.send(connection, work.recipients, work.body)
            self.close(connection)
            if not work.more():
                return


class Awaiting(Blocking):
    """What asyncio clients have in common; the arguments are coroutine functions."""

    def measure(self, work: Work, at_once: int, reconnect: bool, connect: "Callable[[int], Any]") -> float:
        return asyncio.run(self._measure(work, at_once, reconnect, connect))

    def peak(self, port: int, body: "Any") -> int:
        return asyncio.run(self._peak(port, body))

    async def _measure(self, work: Work, at_once: int, reconnect: bool, connect: "Callable[[int], Any]") -> float:
        connections = [] if reconnect else [await connect(work.port) for _ in range(at_once)]
        for each in connections:
            await self.send(each, work.recipients, _SMALL)
        work.restart()
        begin = process_time()
        if reconnect:
            await self._each(work)
        elif at_once == 1:
            await self._all(work, connections[0])
        else:
            await asyncio.gather(*(self._all(work, each) for each in connections))
        spent = process_time() - begin
        for each in connections:
            await self.close(each)
        return spent / work.messages

    async def _peak(self, port: int, body: "Any") -> int:
        connection = await self.connect(port)
        await self.send(connection, _ONE, _PIECE)
        octets = body()
        gc.collect()
        before = memory(os.getpid())
        reset_peak(os.getpid())
        await self.send(connection, _ONE, octets)
        used = memory(os.getpid(), "VmHWM") - before
        await self.close(connection)
        return used

    async def _all(self, work: Work, connection: "Any") -> None:
        send, recipients, body = self.send, work.recipients, work.body
        await send(connection, recipients, body)
        while work.more():
            await send(connection, recipients, body)

    async def _each(self, work: Work) -> None:
        while True:
            connection = await self.connect(work.port)
            await self.send(connection, work.recipients, work.body)
            await self.close(connection)
            if not work.more():
                return


def _floor() -> Blocking:
    # Prepared octets, replies only counted; MAIL, RCPT and DATA leave together where PIPELINING is offered.
    from load import Plan, greeted, says_pipelining

    prepared: dict[tuple[int, int], tuple[list[bytes], bytes]] = {}

    def connect(port: int) -> "tuple[Any, bool]":
        sock = greeted(port)
        return sock, says_pipelining(sock)

    def send(connection: "tuple[Any, bool]", recipients: list[str], body: "Any") -> None:
        sock, pipelining = connection
        key = (len(recipients), len(body))  # the content does not matter to it
        if key not in prepared:
            prepared[key] = Plan.prepared(recipients, body)
        commands, content = prepared[key]
        for group in [b"".join(commands)] if pipelining else commands:
            sock.sendall(group)
            lines = len(commands) if pipelining else 1
            while lines:
                lines -= sock.recv(65536).count(b"\n")
        sock.sendall(content)
        sock.recv(65536)

    def close(connection: "tuple[Any, bool]") -> None:
        sock, _ = connection
        sock.sendall(b"QUIT\r\n")
        sock.recv(65536)
        sock.close()

    return Blocking(connect, send, close)


def _floor_asyncio() -> Awaiting:
    # The same from the callbacks of an event loop, whose task is woken when all has been answered.
    from load import Plan

    prepared: dict[tuple[int, int], tuple[list[bytes], bytes]] = {}
    buffer = memoryview(bytearray(64 * _KIB))

    class Line(asyncio.BufferedProtocol):
        pipelining = False

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: asyncio.Transport = transport  # type: ignore[assignment]

        def get_buffer(self, sizehint: int) -> memoryview:
            return buffer

        def buffer_updated(self, nbytes: int) -> None:
            octets = bytes(buffer[:nbytes])
            self.pipelining = self.pipelining or b"PIPELINING" in octets
            self.owed -= octets.count(b"\n") if self.owed > 1 else octets.endswith(b"\n")
            if self.owed <= 0:
                self.go_on()

        def exchange(self, groups: "list[tuple[bytes, int]]") -> "asyncio.Future[None]":
            self.groups = groups[::-1]
            self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.go_on()
            return self.done

        def go_on(self) -> None:
            if self.groups:
                octets, self.owed = self.groups.pop()
                if octets:
                    self.transport.write(octets)
            else:
                self.owed = 1
                self.done.set_result(None)

    async def connect(port: int) -> Line:
        _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
        await line.exchange([(b"", 1), (b"EHLO client.example\r\n", 1)])
        return line

    async def send(line: Line, recipients: list[str], body: "Any") -> None:
        key = (len(recipients), len(body))
        if key not in prepared:
            prepared[key] = Plan.prepared(recipients, body)
        commands, content = prepared[key]
        grouped = [(b"".join(commands), len(commands))] if line.pipelining else [(each, 1) for each in commands]
        await line.exchange([*grouped, (content, 1)])

    async def close(line: Line) -> None:
        await line.exchange([(b"QUIT\r\n", 1)])
        line.transport.close()

    return Awaiting(connect, send, close)


def _smtpkit_sync() -> Blocking:
    from smtpkit.sync import Pool, connect

    return Blocking(
        lambda port: connect("127.0.0.1", port, local_hostname="client.example"),
        lambda client, recipients, body: client.send(SENDER, recipients, body),
        lambda client: client.close(),
        lambda port: Pool("127.0.0.1", port, local_hostname="client.example", max_messages=10**9),
    )


def _smtplib() -> Blocking:
    from smtplib import SMTP

    return Blocking(
        lambda port: SMTP("127.0.0.1", port, local_hostname="client.example"),
        lambda client, recipients, body: client.sendmail(SENDER, recipients, body),
        SMTP.quit,
    )


def _smtpkit_asyncio() -> Awaiting:
    from smtpkit.asyncio import Client, Pool, connect

    async def opened(port: int) -> Client:
        return await connect("127.0.0.1", port, local_hostname="client.example")

    async def pool(port: int) -> Pool:
        return Pool("127.0.0.1", port, local_hostname="client.example", max_messages=10**9)

    async def send(client: Client | Pool, recipients: list[str], body: "Any") -> None:
        await client.send(SENDER, recipients, body)

    async def close(client: Client | Pool) -> None:
        await client.close()

    return Awaiting(opened, send, close, pool)


def _aiosmtplib() -> Awaiting:
    from aiosmtplib import SMTP

    async def connect(port: int) -> SMTP:
        client = SMTP(hostname="127.0.0.1", port=port, local_hostname="client.example", start_tls=False)
        await client.connect()
        return client

    async def send(client: SMTP, recipients: list[str], body: "Any") -> None:
        await client.sendmail(SENDER, recipients, body)

    return Awaiting(connect, send, SMTP.quit)


CLIENTS = {
    "floor": _floor,
    "floor, asyncio": _floor_asyncio,
    "smtpkit.sync": _smtpkit_sync,
    "smtplib": _smtplib,
    "smtpkit.asyncio": _smtpkit_asyncio,
    "aiosmtplib": _aiosmtplib,
}

BODIES: "dict[str, Callable[[], Any]]" = {
    "10 MiB held": lambda: base64_body(10 * _MIB),
    "10 MiB text held": lambda: text_body(10 * _MIB),
    "10 MiB in pieces": lambda: _pieces(10),
    "256 MiB in pieces": lambda: _pieces(256),
}


def _pieces(mebibytes: int) -> "Iterable[bytes]":
    return (_PIECE for _ in range(mebibytes * 16))


def main() -> None:
    client = CLIENTS[sys.argv[1]]()
    gc.disable()
    for line in sys.stdin:
        question = json.loads(line)
        if "body" in question:
            answer: float = client.peak(question["port"], BODIES[question["body"]])
        else:
            recipients, body, at_once, reconnect = CELLS[question["cell"]]
            work = Work(question["port"], recipients, body(), question["seconds"])
            connect = client.pool if question["cell"] == _POOLED else client.connect
            answer = client.measure(work, at_once, reconnect, connect)
            gc.collect()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
