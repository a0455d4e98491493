"""The short exchanges: what they say to which reply, and how they end."""

from binascii import b2a_base64

import pytest

from smtpkit.errors import (
    ConnectionLost,
    LocalProtocolError,
    NotSupported,
    ParseError,
    RecipientsRefused,
    RemoteProtocolError,
    ReplyError,
    TLSError,
)
from smtpkit.protocol import ClientConfig, ClientConnection, ConnectionClosed, Credentials, TLSFacts
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.exchanges import (
    command,
    greeting,
    hello,
    one_message,
    opening,
    quit_session,
    reset,
    start_tls,
)
from smtpkit.protocol.sending import Sending
from smtpkit.wire.commands import Etrn, Mail, Noop, XClient

TIM = Credentials("tim", "secret")
NAME = "c.example"


def b64(octets):
    return b2a_base64(octets, newline=False).decode()


@pytest.fixture
def new():
    return ClientConnection(ClientConfig())


def greeted(lmtp=False):
    core = ClientConnection(ClientConfig(lmtp=lmtp))
    core.receive_data(b"220 hi\r\n")
    core.next_event()
    return core


# Greeting, hello, and single commands


def test_a_greeting_of_220_is_returned(play, new):
    assert play(new, greeting(), ["S: 220 mx.example ready"]).result.text == "mx.example ready"


@pytest.mark.parametrize("line", ["554 no", "521 never", "421 later"])
def test_any_other_greeting_is_an_error(play, new, line):
    with pytest.raises(ReplyError, match=f"greeting refuses service: {line}") as info:
        play(new, greeting(), [f"S: {line}"])
    assert info.value.may_retry == (line[0] == "4")


def test_hello_gives_the_capabilities(play):
    core = greeted()
    reply = play(core, hello(core, NAME), ["C: EHLO c.example", "S: 250-mx", "S: 250 SIZE 9"]).result
    assert reply.code == 250
    assert core.capabilities.size == 9


def test_hello_in_lmtp_is_lhlo(play):
    core = greeted(lmtp=True)
    play(core, hello(core, NAME), ["C: LHLO c.example", "S: 250 mx"])


@pytest.mark.parametrize("code", [500, 502, 504, 550])
def test_a_server_that_does_not_know_ehlo_is_said_helo(play, code):
    core = greeted()
    script = ["C: EHLO c.example", f"S: {code} what", "C: HELO c.example", "S: 250 mx"]
    assert play(core, hello(core, NAME), script).rounds == 2
    assert dict(core.capabilities) == {}


def test_helo_can_be_refused_too(play):
    core = greeted()
    script = ["C: EHLO c.example", "S: 502 what", "C: HELO c.example", "S: 550 no"]
    with pytest.raises(ReplyError, match="HELO: 550 no"):
        play(core, hello(core, NAME), script)


@pytest.mark.parametrize("code", [421, 451, 501, 521, 554])
def test_other_refusals_of_ehlo_are_final(play, code):
    core = greeted()
    with pytest.raises(ReplyError, match=f"EHLO: {code} no"):
        play(core, hello(core, NAME), ["C: EHLO c.example", f"S: {code} no"])


def test_where_an_extension_is_needed_there_is_no_helo(play):
    core = greeted()
    with pytest.raises(ReplyError):
        play(core, hello(core, NAME, fall_back=False), ["C: EHLO c.example", "S: 502 what"])


def test_in_lmtp_there_is_no_helo(play):
    core = greeted(lmtp=True)
    with pytest.raises(ReplyError, match="LHLO: 500"):
        play(core, hello(core, NAME), ["C: LHLO c.example", "S: 500 what"])


@pytest.mark.parametrize("name", ["a\r\nb", "a b", "grün.example", ""])
def test_a_name_that_is_none_is_not_said(play, name):
    core = greeted()
    with pytest.raises(ParseError):
        play(core, hello(core, name), [])


def test_a_single_command_gives_its_reply_whatever_it_is(play, ready):
    core = ready()
    assert play(core, command(Noop()), ["C: NOOP", "S: 500 what"]).result.code == 500
    assert play(core, command(Noop()), ["C: NOOP", "S: 250 ok"]).result.code == 250


def test_a_command_of_an_extension_that_is_not_offered_is_not_sent(play, ready):
    item = Etrn("b.example")
    with pytest.raises(NotSupported, match="the server does not offer ETRN") as info:
        play(ready(), command(item, ready()), [])
    assert info.value.extension == "ETRN"
    core = ready("ETRN")
    assert play(core, command(item, core), ["C: ETRN b.example", "S: 250 ok"]).result.code == 250
    assert play(core, command(Noop(), core), ["C: NOOP", "S: 250 ok"]).result.code == 250


def test_before_any_hello_nothing_is_known_of_extensions(play):
    core = ClientConnection(ClientConfig())
    play(core, greeting(), ["S: 220 mx"])
    item = XClient({"NAME": "x"})
    assert play(core, command(item, core), ["C: XCLIENT NAME=x", "S: 220 mx"]).result.code == 220


