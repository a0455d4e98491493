"""A pool in both colours: few connections, used again only while they are alive, and none of them ever lost."""

import asyncio
import random
import socket
import subprocess
import sys
import threading
import time
import types
from contextlib import suppress
from email.message import EmailMessage

import pytest

import smtpkit.asyncio
import smtpkit.sync
from smtpkit import (
    DSN,
    AuthPolicy,
    ConnectionLost,
    Limits,
    LocalProtocolError,
    Mailbox,
    Noop,
    NotSupported,
    ParseError,
    RecipientsRefused,
    Reply,
    SenderRefused,
    ServerConfig,
    SMTPError,
    Timeout,
    Verdict,
)
from smtpkit.wire.commands import Mail

BODY = b"Subject: test\r\n\r\nline\r\n"
SEND = ("a@a.example", "b@b.example", BODY)


def storing(inbox, answer=None):
    async def handler(message):
        inbox.append(message)
        return answer

    return handler


async def content_of(peer):
    """Read a message's content; False if the client went in the middle."""
    while (line := await peer.reader.readline()) != b".\r\n":
        if not line:
            return False
    return True


class Scripted:
    """A server that takes messages, unless told otherwise.

    Args:
        on: what it does in the place of its standard reply: line -> reply; None closes.  For each connection one
            mapping, the last for all others.
        rest: what it says, unasked, when the first connection's message is over, before it closes; None to go on.
    """

    def __init__(self, *on, rest=None):
        self.on = on or ({},)
        self.rest = rest
        self.lines = []  # of each connection
        self.gone = asyncio.Event()  # after `rest` the line is closed

    async def __call__(self, peer):
        on = self.on[min(len(self.lines), len(self.on) - 1)]
        lines = []
        self.lines.append(lines)
        await peer.write(b"220 mx.example\r\n")
        while line := await peer.line():
            lines.append(line)
            verb = line[:4].upper()
            reply = on.get(line, on.get(verb, {"DATA": "354 go", "QUIT": "221 bye"}.get(verb, "250 ok")))
            if callable(reply):
                reply = reply(lines)
            if verb == "BDAT":
                await peer.reader.readexactly(int(line.split()[1]))
            if reply is None:
                return
            if not reply:
                continue  # silence
            await peer.write(f"{reply}\r\n".encode())
            if reply[0] == "3":
                if not await content_of(peer):
                    return
                ending = on.get(".", "250 taken")
                if ending is None:
                    return
                await peer.write(f"{ending}\r\n".encode())
                if self.rest is not None and len(self.lines) == 1:
                    await peer.write(self.rest)
                    peer.close()
                    await peer.writer.wait_closed()
                    self.gone.set()
                    return
            if reply[:3] in ("221", "421"):
                return


def second(reply):
    """What to answer when a verb comes for the second time."""
    return lambda lines: reply if sum(line[:4] == lines[-1][:4] for line in lines) > 1 else "250 ok"


async def settled(condition):
    """Wait until the other side has come so far."""
    while not condition():
        await asyncio.sleep(0.002)


# What a pool is for


async def test_nothing_is_opened_until_it_is_used(kit):
    async with kit.serve() as server, kit.pool(server) as pool:
        assert pool.stats.opened == server.counters["connections"] == 0
        assert "0 in use of 3, 0 idle" in repr(getattr(pool, "target", pool))
        await pool.send(*SEND)
        assert pool.stats.opened == server.counters["connections"] == 1


async def test_a_connection_is_used_again_without_another_hello_or_reset(kit):
    play = Scripted()
    async with kit.script(play) as address, kit.pool(address) as pool:
        for _ in range(3):
            await pool.send(*SEND)
        await pool.send_message(email())
        assert (pool.stats.opened, pool.stats.reused, pool.stats.messages) == (1, 3, 4)
    await settled(lambda: play.lines[0][-1] == "QUIT")
    verbs = [line[:4] for line in play.lines[0] if line[:4] in ("EHLO", "MAIL", "RSET", "QUIT", "NOOP")]
    assert verbs == ["EHLO", "MAIL", "MAIL", "MAIL", "MAIL", "QUIT"]


def email():
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@a.example", "b@b.example", "test"
    message.set_content("text\n")
    return message


