"""A client against servers that stall, lie, break off and give up: what it says of it, and what it leaves behind."""

import asyncio
import socket
import time

import pytest

from smtpkit import (
    ConnectionLost,
    LocalProtocolError,
    MessageRefused,
    Noop,
    NotSupported,
    ParseError,
    RemoteProtocolError,
    Reply,
    ReplyError,
    Timeout,
    Timeouts,
    Verdict,
)

BODY = b"Subject: test\r\n\r\ntext\r\n"
BIG = b"x" * 998 + b"\r\n"
LONG, SOON = 60, 10  # seconds: what no test waits for, and what a busy machine takes for what is done at once


def playing(*lines, greeting="220 mx.example", last=None):
    """A scripted server: answers each command, in order, with one of the lines; then it does `last`."""

    async def play(peer):
        if greeting is not None:
            await peer.write(f"{greeting}\r\n".encode())
            for line in lines:
                if not await peer.line():
                    return
                await peer.write(f"{line}\r\n".encode())
            await peer.line()
        if last == "reset":
            peer.reset()
        elif last == "stall":
            await asyncio.Event().wait()

    return play


# Stage: the replies before it.  Without PIPELINING each command waits for its reply.
STAGES = {
    "EHLO": [],
    "MAIL": ["250 mx.example"],
    "RCPT": ["250 mx.example", "250 ok"],
    "DATA": ["250 mx.example", "250 ok", "250 ok"],
}


async def attempt(kit, address, **options):
    async with kit.connect(address, **options) as client:
        return await client.send("a@a.example", "b@b.example", BODY)


# Time


@pytest.mark.parametrize("stage", ["greeting", *STAGES, "STARTTLS", "AUTH", "end of data"])
async def test_a_time_out_names_its_stage(kit, stage):
    name = {"EHLO": "hello", "end of data": "end_of_data"}.get(stage, stage.lower())
    options = {"timeouts": Timeouts(LONG, **{name: 0.05})}
    if stage == "greeting":
        play = playing(greeting=None, last="stall")
    elif stage in ("STARTTLS", "AUTH"):
        options |= {"tls": "required"} if stage == "STARTTLS" else {"auth": ("user", "password")}
        play = playing(f"250-mx.example\r\n250 {stage}{' PLAIN' * (stage == 'AUTH')}", last="stall")
    elif stage == "end of data":
        play = playing(*STAGES["DATA"], "354 go on", last="stall")
    else:
        play = playing(*STAGES[stage], last="stall")
    async with kit.script(play) as address:
        started = time.monotonic()
        with pytest.raises(Timeout, match=stage) as caught:
            await attempt(kit, address, **options)
        assert time.monotonic() - started < SOON
    assert caught.value.stage == stage
    verdicts = [outcome.verdict for outcome in caught.value.recipients.values()]
    assert verdicts == ([Verdict.UNKNOWN] if stage == "end of data" else [])
    assert caught.value.may_retry is (stage != "end of data")


async def test_the_time_out_of_a_later_stage_may_be_the_shorter(kit):
    play = playing(*STAGES["DATA"], "354 go on", last="stall")
    async with kit.script(play) as address:
        with pytest.raises(Timeout, match="end of data"):
            await attempt(kit, address, timeouts=Timeouts(LONG, end_of_data=0.05))


async def test_a_reply_line_now_and_then_keeps_no_client_beyond_its_deadline(kit):
    async def play(peer):
        while True:
            await peer.write(b"220-still here\r\n")
            await asyncio.sleep(0.01)

    async with kit.script(play) as address:
        started = time.monotonic()
        with pytest.raises(Timeout, match="greeting"):
            await kit.connected(address, deadline=0.5)
        assert time.monotonic() - started < SOON


async def test_a_deadline_of_one_call(kit):
    async with kit.script(playing("250 mx.example", "250 ok", last="stall")) as address:
        client = await kit.connected(address)
        with pytest.raises(Timeout, match="RCPT"):
            await client.send("a@a.example", "b@b.example", BODY, deadline=0.5)
        with pytest.raises(ConnectionLost, match=r"not usable any more.*RCPT") as caught:
            await client.command(Noop())
        assert isinstance(caught.value.__cause__, Timeout)
        await client.close()


