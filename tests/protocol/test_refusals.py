"""Which refusal a command gets, and how many a client may collect."""

import pytest

from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.config import ServerConfig
from smtpkit.protocol.extensions import Extension
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.refusals import Budget, mail_fault, out_of_place, rcpt_fault
from smtpkit.protocol.states import State
from smtpkit.wire.commands import parse_command
from smtpkit.wire.replies import Reply


def refusal(line, state, *, tls=False, authenticated=False, extended=True, refused=False, **settings):
    config = ServerConfig("mx.example", **settings)
    offer = config.offer(tls=tls, authenticated=authenticated, extended=extended)
    standing = {"tls": tls, "authenticated": authenticated, "refused": refused}
    return out_of_place(parse_command(line), state, offer, config, **standing)


OPTIONAL = AuthPolicy({}, required=False)


@pytest.mark.parametrize(
    ("line", "state", "standing", "reply"),
    [
        (b"FOO", State.READY, {}, say.UNKNOWN_COMMAND),
        (b"SEND FROM:<a@b>", State.READY, {}, say.NOT_IMPLEMENTED),
        (b"GET / HTTP/1.1", State.CONNECTED, {}, say.NOT_MAIL),
        (b"GET / HTTP/1.1", State.READY, {}, say.UNKNOWN_COMMAND),
        (b"FOO", State.REFUSED, {}, say.BAD_SEQUENCE),
        (b"LHLO x", State.READY, {}, say.UNKNOWN_COMMAND),
        (b"EHLO x", State.READY, {"lmtp": True}, say.UNKNOWN_COMMAND),
        (b"HELO x", State.READY, {"lmtp": True}, say.UNKNOWN_COMMAND),
        *[
            (line, State.CONNECTED, {}, say.HELLO_FIRST)
            for line in (b"MAIL FROM:<>", b"RCPT TO:<a@b>", b"DATA", b"BDAT 1")
        ],
        *[
            (b"MAIL FROM:<>", state, {}, say.NESTED_MAIL)
            for state in (State.MAIL, State.RCPT, State.BDAT, State.BDAT_FAILED)
        ],
        (b"DATA", State.READY, {}, say.NEED_MAIL),
        (b"BDAT 1", State.MAIL, {}, say.NEED_RCPT),
        (b"RCPT TO:<a@b>", State.READY, {}, say.NEED_MAIL),
        (b"DATA", State.MAIL, {}, say.NEED_RCPT),
        (b"DATA", State.MAIL, {"refused": True}, say.NO_VALID_RECIPIENTS),
        (b"DATA", State.MAIL, {"refused": True, "lmtp": True}, say.NEED_RCPT),
        (b"DATA", State.READY, {"refused": True}, say.NEED_MAIL),
        (b"DATA", State.BDAT, {}, say.BAD_SEQUENCE),
        # STARTTLS
        (b"STARTTLS", State.READY, {}, say.NOT_IMPLEMENTED),
        (b"STARTTLS", State.READY, {"tls": True, "tls_available": True}, say.TLS_ACTIVE),
        (b"STARTTLS", State.CONNECTED, {"tls_available": True}, say.HELLO_FIRST),
        (b"STARTTLS", State.CONNECTED, {"tls_available": True, "require_tls": True}, say.HELLO_FIRST),
        (b"STARTTLS", State.MAIL, {"tls_available": True}, say.BAD_SEQUENCE),
        (b"MAIL FROM:<>", State.READY, {"tls_available": True, "require_tls": True}, say.NEED_TLS),
        (b"HELP", State.READY, {"tls_available": True, "require_tls": True}, say.NEED_TLS),
        (b"BDAT 1", State.READY, {"tls_available": True, "require_tls": True}, say.NEED_TLS),
        # AUTH
        (b"AUTH PLAIN", State.READY, {}, say.NOT_IMPLEMENTED),
        (b"AUTH PLAIN", State.CONNECTED, {"auth": OPTIONAL}, say.HELLO_FIRST),
        (b"AUTH PLAIN", State.READY, {"auth": OPTIONAL, "tls_available": True}, say.NEED_TLS),
        (b"AUTH PLAIN", State.READY, {"auth": OPTIONAL}, say.NOT_IMPLEMENTED),
        (b"AUTH PLAIN", State.READY, {"auth": OPTIONAL, "tls": True, "authenticated": True}, say.AUTHENTICATED_ALREADY),
        (b"AUTH PLAIN", State.MAIL, {"auth": OPTIONAL, "tls": True}, say.BAD_SEQUENCE),
        (b"AUTH PLAIN", State.READY, {"auth": OPTIONAL, "tls": True, "extended": False}, say.BAD_SEQUENCE),
        (b"MAIL FROM:<>", State.READY, {"auth": AuthPolicy({}), "tls": True}, say.NEED_AUTH),
        (b"VRFY x", State.CONNECTED, {"auth": AuthPolicy({}), "tls": True}, say.NEED_AUTH),
        # Other extensions
        (b"BDAT 1", State.READY, {"extensions": []}, say.NOT_IMPLEMENTED),
        (b"BDAT 1", State.READY, {}, say.NEED_MAIL),
        (b"ETRN x", State.CONNECTED, {"extensions": ["ETRN"]}, say.HELLO_FIRST),
        (b"ETRN x", State.CONNECTED, {}, say.NOT_IMPLEMENTED),
        (b"XCLIENT A=b", State.MAIL, {"extensions": ["XCLIENT"]}, say.BAD_SEQUENCE),
        (b"XCLIENT A=b", State.MAIL, {"extensions": ["XCLIENT"], "auth": AuthPolicy({})}, say.BAD_SEQUENCE),
        (b"XSTATS", State.CONNECTED, {"extensions": [Extension("XS", verbs=["XSTATS"])]}, say.BAD_SEQUENCE),
    ],
)
def test_the_refusal_says_what_is_missing(line, state, standing, reply):
    assert refusal(line, state, **standing) is reply


