"""A relay: the client gets the next server's replies, which has accepted all that was accepted, and no half."""

import asyncio
import contextlib

import pytest

from smtpkit import Limits, Reply, ReplyError
from smtpkit.protocol import relaying

BODY = b"Subject: test\r\n\r\n.dot\r\ntext\r\n"


@contextlib.asynccontextmanager
async def relayed(kit, handler=None, *, back=(), relay=(), **front):
    """A relay in front of a server with this handler; gives the relay's server."""
    async with kit.serve(handler, **dict(back)) as behind:
        target = behind.address if not dict(back).get("lmtp") else f"lmtp://{behind.address[0]}:{behind.address[1]}"
        async with before(kit, target, relay=relay, **front) as server:
            yield server


def before(kit, target, *, relay=(), **front):
    target = (target,) if isinstance(target, str) else target
    front.setdefault("hostname", "relay.example")
    return kit.serve(kit.module.Relay(*target, **dict(relay)), **front)


class Kept:
    """What a handler got."""

    def __init__(self):
        self.messages = []

    def handler(self, kit, reply=None):
        async def keep(message):
            self.messages.append(message)
            return reply

        return kit.function(keep)


async def refusal(client, recipient="b@b.example", **options):
    with pytest.raises(ReplyError) as refused:
        await client.send("a@a.example", recipient, BODY, **options)
    return refused.value.reply


# What is passed on


async def test_content_and_envelope_arrive_with_received_on_top(kit):
    kept = Kept()
    async with (
        relayed(kit, kept.handler(kit, Reply(250, "queued as 7", "2.0.0"))) as server,
        kit.connect(server, local_hostname="client.example") as client,
    ):
        for _ in range(2):
            result = await client.send("a@a.example", ["b@b.example", "c@c.example"], b"Return-Path: <>\r\n" + BODY)
            assert {str(each.reply) for each in result.recipients.values()} == {"250 2.0.0 queued as 7"}
    one, other = kept.messages
    assert one.sender == "a@a.example"
    assert one.recipients == other.recipients == ["b@b.example", "c@c.example"]
    head, rest = one.content.split(b"Return-Path", 1)
    assert rest == b": <>\r\n" + BODY
    assert head.startswith(b"Received: from client.example ([127.0.0.1])\r\n\tby relay.example with ESMTP id ")
    assert head.count(b":") == 3  # one field: its name, and a time
    assert one.session.hello_name == "relay.example"
    assert one.session is other.session


async def test_each_of_several_servers_has_its_own_name(kit):
    kept = Kept()
    async with kit.serve(kept.handler(kit)) as behind:
        relay = kit.module.Relay(*behind.address)
        for name in ("one.example", "two.example"):
            async with kit.serve(relay, hostname=name) as server, kit.connect(server) as client:
                await client.send("a@a.example", "b@b.example", BODY)
    assert [message.session.hello_name for message in kept.messages] == ["one.example", "two.example"]


async def test_the_next_servers_replies_are_the_clients(kit):
    class Picky:
        async def on_mail(self, command):
            return Reply(550, ["not", "from you"], "5.7.1") if str(command.reverse_path) == "x@a.example" else None

        async def on_rcpt(self, command):
            name = command.forward_path.local_part
            return {"no": Reply(550, "who?", "5.1.1"), "later": Reply(450, "hold on")}.get(name)

        async def on_message(self, message):
            return Reply(554, "we do not like it", "5.6.0")

    async with relayed(kit, Picky) as server, kit.peer(server) as peer:
        await peer.reply()
        assert (await peer.say("EHLO c.example", "MAIL FROM:<x@a.example>")) == Reply(550, ["not", "from you"], "5.7.1")
        assert (await peer.say("RCPT TO:<b@b.example>")).code == 503
        assert (await peer.say("MAIL FROM:<a@a.example>")).code == 250
        assert (await peer.say("RCPT TO:<no@b.example>")) == Reply(550, "who?", "5.1.1")
        assert (await peer.say("RCPT TO:<later@b.example>")) == Reply(450, "hold on", "4.0.0")
        assert (await peer.say("RCPT TO:<b@b.example>", "DATA")).code == 354
        assert (await peer.say("hi\r\n.")) == Reply(554, "we do not like it", "5.6.0")
        assert (await peer.say("MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>")).code == 250


