"""Who may log in: what is offered, and what a mapping of users answers."""

import pytest

from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.sasl.questions import FetchSecret, VerifyPassword, VerifyToken
from smtpkit.sasl.scram_keys import ScramKeys

KEYS = ScramKeys.derive("pass", "SCRAM-SHA-256", iterations=4096, salt=b"salt")


def password(username, password, authzid=""):
    return VerifyPassword(authzid, username, password)


@pytest.mark.parametrize(
    ("verify", "names"),
    [
        (None, ("PLAIN", "LOGIN")),
        (lambda question: True, ("PLAIN", "LOGIN")),
        ({}, ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN")),
        ({"user": "pass"}, ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN")),
        ({"user": KEYS, "other": "pass"}, ("SCRAM-SHA-256", "PLAIN", "LOGIN")),
        ({"a": KEYS, "b": ScramKeys.derive("x", "SCRAM-SHA-1", iterations=1)}, ("PLAIN", "LOGIN")),
    ],
)
def test_what_is_offered_when_nothing_is_named(verify, names):
    assert AuthPolicy(verify).offered(tls=True) == names


def test_named_mechanisms_keep_their_order():
    assert AuthPolicy({}, mechanisms=["login", "CRAM-MD5"]).offered(tls=True) == ("LOGIN", "CRAM-MD5")


def test_nothing_is_offered_in_clear_unless_allowed():
    assert AuthPolicy({}).offered(tls=False) == ()
    assert AuthPolicy({}, allow_in_clear=True, mechanisms=["PLAIN"]).offered(tls=False) == ("PLAIN",)


@pytest.mark.parametrize("arguments", [{"mechanisms": ["PLAINT"]}, {"mechanisms": []}, {"attempts": 0}])
def test_arguments_that_nobody_can_mean(arguments):
    with pytest.raises(ValueError, match=r"unknown|mechanism|attempts"):
        AuthPolicy({}, **arguments)


def test_without_a_verifier_nobody_logs_in():
    assert AuthPolicy().answer(password("user", "pass")) is None


def test_a_callable_is_asked():
    assert AuthPolicy(lambda question: question.username).answer(FetchSecret("user", "CRAM-MD5")) == "user"


@pytest.mark.parametrize("secret", ["pass", b"pass", KEYS, str(KEYS)], ids=["str", "bytes", "keys", "keys as text"])
def test_a_mapping_verifies_passwords(secret):
    policy = AuthPolicy({"user": secret})
    assert policy.answer(password("user", "pass")) is True
    assert policy.answer(password("user", "pass", "user")) is True
    assert policy.answer(password("user", "pas")) is False
    assert policy.answer(password("user", "pass", "root")) is False
    assert policy.answer(password("nobody", "pass")) is False
    assert policy.answer(password("nobody", "")) is False


def test_keys_as_text_are_no_password():
    policy = AuthPolicy({"user": str(KEYS)})
    assert policy.answer(password("user", str(KEYS))) is False
    assert policy.answer(FetchSecret("user", "SCRAM-SHA-256")) == KEYS
    assert policy.mechanisms == ("SCRAM-SHA-256", "PLAIN", "LOGIN")
    with pytest.raises(ValueError):
        AuthPolicy({"user": "SCRAM-SHA-256$broken"})


def test_a_password_that_is_no_utf_8_is_compared_as_octets():
    assert AuthPolicy({"user": "p\udcff"}).answer(password("user", "p")) is False


def test_a_mapping_gives_secrets_to_mechanisms_that_prove_them():
    policy = AuthPolicy({"user": KEYS})
    assert policy.answer(FetchSecret("user", "SCRAM-SHA-256")) is KEYS
    assert policy.answer(FetchSecret("nobody", "SCRAM-SHA-256")) is None


def test_a_mapping_of_passwords_knows_no_tokens():
    policy = AuthPolicy({"user": "pass", "": "x"}, mechanisms=["OAUTHBEARER"])
    assert policy.answer(VerifyToken("user", "pass")) is False


def test_an_unknown_user_costs_what_a_wrong_password_costs(monkeypatch):
    asked = []
    monkeypatch.setattr(ScramKeys, "verify", lambda self, given: asked.append(given) or True)
    policy = AuthPolicy({"user": KEYS})
    assert policy.answer(password("nobody", "x")) is False
    assert asked == ["x"]


def test_secrets_are_not_shown():
    assert repr(AuthPolicy({"user": "geheim"}, mechanisms=["PLAIN"])) == (
        "AuthPolicy(<verify>, required=True, mechanisms=('PLAIN',))"
    )
