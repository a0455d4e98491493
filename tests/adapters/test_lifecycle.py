"""A server from its start to its end: what it listens on, whom it lets in, and how it goes."""

import asyncio
import errno
import gc
import os
import socket
import time
import weakref

import pytest

from smtpkit import Limits, Noop, ReplyError
from smtpkit.endpoints import Listener

BODY = b"Subject: test\r\n\r\ntext\r\n"
SOON = 10  # seconds that a busy machine takes for what is done at once


async def eventually(condition):
    """Wait for what another thread or task is about to bring about."""
    while not condition():
        await asyncio.sleep(0.001)


# Listening


async def test_a_port_in_use_is_an_oserror_of_the_caller(kit):
    async with kit.serve() as server:
        other = kit.server(port=server.address[1])
        with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1 port") as caught:
            await other.start()
        assert caught.value.errno == errno.EADDRINUSE
        async with kit.connect(server):
            pass


async def test_what_was_bound_before_a_failure_is_closed(kit, tmp_path):
    path = str(tmp_path / "s")
    async with kit.serve() as server:
        listeners = [kit.module.Listener(unix=path), kit.module.Listener(port=server.address[1])]
        with pytest.raises(OSError, match="cannot listen"):
            await kit.server(listeners=listeners).start()
    assert not os.path.exists(path)


async def test_a_unix_path_in_use_stays_with_its_server(kit, tmp_path):
    path = str(tmp_path / "s")
    async with kit.serve(unix=path):
        with pytest.raises(OSError, match="cannot listen on unix:"):
            await kit.server(unix=path).start()
        async with kit.connect(f"smtp+unix://{path}"):
            pass
    assert not os.path.exists(path)


