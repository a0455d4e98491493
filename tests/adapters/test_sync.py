"""What only threads and blocking sockets can get wrong."""

import contextlib
import errno
import socket
import sys
import threading
from time import monotonic

import pytest

import smtpkit.sync
from smtpkit import ConnectionLost, Limits, Noop, RemoteProtocolError, Timeout, Timeouts
from smtpkit.sync.turns import Turns

BODY = b"Subject: test\r\n\r\ntext\r\n"


def served(handler=lambda message: None, **options):
    return smtpkit.sync.serve(handler, port=0, **options)


def test_a_server_and_a_client_are_entered_with_with():
    inbox = []
    with served(inbox.append) as server:
        assert "127.0.0.1" in repr(server)
        with smtpkit.sync.connect(*server.address) as client:
            assert client.send("a@a.example", "b@b.example", BODY).accepted
    assert inbox[0].content == BODY
    assert "closed" in repr(client)


def test_a_server_that_is_interrupted_is_closed(monkeypatch):
    server = served()
    wait = threading.Event.wait

    def interrupted(event, timeout=None):
        if event is server._closed:
            raise KeyboardInterrupt
        return wait(event, timeout)

    monkeypatch.setattr(threading.Event, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        server.serve_forever()
    with pytest.raises(ConnectionLost):
        smtpkit.sync.connect(*server.address)


def test_a_process_out_of_files_or_threads_goes_on_when_it_has_them_again(monkeypatch):
    accept, start = socket.socket.accept, threading.Thread.start
    failures = [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ECONNABORTED, "gone")]
    refused = []

    def accepting(sock):
        if failures:
            raise failures.pop(0)
        return accept(sock)

    def starting(thread):
        if thread.name == "smtpkit-connection" and not refused:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(socket.socket, "accept", accepting)
    monkeypatch.setattr(threading.Thread, "start", starting)
    monkeypatch.setattr("smtpkit.sync.sockets.PAUSE", 0.01)
    with served() as server:
        with pytest.raises(ConnectionLost):
            smtpkit.sync.connect(*server.address)
        with smtpkit.sync.connect(*server.address) as client:
            assert client.command(Noop()).code == 250
        assert server.counters["connections"] == 2


def test_the_next_address_of_a_name_is_tried(monkeypatch):
    with served() as server:
        good = (socket.AF_INET, socket.SOCK_STREAM, 0, "", server.address)
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            bad = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", bound.getsockname())]
            bad.append((12345, socket.SOCK_STREAM, 0, "", server.address))
            monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: [*bad, good])
            with smtpkit.sync.connect("two.example", 25) as client:
                assert client.command(Noop()).code == 250
            monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: bad)
            with pytest.raises(ConnectionLost, match="no connection to"):
                smtpkit.sync.connect("two.example", 25)


def test_a_server_is_closed_from_any_thread_any_number_of_times():
    with served(limits=Limits(idle=60)) as server, smtpkit.sync.connect(*server.address) as client:
        threads = [threading.Thread(target=server.close) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert server.connections == 0
        with pytest.raises(RemoteProtocolError, match="421"):
            client.command(Noop())


def test_a_wait_lasts_its_own_time_after_a_shorter_one():
    own, peer = socket.socketpair()
    with own, peer:
        peer.sendall(b"220 server.example\r\n")
        began = monotonic()
        with pytest.raises(Timeout, match="EHLO"):
            smtpkit.sync.connect("server.example", sock=own, timeouts=Timeouts(greeting=0.05, hello=0.2))
        assert 0.19 < monotonic() - began < 2


def test_a_peer_that_does_not_read_is_waited_for_so_long():
    own, peer = socket.socketpair()
    with own, peer:
        peer.sendall(b"220 server.example\r\n")
        own.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while own.send(bytes(1024)):
                pass
        with pytest.raises(Timeout):
            smtpkit.sync.connect("server.example", sock=own, timeouts=0.05)


# Turns


def test_turns_come_in_the_order_of_asking():
    turns, order = Turns(), []

    def take(number):
        with turns:
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
    with turns:
        for number, thread in enumerate(threads):
            thread.start()
            while len(turns._waiting) <= number:
                threading.Event().wait(0.001)
    for thread in threads:
        thread.join(20)
    assert order == [0, 1, 2, 3, 4]


def test_nobody_waits_for_ever_and_nobody_shares_a_turn():
    turns, inside, seen = Turns(), [], []

    def take_many():
        for _ in range(300):
            with turns:
                inside.append(None)
                seen.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=take_many, daemon=True) for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        sys.setswitchinterval(interval)
    assert seen == [1] * 2400


def test_a_turn_that_was_handed_on_already_is_free_again():
    class Emptied(list):
        def popleft(self):
            self.clear()
            raise IndexError

    turns = Turns()
    turns._waiting = Emptied([None])
    turns._hand_on()
    with turns:
        assert turns._lock.locked()
    assert not turns._lock.locked()


def test_a_turn_ends_with_what_is_raised_in_it():
    turns = Turns()
    with pytest.raises(LookupError), turns:
        raise LookupError
    with turns:
        pass