async def test_a_peer_that_does_not_read_a_body_is_a_time_out_and_nothing_is_unknown(kit):
    play = playing(*STAGES["DATA"], "354 go on")

    async def deaf(peer):
        peer.writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await play(peer)
        peer.reader._transport.pause_reading()
        await asyncio.Event().wait()

    async with kit.script(deaf) as address:
        with pytest.raises(Timeout, match=r"body|end of data") as caught:
            async with kit.connect(address, timeouts=Timeouts(LONG, body=0.15, end_of_data=0.15)) as client:
                await client.send("a@a.example", "b@b.example", (BIG * 64 for _ in range(1000)))
    assert caught.value.may_retry
    assert not caught.value.recipients


async def test_nothing_listens(kit):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = sock.getsockname()
        with pytest.raises(
            ConnectionLost, match=r"no connection to smtp://127\.0\.0\.1:.*(refused|Connect call failed)"
        ):
            await kit.connected(address)


async def test_no_such_unix_socket_and_no_such_name(kit):
    with pytest.raises(ConnectionLost, match=r"no connection to smtp\+unix:///nowhere"):
        await kit.connected("smtp+unix:///nowhere/at/all")
    with pytest.raises(ConnectionLost, match=r"no connection to smtp://no\.\.host"):
        await kit.connected("no..host")


# Losses


@pytest.mark.parametrize("last", ["close", "reset"])
@pytest.mark.parametrize("stage", ["greeting", *STAGES, "end of data"])
async def test_a_loss_names_its_stage(kit, stage, last):
    if stage == "greeting":

        async def play(peer):
            if last == "reset":
                peer.reset()
    elif stage == "end of data":
        play = playing(*STAGES["DATA"], "354 go on", last=last)
    else:
        play = playing(*STAGES[stage], last=last)

    async def to_the_end(peer):
        if stage == "end of data":
            # The whole content is read, so that a close is not a reset.
            peer.line = until_the_dot(peer)
        await play(peer)

    async with kit.script(to_the_end) as address:
        with pytest.raises(ConnectionLost, match=stage) as caught:
            await attempt(kit, address)
    assert caught.value.stage == stage
    verdicts = [outcome.verdict for outcome in caught.value.recipients.values()]
    assert verdicts == ([Verdict.UNKNOWN] if stage == "end of data" else [])


def until_the_dot(peer):
    async def line():
        text = (await peer.reader.readline()).decode().removesuffix("\r\n")
        if text.startswith("Subject"):
            while (await peer.reader.readline()) != b".\r\n":
                pass
        return text

    return line


async def test_a_server_that_closes_after_its_verdict_has_given_it(kit):
    async def play(peer):
        peer.line = until_the_dot(peer)
        await playing(*STAGES["DATA"], "354 go on")(peer)
        await peer.write(b"250 accepted\r\n")

    async with kit.script(play) as address:
        client = await kit.connected(address)
        result = await client.send("a@a.example", "b@b.example", BODY)
        assert result.accepted
        await client.close()
        await client.close()


@pytest.mark.parametrize("last", ["close", "reset", "stall"])
async def test_closing_never_raises(kit, last):
    async with kit.script(playing("250 mx.example", last=last)) as address:
        client = await kit.connected(address, timeouts=Timeouts(LONG, quit=0.05))
        await client.close()
        with pytest.raises(ConnectionLost, match="not usable any more"):
            await client.command(Noop())


async def test_an_unasked_421_is_told_at_the_next_call(kit):
    connected, said = asyncio.Event(), asyncio.Event()

    async def play(peer):
        await peer.write(b"220 mx.example\r\n")
        await peer.line()
        await peer.write(b"250 mx.example\r\n")
        await connected.wait()
        await peer.write(b"421 going down\r\n")
        said.set()

    async with kit.script(play) as address:
        client = await kit.connected(address)
        connected.set()
        await said.wait()
        while kit.colour == "asyncio" and client._driver.alive:  # its loop reads what comes, and has to get to it
            await asyncio.sleep(0.001)
        with pytest.raises((ConnectionLost, RemoteProtocolError), match="421 going down"):
            await client.command(Noop())
        await client.close()


