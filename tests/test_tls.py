"""TLS between its two roles in memory, against ssl's own objects, and against peers that fail."""

import gc
import hashlib
import re
import ssl
import weakref
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import LocalProtocolError, TLSError
from smtpkit.sasl.channel_binding import tls_server_end_point
from smtpkit.tls import TLS, TLSFacts, client_context, server_context

CERTIFICATES = Path(__file__).parent / "certificates"
CA = str(CERTIFICATES / "ca.pem")


def pem(name: str) -> str:
    return str(CERTIFICATES / f"{name}.pem")


def new_client(context: ssl.SSLContext | None = None, name: str | None = "localhost") -> TLS:
    return TLS(context or client_context(cafile=CA), server_side=False, server_hostname=name)


def new_server(context: ssl.SSLContext | None = None) -> TLS:
    return TLS(context or server_context(pem("server")), server_side=True)


def exchange(client: TLS, server: TLS) -> tuple[bytes, bytes]:
    """Carry octets both ways until both are silent; returns what the client and the server read."""
    to_client = to_server = b""
    while True:
        up = client.data_to_send()
        if up:
            to_server += server.feed(up)
        down = server.data_to_send()
        if down:
            to_client += client.feed(down)
        if not up and not down:
            return to_client, to_server


def connected(client_settings: ssl.SSLContext | None = None, server_settings: ssl.SSLContext | None = None):
    client, server = new_client(client_settings), new_server(server_settings)
    exchange(client, server)
    assert client.facts
    assert server.facts
    return client, server


def only_tls_1_2(context: ssl.SSLContext) -> ssl.SSLContext:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def asking_for_certificates(*, tls_1_2: bool = False) -> ssl.SSLContext:
    context = server_context(pem("server"))
    context.load_verify_locations(CA)
    context.verify_mode = ssl.CERT_REQUIRED
    return only_tls_1_2(context) if tls_1_2 else context


class TestHandshake:
    def test_client_begins_without_being_fed(self):
        assert new_client().data_to_send()[0] == 0x16

    def test_server_waits(self):
        server = new_server()
        assert server.data_to_send() == b""
        assert server.facts is None

    @pytest.mark.parametrize("name", ["localhost", "localhost.", "127.0.0.1", "::1"])
    def test_names_and_addresses_of_the_certificate_are_verified(self, name):
        client, server = new_client(name=name), new_server()
        exchange(client, server)
        assert client.facts is not None
        assert client.facts.verified

    def test_facts(self):
        client, server = connected()
        certificate = ssl.PEM_cert_to_DER_cert(Path(pem("server")).read_text().partition("-----BEGIN PRIVATE")[0])
        cipher = client.facts.cipher
        addresses = (("IP Address", "127.0.0.1"), ("IP Address", "0:0:0:0:0:0:0:1"))
        names = (("DNS", "localhost"), *addresses, ("commonName", "localhost"))
        assert client.facts == TLSFacts("TLSv1.3", cipher, True, certificate, "localhost", peer_names=names)
        assert server.facts == TLSFacts("TLSv1.3", cipher, False, None, "localhost", certificate)
        assert cipher.startswith("TLS_")

    def test_both_sides_bind_a_login_to_the_same_octets(self):
        client, server = connected()
        octets = tls_server_end_point(client.facts.peer_certificate)
        assert octets
        assert octets == tls_server_end_point(server.facts.own_certificate)

    def test_facts_name_no_server_where_the_client_did_not(self):
        client, server = new_client(client_context(unverified=True), name=None), new_server()
        exchange(client, server)
        assert client.facts.server_name is None
        assert server.facts.server_name is None

    def test_facts_name_no_server_under_a_context_that_does_not_note_it(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem("server"))
        assert connected(None, context)[1].facts.server_name is None

    @pytest.mark.parametrize("leaf", ["self-signed", "wrong-name", "expired"])
    def test_unverified_takes_any_certificate_and_says_so(self, leaf):
        client, _ = connected(client_context(unverified=True), server_context(pem(leaf)))
        assert not client.facts.verified
        assert client.facts.peer_certificate

    def test_a_chain_without_a_name_check_is_not_verified(self):
        context = client_context(cafile=CA)
        context.check_hostname = False
        client, _ = connected(context, server_context(pem("wrong-name")))
        assert not client.facts.verified

    def test_client_certificate_is_verified(self):
        context = client_context(cafile=CA)
        context.load_cert_chain(pem("client"))
        _, server = connected(context, asking_for_certificates())
        assert server.facts.verified
        assert server.facts.peer_certificate

    def test_octet_by_octet(self):
        client, server = new_client(), new_server()
        for _ in range(4):
            for sender, receiver in ((client, server), (server, client)):
                for octet in sender.data_to_send():
                    assert receiver.feed(bytes((octet,))) == b""
        assert client.facts
        assert server.facts

    def test_session_tickets_are_octets_without_plain_ones(self):
        client, server = new_client(), new_server()
        server.feed(client.data_to_send())
        client.feed(server.data_to_send())
        server.feed(client.data_to_send())
        tickets = server.data_to_send()
        assert len(tickets) > 100
        assert client.feed(tickets) == b""


