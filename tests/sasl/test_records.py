"""Records of passwords: their text, what they cost, and which passwords they take."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit import sasl
from smtpkit.errors import ParseError
from smtpkit.sasl.records import PasswordRecord, decoy, make_record, read_secret, right_password
from smtpkit.sasl.scram_keys import ScramKeys

SCHEMES = {"scrypt": 4, "pbkdf2-sha256": 3, "pbkdf2-sha512": 3, "SCRAM-SHA-1": 3, "SCRAM-SHA-256": 3}
RECORD = make_record("secret", cost=4, salt=b"salt")

# RFC 7914 section 12 (the second one), and the PBKDF2-HMAC-SHA-256 one of section 11
PUBLISHED = [
    (
        "scrypt$1024$8$16$TmFDbA==$"
        "/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA==",
        "password",
    ),
    (
        "pbkdf2-sha256$80000$TmFDbA==$"
        "TdzY9guYviGDDO5e8icB+WQaRBjQTAQUrv8Ih2s0q1ah1CWhIlgzVJrbhBtRybMXaicr3ruh0HhHj2Kzl/M8jQ==",
        "Password",
    ),
]


@pytest.mark.parametrize(("text", "password"), PUBLISHED, ids=["scrypt", "pbkdf2"])
def test_published_vectors(text, password):
    record = PasswordRecord.parse(text)
    assert str(record) == text
    assert record.verify(password)
    assert not record.verify(password + "x")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_made_takes_its_password_and_no_other(scheme):
    text = make_record("pässwörd", scheme, cost=SCHEMES[scheme])
    assert text.startswith(scheme + "$")
    assert right_password(text, "pässwörd")
    assert right_password(text, "pa\u0308sswo\u0308rd")  # the same, in another Unicode form
    assert not right_password(text, "passwort")
    assert not right_password(text, text)
    assert text != make_record("pässwörd", scheme, cost=SCHEMES[scheme])  # the salt is another


def test_the_usual_costs(monkeypatch):
    asked = []
    monkeypatch.setattr(hashlib, "scrypt", lambda *a, **o: asked.append((o["n"], o["r"], o["p"])) or b"digest")
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", lambda *a: asked.append(a[3]) or b"digest")
    for scheme in ("scrypt", "pbkdf2-sha256", "pbkdf2-sha512", "SCRAM-SHA-256"):
        make_record("secret", scheme)
    assert asked == [(16384, 8, 1), 600_000, 210_000, 10_000]


def test_what_saslprep_refuses_is_compared_as_it_is():
    assert right_password(make_record("\x07", cost=4), "\x07")
    assert right_password("\x07", "\x07")


@given(st.sampled_from(["scrypt", "pbkdf2-sha256"]), st.binary(min_size=1, max_size=20))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_text_and_record_say_the_same(scheme, salt):
    record = PasswordRecord.parse(make_record("x", scheme, cost=2, salt=salt))
    assert PasswordRecord.parse(str(record)) == record
    assert record.salt == salt


@pytest.mark.parametrize(
    "text",
    [
        "",
        "scrypt",
        "scrypt$4",
        "scrypt$4$8$1$c2FsdA==",
        "scrypt$4$8$c2FsdA==$aGFzaA==",
        "scrypt$5$8$1$c2FsdA==$aGFzaA==",
        "scrypt$1$8$1$c2FsdA==$aGFzaA==",
        "scrypt$0$8$1$c2FsdA==$aGFzaA==",
        "scrypt$-4$8$1$c2FsdA==$aGFzaA==",
        "scrypt$٤$8$1$c2FsdA==$aGFzaA==",
        "scrypt$4$8$1$c2FsdA$aGFzaA==",
        "scrypt$4$8$1$$aGFzaA==",
        "scrypt$4$8$1$c2FsdA==$",
        "scrypt$99999999999$8$1$c2FsdA==$aGFzaA==",
        "pbkdf2-sha256$c2FsdA==$aGFzaA==",
        "pbkdf2-md5$3$c2FsdA==$aGFzaA==",
        "pbkdf2-sha256$1073741824$c2FsdA==$aGFzaA==",
    ],
)
def test_what_is_no_record_is_refused_without_being_shown(text):
    with pytest.raises(ParseError, match="not a password record") as info:
        PasswordRecord.parse(text)
    assert "c2FsdA" not in str(info.value)


def test_what_cannot_be_computed_is_an_error(monkeypatch):
    with pytest.raises(ParseError, match="not a password record"):
        make_record("x", cost=5)
    with pytest.raises(ParseError, match="not a password record"):
        make_record("x", "md5")
    with pytest.raises(ParseError, match="no known SCRAM"):
        make_record("x", "SCRAM-MD5")
    monkeypatch.delattr(hashlib, "scrypt")  # as where OpenSSL has none
    with pytest.raises(ParseError, match="cannot compute scrypt"):
        make_record("x", cost=4)


def test_reading_leaves_passwords_alone():
    for secret in ("pass$word", "scrypt", b"scrypt$", None, 7, "$"):
        assert read_secret(secret) is secret
    keys = ScramKeys.derive("x", iterations=2)
    assert read_secret(str(keys)) == keys
    with pytest.raises(ParseError):
        read_secret("scrypt$")
    with pytest.raises(ParseError):
        read_secret("SCRAM-SHA-1$")


@pytest.mark.parametrize(
    ("secret", "password", "right"),
    [
        ("secret", "secret", True),
        ("secret", "secre", False),
        ("", "", False),
        (b"", "", False),
        (b"secret", "secret", True),
        (b"\xff", "\udcff", True),
        (b"scrypt$4", "scrypt$4", True),
        (None, "secret", False),
        (7, "7", False),
    ],
)
def test_passwords_are_compared_whole(secret, password, right):
    assert right_password(secret, password) is right


class TestDecoy:
    """What stands for an unknown user: as costly as another's, and never right."""

    def test_of_a_record(self):
        record = PasswordRecord.parse(RECORD)
        made = decoy(RECORD)
        assert (made.scheme, made.parameters, len(made.digest)) == (record.scheme, record.parameters, 32)
        assert not made.verify("secret")

    def test_of_keys(self):
        keys = ScramKeys.derive("secret", "SCRAM-SHA-1", iterations=7, salt=b"a salt of more than sixteen")
        one, other = (decoy(keys, name, key=b"k") for name in ("tim", "tom"))
        assert (one.mechanism, one.iterations, len(one.salt)) == (keys.mechanism, 7, len(keys.salt))
        assert one.salt == decoy(str(keys), "tim", key=b"k").salt != other.salt
        assert not one.verify("secret")

    def test_of_a_password_there_is_none(self):
        with pytest.raises(ParseError, match="decoy"):
            decoy("secret")


def test_secrets_are_not_shown():
    assert repr(PasswordRecord.parse(RECORD)) == "PasswordRecord('scrypt', (4, 8, 1), <hidden>)"


def test_the_package_has_them_at_first_use():
    assert sasl.make_record is make_record
    assert sasl.ScramKeys is ScramKeys
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sasl.nothing
