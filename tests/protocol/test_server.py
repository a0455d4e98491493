"""A server's connection: octets in, events and octets out; cut anywhere, ended anywhere, and with any octets."""

import json
import runpy
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtpkit.errors import LocalProtocolError
from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.events import (
    NEED_DATA,
    PAUSED,
    Answered,
    BodyChunk,
    BodyRefused,
    Connect,
    ConnectionClosed,
    Transport,
)
from smtpkit.protocol.extensions import Extension
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.states import State
from smtpkit.protocol.transcript import Transcript
from smtpkit.sasl.questions import FetchSecret, VerifyPassword
from smtpkit.wire import commands as c
from smtpkit.wire.replies import Reply

playing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))
Play, config, ready, codes = playing.Play, playing.config, playing.ready, playing.codes
TRANSACTION, FACTS, LOGIN, with_login = playing.TRANSACTION, playing.FACTS, playing.LOGIN, playing.with_login


class TestNewlines:
    @pytest.mark.parametrize("body", [b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n"])
    @pytest.mark.parametrize("policy", ["reject", "normalize", "keep"])
    def test_each_policy_keeps_the_session_in_step(self, body, policy):
        play = ready(config(bare_newlines=policy))
        by_data = play.say(TRANSACTION + b"DATA\r\n" + body + b".\r\nNOOP\r\n")
        by_bdat = play.say(TRANSACTION + b"BDAT 5 LAST\r\n" + body + b"NOOP\r\n")
        if policy == "reject":
            assert b"\r\n550 5.6.0 " in by_data
            assert codes(by_data + by_bdat) == [250, 250, 354, 550, 250, 250, 250, 550, 250]
            assert play.messages == []
        else:
            assert codes(by_data + by_bdat) == [250, 250, 354, 250, 250, 250, 250, 250, 250]
            right = body.replace(b"a\nb", b"a\r\nb").replace(b"a\rb", b"a\r\nb")
            assert play.messages == [right if policy == "normalize" else body] * 2

    def test_a_bare_newline_in_a_command_is_500(self):
        assert codes(ready().say(b"NOOP\nQUIT\r\nNOOP\rQUIT\r\nNOOP\r\n")) == [500, 500, 250]


SMUGGLING = json.loads((Path(__file__).parents[1] / "vectors" / "smuggling_eod.json").read_text())["vectors"]


@pytest.mark.parametrize("policy", ["reject", "normalize", "keep"])
@pytest.mark.parametrize("vector", SMUGGLING, ids=lambda vector: vector["sequence_hex"])
def test_nothing_is_smuggled_behind_what_is_no_end_of_data(vector, policy):
    payload = bytes.fromhex(vector["payload_hex"])
    is_end = b"\r\n.\r\n" in bytes.fromhex(vector["sequence_hex"])
    for cut in range(len(payload) + 1):
        play = ready(config(bare_newlines=policy))
        play.say(TRANSACTION + b"DATA\r\n")
        play.say(payload[:cut])
        play.say(payload[cut:])
        assert play.kinds.count("Mail") == (2 if is_end else 1), cut
        if not is_end:
            assert play.core.state is State.READY
            assert len(play.messages) <= 1
            if play.messages:
                assert b"MAIL FROM:" in play.messages[0]


class TestPausing:
    def test_an_event_that_waits_stops_what_follows(self):
        core = ServerConnection(config())
        assert core.next_event() == Connect()
        assert core.unanswered == Connect()
        assert core.next_event() is PAUSED
        assert core.data_to_send() == b""
        core.accept()
        assert core.unanswered is None
        core.receive_data(b"VRFY joe\r\nNOOP\r\n")
        assert core.next_event() == c.Vrfy("joe")
        assert core.next_event() is PAUSED
        core.reject()
        assert core.next_event() == Answered(c.Noop(), say.OK)
        assert core.next_event() is NEED_DATA

    def test_decisions_are_answered_in_the_order_of_the_wire(self):
        play = ready(decisions={c.Mail: None})
        play.say(b"NOOP\r\nMAIL FROM:<>\r\nNOOP\r\n")
        play.core.reject(Reply(550, "no"))
        assert codes(play.run()) == [550, 250]

    def test_what_is_to_be_sent_is_given_once(self):
        core = ServerConnection(config())
        core.next_event()
        core.accept()
        assert core.data_to_send() == b"220 mx.example ESMTP\r\n"
        assert core.data_to_send() == b""

    def test_of_content_only_the_last_piece_waits(self):
        play = ready(decisions={BodyChunk: None})
        play.say(TRANSACTION + b"DATA\r\none\r\n")
        assert play.core.unanswered is None
        play.say(b"two\r\n.\r\n")
        assert play.core.unanswered == BodyChunk(b"two\r\n", True)
        assert play.core.next_event() is PAUSED

    def test_while_tls_is_due(self):
        play = ready(config(tls_available=True))
        play.say(b"STARTTLS\r\n")
        assert play.core.next_event() is PAUSED


class Own(c.Command):
    """A command of the application."""

    verb = syntax = "XOWN"

    @classmethod
    def parse_argument(cls, text):
        return cls()


def test_a_command_of_the_application_is_accepted_as_any_other():
    play = ready(config(extensions=[Extension("XOWN", verbs=[Own])]), decisions={Own: Reply(250, "done")})
    assert play.say(b"XOWN\r\n") == b"250 done\r\n"


class TestGranted:
    def test_what_is_granted_is_answered_and_not_given(self):
        play = ready()
        play.core.granted = frozenset({c.Mail, c.Rcpt, c.Data, c.Rset})
        play.core.receive_data(TRANSACTION + b"DATA\r\nx\r\n.\r\nRSET\r\n")
        assert play.core.next_event() == BodyChunk(b"x\r\n", True)
        assert codes(play.core.data_to_send()) == [250, 250, 354]
        play.core.accept()
        assert type(play.core.next_event()) is c.Rset  # that is never a question
        assert play.core.next_event() is NEED_DATA

    def test_so_is_a_command_of_the_application(self):
        play = ready(config(extensions=[Extension("XOWN", verbs=[Own])]))
        assert play.core.granted == frozenset()
        play.core.granted = frozenset({Own, BodyChunk})
        assert play.core.granted == {Own}  # what is no command always waits
        play.core.receive_data(b"XOWN\r\n")
        assert play.core.next_event() is NEED_DATA
        assert codes(play.core.data_to_send()) == [250]

    def test_what_it_has_to_refuse_is_refused(self):
        play = ready()
        play.core.granted = frozenset({c.Mail, c.Rcpt})
        play.core.receive_data(b"RCPT TO:<a@b.example>\r\n")
        assert play.core.next_event().reply.code == 503

    def test_now_and_then_it_is_told_so_that_replies_can_leave(self):
        play = ready()
        play.core.granted = frozenset({c.Rcpt})
        play.core.receive_data(TRANSACTION + b"RCPT TO:<a@b.example>\r\n" * 250)
        play.core.next_event()
        play.core.accept()
        told = [play.core.next_event()]
        assert play.core.unsent == 100
        while told[-1] is not NEED_DATA:
            play.core.data_to_send()
            told.append(play.core.next_event())
        assert [type(each) for each in told[:-1]] == [Answered, Answered]
        assert {each.reply for each in told[:-1]} == {say.RCPT_OK}


class TestEnd:
    def test_nothing_comes_after_it(self):
        play = ready()
        play.core.receive_data(b"QUIT\r\nNOOP\r\n")
        assert play.core.next_event() == c.Quit()
        assert play.core.transport is Transport.CLOSE
        play.core.receive_data(b"MAIL FROM:<>\r\n")
        assert [play.core.next_event() for _ in range(3)] == [ConnectionClosed()] * 3
        assert play.core.unread == 0
        assert codes(play.core.data_to_send()) == [221]
        play.core.receive_data(b"")
        assert play.core.next_event() == ConnectionClosed()

    def test_what_came_before_the_end_of_the_stream_is_answered(self):
        play = ready()
        play.core.receive_data(TRANSACTION + b"DATA\r\nhi\r\n.\r\nNOO")
        assert codes(play.end()) == [250, 250, 354, 250]
        assert play.messages == [b"hi\r\n"]
        assert play.core.closed

    def test_the_stream_may_end_while_a_decision_is_due(self):
        play = ready(decisions={c.Mail: None})
        play.say(b"MAIL FROM:<>\r\n")
        play.core.receive_data(b"")
        assert play.core.next_event() is PAUSED
        play.core.accept()
        assert play.core.next_event() == ConnectionClosed()

    @pytest.mark.parametrize("reply", [None, say.SHUTTING_DOWN, Reply(221, "bye", "2.0.0")])
    def test_this_side_may_end_it(self, reply):
        play = ready(decisions={c.Rcpt: None})
        play.say(TRANSACTION)
        play.core.close(reply)
        assert play.core.closed
        assert play.core.unanswered is None
        assert play.core.data_to_send().endswith(bytes(reply) if reply else b"")
        assert play.core.next_event() == ConnectionClosed()
        play.core.close(Reply(421, "twice"))
        assert play.core.data_to_send() == b""


SESSIONS = {
    "data": (config(), [b"EHLO c.example\r\n", TRANSACTION, b"DATA\r\n", b"hi\r\n..\r\n.\r\n", b"QUIT\r\n"]),
    "bdat": (config(), [b"EHLO c.example\r\n" + TRANSACTION + b"BDAT 5\r\n.\r\nabBDAT 3 LAST\r\nc\r\n", b"QUIT\r\n"]),
    "two": (config(), [b"EHLO c.example\r\n" + (TRANSACTION + b"DATA\r\nx\r\n.\r\n") * 2 + b"RSET\r\nNOOP\r\n"]),
    "refused": (
        config(max_message_size=4),
        [b"EHLO c.example\r\n" + TRANSACTION + b"DATA\r\nhello\r\n.\r\n" + TRANSACTION + b"BDAT 6 LAST\r\nQUIT\r\n"],
    ),
    "wrong": (
        config(),
        [b"what?\r\nFOO\r\nEHLO c.example\r\nBDAT 6\r\nQUIT\r\nDATA\r\nMAIL FROM:<\r\nNOOP\nx\r\nVRFY a\r\n"],
    ),
    "long": (config(limits=Limits(line=100)), [b"EHLO c.example\r\n" + b"NOOP " + b"x" * 100 + b"\r\nNOOP\r\n"]),
    "lmtp": (
        config(lmtp=True),
        [b"LHLO c.example\r\n" + TRANSACTION + b"RCPT TO:<b@b.example>\r\nDATA\r\nhi\r\n.\r\nBDAT 1 LAST\r\nx"],
    ),
    "login": (
        with_login(required=True),
        [b"EHLO c.example\r\nMAIL FROM:<>\r\n" + LOGIN + b"AUTH LOGIN\r\nMAIL FROM:<>\r\n"],
    ),
    "challenges": (
        with_login(mechanisms=["LOGIN"]),
        [b"EHLO c.example\r\nAUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\nMAIL FROM:<> AUTH=<>\r\nQUIT\r\n"],
    ),
    "unclean": (config(), [b"EHLO c.example\r\n" + TRANSACTION + b"DATA\r\na\nb\r\n\r.\r\n.\r\nNOOP\r\n"]),
    "web": (config(), [b"GET / HTTP/1.1\r\nHost: mx.example\r\n\r\n"]),
}


def merged(events):
    """Events, with the pieces of content put together: how it is cut is not told."""
    result = []
    for event in events:
        if isinstance(event, BodyChunk) and result and type(result[-1]) is BodyChunk and not result[-1].last:
            result[-1] = BodyChunk(result[-1].data + event.data, event.last)
        elif isinstance(event, BodyRefused) and result and type(result[-1]) is BodyChunk:
            result[-1] = event
        else:
            result.append(event)
    return result


@pytest.mark.parametrize("name", SESSIONS)
def test_cuts_change_neither_events_nor_answers(name):
    config_, parts = SESSIONS[name]
    octets = b"".join(parts)
    whole = Play(config_)
    answer = whole.say(octets)
    for step in (1, 2, 3, 7):
        other = Play(config_)
        assert b"".join(other.say(octets[at : at + step]) for at in range(0, len(octets), step)) == answer
        assert merged(other.events) == merged(whole.events)
    for cut in range(len(octets)):
        other = Play(config_)
        assert other.say(octets[:cut]) + other.say(octets[cut:]) == answer
        assert merged(other.events) == merged(whole.events)


@pytest.mark.parametrize("name", SESSIONS)
def test_a_message_that_was_cut_off_is_never_accepted(name):
    config_, parts = SESSIONS[name]
    octets = b"".join(parts)
    complete = Play(config_)
    accepted_at = []  # how many messages are complete after so many octets
    for octet in octets:
        complete.say(bytes([octet]))
        accepted_at.append(len(complete.messages))
    for end in range(len(octets)):
        play = Play(config_)
        play.say(octets[: end + 1])
        play.end()
        assert play.core.closed
        assert play.events[-1] == ConnectionClosed()
        assert len(play.messages) == accepted_at[end]
        assert play.core.envelope is None


def test_a_refused_chunk_of_lmtp_that_is_cut_off_is_answered_by_nobody():
    play = ready(config(lmtp=True))
    play.say(b"MAIL FROM:<>\r\nBDAT 6 LAST\r\nQU")
    assert play.end() == b""


PIECES = [
    *(b"EHLO c.example\r\n", b"LHLO c.example\r\n", b"HELO c\r\n", b"MAIL FROM:<a@a.example>", b" SIZE=9", b"\r\n"),
    *(
        b"RCPT TO:<b@b.example>\r\n",
        b"DATA\r\n",
        b".\r\n",
        b"\r\n.\r\n",
        b"BDAT 5\r\n",
        b"BDAT 3 LAST\r\n",
        b"abc",
        b"RSET\r\n",
    ),
    *(
        b"NOOP\r\n",
        b"HELP\r\n",
        b"VRFY x\r\n",
        b"EXPN x\r\n",
        b"STARTTLS\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH LOGIN dXNlcg==\r\n",
    ),
    *(LOGIN, b"AHVzZXIAcGFzcw==\r\n", b"*\r\n", b"AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n", b"XCLIENT NAME=x\r\n"),
    *(
        b"MAIL FROM:<>\r\n",
        b"BDAT x\r\n",
        b"\0",
        b"\r",
        b"\n",
        b"\xff",
        b" ",
        b"ETRN x\r\n",
        b"BDAT 99999999999999999999\r\n",
    ),
]
any_octets = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
decisions = st.sampled_from([True, True, True, Reply(550, "no"), Reply(451, "later"), Reply(421, "bye")])
CONFIGS = [
    config(),
    config(lmtp=True, max_message_size=4),
    with_login(tls_available=True, extensions=["CHUNKING", "ETRN", "XCLIENT", "SIZE"], attempts=2),
    with_login(required=True, max_message_size=2, limits=Limits(line=64, commands=30, recipients=2)),
    config(bare_newlines="normalize", strict=True, limits=Limits(errors_in_a_row=3, transactions=3)),
]


@settings(derandomize=True, deadline=None, max_examples=400)
@given(any_octets, st.sampled_from(CONFIGS), st.lists(decisions, max_size=6), st.integers(1, 60))
@example(b"BDAT 0 LAST\r\n" * 50, CONFIGS[1], [], 60)
def test_no_octets_raise_or_fill_the_memory(octets, config_, decided, step):
    taken = iter(decided)

    def decide(core, event):
        decision = next(taken, True)
        if decision is True and type(event) in (VerifyPassword, FetchSecret):
            core.supply(core.config.auth.answer(event))
        elif decision is True:
            core.accept()
        else:
            core.reject(decision)

    kinds = (*playing.COMMANDS, Connect, BodyChunk, VerifyPassword, FetchSecret)
    play = Play(config_, dict.fromkeys(kinds, decide))
    for at in range(0, len(octets), step):
        play.say(octets[at : at + step])
        if play.core.transport is Transport.START_TLS:
            play.core.tls_established(FACTS)
        assert play.core.unread <= 8192
    play.end()
    assert play.core.closed
    assert in_order(play.events)


def in_order(events):
    """What the events may look like, whatever came: content only in a transaction, and nothing after the end."""
    open_, ended = False, False
    for event in events:
        if ended:
            return False
        if isinstance(event, c.Mail):
            open_ = True
        elif isinstance(event, (BodyChunk, c.Rcpt, c.Data)) and not open_:
            return False
        ended = isinstance(event, ConnectionClosed)
    return ended


class TestLines:
    def test_a_line_of_the_very_limit_is_taken(self):
        play = ready()
        line = b"NOOP " + b"x" * 505 + b"\r\n"
        assert len(line) == 512
        assert codes(play.say(line)) == [250]

    def test_a_longer_one_is_500_once(self):
        play = ready()
        assert play.say(b"NOOP " + b"x" * 506 + b"\r\nNOOP\r\n") == b"500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n"
        assert play.say(b"x" * 100_000 + b"\r\nNOOP\r\n") == b"500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n"

    def test_mail_and_rcpt_may_be_longer_by_what_is_offered(self):
        play = ready(config(extensions=["SIZE"]))
        path = b"MAIL FROM:<" + b"a" * 64 + b"@" + b"b.example>"
        long = path + b" " * (512 + 26 - len(path) - 2)
        assert codes(play.say(long + b"\r\nRSET\r\n" + long + b" \r\n")) == [250, 250, 500]
        assert codes(play.say(b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>" + b" " * 498 + b"\r\nDATA\r\n")) == [
            *(250, 250, 500),
            554,
        ]

    def test_an_endless_line_is_skipped_in_constant_memory(self):
        play = ready()
        piece = b"x" * 65536
        tracemalloc.start()
        for _ in range(200):
            assert play.say(piece) == b""
            assert play.core.unread <= 1
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3 * 65536
        assert codes(play.say(b"\r\nNOOP\r\n")) == [500, 250]

    def test_an_empty_line_is_500(self):
        assert codes(ready().say(b"\r\nNOOP\r\n")) == [500, 250]

    def test_a_syntax_error_tells_the_right_syntax(self):
        answer = ready().say(b"MAIL TO:<a@b.example>\r\n")
        assert answer.startswith(b"501 5.5.4 ")
        assert b"; expected MAIL FROM:<address>" in answer
        assert b"a@b.example" not in answer

    def test_or_nothing_where_there_is_no_command(self):
        assert b"expected" not in ready().say(b"\x01\r\n")


class TestErrors:
    def test_ten_in_a_row_are_enough(self):
        play = ready()
        answer = play.say(b"FOO\r\n" * 20)
        assert codes(answer) == [500] * 9 + [421]
        assert answer.endswith(b"421 4.7.0 Too many errors in a row\r\n")
        assert play.core.closed

    def test_malformed_lines_count_too(self):
        assert codes(ready().say(b"MAIL\r\n" * 20)) == [501] * 9 + [421]

    def test_a_chunk_whose_answer_is_the_last_error(self):
        assert codes(ready().say(b"FOO\r\n" * 9 + b"BDAT x\r\n")) == [500] * 9 + [421]
        assert codes(ready().say(b"FOO\r\n" * 9 + b"BDAT 4\r\nabcd")) == [500] * 9 + [421]
        assert codes(ready(config(extensions=[])).say(b"FOO\r\n" * 9 + b"BDAT 4\r\nabcd")) == [500] * 9 + [421]

    def test_a_good_command_begins_the_row_anew(self):
        assert 421 not in codes(ready().say((b"FOO\r\n" * 9 + b"NOOP\r\n") * 5 + (b"FOO\r\n" * 9 + b"RSET\r\n") * 5))
        assert codes(ready().say((b"FOO\r\n" + b"NOOP\r\n") * 200)).count(500) == 99

    def test_recipients_behind_a_refused_mail_count_once(self):
        play = ready(decisions={c.Mail: Reply(550, "no")})
        group = b"MAIL FROM:<>\r\n" + b"RCPT TO:<b@b.example>\r\n" * 100 + b"DATA\r\n"
        assert codes(play.say(group)) == [550] + [503] * 101
        assert codes(play.say(group * 3))[-1] == 503

    def test_also_where_the_core_refused_it(self):
        group = b"MAIL FROM:<> XFOO=1\r\n" + b"RCPT TO:<b@b.example>\r\n" * 100 + b"DATA\r\n"
        assert codes(ready().say(group)) == [555] + [503] * 101
        group = b"MAIL FROM:<\r\n" + b"RCPT TO:<b@b.example>\r\n" * 100 + b"DATA\r\n"
        assert codes(ready().say(group)) == [501] + [503] * 101

    def test_refusals_of_the_application_are_no_errors(self):
        play = ready(decisions={c.Rcpt: Reply(550, "no"), c.Vrfy: Reply(550, "no")})
        answer = play.say(b"MAIL FROM:<>\r\n" + b"RCPT TO:<b@b.example>\r\n" * 300 + b"VRFY x\r\n" * 300)
        assert 421 not in codes(answer)

    def test_a_browser_is_told_and_left(self):
        play = Play()
        assert play.say(b"POST / HTTP/1.1\r\nHost: mx.example\r\n\r\nMAIL FROM:<>\r\n") == (
            b"421 4.7.0 This is a mail server\r\n"
        )
        assert play.core.closed


class TestMisuse:
    """What this side may not do is told with what is right."""

    @pytest.mark.parametrize(
        "call",
        [
            lambda core: core.accept(),
            lambda core: core.reject(),
            lambda core: core.supply(None),
            lambda core: core.answer([]),
        ],
    )
    def test_a_decision_where_none_is_due(self, call):
        play = ready()
        with pytest.raises(LocalProtocolError) as info:
            call(play.core)
        assert (info.value.state, info.value.expected) == ("ready", "next_event()")
        play.say(b"QUIT\r\n")
        with pytest.raises(LocalProtocolError):
            call(play.core)

    @pytest.mark.parametrize("reply", [Reply(550), Reply(421), Reply(400), Reply(354)])
    def test_accepting_with_what_accepts_nothing(self, reply):
        play = ready(decisions={c.Mail: None})
        play.say(b"MAIL FROM:<>\r\n")
        with pytest.raises(LocalProtocolError, match="does not accept"):
            play.core.accept(reply)
        assert play.core.unanswered == c.Mail(None)
        play.core.accept()

    def test_accepting_data_with_what_is_not_354(self):
        play = ready(decisions={c.Data: None})
        play.say(TRANSACTION + b"DATA\r\n")
        with pytest.raises(LocalProtocolError, match="expected 3yz"):
            play.core.accept(Reply(250))
        play.core.accept(Reply(354, "go on"))
        assert play.core.data_to_send().endswith(b"354 go on\r\n")

    @pytest.mark.parametrize("reply", [Reply(250), Reply(354)])
    def test_refusing_with_what_refuses_nothing(self, reply):
        play = ready(decisions={c.Mail: None})
        play.say(b"MAIL FROM:<>\r\n")
        with pytest.raises(LocalProtocolError, match="does not refuse"):
            play.core.reject(reply)

    @pytest.mark.parametrize(
        ("call", "expected"),
        [
            (lambda core: core.accept(Reply(550)), "2yz"),
            (lambda core: core.reject(Reply(250)), "4yz or 5yz"),
            (lambda core: core.supply("secret"), "accept() or reject()"),
            (lambda core: core.answer([Reply(250)]), "accept() or reject()"),
            (lambda core: core.tls_established(FACTS), "before the greeting, or after STARTTLS"),
        ],
    )
    def test_what_may_not_be_called_is_told_what_may(self, call, expected):
        play = ready(decisions={c.Mail: None})
        play.say(b"MAIL FROM:<>\r\n")
        with pytest.raises(LocalProtocolError) as info:
            call(play.core)
        assert expected in info.value.expected

    def test_supplying_what_nobody_asked_for(self):
        play = ready(decisions={c.Mail: None})
        play.say(b"MAIL FROM:<>\r\n")
        with pytest.raises(LocalProtocolError, match="SASL"):
            play.core.supply("secret")
        play.core.accept()

    def test_accepting_a_question_for_a_secret(self):
        policy = AuthPolicy(mechanisms=["CRAM-MD5"], allow_in_clear=True)
        play = Play(config(auth=policy), {FetchSecret: None})
        play.say(b"EHLO c.example\r\nAUTH CRAM-MD5\r\ndXNlciAwMDAw\r\n")
        with pytest.raises(LocalProtocolError) as info:
            play.core.accept()
        assert info.value.expected == "supply() or reject()"
        play.core.supply(None)
        assert codes(play.run()) == [535]

    def test_answers_for_each_recipient_outside_lmtp(self):
        play = ready(decisions={BodyChunk: None})
        play.say(TRANSACTION + b"DATA\r\n.\r\n")
        with pytest.raises(LocalProtocolError, match="LMTP"):
            play.core.answer([Reply(250)])
        play = ready(config(lmtp=True), {c.Mail: None})
        play.say(b"MAIL FROM:<>\r\n")
        with pytest.raises(LocalProtocolError, match="LMTP"):
            play.core.answer([Reply(250)])

    @pytest.mark.parametrize("replies", [[], [Reply(250)] * 2, [Reply(354)]])
    def test_answers_that_do_not_match_the_recipients(self, replies):
        play = ready(config(lmtp=True), {BodyChunk: None})
        play.say(TRANSACTION + b"DATA\r\n.\r\n")
        with pytest.raises(LocalProtocolError):
            play.core.answer(replies)
        play.core.answer([Reply(250)])
        assert play.core.state is State.READY

    def test_one_answer_of_several_that_decides_nothing(self):
        play = ready(config(lmtp=True), {BodyChunk: None})
        play.say(TRANSACTION + b"RCPT TO:<c@c.example>\r\nDATA\r\n.\r\n")
        with pytest.raises(LocalProtocolError, match="decides nothing"):
            play.core.answer([Reply(250), Reply(354)])

    def test_tls_where_it_cannot_begin(self):
        with pytest.raises(LocalProtocolError, match="cannot begin"):
            ready().core.tls_established(FACTS)


class TestDecisions:
    def test_content_under_way_may_be_refused(self):
        play = ready()
        play.say(TRANSACTION + b"DATA\r\none\r\n")
        play.core.reject(Reply(554, "spam"))
        play.core.reject(Reply(451, "the first reason stays"))
        assert codes(play.say(b"two\r\n.\r\nNOOP\r\n")) == [554, 250]
        assert play.events[-2] == BodyRefused(Reply(554, "spam", "5.0.0"))
        assert play.messages == []

    def test_with_a_standard_reply(self):
        play = ready()
        play.say(TRANSACTION + b"DATA\r\none\r\n")
        play.core.reject()
        assert codes(play.say(b".\r\n")) == [451]

    def test_of_lmtp_one_421_ends_all(self):
        play = ready(config(lmtp=True), {BodyChunk: None})
        play.say(TRANSACTION + b"RCPT TO:<c@c.example>\r\nDATA\r\n.\r\n")
        play.core.answer([Reply(421, "bye"), Reply(250)])
        assert codes(play.run()) == [421]
        assert play.core.closed

    @pytest.mark.parametrize("code", [400, 450, 550])
    def test_any_4yz_or_5yz_refuses(self, code):
        play = ready(decisions={BodyChunk: lambda core, event: core.reject(Reply(code, "no"))})
        assert codes(play.say(TRANSACTION + b"DATA\r\n.\r\n"))[-1] == code
        assert play.core.state is State.READY

    def test_a_message_that_one_recipient_of_lmtp_got_begins_the_count_of_commands_anew(self):
        decide = {BodyChunk: lambda core, event: core.answer([Reply(250), Reply(550)])}
        play = ready(config(lmtp=True, limits=Limits(commands=10)), decide)
        group = TRANSACTION + b"RCPT TO:<c@c.example>\r\nDATA\r\n.\r\n"
        assert codes(play.say(group * 5)) == [250, 250, 250, 354, 250, 550] * 5

    def test_passwords_are_supplied_or_accepted(self):
        for decide in (lambda core, event: core.accept(), lambda core, event: core.supply(True)):
            play = Play(with_login(), {VerifyPassword: decide})
            assert codes(play.say(b"EHLO c.example\r\n" + LOGIN)) == [250, 235]

    @pytest.mark.parametrize(("reply", "code"), [(None, 535), (Reply(454, "no database"), 454)])
    def test_and_refused(self, reply, code):
        play = Play(with_login(), {VerifyPassword: lambda core, event: core.reject(reply)})
        assert codes(play.say(b"EHLO c.example\r\n" + LOGIN)) == [250, code]
        assert play.core.identity is None


def test_its_repr_tells_where_it_stands():
    play = ready(decisions={c.Mail: None})
    play.say(b"MAIL FROM:<>\r\nNOOP\r\n")
    assert repr(play.core) == "<ServerConnection: ready, 6 octets unread, unanswered=Mail(None, {})>"


def test_a_transcript_shows_what_was_said_and_hides_what_is_secret():
    transcript = Transcript()
    play = Play(with_login(mechanisms=["PLAIN", "LOGIN"]), transcript=transcript)
    play.say(b"EHLO c.example\r\n" + LOGIN.replace(b"cGFzcw", b"cGFzcX") + b"AUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\n")
    play.say(TRANSACTION + b"DATA\r\nhi\r\n.\r\nQUIT\r\n")
    text = str(transcript)
    assert "C: AUTH PLAIN <hidden>" in text
    assert text.count("C: <hidden>") == 2
    assert text.count("S: 334 <hidden>") == 2
    assert "dXNlcg" not in text
    assert "cGFzc" not in text
    assert "C: <4 octets of content>" in text


def test_40000_commands_in_one_read_are_40000_events_and_one_write():
    play = ready(config(limits=Limits(commands=100_000)))
    answer = play.say(b"NOOP\r\n" * 40_000)
    assert len(answer) == 40_000 * len(b"250 2.0.0 Ok\r\n")
    assert len(play.events) == 40_002


def test_a_long_session_keeps_nothing_of_its_messages():
    play = ready()
    message = TRANSACTION + b"DATA\r\n" + b"x" * 60_000 + b"\r\n.\r\n"
    play.say(message)
    play.events.clear()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(20):
        play.say(message)
        play.events.clear()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000


def test_after_starttls_the_session_begins_anew():
    play = ready(config(tls_available=True))
    play.say(b"STARTTLS\r\n")
    play.core.tls_established(FACTS)
    assert (play.core.state, play.core.transport, play.core.tls) == (State.CONNECTED, Transport.READ, FACTS)
    assert codes(play.say(b"EHLO c.example\r\n")) == [250]


def test_tls_may_begin_with_the_connection():
    transcript = Transcript()
    assert Play(tls=True, transcript=transcript).greeting == b"220 mx.example ESMTP\r\n"
    assert transcript.lines == ["-- TLSv1.3", "S: 220 mx.example ESMTP"]


def test_commands_have_a_limit():
    assert codes(ready(config(limits=Limits(commands=3))).say(b"NOOP\r\n" * 5)) == [250, 250, 421]


@pytest.mark.parametrize(("said", "command", "code"), [(b"MAIL\r\n", None, 501), (b"BDAT 4\r\nabcd", c.Bdat(4), 502)])
def test_a_command_that_is_refused_is_an_event(said, command, code):
    play = ready(config(extensions=[]))
    play.say(said)
    (event,) = (event for event in play.events if isinstance(event, Answered))
    assert (event.command, event.reply.code) == (command, code)


def test_a_chunk_that_is_refused_is_recorded():
    transcript = Transcript()
    ready(transcript=transcript).say(b"BDAT 4\r\nabcd")
    assert transcript.lines[-3:-1] == ["C: BDAT 4", "C: <4 octets of content>"]


def test_a_chunk_size_in_a_line_that_is_too_long_ends_the_session():
    play = ready()
    assert codes(play.say(b"BDAT 6" + b" " * 510 + b"\r\nQUIT\r\n")) == [500]
    assert play.core.closed


@pytest.mark.parametrize("step", [1, 100, 10_000])
def test_however_long_that_is(step):
    play = ready()
    octets = b"bdat " + b"9" * 9000 + b"\r\nQUIT\r\n"
    assert codes(b"".join(play.say(octets[at : at + step]) for at in range(0, len(octets), step))) == [500]
    assert play.core.closed


def test_a_last_chunk_for_nobody_has_no_answer_in_lmtp():
    assert ready(config(lmtp=True)).say(b"MAIL FROM:<>\r\nBDAT 2 LAST\r\nab") == b"250 2.1.0 Sender ok\r\n"


def test_a_response_that_is_too_long_is_500():
    play = Play(with_login())
    answer = play.say(b"EHLO c.example\r\nAUTH PLAIN\r\n" + b"A" * 12289 + b"\r\nNOOP\r\n")
    assert codes(answer) == [250, 334, 500, 250]
    assert b"\r\n500 5.5.6 " in answer


def test_a_mechanism_may_ask_two_questions_in_a_row():
    from smtpkit.sasl.mechanism import Mechanism

    class Two(Mechanism):
        name = "XTWO"

        def server(self, facts, response):
            first = yield VerifyPassword("", "a", "b")
            second = yield VerifyPassword("", "c", "d")
            return "both" if first and second else None

    play = Play(with_login(mechanisms=[Two]), {VerifyPassword: lambda core, event: core.supply(True)})
    assert codes(play.say(b"EHLO c.example\r\nAUTH XTWO\r\n")) == [250, 235]
    assert play.core.identity == "both"
    play = Play(with_login(mechanisms=[Two]), {VerifyPassword: None})
    play.say(b"EHLO c.example\r\nAUTH XTWO\r\n")
    play.core.supply(True)
    play.core.close()
    assert play.core.next_event() == ConnectionClosed()


def test_all_that_is_read_is_recorded_and_no_response():
    transcript = Transcript()
    play = Play(with_login(tls_available=True), transcript=transcript)
    play.say(b"EHLO c.example\r\nNOOP " + b"x" * 13000 + b"\r\nBDAT 6\r\nQUIT\r\nAUTH PLAIN\r\nAHVzZXIAcGFzcw==\r\n")
    play.say(TRANSACTION + b"DATA\r\nhi\r\n.\r\nSTARTTLS\r\n")
    play.core.tls_established(FACTS)
    play.say(b"QUIT\r\n")
    shown = str(transcript)
    assert "AHVzZXIAcGFzcw" not in shown
    assert [word for word in ("BDAT 6", "503", "AUTH PLAIN", "235", "354", "TLSv1.3", "221") if word not in shown] == []
