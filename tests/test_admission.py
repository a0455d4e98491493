"""Whom a server lets in, and whose word it takes."""

import pytest

from smtpkit.admission import Admission, TrustedPeers
from smtpkit.protocol.ledger import Ledger
from smtpkit.protocol.limits import Limits


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        (("192.0.2.7", 1), True),
        (("192.0.2.8", 1), False),
        (("10.255.0.1", 1), True),
        (("::ffff:10.0.0.1", 1, 0, 0), True),
        (("2001:db8::5", 1, 0, 0), True),
        (("2001:db9::5", 1, 0, 0), False),
        (("fe80::1%eth0", 1, 0, 2), True),
        (("no address", 1), False),
        ("", True),
        ("/run/client", True),
    ],
)
def test_who_is_trusted(peer, trusted):
    peers = TrustedPeers(["192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "fe80::/10", "unix"])
    assert (peer in peers) is trusted


def test_a_unix_socket_is_not_trusted_by_itself():
    assert "" not in TrustedPeers(["127.0.0.1"])


@pytest.mark.parametrize("wrong", [["host.example"], ["10.0.0.1/8"], "10.0.0.1"])
def test_what_is_no_network_is_refused(wrong):
    with pytest.raises(ValueError, match=r"network|host bits|trusted"):
        TrustedPeers(wrong)


def test_connections_are_counted_in_all_and_by_address():
    admission = Admission(Limits(connections=3, per_address=2), Ledger())
    assert [admission.enter("a", 0)[1] for _ in range(3)] == ["", "", "per_address"]
    assert admission.enter(None, 0)[1] == ""
    assert admission.enter("b", 0)[1] == "connections"
    admission.leave("a")
    admission.leave(None)
    assert admission.connections == 1
    assert admission.enter("a", 0) == (None, "")


def test_an_ipv6_address_stands_for_its_network():
    admission = Admission(Limits(per_address=1), Ledger())
    assert [admission.enter(f"2001:db8::{last}", 0)[1] for last in (1, 2)] == ["", "per_address"]
    assert [admission.enter(f"2001:db8:0:{net}::1", 0)[1] for net in (1, 2)] == ["", ""]
    assert [admission.enter(f"::ffff:192.0.2.{last}", 0)[1] for last in (1, 2)] == ["", ""]
    admission.leave("2001:db8::3")
    assert admission.enter("2001:db8::2", 0)[1] == ""


def test_the_ledger_has_its_say():
    admission = Admission(Limits(), Ledger(connections=1, failed_logins=1))
    assert admission.enter("a", 0) == (None, "")
    reply, limit = admission.enter("a", 1)
    assert (reply.code, limit) == (421, "ledger")
    assert admission.enter("b", 1) == (None, "")