async def test_results_options_and_errors_are_those_of_a_client(kit):
    class Session:
        async def on_rcpt(self, command):
            return Reply(550, "no such user", "5.1.1") if command.forward_path.local_part == "no" else None

    async with kit.serve(Session) as server, kit.pool(server) as pool:
        result = await pool.send("a@a.example", ["no@b.example", "b@b.example"], BODY)
        assert [outcome.verdict for outcome in result.recipients.values()] == [Verdict.REFUSED, Verdict.ACCEPTED]
        with pytest.raises(RecipientsRefused):
            await pool.send("a@a.example", ["no@b.example", "b@b.example"], BODY, raise_for="any")
        with pytest.raises(RecipientsRefused):
            await pool.send("a@a.example", "no@b.example", BODY)
        with pytest.raises(NotSupported):
            await pool.send(*SEND, dsn=DSN(ret="HDRS"))
        with pytest.raises(ParseError):
            await pool.send("a@a.example", "b b", BODY)
        with pytest.raises(TypeError, match="no option sise"):
            await pool.send(*SEND, sise=3)
        assert pool.stats.opened == 1  # none of this is a reason for another connection
        assert pool.stats.in_use == 0


async def test_a_connection_carries_no_more_messages_than_it_may(kit):
    play = Scripted()
    async with kit.script(play) as address, kit.pool(address, max_messages=2) as pool:
        for _ in range(5):
            await pool.send(*SEND)
        await settled(lambda: [lines[-1] for lines in play.lines[:2]] == ["QUIT", "QUIT"])
        assert [sum(line.startswith("MAIL") for line in lines) for lines in play.lines] == [2, 2, 1]


async def test_a_servers_limits_of_a_session_are_kept(kit):
    config = ServerConfig("mx.example", extensions=["PIPELINING", "LIMITS"], limits=Limits(transactions=2))
    async with kit.serve(config=config) as server, kit.pool(server) as pool:
        for _ in range(5):
            await pool.send(*SEND)
        assert (pool.stats.opened, pool.stats.lost) == (3, 0)
    play = Scripted({"EHLO": "250-mx.example\r\n250 LIMITS RCPTDOMAINMAX=1"})
    async with kit.script(play) as address, kit.pool(address) as pool:
        await pool.send(*SEND)
        await pool.send("a@a.example", "c@c.example", BODY)
        assert (pool.stats.opened, pool.stats.lost) == (2, 0)
        await settled(lambda: play.lines[0][-1] == "QUIT")


async def test_what_rested_too_long_is_not_used_again_and_gets_a_farewell(kit):
    play = Scripted()
    async with kit.script(play) as address, kit.pool(address, max_idle=0.01) as pool:
        await pool.send(*SEND)
        await asyncio.sleep(0.02)
        await pool.send(*SEND)
        await settled(lambda: play.lines[0][-1] == "QUIT")
        assert (pool.stats.opened, pool.stats.lost) == (2, 0)


async def test_there_are_never_more_connections_than_the_size(kit):
    most, inbox = 0, []

    class Session:
        async def on_message(self, message):
            nonlocal most
            most = max(most, server.connections)
            inbox.append(message)

    async with kit.serve(Session) as server, kit.pool(server, size=2) as pool:
        await asyncio.gather(*(pool.send(*SEND) for _ in range(20)))
        assert len(inbox) == pool.stats.messages == 20
        assert most <= 2
        assert pool.stats.opened <= 2
        assert pool.stats.in_use == pool.stats.waiting == 0


async def test_who_waits_is_served_in_turn(kit):
    inbox = []
    async with kit.serve(storing(inbox)) as server, kit.pool(server, size=1) as pool:
        async with kit.lent(pool):
            sends = []
            for number in range(5):
                sends.append(asyncio.ensure_future(pool.send("a@a.example", f"b{number}@b.example", BODY)))
                await settled(lambda number=number: pool.stats.waiting == number + 1)
        await asyncio.gather(*sends)
    assert [message.recipients[0] for message in inbox] == [f"b{number}@b.example" for number in range(5)]


async def test_the_rate_spaces_messages(kit):
    async with kit.serve() as server, kit.pool(server, rate=50, size=2) as pool:
        began = time.monotonic()
        await asyncio.gather(*(pool.send(*SEND) for _ in range(5)))
        assert time.monotonic() - began >= 0.079


