"""What only an event loop can get wrong: buffers, threads with loops of their own, tasks."""

import asyncio
import gc
import socket
import struct
import threading
import weakref

import pytest

import smtpkit.asyncio
from smtpkit.asyncio.buffer import READ_SIZE, standing_buffer
from smtpkit.asyncio.transport import Transport
from smtpkit.protocol.client import ClientConnection
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.config import ClientConfig

BODY = b"Subject: test\r\n\r\n" + b"text\r\n" * 20_000


async def test_the_loop_reads_into_a_buffer_that_stands():
    transports = [Transport(ClientDriver(ClientConnection(ClientConfig()))) for _ in range(2)]
    buffers = [transport.get_buffer(-1) for transport in transports]
    assert buffers[0] is buffers[1]
    assert isinstance(buffers[0], memoryview)
    assert not buffers[0].readonly
    assert len(buffers[0]) == READ_SIZE


async def test_loops_in_several_threads_do_not_share_a_buffer():
    found = []
    ready = threading.Barrier(3)

    async def look():
        found.append(standing_buffer(asyncio.get_running_loop()))

    def run():
        asyncio.run(look())
        ready.wait(20)  # a thread that has ended gives its buffer back

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    ready.wait(20)
    for thread in threads:
        thread.join()
    assert found[0] is not found[1]


async def test_several_loops_at_once_carry_messages(asyncio_kit):
    inboxes = [[], [], []]

    async def carry(number):
        async def handler(message):
            inboxes[number].append(message.content)

        body = BODY.replace(b"text", b"te%dt" % number)
        async with smtpkit.asyncio.serve(handler, port=0) as server, smtpkit.asyncio.connect(*server.address) as client:
            for _ in range(5):
                await client.send("a@a.example", "b@b.example", iter([body]))
        return body

    threads = [asyncio.to_thread(asyncio.run, carry(number)) for number in range(3)]
    bodies = await asyncio.gather(*threads)
    assert inboxes == [[body] * 5 for body in bodies]


@pytest.mark.parametrize("flushed", [True, False])
async def test_an_end_before_all_has_left_is_a_loss(flushed):
    """What a peer that says no more has not read by then is no message whose verdict was lost."""
    told = []

    class Driver:
        unread, unread_limit = 0, 1

        def lost(self, error, *, flushed):
            told.append(("lost", flushed))

        def receive(self, octets):
            told.append(octets)

    transport = Transport(Driver())
    if not flushed:
        transport.pause_writing()
    transport.eof_received()
    assert told == ([b""] if flushed else [("lost", False), b""])


async def test_nothing_of_a_connection_is_left_when_it_has_gone(asyncio_kit):
    sessions = []

    class Watched(smtpkit.asyncio.Session):
        def __init__(self):
            sessions.append(weakref.ref(self))

        async def on_message(self, message):
            return None

    async with asyncio_kit.serve(Watched) as server:
        async with asyncio_kit.connect(server) as client:
            await client.send("a@a.example", "b@b.example", b"text\r\n")
        while server.connections:
            await asyncio.sleep(0.001)
        gc.collect()
        assert sessions[0]() is None


async def lost_among_its_commands(server, times=8000):
    """Reset a connection when the first of its many commands are answered."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.setblocking(False)
        await loop.sock_connect(sock, server.address)
        await loop.sock_sendall(sock, b"NOOP\r\n" * times)
        octets = b""
        while b"\r\n250 " not in octets:
            octets += await loop.sock_recv(sock, 512)


class Closing(smtpkit.asyncio.Session):
    """Counts its ends."""

    ends = 0

    async def on_close(self):
        Closing.ends += 1


@pytest.fixture
def closing():
    Closing.ends = 0
    return Closing


async def test_what_a_lost_connection_has_sent_is_worked_off_in_turns(asyncio_kit, closing):
    async with asyncio_kit.serve(closing) as server:
        await lost_among_its_commands(server)
        turns = 0
        while server.connections:
            await asyncio.sleep(0)
            turns += 1
        assert turns > 300
        assert closing.ends == 1
        assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("session", ["closing", "plain"])
async def test_a_server_closes_while_a_lost_connection_is_worked_off(asyncio_kit, closing, session):
    async with asyncio_kit.serve(closing if session == "closing" else None) as server:
        await lost_among_its_commands(server)
        for _ in range(20):
            await asyncio.sleep(0)
        assert server.connections == 1
        await server.close(grace=60)
        assert server.connections == 0
        assert closing.ends == (session == "closing")


async def test_a_lost_connection_that_is_aborted_has_ended(asyncio_kit, closing):
    async with asyncio_kit.serve(closing) as server:
        await lost_among_its_commands(server)
        for _ in range(20):
            await asyncio.sleep(0)
        assert server.connections == 1
        await server.close(grace=0)
        assert server.connections == 0
        assert closing.ends == 0


async def test_a_handler_that_is_cancelled_from_within_ends_its_connection_alone(asyncio_kit):
    async def handler(message):
        if message.sender == "bad@a.example":
            raise asyncio.CancelledError

    async with asyncio_kit.serve(handler) as server:
        async with asyncio_kit.peer(server) as peer:
            await peer.reply()
            await peer.say("EHLO client.example", "MAIL FROM:<bad@a.example>", "RCPT TO:<b@b.example>", "DATA")
            await peer.write(b".\r\n")
            assert await peer.ended()
        async with asyncio_kit.connect(server) as client:
            assert (await client.send("a@a.example", "b@b.example", b"text\r\n")).accepted


@pytest.mark.parametrize("debug", [False, True])
async def test_the_debug_mode_of_the_loop_finds_nothing(asyncio_kit, debug, caplog):
    asyncio.get_running_loop().set_debug(debug)
    async with asyncio_kit.serve() as server, asyncio_kit.connect(server) as client:
        await client.send("a@a.example", "b@b.example", BODY)
    assert not [record for record in caplog.records if record.name == "asyncio" and record.levelname == "ERROR"]
