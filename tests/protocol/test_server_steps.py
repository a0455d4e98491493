"""What each command does once it stands in order, and what each decision on it does."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.events import Answered, BodyChunk, BodyRefused, Connect, Transport
from smtpkit.protocol.extensions import Extension
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.states import State
from smtpkit.protocol.transcript import Transcript
from smtpkit.wire import commands as c
from smtpkit.wire.replies import Reply

playing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))
Play, config, ready, codes = playing.Play, playing.config, playing.ready, playing.codes
TRANSACTION, FACTS, with_login = playing.TRANSACTION, playing.FACTS, playing.with_login


class TestGreeting:
    def test_it_is_the_first_thing_said(self):
        play = Play()
        assert play.greeting == b"220 mx.example ESMTP\r\n"
        assert play.kinds == ["Connect"]
        assert Play(config(lmtp=True)).greeting == b"220 mx.example LMTP\r\n"

    def test_a_session_may_be_handed_in_whole(self):
        assert codes(Play(say=b"EHLO c.example\r\nQUIT\r\n").greeting) == [220, 250, 221]

    @pytest.mark.parametrize("octets", [b"EHLO c.example\r\nQUIT\r\n", b"E", b"\x16"])
    def test_who_does_not_wait_for_it_gets_none(self, octets):
        play = Play(decisions={Connect: None})
        assert play.say(octets) == b""
        play.core.accept()
        assert play.core.closed
        assert play.run() == b"554 5.5.0 Octets came before the greeting\r\n"

    def test_nor_when_it_is_refused_anyway(self):
        play = Play(decisions={Connect: Reply(554, "not you")}, say=b"EHLO c.example\r\nQUIT\r\n")
        assert codes(play.greeting) == [554, 503, 221]

    def test_554_leaves_quit_alone(self):
        play = Play(decisions={Connect: Reply(554, "not you", "5.7.1")})
        assert play.greeting == b"554 5.7.1 not you\r\n"
        lines = (b"EHLO c.example\r\n", b"MAIL\r\n", b"NOOP\r\n", b"what?\r\n", b"BDAT 4\r\nQUIT")
        assert [codes(play.say(line)) for line in lines] == [[503]] * 5
        assert codes(play.say(b"QUIT\r\n")) == [221]
        assert play.core.closed

    def test_its_standard_refusal_is_554(self):
        play = Play(decisions={Connect: None})
        play.core.reject()
        assert codes(play.core.data_to_send()) == [554]

    def test_521_waits_for_quit_too(self):
        play = Play(decisions={Connect: Reply(521, "never")})
        assert codes(play.greeting + play.say(b"EHLO c.example\r\nQUIT\r\n")) == [521, 503, 221]

    def test_421_closes(self):
        play = Play(decisions={Connect: Reply(421, "later")})
        assert codes(play.greeting) == [421]
        assert play.kinds == ["Connect", "ConnectionClosed"]
        assert play.core.transport is Transport.CLOSE


class TestHello:
    def test_ehlo_offers_and_helo_does_not(self):
        play = Play()
        assert play.say(b"EHLO c.example\r\n").startswith(b"250-mx.example greets you\r\n250-PIPELINING\r\n")
        assert play.core.hello_name == "c.example"
        assert play.say(b"HELO d.example\r\n") == b"250 mx.example\r\n"
        assert play.core.hello_name == "d.example"

    def test_a_refused_hello_changes_nothing(self):
        play = ready()
        play.say(TRANSACTION)
        play.decisions = {c.Ehlo: Reply(550, "no")}
        assert codes(play.say(b"EHLO d.example\r\n")) == [550]
        assert (play.core.state, play.core.hello_name) == (State.RCPT, "c.example")
        assert len(play.core.recipients) == 1

    def test_its_standard_refusal_is_temporary(self):
        play = Play(decisions={c.Ehlo: None})
        play.say(b"EHLO c.example\r\n")
        play.core.reject()
        assert codes(play.core.data_to_send()) == [451]

    def test_hello_in_a_transaction_ends_it(self):
        play = ready()
        assert codes(play.say(TRANSACTION + b"EHLO c.example\r\nDATA\r\n")) == [250, 250, 250, 503]
        assert play.core.envelope is None

    @pytest.mark.parametrize("line", [b"EHLO\r\n", b"EHLO a\0b\r\n", b"HELO\r\n"])
    def test_a_hello_without_a_name_is_501(self, line):
        assert codes(Play().say(line)) == [501]

    def test_strict_refuses_names_that_are_none(self):
        assert codes(Play(config(strict=True)).say(b"EHLO my_laptop\r\n")) == [501]
        assert codes(Play().say(b"EHLO my_laptop\r\n")) == [250]


class TestTransaction:
    def test_a_pipelined_one_leaves_in_one_write_each_way(self):
        play = ready()
        assert codes(play.say(TRANSACTION + b"RCPT TO:<c@c.example>\r\nDATA\r\n")) == [250, 250, 250, 354]
        assert codes(play.say(b"hi\r\n.\r\n" + TRANSACTION + b"QUIT\r\n")) == [250, 250, 250, 221]
        assert play.messages == [b"hi\r\n"]

    def test_the_envelope_is_kept(self):
        play = ready(config(extensions=["SIZE", "DSN"]))
        play.say(b"MAIL FROM:<> SIZE=3\r\nRCPT TO:<b@b.example> NOTIFY=NEVER\r\nRCPT TO:<c@c.example>\r\n")
        envelope = play.core.envelope
        assert envelope.sender is None
        assert [str(each) for each in envelope.recipients] == ["b@b.example", "c@c.example"]
        assert envelope.mail_parameters == {"SIZE": 3}
        assert list(envelope.rcpt_parameters[0]) == ["NOTIFY"]
        assert envelope.rcpt_parameters[1] == {}

    def test_the_next_one_begins_with_nothing_of_it(self):
        play = ready()
        play.say(TRANSACTION + b"DATA\r\n")
        assert play.core.state is State.DATA
        play.say(b".\r\n")
        assert (play.core.envelope, play.core.recipients) == (None, [])

    def test_a_refused_recipient_is_not_in_it(self):
        refuse = iter([True, Reply(550, "no"), True])

        def decide(core, event):
            decision = next(refuse)
            core.accept() if decision is True else core.reject(decision)

        play = ready(decisions={c.Rcpt: decide})
        play.say(b"MAIL FROM:<a@a.example>\r\n")
        lines = [b"RCPT TO:<%d@b.example>\r\n" % number for number in range(3)]
        assert [codes(play.say(line)) for line in lines] == [[250], [550], [250]]
        assert [each.local_part for each in play.core.recipients] == ["0", "2"]

    @pytest.mark.parametrize(("reply", "code"), [(None, 451), (Reply(550, "no"), 550)])
    @pytest.mark.parametrize("kind", [c.Mail, c.Rcpt, c.Data, BodyChunk])
    def test_each_step_may_be_refused(self, kind, reply, code):
        play = ready(decisions={kind: lambda core, event: core.reject(reply)})
        said = play.say(TRANSACTION + b"DATA\r\n")
        if kind is BodyChunk:
            said += play.say(b"hi\r\n.\r\n")
        assert code in codes(said)
        assert 354 not in codes(said) or kind is BodyChunk

    def test_what_follows_a_refused_mail_fails(self):
        play = ready(decisions={c.Mail: Reply(550, "no")})
        assert codes(play.say(TRANSACTION + b"DATA\r\n")) == [550, 503, 503]

    def test_data_without_a_valid_recipient_is_554(self):
        play = ready(decisions={c.Rcpt: Reply(550, "no")})
        assert codes(play.say(TRANSACTION + b"DATA\r\n")) == [250, 550, 554]
        assert codes(play.say(b"BDAT 4 LAST\r\nQUITRSET\r\n")) == [554, 250]

    def test_and_503_where_there_was_no_rcpt_at_all(self):
        assert codes(ready().say(b"MAIL FROM:<>\r\nDATA\r\n")) == [250, 503]

    def test_a_message_that_was_refused_ends_the_transaction(self):
        play = ready(decisions={BodyChunk: lambda core, event: core.reject(Reply(554, "spam"))})
        assert codes(play.say(TRANSACTION + b"DATA\r\nhi\r\n.\r\nDATA\r\n" + TRANSACTION)) == [
            *(250, 250, 354, 554, 503),
            *(250, 250),
        ]

    def test_replies_of_the_application_stand_in_for_the_standard_ones(self):
        play = ready(decisions={c.Rcpt: Reply(251, "will forward", "2.1.5")})
        assert play.say(TRANSACTION).endswith(b"251 2.1.5 will forward\r\n")

    def test_size_is_refused_where_it_is_declared(self):
        play = ready(config(max_message_size=100))
        assert play.say(b"MAIL FROM:<> SIZE=101\r\n") == b"552 5.3.4 Message exceeds the maximum size\r\n"
        assert codes(play.say(b"MAIL FROM:<> SIZE=100\r\n")) == [250]

    def test_size_is_refused_where_it_comes(self):
        play = ready(config(max_message_size=10))
        assert codes(play.say(TRANSACTION + b"DATA\r\n123456789\r\n.\r\nNOOP\r\n")) == [250, 250, 354, 552, 250]
        assert play.kinds[-2:] == ["BodyRefused", "Answered"]
        assert play.messages == []
        assert play.core.state is State.READY

    def test_no_size_is_too_large_without_a_bound(self):
        play = ready(config(max_message_size=None))
        assert codes(play.say(b"MAIL FROM:<> SIZE=99999999999999999999\r\n")) == [250]

    @pytest.mark.parametrize("line", [b"MAIL FROM:<> BODY=BINARYMIME\r\n", b"MAIL FROM:<> XFOO=1\r\n"])
    def test_a_parameter_that_is_not_offered_is_555(self, line):
        assert codes(ready().say(line)) == [555]

    def test_unless_unknown_ones_are_kept(self):
        play = ready(config(unknown_parameters="keep"))
        assert codes(play.say(b"MAIL FROM:<> XFOO=1\r\nRCPT TO:<b@b.example> XBAR\r\n")) == [250, 250]
        assert play.core.envelope.mail_parameters == {"XFOO": "1"}
        assert play.core.envelope.rcpt_parameters == ({"XBAR": None},)

    def test_parameters_of_rcpt_are_555_too(self):
        assert codes(ready().say(b"MAIL FROM:<>\r\nRCPT TO:<b@b.example> NOTIFY=NEVER\r\n")) == [250, 555]

    def test_parameters_in_a_helo_session_are_555(self):
        play = ready(hello=b"HELO c.example\r\n")
        assert codes(play.say(b"MAIL FROM:<> SIZE=1\r\nMAIL FROM:<>\r\n")) == [555, 250]

    def test_utf_8_needs_the_parameter(self):
        line = "RCPT TO:<é@b.example>\r\n".encode()
        assert codes(ready().say(b"MAIL FROM:<>\r\n" + line)) == [250, 553]
        play = ready()
        assert codes(play.say(b"MAIL FROM:<> SMTPUTF8\r\n" + line)) == [250, 250]
        assert play.core.protocol == "UTF8SMTP"


class TestBdat:
    def test_chunks_but_the_last_are_answered_by_the_core(self):
        play = ready()
        play.say(TRANSACTION)
        assert codes(play.say(b"BDAT 3\r\nabc")) == [250]
        assert codes(play.say(b"BDAT 0\r\n")) == [250]
        assert codes(play.say(b"BDAT 5 LAST\r\n.\r\nde")) == [250]
        assert play.messages == [b"abc.\r\nde"]

    def test_its_notice_names_the_chunk(self):
        play = ready()
        play.say(TRANSACTION + b"BDAT 3\r\nabcBDAT 0\r\nBDAT 0 LAST\r\n")
        assert play.events[-4:] == [
            *(BodyChunk(b"abc"), Answered(c.Bdat(3), say.CHUNK_OK), Answered(c.Bdat(0), say.CHUNK_OK)),
            BodyChunk(b"", True),
        ]

    def test_a_chunk_in_pieces_is_answered_once(self):
        play = ready()
        play.say(TRANSACTION)
        assert [codes(play.say(piece)) for piece in (b"BDAT 4 LAST\r\n", b"ab", b"c", b"d")] == [[], [], [], [250]]

    def test_pipelined_chunks_and_the_next_transaction(self):
        play = ready()
        group = TRANSACTION + b"BDAT 2\r\nabBDAT 2 LAST\r\ncd"
        assert codes(play.say(group * 2)) == [250] * 8
        assert play.messages == [b"abcd"] * 2

    def test_data_after_a_chunk_is_503_and_then_rset_helps(self):
        play = ready()
        assert codes(play.say(TRANSACTION + b"BDAT 2\r\nabDATA\r\nRSET\r\n" + TRANSACTION + b"DATA\r\n")) == [
            *(250, 250, 250, 503, 250),
            *(250, 250, 354),
        ]

    def test_rset_between_chunks_drops_them(self):
        play = ready()
        play.say(TRANSACTION + b"BDAT 2\r\nabRSET\r\n" + TRANSACTION + b"BDAT 2 LAST\r\ncd")
        assert play.messages == [b"cd"]

    def test_a_chunk_without_a_transaction_is_read_and_refused(self):
        play = ready()
        assert codes(play.say(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")) == [503, 250]
        assert play.say(b"BDAT 6\r\nQU") == b""
        assert codes(play.say(b"IT\r\nNOOP\r\n")) == [503, 250]

    def test_a_chunk_after_the_last_is_read_and_refused(self):
        play = ready()
        assert codes(play.say(TRANSACTION + b"BDAT 1 LAST\r\naBDAT 6\r\nQUIT\r\nNOOP\r\n")) == [250, 250, 250, 503, 250]

    @pytest.mark.parametrize("size", [b"x", b"", b"-1", b"1 2", b"0x10", b"+1", b"1_0", b"9" * 21])
    def test_a_size_that_is_none_ends_the_session(self, size):
        play = ready()
        assert codes(play.say(TRANSACTION + b"BDAT " + size + b"\r\nQUIT\r\n")) == [250, 250, 501]
        assert play.core.closed

    def test_a_line_with_a_size_that_is_too_long_does_too(self):
        play = ready()
        assert codes(play.say(TRANSACTION + b"BDAT 6" + b" " * 510 + b"\r\nQUIT\r\n")) == [250, 250, 500]
        assert play.core.closed

    def test_chunks_that_are_not_offered_end_the_session(self):
        play = ready(config(extensions=[]))
        assert codes(play.say(TRANSACTION + b"BDAT 6\r\nQUIT\r\n")) == [250, 250, 502]
        assert play.core.closed

    def test_size_is_refused_when_it_is_announced_and_the_chunk_is_read(self):
        play = ready(config(max_message_size=5))
        assert codes(play.say(TRANSACTION + b"BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\n")) == [
            *(250, 250, 552, 503),
            250,
        ]
        assert [event for event in play.events if isinstance(event, BodyRefused)] == [BodyRefused(say.TOO_LARGE)]

    def test_a_last_chunk_that_is_refused_ends_the_transaction(self):
        play = ready(config(max_message_size=5))
        assert codes(play.say(TRANSACTION + b"BDAT 6 LAST\r\nQUIT\r\n" + TRANSACTION)) == [250, 250, 552, 250, 250]

    def test_the_application_may_refuse_a_chunk(self):
        def refuse(core, event):
            raise AssertionError("a chunk that is not the last waits for nothing")

        play = ready(decisions={BodyChunk: refuse})
        play.say(TRANSACTION)
        play.core.receive_data(b"BDAT 2\r\nabBDAT 6\r\nQUIT\r\nRSET\r\n")
        assert play.core.next_event() == BodyChunk(b"ab")
        play.core.reject(Reply(452, "no room"))
        assert play.core.next_event() == BodyRefused(Reply(452, "no room", "4.3.1"))
        assert play.core.state is State.BDAT_FAILED
        assert codes(play.run()) == [452, 503, 250]

    def test_with_421_as_well(self):
        play = ready()
        play.say(TRANSACTION)
        play.core.receive_data(b"BDAT 2\r\nabNOOP\r\n")
        play.core.next_event()
        play.core.reject(say.SHUTTING_DOWN)
        assert codes(play.run()) == [421]
        assert play.kinds[-2:] == ["BodyRefused", "ConnectionClosed"]

    def test_binary_content_needs_chunks(self):
        play = ready(config(extensions=["CHUNKING", "BINARYMIME"]))
        group = b"MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<b@b.example>\r\n"
        assert codes(play.say(group + b"DATA\r\nBDAT 4 LAST\r\n\0\n\r.")) == [250, 250, 503, 250]
        assert play.messages == [b"\0\n\r."]

    def test_large_chunks_are_not_counted_as_commands_and_small_ones_are(self):
        play = ready(config(limits=Limits(commands=10)))
        play.say(TRANSACTION)
        assert codes(play.say((b"BDAT 1024\r\n" + b"x" * 1024) * 100)) == [250] * 100
        assert codes(play.say(b"BDAT 0\r\n" * 10))[-1] == 421


class TestLmtp:
    """RFC 2033 sections 4.2 and 4.3."""

    TWICE = b"MAIL FROM:<>\r\n" + b"RCPT TO:<b@b.example>\r\n" * 2

    def lmtp(self, decisions=None, **settings):
        return ready(config(lmtp=True, **settings), decisions)

    @pytest.mark.parametrize("body", [b"DATA\r\nhi\r\n.\r\n", b"BDAT 4 LAST\r\nhi\r\n"])
    def test_each_recipient_has_a_reply_also_a_repeated_one(self, body):
        play = self.lmtp()
        expected = [354, 250, 250] if body.startswith(b"DATA") else [250, 250]
        assert codes(play.say(self.TWICE + body + b"NOOP\r\n")) == [250, 250, 250, *expected, 250]

    def test_one_decision_may_hold_for_all(self):
        play = self.lmtp({BodyChunk: Reply(452, "full")})
        assert codes(play.say(self.TWICE + b"DATA\r\n.\r\n"))[-3:] == [354, 452, 452]

    def test_or_each_has_its_own(self):
        play = self.lmtp({BodyChunk: lambda core, event: core.answer([Reply(250, "yes"), Reply(452, "full")])})
        assert codes(play.say(self.TWICE + b"DATA\r\n.\r\n"))[-3:] == [354, 250, 452]
        assert play.core.state is State.READY

    def test_a_refusal_of_the_core_is_said_to_each(self):
        play = self.lmtp(max_message_size=3)
        assert codes(play.say(self.TWICE + b"DATA\r\nhello\r\n.\r\n"))[-3:] == [354, 552, 552]

    def test_of_a_last_chunk_that_is_refused_there_is_one_event(self):
        play = self.lmtp(max_message_size=3)
        play.say(self.TWICE + b"BDAT 4\r\nabcd")
        assert codes(play.say(b"BDAT 1 LAST\r\na")) == [503, 503]
        assert [event.command for event in play.events if isinstance(event, Answered)] == [c.Bdat(1, True)]

    def test_a_chunk_but_the_last_has_one_reply(self):
        play = self.lmtp(max_message_size=3)
        play.say(self.TWICE)
        assert codes(play.say(b"BDAT 2\r\nabBDAT 2\r\ncd")) == [250, 552]
        # The client counts a reply for each recipient to LAST.
        assert codes(play.say(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")) == [503, 503, 250]

    def test_a_last_chunk_without_a_recipient_has_no_reply_and_ends_the_transaction(self):
        play = self.lmtp({c.Rcpt: Reply(550, "no")})
        assert codes(play.say(TRANSACTION + b"BDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<>\r\n")) == [250, 550, 250]
        assert "BodyRefused" in play.kinds

    def test_any_number_of_them_is_no_danger(self):
        play = self.lmtp()
        answer = play.say((b"MAIL FROM:<>\r\n" + b"BDAT 0 LAST\r\n" * 2) * 2000)
        assert codes(answer)[:4] == [250, 503, 250, 503]

    def test_another_chunk_without_a_recipient_is_503(self):
        play = self.lmtp({c.Rcpt: Reply(550, "no")})
        assert codes(play.say(TRANSACTION + b"BDAT 6\r\nQUIT\r\nDATA\r\n")) == [250, 550, 503, 503]

    def test_a_last_chunk_without_a_transaction_is_503(self):
        assert codes(self.lmtp().say(b"BDAT 6 LAST\r\nQUIT\r\n")) == [503]

    def test_421_is_said_once(self):
        play = self.lmtp({BodyChunk: say.SHUTTING_DOWN})
        assert codes(play.say(self.TWICE + b"DATA\r\n.\r\n"))[-2:] == [354, 421]


class TestStartTLS:
    """RFC 3207."""

    def clear(self, **settings):
        return ready(config(tls_available=True, **settings))

    def test_after_its_220_the_owner_makes_tls(self):
        play = self.clear()
        assert play.say(b"STARTTLS\r\n") == b"220 2.0.0 Ready to start TLS\r\n"
        assert play.core.transport is Transport.START_TLS
        assert play.core.waiting_for == "TLS handshake"

    def test_all_that_was_learnt_before_is_forgotten(self):
        play = Play(with_login(tls_available=True))
        play.say(b"EHLO c.example\r\n" + playing.LOGIN)
        assert play.core.identity == "user"
        play.say(b"STARTTLS\r\n")
        play.core.tls_established(FACTS)
        core = play.core
        assert (core.state, core.transport, core.hello_name, core.identity) == (
            *(State.CONNECTED, Transport.READ, None, None),
        )
        assert core.tls is FACTS
        assert codes(play.say(b"MAIL FROM:<>\r\n")) == [503]

    def test_it_is_never_offered_under_tls(self):
        play = self.clear()
        play.say(b"STARTTLS\r\n")
        play.core.tls_established(FACTS)
        assert b"STARTTLS" not in play.say(b"EHLO c.example\r\n")
        assert codes(play.say(b"STARTTLS\r\n")) == [503]

    @pytest.mark.parametrize("behind", [b"NOOP\r\n", b"x", b"\r\n", b"\x16\x03\x01"])
    def test_octets_behind_it_are_an_attack(self, behind):
        line = b"STARTTLS\r\n" + behind
        for cut in range(len(b"STARTTLS\r\n") - 1):
            play = self.clear()
            assert codes(play.say(line[:cut]) + play.say(line[cut:])) == [554]
            assert play.events[-2] == Answered(c.StartTLS(), say.INJECTED)
            assert play.core.closed
            assert play.core.tls is None

    def test_also_where_they_come_before_it_was_accepted(self):
        play = ready(config(tls_available=True), {c.StartTLS: None})
        play.say(b"STARTTLS\r\n")
        play.core.receive_data(b"N")
        play.core.accept()
        assert codes(play.core.data_to_send()) == [554]
        assert play.core.closed

    def test_an_argument_is_501(self):
        assert codes(self.clear().say(b"STARTTLS now\r\n")) == [501]

    @pytest.mark.parametrize(("reply", "code"), [(None, 454), (Reply(454, "no key"), 454), (Reply(550, "no"), 550)])
    def test_it_may_be_refused(self, reply, code):
        play = ready(config(tls_available=True), {c.StartTLS: lambda core, event: core.reject(reply)})
        assert codes(play.say(b"STARTTLS\r\nNOOP\r\n"[:10])) == [code]
        assert codes(play.say(b"NOOP\r\n")) == [250]

    def test_where_it_is_required_530_answers_everything_else(self):
        play = self.clear(require_tls=True)
        lines = (b"MAIL FROM:<>\r\n", b"RSET\r\n", b"VRFY x\r\n", b"HELP\r\n", b"HELO c.example\r\n")
        assert [codes(play.say(line)) for line in lines] == [[530]] * 5
        assert b"530 5.7.0 " in play.say(b"DATA\r\n")
        assert codes(play.say(b"NOOP\r\nEHLO c.example\r\nQUIT\r\n")) == [250, 250, 221]

    def test_the_end_of_the_stream_ends_a_handshake(self):
        play = self.clear()
        play.say(b"STARTTLS\r\n")
        play.end()
        assert play.core.closed


class TestXClient:
    """Postfix's documents of XCLIENT and XFORWARD."""

    def proxied(self, decisions=None, say=b"EHLO c.example\r\n", **settings):
        play = Play(with_login(extensions=["XCLIENT", "XFORWARD"], **settings), decisions)
        play.say(say)
        return play

    def test_its_reply_is_a_greeting_and_the_session_begins_anew(self):
        play = self.proxied()
        assert play.say(b"XCLIENT NAME=d.example ADDR=192.0.2.1\r\n") == b"220 mx.example ESMTP\r\n"
        core = play.core
        assert (core.state, core.hello_name, core.identity) == (State.CONNECTED, None, None)
        assert play.events[-1].attributes == {"NAME": "d.example", "ADDR": "192.0.2.1"}

    def test_tls_stays(self):
        play = Play(config(extensions=["XCLIENT"]), tls=True)
        play.say(b"EHLO c.example\r\nXCLIENT NAME=x\r\n")
        assert play.core.tls is FACTS

    def test_it_tells_who_has_logged_in(self):
        play = self.proxied(required=True)
        assert codes(play.say(b"XCLIENT LOGIN=joe\r\nEHLO c.example\r\nMAIL FROM:<>\r\n")) == [220, 250, 250]
        assert play.core.identity == "joe"

    def test_or_that_nobody_has(self):
        play = self.proxied(say=b"EHLO c.example\r\n" + playing.LOGIN)
        assert play.core.identity == "user"
        play.say(b"XCLIENT LOGIN=[unavailable]\r\n")
        assert play.core.identity is None

    def test_it_may_be_refused(self):
        play = self.proxied({c.XClient: Reply(550, "not from you")})
        assert codes(play.say(b"XCLIENT NAME=x\r\n")) == [550]
        assert play.core.state is State.READY

    def test_xforward_changes_nothing(self):
        play = self.proxied()
        assert play.say(b"XFORWARD NAME=x SOURCE=LOCAL\r\n").startswith(b"250 ")
        assert play.core.state is State.READY

    def test_where_they_are_not_configured_they_are_502(self):
        assert codes(ready().say(b"XCLIENT NAME=x\r\nXFORWARD NAME=x\r\n")) == [502, 502]
        assert codes(Play().say(b"XCLIENT NAME=x\r\n")) == [502]


