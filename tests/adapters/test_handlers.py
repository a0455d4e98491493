"""What a handler may be, what its hooks may return and raise, and what the client hears of it."""

import asyncio
import contextvars

import pytest

from smtpkit import (
    ConnectionLost,
    Etrn,
    MessageRefused,
    Noop,
    NotSupported,
    Reply,
    ReplyError,
    SenderRefused,
    SMTPError,
    Vrfy,
)
from smtpkit.sync import Session as BlockingSession

BODY = b"Subject: test\r\n\r\ntext\r\n"
INTERNAL = Reply(451, "Internal error, try again later", "4.3.0")


async def sent(kit, handler, **options):
    """The reply to one message."""
    async with kit.serve(handler, **options) as server, kit.connect(server) as client:
        return await client.command(Noop()) and await verdict(client)


async def verdict(client):
    try:
        result = await client.send("a@a.example", "b@b.example", BODY)
    except ReplyError as error:
        return error.reply
    return result.recipients["b@b.example"].reply


# Forms of a handler


async def test_an_instance_with_call(kit):
    class Inbox:
        def __init__(self):
            self.messages = []

    async def call(self, message):
        self.messages.append(message.content)

    Inbox.__call__ = kit.function(call)
    inbox = Inbox()
    await sent(kit, inbox)
    assert inbox.messages == [BODY]


async def test_a_session_class_and_a_factory_make_one_session_a_connection(kit):
    made = []

    class Counting:
        def __init__(self):
            made.append(self)

    session = kit.session(Counting)
    for handler in (session, lambda: session()):  # a class, and a factory
        async with kit.serve(handler) as server:
            for _ in range(2):
                async with kit.connect(server) as client:
                    await client.send("a@a.example", "b@b.example", BODY)
    assert len({id(each) for each in made}) == 4


async def test_a_factory_that_fails_costs_its_connection_alone(kit, log):
    made = [LookupError("no"), None, kit.module.Session()]

    def factory():
        if isinstance(made[0], Exception):
            raise made.pop(0)
        return made.pop(0)

    async with kit.serve(factory) as server:
        for _ in range(2):
            async with kit.peer(server) as peer:
                assert (await peer.reply()).code == 421
                assert await peer.reply() is None
        async with kit.connect(server) as client:
            await client.send("a@a.example", "b@b.example", BODY)
    assert [record.exc_info[0] for record in log.records if record.exc_info] == [LookupError, TypeError]


class Store:
    """The plain, blocking interface of a store, for both colours."""

    def __init__(self, **failures):
        self.steps = []
        self.failures = failures

    def begin(self, envelope, session):
        self.step("begin", str(envelope.recipients[0]), session.hello_name)
        return self

    def write(self, octets):
        self.step("write", octets)

    def commit(self):
        self.step("commit")
        return self.failures.get("reply")

    def abort(self):
        self.step("abort")

    def step(self, name, *details):
        self.steps.append((name, *details))
        if name in self.failures:
            raise self.failures[name]

    @property
    def names(self):
        return [name for name, *_ in self.steps]


async def test_a_store_gets_envelope_session_and_pieces(kit):
    store = Store(reply=Reply(250, "Kept", "2.6.0"))
    assert await sent(kit, store) == Reply(250, "Kept", "2.6.0")
    assert store.steps[0] == ("begin", "b@b.example", "[127.0.0.1]")
    assert b"".join(octets for name, *rest in store.steps if name == "write" for octets in rest) == BODY
    assert store.names[-1] == "commit"


async def test_a_store_that_fails_is_aborted(kit, log):
    refusal = ReplyError(Reply(452, "Full", "4.3.1"))
    for step, names in (("begin", ["begin"]), ("write", ["begin", "write", "abort"])):
        store = Store(**{step: refusal})
        assert await sent(kit, store) == refusal.reply
        assert store.names == names
    store = Store(write=OSError("disk"))
    assert await sent(kit, store) == INTERNAL
    assert store.names == ["begin", "write", "abort"]


