"""The server's driver by hand: which hooks are called, in which order, and what becomes of what they return."""

import runpy
import tracemalloc
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.errors import ConnectionLost, MessageRefused
from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.needs import CLOSE, READ, WRITE, Call
from smtpkit.protocol.session import HOOKS
from smtpkit.protocol.states import State
from smtpkit.sasl.questions import FetchSecret, VerifyPassword
from smtpkit.wire import commands as c
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.replies import Reply

playing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))
Adapter, config, codes, TRANSACTION = playing.Adapter, playing.config, playing.codes, playing.TRANSACTION
with_login, reading, LOGIN = playing.with_login, playing.reading, playing.LOGIN
EHLO = b"EHLO c.example\r\n"
DATA = TRANSACTION + b"DATA\r\n"


def ready(config_=None, hooks=None, **tls):
    adapter = Adapter(config_, hooks, **tls)
    adapter.say(b"LHLO c.example\r\n" if adapter.core.config.lmtp else EHLO)
    adapter.calls.clear()
    return adapter


class TestHooks:
    def test_they_are_called_in_the_order_of_the_dialogue(self):
        adapter = Adapter(with_login(), dict.fromkeys(HOOKS - {"on_body", "on_login"}) | {"on_login": True})
        answer = adapter.say(EHLO + LOGIN + b"VRFY joe\r\n" + TRANSACTION + b"RSET\r\n" + DATA)
        answer += adapter.say(b"hi\r\n.\r\nQUIT\r\n")
        assert codes(answer) == [250, 235, 252, 250, 250, 250, 250, 250, 354, 250, 221]
        assert adapter.names == [
            *("on_connect", "on_hello", "on_login", "on_command", "on_mail", "on_rcpt", "on_reset"),
            *("on_mail", "on_rcpt", "on_message", "on_close"),
        ]
        assert [argument for _, argument in adapter.calls[:6]] == [
            *(None, c.Ehlo("c.example"), VerifyPassword("", "user", "pass"), c.Vrfy("joe")),
            *(c.Mail(Mailbox("a", "a.example")), c.Rcpt(Mailbox("b", "b.example"))),
        ]

    def test_none_is_called_that_is_not_named(self):
        adapter = Adapter()
        assert codes(adapter.greeting) == [220]
        answer = adapter.say(EHLO + b"VRFY x\r\nEXPN x\r\n" + DATA + b"hi\r\n.\r\nRSET\r\nQUIT\r\n")
        assert codes(answer) == [250, 252, 502, 250, 250, 354, 250, 250, 221]
        assert adapter.calls == []
        assert adapter.closed

    @pytest.mark.parametrize(
        ("hook", "said"),
        [
            ("on_connect", [550, 503]),
            ("on_hello", [220, 550]),
            ("on_mail", [220, 250, 550, 503, 503]),
            ("on_rcpt", [220, 250, 250, 550, 554]),
            ("on_message", [220, 250, 250, 250, 354, 550]),
        ],
    )
    def test_a_refusal_is_said(self, hook, said):
        adapter = Adapter(hooks={hook: Reply(550, "no")})
        answer = adapter.greeting + adapter.say(EHLO)
        if len(said) > 2:
            answer += adapter.say(DATA)
            if 354 in said:
                answer += adapter.say(b"hi\r\n.\r\n")
        assert codes(answer) == said

    @pytest.mark.parametrize("hook", ["on_mail", "on_message", "on_body"])
    @pytest.mark.parametrize("code", [400, 599])
    def test_any_4yz_or_5yz_is_a_refusal(self, hook, code):
        refusal = Reply(code, "no")
        adapter = ready(hooks={hook: reading([], refusal, enough=0) if hook == "on_body" else refusal})
        answer = adapter.say(b"MAIL FROM:<>\r\n" if hook == "on_mail" else DATA + b"hi\r\n.\r\n")
        assert codes(answer)[-1] == code

    @pytest.mark.parametrize(
        ("answer", "accepted"),
        [
            (None, 2),
            (Reply(250), 2),
            (Reply(550), 0),
            ([Reply(450), Reply(250)], 1),
            ([Reply(450), Reply(550)], 0),
        ],
    )
    def test_who_was_accepted_by_an_answer(self, answer, accepted):
        adapter = ready(config(lmtp=True), {"on_message": answer, "on_reset": None})
        driver, counted = adapter.driver, []
        adapter.hooks["on_message"] = lambda message: counted.append(driver.accepted_of(answer)) or answer
        adapter.say(TRANSACTION + b"RCPT TO:<c@b.example>\r\nDATA\r\nhi\r\n.\r\n")
        assert counted == [accepted]

    @pytest.mark.parametrize(
        ("answer", "replies"),
        [(None, (None,)), (Reply(550), (Reply(550),)), ([Reply(450), Reply(250)], (Reply(450), Reply(250)))],
    )
    def test_an_answer_is_a_reply_or_several(self, answer, replies):
        assert ready().driver.replies_of(answer) == replies

    def test_a_positive_reply_takes_the_place_of_the_standard_one(self):
        adapter = ready(hooks={"on_rcpt": Reply(251, "will forward"), "on_message": Reply(250, "queued as 7")})
        answer = adapter.say(DATA + b".\r\n")
        assert answer.splitlines()[1] == b"251 2.1.5 will forward"
        assert answer.splitlines()[-1] == b"250 2.0.0 queued as 7"

    @pytest.mark.parametrize(("answer", "code"), [(True, 235), (None, 535), (False, 535), (Reply(454, "later"), 454)])
    def test_on_login_decides_on_a_password(self, answer, code):
        adapter = ready(with_login(), {"on_login": answer})
        assert codes(adapter.say(LOGIN)) == [code]

    def test_on_login_gives_a_secret(self):
        adapter = ready(with_login(mechanisms=["CRAM-MD5"]), {"on_login": "pass"})
        adapter.say(b"AUTH CRAM-MD5\r\n")
        assert codes(adapter.say(playing.b64(b"user 00") + b"\r\n")) == [535]
        assert adapter.calls == [("on_login", FetchSecret("user", "CRAM-MD5"))]

    @pytest.mark.parametrize("hooks", [{"on_login": True}, {}])
    def test_a_login_that_is_barred_is_refused_and_no_hook_is_asked(self, hooks):
        adapter = ready(with_login(), hooks)
        sessions = []
        adapter.driver.bars_login = sessions.append
        assert codes(adapter.say(LOGIN)) == [235 if hooks else 535]
        assert sessions == [adapter.session]
        adapter = ready(with_login(), hooks)
        adapter.driver.bars_login = lambda session: say.TOO_MUCH_OF_ADDRESS
        assert adapter.say(LOGIN) == bytes(say.TOO_MUCH_OF_ADDRESS)
        assert adapter.calls == []

    def test_nobody_logs_in_where_nobody_looks(self):
        assert codes(ready(with_login()).say(LOGIN)) == [535]

    def test_on_command_answers_for_what_is_not_implemented(self):
        adapter = ready(config(extensions=["ETRN", "XCLIENT"]), {"on_command": Reply(250, "done")})
        assert codes(adapter.say(b"ETRN x\r\nEXPN x\r\nXCLIENT NAME=x\r\n")) == [250] * 3
        assert adapter.core.state is State.CONNECTED

    def test_and_none_of_it_is_accepted_without_it(self):
        adapter = ready(config(extensions=["ETRN", "XCLIENT"]))
        assert codes(adapter.say(b"ETRN x\r\nEXPN x\r\nXCLIENT NAME=x\r\nVRFY x\r\n")) == [502, 502, 502, 252]

    def test_the_connection_may_end_while_a_hook_is_at_work(self):
        adapter = ready(hooks={"on_mail": lambda command: adapter.core.close()})
        assert adapter.say(DATA) == b""
        assert adapter.closed