class TestOtherCommands:
    def test_vrfy_neither_confirms_nor_denies(self):
        assert ready().say(b"VRFY joe\r\n").startswith(b"252 2.5.0 ")

    def test_expn_is_refused_as_not_implemented(self):
        play = ready(decisions={c.Expn: lambda core, event: core.reject()})
        assert play.say(b"EXPN list\r\n").startswith(b"502 5.5.1 ")

    def test_noop_and_rset_need_no_decision(self):
        play = ready()
        assert play.say(b"NOOP x\r\nRSET\r\n") == b"250 2.0.0 Ok\r\n" * 2
        assert play.events[-2:] == [Answered(c.Noop("x"), say.OK), c.Rset()]

    def test_help_names_what_may_be_said(self):
        answer = ready().say(b"HELP\r\n")
        assert answer.startswith(b"214 2.0.0 Commands: BDAT DATA EHLO ")
        words = answer.split()
        assert not {b"AUTH", b"STARTTLS", b"end", b"LAST"} & set(words)
        assert len(words) == len(set(words))

    def test_quit_ends_the_session(self):
        play = ready()
        assert play.say(b"QUIT\r\nNOOP\r\n") == b"221 2.0.0 mx.example closing\r\n"
        assert play.kinds[-2:] == ["Quit", "ConnectionClosed"]

    def test_a_verb_of_an_extension_of_ones_own_is_an_event(self):
        play = ready(config(extensions=[Extension("XOWN", verbs=["XSTATS"])]))
        assert b"250 XOWN\r\n" in play.say(b"EHLO c.example\r\n")
        assert codes(play.say(b"XSTATS now\r\n")) == [250]
        assert play.events[-1] == c.UnknownCommand("XSTATS", "now")
        play.decisions = {c.UnknownCommand: lambda core, event: core.reject()}
        assert codes(play.say(b"XSTATS\r\nMAIL FROM:<>\r\nXSTATS\r\n")) == [502, 250, 502]