def test_a_command_out_of_order_is_an_error_of_this_side(play, ready):
    core = ready()
    play(core, command(Mail(None)), ["C: MAIL FROM:<>", "S: 250 ok"])
    with pytest.raises(LocalProtocolError, match="MAIL is out of order"):
        play(core, command(Mail(None)), [])


def test_reset_and_quit(play, ready):
    core = ready()
    assert play(core, reset(), ["C: RSET", "S: 250 ok"]).result.text == "ok"
    with pytest.raises(ReplyError, match="RSET: 502"):
        play(core, reset(), ["C: RSET", "S: 502 no"])
    played = play(core, quit_session(), ["C: QUIT", "S: 221 bye"])
    assert (played.result.text, played.driver.broken) == ("bye", True)


# STARTTLS


def test_starttls_that_is_not_offered_says_what_is(play, ready):
    core = ready("SIZE", "PIPELINING")
    with pytest.raises(TLSError, match="SIZE, PIPELINING") as info:
        play(core, start_tls(core), [])
    assert "tls='implicit'" in str(info.value)
    assert info.value.reason == "not offered"
    with pytest.raises(TLSError, match="offers: nothing"):
        play(ready(), start_tls(ready()), [])


def test_starttls_that_is_refused_is_an_error(play, ready):
    core = ready("STARTTLS")
    with pytest.raises(TLSError, match="refused STARTTLS: 454 later") as info:
        play(core, start_tls(core), ["C: STARTTLS", "S: 454 later"])
    assert info.value.reason == "refused"


# The opening

HELLO = ["S: 220 hi", "C: EHLO c.example"]


def test_the_opening_in_clear(play, new):
    script = [*HELLO, "S: 250-mx", "S: 250 STARTTLS"]
    assert play(new, opening(new, NAME, tls="off"), script).result.text == "hi"


def test_if_offered_goes_on_in_clear_where_starttls_is_not_offered(play, new):
    play(new, opening(new, NAME), [*HELLO, "S: 250 mx"])


def test_if_offered_falls_back_to_helo(play, new):
    play(new, opening(new, NAME), [*HELLO, "S: 502 what", "C: HELO c.example", "S: 250 mx"])


def test_if_offered_goes_on_in_clear_where_starttls_is_refused(play, new):
    play(new, opening(new, NAME), [*HELLO, "S: 250-mx", "S: 250 STARTTLS", "C: STARTTLS", "S: 454 later"])


def test_a_server_that_closes_at_starttls_is_not_gone_on_with(play, new):
    with pytest.raises(TLSError, match="421"):
        play(new, opening(new, NAME), [*HELLO, "S: 250-mx", "S: 250 STARTTLS", "C: STARTTLS", "S: 421 closing"])


@pytest.mark.parametrize("rest", [["S: 250 mx"], ["S: 250-mx", "S: 250 STARTTLS", "C: STARTTLS", "S: 454 no"]])
def test_required_means_required(play, new, rest):
    with pytest.raises(TLSError):
        play(new, opening(new, NAME, tls="required"), [*HELLO, *rest])


def test_required_does_not_fall_back_to_helo(play, new):
    with pytest.raises(ReplyError):
        play(new, opening(new, NAME, tls="required"), [*HELLO, "S: 502 what"])


@pytest.mark.parametrize("tls", ["required", "if-offered"])
def test_octets_behind_starttls_end_it_under_every_policy(play, new, tls):
    script = [*HELLO, "S: 250-mx", "S: 250 STARTTLS", "C: STARTTLS", "S: 220 go", "S: 250 AUTH PLAIN"]
    with pytest.raises(RemoteProtocolError):
        play(new, opening(new, NAME, tls=tls), script)


class FakeTLS:
    """The interface of smtpkit.tls.TLS with a handshake that one octet completes, or fails."""

    def __init__(self, fails=False):
        self.facts, self.eof, self.fails, self.out = None, False, fails, b"hello"

    def feed(self, octets):
        if self.facts is None:
            if self.fails or not octets:
                raise TLSError("the certificate does not verify")
            self.facts = TLSFacts("TLSv1.3", "x", True)
            return b""
        return octets

    def write(self, octets):
        self.out += octets

    def data_to_send(self):
        octets, self.out = self.out, b""
        return octets


def run(core, exchange, *acts, implicit=False, tls=None):
    """What the client says, turn by turn, and the result."""
    driver = ClientDriver(core, make_tls=lambda: tls or FakeTLS(), implicit_tls=implicit)
    driver.start(exchange)
    said = []
    acts = list(acts)
    while (need := driver.next()).name != "DONE":
        octets = driver.take()
        if need.name == "READ":
            said.append(octets)
            act = acts.pop(0)
            driver.receive(act)
    return said, driver.result