async def test_pipelined_groups(kit):
    kept = Kept()
    async with relayed(kit, kept.handler(kit)) as server, kit.peer(server) as peer:
        await peer.reply()
        await peer.say("EHLO c.example")
        one = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"
        await peer.write(one)
        assert [(await peer.reply()).code for _ in range(4)] == [250, 250, 250, 354]
        await peer.write(b"hi\r\n.\r\n" + one)
        assert [(await peer.reply()).code for _ in range(5)] == [250, 250, 250, 250, 354]
    assert len(kept.messages) == 1
    assert kept.messages[0].recipients == ["b@b.example"] * 2


async def test_bdat_in_front_data_behind_and_binary_through(kit):
    kept = Kept()
    extensions = ["PIPELINING", "SIZE", "8BITMIME", "CHUNKING", "BINARYMIME"]
    async with (
        relayed(kit, kept.handler(kit), back={"extensions": extensions}, extensions=extensions) as server,
        kit.connect(server) as client,
    ):
        await client.send("a@a.example", "b@b.example", BODY, chunking=True)
        await client.send("a@a.example", "b@b.example", b"\0\n\r.\r\n", binary=True)
    one, other = kept.messages
    assert one.content.endswith(b"+0000\r\n" + BODY) or one.content.endswith(BODY)
    assert other.content.endswith(b"\0\n\r.\r\n")
    assert other.envelope.mail_parameters["BODY"] == "BINARYMIME"


async def test_a_parameter_that_is_not_offered_behind_is_refused_in_its_place(kit):
    extensions = ["PIPELINING", "8BITMIME", "DSN"]
    async with relayed(kit, back={"extensions": []}, extensions=extensions) as server, kit.peer(server) as peer:
        await peer.reply()
        assert (await peer.say("EHLO c.example", "MAIL FROM:<a@a.example> RET=HDRS")).code == 555
        assert (await peer.say("MAIL FROM:<a@a.example> BODY=8BITMIME")).code == 250
        assert (await peer.say("RCPT TO:<b@b.example> NOTIFY=NEVER")).code == 555
        assert (await peer.say("RCPT TO:<b@b.example>", "DATA")).code == 354
        assert str(await peer.say("\r\n8 bit: é\r\n.")).startswith("554 5.6.3 ")
        assert (await peer.say("MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>", "DATA")).code == 354
        assert (await peer.say("hi\r\n.")).code == 250


async def test_a_large_message_in_pieces(kit):
    kept = Kept()
    line = b"x" * 76 + b"\r\n"

    def body():
        yield from (b"Subject: x\r\n\r\n", *[line * 800] * 100)

    async with relayed(kit, kept.handler(kit)) as server, kit.connect(server) as client:
        assert (await client.send("a@a.example", "b@b.example", body)).accepted
    assert kept.messages[0].content.endswith(b"Subject: x\r\n\r\n" + line * 80_000)


# LMTP


class OneByOne:
    async def on_message(self, message):
        return [Reply(250, "one", "2.0.0"), Reply(452, "two", "4.2.2")]


async def test_lmtp_on_both_sides_has_a_verdict_for_each(kit):
    async with relayed(kit, OneByOne, back={"lmtp": True}, lmtp=True) as server:
        url = "lmtp://{}:{}".format(*server.address)
        async with kit.connect(url) as client:
            result = await client.send("a@a.example", ["b@b.example", "c@c.example"], BODY)
    assert [str(each.reply) for each in result.recipients.values()] == ["250 2.0.0 one", "452 4.2.2 two"]


