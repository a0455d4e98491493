"""What a server stores for SCRAM, with the keys of RFC 5802's and RFC 7677's exchanges."""

from base64 import b64decode

import pytest

from smtpkit.errors import ParseError
from smtpkit.sasl.scram_keys import ScramKeys, derived_salt, hash_name, proof_for, proves, salted_password

SHA_1 = ScramKeys.derive("pencil", "SCRAM-SHA-1", iterations=4096, salt=b64decode("QSXCR+Q6sek8bf92"))
SHA_256 = ScramKeys.derive("pencil", iterations=4096, salt=b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))


def test_keys_of_the_published_exchanges():
    assert SHA_1.stored_key.hex() == "e9d94660c39d65c38fbad91c358f14da0eef2bd6"
    assert SHA_256.stored_key.hex() == "586e5df283e6dceb5c3e791d8b8528ec191e664045ce971792e2e6b5bb13e2a6"
    assert salted_password("sha1", b"pencil", SHA_1.salt, 4096).hex() == "1d96ee3a529b5a5f9e47c01f229a2cb8a6e15f7d"


def test_a_proof_convinces_who_has_the_stored_key():
    salted = salted_password("sha1", b"pencil", SHA_1.salt, 4096)
    proof = proof_for("sha1", salted, b"message")
    assert proves("sha1", SHA_1.stored_key, proof, b"message")
    for other in (proof[:-1], proof + b"\0", proof[::-1], b""):
        assert not proves("sha1", SHA_1.stored_key, other, b"message")
    assert not proves("sha1", SHA_1.stored_key, proof, b"another message")


@pytest.mark.parametrize("keys", [SHA_1, SHA_256, ScramKeys.derive("x", "SCRAM-SHA-512", iterations=1)])
def test_one_line_form(keys):
    assert ScramKeys.parse(str(keys)) == keys
    assert str(keys).startswith(f"{keys.mechanism}${keys.iterations}:")


def test_password_against_keys():
    assert SHA_256.verify("pencil")
    assert SHA_256.verify("pencil\u00ad")
    assert not SHA_256.verify("pen")
    assert not SHA_256.verify("")
    assert not SHA_256.verify("\x07")


def test_salts_are_random_unless_given():
    assert ScramKeys.derive("x", iterations=1) != ScramKeys.derive("x", iterations=1)
    assert ScramKeys.derive("x", iterations=1, salt=b"s") == ScramKeys.derive("x", iterations=1, salt=b"s")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "SCRAM-SHA-256$4096:QUJD$QUJD",
        "SCRAM-SHA-256$x:QUJD$QUJD:QUJD",
        "SCRAM-SHA-256$4_0:QUJD$QUJD:QUJD",
        "SCRAM-SHA-256$0:QUJD$QUJD:QUJD",
        "SCRAM-SHA-256$\u0664:QUJD$QUJD:QUJD",
        "SCRAM-SHA-256$1:$QUJD:QUJD",
        "SCRAM-SHA-256$1:QUJ$QUJD:QUJD",
        "SCRAM-MD5$1:QUJD$QUJD:QUJD",
    ],
)
def test_other_text_is_refused_without_showing_it(text):
    with pytest.raises(ParseError, match="not SCRAM keys") as caught:
        ScramKeys.parse(text)
    assert caught.value.octets == b""


def test_unknown_mechanisms_and_empty_passwords():
    with pytest.raises(ParseError, match="no known SCRAM mechanism"):
        ScramKeys.derive("x", "SCRAM-MD5")
    with pytest.raises(ParseError):
        ScramKeys.derive("")


def test_repr_hides_the_keys():
    assert repr(SHA_1) == "ScramKeys('SCRAM-SHA-1', 4096, <hidden>)"


def test_a_decoy_costs_the_same_and_is_nobodys():
    keys = ScramKeys.derive("secret", "SCRAM-SHA-1", iterations=7)
    one = keys.decoy("tim")
    assert (one.mechanism, one.iterations, len(one.salt), len(one.stored_key)) == ("SCRAM-SHA-1", 7, 16, 20)
    assert not one.verify("secret")
    assert one.salt == keys.decoy("tim").salt != keys.decoy("tom").salt  # fixed in this process
    assert keys.decoy("tim", b"key").salt == keys.decoy("tim", b"key").salt != one.salt


def test_a_derived_salt_has_16_octets_and_belongs_to_one_name_and_hash():
    salts = {derived_salt(f"SCRAM-SHA-{hash_}", name, b"key") for hash_ in (1, 256) for name in ("a", "b")}
    assert {len(salt) for salt in salts} == {16}
    assert len(salts) == 4


@pytest.mark.parametrize("name", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
def test_with_and_without_channel_binding_the_hash_is_the_same(name):
    assert hash_name(name) == "sha256"