class TestMessages:
    def test_a_message_has_content_envelope_and_session(self):
        adapter = ready(hooks={"on_message": None})
        adapter.say(DATA + b"..one\r\n")
        adapter.say(b"two\r\n.\r\n")
        ((_, message),) = adapter.calls
        assert message.content == b".one\r\ntwo\r\n"
        assert (message.sender, message.recipients) == ("a@a.example", ["b@b.example"])
        assert message.session is adapter.session

    def test_chunks_are_one_message(self):
        adapter = ready(hooks={"on_message": None})
        assert codes(adapter.say(TRANSACTION + b"BDAT 3\r\nabcBDAT 0\r\nBDAT 3 LAST\r\ndef")) == [250] * 5
        assert adapter.calls[0][1].content == b"abcdef"

    def test_one_that_the_core_refuses_is_never_seen(self):
        adapter = ready(config(max_message_size=8), {"on_message": None, "on_reset": None})
        adapter.say(DATA + b"12345\r\n")
        assert codes(adapter.say(b"123\r\n.\r\nNOOP\r\n")) == [552, 250]
        assert adapter.names == ["on_reset"]

    def test_lmtp_takes_a_reply_for_each_recipient(self):
        adapter = ready(config(lmtp=True), {"on_message": [Reply(250, "yes"), Reply(452, "full")]})
        answer = adapter.say(TRANSACTION + b"RCPT TO:<c@c.example>\r\nDATA\r\n.\r\n")
        assert codes(answer)[-2:] == [250, 452]

    @pytest.mark.parametrize("lmtp", [False, True])
    def test_replies_that_do_not_match_the_recipients_are_an_error_of_this_side(self, lmtp):
        adapter = ready(config(lmtp=lmtp), {"on_message": [Reply(250)] * (2 if lmtp else 1)})
        assert codes(adapter.say(DATA + b".\r\n"))[-1] == 451

    @pytest.mark.parametrize(("lmtp", "wanted"), [(False, 0), (True, 2)])
    def test_how_many_replies_a_sequence_must_hold(self, lmtp, wanted):
        said = []
        adapter = ready(config(lmtp=lmtp), {"on_message": lambda message: said.append(adapter.driver.replies)})
        assert adapter.driver.replies is None
        adapter.say(TRANSACTION + b"RCPT TO:<c@c.example>\r\nDATA\r\n.\r\n")
        assert said == [wanted]

    def test_one_whose_connection_ends_meanwhile_has_no_verdict(self):
        adapter = ready(hooks={"on_message": lambda message: adapter.core.close(), "on_reset": None})
        adapter.say(DATA + b".\r\n")
        assert adapter.names == ["on_message", "on_reset"]
        assert adapter.closed

    def test_one_that_no_hook_is_asked_about_is_a_notice(self):
        adapter, names = ready(), []
        adapter.core.notice = names.append
        assert codes(adapter.say(DATA + b"hi\r\n.\r\n"))[-1] == 250
        assert names == ["message"]

    def test_nothing_is_collected_for_nobody(self):
        adapter = ready()
        adapter.say(DATA + b"x" * 10_000)
        assert adapter.driver._pieces == []
        assert codes(adapter.say(b"\r\n.\r\n")) == [250]


