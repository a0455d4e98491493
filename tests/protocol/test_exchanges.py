"""The short exchanges: what they say to which reply, and how they end."""

import pickle
from binascii import b2a_base64

import pytest

from smtpkit.errors import (
    AuthenticationError,
    ConnectionLost,
    LocalProtocolError,
    NotSupported,
    ParseError,
    RecipientsRefused,
    RemoteProtocolError,
    ReplyError,
    TLSError,
)
from smtpkit.protocol import ClientConfig, ClientConnection, Credentials, TLSFacts
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.exchanges import (
    command,
    greeting,
    hello,
    login,
    one_message,
    opening,
    quit_session,
    reset,
    start_tls,
)
from smtpkit.protocol.sending import Sending
from smtpkit.sasl import server_mechanism
from smtpkit.wire.commands import Mail, Noop, StartTLS

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


def test_a_command_out_of_order_is_an_error_of_this_side(play, ready):
    core = ready()
    play(core, command(Mail(None)), ["C: MAIL FROM:<>", "S: 250 ok"])
    with pytest.raises(LocalProtocolError, match="MAIL is out of order"):
        play(core, command(Mail(None)), [])


def test_reset_and_quit(play, ready):
    core = ready()
    play(core, reset(), ["C: RSET", "S: 250 ok"])
    with pytest.raises(ReplyError, match="RSET: 502"):
        play(core, reset(), ["C: RSET", "S: 502 no"])
    assert play(core, quit_session(), ["C: QUIT", "S: 221 bye"]).driver.broken


# STARTTLS


def test_starttls_that_is_not_offered_says_what_is(play, ready):
    core = ready("SIZE", "PIPELINING")
    with pytest.raises(TLSError, match="SIZE, PIPELINING") as info:
        play(core, start_tls(core), [])
    assert "tls='implicit'" in str(info.value)
    with pytest.raises(TLSError, match="offers: nothing"):
        play(ready(), start_tls(ready()), [])


def test_starttls_that_is_refused_is_an_error(play, ready):
    core = ready("STARTTLS")
    with pytest.raises(TLSError, match="refused STARTTLS: 454 later"):
        play(core, start_tls(core), ["C: STARTTLS", "S: 454 later"])


# Login


def test_plain_goes_with_its_initial_response(play, ready):
    core = ready("AUTH PLAIN", tls=True)
    script = [f"C: AUTH PLAIN {b64(b'tim'.join([bytes(1)] * 2) + b'secret')}", "S: 235 2.7.0 welcome"]
    played = play(core, login(core, TIM), script)
    assert played.result.code == 235
    assert played.rounds == 1  # and no EHLO follows


def test_in_clear_no_secret_is_shown_unless_allowed(play, ready):
    core = ready("AUTH PLAIN LOGIN")
    with pytest.raises(NotSupported, match="allow_auth_in_clear") as info:
        play(core, login(core, TIM), [])
    assert info.value.extension == "AUTH"
    response = b64(b"\0tim\0secret")
    play(core, login(core, TIM, allow_in_clear=True), [f"C: AUTH PLAIN {response}", "S: 235 ok"])


def test_what_was_offered_before_tls_does_not_count(play, ready):
    core = ready("AUTH PLAIN", "STARTTLS")
    core.send(StartTLS())
    core.data_to_send()
    core.receive_data(b"220 go\r\n")
    core.next_event()
    core.tls_established(TLSFacts("TLSv1.3", "x"))
    with pytest.raises(NotSupported, match="no AUTH"):
        play(core, login(core, TIM), [])


def test_a_server_without_auth_may_want_tls_first(play, ready):
    with pytest.raises(NotSupported, match="only after STARTTLS"):
        play(ready(), login(ready(), TIM), [])
    with pytest.raises(NotSupported) as info:
        play(ready(), login(ready(tls=True), TIM), [])
    assert "STARTTLS" not in str(info.value)


@pytest.mark.parametrize(
    ("credentials", "words"),
    [(Credentials("tim"), "user name alone"), (Credentials("tim", token="t"), "with a token")],
)
def test_without_a_mechanism_the_error_says_what_there_is(play, ready, credentials, words):
    core = ready("AUTH PLAIN", tls=True)
    with pytest.raises(NotSupported, match=words):
        play(core, login(core, credentials), [])


