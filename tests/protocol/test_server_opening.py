"""How a server's connection opens, played by hand: TLS, with STARTTLS or before anything else, and a PROXY header."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.errors import TLSError
from smtpkit.protocol import standard_replies as say
from smtpkit.tls import TLS, client_context, server_context
from smtpkit.wire.proxy import ProxyHeader
from smtpkit.wire.replies import Reply

playing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))
Adapter, config, codes, TRANSACTION = playing.Adapter, playing.config, playing.codes, playing.TRANSACTION
EHLO = b"EHLO c.example\r\n"
DATA = TRANSACTION + b"DATA\r\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.2 40000 25\r\n"
V2 = bytes(ProxyHeader("TCP6", "2001:db8::7", 40000, "2001:db8::2", 25))
CERTIFICATES = Path(__file__).parents[1] / "certificates"
CONTEXTS = []


def contexts():
    if not CONTEXTS:
        client = client_context(cafile=str(CERTIFICATES / "ca.pem"))
        CONTEXTS.extend([client, server_context(str(CERTIFICATES / "server.pem"))])
    return CONTEXTS


def make_tls():
    return TLS(contexts()[1], server_side=True)


class Client:
    """The client's side of TLS in memory."""

    def __init__(self, adapter):
        self.tls = TLS(contexts()[0], server_side=False, server_hostname="localhost")
        self.adapter = adapter

    def shake(self, first=b""):
        return self.say(b"", first)

    def say(self, plain, answer=b""):
        if plain:
            self.tls.write(plain)
        heard = self.tls.feed(answer) if answer else b""
        while octets := self.tls.data_to_send():
            answer = self.adapter.say(octets)
            if answer:
                heard += self.tls.feed(answer)
        return heard


