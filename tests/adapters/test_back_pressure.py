"""What a server holds is bounded, whatever its clients do, and the others are served meanwhile."""

import asyncio
import socket
import tracemalloc

import pytest

from smtpkit import Limits

MANY = Limits(commands=10**9)


def connected(server, **options):
    """A socket that does not block, with small buffers."""
    sock = socket.socket()
    for option, size in options.items():
        sock.setsockopt(socket.SOL_SOCKET, getattr(socket, option), size)
    sock.connect(server.address)
    sock.setblocking(False)
    return sock


async def pour(sock, octets, most):
    """Write until the other side takes no more for a while; the number of octets that it took."""
    loop = asyncio.get_running_loop()
    taken = 0
    view = memoryview(octets)
    while taken < most:
        try:
            taken += sock.send(view)
        except BlockingIOError:
            writable = asyncio.Event()
            loop.add_writer(sock, writable.set)
            try:
                async with asyncio.timeout(0.15):
                    await writable.wait()
            except TimeoutError:
                return taken
            finally:
                loop.remove_writer(sock)
    return taken


async def read_lines(sock, count):
    """All that comes until there are so many lines."""
    octets = b""
    while octets.count(b"\r\n") < count:
        octets += await asyncio.get_running_loop().sock_recv(sock, 65536)
    return octets


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


async def test_a_slow_hook_stops_the_reading(kit, traced):
    begun, go_on = kit.Event(), kit.Event()

    class Slow:
        async def on_body(self, stream):
            async for _ in stream:
                begun.set()
                await go_on.wait()

    async with kit.serve(Slow, max_message_size=None) as server:
        sock = connected(server, SO_SNDBUF=64 * 1024)
        with sock:
            await asyncio.get_running_loop().sock_sendall(
                sock, b"EHLO client.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nx\r\n"
            )
            await begun.wait()
            tracemalloc.reset_peak()
            taken = await pour(sock, b"x" * 998 + b"\r\n", 40_000_000)
            assert taken < 20_000_000  # the kernel's buffers are not small
            assert tracemalloc.get_traced_memory()[1] < 1_500_000
            go_on.set()
            async with kit.connect(server) as client:
                await client.send("a@a.example", "b@b.example", b"text\r\n")


async def test_who_does_not_read_the_replies_is_read_no_more(kit, traced):
    async with kit.serve(limits=MANY) as server:
        with connected(server, SO_RCVBUF=4096, SO_SNDBUF=64 * 1024) as sock:
            taken = await pour(sock, b"NOOP\r\n" * 10_000, 60_000_000)
            assert taken < 60_000_000
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
            async with kit.connect(server) as client:
                await client.send("a@a.example", "b@b.example", b"text\r\n")


async def test_40_000_commands_in_one_write_are_all_answered_and_others_have_their_turn(kit):
    async with kit.serve(limits=MANY) as server, kit.connect(server) as other:
        with connected(server) as sock:
            sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(sock, b"NOOP\r\n" * 40_000))
            reading = asyncio.ensure_future(read_lines(sock, 40_001))
            await other.send("a@a.example", "b@b.example", b"text\r\n")
            await sending
            replies = (await reading).split(b"\r\n")
    assert replies[0].startswith(b"220 ")
    assert replies[1:] == [b"250 2.0.0 Ok"] * 40_000 + [b""]


async def test_too_many_commands_are_told_421(kit):
    async with kit.serve(limits=Limits(commands=500)) as server, kit.peer(server) as peer:
        await peer.write(b"NOOP\r\n" * 501)
        codes = []
        while (reply := await peer.reply()) is not None:
            codes.append(reply.code)
    assert codes == [220] + [250] * 500 + [421]


async def test_the_last_words_arrive_though_octets_are_unread(kit):
    """A TCP stack that closes with octets unread resets the connection, and the peer may lose the 421."""
    async with kit.serve(limits=Limits(commands=100)) as server, kit.peer(server) as peer:
        await peer.write(b"NOOP\r\n" * 200_000)
        codes = []
        while (reply := await peer.reply()) is not None:
            codes.append(reply.code)
    assert codes == [220] + [250] * 100 + [421]


async def test_a_line_without_end_is_bounded(kit, traced):
    async with kit.serve() as server, kit.peer(server) as peer:
        await peer.reply()
        for _ in range(100):
            await peer.write(b"x" * 65536)
        await peer.write(b"\r\n")
        assert (await peer.reply()).code == 500
        assert (await peer.say("NOOP")).code == 250
    assert tracemalloc.get_traced_memory()[1] < 3_000_000


async def test_many_connections_at_once(kit):
    async def one(number):
        async with kit.connect(server) as client:
            result = await client.send(f"a{number}@a.example", "b@b.example", b"text\r\n")
            assert result.accepted

    seen = set()

    async def handler(message):
        seen.add(message.sender)

    async with kit.serve(handler) as server:
        await asyncio.gather(*(one(number) for number in range(30)))
        assert server.counters["messages"] == 30
    assert len(seen) == 30
