"""What only threads and blocking sockets can get wrong."""

import contextlib
import errno
import signal
import socket
import sys
import threading
from time import monotonic

import pytest

import smtpkit.sync
from smtpkit import (
    AuthenticationError,
    AuthPolicy,
    ConnectionLost,
    Limits,
    Noop,
    RemoteProtocolError,
    Timeout,
    Timeouts,
    UnknownCommand,
)
from smtpkit.protocol.needs import READ, WRITE
from smtpkit.sync.transport import Transport
from smtpkit.sync.turns import Turns

BODY = b"Subject: test\r\n\r\ntext\r\n"
PATIENCE = 20  # seconds until what hangs fails


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
            smtpkit.sync.connect("server.example", sock=own, timeouts=Timeouts(greeting=0.5, hello=0.7))
        assert 0.69 < monotonic() - began < PATIENCE


def test_a_peer_that_does_not_read_is_waited_for_so_long():
    own, peer = socket.socketpair()
    with own, peer:
        peer.sendall(b"220 server.example\r\n")
        fill(own)
        with pytest.raises(Timeout, match="EHLO"):
            smtpkit.sync.connect("server.example", sock=own, timeouts=Timeouts(PATIENCE, hello=0.05))


def fill(sock):
    """Send what nobody reads, until there is no room for more."""
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while sock.send(bytes(1024)):
            pass


@pytest.fixture
def signals():
    """This thread is interrupted twenty times a second."""
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("waits", ["reading", "writing"])
def test_signals_do_not_prolong_a_wait(signals, waits):
    own, peer = socket.socketpair()
    rescue = threading.Timer(PATIENCE, peer.shutdown, [socket.SHUT_RDWR])
    rescue.start()
    with own, peer:
        peer.sendall(b"220 server.example\r\n")
        if waits == "writing":
            fill(own)
        with pytest.raises(Timeout):
            smtpkit.sync.connect("server.example", sock=own, timeouts=Timeouts(PATIENCE, hello=0.3))
    assert rescue.is_alive()
    rescue.cancel()
    rescue.join()


# Turns


def lined_up(turns, *late):
    """Threads that wait in this order while the turn is taken; the order in which they had it."""
    order, threads = [], []

    def wait_for_it(number):
        turns.take(late=late[number])
        order.append(number)
        turns.hand_on()

    turns.take()
    for number in range(len(late)):
        threads.append(threading.Thread(target=wait_for_it, args=(number,)))
        threads[-1].start()
        while len(turns._waiting) + len(turns._late) <= number:
            threading.Event().wait(0.001)
    turns.hand_on()
    for thread in threads:
        thread.join(20)
    return order


def test_turns_come_in_the_order_of_asking():
    assert lined_up(Turns(), *[False] * 5) == [0, 1, 2, 3, 4]


def test_who_is_late_waits_behind_the_others_but_for_each_fourth_turn():
    late = [True, True, True, False, False, False, False, False]
    assert lined_up(Turns(), *late) == [3, 4, 5, 0, 6, 7, 1, 2]


def test_nobody_waits_for_ever_and_nobody_shares_a_turn():
    turns, inside, seen = Turns(), [], []

    def take_many(late):
        for _ in range(300):
            turns.take(late=late)
            inside.append(None)
            seen.append(len(inside))
            inside.pop()
            turns.hand_on()

    threads = [threading.Thread(target=take_many, args=(number % 2 == 0,), daemon=True) for number in range(8)]
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
    class Emptied:
        there = [True, False, False, False]

        def __bool__(self):
            return self.there.pop(0)

    turns = Turns()
    turns._waiting = Emptied()
    turns._give()
    assert not turns._lock.locked()


class Told:
    """A driver that gives these needs, and what a transport asks of it besides."""

    unread, may_be_woken = 1, False

    def __init__(self, *needs):
        self.needs = list(needs)

    def next(self, answer):
        need = self.needs.pop(0)
        if isinstance(need, Exception):
            raise need
        return need

    def take(self):
        return b""


class Asked(Turns):
    """Turns that remember who asked."""

    def __init__(self):
        super().__init__()
        self.late = []

    def take(self, *, late=False):
        super().take(late=late)
        self.late.append(late)


def test_a_turn_is_good_for_some_steps_with_calls_between_them_and_the_next_one_is_late():
    driver, turns = Told(*["call"] * 20), Asked()
    transport = Transport(driver, turns=turns)
    for _ in range(20):
        transport.until(driver.next)
    assert turns.late == [False, True, True]


def test_who_has_more_to_do_after_a_turn_is_late_until_octets_were_awaited(monkeypatch):
    monkeypatch.setattr(Transport, "_read", lambda transport: None)
    driver, turns = Told(WRITE, WRITE, "call", READ, WRITE, READ, "call"), Asked()
    transport = Transport(driver, turns=turns)
    transport.until(driver.next)
    transport.until(driver.next)
    assert turns.late == [False, True, True, False, True, False]


def test_a_turn_ends_with_what_is_raised_in_it():
    driver, turns = Told(LookupError()), Asked()
    with pytest.raises(LookupError):
        Transport(driver, turns=turns).until(driver.next)
    assert not turns._lock.locked()


def test_a_ledger_is_changed_by_one_thread_at_a_time():
    held = []

    class Watched(smtpkit.sync.Ledger):
        def add(self, address, kind, now, number=1):
            held.append((kind, server._watch.lock.locked()))
            super().add(address, kind, now, number)

    ledger = Watched(connections=9, messages=9, recipients=9, errors=9, failed_logins=9)
    policy = AuthPolicy({"user": "secret"}, required=False, allow_in_clear=True)
    with smtpkit.sync.serve(lambda message: None, port=0, auth=policy, ledger=ledger) as server:
        with smtpkit.sync.connect(*server.address) as client:
            client.command(UnknownCommand("WHAT"))
            client.send("a@a.example", "b@b.example", b"hi\r\n")
        with pytest.raises(AuthenticationError):
            smtpkit.sync.connect(*server.address, auth=("user", "wrong"), allow_auth_in_clear=True)
    assert set(held) == {(kind, True) for kind in ("connections", "messages", "recipients", "errors", "failed_logins")}