class TestLimits:
    def test_recipients(self):
        play = ready(config(limits=Limits(recipients=2)))
        play.say(TRANSACTION)
        assert play.say(b"RCPT TO:<c@c.example>\r\n" * 3).splitlines() == [
            *(b"250 2.1.5 Recipient ok", *[b"452 4.5.3 Too many recipients"] * 2)
        ]
        assert codes(play.say(b"DATA\r\n.\r\n")) == [354, 250]

    def test_transactions(self):
        play = ready(config(limits=Limits(transactions=2)))
        assert codes(play.say(b"MAIL FROM:<>\r\nRSET\r\n" * 3)) == [250, 250, 250, 250, 421]
        assert play.core.closed

    def test_commands_since_the_last_message(self):
        play = ready(config(limits=Limits(commands=10)))
        for _ in range(5):
            assert 421 not in codes(play.say(b"NOOP\r\n" * 5 + TRANSACTION + b"DATA\r\n.\r\n"))
        answer = play.say(b"NOOP\r\n" * 20)
        assert codes(answer) == [250] * 10 + [421]
        assert answer.endswith(b"421 4.7.0 Too many commands\r\n")


def test_a_transcript_counts_what_content_was_given():
    transcript = Transcript()
    play = ready(transcript=transcript)
    play.say(TRANSACTION + b"DATA\r\n..hi\r\n.\r\n")
    assert transcript.lines[-5:] == [
        "C: DATA",
        "S: 354 Send the message, end it with a line that is a single dot",
        "C: <5 octets of content>",
        "C: .",
        "S: 250 2.0.0 Message accepted",
    ]


