"""The PROXY protocol header, by which a proxy tells whom it speaks for.

It is specified, in versions 1 and 2, by HAProxy's proxy-protocol.txt, whose sections are named here.  Read it
only from peers that are trusted to send it, once per connection, before anything else: what it says about
the client is believed.
"""

import ipaddress

from smtpkit.errors import ParseError
from smtpkit.wire.strings import is_number
from smtpkit.wire.value import Value

__all__ = ["ProxyHeader", "parse_proxy_header"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_TEXT_LIMIT = 107  # octets of a version 1 line with CRLF (section 2.1)
_LIMIT = 536  # octets of a version 2 header that fit the smallest segment of TCP
_FIXED = 16  # octets of a version 2 header before the addresses
_UNIX_PATH = 108  # octets of a path
_TLV_OCTETS = 65535 - 2 * _UNIX_PATH  # octets of TLVs that leave room for any addresses
_CHECKSUM = 0x03  # PP2_TYPE_CRC32C
_FAMILIES = {0x00: "UNSPEC", 0x11: "TCP4", 0x12: "UDP4", 0x21: "TCP6", 0x22: "UDP6", 0x31: "UNIX", 0x32: "UNIXDGRAM"}
_NUMBERS = {name: number for number, name in _FAMILIES.items()}
_ADDRESS_OCTETS = {"4": 4, "6": 16}


class ProxyHeader(Value):
    """Whom a connection is for.  `bytes(header)` is what a proxy sends.

    Args:
        family: "TCP4", "TCP6", "UDP4", "UDP6", "UNIX", "UNIXDGRAM", or "UNSPEC" (version 1: UNKNOWN) where the
            proxy does not know; the facts of the connection itself hold then, and there is nothing else here.
        source, source_port: the client's address; of a unix socket its path, and port 0.
        destination, destination_port: the address that the client connected to.
        tlvs: pairs of a type and a value (section 2.2) in their order.  CRC32C is not among them: it is
            verified when it comes, and not sent.
        local: the connection is the proxy's own, such as a health check; the family is then "UNSPEC".
        version: 1 or 2; version 1 has TCP only, no TLVs and no local connections.

    Attributes:
        As above; IP addresses are in canonical form.

    Raises:
        ParseError: a value that the header cannot say.
    """

    __slots__ = (
        "family",
        "source",
        "source_port",
        "destination",
        "destination_port",
        "tlvs",
        "local",
        "version",
    )

    def __init__(
        self,
        family: str = "UNSPEC",
        source: str = "",
        source_port: int = 0,
        destination: str = "",
        destination_port: int = 0,
        tlvs: "Sequence[tuple[int, bytes]]" = (),
        local: bool = False,
        version: int = 2,
    ) -> None:
        if family not in _NUMBERS:
            raise ParseError("not an address family", family, expected=", ".join(_NUMBERS))
        self.family = family
        self.source = _canonical(family, source)
        self.source_port = source_port
        self.destination = _canonical(family, destination)
        self.destination_port = destination_port
        self.tlvs = tuple(tlvs)
        self.local = local
        self.version = version
        _check(self)

    def __bytes__(self) -> bytes:
        return _text_header(self) if self.version == 1 else _binary_header(self)


def parse_proxy_header(octets: bytes, *, limit: int = _LIMIT) -> tuple[ProxyHeader, int] | None:
    """Read the header at the beginning of what a connection has received.

    Args:
        octets: all that has come so far.
        limit: octets that a version 2 header may have; version 1 has at most 107.

    Returns:
        The header and the number of its octets, behind which the connection proper begins; None if more
        octets are needed to tell.

    Raises:
        ParseError: no header begins so; the connection is to be dropped.
    """
    if octets.startswith(_SIGNATURE):
        return _read_binary(octets, limit)
    if octets.startswith(b"PROXY "):
        return _read_text(octets)
    if _SIGNATURE.startswith(octets) or b"PROXY ".startswith(octets):
        return None
    raise _wrong("not a PROXY header", octets)


def _read_text(octets: bytes) -> tuple[ProxyHeader, int] | None:
    end = octets.find(b"\r\n", 0, _TEXT_LIMIT)
    line = octets[: end if end >= 0 else _TEXT_LIMIT]
    # The last CR of an incomplete line may be that of its CRLF.
    if b"\n" in line or b"\r" in (line if end >= 0 else line[:-1]):
        raise _wrong("a bare CR or LF in a PROXY header", line)
    if end < 0:
        if len(octets) >= _TEXT_LIMIT:
            raise _wrong("a PROXY header without end", line)
        return None
    words = line.decode("latin-1").split(" ")
    if words[1] == "UNKNOWN":
        return ProxyHeader(version=1), end + 2
    if len(words) != 6:
        raise _wrong("not a PROXY header", line, expected="PROXY TCP4 source destination port port")
    _, family, source, destination, source_port, destination_port = words
    ports = _port(source_port), _port(destination_port)
    try:
        return ProxyHeader(family, source, ports[0], destination, ports[1], version=1), end + 2
    except ParseError as error:
        raise _wrong(error.what, line) from error


def _read_binary(octets: bytes, limit: int) -> tuple[ProxyHeader, int] | None:
    if len(octets) < _FIXED:
        return None
    command = octets[12]
    if command not in (0x20, 0x21):
        raise _wrong("a PROXY header of an unknown version or command", octets)
    size = _FIXED + int.from_bytes(octets[14:16], "big")
    if size > limit:
        raise _wrong("a PROXY header that is too long", octets, expected=f"at most {limit} octets")
    family, transport = octets[13] >> 4, octets[13] & 0x0F
    if command == 0x21 and (family > 3 or transport > 2):
        raise _wrong("a PROXY header of an unknown family", octets)
    if len(octets) < size:
        return None
    if command == 0x20:
        return ProxyHeader(local=True), size
    if not family or not transport:
        return ProxyHeader(), size
    return _read_addresses(octets[:size], _FAMILIES[octets[13]]), size


def _read_addresses(octets: bytes, family: str) -> ProxyHeader:
    width = _ADDRESS_OCTETS.get(family[-1], _UNIX_PATH)
    middle, ports = _FIXED + width, _FIXED + 2 * width
    end = ports + (0 if width == _UNIX_PATH else 4)
    if len(octets) < end:
        raise _wrong("a PROXY header too short for its addresses", octets)
    source, destination = octets[_FIXED:middle], octets[middle:ports]
    tlvs = _read_tlvs(octets, end)
    if width == _UNIX_PATH:
        return ProxyHeader(family, _path(source), 0, _path(destination), 0, tlvs)
    source_port, destination_port = (int.from_bytes(octets[at : at + 2], "big") for at in (ports, ports + 2))
    return ProxyHeader(family, _ip_text(source), source_port, _ip_text(destination), destination_port, tlvs)


def _read_tlvs(octets: bytes, start: int) -> list[tuple[int, bytes]]:
    tlvs = []
    checked = False
    while start < len(octets):
        begin = start + 3
        end = begin + int.from_bytes(octets[start + 1 : begin], "big")
        if begin > len(octets) or end > len(octets):
            raise _wrong("a PROXY header with part of a TLV", octets)
        if octets[start] == _CHECKSUM:
            if checked:
                raise _wrong("a PROXY header with two checksums", octets)
            checked = True
            _verify(octets, begin, end)
        else:
            tlvs.append((octets[start], octets[begin:end]))
        start = end
    return tlvs


def _verify(octets: bytes, begin: int, end: int) -> None:
    # The sum is that of the header with zeros in its place (section 2.2.3).
    blank = octets[:begin] + bytes(end - begin) + octets[end:]
    if octets[begin:end] != _crc32c(blank).to_bytes(4, "big"):
        raise _wrong("a PROXY header with a wrong checksum", octets)


def _crc32c(octets: bytes) -> int:
    remainder = 0xFFFFFFFF
    for octet in octets:
        remainder ^= octet
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def _check(header: ProxyHeader) -> None:
    if header.version not in (1, 2):
        raise ParseError("not a version of the PROXY protocol", str(header.version), expected="1 or 2")
    if header.version == 1 and (header.local or header.tlvs or header.family not in ("TCP4", "TCP6", "UNSPEC")):
        raise ParseError("a header that version 1 of the PROXY protocol cannot say", repr(header))
    if header.family == "UNSPEC" and header.tlvs:
        raise ParseError("TLVs behind unspecified addresses", repr(header))
    if header.local and header.family != "UNSPEC":
        raise ParseError("a local connection has no addresses", repr(header))
    highest = 65535 if header.family[-1] in _ADDRESS_OCTETS else 0
    if not (0 <= header.source_port <= highest and 0 <= header.destination_port <= highest):
        raise ParseError("a port out of range", repr(header), expected=f"0 to {highest}")
    for kind, value in header.tlvs:
        if not 0 <= kind <= 255 or kind == _CHECKSUM:
            raise ParseError("not a TLV", repr((kind, value)))
    if sum([3 + len(value) for _, value in header.tlvs]) > _TLV_OCTETS:
        raise ParseError("more TLVs than a PROXY header can hold", repr(header))


def _text_header(header: ProxyHeader) -> bytes:
    if header.family == "UNSPEC":
        return b"PROXY UNKNOWN\r\n"
    addresses = f"{header.source} {header.destination} {header.source_port} {header.destination_port}"
    return f"PROXY {header.family} {addresses}\r\n".encode("ascii")


def _binary_header(header: ProxyHeader) -> bytes:
    rest = b""
    if header.family != "UNSPEC":
        rest = _address_octets(header.family, header.source) + _address_octets(header.family, header.destination)
        if header.family[-1] in _ADDRESS_OCTETS:
            rest += header.source_port.to_bytes(2, "big") + header.destination_port.to_bytes(2, "big")
        rest += b"".join([bytes([kind]) + len(value).to_bytes(2, "big") + value for kind, value in header.tlvs])
    fixed = bytes([0x20 if header.local else 0x21, _NUMBERS[header.family]])
    return _SIGNATURE + fixed + len(rest).to_bytes(2, "big") + rest


def _address_octets(family: str, address: str) -> bytes:
    if family[-1] in _ADDRESS_OCTETS:
        return ipaddress.ip_address(address).packed
    return address.encode("utf-8", "surrogateescape").ljust(_UNIX_PATH, b"\0")


def _canonical(family: str, address: str) -> str:
    if family == "UNSPEC":
        if address:
            raise ParseError("an address of no family", address)
        return ""
    if family[-1] not in _ADDRESS_OCTETS:
        return _checked_path(address)
    kind = ipaddress.IPv4Address if family[-1] == "4" else ipaddress.IPv6Address
    try:
        octets = kind(address).packed
    except ValueError as error:
        raise ParseError(f"not an address of the family {family}", address) from error
    if "%" in address:
        raise ParseError("a scope id means nothing to the peer", address)
    return _ip_text(octets)


def _ip_text(octets: bytes) -> str:
    address = ipaddress.ip_address(octets)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    # Python writes it with dots from 3.13 on, RFC 5952 wants that, and sockets do so too.
    return str(address) if mapped is None else f"::ffff:{mapped}"


def _path(octets: bytes) -> str:
    return octets.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _checked_path(path: str) -> str:
    try:
        octets = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ParseError("not a path", path) from error
    if len(octets) > _UNIX_PATH or _path(octets) != path:
        raise ParseError("not a path that a PROXY header can hold", path)
    return path


def _port(digits: str) -> int:
    if not is_number(digits, 5) or (digits[0] == "0" and digits != "0"):
        raise _wrong("not a port", digits, expected="0 to 65535 without leading zeros")
    return int(digits)


def _wrong(what: str, octets: bytes | str, expected: str | None = None) -> ParseError:
    return ParseError(what, octets, expected=expected, code=421, enhanced="4.7.0")