class TestPin:
    """One certificate that is trusted for being that one."""

    @pytest.mark.parametrize("leaf", ["server", "self-signed", "expired", "wrong-name"])
    @pytest.mark.parametrize("written", [str.lower, str.upper, lambda pin: ":".join(re.findall("..", pin))])
    def test_the_pinned_one_is_taken_whoever_signed_it(self, leaf, written):
        context = server_context(pem(leaf))
        pin = hashlib.sha256(context.own_certificate).hexdigest()
        client = TLS(client_context(unverified=True), server_side=False, server_hostname="h", fingerprint=written(pin))
        exchange(client, new_server(context))
        assert client.facts.verified

    def test_any_other_is_refused_and_its_fingerprint_told(self):
        context = server_context(pem("server"))
        client = TLS(client_context(cafile=CA), server_side=False, server_hostname="localhost", fingerprint="ab" * 32)
        seen = hashlib.sha256(context.own_certificate).hexdigest()
        words = f"the certificate of localhost is not the pinned one: its SHA-256 is {seen}"
        with pytest.raises(TLSError, match=words):
            exchange(client, new_server(context))
        assert client.facts is None
        with pytest.raises(TLSError, match=words):
            client.write(b"never")

    @pytest.mark.parametrize("pin", ["", "ab", "zz" * 32, "ab" * 33])
    def test_what_is_no_fingerprint_is_refused(self, pin):
        with pytest.raises(TLSError, match="is no SHA-256 fingerprint"):
            TLS(client_context(), server_side=False, server_hostname="h", fingerprint=pin)