async def test_a_deadline_bounds_the_wait_for_a_connection(kit):
    async with kit.serve() as server, kit.pool(server, size=1) as pool:
        async with kit.lent(pool):
            with pytest.raises(Timeout, match="deadline") as caught:
                await pool.send(*SEND, deadline=0.02)
            with pytest.raises(Timeout):
                async with kit.lent(pool, deadline=0.02):
                    pass
        assert (caught.value.stage, caught.value.may_retry) == ("pool", True)
        assert pool.stats.in_use == pool.stats.waiting == 0
        await pool.send(*SEND)


async def test_a_deadline_bounds_a_server_that_is_silent(kit):
    async def play(peer):
        await peer.ended()

    async with kit.script(play) as address, kit.pool(address, size=1, deadline=0.5) as pool:
        with pytest.raises(Timeout) as caught:
            await pool.send(*SEND)
        assert caught.value.stage == "greeting"
        assert pool.stats.in_use == 0


# Connections that died


@pytest.mark.parametrize("rest", [b"", b"421 idle for too long\r\n", b"451 4.4.2 Timeout waiting for data\r\n"])
async def test_a_connection_that_ended_while_it_rested_is_not_used_again(kit, rest):
    play = Scripted({}, rest=rest)
    async with kit.script(play) as address, kit.pool(address) as pool:
        await pool.send(*SEND)
        await play.gone.wait()
        await pool.send(*SEND, retry=None)
        assert (pool.stats.opened, pool.stats.reused, pool.stats.lost) == (2, 0, 1)
    assert sum(line.startswith("MAIL") for line in play.lines[0]) == 1


async def test_under_tls_too_and_one_login_serves_a_connection(kit, monkeypatch):
    monkeypatch.setattr(sys.modules[f"smtpkit.{kit.colour}.transport"], "_LINGER", 0.01)
    logins = []

    def verify(question):
        logins.append(question)
        return True

    server = kit.serve(tls=kit.tls("server"), auth=AuthPolicy(verify, mechanisms=["PLAIN"]), limits=Limits(idle=1))
    options = {"tls": "required", "auth": ("ada", "secret"), "cafile": kit.cafile}
    async with server as server, kit.pool(("localhost", server.address[1]), **options) as pool:
        for _ in range(3):
            await pool.send(*SEND)
        assert len(logins) == pool.stats.opened == 1
        await settled(lambda: server.connections == 0)  # the server does not wait longer
        await pool.send(*SEND)
        assert (len(logins), pool.stats.opened, pool.stats.lost) == (2, 2, 1)


async def test_lmtp_tells_of_each_recipient(kit, tmp_path):
    async def handler(message):
        return [Reply(250, "ok"), Reply(452, "full", "4.2.2")]

    path = str(tmp_path / "lmtp")
    async with kit.serve(handler, unix=path, lmtp=True), kit.pool(f"lmtp+unix://{path}") as pool:
        for _ in range(2):
            result = await pool.send("a@a.example", ["b@b.example", "c@c.example"], BODY)
            assert (list(result.accepted), list(result.deferred)) == (["b@b.example"], ["c@c.example"])
        assert pool.stats.opened == 1


@pytest.mark.parametrize("reply", [None, "421 idle for too long", "451 4.4.2 timeout waiting for data"])
async def test_one_new_connection_is_free_if_a_used_one_was_dead(kit, reply):
    play = Scripted({"MAIL": second(reply)}, {})
    async with kit.script(play) as address, kit.pool(address) as pool:
        await pool.send(*SEND)
        result = await pool.send(*SEND)
        assert list(result.accepted) == ["b@b.example"]
        still_listens = reply is not None and reply.startswith("451")  # and gets a QUIT
        assert (pool.stats.opened, pool.stats.reused, pool.stats.lost) == (2, 1, 0 if still_listens else 1)


@pytest.mark.parametrize("reply", [None, "421 idle for too long"])
async def test_what_rested_is_not_trusted_with_content_before_it_was_heard(kit, monkeypatch, reply):
    monkeypatch.setattr(smtpkit.pooling, "_RESTED", 0.0)
    hello = "250-mx.example\r\n250-PIPELINING\r\n250 CHUNKING"
    play = Scripted({"EHLO": hello, "MAIL": second(reply)}, {"EHLO": hello})
    async with kit.script(play) as address, kit.pool(address) as pool:
        await pool.send(*SEND, chunking=False)
        await pool.send(*SEND, chunking=None)
        assert (pool.stats.opened, pool.stats.reused, pool.stats.lost) == (2, 1, 1)


