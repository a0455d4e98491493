"""How `smtpkit serve` ends: what is under way is finished, and nobody can hold it up."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[1] / "certificates" / "server.pem"


def begin(server):
    """A transaction, as far as half of its content."""
    sock, lines = server.connect()
    sock.sendall(b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
    while not lines.readline().startswith(b"354"):
        pass
    sock.sendall(b"Subject: half\r\n\r\n")
    return sock, lines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_transaction_under_way_is_finished_and_stored(serving, tmp_path, messages, number):
    server = serving("--maildir", tmp_path, "--no-trace")
    _, idle = server.connect()
    assert idle.readline().startswith(b"220 ")
    sock, lines = begin(server)
    with sock, lines:
        server.process.send_signal(number)
        assert idle.readline().startswith(b"421 ")  # so it knows
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        sock.sendall(b"and the rest\r\n.\r\n")
        assert lines.readline().startswith(b"250 ")
        assert lines.readline().startswith(b"421 ")
        assert lines.readline() == b""
    assert server.process.wait(20) == 0
    assert messages(tmp_path) == [b"Subject: half\n\nand the rest\n"]


def test_a_client_between_transactions_is_told_and_let_go(serving):
    server = serving()
    sock, lines = server.connect()
    with sock, lines:
        lines.readline()
        server.process.send_signal(signal.SIGTERM)
        assert lines.readline().startswith(b"421 ")
        assert lines.readline() == b""
    assert server.process.wait(20) == 0


def test_nobody_holds_it_up_for_more_than_5_seconds(serving, tmp_path, messages):
    """Neither a peer that goes silent, nor one that never reads, nor who does not read what it prints."""
    name = ".".join(["mx" * 25] * 4)  # makes replies long
    storing = serving("--maildir", tmp_path, "--hostname", name, "--tls-cert", SERVER)
    begin(storing)
    deafened(storing)
    printing = serving("--print")
    begin(printing)[0].sendall((b"x" * 70 + b"\r\n") * 20_000 + b".\r\n")
    printing.process.stdout.read(1024)  # it has begun, and the pipe is full
    started = time.monotonic()
    for server in (storing, printing):
        server.process.send_signal(signal.SIGTERM)
    assert [server.process.wait(20) for server in (storing, printing)] == [0, 0]
    assert time.monotonic() - started < 15  # on a machine with more to do; without an end it would be minutes
    assert messages(tmp_path) == []


def deafened(server):
    """A client that asks for megabytes of replies, more than fits on the way to it, and reads nothing."""
    sock = socket.socket()
    server.opened.append(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(0.2)
    sock.connect(("127.0.0.1", server.port))
    with suppress(TimeoutError):
        for _ in range(99):
            sock.sendall(b"EHLO client.example\r\n" * 100)
    return sock


def test_a_second_signal_changes_nothing(serving):
    server = serving()
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.communicate(timeout=20) == (b"", b"")
    assert server.process.returncode == 0


def test_it_can_be_started_again_on_the_same_port_at_once(serving):
    first = serving()
    sock, lines = first.connect()
    with sock, lines:
        lines.readline()
        first.end(signal.SIGTERM)
    second = subprocess.Popen(
        [sys.executable, "-m", "smtpkit", "serve", "--port", str(first.port)], stdout=subprocess.PIPE
    )
    with second:
        assert second.stdout.readline().decode().endswith(f":{first.port}\n")
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