@pytest.mark.parametrize("closes", [True, False])
async def test_an_early_refusal_of_a_large_body_is_reported(kit, closes):
    async def play(peer):
        await playing(*STAGES["DATA"], "354 go on")(peer)
        await peer.write(b"552 5.3.4 too much\r\n")
        if not closes:
            await asyncio.Event().wait()  # reads no more, and does not close either

    timeouts = Timeouts(LONG, body=0.5, end_of_data=0.5)
    async with kit.script(play) as address, kit.connect(address, timeouts=timeouts) as client:
        with pytest.raises(MessageRefused, match="552") as caught:
            await client.send("a@a.example", "b@b.example", (BIG * 64 for _ in range(300)))
        with pytest.raises(ConnectionLost, match="552"):
            await client.command(Noop())
    assert list(caught.value.recipients) == ["b@b.example"]


async def test_what_is_no_reply_ends_the_connection(kit):
    async with kit.script(playing("HTTP/1.1 400 Bad Request")) as address:
        with pytest.raises(RemoteProtocolError, match="HTTP"):
            await kit.connected(address)


# One user at a time


async def test_a_second_call_at_once_is_a_local_error_and_harms_nobody(kit):
    go_on = kit.Event()
    begun = kit.Event()

    async def handler(message):
        begun.set()
        await go_on.wait()

    async with kit.serve(handler) as server, kit.connect(server) as client:
        sending = asyncio.ensure_future(client.send("a@a.example", "b@b.example", BODY))
        await begun.wait()
        with pytest.raises(LocalProtocolError, match="in use"):
            await client.command(Noop())
        go_on.set()
        assert (await sending).accepted
        assert (await client.command(Noop())).code == 250


async def test_errors_of_the_caller_leave_the_connection_as_it_was(kit):
    async with kit.serve() as server, kit.connect(server) as client:
        for error, arguments, options in (
            (TypeError, ("a@a.example", "b@b.example", "text"), {}),
            (TypeError, ("a@a.example", "b@b.example", BODY), {"colour": "red"}),
            (ParseError, ("a@a.example", "b b@b.example", BODY), {}),
            (LocalProtocolError, ("a@a.example", [], BODY), {}),
            (NotSupported, ("a@a.example", "b@b.example", BODY), {"requiretls": True}),
        ):
            with pytest.raises(error):
                await client.send(*arguments, **options)
        assert (await client.send("a@a.example", "b@b.example", BODY)).accepted


async def test_a_body_that_raises_closes_without_an_end_of_data(kit):
    inbox = []

    async def handler(message):
        inbox.append(message)

    def body():
        yield BIG * 100
        raise LookupError("the source has failed")

    async with kit.serve(handler) as server:
        client = await kit.connected(server)
        with pytest.raises(LookupError, match="source"):
            await client.send("a@a.example", "b@b.example", body())
        with pytest.raises(ConnectionLost, match="source has failed") as caught:
            await client.command(Noop())
        assert isinstance(caught.value.__cause__, LookupError)
        await client.close()
        async with kit.connect(server) as client:
            await client.send("a@a.example", "b@b.example", BODY)
    assert [message.content for message in inbox] == [BODY]


async def test_str_in_a_body_is_a_type_error(kit):
    async with kit.serve() as server, kit.connect(server) as client:
        with pytest.raises(TypeError, match="str"):
            await client.send("a@a.example", "b@b.example", iter(["text"]))


async def test_the_name_for_hello(kit):
    seen = []

    class Hearing:
        async def on_hello(self, command):
            seen.append(command.name)

    async with kit.serve(Hearing) as server:
        async with kit.connect(server), kit.connect(server, local_hostname="me.example"):
            pass
        with pytest.raises(ValueError, match="EHLO"):
            await kit.connected(server, local_hostname="not a name")
    assert seen == ["[127.0.0.1]", "me.example"]