class TestStreams:
    def test_pieces_come_as_they_are_received(self):
        pieces = []
        adapter = ready(hooks={"on_body": reading(pieces), "on_message": None})
        assert codes(adapter.say(DATA)) == [250, 250, 354]
        assert pieces == []
        adapter.say(b"one\r\n")
        assert pieces == [b"one\r\n"]
        assert codes(adapter.say(b"two\r\n.\r\nNOOP\r\n")) == [250, 250]
        assert pieces == [b"one\r\n", b"two\r\n", "end"]
        assert adapter.names == ["on_body"]

    def test_chunks_are_answered_while_they_are_read(self):
        pieces = []
        adapter = ready(hooks={"on_body": reading(pieces)})
        assert codes(adapter.say(TRANSACTION + b"BDAT 3\r\nabc")) == [250, 250, 250]
        assert codes(adapter.say(b"NOOP\r\nBDAT 0\r\nVRFY x\r\nEXPN x\r\nBDAT 3 LAST\r\ndef")) == [
            250,
            250,
            252,
            502,
            250,
        ]
        assert pieces == [b"abc", b"def", "end"]

    def test_an_empty_message_is_a_stream_too(self):
        pieces = []
        assert codes(ready(hooks={"on_body": reading(pieces)}).say(DATA + b".\r\n"))[-1] == 250
        assert pieces == ["end"]

    def test_what_it_returns_is_the_verdict(self):
        adapter = ready(hooks={"on_body": reading([], Reply(554, "spam")), "on_reset": None})
        assert codes(adapter.say(DATA + b"hi\r\n.\r\n"))[-1] == 554
        assert adapter.names == ["on_body"]

    def test_the_rest_is_drained_for_one_that_returns_early(self):
        adapter = ready(hooks={"on_body": reading([], enough=1), "on_reset": None})
        assert codes(adapter.say(DATA + b"one\r\n")) == [250, 250, 354]
        assert codes(adapter.say(b"two\r\n")) == []
        assert codes(adapter.say(b".\r\nNOOP\r\n")) == [250, 250]
        assert adapter.names == ["on_body"]

    def test_and_an_early_refusal_is_said_at_the_end(self):
        adapter = ready(hooks={"on_body": reading([], Reply(554, "spam"), enough=0), "on_reset": None})
        adapter.say(DATA + b"one\r\n")
        assert codes(adapter.say(b"two\r\n.\r\nNOOP\r\n")) == [554, 250]
        assert adapter.names == ["on_body"]

    def test_also_where_all_has_come(self):
        adapter = ready(hooks={"on_body": reading([], Reply(554, "spam"), enough=0)})
        assert codes(adapter.say(DATA + b"one\r\n.\r\n"))[-1] == 554

    def test_a_body_that_the_core_refuses_raises(self):
        pieces = []
        adapter = ready(config(max_message_size=8), {"on_body": reading(pieces), "on_reset": None})
        adapter.say(DATA + b"12345\r\n")
        assert codes(adapter.say(b"678\r\n.\r\nNOOP\r\n")) == [552, 250]
        assert adapter.names == ["on_body", "on_body raised", "on_reset"]
        error = adapter.calls[1][1]
        assert isinstance(error, MessageRefused)
        assert error.reply == say.TOO_LARGE
        assert not [piece for piece in pieces if isinstance(piece, str)]
        with pytest.raises(MessageRefused):
            adapter.driver.next_chunk()

    def test_also_for_one_that_has_returned(self):
        adapter = ready(config(max_message_size=8), {"on_body": reading([], enough=1), "on_reset": None})
        adapter.say(DATA + b"12345\r\n")
        assert codes(adapter.say(b"678\r\n.\r\n")) == [552]
        assert adapter.names == ["on_body", "on_reset"]

    @pytest.mark.parametrize("ending", [b"", b"QUIT\r\n", b"RSET\r\n", EHLO])
    def test_a_body_that_is_given_up_raises(self, ending):
        adapter = ready(hooks={"on_body": reading([]), "on_reset": None})
        adapter.say(TRANSACTION + b"BDAT 3\r\nabc")
        adapter.say(ending)
        assert adapter.names == ["on_body", "on_body raised", "on_reset"]
        error = adapter.calls[1][1]
        assert isinstance(error, ConnectionLost)
        assert error.stage == "body"
        assert adapter.driver.replies_of(say.INTERNAL_ERROR) == ()
        assert adapter.driver.accepted_of(say.INTERNAL_ERROR) == 0
        if ending == EHLO:
            # The next message is one of its own.
            assert codes(adapter.say(DATA + b".\r\n"))[-1] == 250

    def test_also_for_one_that_has_returned_it(self):
        adapter = ready(
            hooks={"on_body": reading([], Reply(554, "spam"), enough=0), "on_reset": None, "on_close": None}
        )
        adapter.say(DATA + b"one\r\n")
        adapter.end()
        assert adapter.names == ["on_body", "on_close"]

    @pytest.mark.parametrize("rest", [b"BDAT 3 LAST\r\ndef", b"BDAT 3\r\ndefRSET\r\n"])
    def test_a_hello_that_is_refused_revives_no_stream(self, rest):
        refusals = iter([None, Reply(550, "no")])
        adapter = ready(hooks={"on_body": reading([]), "on_reset": None, "on_hello": lambda command: next(refusals)})
        adapter.say(TRANSACTION + b"BDAT 3\r\nabc" + EHLO)
        assert codes(adapter.say(rest))[0] == 451
        assert adapter.names.count("on_body") == 1
        assert adapter.names.count("on_reset") == 1

    def test_the_connection_may_end_while_it_is_at_work(self):
        def on_body(driver):
            driver.core.close()
            return Reply(554, "too late")
            yield

        adapter = ready(hooks={"on_body": on_body, "on_reset": None})
        adapter.say(DATA + b"one\r\n")
        assert adapter.closed
        assert adapter.names == ["on_body", "on_reset"]

    def test_at_the_end_of_a_body_its_size_is_known(self):
        said = []

        def on_body(driver):
            yield from reading([])(driver)
            said.append((driver.core.size, len(driver.core.recipients)))

        ready(hooks={"on_body": on_body}).say(DATA + b"hi\r\n.\r\n")
        assert said == [(4, 1)]

    def test_commands_between_chunks_are_answered_in_turns(self):
        adapter = ready(hooks={"on_body": reading([])})
        adapter.say(TRANSACTION + b"BDAT 3\r\nabc")
        adapter.writes = 0
        adapter.say(b"NOOP\r\n" * 1000)
        assert adapter.writes >= 10
        adapter = ready(hooks={"on_body": reading([], enough=0)})
        adapter.say(TRANSACTION + b"BDAT 3\r\nabc")
        adapter.say(b"NOOP\r\n" * 1000)
        assert adapter.writes >= 10


