"""The channel binding tls-server-end-point: a login tied to the server's certificate (RFC 5929 section 4)."""

__all__ = ["tls_server_end_point"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SEQUENCE, _OID, _HASH_ALGORITHM = 0x30, 0x06, 0xA0

_RSA = bytes.fromhex("2a864886f70d0101")  # 1.2.840.113549.1.1
_RSA_PSS = _RSA + b"\x0a"
_ECDSA = bytes.fromhex("2a8648ce3d04")  # 1.2.840.10045.4
_DSA = bytes.fromhex("6086480165030403")  # 2.16.840.1.101.3.4.3
_SHA2 = bytes.fromhex("6086480165030402")  # 2.16.840.1.101.3.4.2

# The signature algorithm's OID to the hash to take.  MD5 and SHA-1 are replaced by SHA-256.
_HASHES = {
    _RSA + b"\x04": "sha256",  # md5WithRSAEncryption
    _RSA + b"\x05": "sha256",  # sha1WithRSAEncryption
    _RSA + b"\x0b": "sha256",
    _RSA + b"\x0c": "sha384",
    _RSA + b"\x0d": "sha512",
    _RSA + b"\x0e": "sha224",
    _ECDSA + b"\x01": "sha256",  # ecdsa-with-SHA1
    _ECDSA + b"\x03\x01": "sha224",
    _ECDSA + b"\x03\x02": "sha256",
    _ECDSA + b"\x03\x03": "sha384",
    _ECDSA + b"\x03\x04": "sha512",
    _DSA + b"\x01": "sha224",
    _DSA + b"\x02": "sha256",
}

# The hash that RSASSA-PSS names in its parameters; SHA-1, its default, is replaced by SHA-256.
_PSS_HASHES = {
    _SHA2 + b"\x01": "sha256",
    _SHA2 + b"\x02": "sha384",
    _SHA2 + b"\x03": "sha512",
    _SHA2 + b"\x04": "sha224",
}


def tls_server_end_point(certificate: bytes) -> bytes | None:
    """The octets that both sides bind to.

    Args:
        certificate: the server's certificate in DER.

    Returns:
        Its hash, or None where the binding is not defined: the signature has no hash of its own, as Ed25519
        has not, or is not known, or this is no certificate.
    """
    try:
        _, (_, algorithm), *_ = _elements(dict(_elements(certificate))[_SEQUENCE])
        (_, oid), *parameters = _elements(algorithm)
        name = _pss_hash(parameters) if oid == _RSA_PSS else _HASHES[oid]
    except (KeyError, IndexError, ValueError):
        return None
    import hashlib

    return hashlib.new(name, certificate).digest()


def _pss_hash(parameters: "list[tuple[int, bytes]]") -> str:
    fields = dict(_elements(parameters[0][1]))
    if _HASH_ALGORITHM not in fields:
        return "sha256"
    (_, algorithm), *_ = _elements(fields[_HASH_ALGORITHM])
    return _PSS_HASHES[dict(_elements(algorithm))[_OID]]


def _elements(octets: bytes) -> "Iterator[tuple[int, bytes]]":
    """The DER elements in a row, each as its tag and its contents.

    Raises:
        IndexError, ValueError: there is something else.
    """
    start = 0
    while start < len(octets):
        tag, size, start = octets[start], octets[start + 1], start + 2
        if size & 0x80:
            long_form = size & 0x7F
            size = int.from_bytes(octets[start : start + long_form], "big")
            start += long_form
        if start + size > len(octets):
            raise ValueError("a DER element is cut short")
        yield tag, octets[start : start + size]
        start += size
