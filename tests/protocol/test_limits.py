"""Limits: what is promised when nothing is said."""

import pytest

from smtpkit.protocol.limits import Limits


def test_defaults_are_those_of_the_documentation():
    limits = Limits()
    assert (limits.line, limits.commands, limits.errors, limits.errors_in_a_row) == (None, 10_000, 100, 10)
    assert (limits.recipients, limits.transactions, limits.unread) == (1000, None, 128 * 1024)
    assert (limits.connections, limits.per_address, limits.idle, limits.minimum_rate) == (1000, 500, 300, 64)
    assert (limits.unread_before_login, limits.total, limits.handler) == (16 * 1024, 4 * 3600, 300)


def test_the_standard_allows_them():
    # RFC 5321 sections 4.5.3.1.10 and 4.5.3.2.7.
    assert Limits().recipients >= 100
    assert Limits().idle >= 300


def test_limits_are_values():
    assert Limits(errors=3) == Limits(errors=3) != Limits()


def test_every_limit_is_in_the_documented_table():
    assert all(f"| `{name}`" in Limits.__doc__ for name in Limits.__match_args__)


@pytest.mark.parametrize("name", Limits.__match_args__)
def test_no_limit_lets_nothing_through(name):
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match=f"{name} is a number above 0, not"):
            Limits(**{name: wrong})