class TestReset:
    """on_reset comes exactly once where an open transaction ends without a verdict."""

    @pytest.mark.parametrize(
        ("said", "resets"),
        [
            (b"RSET\r\n", 0),
            (TRANSACTION + b"RSET\r\nRSET\r\n", 1),
            (TRANSACTION + EHLO, 1),
            (TRANSACTION + b"QUIT\r\n", 1),
            (TRANSACTION + b"BDAT 4\r\nabcdRSET\r\n", 1),
            (TRANSACTION + b"BDAT 99\r\n" + b"x" * 99 + b"RSET\r\n" + EHLO, 1),
            (TRANSACTION + b"BDAT 99\r\n" + b"x" * 99 + b"BDAT 4 LAST\r\nabcdQUIT\r\n", 1),
            (DATA + b"x" * 99 + b"\r\n.\r\nQUIT\r\n", 1),
            (DATA + b".\r\nRSET\r\nQUIT\r\n", 0),
            ((TRANSACTION + b"RSET\r\n") * 3, 3),
            (b"MAIL FROM:<\r\nRSET\r\n", 0),
        ],
    )
    def test_after_each_way_out(self, said, resets):
        adapter = ready(config(max_message_size=50), {"on_reset": None})
        adapter.say(said)
        assert adapter.names == ["on_reset"] * resets

    def test_the_end_of_the_stream(self):
        adapter = ready(hooks={"on_reset": None, "on_close": None})
        adapter.say(DATA + b"half a mess")
        adapter.end()
        assert adapter.names == ["on_reset", "on_close"]

    def test_a_last_chunk_for_nobody(self):
        adapter = ready(config(lmtp=True), {"on_reset": None})
        adapter.say(b"MAIL FROM:<>\r\nBDAT 2 LAST\r\nab")
        assert adapter.names == ["on_reset"]

    def test_a_refused_hello_ends_no_transaction(self):
        refusals = iter([None, Reply(550, "no")])
        adapter = ready(hooks={"on_reset": None, "on_hello": lambda command: next(refusals)})
        assert codes(adapter.say(TRANSACTION + EHLO + b"DATA\r\n")) == [250, 250, 550, 354]
        assert "on_reset" not in adapter.names

    def test_a_message_that_was_refused_has_its_verdict(self):
        adapter = ready(hooks={"on_reset": None, "on_message": Reply(554, "spam")})
        adapter.say(DATA + b".\r\n")
        assert adapter.names == ["on_message"]