async def test_but_only_one(kit):
    play = Scripted({"MAIL": second(None)}, {"MAIL": None})
    async with kit.script(play) as address, kit.pool(address) as pool:
        await pool.send(*SEND)
        with pytest.raises(ConnectionLost) as caught:
            await pool.send(*SEND)
        assert caught.value.may_retry
        assert len(play.lines) == 2
        assert pool.stats.in_use == pool.stats.idle == 0


async def test_a_first_use_that_fails_is_told(kit):
    play = Scripted({"MAIL": None})
    async with kit.script(play) as address, kit.pool(address) as pool:
        with pytest.raises(ConnectionLost):
            await pool.send(*SEND)
        assert len(play.lines) == 1


async def test_what_may_have_been_accepted_is_not_sent_again(kit):
    connections = []

    async def lose(peer):
        # The first message is taken; the line breaks after the last octet of the second.
        connections.append(lines := [])
        await peer.write(b"220 mx.example\r\n")
        while line := await peer.line():
            lines.append(line)
            if line == "DATA":
                await peer.write(b"354 go\r\n")
                if not await content_of(peer):
                    return
                if lines.count("DATA") == 2:
                    return
            await peer.write(b"250 ok\r\n")

    async with kit.script(lose) as address, kit.pool(address) as pool:
        await pool.send(*SEND)
        with pytest.raises(ConnectionLost) as caught:
            await pool.send(*SEND)
        assert caught.value.recipients["b@b.example"].verdict is Verdict.UNKNOWN
        assert len(connections) == 1


async def test_a_body_that_was_read_is_not_sent_again(kit):
    async def play(peer):
        lines = []
        await peer.write(b"220 mx.example\r\n")
        while line := await peer.line():
            lines.append(line)
            if line == "DATA":
                await peer.write(b"354 go\r\n")
                if lines.count("DATA") == 2:
                    await peer.line()
                    return
                if not await content_of(peer):
                    return
            await peer.write(b"250 ok\r\n")

    def pieces():
        for _ in range(20_000):  # more than the buffers of both ends hold
            yield b"x" * 998 + b"\r\n"

    async with kit.script(play) as address, kit.pool(address) as pool:
        await pool.send(*SEND)
        with pytest.raises(ConnectionLost) as caught:
            await pool.send("a@a.example", "b@b.example", pieces())
        assert caught.value.may_retry
    async with kit.script(play) as address, kit.pool(address) as pool:
        await pool.send(*SEND)
        await pool.send("a@a.example", "b@b.example", pieces)  # a function gives it as often as it is wanted
        assert pool.stats.opened == 2


async def test_a_server_that_cannot_be_reached_wedges_nobody(kit):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with kit.pool(taken.getsockname(), size=1) as pool:
            found = await asyncio.gather(*(pool.send(*SEND) for _ in range(8)), return_exceptions=True)
            assert [(type(error), error.stage) for error in found] == [(ConnectionLost, "connect")] * 8
            assert pool.stats.in_use == pool.stats.waiting == pool.stats.opened == 0


async def test_a_server_that_refuses_wedges_nobody(kit):
    play = Scripted({"MAIL": "421 too busy"})
    async with kit.script(play) as address, kit.pool(address, size=1) as pool:
        found = await asyncio.gather(*(pool.send(*SEND) for _ in range(4)), return_exceptions=True)
        assert [type(error) for error in found] == [SenderRefused] * 4
        assert pool.stats.in_use == pool.stats.idle == 0


# Lending, closing


async def test_a_client_that_is_lent_is_alive_and_comes_back(kit):
    play = Scripted({"MAIL": second(None)}, {})
    async with kit.script(play) as address, kit.pool(address, size=1) as pool:
        async with kit.lent(pool) as client:
            assert (await client.command(Noop())).code == 250
            await client.send(*SEND)
            assert pool.stats.in_use == 1
        assert pool.stats.idle == 1
        assert pool.stats.messages == 1


async def test_a_client_with_an_open_transaction_or_closed_is_not_used_again(kit):
    async with kit.serve() as server, kit.pool(server, size=1) as pool:
        async with kit.lent(pool) as client:
            await client.command(Mail(Mailbox.parse("a@a.example")))
        assert pool.stats.idle == 0
        async with kit.lent(pool) as client:
            await client.close()
        assert pool.stats.idle == 0
        with pytest.raises(ZeroDivisionError):
            async with kit.lent(pool):
                raise ZeroDivisionError
        assert pool.stats.idle == 1
        await pool.send(*SEND)


