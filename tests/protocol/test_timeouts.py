"""Time-outs: RFC 5321 section 4.5.3.2, one number for all, or one by one."""

import pytest

from smtpkit.protocol import Timeouts

STANDARD = {
    "greeting": 300,
    "EHLO": 300,
    "HELO": 300,
    "LHLO": 300,
    "STARTTLS": 300,
    "AUTH": 300,
    "BDAT": 300,
    "RSET": 300,
    "MAIL": 300,
    "RCPT": 300,
    "DATA": 120,
    "body": 180,
    "end of data": 600,
    "QUIT": 20,
    "connect": 30,
    "TLS handshake": 30,
    "NOOP": 300,
    "command": 300,
}


@pytest.mark.parametrize("wait", STANDARD)
def test_the_waits_of_the_standard(wait):
    assert Timeouts()[wait] == STANDARD[wait]


def test_one_number_holds_for_every_wait():
    timeouts = Timeouts(2.5)
    assert {timeouts[wait] for wait in [*STANDARD, "BDAT", "never heard of"]} == {2.5}


@pytest.mark.parametrize(
    ("name", "waits"),
    {
        "connect": ["connect"],
        "handshake": ["TLS handshake"],
        "greeting": ["greeting"],
        "hello": ["EHLO", "HELO", "LHLO"],
        "starttls": ["STARTTLS"],
        "auth": ["AUTH"],
        "mail": ["MAIL"],
        "rcpt": ["RCPT"],
        "data": ["DATA"],
        "body": ["body", "BDAT"],
        "end_of_data": ["end of data"],
        "quit": ["QUIT"],
    }.items(),
)
def test_each_can_be_set(name, waits):
    timeouts = Timeouts(7, **{name: 3})
    assert {wait for wait, seconds in timeouts.table.items() if seconds == 3} == set(waits)
    for wrong in (-1, 0, float("nan")):
        with pytest.raises(ValueError, match=f"a time-out is a number of seconds above 0, not {wrong}"):
            Timeouts(**{name: wrong})
