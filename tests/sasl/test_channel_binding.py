"""tls-server-end-point: which hash is taken of which certificate."""

import hashlib
import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.sasl.channel_binding import tls_server_end_point

PEM = (Path(__file__).parents[1] / "certificates" / "server.pem").read_text().partition("-----BEGIN PRIVATE")[0]
CERTIFICATE = ssl.PEM_cert_to_DER_cert(PEM)


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 128:
        return bytes((tag, len(body))) + body
    return bytes((tag, 0x82)) + len(body).to_bytes(2, "big") + body


def oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    octets = bytearray((40 * first + second,))
    for number in rest:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        octets += bytes(reversed(digits))
    return der(6, bytes(octets))


def certificate(*algorithm: bytes, size: int = 300) -> bytes:
    """A certificate as far as its signature's algorithm is concerned."""
    return der(0x30, der(0x30, bytes(size)), der(0x30, *algorithm), der(3, b"\0signature"))


def pss(*fields: bytes) -> bytes:
    return certificate(oid("1.2.840.113549.1.1.10"), der(0x30, *fields))


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [
        ("1.2.840.113549.1.1.4", "sha256"),  # MD5 and SHA-1 are replaced
        ("1.2.840.113549.1.1.5", "sha256"),
        ("1.2.840.113549.1.1.11", "sha256"),
        ("1.2.840.113549.1.1.12", "sha384"),
        ("1.2.840.113549.1.1.13", "sha512"),
        ("1.2.840.113549.1.1.14", "sha224"),
        ("1.2.840.10045.4.1", "sha256"),
        ("1.2.840.10045.4.3.1", "sha224"),
        ("1.2.840.10045.4.3.2", "sha256"),
        ("1.2.840.10045.4.3.3", "sha384"),
        ("1.2.840.10045.4.3.4", "sha512"),
        ("2.16.840.1.101.3.4.3.1", "sha224"),
        ("2.16.840.1.101.3.4.3.2", "sha256"),
    ],
)
def test_the_hash_is_that_of_the_signature(algorithm, name):
    made = certificate(oid(algorithm), der(5))
    assert tls_server_end_point(made) == hashlib.new(name, made).digest()


@pytest.mark.parametrize(
    ("hash_algorithm", "name"),
    [
        ("2.16.840.1.101.3.4.2.1", "sha256"),
        ("2.16.840.1.101.3.4.2.2", "sha384"),
        ("2.16.840.1.101.3.4.2.3", "sha512"),
        ("2.16.840.1.101.3.4.2.4", "sha224"),
    ],
)
def test_rsa_pss_names_its_hash_in_the_parameters(hash_algorithm, name):
    made = pss(der(0xA0, der(0x30, oid(hash_algorithm), der(5))), der(0xA2, der(2, b"\x20")))
    assert tls_server_end_point(made) == hashlib.new(name, made).digest()


def test_rsa_pss_by_default_means_sha_1_which_is_replaced():
    assert tls_server_end_point(pss()) == hashlib.sha256(pss()).digest()


@pytest.mark.parametrize(
    "octets",
    [
        certificate(oid("1.3.101.112")),  # Ed25519: no hash
        pss(der(0xA0, der(0x30, oid("1.3.14.3.2.99")))),
        pss(der(0xA0)),
        certificate(oid("1.2.840.113549.1.1.10")),
        certificate(),
        b"",
        b"\x30",
        b"\x30\x82\x01",
        b"\x04\x00",
        b"not a certificate",
        certificate(oid("1.2.840.10045.4.3.2"))[:-1],
    ],
)
def test_where_it_is_not_defined_there_is_none(octets):
    assert tls_server_end_point(octets) is None


def test_a_real_certificate():
    assert tls_server_end_point(CERTIFICATE) == hashlib.sha256(CERTIFICATE).digest()


@given(st.binary(max_size=60) | st.integers(0, len(CERTIFICATE)).map(lambda size: CERTIFICATE[:size]))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_octets_have_an_answer(octets):
    assert tls_server_end_point(octets) is None or octets == CERTIFICATE
