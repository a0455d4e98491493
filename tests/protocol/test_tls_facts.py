"""TLSFacts: values that are short in a log."""

import ssl
from hashlib import sha256
from pathlib import Path

from smtpkit.protocol import TLSFacts


def test_certificates_are_not_poured_out():
    facts = TLSFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", True, b"x" * 900, "mx.example", b"own")
    assert repr(facts) == (
        "TLSFacts('TLSv1.3', 'TLS_AES_128_GCM_SHA256', verified=True, peer_certificate=<900 octets>, "
        "server_name='mx.example')"
    )
    assert facts.own_certificate == b"own"
    assert "peer_certificate=None" in repr(TLSFacts("TLSv1.2", "x"))


def test_nothing_is_verified_unless_it_is_said():
    assert TLSFacts("TLSv1.3", "x").verified is False
    assert TLSFacts("TLSv1.3", "x") == TLSFacts("TLSv1.3", "x")


def test_a_certificate_has_names_of_several_kinds():
    names = (("email", "tim@example.org"), ("email", "tim@example.com"), ("DNS", "host.example"), ("commonName", "Tim"))
    facts = TLSFacts("TLSv1.3", "x", True, b"x", peer_names=names)
    assert facts.peer_name("email") == "tim@example.org"
    assert facts.peer_name("dns") == "host.example"
    assert facts.peer_name("commonName") == "Tim"
    assert facts.peer_name("URI") is None
    assert TLSFacts("TLSv1.3", "x").peer_name("email") is None


def test_a_server_binds_logins_to_its_own_certificate():
    pem = (Path(__file__).parents[1] / "certificates" / "ca.pem").read_text()
    certificate = ssl.PEM_cert_to_DER_cert(pem)
    assert TLSFacts("TLSv1.3", "x", own_certificate=certificate).channel_binding == sha256(certificate).digest()
    assert TLSFacts("TLSv1.3", "x", own_certificate=b"none").channel_binding is None
    assert TLSFacts("TLSv1.3", "x").channel_binding is None