class TestEnd:
    def test_what_is_left_is_written_before_on_close(self):
        adapter = ready(hooks={"on_close": lambda argument: adapter.calls.append(("written", adapter.writes))})
        assert codes(adapter.say(b"QUIT\r\n")) == [221]
        assert adapter.calls == [("on_close", None), ("written", 1)]

    def test_closing_is_for_ever(self):
        adapter = ready()
        adapter.say(b"QUIT\r\n")
        assert [adapter.driver.next(None) for _ in range(3)] == [CLOSE] * 3
        assert adapter.driver.timeout == 5

    def test_a_refused_connection_is_never_the_sessions(self):
        adapter = Adapter(hooks={"on_connect": None, "on_close": None}, refusal=say.TOO_MANY_CONNECTIONS)
        assert adapter.greeting == b"421 4.3.2 Too many connections\r\n"
        assert adapter.closed
        assert "on_connect" not in adapter.names

    def test_silence_ends_it_with_421(self):
        adapter = ready(config(limits=Limits(idle=7)), {"on_reset": None})
        assert adapter.driver.timeout == 7
        adapter.say(TRANSACTION)
        adapter.driver.timed_out()
        assert adapter.run() == b"421 4.4.2 Idle for too long\r\n"
        assert adapter.closed
        assert adapter.names == ["on_reset"]

    def test_a_session_that_lasts_too_long_is_told_so(self):
        adapter = ready()
        adapter.driver.overdue = True
        adapter.driver.timed_out()
        assert adapter.run() == bytes(say.SESSION_TOO_LONG)

    def test_also_in_the_middle_of_a_stream(self):
        adapter = ready(hooks={"on_body": reading([]), "on_reset": None})
        adapter.say(DATA + b"half")
        adapter.driver.timed_out()
        assert codes(adapter.run()) == [421]
        assert adapter.names == ["on_body", "on_body raised", "on_reset"]
        assert adapter.closed

    def test_the_transport_may_be_lost_anywhere(self):
        for said in (b"", EHLO, EHLO + DATA, EHLO + DATA + b"half"):
            adapter = Adapter(hooks={"on_close": None})
            if said:
                adapter.say(said)
            adapter.driver.lost(ConnectionResetError("reset"), flushed=False)
            adapter.run()
            assert adapter.closed
            assert adapter.names == ["on_close"]

    def test_also_between_starttls_and_the_end_of_its_handshake(self):
        silent = SimpleNamespace(facts=None, data_to_send=bytes, close=bytes)
        adapter = Adapter(config(tls_available=True), make_tls=lambda: silent)
        assert codes(adapter.say(EHLO) + adapter.say(b"STARTTLS\r\n")) == [250, 220]
        adapter.driver.lost(ConnectionResetError("reset"))
        assert adapter.run() == b""
        assert adapter.closed


