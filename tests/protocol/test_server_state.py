"""What a server knows of its session, and how it ends it."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.errors import LocalProtocolError
from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.events import BodyChunk, Connect, ConnectionClosed, Transport
from smtpkit.protocol.states import State
from smtpkit.protocol.transcript import Transcript
from smtpkit.sasl.questions import VerifyPassword
from smtpkit.wire import commands as c
from smtpkit.wire.replies import Reply

playing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))
Play, config, ready, codes, TRANSACTION = (
    playing.Play,
    playing.config,
    playing.ready,
    playing.codes,
    playing.TRANSACTION,
)


@pytest.mark.parametrize(
    ("settings", "tls", "say", "protocol"),
    [
        ({}, False, b"", "SMTP"),
        ({}, False, b"HELO c.example\r\n", "SMTP"),
        ({}, True, b"HELO c.example\r\n", "SMTP"),
        ({}, False, b"EHLO c.example\r\n", "ESMTP"),
        ({}, True, b"EHLO c.example\r\n", "ESMTPS"),
        ({}, False, b"EHLO c.example\r\n" + playing.LOGIN, "ESMTPA"),
        ({}, True, b"EHLO c.example\r\n" + playing.LOGIN, "ESMTPSA"),
        ({}, False, b"EHLO c.example\r\nMAIL FROM:<> SMTPUTF8\r\n", "UTF8SMTP"),
        ({}, True, b"EHLO c.example\r\n" + playing.LOGIN + b"MAIL FROM:<> SMTPUTF8\r\n", "UTF8SMTPSA"),
        ({"lmtp": True}, False, b"LHLO c.example\r\n", "LMTP"),
        ({"lmtp": True}, True, b"LHLO c.example\r\n" + playing.LOGIN, "LMTPSA"),
        ({"lmtp": True}, False, b"LHLO c.example\r\nMAIL FROM:<> SMTPUTF8\r\n", "UTF8LMTP"),
    ],
)
def test_the_protocols_name_for_trace_fields(settings, tls, say, protocol):
    # RFC 3848, RFC 6531 section 4.3
    play = Play(playing.with_login(**settings), tls=tls)
    play.say(say)
    assert play.core.protocol == protocol


def test_what_it_waits_for():
    play = ready(playing.with_login(tls_available=True))
    assert play.core.waiting_for == "command"
    play.say(b"AUTH PLAIN\r\n")
    assert play.core.waiting_for == "AUTH"
    play.say(b"*\r\nBDAT 4\r\n")
    assert play.core.waiting_for == "body"
    play.say(b"abcd" + TRANSACTION + b"DATA\r\n")
    assert play.core.waiting_for == "body"
    play.say(b".\r\nSTARTTLS\r\n")
    assert play.core.waiting_for == "TLS handshake"


def test_the_size_of_the_content_so_far():
    play = ready()
    assert play.core.size == 0
    play.say(TRANSACTION + b"DATA\r\n..two\r\n")
    assert play.core.size == 6


def test_how_many_replies_wait_to_be_sent():
    play = ready()
    play.core.receive_data(b"NOOP\r\nNOOP\r\n")
    play.core.next_event()
    play.core.next_event()
    assert play.core.unsent == 2
    play.core.data_to_send()
    assert play.core.unsent == 0


def test_a_transaction_is_open_while_it_can_still_be_accepted():
    play = ready(config(max_message_size=3))
    assert not play.core.in_transaction
    assert play.core.envelope is None
    play.say(TRANSACTION)
    assert play.core.in_transaction
    assert str(play.core.envelope.sender) == "a@a.example"
    play.say(b"BDAT 4\r\nabcd")
    assert play.core.state is State.BDAT_FAILED
    assert not play.core.in_transaction


def test_a_transaction_has_begun_until_it_is_settled():
    play = ready()
    assert not play.core.begun
    play.say(TRANSACTION)
    assert play.core.begun
    play.say(b"RSET\r\n")
    assert play.core.begun
    play.core.transaction_settled()
    assert not play.core.begun


def test_421_ends_the_session():
    play = ready()
    play.say(TRANSACTION)
    play.core.close(say.SHUTTING_DOWN)
    assert play.core.closed
    assert (play.core.envelope, play.core.in_transaction) == (None, False)
    assert play.core.transport is Transport.CLOSE
    assert play.core.next_event() == ConnectionClosed()
    assert codes(play.core.data_to_send()) == [421]


def test_the_end_of_the_stream_ends_it_when_nothing_is_left():
    play = ready()
    assert not play.core.closed
    assert play.core.unread == 0
    play.say(b"NOO")
    assert play.core.unread == 3
    play.end()
    assert play.core.closed
    assert play.core.unread == 0


def test_what_is_answered_is_recorded():
    transcript = Transcript()
    ready(transcript=transcript).say(b"FOO\r\n")
    assert transcript.lines[-2:] == ["C: FOO", "S: 500 5.5.1 Command not recognized"]


def test_an_error_too_many_is_what_the_notice_tells():
    play = ready()
    play.say(b"FOO\r\n" * 10)
    assert play.events[-2].reply == Reply(421, "Too many errors in a row", "4.7.0")


def test_limits_and_errors_are_noticed():
    play = ready()
    names = []
    play.core.notice = names.append
    play.say(b"FOO\r\n" + b"x" * 9000 + b"\r\nQUIT\r\n")
    assert names == ["error", "line", "error"]
    play.core.close(Reply(550, "no error of the client's"))
    assert names == ["error", "line", "error"]


@pytest.mark.parametrize(
    ("reply", "limit"),
    [
        (say.LINE_TOO_LONG, "line"),
        (say.AUTH_LINE_TOO_LONG, "line"),
        (say.TOO_MANY_COMMANDS, "commands"),
        (say.TOO_MANY_ERRORS, "errors"),
        (say.TOO_MANY_IN_A_ROW, "errors_in_a_row"),
        (say.TOO_MANY_RECIPIENTS, "recipients"),
        (say.TOO_MANY_TRANSACTIONS, "transactions"),
        (say.TOO_LARGE, "max_message_size"),
        (say.TOO_MANY_LOGINS, "attempts"),
        (say.IDLE_TOO_LONG, "idle"),
        (say.SESSION_TOO_LONG, "total"),
        (say.TOO_SLOW, "minimum_rate"),
    ],
)
def test_each_limit_has_its_name(reply, limit):
    play = ready()
    names = []
    play.core.notice = names.append
    play.core.close(reply)
    assert names[0] == limit


def test_a_refusal_that_is_no_error_of_the_client_is_noticed_by_nobody():
    play = ready(decisions={c.Mail: Reply(450, "not now")})
    names = []
    play.core.notice = names.append
    play.say(b"MAIL FROM:<>\r\n")
    assert names == []


class TestRepliesOfTheApplication:
    """What is done to them: RFC 2034 section 4 for the status code, RFC 5321 section 4.1.1.1 for the hello."""

    @pytest.mark.parametrize(
        ("line", "reply", "said"),
        [
            (b"MAIL FROM:<>", Reply(250, "fine"), b"250 2.1.0 fine"),
            (b"MAIL FROM:<>", Reply(250, "fine", "2.6.0"), b"250 2.6.0 fine"),
            (b"MAIL FROM:<>", Reply(250, "2.6.0 fine"), b"250 2.6.0 fine"),
            (b"MAIL FROM:<>", Reply(550, "no"), b"550 5.0.0 no"),
            (b"MAIL FROM:<>", Reply(451, "later"), b"451 4.3.0 later"),
            (b"MAIL FROM:<>", Reply(452, "full"), b"452 4.3.1 full"),
            (b"VRFY joe", Reply(251, "<joe@b.example>"), b"251 2.5.0 <joe@b.example>"),
            (b"VRFY joe", Reply(502, "no"), b"502 5.5.1 no"),
            (b"STARTTLS", Reply(454, "not now"), b"454 4.7.0 not now"),
            (b"MAIL FROM:<>", Reply(571, "no"), b"571 5.0.0 no"),
            (b"MAIL FROM:<>", Reply(550, "né"), b"550 5.0.0 n?"),
        ],
    )
    def test_they_get_a_status_code_where_they_have_none(self, line, reply, said):
        play = ready(config(tls_available=True), dict.fromkeys(playing.COMMANDS[3:], reply))
        assert play.say(line + b"\r\n") == said + b"\r\n"

    def test_too_many_recipients_are_said_as_a_client_reads_it(self):
        play = ready(decisions={c.Rcpt: Reply(452, "enough")})
        assert play.say(TRANSACTION).endswith(b"452 4.5.3 enough\r\n")

    def test_on_every_line(self):
        play = ready(decisions={c.Rcpt: Reply(550, ["no", "really"])})
        assert play.say(TRANSACTION).endswith(b"550-5.0.0 no\r\n550 5.0.0 really\r\n")

    def test_an_intermediate_one_has_none(self):
        play = ready(decisions={c.Data: Reply(354, "go on")})
        assert play.say(TRANSACTION + b"DATA\r\n").endswith(b"354 go on\r\n")

    @pytest.mark.parametrize("lmtp", [False, True])
    def test_the_end_of_content(self, lmtp):
        play = ready(config(lmtp=lmtp), {BodyChunk: None})
        play.say(TRANSACTION + b"DATA\r\n.\r\n")
        if lmtp:
            play.core.answer([Reply(250, "queued")])
        else:
            play.core.accept(Reply(250, "queued"))
        assert play.run() == b"250 2.0.0 queued\r\n"

    def test_none_where_they_are_not_offered(self):
        play = ready(config(extensions=[]), {c.Mail: Reply(550, "no")})
        assert play.say(b"MAIL FROM:<>\r\n") == b"550 no\r\n"

    @pytest.mark.parametrize("reply", [Reply(220, "mx.example at your service"), Reply(554, "go away")])
    def test_none_in_the_greeting(self, reply):
        assert Play(config(), {Connect: reply}).greeting == bytes(reply)

    def test_and_none_in_a_farewell_in_its_place(self):
        play = Play(config(), {Connect: None})
        play.core.close(Reply(421, "not now"))
        assert play.run() == b"421 not now\r\n"

    def test_a_farewell_later_has_one(self):
        play = ready()
        play.core.close(Reply(421, "not now"))
        assert play.run() == b"421 4.0.0 not now\r\n"

    @pytest.mark.parametrize("line", [b"EHLO c.example", b"HELO c.example"])
    @pytest.mark.parametrize("reply", [Reply(550, "no"), Reply(550, "no", "5.7.1")])
    def test_never_in_answer_to_a_hello(self, line, reply):
        play = Play(config(), dict.fromkeys((c.Ehlo, c.Helo), reply))
        assert play.say(line + b"\r\n") == b"550 no\r\n"

    def test_nor_when_the_hello_is_wrong(self):
        assert b" 5." not in Play(config()).say(b"EHLO\r\nHELO \r\nLHLO c.example\r\n")
        assert b" 5." not in Play(config(lmtp=True)).say(b"EHLO c.example\r\nHELO c.example\r\n")

    @pytest.mark.parametrize("text", ["welcome, c.example", "mx.example welcome, c.example"])
    def test_a_positive_one_to_ehlo_changes_what_is_said_behind_the_name(self, text):
        standard = ready().say(b"EHLO c.example\r\n").split(b"\r\n")
        play = Play(config(), {c.Ehlo: Reply(250, text)})
        first, *keywords = play.say(b"EHLO c.example\r\n").split(b"\r\n")
        assert first == b"250-mx.example welcome, c.example"
        assert keywords == standard[1:]
        assert play.core.state is State.READY

    def test_and_to_helo(self):
        assert Play(config(), {c.Helo: Reply(250, "mx.example")}).say(b"HELO c\r\n") == b"250 mx.example\r\n"

    @pytest.mark.parametrize("reply", [Reply(251, "hi"), Reply(250, ["mx.example", "XNEW"]), Reply(354, "go on")])
    def test_no_other_is_taken(self, reply):
        play = Play(config(), {c.Ehlo: None})
        play.say(b"EHLO c.example\r\n")
        with pytest.raises(LocalProtocolError):
            play.core.accept(reply)
        play.core.accept()
        assert play.core.state is State.READY

    @pytest.mark.parametrize("reply", [Reply(354), Reply(400), Reply(550)])
    def test_nor_one_that_does_not_accept(self, reply):
        play = ready(decisions={c.Mail: None})
        play.say(b"MAIL FROM:<>\r\n")
        with pytest.raises(LocalProtocolError, match="does not accept"):
            play.core.accept(reply)


def test_the_end_is_written_to_a_transcript_that_is_shown():
    shown = []
    play = Play(transcript=Transcript(shown.append))
    play.say(b"EHLO c.example\r\nQUIT\r\n")
    assert any("221" in line for line in shown)


def test_what_is_granted_is_no_event_until_many_replies_wait():
    play = ready()
    play.core.granted = frozenset({c.Rcpt})
    play.say(TRANSACTION)
    play.core.receive_data(b"RCPT TO:<d@c.example>\r\n" * 100)
    answered = play.core.next_event()
    assert (answered.command, answered.reply) == (c.parse_command(b"RCPT TO:<d@c.example>"), say.RCPT_OK)
    assert play.core.unsent == 100
    assert play.core.unanswered is None


def test_a_decision_of_another_kind_is_told_which_would_do():
    play = ready(decisions={c.Mail: None})
    play.say(b"MAIL FROM:<>\r\n")
    with pytest.raises(LocalProtocolError) as info:
        play.core.supply("secret")
    assert info.value.expected == "accept() or reject()"
    play = Play(config(auth=playing.AuthPolicy({"u": "p"}, allow_in_clear=True)), {VerifyPassword: None})
    play.say(b"EHLO c.example\r\n" + playing.LOGIN)
    with pytest.raises(LocalProtocolError) as info:
        play.core.answer([])
    assert info.value.expected == "supply() or reject()"
