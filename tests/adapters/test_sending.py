"""A message goes from a client to a server, whatever their colours, its form, and the way."""

import asyncio
import io
import socket
import tracemalloc
from email.message import EmailMessage

import pytest

from smtpkit import MessageRefused, RecipientsRefused, Reply

BODY = b"Subject: test\r\n\r\n.dot\r\nline\r\n"


@pytest.fixture
def inbox():
    return []


def storing(inbox, answer=None):
    async def handler(message):
        inbox.append(message)
        return answer

    return handler


async def test_a_message_arrives_as_it_was_sent(mixed, inbox):
    async with mixed.serve(storing(inbox)) as server, mixed.connect(server) as client:
        result = await client.send("a@a.example", ["b@b.example", "c@c.example"], BODY)
        assert list(result.accepted) == ["b@b.example", "c@c.example"]
        await client.send(None, "d@d.example", BODY)
    first, second = inbox
    assert (first.sender, first.recipients, first.content) == ("a@a.example", ["b@b.example", "c@c.example"], BODY)
    assert (second.sender, second.recipients) == ("", ["d@d.example"])
    assert first.session.peer[0] == "127.0.0.1"


async def pieces(body, size):
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_an_iterable_of_pieces_of_any_size(mixed, inbox, size):
    body = BODY * (10 if size == 1 else 1000)
    source = (body[start : start + size] for start in range(0, len(body), size))
    async with mixed.serve(storing(inbox)) as server, mixed.connect(server) as client:
        await client.send("a@a.example", "b@b.example", source)
    assert inbox[0].content == body


async def test_empty_pieces_are_skipped(kit, inbox):
    async with kit.serve(storing(inbox)) as server, kit.connect(server) as client:
        await client.send("a@a.example", "b@b.example", iter([b"", b"a\r", b"", b"\n", b""]))
        await client.send("a@a.example", "b@b.example", iter([]))
    assert [message.content for message in inbox] == [b"a\r\n", b""]


async def test_an_async_iterable_of_pieces(asyncio_kit, inbox):
    async with asyncio_kit.serve(storing(inbox)) as server, asyncio_kit.connect(server) as client:
        await client.send("a@a.example", "b@b.example", pieces(BODY * 100, 7))
    assert inbox[0].content == BODY * 100


async def test_a_file_that_can_be_read_twice_and_one_that_cannot(kit, inbox, tmp_path):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    path = tmp_path / "message"
    path.write_bytes(b"skipped" + BODY * 100)
    async with kit.serve(storing(inbox)) as server, kit.connect(server) as client:
        with open(path, "rb") as file:
            file.seek(7)
            await client.send("a@a.example", "b@b.example", file)
        await client.send("a@a.example", "b@b.example", Pipe(BODY * 100))
    assert [message.content for message in inbox] == [BODY * 100] * 2
    assert inbox[0].envelope.mail_parameters["SIZE"] >= len(BODY) * 100
    assert "SIZE" not in inbox[1].envelope.mail_parameters


@pytest.mark.parametrize("chunking", [True, False])
async def test_bdat_and_data_carry_the_same(kit, inbox, chunking):
    async with kit.serve(storing(inbox)) as server, kit.connect(server) as client:
        await client.send("a@a.example", "b@b.example", BODY * 5000, chunking=chunking)
        await client.send("a@a.example", "b@b.example", io.BytesIO(BODY * 5000), chunking=chunking)
    assert [message.content for message in inbox] == [BODY * 5000] * 2


