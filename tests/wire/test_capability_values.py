"""What stands behind EHLO keywords, read as values."""

import pytest

from smtpkit.errors import ParseError
from smtpkit.wire.capability_values import READERS, HoldLimits

UNTIL = "2031-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("keyword", "words", "value"),
    [
        ("SIZE", "1000 and more", 1000),
        ("SIZE", "0", 0),
        ("SIZE", "", None),
        ("SIZE", "x", None),
        ("SIZE", "1" * 21, None),
        ("AUTH", "plain PLAIN login", ("PLAIN", "LOGIN")),
        ("LIMITS", "", {}),
        ("LIMITS", "rcptmax=5 RCPTMAX=4 MAILMAX=x OTHER RCPTDOMAINMAX=0 NEW=a=b", {"RCPTMAX": 4}),
        ("LIMITS", "RCPTMAX=5 a.b=1", {}),
        ("LIMITS", "RCPTMAX=5 A=", {}),
        ("LIMITS", "RCPTMAX=5 A=1;2", {}),
        ("LIMITS", "RCPTMAX=1234567", {}),
        ("DELIVERBY", "", None),
        ("DELIVERBY", ",new", None),
        ("DELIVERBY", "60,new", 60),
        ("FUTURERELEASE", f"86400 {UNTIL}", HoldLimits(86400, UNTIL)),
        ("MT-PRIORITY", "", None),
        ("MT-PRIORITY", "MIXER", "MIXER"),
        ("NO-SOLICITING", "", ()),
        ("NO-SOLICITING", "net.example:ADV,b", ("net.example:ADV", "b")),
        ("XCLIENT", "name ADDR", ("NAME", "ADDR")),
    ],
)
def test_words_that_make_sense(keyword, words, value):
    assert READERS[keyword](tuple(words.split())) == value


@pytest.mark.parametrize(
    ("keyword", "words"),
    [
        ("DELIVERBY", "soon"),
        ("DELIVERBY", "-5"),
        ("DELIVERBY", "1234567890"),
        ("DELIVERBY", "\u0661"),
        ("FUTURERELEASE", ""),
        ("FUTURERELEASE", "60"),
        ("FUTURERELEASE", f"0 {UNTIL}"),
        ("FUTURERELEASE", f"x {UNTIL}"),
        ("FUTURERELEASE", "60 tomorrow"),
        ("FUTURERELEASE", f"60 {UNTIL} more"),
        ("NO-SOLICITING", "1"),
        ("NO-SOLICITING", "a,,b"),
    ],
)
def test_words_that_make_none(keyword, words):
    with pytest.raises(ParseError, match=f"bad {keyword}"):
        READERS[keyword](tuple(words.split()))


@pytest.mark.parametrize(
    ("value", "limits"), [("999999", {"RCPTMAX": 999_999}), ("1000000", {}), ("01", {}), ("0", {})]
)
def test_a_limit_has_six_digits_at_most(value, limits):
    assert READERS["LIMITS"]((f"RCPTMAX={value}",)) == limits


@pytest.mark.parametrize("seconds", [0, 10**9])
def test_a_message_is_held_for_nine_digits_of_seconds_at_most(seconds):
    assert HoldLimits(10**9 - 1, UNTIL).seconds == 10**9 - 1
    with pytest.raises(ParseError):
        HoldLimits(seconds, UNTIL)


@pytest.mark.parametrize("word", ["a!", "!a", "a,b!", "a,,b", "1a"])
def test_a_solicitation_keyword_is_in_the_grammar_to_its_end(word):
    with pytest.raises(ParseError):
        READERS["NO-SOLICITING"]((word,))


@pytest.mark.parametrize("name", ["MAILMAX", "RCPTMAX", "RCPTDOMAINMAX"])
def test_limits_are_known_by_these_names(name):
    assert READERS["LIMITS"]((f"{name.lower()}=5", "OTHER=6")) == {name: 5}


@pytest.mark.parametrize("keyword", ["AUTH", "XCLIENT", "XFORWARD"])
def test_names_are_in_upper_case_and_there_once(keyword):
    assert READERS[keyword](("name", "NAME", "Addr")) == ("NAME", "ADDR")
