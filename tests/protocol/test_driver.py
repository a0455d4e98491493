"""What the drivers of both roles share: octets through TLS and back, by a server's driver in memory."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit import protocol
from smtpkit.errors import TLSError
from smtpkit.protocol.client import ClientConnection
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.config import ClientConfig, ServerConfig
from smtpkit.protocol.needs import CLOSE, READ
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import SessionFacts
from smtpkit.protocol.tls_facts import TLSFacts

playing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))


class FakeTLS:
    """TLS whose encryption is a mark before and behind, and whose handshake is one word each way."""

    def __init__(self):
        self.facts = None
        self.eof = False
        self.broken = False
        self.closed = False
        self.out = b""

    def feed(self, octets):
        if self.broken or octets == b"broken":
            raise TLSError("broken")
        if octets == b"hello":
            self.facts = TLSFacts("TLSv1.3", "a cipher")
            self.out += b"hello!"
            return b""
        if octets == b"goodbye":
            self.eof = True
            return b""
        return octets.removeprefix(b"<").removesuffix(b">")

    def write(self, plain):
        if self.broken:
            raise TLSError("broken")
        self.out += b"<" + plain + b">"

    def data_to_send(self):
        out, self.out = self.out, b""
        return out

    def close(self):
        self.closed = True
        self.out += b"goodbye!"


def driver(*, implicit_tls=False, proxy_protocol=False):
    tls = FakeTLS()
    core = ServerConnection(ServerConfig("mx.example", tls_available=True))
    options = {"implicit_tls": implicit_tls, "proxy_protocol": proxy_protocol}
    made = ServerDriver(core, SessionFacts(), (), make_tls=lambda: tls, **options)
    assert made.next(None) is READ
    return made, tls


def test_without_tls_octets_pass_as_they_are():
    clear, _ = driver()
    assert clear.take() == b"220 mx.example ESMTP\r\n"
    assert clear.take() == b""
    clear.receive(b"NOO")
    assert clear.unread == 3
    clear.receive(b"P\r\n")
    assert clear.next(None) is READ
    assert clear.take() == b"250 2.0.0 Ok\r\n"
    assert (clear.octets, clear.octets_out) == (6, len(b"220 mx.example ESMTP\r\n250 2.0.0 Ok\r\n"))
    clear.receive(b"")
    assert clear.next(None) is CLOSE
    assert clear.take() == b""


def test_under_tls_both_ways_go_through_it():
    secure, tls = driver(implicit_tls=True)
    assert secure.take() == b""
    secure.receive(b"hello")
    assert secure.next(None) is READ
    assert secure.take() == b"hello!<220 mx.example ESMTP\r\n>"
    secure.receive(b"<NOOP\r\n>")
    assert secure.next(None) is READ
    assert secure.take() == b"<250 2.0.0 Ok\r\n>"
    secure.receive(b"<QUIT\r\n>")
    assert secure.next(None) is CLOSE
    assert secure.take() == b"<221 2.0.0 mx.example closing\r\n>goodbye!"
    assert tls.closed


def test_the_220_of_starttls_leaves_in_clear():
    secure, _ = driver()
    secure.take()
    secure.receive(b"EHLO c.example\r\n")
    assert secure.next(None) is READ
    secure.take()
    secure.receive(b"STARTTLS\r\n")
    assert secure.next(None) is READ
    assert secure.take() == b"220 2.0.0 Ready to start TLS\r\n"
    secure.receive(b"hello")
    assert secure.next(None) is READ
    assert secure.take() == b"hello!"
    assert secure.core.tls is not None


@pytest.mark.parametrize("end", [b"", b"goodbye"])
def test_the_end_of_either_stream_is_the_end(end):
    secure, _ = driver(implicit_tls=True)
    secure.receive(b"hello")
    secure.next(None)
    secure.receive(end)
    assert secure.next(None) is CLOSE
    assert secure.failure is None


def test_tls_that_breaks_while_reading_ends_the_connection():
    secure, _ = driver(implicit_tls=True)
    secure.receive(b"hello")
    secure.next(None)
    secure.receive(b"broken")
    first = secure.failure
    secure.receive(b"broken")
    assert isinstance(first, TLSError)
    assert secure.failure is first
    assert secure.next(None) is CLOSE


def test_and_while_writing():
    secure, tls = driver(implicit_tls=True)
    secure.receive(b"hello")
    secure.next(None)
    tls.broken = True
    assert secure.take() == b"hello!"
    assert secure.failure is not None
    assert secure.next(None) is CLOSE
    assert secure.take() == b"goodbye!"


def test_a_handshake_that_fails_is_no_session():
    secure, _ = driver(implicit_tls=True)
    secure.receive(b"broken")
    assert secure.next(None) is CLOSE
    assert secure.core.tls is None


def test_a_handshake_that_ends_too_late_is_none():
    secure, _ = driver(implicit_tls=True)
    secure.core.close()
    secure.receive(b"hello")
    assert secure.next(None) is CLOSE
    assert secure.core.tls is None


def test_a_wait_begins_with_each_write():
    clear, _ = driver()
    before = clear.waits
    clear.take()
    assert clear.waits == before + 1
    clear.take()
    assert clear.waits == before + 1


def test_only_a_server_ends_by_itself_or_minds_how_fast_octets_come():
    made = ClientDriver(ClientConnection(ClientConfig()))
    assert not made.may_be_woken
    assert not made.shut_down()
    assert not made.finished
    made.waited(10_000)
    assert not made.core.closed


def test_what_came_before_tls_was_made_is_the_beginning_of_it():
    made, _ = driver(implicit_tls=True, proxy_protocol=True)
    made.receive(b"PROXY UNKNOWN\r\nhello")
    assert made.next(None) is READ
    assert made.take() == b"hello!<220 mx.example ESMTP\r\n>"


def test_what_remains_of_a_wait_counts_from_its_beginning():
    clear, _ = driver()
    clear.take()
    idle = clear.timeout
    assert clear.remaining(1000.0) == idle
    clear.receive(b"NO")
    assert clear.next(None) is READ
    assert clear.take() == b""
    assert clear.remaining(1010.0) == idle - 10
    assert clear.remaining(1000.0 + idle + 1) == 0.001
    clear.receive(b"OP\r\n")
    assert clear.next(None) is READ
    assert clear.take() == b"250 2.0.0 Ok\r\n"
    assert clear.remaining(1020.0) == idle


def test_whoever_writes_an_adapter_finds_all_of_it_in_the_package():
    assert protocol.ServerDriver is ServerDriver
    assert {*protocol._FOR_ADAPTERS} <= {*protocol.__all__}
    with pytest.raises(AttributeError, match="no attribute 'Driver'"):
        protocol.Driver  # noqa: B018


def test_a_client_holds_some_octets_unread():
    assert ClientDriver(ClientConnection(ClientConfig())).unread_limit == 128 * 1024