async def test_closing_ends_what_waits_and_lets_what_runs_finish(kit):
    begun, go_on, inbox = kit.Event(), kit.Event(), []

    class Session:
        async def on_message(self, message):
            begun.set()
            await go_on.wait()
            inbox.append(message)

    if kit.colour == "sync":  # its hooks wait in their own threads
        Session.on_message = lambda self, message: (begun.set(), go_on._event.wait(20), inbox.append(message))[2]
    async with kit.serve(Session) as server, kit.pool(server, size=1) as pool:
        running = asyncio.ensure_future(pool.send(*SEND))
        await begun.wait()
        waiting = asyncio.ensure_future(pool.send(*SEND))
        await settled(lambda: pool.stats.waiting == 1)
        await pool.close()
        await pool.close()
        with pytest.raises(LocalProtocolError, match="closed"):
            await waiting
        go_on.set()
        assert (await running).accepted
        assert len(inbox) == 1
        with pytest.raises(LocalProtocolError, match="closed"):
            await pool.send(*SEND)
        assert pool.stats.in_use == pool.stats.idle == 0
        assert "closed" in repr(getattr(pool, "target", pool))
        await settled(lambda: server.connections == 0)


async def test_closing_does_not_wait_for_a_server_that_is_silent(kit, monkeypatch):
    for module in ("sync", "asyncio"):
        monkeypatch.setattr(sys.modules[f"smtpkit.{module}.pool"], "_FAREWELL", 0.02)

    async with kit.script(Scripted({"QUIT": ""})) as address:
        pool = kit.pool(address)
        async with pool as pool:
            await pool.send(*SEND)
            began = time.monotonic()
        assert time.monotonic() - began < 5


async def test_with_blocks_close(kit):
    async with kit.serve() as server:
        if kit.colour == "asyncio":
            async with smtpkit.asyncio.Pool(*server.address) as pool:
                await pool.send(*SEND)
        else:

            def send():
                with smtpkit.sync.Pool(*server.address) as pool:
                    pool.send(*SEND)

            await asyncio.to_thread(send)
        await settled(lambda: server.connections == 0)


@pytest.mark.parametrize("module", [smtpkit.sync, smtpkit.asyncio])
def test_arguments_that_do_not_fit_are_told_at_once(module):
    for wrong in ({"size": 0}, {"rate": -1}, {"deadline": 0}, {"sock": object()}, {"tls": "maybe"}):
        with pytest.raises(ValueError, match=r".+"):
            module.Pool("smtp://mx.example", **wrong)
    with pytest.raises(TypeError):
        module.Pool("smtp://mx.example", sise=3)


# Many


async def test_many_messages_give_a_result_each_and_no_more_are_taken_than_there_is_room_for(kit):
    taken, inbox = [], []

    def items():
        for number in range(12):
            taken.append(number)
            yield ("a@a.example", "no" if number == 3 else f"b{number}@b.example", BODY)
        yield email()

    async with kit.serve(storing(inbox)) as server, kit.pool(server, size=2) as pool:
        found = {}
        async for item, result in kit.many(pool, items(), in_flight=3):
            assert len(taken) <= len(found) + 5
            found[str(item)] = result
        assert len(found) == 13
        assert sum(isinstance(each, SMTPError) for each in found.values()) == 1
        assert len(inbox) == 12
        assert pool.stats.opened <= 2


async def test_results_come_as_they_are_known_and_leaving_early_leaves_nothing_behind(kit):
    inbox = []
    async with kit.serve(storing(inbox)) as server, kit.pool(server, size=2) as pool:
        results = kit.many(pool, (SEND for _ in range(1000)))
        async for _ in results:
            break
        await results.aclose()
        assert pool.stats.in_use == pool.stats.waiting == 0
        assert len(inbox) < 20
        await pool.send(*SEND)


async def collect(results, found):
    async for each in results:
        found.append(each)


async def test_what_the_callers_iterable_or_body_raises_comes_out_after_the_results(kit):
    def items():
        yield SEND
        raise ZeroDivisionError

    def body():
        yield BODY
        raise ZeroDivisionError

    inbox = []
    async with kit.serve(storing(inbox)) as server, kit.pool(server, size=2) as pool:
        for source in (items(), [SEND, ("a@a.example", "b@b.example", body())]):
            found = []
            with pytest.raises(ZeroDivisionError):
                await collect(kit.many(pool, source), found)
            assert len(found) == 1
        assert len(inbox) == 2
        assert pool.stats.in_use == 0