class TestPlainOctets:
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_both_ways(self, version):
        context = client_context(cafile=CA)
        context.maximum_version = version
        client, server = connected(context)
        client.write(b"EHLO localhost\r\n")
        server.write(b"220 localhost\r\n")
        assert exchange(client, server) == (b"220 localhost\r\n", b"EHLO localhost\r\n")

    def test_what_is_written_early_is_sent_after_the_handshake(self):
        client, server = new_client(), new_server()
        client.write(b"EH")
        client.write(b"LO ")
        server.write(b"220 ")
        assert exchange(client, server) == (b"220 ", b"EHLO ")

    def test_octets_beside_the_end_of_the_handshake_are_read_at_once(self):
        client, server = new_client(), new_server()
        server.feed(client.data_to_send())
        client.write(b"first")
        client.feed(server.data_to_send())
        assert server.feed(client.data_to_send()) == b"first"

    @pytest.mark.parametrize("size", [1, 16384, 16385, 65536, 1_000_003])
    def test_any_size_in_one_piece(self, size):
        client, server = connected()
        body = bytes(range(251)) * (size // 251 + 1)
        client.write(body[:size])
        assert server.feed(client.data_to_send()) == body[:size]
        server.write(body[:size])
        assert client.feed(server.data_to_send()) == body[:size]

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_buffer_will_do(self, kind):
        client, server = new_client(), new_server()
        server.feed(kind(client.data_to_send()))
        client.write(kind(b"early"))
        client.feed(kind(server.data_to_send()))
        client.write(kind(b", late" * 10_000))
        assert server.feed(kind(client.data_to_send())) == b"early" + b", late" * 10_000
        with pytest.raises(TLSError, match="b'220 '"):
            new_client().feed(kind(b"220 "))

    def test_nothing_written_makes_nothing(self):
        client, _ = connected()
        client.data_to_send()
        client.write(b"")
        assert client.data_to_send() == b""

    @given(st.lists(st.binary(max_size=40_000), max_size=4), st.lists(st.integers(1, 70_000), min_size=1))
    @settings(max_examples=20, deadline=None, derandomize=True)
    def test_any_pieces_arrive_whole(self, bodies, sizes):
        client, server = connected()
        for body in bodies:
            client.write(body)
        octets, received = client.data_to_send(), []
        while octets:
            size = sizes[len(received) % len(sizes)]
            received.append(server.feed(octets[:size]))
            octets = octets[size:]
        assert b"".join(received) == b"".join(bodies)

    def test_new_keys_under_way_change_nothing(self):
        """A TLS 1.3 server sends tickets in front of its first octets."""
        client, server = new_client(), new_server()
        server.feed(client.data_to_send())
        client.feed(server.data_to_send())
        server.feed(client.data_to_send())
        server.write(b"220 \r\n")
        assert client.feed(server.data_to_send()) == b"220 \r\n"


class TestEnd:
    def test_close_notify_is_a_clean_end(self):
        client, server = connected()
        client.write(b"QUIT\r\n")
        client.close()
        assert server.feed(client.data_to_send()) == b"QUIT\r\n"
        assert server.eof
        assert server.feed(b"") == b""
        assert not server.truncated

    def test_the_other_way_stays_open(self):
        client, server = connected()
        client.close()
        server.feed(client.data_to_send())
        server.write(b"221 bye\r\n")
        server.close()
        assert client.feed(server.data_to_send()) == b"221 bye\r\n"
        assert client.eof

    def test_octets_behind_close_notify_are_ignored(self):
        client, server = connected()
        client.close()
        assert server.feed(client.data_to_send() + b"\x17" * 40_000) == b""
        assert server.feed(b"garbage") == b""
        assert server.eof

    def test_a_ragged_end_is_told(self):
        client, server = connected()
        client.write(b"half a mess")
        assert server.feed(client.data_to_send()) == b"half a mess"
        assert server.feed(b"") == b""
        assert server.truncated
        assert not server.eof

    def test_a_record_cut_short_is_a_ragged_end(self):
        client, server = connected()
        client.write(b"never seen")
        assert server.feed(client.data_to_send()[:-1]) == b""
        assert server.feed(b"") == b""
        assert server.truncated

    def test_close_is_idempotent_and_ends_writing(self):
        client, _ = connected()
        client.close()
        assert client.data_to_send()
        client.close()
        assert client.data_to_send() == b""
        with pytest.raises(LocalProtocolError, match="after close"):
            client.write(b"late")

    def test_close_during_the_handshake_sends_nothing_kept(self):
        client, server = new_client(), new_server()
        client.write(b"secret")
        client.close()
        assert exchange(client, server) == (b"", b"")

    def test_close_after_a_failure_does_nothing(self):
        client = new_client()
        with pytest.raises(TLSError):
            client.feed(b"220 ")
        client.close()
        assert client.data_to_send() == b""


class TestFailure:
    @pytest.mark.parametrize("make", [new_client, new_server])
    def test_a_peer_without_tls_is_named(self, make):
        tls = make()
        with pytest.raises(TLSError, match=r"does not speak TLS here.*220 mail"):
            tls.feed(b"220 mail.example ESMTP\r\n")
        assert tls.data_to_send() == b""

    def test_one_octet_is_enough_to_tell(self):
        with pytest.raises(TLSError, match="does not speak TLS"):
            new_client().feed(b"2")

    def test_an_alert_may_come_first(self):
        with pytest.raises(TLSError, match=r"no TLS parameters in common|handshake failure"):
            new_client().feed(b"\x15\x03\x03\x00\x02\x02\x28")

    def test_protocols_that_a_shared_context_asks_for_are_named_as_the_cause(self):
        with pytest.raises(TLSError, match="the SSLContext asks for protocols by ALPN"):
            new_client().feed(b"\x15\x03\x03\x00\x02\x02\x78")

    @pytest.mark.parametrize(
        ("leaf", "words"),
        [
            ("self-signed", "certificate of localhost does not verify: self.signed certificate"),
            ("wrong-name", "certificate of localhost does not verify: Hostname mismatch"),
            ("expired", "certificate of localhost does not verify: certificate has expired"),
        ],
    )
    def test_a_bad_certificate_is_refused_in_words_and_on_the_wire(self, leaf, words):
        client, server = new_client(), new_server(server_context(pem(leaf)))
        with pytest.raises(TLSError, match=words) as caught:
            exchange(client, server)
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        assert client.facts is None
        alert = client.data_to_send()
        assert alert[0] in (0x15, 0x17)
        with pytest.raises(TLSError):
            server.feed(alert)

    def test_an_authority_that_is_not_trusted(self):
        client, server = new_client(client_context(cafile=pem("self-signed"))), new_server()
        with pytest.raises(TLSError, match="does not verify: unable to get local issuer"):
            exchange(client, server)
        with pytest.raises(TLSError, match="the peer does not trust this side's certificate"):
            server.feed(client.data_to_send())

    def test_missing_client_certificate_under_tls_1_3_shows_after_the_handshake(self):
        client, server = new_client(), new_server(asking_for_certificates())
        server.feed(client.data_to_send())
        client.feed(server.data_to_send())
        assert client.facts
        client.write(b"EHLO ")
        with pytest.raises(TLSError, match="sent no certificate, and one is required"):
            server.feed(client.data_to_send())
        with pytest.raises(TLSError, match="server requires a client certificate"):
            client.feed(server.data_to_send())
        with pytest.raises(TLSError, match="server requires a client certificate"):
            client.write(b"MAIL")

    def test_missing_client_certificate_under_tls_1_2(self):
        client, server = new_client(), new_server(asking_for_certificates(tls_1_2=True))
        with pytest.raises(TLSError, match="sent no certificate"):
            exchange(client, server)
        with pytest.raises(TLSError, match="TLS"):
            client.feed(server.data_to_send())

    def test_wrong_client_certificate(self):
        context = client_context(cafile=CA)
        context.load_cert_chain(pem("self-signed"))
        client, server = new_client(context), new_server(asking_for_certificates())
        with pytest.raises(TLSError, match="certificate of the client does not verify"):
            exchange(client, server)

    def test_no_version_in_common(self):
        client = new_client(only_tls_1_2(client_context(cafile=CA)))
        context = server_context(pem("server"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        server = new_server(context)
        with pytest.raises(TLSError, match="no TLS version in common"):
            exchange(client, server)
        with pytest.raises(TLSError, match="no TLS version in common"):
            client.feed(server.data_to_send())

    def test_end_during_the_handshake(self):
        client = new_client()
        with pytest.raises(TLSError, match="ended the connection in the middle of the TLS handshake"):
            client.feed(b"")
        with pytest.raises(TLSError, match="middle of the TLS handshake"):
            client.feed(b"")
        assert client.truncated

    def test_end_after_a_failure_repeats_the_failure(self):
        client = new_client()
        for octets in (b"220 ", b""):
            with pytest.raises(TLSError, match="does not speak TLS"):
                client.feed(octets)

    def test_a_record_that_was_changed_breaks_the_connection(self):
        client, server = connected()
        client.write(b"MAIL FROM:<>\r\n")
        octets = client.data_to_send()
        for _ in range(2):
            with pytest.raises(TLSError, match=r"the TLS connection is broken: .*bad record mac"):
                server.feed(octets[:-1] + bytes((octets[-1] ^ 1,)))
        with pytest.raises(TLSError, match="bad record mac"):
            client.feed(server.data_to_send())

    def test_octets_before_the_broken_record_are_not_lost(self):
        client, server = connected()
        client.write(b"QUIT\r\n")
        assert server.feed(client.data_to_send() + b"\x17\x03\x03\x00\x02xx" + b"more" * 9000) == b"QUIT\r\n"
        assert server.data_to_send()
        with pytest.raises(TLSError, match="broken"):
            server.feed(b"more")

    @given(st.binary(max_size=200), st.booleans())
    @settings(max_examples=100, deadline=None, derandomize=True)
    def test_nothing_but_tls_errors_comes_of_garbage(self, garbage, server_side):
        tls = new_server() if server_side else new_client()
        with suppress(TLSError):
            assert tls.feed(b"\x16\x03\x01" + garbage) == b""
            assert tls.feed(garbage) == b""
        assert tls.facts is None

    @pytest.mark.parametrize("name", [None, "", ".example", "a" * 300, "\ud800", "a\0b"])
    def test_a_host_name_that_cannot_be_checked(self, name):
        with pytest.raises(TLSError, match="host name"):
            new_client(name=name)

    def test_a_context_of_the_other_role(self):
        with pytest.raises(TLSError, match="TLS cannot begin"):
            TLS(server_context(pem("server")), server_side=False, server_hostname="localhost")

    def test_a_failed_connection_is_freed_at_once(self):
        gc.disable()
        try:
            client, server = new_client(), new_server(server_context(pem("expired")))
            freed = weakref.ref(client._object)
            with pytest.raises(TLSError):
                exchange(client, server)
            del client
            assert freed() is None
        finally:
            gc.enable()


class TestResumption:
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_a_server_takes_a_resumed_session(self, version):
        context, settings = server_context(pem("server")), client_context(cafile=CA)
        settings.maximum_version = version
        session = None
        for resumed in (False, True):
            server = new_server(context)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            peer = settings.wrap_bio(incoming, outgoing, server_hostname="localhost", session=session)
            for _ in range(3):
                try:
                    peer.do_handshake()
                except ssl.SSLWantReadError:
                    server.feed(outgoing.read())
                    incoming.write(server.data_to_send())
            peer.write(b"EHLO ")
            assert server.feed(outgoing.read()) == b"EHLO "
            server.write(b"250 ")
            incoming.write(server.data_to_send())
            assert peer.read() == b"250 "
            assert peer.session_reused is resumed
            session = peer.session


class StubbornObject(ssl.SSLObject):
    """As OpenSSL does while a renegotiation is under way: a write must wait until something was read."""

    waiting = False

    def write(self, octets: bytes) -> int:
        if self.waiting:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "The operation did not complete (read)")
        return super().write(octets)


class TestRenegotiation:
    def renegotiating(self) -> tuple[TLS, TLS]:
        context = only_tls_1_2(client_context(cafile=CA))
        context.sslobject_class = StubbornObject
        client, server = connected(context)
        client._object.waiting = True
        return client, server

    def test_what_cannot_be_written_is_kept_in_order(self):
        client, server = self.renegotiating()
        body = b"0123456789" * 5000
        client.write(b"BDAT 50000 LAST\r\n")
        client.write(body)
        assert client.data_to_send() == b""
        client._object.waiting = False
        server.write(b"finished")
        assert client.feed(server.data_to_send()) == b"finished"
        assert server.feed(client.data_to_send()) == b"BDAT 50000 LAST\r\n" + body

    def test_it_goes_on_waiting(self):
        client, server = self.renegotiating()
        client.write(b"x" * 40_000)
        server.write(b"not yet")
        assert client.feed(server.data_to_send()) == b"not yet"
        assert client.data_to_send() == b""
        client._object.waiting = False
        server.write(b"now")
        client.feed(server.data_to_send())
        assert server.feed(client.data_to_send()) == b"x" * 40_000


class TestBrokenWriting:
    def test_an_error_while_writing_breaks_the_connection(self):
        client, _ = connected()
        with pytest.raises(ssl.SSLWantReadError):
            client._object.unwrap()
        for act in (lambda: client.write(b"x"), lambda: client.write(b"x"), lambda: client.feed(b"x")):
            with pytest.raises(TLSError, match="the TLS connection is broken: protocol is shutdown"):
                act()


class TestContexts:
    def test_old_versions_are_off(self):
        for context in (client_context(), server_context(pem("server"))):
            assert context.minimum_version == ssl.TLSVersion.TLSv1_2

    def test_clients_verify(self):
        context = client_context(cafile=CA)
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname

    def test_a_key_in_its_own_file(self, tmp_path):
        certificate, begin, key = Path(pem("server")).read_text().partition("-----BEGIN PRIVATE")
        (tmp_path / "cert.pem").write_text(certificate)
        (tmp_path / "key.pem").write_text(begin + key)
        connected(None, server_context(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")))
        with pytest.raises(TLSError, match=r"certificate and key in .*cert\.pem and .*ca\.pem"):
            server_context(str(tmp_path / "cert.pem"), CA)

    def test_files_that_are_not_there(self):
        with pytest.raises(TLSError, match=r"nowhere\.pem: No such file"):
            client_context(cafile="nowhere.pem")
        with pytest.raises(TLSError, match=r"nowhere\.pem: No such file"):
            server_context("nowhere.pem")


def test_reprs_are_short_and_tell_the_state():
    client = new_client()
    assert repr(client) == "<TLS client, handshake under way>"
    client, server = connected()
    assert repr(client) == f"<TLS client, {client.facts!r}>"
    assert "octets>, server_name='localhost')" in repr(client.facts)
    assert "peer_certificate=None" in repr(server.facts)
    server.close()
    assert repr(server) == "<TLS server, closed>"
    with pytest.raises(TLSError):
        server.feed(b"\x00" * 20)
    assert repr(server) == "<TLS server, failed>"
