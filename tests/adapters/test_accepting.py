"""Connections on their way in: as a server closes, in a process out of files, on sockets of all kinds."""

import asyncio
import contextlib
import errno
import os
import socket
import stat

import pytest

import smtpkit.asyncio
from smtpkit import Noop

BODY = b"Subject: test\r\n\r\ntext\r\n"


async def accept(message):
    return None


def dialed(address):
    return socket.create_connection(address, 20)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_who_comes_in_the_turn_in_which_the_server_closes_is_told_or_closed(turns):
    """A socket that was left unclosed would be a warning, and warnings are errors."""
    server = await smtpkit.asyncio.serve(accept, port=0)
    with dialed(server.address) as sock:
        sock.settimeout(20)
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.close()
        said = b""
        try:
            while octets := sock.recv(1000):
                said += octets
        except ConnectionResetError:
            pass  # it was not accepted yet
        assert said == b"" or said.startswith((b"421 ", b"220 "))
    assert server.connections == 0


async def test_a_loop_that_ends_leaves_no_connection_behind():
    async def part():
        server = await smtpkit.asyncio.serve(accept, port=0)
        sock = dialed(server.address)
        await asyncio.sleep(0)
        return server, sock

    server, sock = await part()
    server._acceptor._accept(next(iter(server._acceptor._sockets)))
    for task in server._acceptor._coming:
        task.cancel()
    await server.close()
    with sock:
        sock.settimeout(20)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""


async def test_a_process_out_of_files_goes_on_when_it_has_them_again(monkeypatch, caplog):
    failures = [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ECONNABORTED, "gone")]
    real = socket.socket.accept

    def accepting(sock):
        if failures:
            raise failures.pop(0)
        return real(sock)

    monkeypatch.setattr(socket.socket, "accept", accepting)
    monkeypatch.setattr("smtpkit.asyncio.sockets.PAUSE", 0.01)
    async with smtpkit.asyncio.serve(accept, port=0) as server, smtpkit.asyncio.connect(*server.address) as client:
        assert (await client.command(Noop())).code == 250
    assert "connections have to wait: Too many open files" in caplog.text


async def test_a_loop_without_readers_accepts_too(monkeypatch):
    loop = asyncio.get_running_loop()
    failures = [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ECONNABORTED, "gone")]
    real = loop.sock_accept

    def no_readers(*arguments):
        raise NotImplementedError

    async def accepting(sock):
        if failures:
            raise failures.pop(0)
        return await real(sock)

    monkeypatch.setattr(loop, "sock_accept", accepting)
    monkeypatch.setattr("smtpkit.asyncio.sockets.PAUSE", 0.01)
    with monkeypatch.context() as patched:
        patched.setattr(loop, "add_reader", no_readers)
        server = await smtpkit.asyncio.serve(accept, port=0)
    async with server, smtpkit.asyncio.connect(*server.address) as client:
        assert (await client.command(Noop())).code == 250


async def test_it_may_be_closed_while_it_waits_for_files(monkeypatch):
    def accepting(sock):
        raise OSError(errno.EMFILE, "Too many open files")

    server = await smtpkit.asyncio.serve(accept, port=0)
    with dialed(server.address):
        monkeypatch.setattr(socket.socket, "accept", accepting)
        while not server._acceptor._pausing:
            await asyncio.sleep(0.001)
        await server.close()


async def test_several_addresses_are_served_at_once(kit, tmp_path):
    path = str(tmp_path / "s")
    listener = kit.module.Listener
    listeners = [listener(port=0), listener("::1", 0), listener(unix=path, mode=0o620)]
    async with kit.serve(listeners=listeners) as server:
        assert len(server.addresses) == 3
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o620
        for address in (*server.addresses[:2], f"smtp+unix://{path}"):
            async with kit.connect(address) as client:
                assert (await client.send("a@a.example", "b@b.example", BODY)).accepted
        assert server.counters["messages"] == 3


async def test_two_servers_share_a_port(kit):
    async with kit.serve(port=0, reuse_port=True) as one, kit.serve(port=one.address[1], reuse_port=True) as other:
        assert one.address == other.address
        for _ in range(20):
            async with kit.connect(one) as client:
                await client.command(Noop())
        assert one.counters["connections"] + other.counters["connections"] == 20


async def test_a_socket_that_was_inherited_is_served(kit, monkeypatch):
    given = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr("smtpkit.endpoints._FIRST_INHERITED", given.fileno())
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "smtp"}
    listeners = kit.module.Listener.inherited(environ=environ)
    given.detach()
    async with kit.serve(listeners=listeners) as server, kit.connect(server) as client:
        assert (await client.command(Noop())).code == 250
