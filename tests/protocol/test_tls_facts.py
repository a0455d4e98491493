"""TLSFacts: values that are short in a log."""

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
