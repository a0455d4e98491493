"""What a server said before it cut the line is the reason that the user gets, not the cut itself."""

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


async def test_a_peer_that_goes_without_waiting_for_the_last_reply_is_no_failure(kit, log):
    gone, answered = kit.Event(), kit.Event()

    async def handler(message):
        await gone.wait()
        answered.set()

    async with kit.serve(handler) as server:
        async with kit.peer(server) as peer:
            await peer.begin()
            await peer.write(b"text\r\n.\r\nQUIT\r\n")
        gone.set()
        await answered.wait()
    assert not [record for record in log.records if record.levelname == "ERROR"]