async def test_8_mib_stream_through_bounded_memory(mixed):
    line = b"x" * 998 + b"\r\n"
    sizes = []

    class Counting:
        async def on_body(self, stream):
            size = 0
            async for piece in stream:
                size += len(piece)
            sizes.append(size)

    async with mixed.serve(Counting) as server, mixed.connect(server) as client:
        await client.send("a@a.example", "b@b.example", line)
        tracemalloc.start()
        try:
            await client.send("a@a.example", "b@b.example", (line * 64 for _ in range(8 * 16)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert sizes == [1000, 8 * 16 * 64 * 1000]
    assert peak < 2_500_000


async def test_an_email_message_with_its_own_envelope(mixed, inbox):
    message = EmailMessage()
    message["From"] = "a@a.example"
    message["To"] = "b@b.example"
    message["Bcc"] = "c@c.example"
    message.set_content("text\n")
    before = bytes(message)
    async with mixed.serve(storing(inbox)) as server, mixed.connect(server) as client:
        result = await client.send_message(message)
        assert list(result.accepted) == ["b@b.example", "c@c.example"]
        await client.send_message(inbox[0], recipients=["d@d.example"])
    assert bytes(message) == before
    assert b"Bcc" not in inbox[0].content
    assert inbox[0].as_email()["To"] == "b@b.example"
    assert (inbox[1].sender, inbox[1].recipients) == ("a@a.example", ["d@d.example"])
    assert inbox[1].content == inbox[0].content


async def test_one_message_over_a_connection_of_its_own(kit, inbox):
    message = EmailMessage()
    message["From"] = "a@a.example"
    message["To"] = "b@b.example"
    async with kit.serve(storing(inbox)) as server:
        url = "smtp://{}:{}".format(*server.address)
        if kit.colour == "asyncio":
            await kit.client_module.send_message(message, url, recipients=["c@c.example"], options={"size": None})
        else:
            await asyncio.to_thread(kit.client_module.send_message, message, url, recipients=["c@c.example"])
    assert inbox[0].recipients == ["c@c.example"]


def lmtp(server):
    return "lmtp://{}:{}".format(*server.address)


async def test_lmtp_has_a_reply_for_each_recipient(mixed, inbox):
    replies = [Reply(250, "Ok", "2.0.0"), Reply(552, "Full", "5.2.2"), Reply(451, "Later", "4.3.0")]
    recipients = ["b@b.example", "c@c.example", "d@d.example"]
    async with mixed.serve(storing(inbox, replies), lmtp=True) as server, mixed.connect(lmtp(server)) as client:
        result = await client.send("a@a.example", recipients, BODY)
    verdicts = [list(each) for each in (result.accepted, result.refused, result.deferred)]
    assert verdicts == [[each] for each in recipients]
    assert inbox[0].session.protocol == "LMTP"


async def test_lmtp_takes_one_reply_for_all(kit, inbox):
    refusal = Reply(554, "No", "5.0.0")
    async with kit.serve(storing(inbox, refusal), lmtp=True) as server, kit.connect(lmtp(server)) as client:
        with pytest.raises(MessageRefused) as caught:
            await client.send("a@a.example", ["b@b.example", "c@c.example"], BODY)
        await client.reset()
    assert {outcome.reply for outcome in caught.value.recipients.values()} == {refusal}


async def test_a_unix_socket(mixed, inbox, tmp_path):
    path = str(tmp_path / "s")
    async with mixed.serve(storing(inbox), unix=path, lmtp=True) as server:
        assert server.addresses == [path]
        async with mixed.connect(f"lmtp+unix://{path}") as client:
            await client.send("a@a.example", "b@b.example", BODY)
    assert inbox[0].session.peer == ""
    assert inbox[0].session.hello_name == "localhost"


async def test_several_listeners(kit, inbox, tmp_path):
    path = str(tmp_path / "s")
    listener = kit.module.Listener
    listeners = [listener(unix=path), listener(port=0), listener(port=0)]
    async with kit.serve(storing(inbox), listeners=listeners) as server:
        unix, first, second = server.addresses
        assert (unix, first) == (path, server.address)
        for target in (first, second, f"smtp+unix://{path}"):
            async with kit.connect(target) as client:
                await client.send("a@a.example", "b@b.example", BODY)
    assert len(inbox) == 3


async def test_a_socket_of_the_callers(kit, inbox):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    async with kit.serve(storing(inbox), sock=sock) as server:
        client_sock = socket.create_connection(server.address)
        async with kit.connect(server, sock=client_sock, local_hostname="me.example") as client:
            await client.send("a@a.example", "b@b.example", BODY)
    assert inbox[0].session.hello_name == "me.example"


async def test_ipv6_where_the_machine_has_it(kit, inbox):
    host = "::1" if has_ipv6() else "127.0.0.1"
    async with kit.serve(storing(inbox), host=host, port=0) as server, kit.connect(server) as client:
        await client.send("a@a.example", "b@b.example", BODY)
    assert inbox[0].session.hello_name == ("[IPv6:::1]" if has_ipv6() else "[127.0.0.1]")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_both_families_share_a_free_port(kit):
    async with kit.serve(host="", port=0) as server:
        ports = {address[1] for address in server.addresses}
        assert len(ports) == 1
        async with kit.connect(("127.0.0.1", ports.pop())) as client:
            assert client.greeting.code == 220


async def test_recipients_may_be_refused_one_by_one(mixed, inbox):
    class Picky:
        async def on_rcpt(self, command):
            if command.forward_path.local_part != "good":
                return Reply(550, "No such user", "5.1.1")
            return None

        async def on_message(self, message):
            inbox.append(message)

    async with mixed.serve(Picky) as server, mixed.connect(server) as client:
        result = await client.send("a@a.example", ["good@b.example", "bad@b.example"], BODY)
        assert (list(result.accepted), list(result.refused)) == (["good@b.example"], ["bad@b.example"])
        with pytest.raises(RecipientsRefused):
            await client.send("a@a.example", ["bad@b.example"], BODY)
        with pytest.raises(RecipientsRefused):
            await client.send("a@a.example", ["good@b.example", "bad@b.example"], BODY, partial=False)
        await client.send("a@a.example", ["good@b.example"], BODY)
    assert [message.recipients for message in inbox] == [["good@b.example"]] * 2
