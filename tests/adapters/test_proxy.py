"""A server behind a proxy that says whom it speaks for."""

import asyncio

HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.2 40000 25\r\n"
SESSION = b"EHLO c.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n"


async def said_to(server, octets):
    reader, writer = await asyncio.open_connection(*server.address)
    try:
        writer.write(octets)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_the_header_says_who_sent_the_message(kit):
    inbox = []

    async def handler(message):
        inbox.append(message)

    async with kit.serve(handler, proxy_protocol=True) as server:
        said = await said_to(server, HEADER + SESSION)
    assert said.startswith(b"220 ")
    assert said.splitlines()[-1].startswith(b"221 ")
    assert [message.session.peer for message in inbox] == [("192.0.2.7", 40000)]


async def test_who_brings_none_is_dropped_without_a_word(kit):
    async with kit.serve(proxy_protocol=True) as server:
        assert await said_to(server, SESSION) == b""
        assert server.counters["messages"] == 0


async def test_where_none_is_expected_it_is_no_command(kit):
    async with kit.serve() as server:
        said = await said_to(server, HEADER + b"QUIT\r\n")
    assert [line[:4] for line in said.splitlines()] == [b"220 ", b"500 ", b"221 "]