async def test_lmtp_before_smtp_has_the_same_verdict_for_all(kit):
    kept = Kept()
    async with (
        relayed(kit, kept.handler(kit, Reply(550, "no", "5.7.1")), lmtp=True) as server,
        kit.connect("lmtp://{}:{}".format(*server.address)) as client,
    ):
        with pytest.raises(ReplyError) as refused:
            await client.send("a@a.example", ["b@b.example", "c@c.example"], BODY)
    assert {str(each.reply) for each in refused.value.recipients.values()} == {"550 5.7.1 no"}


async def test_smtp_before_lmtp_takes_one_recipient_at_a_time(kit):
    kept = Kept()
    async with (
        relayed(kit, kept.handler(kit, Reply(552, "quota", "5.2.2")), back={"lmtp": True}) as server,
        kit.peer(server) as peer,
    ):
        await peer.reply()
        reply = await peer.say("EHLO c.example", "MAIL FROM:<>", "RCPT TO:<b@b.example>", "RCPT TO:<c@c.example>")
        assert reply == relaying.ONE_RECIPIENT
        assert (await peer.say("DATA")).code == 354
        assert (await peer.say("hi\r\n.")) == Reply(552, "quota", "5.2.2")
    assert kept.messages[0].recipients == ["b@b.example"]


# What goes wrong behind


async def test_a_next_server_that_is_not_there(kit, log):
    async with kit.script(lambda peer: asyncio.sleep(0)) as address:
        pass
    async with before(kit, address) as server, kit.connect(server) as client:
        for _ in range(2):
            assert str(await refusal(client)).startswith("451 4.4.1 ")
    assert "relay to smtp://127.0.0.1:" in log.text


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        (["554 no mail here"], "451 4.4.1"),
        (["hello"], "451 4.5.0"),
        (["220 hi", "250 hi", "421 4.3.2 going"], "451 4.3.2"),
        (["220 hi", "250 hi", "250 ok", "421 4.3.2 going"], "451 4.3.2"),
        (["220 hi", "250 hi", "250 ok", "250 ok", "451 4.3.0 wait"], "451 4.3.0"),
        (["220 hi", "250 hi", "250 ok", "250 ok", "421 4.3.2 going"], "451 4.3.2"),
        (["220 hi", "250 hi"], "451 4.4.2"),
        (["220 hi", "250 hi", "250 ok"], "451 4.4.2"),
        (["220 hi", "250 hi", "250 ok", "250 ok"], "451 4.4.2"),
        (["220 hi", "250 hi", "250 ok", "250 ok", "354 go"], "451 4.4.2"),
    ],
)
async def test_what_the_next_server_does_ends_neither_the_session_nor_in_acceptance(kit, said, reply, log):
    async def play(peer):
        for number, line in enumerate(said):
            if number:
                await peer.line()
            await peer.write(f"{line}\r\n".encode())
        await peer.line()  # and it is gone

    async with kit.script(play) as address, before(kit, address) as server, kit.connect(server) as client:
        assert str(await refusal(client)).startswith(reply)
        assert str(await refusal(client)).startswith(reply)


async def test_it_gives_up_in_the_middle_of_content(kit):
    async def play(peer):
        await peer.write(b"220 hi\r\n")
        for _ in range(4):
            line = await peer.line()
            await peer.write(b"354 go\r\n" if line == "DATA" else b"250 ok\r\n")
        await peer.line()
        await peer.write(b"552 5.3.4 enough\r\n")
        await peer.ended()

    async with kit.script(play) as address, before(kit, address) as server, kit.peer(server) as peer:
        await peer.begin()
        for _ in range(64):
            await peer.write((b"x" * 78 + b"\r\n") * 1000)
        assert (await peer.say(".")) == Reply(552, "enough", "5.3.4")