async def test_a_client_that_goes_in_the_middle_aborts_the_store(kit):
    store = Store()
    aborted = kit.Event()
    store.abort = aborted.set
    async with kit.serve(store) as server:
        async with kit.peer(server) as peer:
            await peer.begin()
            await peer.write(b"half a line\r\nand")
        await aborted.wait()
    assert "commit" not in store.names


@pytest.mark.parametrize("handler", [None, "text", 7])
async def test_what_cannot_be_called_is_a_type_error(kit, handler):
    with pytest.raises(TypeError, match="a handler is"):
        kit.module.serve(handler)


async def test_a_handler_of_the_other_colour_is_a_type_error(kit):
    async def coroutine_function(message):
        return None

    class Instance:
        async def __call__(self, message):
            return None

    if kit.colour == "sync":
        for handler in (coroutine_function, Instance()):
            with pytest.raises(TypeError, match=r"smtpkit\.asyncio"):
                kit.module.serve(handler)
    else:
        for handler in (lambda message: None, print, [].append):
            with pytest.raises(TypeError, match="in_thread"):
                kit.module.serve(handler)


async def test_a_session_of_the_other_colour_is_a_type_error(kit):
    other = BlockingSession if kit.colour == "asyncio" else __import__("smtpkit.asyncio").asyncio.Session
    with pytest.raises(TypeError, match="Session"):
        kit.module.serve(other)


async def test_a_builtin_is_a_handler_not_a_factory(asyncio_kit):
    inbox = []
    await sent(asyncio_kit, inbox.append, in_thread=True)
    assert inbox[0].content == BODY


# What hooks return and raise

HOOKS = ["on_connect", "on_hello", "on_mail", "on_rcpt", "on_message", "on_body"]


def session_with(hook, outcome):
    """A class of hooks, one of which returns or raises."""

    async def answer(self, *arguments):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return type("Hooked", (), {hook: answer})


async def heard(kit, handler):
    """The first refusal that a client hears, or the verdict."""
    async with kit.serve(handler) as server:
        try:
            async with kit.connect(server) as client:
                return await verdict(client)
        except ReplyError as error:
            return error.reply


@pytest.mark.parametrize("hook", HOOKS)
async def test_a_hook_may_refuse_by_returning_or_raising(kit, hook, log):
    refusal = Reply(550, "Not here", "5.7.1")
    expected = Reply(550, "Not here") if hook == "on_hello" else refusal
    for outcome in (refusal, ReplyError(refusal)):
        reply = await heard(kit, session_with(hook, outcome))
        assert (reply.code, reply.text.removeprefix("5.7.1 ")) == (550, expected.text)
    assert not [record for record in log.records if record.exc_info]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("outcome", [LookupError("a secret of the site"), 7, "250 Ok", Reply(354, "Go on")])
async def test_other_exceptions_and_nonsense_are_451_and_logged_once(kit, hook, outcome, log):
    reply = await heard(kit, session_with(hook, outcome))
    assert (reply.code, reply.text.removeprefix("4.3.0 ")) == (451, INTERNAL.text)
    logged = [record for record in log.records if record.exc_info]
    assert [record.exc_info[0] for record in logged] == [type(outcome) if isinstance(outcome, Exception) else TypeError]
    assert hook in logged[0].getMessage()


@pytest.mark.parametrize("hook", ["on_message", "on_body"])
async def test_replies_that_do_not_match_the_recipients_are_451_and_logged(kit, hook, log):
    reply = await heard(kit, session_with(hook, [Reply(250, "Fine")]))  # not LMTP: one Reply is wanted
    assert (reply.code, reply.text.removeprefix("4.3.0 ")) == (451, INTERNAL.text)
    assert [record.exc_info[0] for record in log.records if record.exc_info] == [TypeError]


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook not in ("on_connect", "on_hello")])
async def test_a_hook_may_accept_with_a_reply_of_its_own(kit, hook):
    reply = await heard(kit, session_with(hook, Reply(251, "Fine", "2.1.5" if hook == "on_rcpt" else "2.0.0")))
    assert reply.code == (251 if hook in ("on_message", "on_body") else 250)