class TestFinished:
    @pytest.mark.parametrize(("octets", "finished"), [(b"QUIT\r\n", True), (b"QUIT\r\nNOOP\r\n", False), (b"", False)])
    def test_who_has_said_quit_and_no_more_will_say_no_more(self, octets, finished):
        adapter = ready()
        adapter.say(octets)
        assert adapter.driver.finished is finished

    def test_inside_tls_that_is_said_too(self):
        core, session = playing.ServerConnection(config()), SimpleNamespace()
        driver = playing.ServerDriver(core, session, set())
        core.finished = True
        assert driver.finished
        driver._tls = object()
        assert not driver.finished


class TestShutDown:
    def test_between_transactions_it_is_now(self):
        adapter = ready()
        assert adapter.driver.may_be_woken
        assert adapter.driver.shut_down() is True
        assert adapter.run() == b"421 4.3.2 Service is shutting down\r\n"
        assert adapter.closed
        assert adapter.driver.shut_down() is True

    @pytest.mark.parametrize("hooks", [{}, {"on_message": None}, {"on_body": reading([])}])
    def test_a_transaction_is_finished_first(self, hooks):
        adapter = ready(hooks=hooks)
        adapter.say(DATA)
        assert not adapter.driver.may_be_woken
        assert adapter.driver.shut_down() is False
        assert codes(adapter.say(b"hi\r\n.\r\n" + TRANSACTION)) == [250, 421]
        assert adapter.closed

    def test_or_given_up(self):
        adapter = ready()
        adapter.say(TRANSACTION)
        assert adapter.driver.shut_down() is False
        assert codes(adapter.say(b"RSET\r\n" + TRANSACTION)) == [250, 421]

    def test_a_hook_that_is_at_work_is_waited_for(self):
        said = []
        adapter = Adapter(hooks={"on_hello": lambda command: said.append(adapter.driver.shut_down())})
        assert codes(adapter.say(EHLO)) == [250, 421]
        assert said == [False]

    def test_a_transaction_that_begins_meanwhile_is_finished(self):
        adapter = ready(hooks={"on_mail": lambda command: adapter.driver.shut_down() or None})
        assert codes(adapter.say(DATA + b".\r\nNOOP\r\n")) == [250, 250, 354, 250, 421]

    def test_a_hook_that_refuses_ends_it(self):
        adapter = ready(hooks={"on_mail": lambda command: adapter.driver.shut_down() or Reply(550, "no")})
        assert codes(adapter.say(DATA)) == [550, 421]

    @pytest.mark.parametrize(
        ("hook", "said"),
        [("on_mail", [421]), ("on_rcpt", [250, 421]), ("on_message", [250, 250, 354, 421]), ("on_login", [421])],
    )
    @pytest.mark.parametrize("late", [None, Reply(550, "late")])
    def test_what_a_hook_answers_that_hangs_is_ignored(self, hook, said, late):
        def hang(argument):
            adapter.driver.dismiss(Reply(421, "too long", "4.3.0"))
            assert adapter.driver.timeout == 5
            return late

        adapter = ready(with_login() if hook == "on_login" else None, hooks={hook: hang})
        assert codes(adapter.say(LOGIN if hook == "on_login" else DATA + b"hi\r\n.\r\nNOOP\r\n")) == said
        assert adapter.closed