async def test_a_connection_that_went_between_two_messages_is_made_anew(kit):
    sessions = []

    class Once:
        async def on_connect(self):
            sessions.append(self)

        async def on_message(self, message):
            pass

    async with kit.serve(Once) as behind, before(kit, behind.address) as server, kit.connect(server) as client:
        await client.send("a@a.example", "b@b.example", BODY)
        (connection,) = list((behind.target if kit.colour == "sync" else behind)._connections)
        connection.transport.abort()
        await client.send("a@a.example", "b@b.example", BODY)
    assert len(sessions) == 2


# What goes wrong in front


async def test_what_is_given_up_in_front_is_not_accepted_behind(kit, log):
    kept = Kept()
    ended = kit.Event()

    class Watching:
        async def on_message(self, message):
            kept.messages.append(message)

        async def on_close(self):
            ended.set()

    async with (
        relayed(kit, Watching) as server,
        kit.peer(server) as peer,
    ):
        await peer.begin()
        await peer.write(b"half a message\r\n" * 10_000)
        peer.close()
        await ended.wait()
    assert kept.messages == []
    assert "relay to" not in log.text  # the next server has done nothing


@pytest.mark.parametrize("content", [b"x" * 70_000, b"lone\nnewline"])
async def test_what_is_refused_in_front_is_not_accepted_behind(kit, content):
    kept = Kept()
    options = {"max_message_size": 60_000}
    async with relayed(kit, kept.handler(kit), **options) as server, kit.peer(server) as peer:
        await peer.begin()
        await peer.write(b"Subject: x\r\n\r\n" + content)
        assert (await peer.say("\r\n.")).code in (550, 552)
        assert (await peer.say("MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>", "DATA")).code == 354
        assert (await peer.say("good\r\n.")).code == 250
    (message,) = kept.messages
    assert message.content.endswith(b"good\r\n")


async def test_rset_in_front_is_rset_behind(kit):
    happened = []

    class Watching:
        async def on_mail(self, command):
            happened.append(str(command.reverse_path))

        async def on_reset(self):
            happened.append("reset")

    async with relayed(kit, Watching) as server, kit.peer(server) as peer:
        await peer.reply()
        await peer.say("EHLO c.example", "MAIL FROM:<a@a.example>", "RSET", "MAIL FROM:<b@a.example>", "EHLO c.example")
        assert (await peer.say("MAIL FROM:<c@a.example>")).code == 250
    assert happened[:5] == ["a@a.example", "reset", "b@a.example", "reset", "c@a.example"]


async def test_a_message_that_goes_round_in_circles(kit):
    kept = Kept()
    hops = b"Received: x\r\n"
    async with relayed(kit, kept.handler(kit), relay={"most_hops": 3}) as server, kit.connect(server) as client:
        await client.send("a@a.example", "b@b.example", hops * 2 + BODY)
        with pytest.raises(ReplyError, match=r"554 5\.4\.6"):
            await client.send("a@a.example", "b@b.example", hops * 3 + BODY)
        await client.send("a@a.example", "b@b.example", BODY)
    assert len(kept.messages) == 2


async def test_a_relay_that_leads_to_itself_is_stopped_by_the_limit_of_connections(kit, log):
    # MAIL goes on before there is a header to count hops in.
    async with kit.serve(lambda: sessions(), limits=Limits(connections=8)) as server:
        sessions = kit.module.Relay(*server.address)
        async with kit.connect(server) as client:
            assert str(await refusal(client)).startswith("451 4.4.1 ")


# Whose mail it is


async def test_xforward_tells_the_client_with_each_message(kit):
    told = []

    class Trusting:
        async def on_command(self, command):
            told.append(command.attributes)
            return Reply(250, "ok")

    back = {"extensions": ["XFORWARD ADDR HELO PROTO SOURCE"]}
    async with (
        relayed(kit, Trusting, back=back, relay={"forward_client": True}) as server,
        kit.connect(server, local_hostname="client.example") as client,
    ):
        for _ in range(2):
            await client.send("a@a.example", "b@b.example", BODY)
    assert told == [{"PROTO": "ESMTP", "ADDR": "127.0.0.1", "HELO": "client.example", "SOURCE": "REMOTE"}] * 2


