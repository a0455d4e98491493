"""Hooks that do not return: the client is told, the server goes on, and nobody hears two answers."""

import asyncio
import threading
from contextlib import asynccontextmanager, suppress
from time import monotonic

import pytest

import smtpkit.asyncio.connection
from smtpkit import Limits
from smtpkit.sync import ServerObserver

HANGING = Limits(handler=0.1)  # seconds
ALONE = Limits(handler=0.1, connections=1)
COMMANDS = ("EHLO c.example", "MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>", "DATA")


class Limiting(ServerObserver):
    def __init__(self):
        self.limits = []
        self.closed_ones = 0

    def limit_reached(self, session, limit):
        self.limits.append(limit)

    def closed(self, session, seconds):
        self.closed_ones += 1


class Release:
    """What hanging hooks wait for; what leaves its block lets them go on, for threads cannot be ended."""

    def __init__(self):
        self._event = threading.Event()
        self.is_set = self._event.is_set
        self.set = self._event.set

    async def wait(self):
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            assert self._event.wait(10)
        else:
            await until(self.is_set)

    def block(self):
        assert self._event.wait(10)


@pytest.fixture
def release():
    return Release()


@asynccontextmanager
async def serving(kit, handler, release, **options):
    async with kit.serve(handler, **options) as server:
        try:
            yield server
        finally:
            release.set()


def hanging(release, at, log):
    """A session whose hook of this name waits for the release."""

    async def hang(self, argument=None):
        await release.wait()
        log.append("late")

    async def on_close(self):
        log.append("closed")

    return type("Hanging", (), {"on_close": on_close, at: hang})


async def send(peer, commands=COMMANDS):
    """Say all of a message; the reply to the last of it, and those before were good."""
    for command in commands:
        reply = await peer.say(command)
        if reply.code >= 400:
            return reply
    return await peer.say("hi\r\n.")


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("hook", ["on_hello", "on_mail", "on_rcpt", "on_message", "on_body"])
async def test_a_hook_that_hangs_is_answered_for(kit, release, hook, caplog):
    log, observer = [], Limiting()
    session = hanging(release, hook, log)
    async with serving(kit, session, release, limits=HANGING, observer=observer) as server:
        async with kit.peer(server) as peer:
            await peer.reply()
            reply = await send(peer)
            if kit.colour == "asyncio":
                assert (reply.code, str(reply.enhanced)) == (451, "None" if hook == "on_hello" else "4.3.0")
                assert (await peer.say("NOOP")).code == 250
                assert (await peer.say("QUIT")).code == 221
            else:
                assert (reply.code, str(reply.enhanced)) == (421, "4.3.0")
            assert await peer.ended()
        release.set()
        await until(lambda: "closed" in log)
        assert server.counters["over_handler"] == 1
        assert server.counters["messages"] == server.counters["failures"] == 0
        assert observer.limits == ["handler"]
    assert f"{hook} takes too long" in caplog.text
    assert observer.closed_ones == 1


async def test_others_are_served_while_a_hook_hangs(kit, release):
    async def hang_once(message):
        if message.envelope.sender.local_part == "hang":
            await release.wait()

    async with serving(kit, hang_once, release, limits=Limits(handler=0.2)) as server, kit.peer(server) as peer:
        await peer.reply()
        waiting = asyncio.create_task(send(peer, ("EHLO c", "MAIL FROM:<hang@a.example>", *COMMANDS[2:])))
        async with kit.connect(server) as client:
            assert await client.send("a@a.example", "b@b.example", b"hi\r\n")
        assert (await waiting).code in (421, 451)


async def test_what_answers_late_is_not_heard(kit, release):
    log = []

    async def late(message):
        try:
            await release.wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        log.append("late")

    async with serving(kit, late, release, limits=HANGING) as server, kit.peer(server) as peer:
        await peer.reply()
        assert (await send(peer)).code in (421, 451)
        release.set()
        await until(lambda: log)
        peer.writer.write_eof()
        assert await peer.reply() is None
        await until(lambda: server.counters["messages_refused"])
        assert server.counters["messages"] == 0
        assert log == (["cancelled"] if kit.colour == "asyncio" else ["late"])


async def test_who_waits_for_the_next_piece_does_not_hang(kit):
    async def read(self, stream):
        async for _ in stream:
            pass

    async with kit.serve(type("Reading", (), {"on_body": read}), limits=HANGING) as server, kit.peer(server) as peer:
        await peer.begin()
        for _ in range(3):
            await asyncio.sleep(0.15)  # the client takes longer than the hook may
            await peer.write(b"hi\r\n")
        assert (await peer.say(".")).code == 250
        assert server.counters["over_handler"] == 0


