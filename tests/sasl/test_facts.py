"""What a mechanism may need to know from outside."""

import pytest

from smtpkit.errors import ParseError
from smtpkit.sasl.facts import ClientFacts, ServerFacts


def test_passwords_are_kept_as_octets():
    assert ClientFacts("tim", "é").password == "é".encode()
    assert ClientFacts("tim", b"\xff").password == b"\xff"
    assert ClientFacts("tim", "\udcff").password == b"\xff"
    with pytest.raises(ParseError, match="cannot be written"):
        ClientFacts("tim", "\ud800")


def test_reprs_hide_secrets():
    assert repr(ClientFacts("tim", "hunter2", token="t0ken")) == (
        "ClientFacts(username='tim', authzid='', <secrets hidden>)"
    )
    assert repr(ServerFacts("mx", salt_secret=b"pepper")) == "ServerFacts('mx', certificate_identity=None)"


def test_facts_are_values():
    assert ClientFacts("tim", "x", port=25) == ClientFacts("tim", b"x", port=25)
    assert ServerFacts("mx") != ServerFacts("mx2")