@pytest.mark.parametrize(
    "verb", ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE", "PRI"]
)
def test_requests_of_browsers_end_the_session(verb):
    assert refusal(f"{verb} / HTTP/1.1".encode(), State.CONNECTED).code == 421


def judged(parse, fault, line, *, extended=True, **settings):
    config = ServerConfig("mx.example", **settings)
    return fault(parse(line).parameters, config.offer(tls=False, authenticated=False, extended=extended), config)


@pytest.mark.parametrize(
    ("line", "settings", "reply"),
    [
        (b"MAIL FROM:<> SIZE=100", {"max_message_size": 100}, None),
        (b"MAIL FROM:<> SIZE=101", {"max_message_size": 100}, say.TOO_LARGE),
        (b"MAIL FROM:<> SIZE=99999999999999999999", {"max_message_size": None}, None),
        (b"MAIL FROM:<>", {"max_message_size": 100}, None),
        (b"MAIL FROM:<> SIZE=1", {"extensions": []}, say.UNKNOWN_PARAMETER),
        (b"MAIL FROM:<> BODY=8BITMIME", {}, None),
        (b"MAIL FROM:<> BODY=BINARYMIME", {}, say.UNKNOWN_PARAMETER),
        (b"MAIL FROM:<> BODY=BINARYMIME", {"extensions": ["CHUNKING", "BINARYMIME"]}, None),
        (b"MAIL FROM:<> RET=FULL", {}, say.UNKNOWN_PARAMETER),
        (b"MAIL FROM:<> XFOO=1", {}, say.UNKNOWN_PARAMETER),
        (b"MAIL FROM:<> XFOO=1", {"unknown_parameters": "keep"}, None),
        (b"MAIL FROM:<> XFOO", {"extensions": [Extension("XE", mail_parameters=["xfoo"])]}, None),
        (b"MAIL FROM:<> RET=FULL", {"unknown_parameters": "keep"}, say.UNKNOWN_PARAMETER),
        (b"MAIL FROM:<> SIZE=1", {"extended": False}, say.UNKNOWN_PARAMETER),
    ],
)
def test_parameters_of_mail(line, settings, reply):
    assert judged(parse_command, mail_fault, line, **settings) is reply


