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