async def test_an_async_iterable_of_messages_may_take_its_time(asyncio_kit):
    go_on = asyncio.Event()

    async def items():
        yield SEND
        await go_on.wait()
        yield SEND

    async with asyncio_kit.serve() as server, asyncio_kit.pool(server) as pool:
        count = 0
        async for _item, result in pool.send_many(items()):
            count += 1
            assert result.accepted
            go_on.set()  # only after the first result has come
        assert count == 2


# No server


async def test_memory_keeps_what_would_have_been_sent(kit):
    async with kit.pool("memory:", auth=("user", "password"), tls="required", size=2) as pool:
        result = await pool.send("a@a.example", ["b@b.example", "c@c.example"], BODY, dsn=DSN(ret="HDRS"))
        assert list(result.accepted) == ["b@b.example", "c@c.example"]
        await pool.send_message(email(), requiretls=True, priority=3, hold_for=60)
        await pool.send(None, "b@b.example", iter([b"\xff\0"]), binary=True)
        with pytest.raises(ParseError):
            await pool.send("a@a.example", "b@b.example", b"nul \0")
        first, second, third = pool.outbox
        assert (first.sender, first.recipients, first.content) == ("a@a.example", ["b@b.example", "c@c.example"], BODY)
        assert second.as_email()["Subject"] == "test"
        assert (third.sender, third.content) == ("", b"\xff\0")
        assert pool.stats.idle == 1


async def test_print_shows_what_would_have_been_sent(kit, capsys):
    async with kit.pool("print://") as pool:
        await pool.send("a@a.example", "b@b.example", b"Subject: \x1b[2J\r\n\r\nline\r\n")
        assert pool.outbox == []
    shown = capsys.readouterr().out
    assert "MAIL FROM:<a@a.example>" in shown
    assert "RCPT TO:<b@b.example>\n\nSubject: \\x1b[2J\n\nline\n" in shown


async def test_connect_and_send_message_take_the_same_urls(kit, capsys):
    async with kit.connect("memory:") as client:
        assert client.capabilities.size == 0
        assert (await client.send(*SEND)).accepted
    if kit.colour == "asyncio":
        assert (await smtpkit.asyncio.send_message(email(), "print:")).accepted
    else:
        assert smtpkit.sync.send_message(email(), "print:").accepted
    assert "Subject: test" in capsys.readouterr().out


# Cancellation


@types.coroutine
def cancelled_at(step, coroutine, *, late):
    """Run a coroutine; cancel the task at its n-th wait, or at the moment when what that waits for has come."""
    task, iterator, error = asyncio.current_task(), coroutine.__await__(), None
    while True:
        try:
            waited = iterator.send(None) if error is None else iterator.throw(error)
        except StopIteration as end:
            return end.value
        step -= 1
        if step == 0:
            if late and waited is not None:
                waited.add_done_callback(lambda _: task.cancel())
            else:
                task.cancel()
        try:
            error = yield waited
        except BaseException as raised:  # noqa: BLE001 (handed on)
            error = raised


async def nothing(pool, address):
    pass


async def a_connection_that_rests(pool, address):
    await pool.send(*SEND)


async def send(pool):
    await pool.send(*SEND)


async def send_pieces(pool):
    async def pieces():
        for _ in range(3):
            await asyncio.sleep(0)
            yield (b"x" * 998 + b"\r\n") * 70

    await pool.send("a@a.example", "b@b.example", pieces())


async def borrow(pool):
    async with pool.connection() as client:
        await client.command(Noop())


async def send_several(pool):
    async for _ in pool.send_many([SEND, SEND], in_flight=2):
        pass


async def close(pool):
    await pool.close()


