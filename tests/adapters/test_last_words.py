"""What a server said before it cut the line is the reason that the user gets, not the cut itself."""

import asyncio
import socket
import struct
import threading

import pytest

from smtpkit import MessageRefused

PATIENCE = 20
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
PIECE = b"x" * 998 + b"\r\n"


@pytest.fixture
def refusing():
    """A server that says 552 in the middle of the content, when it is told to, and resets the line.

    Its address, the event that tells it, and the event that it did.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    told, gone = threading.Event(), threading.Event()

    def play():
        listening.settimeout(PATIENCE)
        sock, _ = listening.accept()
        sock.settimeout(PATIENCE)
        sock.sendall(b"220 mx.example\r\n")
        for answer in (b"250", b"250", b"250", b"354"):  # EHLO without extensions, MAIL, RCPT, DATA
            sock.recv(4096)
            sock.sendall(answer + b" Go on\r\n")
        assert told.wait(PATIENCE)
        sock.sendall(b"552 5.3.4 Too large\r\n")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        sock.close()
        gone.set()

    thread = threading.Thread(target=play)
    thread.start()
    yield listening.getsockname(), told, gone
    thread.join(PATIENCE)
    listening.close()


async def test_a_reply_before_a_reset_is_read_after_the_write_that_failed(kit, refusing):
    address, told, gone = refusing

    def body():
        for _ in range(4):
            yield PIECE * 64
        told.set()
        assert gone.wait(PATIENCE)  # nothing is read meanwhile
        while True:
            yield PIECE * 64

    async with kit.connect(address) as client:
        with pytest.raises(MessageRefused) as caught:
            await client.send("a@a.example", "b@b.example", body())
    assert caught.value.reply.code == 552


def begun(address):
    """A socket that is as far as the 354 of a transaction."""
    sock = socket.create_connection(address, PATIENCE)
    sock.recv(4096)
    for command in (b"HELO client.example", b"MAIL FROM:<a@a.example>", b"RCPT TO:<b@b.example>", b"DATA"):
        sock.sendall(command + b"\r\n")
        sock.recv(4096)
    return sock


async def test_a_peer_that_goes_without_waiting_for_the_last_reply_is_no_failure(kit, log):
    answered = kit.Event()

    async def handler(message):
        answered.set()

    async with kit.serve(handler) as server:
        sock = await asyncio.to_thread(begun, server.address)
        # Without a turn of the loop in between: the reply meets a socket that is closed, which resets the connection.
        sock.sendall(b"text\r\n.\r\nQUIT\r\n")
        sock.close()
        await answered.wait()
    assert not [record for record in log.records if record.levelname == "ERROR"]
