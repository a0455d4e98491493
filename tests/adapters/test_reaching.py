"""How a client reaches a host with several addresses: side by side (RFC 8305), and what it says when none answers."""

import asyncio
import errno
import os
import socket
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from smtpkit import ConnectionLost, Timeout
from smtpkit.reaching import ATTEMPT_DELAY, given_as_number, order, unreachable

V4, V6 = socket.AF_INET, socket.AF_INET6


def _text(host):
    return host.decode() if isinstance(host, bytes) else host


def bound(*addresses):
    """A socket on each address, all on one port that was free on each."""
    while True:
        first = socket.socket()
        first.bind((addresses[0], 0))
        port, sockets = first.getsockname()[1], [first]
        try:
            for address in addresses[1:]:
                sockets.append(socket.socket())
                sockets[-1].bind((address, port))
        except OSError:
            for sock in sockets:
                sock.close()
        else:
            return port, sockets


@contextmanager
def listening(address):
    _, (sock,) = bound(address)
    with sock:
        sock.listen()
        yield sock


@contextmanager
def silent(*addresses, beside=None):
    """Addresses that answer no SYN, since their queue is full; gives their port, and a socket that listens beside."""
    port, sockets = bound(*addresses, *([beside] if beside else []))
    listener = sockets.pop() if beside else None
    filling = []
    try:
        for sock in sockets:
            sock.listen(0)
            for _ in range(3):
                filling.append(socket.socket())
                filling[-1].setblocking(False)
                filling[-1].connect_ex(sock.getsockname())
        if listener is not None:
            listener.listen()
        yield port, listener
    finally:
        for sock in (*filling, *sockets, *([listener] if listener else [])):
            sock.close()


