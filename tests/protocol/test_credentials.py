"""Credentials: kept, and not shown."""

from smtpkit.protocol import Credentials


def test_a_secret_is_not_shown():
    credentials = Credentials("tim", "sesame", token="opener", authzid="root")
    assert repr(credentials) == str(credentials) == "Credentials('tim', <hidden>)"
    assert (credentials.password, credentials.token, credentials.authzid) == ("sesame", "opener", "root")


def test_equal_ones_are_equal():
    assert Credentials("tim", "a") == Credentials("tim", "a") != Credentials("tim", "b")
    assert Credentials("tim").password is None
