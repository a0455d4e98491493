"""Whom a client logs in as."""

import pytest

from smtpkit.errors import ParseError
from smtpkit.protocol.credentials import Credentials
from smtpkit.sasl.mechanism import Mechanism
from smtpkit.sasl.plain import Plain


def test_secrets_are_not_shown():
    assert repr(Credentials("tim", "secret")) == "Credentials('tim', <hidden>)"
    assert "tok" not in repr(Credentials("tim", token="tok"))


def test_equal_credentials_are_equal():
    assert Credentials("tim", "secret") == Credentials("tim", "secret")
    assert Credentials("tim", "secret") != Credentials("tim", "secret", authzid="root")
    assert hash(Credentials("tim", mechanisms=["PLAIN"])) == hash(Credentials("tim", mechanisms=["plain"]))


def test_mechanisms_are_names_or_classes():
    assert Credentials().mechanisms is None
    assert Credentials(mechanisms="external").mechanisms == ("EXTERNAL",)
    assert Credentials(mechanisms=["plain", Plain]).mechanisms == ("PLAIN", Plain)


@pytest.mark.parametrize("mechanism", ["PLAINT", Mechanism, 7])
def test_what_is_no_mechanism_is_refused_at_once(mechanism):
    with pytest.raises(ParseError, match="mechanism"):
        Credentials("tim", "secret", mechanisms=[mechanism])


def test_what_is_not_given_is_nothing():
    made = Credentials()
    assert (made.username, made.password, made.token, made.authzid, made.mechanisms) == ("", None, None, "", None)