async def test_the_server_goes_on_after_a_failure(kit, log):
    class Failing:
        async def on_message(self, message):
            if message.sender == "bad@a.example":
                raise LookupError("no")

    async with kit.serve(Failing) as server, kit.connect(server) as client:
        with pytest.raises(MessageRefused, match="451"):
            await client.send("bad@a.example", "b@b.example", BODY)
        await client.send("a@a.example", "b@b.example", BODY)


async def test_a_refused_sender_is_named(kit):
    hooks = session_with("on_mail", Reply(550, "No", "5.1.0"))
    async with kit.serve(hooks) as server, kit.connect(server) as client:
        with pytest.raises(SenderRefused):
            await client.send("a@a.example", "b@b.example", BODY)
        assert (await client.command(Noop())).code == 250


async def test_on_command_answers_what_has_no_standard_answer(kit):
    class Knowing:
        async def on_command(self, command):
            if isinstance(command, Vrfy):
                return Reply(250, "User <user@mx.example>", "2.1.5")
            return None

    async with kit.serve(Knowing, extensions=["ETRN"]) as server, kit.connect(server) as client:
        assert (await client.command(Vrfy("user"))).code == 250
        assert (await client.command(Etrn("x.example"))).code == 502
    async with kit.serve() as server, kit.connect(server) as client:
        assert (await client.command(Vrfy("user"))).code == 252
        with pytest.raises(NotSupported, match="ETRN"):
            await client.command(Etrn("x.example"))


async def test_on_reset_and_on_close_come_once(kit):
    seen = []
    closed = kit.Event()

    class Watching:
        async def on_reset(self):
            seen.append("reset")

        async def on_close(self):
            seen.append("close")
            closed.set()

        async def on_message(self, message):
            seen.append("message")

    async with kit.serve(Watching) as server:
        async with kit.connect(server) as client:
            await client.send("a@a.example", "b@b.example", BODY)
        await closed.wait()
        assert seen == ["message", "close"]
        seen.clear()
        async with kit.peer(server) as peer:
            await peer.reply()
            await peer.say("EHLO client.example", "MAIL FROM:<a@a.example>", "RSET", "RSET", "MAIL FROM:<a@a.example>")
            await peer.say("EHLO client.example", "MAIL FROM:<a@a.example>", "QUIT")
            assert await peer.ended()
    assert seen == ["reset", "reset", "reset", "close"]


async def test_a_hook_that_fails_at_the_end_is_logged(kit, log):
    class Failing:
        async def on_close(self):
            raise LookupError("no")

        async def on_reset(self):
            raise KeyError("no")

    async with kit.serve(Failing) as server, kit.peer(server) as peer:
        await peer.reply()
        assert (await peer.say("EHLO client.example", "MAIL FROM:<a@a.example>", "RSET", "NOOP")).code == 250
        assert (await peer.say("QUIT")).code == 221
        assert await peer.ended()
    assert {record.exc_info[0] for record in log.records if record.exc_info} == {LookupError, KeyError}


# on_body


async def test_a_hook_that_returns_early_has_the_rest_drained(kit):
    class First:
        async def on_body(self, stream):
            async for _ in stream:
                return Reply(250, "Enough", "2.0.0")
            return None

    async with kit.serve(First) as server, kit.connect(server) as client:
        for _ in range(2):
            result = await client.send("a@a.example", "b@b.example", iter([BODY * 1000] * 40))
            assert result.recipients["b@b.example"].reply.text == "Enough"


async def test_a_hook_that_never_reads_has_all_drained(kit):
    hooks = session_with("on_body", Reply(552, "Too dull", "5.3.4"))
    async with kit.serve(hooks) as server, kit.connect(server) as client:
        with pytest.raises(MessageRefused, match="Too dull"):
            await client.send("a@a.example", "b@b.example", iter([BODY * 1000] * 40))
        assert (await client.command(Noop())).code == 250