def test_a_long_initial_response_waits_for_the_challenge(play, ready):
    core = ready("AUTH XOAUTH2", tls=True)
    token = "t" * 400
    response = b64(f"user=tim\1auth=Bearer {token}\1\1".encode())
    script = ["C: AUTH XOAUTH2", "S: 334 Go ahead", f"C: {response}", "S: 235 ok"]
    play(core, login(core, Credentials("tim", token=token)), script)


def test_a_refused_token_tells_why(play, ready):
    core = ready("AUTH XOAUTH2", tls=True)
    response = b64(b"user=tim\1auth=Bearer tok\1\1")
    script = [
        f"C: AUTH XOAUTH2 {response}",
        f"S: 334 {b64(b'{' + bytes([34]) + b'status' + bytes([34]) + b':' + bytes([34]) + b'400' + bytes([34, 125]))}",
        "C: ",
        "S: 535 5.7.8 no",
    ]
    with pytest.raises(AuthenticationError, match="400"):
        play(core, login(core, Credentials("tim", token="tok")), script)


def test_a_user_name_and_a_secret_may_be_fetched_when_they_are_needed(play, ready):
    core = ready("AUTH OAUTHBEARER", tls=True)
    asked = []
    credentials = Credentials(lambda: "tim", token=lambda: asked.append(1) or "tok")
    assert not asked
    response = b64(b"n,a=tim,\1auth=Bearer tok\1\1")
    play(core, login(core, credentials), [f"C: AUTH OAUTHBEARER {response}", "S: 235 ok"])
    assert asked == [1]


@pytest.mark.parametrize("prompts", [("VXNlcm5hbWU6", "UGFzc3dvcmQ6"), ("Go ahead", "now"), ("", "=")])
def test_login_does_not_read_its_prompts(play, ready, prompts):
    core = ready("AUTH LOGIN", tls=True)
    script = ["C: AUTH LOGIN", f"S: 334 {prompts[0]}", "C: dGlt", f"S: 334 {prompts[1]}", "C: c2VjcmV0", "S: 235 ok"]
    play(core, login(core, TIM), script)


def test_plain_ignores_a_prompt_in_clear_text(play, ready):
    core = ready("AUTH PLAIN", tls=True)
    password = "p" * 400
    script = ["C: AUTH PLAIN", "S: 334 Go ahead", f"C: {b64(b'%ctim%c' % (0, 0) + password.encode())}", "S: 235 ok"]
    play(core, login(core, Credentials("tim", password)), script)


def test_a_challenge_too_many_is_cancelled(play, ready):
    core = ready("AUTH PLAIN", tls=True)
    script = [f"C: AUTH PLAIN {b64(b'%ctim%csecret' % (0, 0))}", "S: 334 more", "C: *", "S: 501 cancelled"]
    with pytest.raises(AuthenticationError, match="challenge is not valid"):
        play(core, login(core, TIM), script)
    assert core.idle


@pytest.mark.parametrize("challenge", ["hello there", b64(b"r=other,s=QQ==,i=4096")])
def test_a_challenge_that_cannot_be_understood_is_cancelled(play, ready, challenge):
    core = ready("AUTH SCRAM-SHA-256")
    script = [b"C: AUTH SCRAM-SHA-256 ", f"S: 334 {challenge}"]
    exchange = login(core, TIM)
    (first,) = next(exchange)
    core.send(first)
    core.receive_data(script[1][3:].encode() + b"\r\n")
    (response,) = exchange.send((core.next_event(),))
    assert response.octets is None
    core.send(response)
    core.receive_data(b"501 5.7.0 as you like\r\n")
    with pytest.raises(AuthenticationError) as info:
        exchange.send((core.next_event(),))
    assert info.value.reply.code == 501


@pytest.mark.parametrize("line", ["535 5.7.8 wrong", "454 4.7.0 later", "534 too weak"])
def test_there_is_one_attempt(play, ready, line):
    core = ready("AUTH PLAIN LOGIN CRAM-MD5", tls=True)
    with pytest.raises(AuthenticationError, match="AUTH PLAIN") as info:
        play(core, login(core, TIM), [f"C: AUTH PLAIN {b64(b'%ctim%csecret' % (0, 0))}", f"S: {line}"])
    error = info.value
    assert error.may_retry == (line[0] == "4")
    assert error.command.verb == "AUTH"
    assert b"secret" not in pickle.dumps(error)
    assert b64(b"secret")[:6].encode() not in pickle.dumps(error)