class TestUnread:
    LIMITS = Limits(unread=1000, unread_before_login=100)

    @pytest.mark.parametrize(("required", "before"), [(True, 100), (False, 1000)])
    def test_less_may_wait_before_a_login_that_is_required(self, required, before):
        adapter = ready(with_login(required=required, limits=self.LIMITS), {"on_login": True})
        assert adapter.driver.unread_limit == before
        adapter.say(LOGIN)
        assert adapter.driver.unread_limit == 1000

    def test_without_logins_there_is_one_limit(self):
        assert ready(config(limits=self.LIMITS)).driver.unread_limit == 1000


class TestWaits:
    @pytest.mark.parametrize("opening", [b"", TRANSACTION])
    def test_a_wait_begins_when_something_was_written(self, opening):
        adapter = ready()
        adapter.say(opening or b"NOOP\r\n")
        before = adapter.driver.waits
        for octet in b"NOOP":
            adapter.say(bytes([octet]))
        assert adapter.driver.waits == before
        adapter.say(b"\r\n")
        assert adapter.driver.waits > before

    @pytest.mark.parametrize("hooks", [{}, {"on_message": None}, {"on_body": reading([])}])
    def test_and_with_each_piece_of_content(self, hooks):
        adapter = ready(config(max_message_size=15), hooks)
        adapter.say(DATA)
        for _ in range(5):
            before = adapter.driver.waits
            adapter.say(b"piece")  # also of content that is dropped
            assert adapter.driver.waits > before

    def test_events_are_taken_in_turns(self):
        adapter = ready(config(limits=Limits(commands=100_000)))
        assert len(codes(adapter.say(b"NOOP\r\n" * 40_000))) == 40_000
        assert adapter.writes >= 400
        for line in (
            b"RSET\r\n",
            b"VRFY x\r\n",
            b"MAIL FROM:<>\r\nRSET\r\n",
            b"MAIL FROM:<>\r\n" + b"RCPT TO:<a@b>\r\n" * 150,
        ):
            before = adapter.writes
            adapter.say(line * 1000)
            assert adapter.writes - before >= 10

    def test_content_that_comes_too_slowly(self):
        adapter = ready(config(limits=Limits(minimum_rate=10)))
        assert not any(adapter.driver.too_slow(50) for _ in range(10))  # that is idle time
        adapter.say(DATA)
        assert not adapter.driver.too_slow(0)
        adapter.say(b"x" * 601)
        assert not adapter.driver.too_slow(30)
        assert not adapter.driver.too_slow(30)
        for octets, slow in ((600, False), (599, True)):
            adapter.say(b"x" * octets)
            assert not adapter.driver.too_slow(30)
            assert adapter.driver.too_slow(30) is slow
        adapter.driver.timed_out()
        assert codes(adapter.run()) == [421]

    def test_that_is_known_after_a_minute_and_after_each_further_one(self):
        adapter = ready(config(limits=Limits(minimum_rate=10)))
        adapter.driver.too_slow(50)
        adapter.say(DATA)
        for _ in range(2):
            assert [adapter.driver.too_slow(seconds) for seconds in (59.5, 0.5)] == [False, True]

    def test_also_in_many_small_chunks(self):
        adapter = ready(config(limits=Limits(minimum_rate=10)))
        adapter.say(TRANSACTION + b"BDAT 1\r\nx")
        assert not adapter.driver.too_slow(30)
        adapter.say(b"BDAT 1\r\nx")
        assert adapter.driver.too_slow(30)

    def test_who_is_too_slow_is_told_421(self):
        adapter = ready(config(limits=Limits(minimum_rate=64)), {})
        adapter.say(DATA + b"x")
        adapter.driver.waited(30)
        assert not adapter.core.closed
        adapter.driver.waited(31)
        assert adapter.run() == bytes(say.TOO_SLOW)

    def test_without_a_rate_nothing_is_too_slow(self):
        adapter = ready(config(limits=Limits(minimum_rate=None)))
        adapter.say(DATA)
        assert not adapter.driver.too_slow(10_000)