async def test_xclient_makes_the_session_the_clients(kit):
    told = []

    class Trusting:
        async def on_command(self, command):
            told.append(command.attributes["HELO"])
            return Reply(220, "as you say")

        async def on_message(self, message):
            told.append((message.session.hello_name, len(told)))

    back = {"extensions": ["XCLIENT ADDR HELO"]}
    async with relayed(kit, Trusting, back=back, relay={"forward_client": True}) as server, kit.peer(server) as peer:
        await peer.reply()
        for name in ("one.example", "one.example", "two.example"):
            await peer.say(f"EHLO {name}", "MAIL FROM:<>", "RCPT TO:<b@b.example>", "DATA")
            assert (await peer.say("hi\r\n.")).code == 250
    names = [each if isinstance(each, str) else each[0] for each in told]
    assert names == ["one.example", "one.example", "one.example", "two.example", "two.example"]


async def test_tls_and_login_on_the_way_to_the_next_server(kit):
    kept = Kept()
    back = {"tls": kit.tls("server"), "auth": {"relay": "secret"}, "extensions": ["PIPELINING", "REQUIRETLS"]}
    url = "smtp://relay:{}@localhost:{}"
    front = {"extensions": ["REQUIRETLS", "8BITMIME"], "tls": kit.tls("server")}
    async with kit.serve(kept.handler(kit), **back) as behind:
        port = behind.address[1]
        async with before(kit, url.format("secret", port), relay={"cafile": kit.cafile}, **front) as server:
            where = f"smtp://localhost:{server.address[1]}"
            async with kit.connect(where, cafile=kit.cafile, tls="required") as client:
                await client.send("a@a.example", "b@b.example", BODY, requiretls=True)
        for secret, options, reply in (("wrong", {"cafile": kit.cafile}, "451 4.3.5"), ("secret", {}, "451 4.7.5")):
            async with before(kit, url.format(secret, port), relay=options) as server, kit.connect(server) as client:
                assert str(await refusal(client)).startswith(reply)
    (message,) = kept.messages
    assert message.session.identity == "relay"
    assert message.session.tls is not None
    assert message.envelope.mail_parameters["REQUIRETLS"]
    assert b" with ESMTPS id " in message.content


async def test_a_next_server_that_does_not_trust_this_host(kit, log):
    back = {"extensions": ["XCLIENT ADDR"]}
    async with relayed(kit, back=back, relay={"forward_client": True}) as server, kit.connect(server) as client:
        assert str(await refusal(client)).startswith("451 4.4.1 ")


# Decisions of one's own


async def test_hooks_may_decide_before_the_next_server_does(kit):
    kept = Kept()

    async def on_rcpt(self, command):
        if command.forward_path.domain == "blocked.example":
            return Reply(550, "not through here", "5.7.1")
        answer = kit.module.RelaySession.on_rcpt(self, command)
        return await answer if kit.colour == "asyncio" else answer

    class Filtering(kit.module.RelaySession):
        pass

    Filtering.on_rcpt = kit.function(on_rcpt)
    async with (
        relayed(kit, kept.handler(kit), relay={"session": Filtering}) as server,
        kit.connect(server) as client,
    ):
        result = await client.send("a@a.example", ["b@b.example", "c@blocked.example"], BODY)
    assert result.refused["c@blocked.example"].reply.text == "not through here"
    assert kept.messages[0].recipients == ["b@b.example"]


async def test_arguments_that_do_not_fit(kit):
    for target, options in (("memory:", {}), ("print:", {}), ("smtp://h", {"sock": object()}), ("gopher://h", {})):
        with pytest.raises(ValueError, match=r"relay|scheme|gopher"):
            kit.module.Relay(target, **options)
    with pytest.raises(TypeError):
        kit.module.Relay("smtp://h", nonsense=1)
    assert repr(kit.module.Relay("smtp://user:password@h")) == "<Relay to smtp://h:587>"
