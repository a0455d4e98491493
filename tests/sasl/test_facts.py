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


def test_what_is_not_given_is_nothing():
    client, server = ClientFacts(), ServerFacts()
    assert (client.username, client.password, client.token, client.authzid) == ("", b"", "", "")
    assert (client.channel_binding, client.min_iterations, client.max_iterations) == (None, 4096, 10_000_000)
    assert (server.hostname, server.channel_binding, server.salt_secret) == ("localhost", None, None)
    assert (server.certificate_identity, server.iterations) == (None, 10_000)


def test_what_is_given_is_kept():
    server = {
        "channel_binding": b"b",
        "certificate_identity": "tim",
        "iterations": 1,
        "salt_secret": b"s",
        "nonce": "n",
    }
    for made, given in (
        (ServerFacts("mx", **server), server),
        (ClientFacts(channel_binding=b"b", host="h", port=25, nonce="n"), {"channel_binding": b"b", "port": 25}),
    ):
        assert {name: getattr(made, name) for name in given} == given