@pytest.mark.parametrize(
    ("line", "settings", "reply"),
    [
        (b"RCPT TO:<a@b> NOTIFY=NEVER", {}, say.UNKNOWN_PARAMETER),
        (b"RCPT TO:<a@b> NOTIFY=NEVER", {"extensions": ["DSN"]}, None),
        (b"RCPT TO:<a@b> XFOO=1", {"unknown_parameters": "keep"}, None),
    ],
)
def test_parameters_of_rcpt(line, settings, reply):
    assert judged(parse_command, rcpt_fault, line, **settings) is reply


class TestBudget:
    @pytest.mark.parametrize("code", [500, 501, 502, 503, 504, 555])
    def test_ten_errors_in_a_row_are_enough(self, code):
        budget = Budget(Limits())
        assert [budget.judge(Reply(code)).code for _ in range(10)] == [code] * 9 + [421]

    @pytest.mark.parametrize("code", [452, 530, 535, 550, 552, 554, 421])
    def test_other_refusals_are_no_errors(self, code):
        budget = Budget(Limits())
        assert {budget.judge(Reply(code)).code for _ in range(200)} == {code}

    def test_a_good_answer_begins_the_row_anew(self):
        budget = Budget(Limits(errors=10_000))
        for _ in range(100):
            assert budget.judge(Reply(500)).code == 500
            assert budget.judge(Reply(250)).code == 250

    def test_a_refusal_that_is_no_error_does_not(self):
        budget = Budget(Limits(errors_in_a_row=2))
        assert [budget.judge(Reply(code)).code for code in (500, 550, 500)] == [500, 550, 421]

    def test_a_hundred_errors_in_all_are_enough(self):
        budget = Budget(Limits())
        said = []
        for _ in range(100):
            said.append(budget.judge(Reply(500)).code)
            budget.judge(Reply(250))
        assert said == [500] * 99 + [421]

    def test_what_follows_a_refusal_counts_once(self):
        budget = Budget(Limits())
        budget.step_refused()
        assert budget.refused
        for _ in range(200):
            assert budget.judge(Reply(503)).code == 503
        assert (budget.errors, budget.errors_in_a_row) == (1, 1)

    def test_until_the_next_transaction(self):
        budget = Budget(Limits())
        budget.step_refused()
        budget.judge(Reply(503))
        budget.step_refused()
        budget.judge(Reply(503))
        assert budget.errors == 1
        budget.refused = 0
        budget.judge(Reply(503))
        budget.judge(Reply(503))
        assert budget.errors == 3


@pytest.mark.parametrize(
    ("line", "code"),
    [(b"MAIL FROM:<> BY=60;R SIZE=1", None), (b"MAIL FROM:<> SIZE=1 BY=59;R", 550), (b"MAIL FROM:<> SIZE=1", None)],
)
def test_what_the_offer_bounds_is_refused(line, code):
    reply = judged(parse_command, mail_fault, line, extensions=["DELIVERBY 60", "SIZE"])
    assert (reply and reply.code) == code


def test_parameters_of_a_recipient_are_checked_too():
    own = Extension("XA", rcpt_parameters=["X-A"], check=lambda parameters, words: Reply(553, "no"))
    assert judged(parse_command, rcpt_fault, b"RCPT TO:<a@b.example> X-A=1", extensions=[own]).code == 553
    assert judged(parse_command, rcpt_fault, b"RCPT TO:<a@b.example>", extensions=[own]) is None