async def test_a_hook_that_hangs_between_two_pieces_is_answered_for(kit, release):
    log = []

    async def read(self, stream):
        async for _ in stream:
            with suppress(asyncio.CancelledError):  # and asks for the next piece
                await release.wait()
        log.append("read")

    async with (
        serving(kit, type("Stuck", (), {"on_body": read}), release, limits=HANGING) as server,
        kit.peer(server) as peer,
    ):
        await peer.begin()
        await peer.write(b"hi\r\n")
        await until(lambda: server.counters["over_handler"])
        if kit.colour == "sync":
            assert (await peer.reply()).code == 421
            release.set()
        else:
            assert (await peer.say(".")).code == 451
    assert not log


@pytest.mark.parametrize("hook", ["on_connect", "on_close", "on_reset"])
async def test_a_hook_at_the_edge_of_a_session_keeps_nobody(kit, release, hook):
    async with serving(kit, hanging(release, hook, []), release, limits=HANGING) as server:
        async with kit.peer(server) as peer:
            if (await peer.reply()).code == 220:
                await peer.say(*COMMANDS[:2])
            await peer.write(b"QUIT\r\n")
            assert await peer.ended()
        await until(lambda: not server.connections)
        assert server.counters["over_handler"] == 1


async def test_a_login_that_hangs_is_answered_for(kit, release):
    session = hanging(release, "on_login", [])
    async with serving(kit, session, release, limits=HANGING, auth="optional", tls=kit.tls("server")) as server:
        with pytest.raises(Exception, match=r"4[25]1"):
            async with kit.connect(server, cafile=kit.cafile, auth=("user", "secret"), tls="required"):
                pass
        assert server.counters["over_handler"] == 1


async def test_under_tls_too_it_is_said(kit, release):
    async with (
        serving(kit, hanging(release, "on_message", []), release, limits=HANGING, tls=kit.tls("server")) as server,
        kit.connect(server, cafile=kit.cafile) as client,
    ):
        with pytest.raises(Exception, match=r"4[25]1.*too long"):
            await client.send("a@a.example", "b@b.example", b"hi\r\n")


async def test_what_goes_on_keeps_its_place_among_the_connections(kit, release, monkeypatch):
    monkeypatch.setattr(smtpkit.asyncio.connection, "_STUBBORN", 0.05)

    async def stubborn(message):
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()

    async with serving(kit, stubborn, release, limits=ALONE) as server:
        async with kit.peer(server) as peer:
            await peer.reply()
            reply = await send(peer)
            assert (reply.code, str(reply.enhanced)) == (421, "4.3.0")
            assert await peer.ended()
        await until(lambda: not server.connections)
        async with kit.peer(server) as peer:
            assert (await peer.reply()).code == 421
        release.set()
        while True:
            async with kit.peer(server) as peer:
                if (await peer.reply()).code == 220:
                    break
        assert server.counters["messages"] == 0


async def test_a_server_closes_without_waiting_for_what_was_left_behind(kit, release, monkeypatch):
    monkeypatch.setattr(smtpkit.asyncio.connection, "_STUBBORN", 0.05)

    async def stubborn(message):
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()

    server = kit.server(stubborn, limits=HANGING)
    await server.start()
    async with kit.peer(server) as peer:
        await peer.reply()
        await send(peer)
    await until(lambda: not server.connections)
    began = monotonic()
    await server.close(grace=60)
    release.set()
    assert monotonic() - began < 10


async def test_a_hook_of_an_hour_is_no_matter_without_a_limit(kit):
    async def quick(message):
        pass

    async with kit.serve(quick, limits=Limits(handler=None)) as server, kit.connect(server) as client:
        assert await client.send("a@a.example", "b@b.example", b"hi\r\n")


async def test_the_session_is_ended_where_no_thread_can_be_made(release, monkeypatch, kit):
    if kit.colour == "asyncio":
        return  # no thread is wanted there

    class NoThread:
        def __init__(self, **_):
            pass

        def start(self):
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr("smtpkit.sync.connection.Thread", NoThread)
    async with (
        serving(kit, hanging(release, "on_message", []), release, limits=HANGING) as server,
        kit.peer(server) as peer,
    ):
        await peer.begin()
        await peer.write(b"hi\r\n.\r\n")
        assert await peer.ended()
        release.set()
        await until(lambda: not server.connections)


async def test_a_function_in_a_worker_thread_is_left_to_end_by_itself(kit, release):
    if kit.colour == "sync":
        return  # each connection has a thread there

    def plain(message):
        assert release.block() is None

    async with serving(kit, plain, release, in_thread=True, limits=HANGING) as server, kit.peer(server) as peer:
        await peer.reply()
        assert (await send(peer)).code == 451
        release.set()
        assert (await peer.say("NOOP")).code == 250