@pytest.fixture
def addresses_of(monkeypatch):
    """Let a name have addresses; other names are looked up as ever."""
    real = socket.getaddrinfo

    def set_addresses(name, *addresses):
        def look_up(host, port, *arguments, flags=0, **options):
            if _text(host) != name:
                return real(host, port, *arguments, flags=flags, **options)
            if flags & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "not a number")
            return [(V4, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return set_addresses


async def greet(sock):
    """Accept one connection and speak as the shortest server."""
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    peer, _ = await loop.sock_accept(sock)
    await loop.sock_sendall(peer, b"220 hi\r\n")
    while octets := await loop.sock_recv(peer, 1000):
        await loop.sock_sendall(peer, b"221 bye\r\n" if octets.startswith(b"QUIT") else b"250 ok\r\n")
    peer.close()


# The order


def test_families_take_turns_and_the_first_one_found_begins():
    found = [(V6, 1, 6, "", ("a", 1)), (V6, 1, 6, "", ("b", 1)), (V4, 1, 6, "", ("c", 1)), (V6, 1, 6, "", ("d", 1))]
    assert [address[0] for _, address in order(found)] == ["a", "c", "b", "d"]


def test_an_address_that_is_found_twice_is_tried_once():
    found = [(V4, 1, 6, "", ("a", 1)), (V4, 1, 6, "", ("a", 1))]
    assert order(found) == [(V4, ("a", 1))]


def test_addresses_of_another_family_than_the_local_one_are_left_out():
    found = [(V6, 1, 6, "", ("::1", 1)), (V4, 1, 6, "", ("127.0.0.1", 1))]
    assert [family for family, _ in order(found, ("127.0.0.1", 0))] == [V4]
    assert [family for family, _ in order(found, ("::", 0))] == [V6]
    assert order(found[:1], ("127.0.0.1", 0)) == []


def test_an_address_is_not_looked_up():
    assert given_as_number("127.0.0.1", 25) == [(V4, ("127.0.0.1", 25))]
    assert given_as_number("::1", 25) == [(V6, ("::1", 25, 0, 0))]
    assert given_as_number("mail.example", 25) is None
    assert given_as_number("no..host", 25) is None


# Connections


def attempt_after(seconds, kit, monkeypatch):
    """Have the next address tried after so many seconds."""
    monkeypatch.setattr(sys.modules[f"smtpkit.{kit.colour}.sockets"], "ATTEMPT_DELAY", seconds)


async def test_an_address_that_refuses_costs_nothing(kit, addresses_of, monkeypatch):
    attempt_after(15, kit, monkeypatch)
    with listening("127.0.0.3") as sock:
        addresses_of("mail.example", "127.0.0.4", "127.0.0.2", "127.0.0.3")
        server = asyncio.create_task(greet(sock))
        began = time.monotonic()
        client = await kit.connected(("mail.example", sock.getsockname()[1]))
        assert time.monotonic() - began < 15
        await client.close()
        await server


async def test_an_address_that_is_silent_costs_a_quarter_of_a_second(kit, addresses_of):
    with silent("127.0.0.2", beside="127.0.0.3") as (port, sock):
        addresses_of("mail.example", "127.0.0.2", "127.0.0.3")
        server = asyncio.create_task(greet(sock))
        began = time.monotonic()
        client = await kit.connected(("mail.example", port))
        assert ATTEMPT_DELAY * 0.9 < time.monotonic() - began < 15
        await client.close()
        await server


async def test_the_error_says_what_became_of_each_address(kit, addresses_of):
    with listening("127.0.0.9") as sock:
        port = sock.getsockname()[1]
    addresses_of("mail.example", "127.0.0.2", "127.0.0.3")
    with pytest.raises(ConnectionLost) as caught:
        await kit.connected(("mail.example", port))
    words = str(caught.value)
    assert words.startswith(f"no connection to smtp://mail.example:{port}: none of its addresses answered: 127.0.0.2 (")
    assert "127.0.0.3 (" in words
    assert words.lower().count("refused") + words.count("Connect call failed") == 2
    assert caught.value.stage == "connect"


async def test_the_time_out_says_which_addresses_were_silent(kit, addresses_of, monkeypatch):
    attempt_after(0.01, kit, monkeypatch)
    with silent("127.0.0.2", "127.0.0.3") as (port, _):
        addresses_of("mail.example", "127.0.0.4", "127.0.0.2", "127.0.0.3")
        with pytest.raises(Timeout, match=r"within 0\.5 s: 127\.0\.0\.2, 127\.0\.0\.3 did not answer in time"):
            await kit.connected(("mail.example", port), deadline=0.5)


async def test_one_silent_address_is_named_too(kit):
    with silent("127.0.0.2") as (port, _), pytest.raises(Timeout, match=r"127\.0\.0\.2 did not answer in time"):
        await kit.connected(("127.0.0.2", port), deadline=0.3)


async def test_no_address_of_the_wanted_family_is_said_to_be_none(kit, addresses_of):
    addresses_of("mail.example", "127.0.0.2")
    with pytest.raises(ConnectionLost, match="the name has no address that can be used"):
        await kit.connected(("mail.example", 25), local_address=("::1", 0))


async def test_a_look_up_that_hangs_is_left_behind(kit, monkeypatch):
    real, over = socket.getaddrinfo, threading.Event()

    def hang(host, port, *arguments, flags=0, **options):
        if _text(host) == "mail.example" and not flags & socket.AI_NUMERICHOST:
            over.wait(10)
        if _text(host) == "mail.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, port, *arguments, flags=flags, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(Timeout, match="the name was not found in time"):
            await kit.connected(("mail.example", 25), deadline=0.2)
        assert not over.is_set()
    finally:
        over.set()


def test_the_systems_words_are_given_for_those_of_asyncio():
    failure = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 25)")
    assert "Connect call" not in str(unreachable([((V4, ("127.0.0.1", 25)), failure)]))
    two = unreachable([((V4, ("127.0.0.1", 25)), failure), ((V4, ("127.0.0.2", 25)), OSError("odd"))])
    assert f"127.0.0.1 ({os.strerror(errno.ECONNREFUSED)}), 127.0.0.2 (odd)" in str(two)
