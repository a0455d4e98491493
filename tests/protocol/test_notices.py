"""Who counts is told of each limit that is reached, of each error, and of logins."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.limits import Limits
from smtpkit.sasl.questions import VerifyPassword
from smtpkit.wire.replies import Reply

playing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))
Play, config, with_login, LOGIN = playing.Play, playing.config, playing.with_login, playing.LOGIN
EHLO = b"EHLO c.example\r\n"
MAIL, RCPT = b"MAIL FROM:<>\r\n", b"RCPT TO:<b@b.example>\r\n"


def noticed(settings, octets, decisions=None):
    names = []
    play = Play(settings, decisions)
    play.core.notice = names.append
    play.say(EHLO + octets)
    return names


@pytest.mark.parametrize(
    ("limits", "octets", "names"),
    [
        ({}, b"NOOP\r\n" + MAIL + RCPT, []),
        ({}, b"FOO\r\n", ["error"]),
        ({"line": 30}, b"NOOP " + b"x" * 60 + b"\r\n", ["line", "error"]),
        ({"commands": 2}, b"NOOP\r\nNOOP\r\n", ["commands"]),
        ({"errors": 2}, b"FOO\r\nNOOP\r\nFOO\r\n", ["error", "errors"]),
        ({"errors_in_a_row": 2}, b"FOO\r\nFOO\r\n", ["error", "errors_in_a_row"]),
        ({"recipients": 1}, MAIL + RCPT + RCPT + RCPT, ["recipients", "recipients"]),
        ({"transactions": 1}, MAIL + b"RSET\r\n" + MAIL, ["transactions"]),
    ],
)
def test_a_limit_has_its_name(limits, octets, names):
    assert noticed(config(limits=Limits(**limits)), octets) == names


@pytest.mark.parametrize("octets", [b"MAIL FROM:<> SIZE=999\r\n", MAIL + RCPT + b"DATA\r\n" + b"x" * 99 + b"\r\n.\r\n"])
def test_so_has_the_size_of_a_message(octets):
    assert noticed(config(max_message_size=50), octets) == ["max_message_size"]


def test_logins_are_told_as_they_succeed_or_fail():
    assert noticed(with_login(), LOGIN) == ["login"]


def test_so_are_those_that_are_too_many():
    settings = config(
        auth=AuthPolicy({"user": "other"}, required=False, allow_in_clear=True, attempts=1, mechanisms=["PLAIN"])
    )
    names = noticed(settings, LOGIN * 2, {VerifyPassword: Reply(535, "no")})
    assert names == ["failed_login", "failed_login", "attempts"]


@pytest.mark.parametrize(("overdue", "name"), [(False, "idle"), (True, "total")])
def test_a_wait_or_a_session_that_lasts_too_long_has_its_name(overdue, name):
    names = []
    adapter = playing.Adapter()
    adapter.core.notice = names.append
    adapter.driver.overdue = overdue
    adapter.driver.timed_out()
    assert names == [name]