def test_a_secret_that_cannot_be_written_is_not_sent(play, ready):
    core = ready("AUTH PLAIN", tls=True)
    with pytest.raises(ParseError):
        play(core, login(core, Credentials("tim", "a\0b")), [])


def scram(core, credentials, password, *, forged=False, skipped=False, **facts):
    """Play a SCRAM server to login(); returns the mechanism that was used and the first message."""
    exchange = login(core, credentials)
    (auth,) = next(exchange)
    server = server_mechanism(auth.mechanism, auth.initial_response, **facts)
    step = next(server)  # FetchSecret
    challenge = server.send(password)
    core.send(auth)
    try:
        while True:
            octets = challenge.octets
            if octets.startswith(b"v=") and forged:
                octets = b"v=" + b64(b"x" * 32).encode()
            core.receive_data(
                b"235 ok\r\n" if octets.startswith(b"v=") and skipped else b"334 %s\r\n" % b64(octets).encode()
            )
            (response,) = exchange.send((core.next_event(),))
            core.send(response)
            if response.octets is None:
                core.receive_data(b"501 cancelled\r\n")
                exchange.send((core.next_event(),))
            try:
                challenge = server.send(response.octets)
            except StopIteration as end:
                identity = end.value
                core.receive_data(b"235 ok\r\n")
                exchange.send((core.next_event(),))
    except StopIteration as end:
        reply = end.value
    assert (identity, reply.code) == ("tim", 235)
    assert step.username == "tim"
    return auth


def test_scram_is_preferred_and_shows_no_secret(ready):
    core = ready("AUTH PLAIN SCRAM-SHA-256")
    auth = scram(core, TIM, "secret")
    assert auth.mechanism == "SCRAM-SHA-256"
    assert auth.initial_response.startswith(b"n,,")


def test_a_scram_server_must_prove_itself(ready):
    with pytest.raises(AuthenticationError, match="challenge is not valid"):
        scram(ready("AUTH SCRAM-SHA-256"), TIM, "secret", forged=True)
    with pytest.raises(AuthenticationError, match="without the server's proof"):
        scram(ready("AUTH SCRAM-SHA-256"), TIM, "secret", skipped=True)


@pytest.fixture
def certificate(request):
    import ssl
    from pathlib import Path

    pem = (Path(__file__).parents[1] / "certificates" / "server.pem").read_text()
    body = pem[pem.index(ssl.PEM_HEADER) :]
    return ssl.PEM_cert_to_DER_cert(body[: body.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)])


def with_certificate(core, certificate):
    core.tls = TLSFacts("TLSv1.3", "x", True, certificate)
    return core


def test_scram_binds_to_the_certificate_where_the_server_can(ready, certificate):
    from smtpkit.sasl.channel_binding import tls_server_end_point

    core = with_certificate(ready("AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS"), certificate)
    auth = scram(core, TIM, "secret", channel_binding=tls_server_end_point(certificate))
    assert auth.mechanism == "SCRAM-SHA-256-PLUS"
    assert auth.initial_response.startswith(b"p=tls-server-end-point,")


def test_scram_says_that_no_binding_was_offered(ready, certificate):
    auth = scram(with_certificate(ready("AUTH SCRAM-SHA-256"), certificate), TIM, "secret")
    assert auth.initial_response.startswith(b"y,,")


def test_scram_is_silent_about_a_binding_that_is_offered_and_not_used(ready, certificate):
    core = with_certificate(ready("AUTH SCRAM-SHA-256 SCRAM-SHA-224-PLUS"), certificate)
    auth = scram(core, TIM, "secret")
    assert auth.initial_response.startswith(b"n,,")


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


def test_with_implicit_tls_starttls_is_not_said(new):
    said, _ = run(
        new, opening(new, NAME, tls="implicit"), b"!", b"220 hi\r\n", b"250-mx\r\n250 STARTTLS\r\n", implicit=True
    )
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


def test_but_not_of_a_server_that_is_gone(play, new):
    with pytest.raises(ConnectionLost):
        play(new, session(new), [*BEGUN, *TRANSACTION, "S: <eof>"])