def test_or_what_a_chunk_was():
    transcript = Transcript()
    play = ready(transcript=transcript)
    play.say(TRANSACTION + b"BDAT 5 LAST\r\nab")
    play.say(b"cde")
    assert transcript.lines[-3:] == ["C: BDAT 5 LAST", "C: <5 octets of content>", "S: 250 2.0.0 Message accepted"]


def test_an_attribute_that_is_not_on_offer_is_refused():
    play = ready(config(extensions=["XFORWARD NAME", "XCLIENT NAME"]))
    assert codes(play.say(b"XFORWARD NAME=a\r\nXFORWARD ADDR=192.0.2.1\r\nXCLIENT ADDR=192.0.2.1\r\n")) == [
        250,
        501,
        501,
    ]


@pytest.mark.parametrize("framing", [b"DATA\r\n", b"BDAT 4\r\n", b"BDAT 4 LAST\r\n"])
def test_content_is_recorded_however_it_comes(framing):
    transcript = Transcript(content=True)
    play = Play(transcript=transcript)
    play.say(b"EHLO c.example\r\n" + TRANSACTION + framing)
    play.say(b"h")
    play.say(b"i\r\n" + (b".\r\n" if framing == b"DATA\r\n" else b"") + b"NOOP\r\n")
    shown = str(transcript)
    assert "hi" in shown
    assert "NOOP" in shown


def test_the_refusal_of_an_extension_has_an_enhanced_status_code_as_any_other():
    own = Extension(
        "X-TAGS", mail_parameters=["X-A"], rcpt_parameters=["X-B"], check=lambda parameters, words: Reply(504, "No")
    )
    play = ready(config(extensions=["ENHANCEDSTATUSCODES", own]))
    assert play.say(b"MAIL FROM:<> X-A=1\r\n") == b"504 5.5.4 No\r\n"
    assert play.say(b"MAIL FROM:<>\r\nRCPT TO:<a@b.example> X-B=1\r\n").endswith(b"504 5.5.4 No\r\n")