async def test_a_socket_that_nobody_listens_on_is_replaced(kit, tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(path)
    async with kit.serve(unix=path), kit.connect(f"smtp+unix://{path}"):
        pass


async def test_a_file_that_is_no_socket_is_left_alone(kit, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(OSError, match="cannot listen on unix:"):
        await kit.server(unix=str(path)).start()
    assert path.read_text() == "data"


@pytest.mark.parametrize(
    "options", [{"host": "no..host", "port": 0}, {"unix": "/nowhere/at/all"}, {"unix": "/tmp/" + "x" * 200}]
)
async def test_what_cannot_be_listened_on_is_an_oserror(kit, options):
    with pytest.raises(OSError, match="cannot listen on"):
        await kit.server(**options).start()


@pytest.mark.parametrize("port", [-1, 65536])
async def test_what_is_no_port_is_a_value_error(kit, port):
    with pytest.raises(ValueError, match="port"):
        kit.server(port=port)


async def test_lmtp_is_never_spoken_on_the_port_of_smtp(kit):
    with pytest.raises(ValueError, match="LMTP is never spoken on port 25"):
        kit.server(port=25, lmtp=True)
    with pytest.raises(ValueError, match="LMTP is never spoken on port 25"):
        kit.server(listeners=[Listener("127.0.0.1", 0), Listener("127.0.0.1", 25)], lmtp=True)
    kit.server(unix="/run/lmtp", port=25, lmtp=True)


async def test_implicit_tls_needs_a_certificate(kit):
    with pytest.raises(ValueError, match="tls="):
        kit.server(implicit_tls=True)


async def test_the_address_is_known_after_the_end_too(kit, tmp_path):
    async with kit.serve() as server:
        address = server.address
        assert address[0] == "127.0.0.1"
        assert server.addresses == [address]
    assert server.address == address
    assert "127.0.0.1" in repr(getattr(server, "target", server))


async def test_a_server_without_tcp_has_no_address(kit, tmp_path):
    async with kit.serve(unix=str(tmp_path / "s")) as server:
        with pytest.raises(RuntimeError, match=r"\.addresses"):
            _ = server.address


async def test_several_processes_may_share_a_port(kit):
    async with kit.serve(reuse_port=True) as first, kit.serve(reuse_port=True, port=first.address[1]) as second:
        assert first.address == second.address


async def test_a_server_does_not_start_twice_nor_again(kit):
    async with kit.serve() as server:
        address = server.address
        await server.start()
        assert server.addresses == [address]
    with pytest.raises(RuntimeError, match="closed"):
        await server.start()


async def test_a_server_may_be_awaited(asyncio_kit):
    server = await asyncio_kit.server()
    async with server as same, asyncio_kit.connect(same):
        assert same is server


# Serving for ever, and closing


async def test_serve_forever_ends_when_the_server_is_closed(kit):
    server = kit.server()
    waiting = asyncio.ensure_future(server.serve_forever())
    await eventually(lambda: server.addresses)
    async with kit.connect(server):
        pass
    await server.close()
    await waiting


async def test_serve_forever_that_is_cancelled_closes_the_server(asyncio_kit):
    server = asyncio_kit.server()
    waiting = asyncio.ensure_future(server.serve_forever())
    await eventually(lambda: server.addresses)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*server.address)


async def test_closing_is_idempotent_and_may_come_first(kit):
    server = kit.server()
    await server.close()
    await server.close()
    async with kit.serve() as server:
        await asyncio.gather(server.close(), server.close())
        await server.close()


async def test_idle_clients_are_told_when_the_server_goes(kit):
    async with kit.serve() as server, kit.peer(server) as fresh, kit.peer(server) as idle:
        await fresh.reply()
        await idle.reply()
        await idle.say("EHLO client.example")
        await eventually(lambda: server.connections == 2)
        await server.close(grace=10)
        for peer in (fresh, idle):
            assert str(await peer.reply()) == "421 4.3.2 Service is shutting down"
            assert await peer.reply() is None
        assert server.connections == 0


async def test_a_transaction_under_way_is_finished(mixed):
    inbox = []

    async def handler(message):
        inbox.append(message.content)

    async with mixed.serve(handler) as server, mixed.peer(server) as peer:
        await peer.begin()
        await peer.write(b"half")
        closing = asyncio.ensure_future(server.close(grace=10))
        await stopped_listening(server.address)
        await peer.write(b" and half\r\n.\r\n")
        assert (await peer.reply()).code == 250
        assert (await peer.reply()).code == 421
        await closing
    assert inbox == [b"half and half\r\n"]


async def stopped_listening(address):
    def is_free():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
                probe.listen()
            except OSError:
                return False
            return True

    await eventually(is_free)


async def test_a_handler_under_way_is_waited_for(kit):
    begun, go_on = kit.Event(), kit.Event()

    async def handler(message):
        begun.set()
        await go_on.wait()

    async with kit.serve(handler) as server:
        client = await kit.connected(server)
        sending = asyncio.ensure_future(client.send("a@a.example", "b@b.example", BODY))
        await begun.wait()
        closing = asyncio.ensure_future(server.close(grace=10))
        await stopped_listening(server.address)
        go_on.set()
        result = await sending
        assert result.accepted
        await closing
        await client.close()


async def test_silence_holds_the_end_up_for_the_grace_alone(kit):
    async with kit.serve() as server, kit.peer(server) as peer:
        await peer.begin()
        await peer.write(b"half")
        started = time.monotonic()
        await server.close(grace=0.1)
        assert 0.1 <= time.monotonic() - started < SOON
        assert await peer.ended()
        assert server.connections == 0


async def test_a_peer_that_does_not_read_holds_the_end_up_for_the_grace_alone(kit):
    async with kit.serve(limits=Limits(commands=10**7)) as server:
        sock = await deaf(server)
        with sock:
            started = time.monotonic()
            await server.close(grace=0.1)
            assert time.monotonic() - started < SOON
            assert server.connections == 0


async def deaf(server, line=b"HELP\r\n"):
    """A client that asks until the server can say no more, and reads nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(server.address)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        while True:
            async with asyncio.timeout(0.2):
                await loop.sock_sendall(sock, line * 1000)
    except TimeoutError:
        return sock


async def test_a_hook_that_never_ends_does_not_hold_the_end_up(asyncio_kit):
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(message):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with asyncio_kit.serve(handler) as server, asyncio_kit.peer(server) as peer:
        await peer.begin()
        await peer.write(b".\r\n")
        await begun.wait()
        await server.close(grace=0.01)
        assert cancelled.is_set()
        assert await peer.ended()


# Limits that the adapters keep


async def test_connections_beyond_the_limit_are_told_421(kit):
    async with kit.serve(limits=Limits(connections=2)) as server:
        async with kit.peer(server) as first, kit.peer(server) as second:
            assert (await first.reply()).code == 220
            assert (await second.reply()).code == 220
            with pytest.raises(ReplyError, match=r"421 4\.3\.2"):
                await kit.connected(server)
        await eventually(lambda: server.connections == 0)
        async with kit.connect(server) as client:
            await client.command(Noop())
        counted = {name: number for name, number in server.counters.items() if number}
        assert counted == {"connections": 4, "refused": 1, "over_connections": 1}


async def test_connections_of_one_address_are_counted_apart(kit):
    async with kit.serve(host="", port=0, limits=Limits(per_address=1)) as server:
        port = server.addresses[0][1]
        async with kit.peer(("127.0.0.1", port)) as first, kit.peer(("127.0.0.1", port)) as second:
            assert (await first.reply()).code == 220
            assert str(await second.reply()) == "421 4.3.2 Too many connections"
            async with kit.peer(("127.0.0.1", port), local_addr=("127.0.0.2", 0)) as elsewhere:
                assert (await elsewhere.reply()).code == 220


async def test_a_unix_socket_has_no_limit_for_an_address(kit, tmp_path):
    path = str(tmp_path / "s")
    async with kit.serve(unix=path, limits=Limits(per_address=1)), kit.peer(path) as first, kit.peer(path) as second:
        assert (await first.reply()).code == 220
        assert (await second.reply()).code == 220


async def test_silence_is_told_421(kit):
    async with kit.serve(limits=Limits(idle=0.05)) as server, kit.peer(server) as peer:
        assert (await peer.reply()).code == 220
        assert str(await peer.reply()) == "421 4.4.2 Idle for too long"
        assert await peer.reply() is None


async def test_silence_in_the_middle_of_a_body_is_told_421(kit):
    for hooks in (None, reading()):
        async with kit.serve(hooks, limits=Limits(idle=0.5)) as server, kit.peer(server) as peer:
            await peer.begin()
            await peer.write(b"half")
            assert (await peer.reply()).code == 421
            assert await peer.reply() is None


def reading():
    class Reading:
        async def on_body(self, stream):
            async for _ in stream:
                pass

    return Reading


async def test_one_octet_now_and_then_does_not_keep_a_connection(kit):
    async with kit.serve(limits=Limits(idle=0.15)) as server, kit.peer(server) as peer:
        await peer.reply()

        async def drip():
            while True:
                await peer.write(b"N")
                await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())
        started = time.monotonic()
        assert (await peer.reply()).code == 421
        assert time.monotonic() - started < SOON
        dripping.cancel()


async def test_a_busy_connection_may_be_older_than_the_limit_for_silence(kit):
    async with kit.serve(limits=Limits(idle=1)) as server, kit.peer(server) as peer:
        await peer.reply()
        started = time.monotonic()
        while time.monotonic() - started < 1.2:
            assert (await peer.say("NOOP")).code == 250
            await asyncio.sleep(0.02)


async def test_a_hook_may_take_longer_than_the_limit_for_silence(kit):
    async def handler(message):
        await go_on.wait()

    go_on = kit.Event()
    async with kit.serve(handler, limits=Limits(idle=0.5)) as server, kit.peer(server) as peer:
        await peer.begin()
        await peer.write(b".\r\n")
        await asyncio.sleep(0.7)
        go_on.set()
        assert (await peer.reply()).code == 250
        assert (await peer.say("NOOP")).code == 250


async def test_a_handshake_that_stalls_is_ended_by_the_grace(kit):
    async with kit.serve(tls=kit.tls("server"), implicit_tls=True) as server, kit.peer(server) as peer:
        await eventually(lambda: server.connections == 1)
        await server.close(grace=10)
        assert await peer.ended()


async def test_content_that_comes_too_slowly_is_told_421(kit, monkeypatch):
    monkeypatch.setattr("smtpkit.protocol.server_driver._MINUTE", 0.1)
    async with kit.serve(limits=Limits(minimum_rate=1000)) as server, kit.peer(server) as peer:
        await peer.begin()

        async def drip():
            while True:
                await peer.write(b"line\r\n")
                await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())
        assert str(await peer.reply()) == "421 4.4.2 Content comes too slowly"
        dripping.cancel()
        assert server.counters["over_minimum_rate"] == 1


async def test_a_peer_that_neither_reads_nor_goes_does_not_linger_for_ever(kit, monkeypatch):
    monkeypatch.setattr(f"smtpkit.{kit.colour}.transport._LINGER", 0.05)
    async with kit.serve() as server, kit.peer(server) as peer:
        await peer.reply()
        assert (await peer.say("QUIT")).code == 221
        await eventually(lambda: server.connections == 0)


async def test_a_connection_that_lingers_does_not_hold_the_end_up(kit, monkeypatch):
    monkeypatch.setattr(f"smtpkit.{kit.colour}.transport._LINGER", 60)
    async with kit.serve() as server, kit.peer(server) as peer:
        await peer.reply()
        assert (await peer.say("QUIT")).code == 221
        assert await peer.reply() is None
        started = time.monotonic()
        await server.close(grace=60)
        assert time.monotonic() - started < SOON


async def test_a_client_that_goes_while_its_hook_runs(kit):
    begun, go_on, closed = kit.Event(), kit.Event(), kit.Event()

    class Slow:
        async def on_message(self, message):
            begun.set()
            await go_on.wait()

        async def on_close(self):
            closed.set()

    async with kit.serve(Slow) as server:
        async with kit.peer(server) as peer:
            await peer.begin()
            await peer.write(b".\r\n")
            await begun.wait()
            peer.reset()
        assert server.connections == 1
        go_on.set()
        await closed.wait()
        await eventually(lambda: server.connections == 0)


async def test_a_client_that_has_said_all_may_half_close_and_still_hears(kit):
    """RFC 5321 says nothing of half-closed connections; what was sent whole is answered."""
    async with kit.serve() as server, kit.peer(server) as peer:
        await peer.write(b"EHLO client.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n.\r\n")
        peer.writer.write_eof()
        codes = []
        while (reply := await peer.reply()) is not None:
            codes.append(reply.code)
        assert codes == [220, 250, 250, 250, 354, 250]


async def test_a_socket_that_was_reset_before_it_was_served(kit):
    async with kit.serve() as server:
        for _ in range(5):
            sock = socket.create_connection(server.address)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()
        async with kit.connect(server) as client:
            assert (await client.send("a@a.example", "b@b.example", b"text\r\n")).accepted


async def test_what_a_connection_held_is_free_when_it_ends(kit):
    sessions = []

    class Hooks:
        async def on_message(self, message):
            sessions.append(weakref.ref(message.session))

    gc.disable()  # which would find it, but later
    try:
        async with kit.serve(Hooks) as server:
            async with kit.connect(server) as client:
                await client.send("a@a.example", ["b@b.example"], BODY)
            await eventually(lambda: sessions[0]() is None)
    finally:
        gc.enable()