async def test_a_server_that_knows_no_ehlo_is_greeted_with_helo(kit):
    async with (
        kit.script(playing("502 what?", "250 mx.example", "250 ok", "250 ok", "354 go on")) as address,
        kit.connect(address) as client,
    ):
        assert not client.capabilities
        assert client.greeting.code == 220


async def test_a_local_address(kit):
    seen = []

    class Looking:
        async def on_connect(self):
            seen.append(self.peer[0])

    async with kit.serve(Looking) as server, kit.connect(server, local_address=("127.0.0.2", 0)):
        pass
    assert seen == ["127.0.0.2"]


async def test_leaving_with_an_error_closes_too(kit):
    async with kit.serve() as server:
        with pytest.raises(LookupError):
            async with kit.connect(server) as client:
                raise LookupError
        assert "closed" in repr(getattr(client, "target", client))


async def test_a_greeting_that_refuses(kit):
    async with kit.script(playing(greeting="554 no service for you", last="stall")) as address:
        with pytest.raises(ReplyError, match="554"):
            await kit.connected(address, timeouts=Timeouts(LONG, quit=0.05))


async def test_a_send_may_be_retried_after_a_refusal_on_the_same_connection(kit):
    refusals = [ReplyError(Reply(451, "Later", "4.3.0"))]

    async def handler(message):
        if refusals:
            raise refusals.pop()

    async with kit.serve(handler) as server, kit.connect(server) as client:
        with pytest.raises(MessageRefused) as caught:
            await client.send("a@a.example", "b@b.example", BODY)
        assert caught.value.may_retry
        assert (await client.send("a@a.example", "b@b.example", BODY)).accepted


# asyncio alone


# Wait: the replies before it; None if not even the greeting comes.
WAITS = {"greeting": None, **STAGES, "end of data": [*STAGES["DATA"], "354 go on"], "QUIT": ["250 mx.example"]}


@pytest.mark.parametrize("wait", WAITS)
async def test_a_cancelled_wait_leaves_the_client_closed(asyncio_kit, wait):
    reached = asyncio.Event()

    async def play(peer):
        if WAITS[wait] is not None:
            await playing(*WAITS[wait])(peer)
        reached.set()
        await asyncio.Event().wait()

    async with asyncio_kit.script(play) as address:
        clients = []

        async def use():
            async with asyncio_kit.connect(address) as client:
                clients.append(client)
                if wait != "QUIT":
                    await client.send("a@a.example", "b@b.example", BODY)

        task = asyncio.ensure_future(use())
        await reached.wait()
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for client in clients:
            assert "closed" in repr(client)
            with pytest.raises(ConnectionLost):
                await client.command(Noop())


async def test_a_send_that_is_cancelled_in_the_middle_is_not_accepted(asyncio_kit):
    inbox = []
    begun = asyncio.Event()

    async def handler(message):
        inbox.append(message)

    async def body():
        yield BIG * 200
        begun.set()
        await asyncio.Event().wait()

    async with asyncio_kit.serve(handler) as server:
        async with asyncio_kit.connect(server) as client:
            sending = asyncio.ensure_future(client.send("a@a.example", "b@b.example", body()))
            await begun.wait()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            with pytest.raises(ConnectionLost):
                await client.command(Noop())
        async with asyncio_kit.connect(server) as client:
            await client.send("a@a.example", "b@b.example", BODY)
    assert [message.content for message in inbox] == [BODY]


async def test_connect_is_awaited_or_entered(asyncio_kit):
    async with asyncio_kit.serve() as server:
        connecting = asyncio_kit.client_module.connect(*server.address)
        client = await connecting
        assert (await client.command(Noop())).code == 250
        async with client as same:
            assert same is client
        async with asyncio_kit.client_module.connect(*server.address) as client:
            assert (await client.command(Noop())).code == 250
        assert "closed" in repr(client)


async def test_a_time_out_of_asyncio_works_as_everywhere(asyncio_kit):
    async with asyncio_kit.script(playing("250 mx.example", last="stall")) as address:
        client = await asyncio_kit.connected(address)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.03):
                await client.send("a@a.example", "b@b.example", BODY)
        await client.close()