class TestMemory:
    def test_nothing_of_a_message_is_kept_behind_it(self):
        adapter = ready(hooks={"on_message": None})
        adapter.say(DATA)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        adapter.say(b"x" * 1_000_000)
        adapter.calls.clear()
        adapter.say(b"\r\n.\r\n")
        adapter.calls.clear()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert after - before < 10_000

    @pytest.mark.parametrize("way_out", [b"", b"RSET\r\n"])
    def test_nothing_half_received_is_kept(self, way_out):
        adapter = ready(hooks={"on_message": None})
        adapter.say(TRANSACTION + b"BDAT 100\r\n" + b"x" * 100 + b"NOOP\r\n")
        adapter.say(b"BDAT 1000000\r\n")
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        adapter.say(b"x" * 1_000_000)
        adapter.say(way_out)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert after - before < 10_000

    def test_a_secret_that_a_hook_gave_is_not_kept(self):
        class Secret(str):
            pass

        secrets = []

        def on_login(question):
            secret = Secret("pass")
            secrets.append(weakref.ref(secret))
            return secret

        adapter = ready(with_login(mechanisms=["CRAM-MD5"]), {"on_login": on_login})
        adapter.say(b"AUTH CRAM-MD5\r\n" + playing.b64(b"user 00") + b"\r\n")
        assert secrets[0]() is None


def test_by_hand_it_is_needs_and_calls():
    session = SimpleNamespace()
    core = playing.ServerConnection(config())
    driver = playing.ServerDriver(core, session, {"on_connect"})
    assert driver.next(None) == Call("on_connect")
    assert driver.next(None) is READ
    assert codes(driver.take()) == [220]
    driver.receive(b"NOOP\r\n" * 250)
    assert driver.unread == 1500
    assert [(driver.next(None), len(codes(driver.take()))) for _ in range(26)] == [*[(WRITE, 10)] * 25, (READ, 0)]


class TestForwarded:
    """XFORWARD speaks of one message (Postfix's XFORWARD_README)."""

    TOLD = b"XFORWARD NAME=spike.example ADDR=192.0.2.7\r\n"

    @pytest.mark.parametrize("rest", [DATA + b"hi\r\n.\r\n", TRANSACTION + b"RSET\r\n", b"RSET\r\n"])
    def test_what_it_told_is_forgotten_with_its_message(self, rest):
        adapter = ready(config(extensions=["XFORWARD"]), {"on_command": Reply(250, "Ok")})
        assert codes(adapter.say(self.TOLD)) == [250]
        assert adapter.session.forwarded == {"NAME": "spike.example", "ADDR": "192.0.2.7"}
        adapter.say(rest)
        assert adapter.session.forwarded == {}