def test_after_starttls_the_server_is_asked_again(new):
    said, reply = run(
        new,
        opening(new, NAME, tls="required", credentials=TIM),
        b"220 hi\r\n",
        b"250-mx\r\n250-AUTH LOGIN\r\n250 STARTTLS\r\n",
        b"220 go\r\n",
        b"!",
        b"250-mx\r\n250 AUTH PLAIN\r\n",
        b"235 ok\r\n",
    )
    login_line = f"AUTH PLAIN {b64(b'%ctim%csecret' % (0, 0))}\r\n".encode()
    assert said == [b"", b"EHLO c.example\r\n", b"STARTTLS\r\n", b"hello", b"EHLO c.example\r\n", login_line]
    assert reply.code == 220


def test_if_offered_a_server_may_know_helo_alone_behind_starttls(new):
    heard = (b"220 hi\r\n", b"250-mx\r\n250 STARTTLS\r\n", b"220 go\r\n", b"!", b"502 what\r\n", b"250 mx\r\n")
    said, _ = run(new, opening(new, NAME), *heard)
    assert said[-1] == b"HELO c.example\r\n"


@pytest.mark.parametrize("tls", ["implicit", "required", "if-offered"])
def test_under_tls_starttls_is_not_said(new, tls):
    said, _ = run(new, opening(new, NAME, tls=tls), b"!", b"220 hi\r\n", b"250-mx\r\n250 STARTTLS\r\n", implicit=True)
    assert said == [b"hello", b"", b"EHLO c.example\r\n"]


def test_with_implicit_tls_a_server_may_know_helo_alone(new):
    said, _ = run(
        new, opening(new, NAME, tls="implicit"), b"!", b"220 hi\r\n", b"502 what\r\n", b"250 mx\r\n", implicit=True
    )
    assert said[-1] == b"HELO c.example\r\n"


@pytest.mark.parametrize("tls", ["required", "if-offered"])
def test_a_handshake_that_fails_is_never_followed_by_clear_text(new, tls):
    acts = (b"220 hi\r\n", b"250-mx\r\n250 STARTTLS\r\n", b"220 go\r\n", b"!")
    with pytest.raises(TLSError, match="does not verify"):
        run(new, opening(new, NAME, tls=tls), *acts, tls=FakeTLS(fails=True))


def test_a_connection_that_ends_in_the_opening_names_the_stage(play, new):
    with pytest.raises(ConnectionLost) as info:
        play(new, opening(new, NAME), [*HELLO, "S: <eof>"])
    assert info.value.stage == "EHLO"
    assert "EHLO" in str(info.value)
    assert info.value.may_retry


# A whole session


BEGUN = ["S: 220 mx", "C: EHLO c.example", "S: 250 mx"]
TRANSACTION = ["C: MAIL FROM:<a@a.example>", "S: 250 Ok", "C: RCPT TO:<b@b.example>"]


def session(new, **options):
    return one_message(new, NAME, Sending(new, "a@a.example", ["b@b.example"], b"", {}), tls="off", **options)


@pytest.mark.parametrize("farewell", ["S: 221 Bye", "S: 421 Whatever", "S: <eof>", "S: <silence>"])
def test_one_message_is_a_whole_session_and_its_end_changes_nothing(play, new, farewell):
    accepted = ["S: 250 Ok", "C: DATA", "S: 354 Go on", "C: .", "S: 250 Taken", "C: QUIT"]
    result = play(new, session(new), [*BEGUN, *TRANSACTION, *accepted, farewell]).result
    assert list(result.accepted) == ["b@b.example"]


def test_leave_is_taken_after_a_refusal_too(play, new):
    refused = ["S: 550 No", "C: RSET", "S: 250 Ok", "C: QUIT", "S: 221 Bye"]
    with pytest.raises(RecipientsRefused, match="550 No"):
        play(new, session(new), [*BEGUN, *TRANSACTION, *refused])


def test_but_not_of_a_server_that_has_taken_its_own(play, new):
    with pytest.raises(ReplyError, match="421 Later"):
        play(new, session(new), ["S: 220 mx", "C: EHLO c.example", "S: 421 Later"])


def test_nor_behind_a_message_where_the_line_broke_within_its_answers():
    core = greeted(lmtp=True)
    exchange = one_message(core, NAME, Sending(core, "a@a.example", ["b@b.example", "c@c.example"], b"", {}))
    group, answers = None, [b"250 mx\r\n", *[b"250 Ok\r\n"] * 3, b"354 Go on\r\n", b"250 Taken\r\n"]
    next(exchange)
    group = exchange.send([core.greeting])
    for octets in answers:
        core.send(*group)
        core.receive_data(octets)
        replies = []
        if core.take_replies(replies) is None:
            group = exchange.send(replies)
    core.receive_data(b"")
    assert isinstance(core.next_event(), ConnectionClosed)
    lost = ConnectionLost("the line broke")
    lost.replies = tuple(replies)
    with pytest.raises(StopIteration) as end:  # with no QUIT, which could not be said
        exchange.throw(lost)
    assert [outcome.verdict.value for outcome in end.value.value.recipients.values()] == ["accepted", "unknown"]


def test_nor_of_one_that_is_gone(play, new):
    with pytest.raises(ConnectionLost):
        play(new, session(new), [*BEGUN, *TRANSACTION, "S: <eof>"])
