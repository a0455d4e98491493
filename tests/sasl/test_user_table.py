"""A mapping of users as the answer to SASL's questions."""

import pytest

from smtpkit.errors import ParseError
from smtpkit.sasl.cram_md5 import CramMD5
from smtpkit.sasl.oauth import XOAuth2
from smtpkit.sasl.plain import Plain
from smtpkit.sasl.questions import FetchSecret, VerifyPassword, VerifyToken
from smtpkit.sasl.records import PasswordRecord, make_record
from smtpkit.sasl.scram import ScramSHA1, ScramSHA256, ScramSHA256Plus
from smtpkit.sasl.scram_keys import ScramKeys
from smtpkit.sasl.user_table import UserTable

KEYS = ScramKeys.derive("secret", iterations=2)
RECORD = make_record("secret", cost=4)
ALL = (Plain, CramMD5, ScramSHA1, ScramSHA256, ScramSHA256Plus)


@pytest.mark.parametrize(
    ("users", "fitting", "some"),
    [
        ({}, ALL, ALL),
        ({"tim": "secret", "tom": b"secret"}, ALL, ALL),
        ({"tim": KEYS}, (Plain, ScramSHA256, ScramSHA256Plus), (Plain, ScramSHA256, ScramSHA256Plus)),
        ({"tim": RECORD}, (Plain,), (Plain,)),
        ({"tim": str(KEYS), "tom": "secret"}, (Plain, ScramSHA256, ScramSHA256Plus), ALL),
        ({"tim": RECORD, "tom": "secret"}, (Plain,), ALL),
        ({"tim": 7}, (Plain,), (Plain,)),
    ],
)
def test_which_mechanisms_fit(users, fitting, some):
    table = UserTable(users)
    assert tuple(each for each in ALL if table.all_fit(each)) == fitting
    assert tuple(each for each in ALL if table.any_fits(each)) == some


def test_tokens_never_do():
    assert not UserTable({"tim": "secret"}).any_fits(XOAuth2)
    assert UserTable({"tim": "secret"}).answer(VerifyToken("tim", "secret")) is False


def test_plain_passwords_are_compared_at_once():
    table = UserTable({"tim": "secret", "tom": b"\xc3\xa4", "nil": None, "odd": 7})
    assert table.answer(VerifyPassword("", "tim", "secret")) is True
    assert table.answer(VerifyPassword("", "tom", "ä")) is True
    for name in ("tom", "nil", "odd", "nobody"):
        assert table.answer(VerifyPassword("", name, "secret")) is False
    assert table.answer(VerifyPassword("root", "tim", "secret")) is False


def test_records_and_keys_are_handed_out_to_be_checked_elsewhere():
    table = UserTable({"tim": RECORD, "tom": KEYS})
    assert table.answer(VerifyPassword("", "tim", "x")) == PasswordRecord.parse(RECORD)
    assert table.answer(FetchSecret("tom", "SCRAM-SHA-256")) is KEYS
    for name in ("nobody", "noone"):
        assert isinstance(table.answer(VerifyPassword("", name, "x")), PasswordRecord)
        assert table.answer(FetchSecret(name, "SCRAM-SHA-256")).iterations == KEYS.iterations
    assert table.answer(FetchSecret("nobody", "SCRAM-SHA-1")) is None


def test_users_may_come_and_go():
    users = {}
    table = UserTable(users)
    users["tim"] = "secret"
    assert table.answer(VerifyPassword("", "tim", "secret")) is True


def test_a_record_that_is_none_is_an_error_at_once():
    with pytest.raises(ParseError):
        UserTable({"tim": "scrypt$4$8"})
