"""The PROXY protocol header, both versions: read back, read in pieces, and nothing else accepted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire.proxy import ProxyHeader, parse_proxy_header

SIGNATURE = bytes.fromhex("0D0A0D0A000D0A515549540A")
PORTS = st.integers(0, 65535)
IPV4 = st.ip_addresses(v=4).map(str)
IPV6 = st.ip_addresses(v=6).map(str)
PATHS = st.binary(max_size=100).map(lambda path: path.rstrip(b"\0").decode("utf-8", "surrogateescape"))
TLVS = st.lists(st.tuples(st.integers(0, 255).filter(lambda kind: kind != 3), st.binary(max_size=20)), max_size=4)

VERSION_1 = st.one_of(
    st.just(ProxyHeader(version=1)),
    st.builds(ProxyHeader, st.just("TCP4"), IPV4, PORTS, IPV4, PORTS, version=st.just(1)),
    st.builds(ProxyHeader, st.just("TCP6"), IPV6, PORTS, IPV6, PORTS, version=st.just(1)),
)
VERSION_2 = st.one_of(
    st.just(ProxyHeader()),
    st.just(ProxyHeader(local=True)),
    st.builds(ProxyHeader, st.sampled_from(["TCP4", "UDP4"]), IPV4, PORTS, IPV4, PORTS, TLVS),
    st.builds(ProxyHeader, st.sampled_from(["TCP6", "UDP6"]), IPV6, PORTS, IPV6, PORTS, TLVS),
    st.builds(ProxyHeader, st.sampled_from(["UNIX", "UNIXDGRAM"]), PATHS, st.just(0), PATHS, st.just(0), TLVS),
)


def version_2(command, family, rest=b"", length=None):
    size = len(rest) if length is None else length
    return SIGNATURE + bytes([command, family]) + size.to_bytes(2, "big") + rest


FOUR = bytes([192, 0, 2, 1, 198, 51, 100, 2, 0x30, 0x39, 0, 25])


@settings(derandomize=True, deadline=None)
@given(VERSION_1 | VERSION_2, st.binary(max_size=5))
def test_a_header_is_read_back_from_any_piece_of_the_stream(header, following):
    octets = bytes(header)
    assert parse_proxy_header(octets + following) == (header, len(octets))
    assert all(parse_proxy_header(octets[:end]) is None for end in range(len(octets)))


@settings(derandomize=True, deadline=None)
@given(
    st.binary(max_size=60)
    | st.text(st.sampled_from("PROXY TCP46UNKNOW.:012f\r\n"), max_size=40).map(
        lambda text: f"PROXY {text}\r\n".encode()
    )
    | st.tuples(st.integers(0x1F, 0x22), st.integers(0, 255), st.binary(max_size=60)).map(
        lambda parts: version_2(*parts)
    )
    | st.binary(max_size=120).map(lambda rest: version_2(0x21, 0x11, FOUR + rest))
    | st.binary(max_size=60).map(lambda rest: SIGNATURE + rest)
)
def test_octets_are_a_header_or_the_beginning_of_one_or_a_parse_error(octets):
    try:
        parsed = parse_proxy_header(octets)
    except ParseError:
        return
    if parsed is not None:
        header, consumed = parsed
        assert 0 < consumed <= len(octets)
        assert parse_proxy_header(bytes(header)) == (header, len(bytes(header)))


def test_version_1_as_it_is_written():
    header = ProxyHeader("TCP4", "192.0.2.1", 12345, "198.51.100.2", 25, version=1)
    assert bytes(header) == b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\n"
    assert bytes(ProxyHeader(version=1)) == b"PROXY UNKNOWN\r\n"


def test_version_2_as_it_is_written():
    header = ProxyHeader("TCP4", "192.0.2.1", 12345, "198.51.100.2", 25, [(1, b"smtp")])
    assert bytes(header) == version_2(0x21, 0x11, FOUR + b"\x01\x00\x04smtp")
    assert bytes(ProxyHeader(local=True)) == version_2(0x20, 0x00)
    assert bytes(ProxyHeader()) == version_2(0x21, 0x00)
    assert header.tlvs == ((1, b"smtp"),)


@pytest.mark.parametrize("rest", [b"", b" ", b" whatever it is", b" ffff::1 ffff::2 65535 65535", b" \xff\x00"])
def test_unknown_ignores_the_rest_of_its_line(rest):
    octets = b"PROXY UNKNOWN" + rest + b"\r\n"
    assert parse_proxy_header(octets + b"EHLO x\r\n") == (ProxyHeader(version=1), len(octets))


def test_the_longest_line_of_version_1():
    line = b"PROXY UNKNOWN ".ljust(105, b"x") + b"\r\n"
    assert parse_proxy_header(line) == (ProxyHeader(version=1), 107)
    with pytest.raises(ParseError, match="without end"):
        parse_proxy_header(b"PROXY UNKNOWN ".ljust(106, b"x") + b"\r\n")
    with pytest.raises(ParseError, match="without end"):
        parse_proxy_header(b"PROXY UNKNOWN ".ljust(107, b"x"))
    assert parse_proxy_header(b"PROXY UNKNOWN ".ljust(106, b"x")) is None


@pytest.mark.parametrize(
    "line",
    [
        "PROXY",
        "PROXY ",
        "PROXY TCP4",
        "PROXY UNKNOWNX",
        "PROXY UNIX /a /b 1 2",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2",
        "PROXY tcp4 192.0.2.1 192.0.2.2 1 2",
        "proxy TCP4 192.0.2.1 192.0.2.2 1 2",
        "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2",
        "PROXY TCP4 192.0.2.1  192.0.2.2 1 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 ",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3",
        "PROXY TCP4 192.0.2.01 192.0.2.2 1 2",
        "PROXY TCP4 192.0.2.256 192.0.2.2 1 2",
        "PROXY TCP4 192.0.2 192.0.2.2 1 2",
        "PROXY TCP4 192.0.2.1 ::1 1 2",
        "PROXY TCP6 192.0.2.1 ::1 1 2",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2",
        "PROXY TCP6 1::2::3 ::1 1 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 00 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 100000 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 \xb2 2",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 ",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWN\r",
        "PROXY UNKNOWN a\rb",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r",
        "EHLO client.example",
    ],
)
def test_what_is_no_line_of_version_1_is_refused(line):
    with pytest.raises(ParseError) as caught:
        parse_proxy_header(line.encode("latin-1") + b"\r\n")
    assert (caught.value.code, caught.value.enhanced) == (421, "4.7.0")


@pytest.mark.parametrize(
    "octets", [b"X", b"PX", b"PROXX", b"\r\nX", b"\x16\x03\x01", b"PROXY UNKNOWN\n", b"PROXY a\rb"]
)
def test_what_cannot_become_a_header_is_refused_at_once(octets):
    with pytest.raises(ParseError):
        parse_proxy_header(octets)


@pytest.mark.parametrize(
    "octets", [b"", b"P", b"PROXY", b"PROXY ", b"PROXY TCP4 192.0.2.1\r", b"\r", SIGNATURE, SIGNATURE + b"\x21\x11\x00"]
)
def test_the_beginning_of_a_header_waits_for_more(octets):
    assert parse_proxy_header(octets) is None


@pytest.mark.parametrize(
    "octets",
    [
        version_2(0x11, 0x11, FOUR),
        version_2(0x22, 0x11, FOUR),
        version_2(0x2F, 0x11, FOUR),
        version_2(0x21, 0x41, FOUR),
        version_2(0x21, 0x13, FOUR),
        version_2(0x21, 0xFF, FOUR),
        version_2(0x21, 0x11, FOUR[:-1]),
        version_2(0x21, 0x11),
        version_2(0x21, 0x21, FOUR),
        version_2(0x21, 0x31, FOUR),
        version_2(0x21, 0x11, FOUR + b"\x01"),
        version_2(0x21, 0x11, FOUR + b"\x01\x00"),
        version_2(0x21, 0x11, FOUR + b"\x01\x00\x01"),
        version_2(0x21, 0x11, FOUR + b"\x01\x00\x01ab"),
        version_2(0x21, 0x11, FOUR + b"\x03\x00\x04abcd"),
        version_2(0x21, 0x11, FOUR + b"\x03\x00\x03abc"),
        version_2(0x21, 0x11, length=521),
        version_2(0x20, 0x00, length=65535),
    ],
)
def test_what_is_no_header_of_version_2_is_refused(octets):
    with pytest.raises(ParseError):
        parse_proxy_header(octets)


def test_the_length_of_version_2_is_bounded_as_configured():
    octets = version_2(0x21, 0x11, FOUR + b"\x04\x02\x00" + bytes(512))
    with pytest.raises(ParseError, match="too long"):
        parse_proxy_header(octets)
    header, consumed = parse_proxy_header(octets, limit=600)
    assert header.tlvs == ((4, bytes(512)),)
    assert consumed == len(octets)


@pytest.mark.parametrize("family", [0x00, 0x11, 0xFF])
def test_a_local_header_is_skipped_whatever_is_in_it(family):
    octets = version_2(0x20, family, b"\x01\x02\x03")
    assert parse_proxy_header(octets + b"x") == (ProxyHeader(local=True), len(octets))


@pytest.mark.parametrize("family", [0x00, 0x01, 0x10, 0x30])
def test_an_unspecified_family_is_skipped_whatever_is_in_it(family):
    octets = version_2(0x21, family, b"\x01\x02\x03")
    assert parse_proxy_header(octets) == (ProxyHeader(), len(octets))


def with_checksum(tlvs):
    # CRC-32C, computed by the definition in RFC 4960 appendix B.
    blank = version_2(0x21, 0x11, FOUR + b"\x03\x00\x04\0\0\0\0" + tlvs)
    crc = 0xFFFFFFFF
    for octet in blank:
        crc ^= octet
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
    return blank.replace(b"\0\0\0\0" + tlvs, (crc ^ 0xFFFFFFFF).to_bytes(4, "big") + tlvs)


def test_a_checksum_is_verified_and_left_out():
    octets = with_checksum(b"\x01\x00\x01a")
    header, consumed = parse_proxy_header(octets)
    assert consumed == len(octets)
    assert header.tlvs == ((1, b"a"),)
    with pytest.raises(ParseError, match="checksum"):
        parse_proxy_header(octets.replace(b"\x30\x39", b"\x30\x38"))


def test_a_second_checksum_is_refused_since_each_costs_a_look_at_the_whole_header():
    with pytest.raises(ParseError, match="two checksums"):
        parse_proxy_header(with_checksum(b"\x03\x00\x04abcd"))


@pytest.mark.parametrize(
    ("given_address", "canonical"),
    [
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("::ffff:c000:201", "::ffff:192.0.2.1"),
    ],
)
def test_addresses_are_in_canonical_form(given_address, canonical):
    header = ProxyHeader("TCP6", given_address, 1, "::1", 2)
    assert header.source == canonical
    assert parse_proxy_header(bytes(header))[0].source == canonical
    assert header == ProxyHeader("TCP6", canonical, 1, "::1", 2)


@pytest.mark.parametrize("path", ["", "/run/smtp.sock", "\0abstract", "/é", "/\udcff", "x" * 108])
def test_paths_of_unix_sockets(path):
    header = ProxyHeader("UNIX", path, 0, "/b", 0)
    assert parse_proxy_header(bytes(header)) == (header, 16 + 216)
    assert header.source == path


@pytest.mark.parametrize(
    "arguments",
    [
        {"family": "TCP5"},
        {"family": "TCP4"},
        {"source": "192.0.2.1"},
        {"source_port": 1},
        {"destination": "x"},
        {"tlvs": [(1, b"")]},
        {"version": 3},
        {"version": 1, "local": True},
        {"family": "UNIX", "version": 1},
        {"family": "UNIX", "source_port": 1},
        {"family": "UNIX", "source": "x" * 109},
        {"family": "UNIX", "source": "x\0"},
        {"family": "UNIX", "source": "\ud800"},
        {"family": "UNIX", "source": "\udcc3\udca9"},
        {"family": "UNIX", "local": True},
        {"family": "TCP4", "source": "192.0.2.1", "destination": "192.0.2.1", "source_port": 65536},
        {"family": "TCP4", "source": "192.0.2.1", "destination": "192.0.2.1", "destination_port": -1},
        {"family": "TCP4", "source": "192.0.2.1", "destination": "192.0.2.1", "tlvs": [(3, b"abcd")]},
        {"family": "TCP4", "source": "192.0.2.1", "destination": "192.0.2.1", "tlvs": [(256, b"")]},
        {"family": "TCP4", "source": "192.0.2.1", "destination": "192.0.2.1", "tlvs": [(-1, b"")]},
        {"family": "TCP4", "source": "192.0.2.1", "destination": "192.0.2.1", "tlvs": [(1, bytes(65536))]},
        {"family": "TCP4", "source": "192.0.2.1", "destination": "192.0.2.1", "tlvs": [(1, bytes(33000))] * 2},
        {"family": "TCP4", "source": "192.0.2.1", "destination": "192.0.2.1", "tlvs": [(1, b"")], "version": 1},
    ],
)
def test_what_a_header_cannot_say_is_refused(arguments):
    with pytest.raises(ParseError):
        ProxyHeader(**arguments)
