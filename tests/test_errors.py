"""Errors: every one pickles, says something, and carries what its place in the tree promises."""

import copy
import pickle

import pytest

from smtpkit import errors as module
from smtpkit.errors import (
    AuthenticationError,
    ConnectionLost,
    LocalProtocolError,
    MessageRefused,
    NotSupported,
    ParseError,
    ProtocolError,
    RecipientsRefused,
    RemoteProtocolError,
    ReplayMismatch,
    ReplyError,
    SenderRefused,
    SMTPError,
    Timeout,
    TLSError,
)
from smtpkit.protocol import Outcome, Verdict
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import Auth, Mail
from smtpkit.wire.replies import Reply

NO, LATER = Reply(550, "no such user", "5.1.1"), Reply(451, "later", "4.3.0")
MAIL = Mail(Mailbox("a", "a.example"))

EXAMPLES = [
    SMTPError("something"),
    ParseError("bad mailbox", "a@b c", offset=3, expected="local-part@domain", code=553, enhanced="5.1.3"),
    ProtocolError("odd"),
    LocalProtocolError("MAIL is out of order", state="mail", expected="RCPT", received="MAIL"),
    RemoteProtocolError("what came is no reply", state="ready", expected="a reply to MAIL", received=b"\xff" * 200),
    ReplyError(NO),
    AuthenticationError(Reply(535, "wrong", "5.7.8"), message="AUTH PLAIN: 535 5.7.8 wrong"),
    SenderRefused(NO, MAIL),
    RecipientsRefused(LATER),
    MessageRefused(LATER),
    ConnectionLost("the server closed the connection", stage="MAIL", replies=[NO]),
    Timeout("the server did not answer in time", stage="end of data"),
    TLSError("the certificate does not verify"),
    NotSupported("the server does not offer DSN", extension="DSN"),
    ReplayMismatch(3, "C: QUIT", "C: RSET"),
]


def test_every_class_has_an_example():
    assert {type(error).__name__ for error in EXAMPLES} == set(module.__all__)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_every_error_pickles_with_all_that_it_carries(error, again):
    error.recipients = {"a@a.example": Outcome(Verdict.DEFERRED, LATER)}
    back = again(error)
    assert type(back) is type(error)
    assert str(back) == str(error) != ""
    assert back.args == error.args
    assert vars(back) == vars(error)
    error.recipients = {}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_every_error_says_who_has_a_verdict_and_whether_to_try_again(error):
    assert error.recipients == {}
    assert isinstance(error.may_retry, bool)
    assert "\n" not in str(error)


def test_the_tree():
    for kind, parents in {
        ParseError: (SMTPError, ValueError),
        LocalProtocolError: (ProtocolError,),
        RemoteProtocolError: (ProtocolError,),
        ReplayMismatch: (ProtocolError,),
        ReplyError: (SMTPError,),
        AuthenticationError: (ReplyError,),
        SenderRefused: (ReplyError,),
        RecipientsRefused: (ReplyError,),
        MessageRefused: (ReplyError,),
        ConnectionLost: (SMTPError, ConnectionError),
        Timeout: (SMTPError, TimeoutError),
        TLSError: (SMTPError, OSError),
        NotSupported: (SMTPError,),
    }.items():
        assert all(issubclass(kind, parent) for parent in parents)
        assert kind.__name__ in module.__doc__


def test_a_parse_error_shows_what_came_and_what_was_expected():
    error = EXAMPLES[1]
    assert str(error) == "bad mailbox at offset 3 in 'a@b c'; expected local-part@domain"
    assert (error.what, error.octets, error.code, error.enhanced) == ("bad mailbox", "a@b c", 553, "5.1.3")
    plain = ParseError("bad")
    assert (str(plain), plain.code, plain.enhanced, plain.offset) == ("bad", 501, "5.5.4", None)
    assert ParseError("bad", b"x" * 200).octets == b"x" * 80


def test_a_protocol_error_shows_eighty_octets_escaped():
    error = EXAMPLES[4]
    assert error.received == b"\xff" * 80
    shown = repr(b"\xff" * 80)
    assert str(error) == f"what came is no reply (in state ready, expected a reply to MAIL, received {shown})"
    assert str(ProtocolError("odd")) == "odd"
    assert (error.replies, error.flushed) == ((), True)


def test_a_mismatch_names_the_line_and_what_came():
    error = EXAMPLES[-1]
    assert (error.line, error.expected, error.received) == (3, "C: QUIT", "C: RSET")
    assert str(error) == "not what line 3 of the transcript says (expected 'C: QUIT', received 'C: RSET')"


def test_a_refusal_names_the_command_and_may_be_retried_if_it_is_transient():
    assert str(SenderRefused(NO, MAIL)) == "MAIL: 550 5.1.1 no such user"
    assert str(ReplyError(NO)) == "550 5.1.1 no such user"
    assert not ReplyError(NO).may_retry
    assert ReplyError(LATER).may_retry
    assert SenderRefused(NO, MAIL).command is MAIL


def test_a_loss_names_its_stage_and_may_be_retried():
    lost = EXAMPLES[10]
    assert str(lost) == "the server closed the connection (MAIL)"
    assert (lost.stage, lost.replies, lost.flushed, lost.may_retry) == ("MAIL", (NO,), True, True)
    assert str(Timeout("no answer")) == "no answer"
    assert (TLSError("x").replies, TLSError("x").flushed) == ((), True)


def test_what_is_not_supported_is_named():
    assert EXAMPLES[13].extension == "DSN"
    assert not EXAMPLES[13].may_retry


def test_a_hint_stands_at_the_end_of_the_text():
    plain = ReplyError(NO)
    assert plain.hint == ""
    error = AuthenticationError(
        Reply(535, "wrong", "5.7.8"), Auth("PLAIN"), hint="the known cause", error={"status": "401"}
    )
    assert str(error) == "AUTH: 535 5.7.8 wrong; the known cause"
    assert (error.hint, error.mechanism, error.error) == ("the known cause", "PLAIN", {"status": "401"})
    again = pickle.loads(pickle.dumps(error))
    assert (again.hint, again.mechanism, again.error) == (error.hint, error.mechanism, error.error)
    assert AuthenticationError(NO).error == {}