@pytest.mark.parametrize("late", [False, True], ids=["waiting", "woken"])
@pytest.mark.parametrize("before", [nothing, a_connection_that_rests])
@pytest.mark.parametrize("action", [send, send_pieces, borrow, send_several, close])
async def test_a_call_cancelled_at_any_wait_loses_no_slot_and_leaves_no_connection_half_used(
    asyncio_kit, action, before, late
):
    inbox = []
    async with asyncio_kit.serve(storing(inbox)) as server:
        for step in range(1, 60):
            pool = smtpkit.asyncio.Pool(*server.address, size=1)
            await before(pool, server.address)
            task = asyncio.ensure_future(cancelled_at(step, action(pool), late=late))
            await asyncio.wait([task])
            assert pool.stats.in_use == pool.stats.waiting == 0
            if action is not close:
                del inbox[:]
                async with asyncio.timeout(5):
                    await pool.send(*SEND)
                assert pool.stats.lost <= 1 + (action is send_several)
                assert [message.content for message in inbox if message.content == BODY][-1:] == [BODY]
            await pool.close()
            await settled(lambda: server.connections == 0)
            if not task.cancelled():
                task.result()
                break
        else:
            raise AssertionError("no end")
        assert step > 1 or (action is close and before is nothing)


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_breaks_and_whoever_gives_up_every_slot_comes_back(asyncio_kit, seed):
    chance = random.Random(seed)

    async def play(peer):
        await peer.write(b"220 mx.example\r\n")
        while line := await peer.line():
            if chance.random() < 0.08:
                return
            if line == "DATA":
                await peer.write(b"354 go\r\n")
                if not await content_of(peer):
                    return
            await peer.write(chance.choice([b"250 ok\r\n"] * 20 + [b"450 later\r\n", b"421 bye\r\n"]))
            if chance.random() < 0.02:
                await peer.write(b"421 bye\r\n")

    async def work(pool):
        with suppress(SMTPError):
            action = chance.choice([send, send, send_pieces, borrow, send_several])
            await cancelled_at(chance.choice([0, 0, *range(1, 12)]), action(pool), late=chance.random() < 0.5)

    options = {"size": 3, "rate": 2000, "max_messages": 5, "deadline": 5}
    async with asyncio_kit.script(play) as address, asyncio_kit.pool(address, **options) as pool:
        found = await asyncio.gather(*(asyncio.ensure_future(work(pool)) for _ in range(150)), return_exceptions=True)
        assert {type(each) for each in found} <= {type(None), asyncio.CancelledError}
        stats = pool.stats
        assert (stats.in_use, stats.waiting) == (0, 0)
        assert stats.idle <= 3


async def test_closing_that_is_cancelled_closes_all_the_same(asyncio_kit):
    play = Scripted({"QUIT": ""})
    async with asyncio_kit.script(play) as address:
        pool = smtpkit.asyncio.Pool(*address)
        async with pool.connection(), pool.connection():
            pass
        closing = asyncio.ensure_future(pool.close())
        await settled(lambda: any(lines[-1:] == ["QUIT"] for lines in play.lines))
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(LocalProtocolError):
            await pool.send(*SEND)


@pytest.mark.parametrize("late", [False, True], ids=["waiting", "woken"])
async def test_who_is_cancelled_in_the_row_does_not_hold_up_the_others(asyncio_kit, late):
    async with asyncio_kit.serve() as server, asyncio_kit.pool(server, size=1) as pool:
        for step in (1, 2, 3):
            async with pool.connection():
                first = asyncio.ensure_future(cancelled_at(step, send(pool), late=late))
                await settled(lambda first=first: pool.stats.waiting == 1 or first.done())
                others = [asyncio.ensure_future(pool.send(*SEND)) for _ in range(3)]
                await asyncio.sleep(0)
            await asyncio.gather(*others)
            with suppress(asyncio.CancelledError):
                await first
            assert pool.stats.in_use == pool.stats.waiting == 0


async def test_a_free_attempt_can_be_cancelled_at_any_wait(asyncio_kit):
    for step in range(1, 60):
        play = Scripted({"MAIL": second(None)}, {})
        async with asyncio_kit.script(play) as address, asyncio_kit.pool(address, size=1) as pool:
            await pool.send(*SEND)
            task = asyncio.ensure_future(cancelled_at(step, send(pool), late=False))
            await asyncio.wait([task])
            assert pool.stats.in_use == 0
            await pool.send(*SEND)
            if not task.cancelled():
                break
    else:
        raise AssertionError("no end")
    assert step > 5


