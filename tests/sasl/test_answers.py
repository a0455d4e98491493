"""What the mechanisms make of an application's answers."""

import pytest

from smtpkit.errors import ParseError
from smtpkit.sasl.answers import is_slow, keys_for, settle
from smtpkit.sasl.questions import FetchSecret, VerifyPassword, VerifyToken
from smtpkit.sasl.records import make_record, read_secret
from smtpkit.sasl.scram_keys import ScramKeys

TIM = VerifyPassword("", "tim", "secret")
SCRAM = FetchSecret("tim", "SCRAM-SHA-256")
KEYS = ScramKeys.derive("secret", iterations=2)
RECORD = make_record("secret", cost=4)


@pytest.mark.parametrize("answer", [True, False, None, 451, object])
def test_a_verdict_stays_as_it_is(answer):
    assert settle(TIM, answer) is answer
    assert not is_slow(TIM, answer)


@pytest.mark.parametrize(
    ("secret", "slow"),
    [
        ("secret", False),
        (b"secret", False),
        (KEYS, True),
        (str(KEYS), True),
        (RECORD, True),
        (read_secret(RECORD), True),
    ],
    ids=repr,
)
def test_a_secret_becomes_one(secret, slow):
    assert settle(TIM, secret) is True
    assert settle(VerifyPassword("tim", "tim", "secret"), secret) is True
    assert settle(VerifyPassword("", "tim", "wrong"), secret) is False
    assert settle(VerifyPassword("root", "tim", "secret"), secret) is False
    assert is_slow(TIM, secret) is slow


def test_scram_gets_keys():
    assert settle(SCRAM, KEYS) is KEYS
    assert not is_slow(SCRAM, KEYS)
    for secret, right in (
        ("secret", True),
        (b"secret", True),
        (None, False),
        (RECORD, False),
        ("\x07", False),
        (b"\xff", False),
    ):
        assert is_slow(SCRAM, secret)
        keys = settle(SCRAM, secret, iterations=3, salt_secret=b"x")
        assert (keys.mechanism, keys.iterations) == ("SCRAM-SHA-256", 3)
        assert keys.verify("secret") is right
        assert keys.salt == keys_for(SCRAM, None, 3, b"x").salt


def test_what_scram_did_not_ask_for_stays_as_it_is():
    assert settle(SCRAM, 451) == 451
    other = ScramKeys.derive("secret", "SCRAM-SHA-1", iterations=2)
    assert not keys_for(SCRAM, other, 2, None).verify("secret")


def test_other_questions_are_left_alone():
    for question in (FetchSecret("tim", "CRAM-MD5"), VerifyToken("tim", "token")):
        assert settle(question, "secret") == "secret"
        assert not is_slow(question, "secret")


def test_a_record_that_is_none_is_an_error():
    for question in (TIM, SCRAM):
        with pytest.raises(ParseError):
            is_slow(question, "scrypt$")
        with pytest.raises(ParseError):
            settle(question, "scrypt$")