class TestTLS:
    def secure(self, hooks=None, **settings):
        adapter = Adapter(config(tls_available=True, **settings), hooks, make_tls=make_tls)
        adapter.say(EHLO)
        assert codes(adapter.say(b"STARTTLS\r\n")) == [220]
        assert adapter.driver.timeout == 30
        return adapter, Client(adapter)

    def test_starttls(self):
        adapter, client = self.secure({"on_message": None})
        assert client.shake() == b""
        assert adapter.core.tls.version == "TLSv1.3"
        assert adapter.driver.timeout == 300
        assert codes(client.say(EHLO + DATA)) == [250, 250, 250, 354]
        assert codes(client.say(b"hi\r\n.\r\nQUIT\r\n")) == [250, 221]
        assert adapter.calls[0][1].content == b"hi\r\n"
        assert client.tls.eof
        assert not client.tls.truncated
        assert adapter.closed

    def test_what_the_client_says_with_its_last_handshake_message_is_inside(self):
        _, client = self.secure()
        client.tls.write(EHLO)
        assert codes(client.shake()) == [250]

    def test_octets_behind_starttls_are_an_attack(self):
        adapter = Adapter(config(tls_available=True), make_tls=make_tls)
        adapter.say(EHLO)
        assert codes(adapter.say(b"STARTTLS\r\nEHLO evil.example\r\n")) == [554]
        assert adapter.closed

    def test_implicit_tls(self):
        adapter = Adapter(config(), {"on_connect": None}, make_tls=make_tls, implicit_tls=True)
        assert adapter.greeting == b""
        assert adapter.calls == []
        client = Client(adapter)
        assert codes(client.shake()) == [220]
        assert adapter.core.tls is not None
        assert codes(client.say(EHLO)) == [250]

    @pytest.mark.parametrize(
        "octets", [b"EHLO c.example\r\n", b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", b"\x15\x03\x01\x00\x02\x02\x28"]
    )
    def test_a_failed_handshake_ends_the_connection_in_silence(self, octets):
        adapter = Adapter(config(), {"on_connect": None}, make_tls=make_tls, implicit_tls=True)
        answer = adapter.say(octets)
        assert adapter.closed
        assert answer == b"" or answer[0] == 0x15
        assert adapter.names == []
        assert isinstance(adapter.driver.failure, TLSError)

    def test_also_after_starttls(self):
        adapter, _ = self.secure()
        adapter.say(b"NOOP\r\n")
        assert adapter.closed
        assert adapter.core.tls is None

    @pytest.mark.parametrize("end", ["timed_out", "shut_down", "lost", "receive"])
    def test_a_handshake_that_is_never_finished(self, end):
        for adapter in (
            self.secure()[0],
            Adapter(config(), {"on_connect": None}, make_tls=make_tls, implicit_tls=True),
        ):
            arguments = {"lost": (None,), "receive": (b"",)}.get(end, ())
            getattr(adapter.driver, end)(*arguments)
            assert adapter.run() == b""
            assert adapter.closed

    def test_a_refused_connection_hears_so_inside(self):
        adapter = Adapter(config(), refusal=say.TOO_MANY_CONNECTIONS, make_tls=make_tls, implicit_tls=True)
        assert codes(Client(adapter).shake()) == [421]

    def test_a_session_that_ends_without_close_notify_accepts_nothing(self):
        adapter, client = self.secure({"on_message": None, "on_reset": None})
        client.shake()
        client.say(EHLO + DATA + b"half a mess")
        adapter.end()
        assert adapter.names == ["on_reset"]
        assert adapter.closed

    def test_who_is_dismissed_while_a_hook_hangs_is_told_so_and_goodbye_inside(self):
        adapter, client = self.secure()
        client.shake()
        adapter.driver.dismiss(Reply(421, "too long", "4.3.0"))
        assert codes(client.tls.feed(adapter.driver.take())) == [421]
        assert client.tls.eof

    def test_broken_octets_end_it(self):
        adapter, client = self.secure({"on_reset": None})
        client.shake()
        client.say(EHLO + TRANSACTION)
        adapter.say(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        assert adapter.closed
        assert adapter.names == ["on_reset"]


class TestProxyHeader:
    def test_who_counts_addresses_is_told_when_it_has_come(self):
        adapter = Adapter(config(), proxy_protocol=True)
        peers = []
        adapter.driver.introduced = lambda: peers.append(adapter.session.peer)
        adapter.say(V1[:9])
        assert peers == []
        adapter.say(V1[9:])
        assert peers == [("192.0.2.7", 40000)]

    @pytest.mark.parametrize(("header", "peer"), [(V1, ("192.0.2.7", 40000)), (V2, ("2001:db8::7", 40000))])
    @pytest.mark.parametrize("behind", [b"", b"EHLO c.example\r\n"])
    def test_it_says_who_the_peer_is_wherever_it_is_cut(self, header, peer, behind):
        octets = header + behind
        for cut in range(1, len(octets)):
            adapter = Adapter(config(), proxy_protocol=True)
            assert adapter.greeting == b""  # nothing is said before the header is complete
            said = adapter.say(octets[:cut]) + adapter.say(octets[cut:])
            assert codes(said)[0] == 220
            assert bool(behind) == (b"250 " in said)
            assert adapter.session.peer == peer
            assert adapter.session.local[1] == 25
            assert codes(adapter.say(b"NOOP\r\n")) == [250]

    @pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", bytes(ProxyHeader(local=True))])
    def test_a_proxy_that_speaks_for_itself_leaves_the_peer_as_it_is(self, header):
        adapter = Adapter(config(), proxy_protocol=True)
        assert codes(adapter.say(header)) == [220]
        assert adapter.session.peer == ""

    def test_it_is_read_once(self):
        adapter = Adapter(config(), proxy_protocol=True)
        assert codes(adapter.say(V1 + V1)) == [220, 500]
        assert adapter.session.peer == ("192.0.2.7", 40000)

    @pytest.mark.parametrize("octets", [b"EHLO c.example\r\n", V1[:-1] + b"x", b"\x16\x03\x01", V1[:9] + b"\r\n"])
    @pytest.mark.parametrize("how", ["whole", "octet by octet"])
    def test_anything_else_is_dropped_without_a_word(self, octets, how):
        adapter = Adapter(config(), proxy_protocol=True)
        told = []
        adapter.driver.core.notice = told.append if how == "whole" else None
        pieces = [octets] if how == "whole" else [octets[i : i + 1] for i in range(len(octets))]
        said = b"".join(adapter.say(piece) for piece in pieces if not adapter.closed)
        assert (said, adapter.closed) == (b"", True)
        assert told == (["proxy_header"] if how == "whole" else [])

    @pytest.mark.parametrize("way_out", ["end", "silence", "shut down"])
    def test_a_header_that_does_not_come_ends_in_silence(self, way_out):
        adapter = Adapter(config(), proxy_protocol=True)
        assert adapter.say(V1[:20]) == b""
        assert adapter.driver.timeout == 30
        if way_out == "end":
            assert adapter.end() == b""
        else:
            (adapter.driver.timed_out if way_out == "silence" else adapter.driver.shut_down)()
            assert adapter.run() == b""
        assert adapter.closed

    def test_implicit_tls_begins_behind_it(self):
        server = server_context(str(CERTIFICATES / "server.pem"))
        trusting = client_context(cafile=str(CERTIFICATES / "ca.pem"))
        client = TLS(trusting, server_side=False, server_hostname="localhost")
        adapter = Adapter(
            config(), proxy_protocol=True, implicit_tls=True, make_tls=lambda: TLS(server, server_side=True)
        )
        plain = client.feed(adapter.say(V1 + client.data_to_send()))
        plain += client.feed(adapter.say(client.data_to_send()))
        assert codes(plain) == [220]
        assert adapter.session.peer == ("192.0.2.7", 40000)
        assert adapter.core.tls is not None
