"""Address literals: the grammar of RFC 5321 section 4.1.3, and the form of RFC 5952 when they are made."""

import ipaddress
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire.literals import address_literal, is_address_literal, literal_address

quick = settings(derandomize=True, deadline=None, max_examples=100)

VECTORS = json.loads(Path(__file__).parent.parent.joinpath("vectors", "address_literals.json").read_text())["vectors"]
ADDRESSES = st.ip_addresses() | st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF]), min_size=8, max_size=8).map(
    lambda groups: ipaddress.IPv6Address(b"".join(group.to_bytes(2, "big") for group in groups))
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_vectors(vector):
    if vector.get("op") == "serialize":
        assert address_literal(vector["input"]) == vector["expected"]
        return
    assert is_address_literal(vector["input"]) == (vector["rfc"] == "valid")
    if "normalized" in vector:
        assert literal_address(vector["input"]) == vector["normalized"].removeprefix("IPv6:")


@quick
@given(ADDRESSES)
def test_a_literal_is_made_for_every_address_as_rfc_5952_writes_it(address):
    literal = address_literal(str(address))
    assert is_address_literal(literal)
    if getattr(address, "ipv4_mapped", None):
        assert literal == f"[IPv6:::ffff:{address.ipv4_mapped}]"
    else:
        assert literal == (f"[{address}]" if address.version == 4 else f"[IPv6:{address}]")
    assert ipaddress.ip_address(literal_address(literal)) == address


@quick
@given(ADDRESSES.filter(lambda address: address.version == 6))
def test_every_spelling_gives_the_same_address(address):
    assert literal_address(f"[IPV6:{address.exploded.upper()}]") == literal_address(address_literal(str(address)))


@quick
@given(st.text("0123456789abcdefABCDEFg:.", max_size=30))
def test_against_ipaddress_where_the_two_agree(text):
    """They differ in leading zeros of IPv4, and in a "::" that stands for one group."""
    try:
        known = ipaddress.IPv6Address(text)
    except ValueError:
        known = None
    groups = len(re.findall(r"[^:]+", text)) + ("." in text)
    if known is not None and not ("::" in text and groups == 7):
        assert is_address_literal(f"[IPv6:{text}]")
        assert ipaddress.IPv6Address(literal_address(f"[IPv6:{text}]")) == known
    elif known is not None or not re.search(r"(^|\.|:)0\d", text):
        assert not is_address_literal(f"[IPv6:{text}]")


def test_leading_zeros_of_ipv4_are_decimal():
    assert literal_address("[010.001.00.0]") == "10.1.0.0"
    assert literal_address("[IPv6:::010.001.00.0]") == "::a01:0"


@pytest.mark.parametrize("text", ["[IPv6:1:2:3:4:5:6:7::]", "[IPv6:::2:3:4:5:6:7:8]", "[IPv6:1::3:4:5:6:1.2.3.4]"])
def test_an_elision_stands_for_at_least_two_groups(text):
    assert not is_address_literal(text)


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1",
        "[192.0.2.1",
        "192.0.2.1]",
        "[192.0.2.256]",
        "[.0.2.1]",
        "[192..2.1]",
        "[192.0..1]",
        "[192.0.2.]",
        "[192.0.2.\u0661]",
        "[192.0.2.1 ]",
        "[IPv6:fe80::1%eth0]",
        "[IPv6:1.2.3.4::]",
        "[IPv6:1:2:3:4:5:6:7:8:9]",
        "[IPv6:1::2::3]",
        "[IPv6:12345::]",
        "[IPv6:::1.2.3.256]",
        "[IPv6:::1.2.3]",
        "[IPv6:192.0.2.1]",
        "[IPv6:]",
        "[x-tag:abc]",
        "[1:2]",
        "",
        "[",
    ],
)
def test_what_is_no_literal(text):
    assert not is_address_literal(text)
    with pytest.raises(ParseError):
        literal_address(text)


@pytest.mark.parametrize("address", ["192.0.2.1", "255.254.253.252", "::ffff:192.168.130.201"])
def test_an_ipv4_address_is_written_with_all_its_numbers(address):
    literal = address_literal(address)
    assert literal_address(literal) == address
    assert literal == f"[{'IPv6:' if ':' in address else ''}{address}]"


def test_a_scope_id_means_nothing_to_the_peer():
    assert address_literal("fe80::1%eth0") == "[IPv6:fe80::1]"


@pytest.mark.parametrize("text", ["", "localhost", "[192.0.2.1]", "192.0.2", "1.2.3.4%eth0"])
def test_no_literal_is_made_of_what_is_no_address(text):
    with pytest.raises(ParseError):
        address_literal(text)