@pytest.mark.parametrize("stage", ["", "220 mx.example", "EHLO", "MAIL", "RCPT", "DATA", "."])
async def test_a_server_that_stalls_anywhere_holds_nothing_once_the_call_is_cancelled(asyncio_kit, stage):
    stalled = asyncio.Event()
    stall = True

    async def play(peer):
        if stall and not stage:
            stalled.set()
            await peer.ended()
            return
        await peer.write(b"220 mx.example\r\n")
        lines = []
        while line := await peer.line():
            lines.append(line)
            if stall and (line.startswith(stage) or stage.startswith("220")):
                stalled.set()
                await peer.ended()
                return
            if line == "DATA":
                await peer.write(b"354 go\r\n")
                if not await content_of(peer):
                    return
                if stall and stage == ".":
                    stalled.set()
                    await peer.ended()
                    return
            await peer.write(b"250 ok\r\n")

    async with asyncio_kit.script(play) as address, asyncio_kit.pool(address, size=1) as pool:
        task = asyncio.ensure_future(pool.send(*SEND))
        await stalled.wait()
        waiting = asyncio.ensure_future(pool.send(*SEND))
        await asyncio.sleep(0)
        stall = False
        task.cancel()
        assert (await waiting).accepted
        assert task.cancelled()
        assert pool.stats.in_use == 0


# Loops, threads, processes


def test_a_pool_outlives_the_event_loop_that_it_was_used_in():
    async def test():
        async with smtpkit.asyncio.serve(lambda message: None, port=0, in_thread=True) as server:
            pool._settings.target.port = server.address[1]
            await pool.send(*SEND)
            assert pool.stats.opened == 1
            async with pool.connection() as client:
                await client.close()  # or it is left to the loop that is gone

    pool = smtpkit.asyncio.Pool("127.0.0.1", 25)
    asyncio.run(test())
    asyncio.run(test())


async def test_connections_of_a_loop_that_lives_are_not_touched_from_another(asyncio_kit):
    async with asyncio_kit.serve() as server, asyncio_kit.pool(server) as pool:
        await pool.send(*SEND)

        def elsewhere():
            with pytest.raises(LocalProtocolError, match="another event loop"):
                asyncio.run(pool.send(*SEND))

        await asyncio.to_thread(elsewhere)
        await pool.send(*SEND)


def test_many_threads_share_a_pool():
    inbox, failures = [], []
    with smtpkit.sync.serve(inbox.append, port=0) as server, smtpkit.sync.Pool(*server.address, size=4) as pool:

        def work():
            try:
                for _ in range(20):
                    pool.send(*SEND)
            except Exception as error:  # noqa: BLE001 (told below)
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert not failures
        assert len(inbox) == pool.stats.messages == 240
        assert pool.stats.opened <= 4 * 3  # each for a hundred messages
        assert pool.stats.in_use == pool.stats.waiting == 0


FORKING = """
import os, sys
from smtpkit.sync import Pool
pool = Pool("127.0.0.1", int(sys.argv[1]))
pool.send("a@a.example", "parent1@b.example", b"")
child = os.fork()
if child == 0:
    pool.send("a@a.example", "child@b.example", b"")
    assert pool.stats.opened == 1 and pool.stats.reused == 0, pool.stats
    pool.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
pool.send("a@a.example", "parent2@b.example", b"")
assert pool.stats.opened == 1 and pool.stats.reused == 1, pool.stats
"""


def run(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_a_child_process_makes_its_own_connections_and_leaves_the_parents_alone():
    inbox = []
    with smtpkit.sync.serve(inbox.append, port=0) as server:
        ran = run(FORKING, server.address[1])
    assert ran.returncode == 0, ran.stderr
    assert [message.recipients[0].partition("@")[0] for message in inbox] == ["parent1", "child", "parent2"]


FORKING_IN_MEMORY = """
import os
from smtpkit.sync import Pool
pool = Pool("memory:")
pool.send("a@a.example", "b@b.example", b"")
child = os.fork()
pool.send("a@a.example", "b@b.example", b"")
assert pool.stats.opened == 1 and pool.stats.reused == (child != 0), pool.stats
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_pool_without_a_server_goes_through_a_fork_too():
    ran = run(FORKING_IN_MEMORY)
    assert (ran.returncode, ran.stderr) == (0, "")


NEVER_CLOSED = """
import asyncio, sys, smtpkit.sync, smtpkit.asyncio
pool = smtpkit.sync.Pool("127.0.0.1", int(sys.argv[1]))
pool.send("a@a.example", "b@b.example", b"")
other = smtpkit.asyncio.Pool("127.0.0.1", int(sys.argv[1]))
asyncio.run(other.send("a@a.example", "b@b.example", b""))
print("done")
"""


def test_a_pool_that_is_never_closed_does_not_keep_the_interpreter():
    with smtpkit.sync.serve(lambda message: None, port=0) as server:
        ran = run(NEVER_CLOSED, server.address[1])
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr
    assert ran.stderr == ""