async def test_a_body_that_the_core_refuses_raises_in_the_hook(kit, log):
    caught, begun = [], [kit.Event() for _ in range(3)]

    class Careless:
        async def on_body(self, stream):
            try:
                async for _ in stream:
                    begun[len(caught)].set()
            except SMTPError as error:
                caught.append(type(error))
                raise
            return Reply(250, "Taken", "2.0.0")

    async with kit.serve(Careless, max_message_size=100_000) as server, kit.peer(server) as peer:
        await peer.reply()
        await peer.say("EHLO client.example")
        for event, rest, code in (
            (begun[0], b"bare\nnewline\r\n.\r\n", 550),
            (begun[1], (b"x" * 998 + b"\r\n") * 200 + b".\r\n", 552),
            (begun[2], b"half", None),
        ):
            await peer.say("MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>", "DATA")
            await peer.write(b"first line\r\n")
            await event.wait()
            await peer.write(rest)
            if code is not None:
                assert (await peer.reply()).code == code
                assert (await peer.say("NOOP")).code == 250
    assert caught == [MessageRefused, MessageRefused, ConnectionLost]
    assert not [record for record in log.records if record.exc_info]


async def test_two_streams_do_not_mix(kit):
    """A stream that a hook kept gives nothing of the next message."""
    kept = []

    class Keeping:
        async def on_body(self, stream):
            async for piece in stream:
                kept.append(stream)
                assert piece
                break
            if len(kept) == 2:
                assert [piece async for piece in kept[0]] == []

    async with kit.serve(Keeping) as server, kit.connect(server) as client:
        for _ in range(2):
            await client.send("a@a.example", "b@b.example", iter([BODY * 1000] * 4))


# What is logged and counted


async def test_one_line_a_message_and_the_counters(kit, log):
    async with kit.serve() as server:
        async with kit.connect(server) as client:
            await client.send("a@a.example", ["b@b.example", "c@c.example"], BODY)
        counted = {name: number for name, number in server.counters.items() if number}
        assert counted == {"connections": 1, "messages": 1, "recipients": 2, "octets": len(BODY)}
    lines = [record.getMessage() for record in log.records if record.name == "smtpkit.server.mail"]
    assert len(lines) == 1
    assert "from=<a@a.example> recipients=2" in lines[0]


@pytest.mark.parametrize("answer", [Reply(550, "no"), LookupError("broken")])
@pytest.mark.parametrize("hook", ["on_message", "on_body"])
async def test_a_message_that_is_refused_is_not_counted(kit, hook, answer, log):
    async with kit.serve(session_with(hook, answer)) as server, kit.connect(server) as client:
        with pytest.raises(MessageRefused):
            await client.send("a@a.example", ["b@b.example"], BODY)
        assert server.counters["messages"] == 0


async def test_session_facts(kit):
    facts = []

    class Telling:
        async def on_message(self, message):
            session = message.session
            assert session is self
            facts.append((session.hello_name, session.protocol, session.tls, session.identity, session.peer[0]))
            assert session.envelope == message.envelope
            assert session.id

    async with kit.serve(Telling) as server, kit.connect(server, local_hostname="me.example") as client:
        await client.send("a@a.example", "b@b.example", BODY)
        assert client.capabilities["SIZE"]
    assert facts == [("me.example", "ESMTP", None, None, "127.0.0.1")]


# asyncio alone


async def test_a_handler_runs_in_a_real_task_with_the_context_of_the_server(asyncio_kit):
    variable = contextvars.ContextVar("variable")
    variable.set("set by the starter")
    seen = []

    async def handler(message):
        seen.append((variable.get(), asyncio.current_task() is not None))
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()

    await sent(asyncio_kit, handler)
    assert seen == [("set by the starter", True)]


async def test_a_hook_may_give_a_body_up_after_a_time(asyncio_kit):
    class Hasty:
        async def on_body(self, stream):
            async with asyncio.timeout(0.05):
                async for _ in stream:
                    pass

    async with asyncio_kit.serve(Hasty) as server, asyncio_kit.peer(server) as peer:
        await peer.begin()
        await peer.write(b"half")
        await asyncio.sleep(0.1)
        await peer.write(b" and half\r\n.\r\n")
        assert (await peer.reply()).code == 451
        assert (await peer.say("NOOP")).code == 250
