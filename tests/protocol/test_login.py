"""The client's login: which mechanism, which messages, and when a second token."""

import hashlib
import hmac
import pickle
import ssl
from binascii import b2a_base64
from pathlib import Path

import pytest

from smtpkit.errors import AuthenticationError, NotSupported, ParseError
from smtpkit.protocol import Credentials, TLSFacts
from smtpkit.protocol.login import login
from smtpkit.sasl import server_mechanism
from smtpkit.sasl.channel_binding import tls_server_end_point
from smtpkit.sasl.external import Anonymous
from smtpkit.wire.commands import StartTLS

TIM = Credentials("tim", "secret")


def b64(octets):
    return b2a_base64(octets, newline=False).decode()


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


@pytest.mark.parametrize(("length", "octets"), [(372, 512), (375, 516)])
def test_the_initial_response_goes_along_as_far_as_a_command_may_reach(play, ready, length, octets):
    core = ready("AUTH EXTERNAL", tls=True)
    credentials = Credentials(authzid="a" * length, mechanisms=["EXTERNAL"])
    response = b64(b"a" * length)
    assert len(f"AUTH EXTERNAL {response}\r\n") == octets
    script = [f"C: AUTH EXTERNAL {response}"] if octets == 512 else ["C: AUTH EXTERNAL", "S: 334 ", f"C: {response}"]
    play(core, login(core, credentials), [*script, "S: 235 ok"])


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


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (("mail.example", 587), b"host=mail.example\1port=587\1"),
        (("2001:db8::1", 25), b"host=2001:db8::1\1port=25\1"),
        (("pr\xfcfung.example", 465), b"port=465\1"),  # a value is printable ASCII
        (("", 0), b""),  # a unix socket
        (None, b""),
    ],
)
def test_oauthbearer_tells_where_the_client_has_connected_to(play, ready, server, told):
    core = ready("AUTH OAUTHBEARER", tls=True)
    response = b64(b"n,a=tim,\1" + told + b"auth=Bearer tok\1\1")
    script = [f"C: AUTH OAUTHBEARER {response}", "S: 235 ok"]
    assert play(core, login(core, Credentials("tim", token="tok"), server=server), script).result.code == 235


@pytest.mark.parametrize("prompts", [("VXNlcm5hbWU6", "UGFzc3dvcmQ6"), ("Go ahead", "now"), ("", "=")])
def test_login_does_not_read_its_prompts(play, ready, prompts):
    core = ready("AUTH LOGIN", tls=True)
    script = ["C: AUTH LOGIN", f"S: 334 {prompts[0]}", "C: dGlt", f"S: 334 {prompts[1]}", "C: c2VjcmV0", "S: 235 ok"]
    play(core, login(core, TIM), script)


@pytest.mark.parametrize(("offered", "credentials"), [("PLAIN LOGIN", Credentials("tim", token="tok")), ("NTLM", TIM)])
def test_tls_is_no_remedy_where_it_would_change_nothing(play, ready, offered, credentials):
    core = ready(f"AUTH {offered}")
    with pytest.raises(NotSupported, match=r"none may be used with a (token|password)$"):
        play(core, login(core, credentials), [])


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


@pytest.mark.parametrize("challenge", ["PDE+!", "PDE+=PDE", "PD\xe9+"])
def test_a_challenge_that_is_almost_base64_is_none(play, ready, challenge):
    core = ready("AUTH CRAM-MD5", tls=True)
    with pytest.raises(AuthenticationError, match="challenge is not valid"):
        play(core, login(core, TIM), ["C: AUTH CRAM-MD5", f"S: 334 {challenge}", "C: *", "S: 501 cancelled"])


ECHO = b64(b"\0tim\0s3cret-of-tim")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"535 5.7.8 no: AUTH PLAIN {ECHO}", "535 5.7.8 <hidden>"),
        ("535 5.7.8 tim has no password s3cret-of-tim", "535 5.7.8 <hidden>"),
        (f"421 what is {ECHO[3:-3]}", "421 <hidden>"),
        ("535 5.7.8 no such user as tim", "535 5.7.8 no such user as tim"),
    ],
)
def test_a_server_that_repeats_a_secret_does_not_bring_it_into_the_error(play, ready, said, shown):
    core = ready("AUTH PLAIN", tls=True)
    with pytest.raises(AuthenticationError) as info:
        play(core, login(core, Credentials("tim", "s3cret-of-tim")), [f"C: AUTH PLAIN {ECHO}", f"S: {said}"])
    assert str(info.value) == f"AUTH PLAIN: {shown}"
    assert str(info.value.reply) == shown
    everything = pickle.dumps(info.value)
    assert b"s3cret" not in everything
    assert ECHO[3:-3].encode() not in everything


@pytest.mark.parametrize("repeated", [b64(b"s3cret-of-tim"), "s3cret-of-tim"])
def test_nor_does_one_that_repeats_a_response(play, ready, repeated):
    core = ready("AUTH LOGIN", tls=True)
    script = ["C: AUTH LOGIN", "S: 334 VXNlcg==", f"C: {b64(b'tim')}", "S: 334 UGFzcw==", f"C: {b64(b's3cret-of-tim')}"]
    with pytest.raises(AuthenticationError) as info:
        play(core, login(core, Credentials("tim", "s3cret-of-tim")), [*script, "S: 535-no", f"S: 535 {repeated}"])
    assert info.value.reply.lines == ("no", "<hidden>")


def test_a_user_name_is_no_secret_in_an_error(play, ready):
    core = ready("AUTH PLAIN", tls=True)
    script = [f"C: AUTH PLAIN {b64(bytes(1) + b'timothy' + bytes(1) + b'secret')}", "S: 535 timothy may not"]
    with pytest.raises(AuthenticationError, match="timothy may not"):
        play(core, login(core, Credentials("timothy", "secret")), script)


def test_an_error_object_that_repeats_the_token_is_left_out(play, ready):
    core = ready("AUTH OAUTHBEARER", tls=True)
    sent = b64(b"n,a=tim,\1auth=Bearer token-of-tim\1\1")
    script = [f"C: AUTH OAUTHBEARER {sent}", "S: 334 " + b64(b'{"status":"token-of-tim"}'), "C: AQ==", "S: 535 no"]
    with pytest.raises(AuthenticationError) as info:
        play(core, login(core, Credentials("tim", token="token-of-tim")), script)
    assert info.value.error == {}
    assert str(info.value) == "AUTH OAUTHBEARER: 535 no"


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
def certificate():
    pem = (Path(__file__).parents[1] / "certificates" / "server.pem").read_text()
    body = pem[pem.index(ssl.PEM_HEADER) :]
    return ssl.PEM_cert_to_DER_cert(body[: body.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)])


def with_certificate(core, certificate):
    core.tls = TLSFacts("TLSv1.3", "x", True, certificate)
    return core


def test_scram_binds_to_the_certificate_where_the_server_can(ready, certificate):
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


# Passwords


@pytest.mark.parametrize("password", ["pässwörd", "пароль", "鍵", b"\xff\xfe raw", lambda: "pässwörd", lambda: b"\xff"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_password_of_any_characters_is_sent_as_utf_8_and_octets_as_they_are(play, ready, password, mechanism):
    core = ready(f"AUTH {mechanism}", tls=True)
    given = password() if callable(password) else password
    octets = given.encode() if isinstance(given, str) else given
    if mechanism == "PLAIN":
        script = [f"C: AUTH PLAIN {b64(b'%ctim%c' % (0, 0) + octets)}", "S: 235 ok"]
    else:
        script = ["C: AUTH LOGIN", "S: 334 x", "C: dGlt", "S: 334 x", f"C: {b64(octets)}", "S: 235 ok"]
    assert play(core, login(core, Credentials("tim", password)), script).result.code == 235


def test_scram_prepares_the_password(ready):
    assert scram(ready("AUTH SCRAM-SHA-256"), Credentials("tim", "se\u00adcret\u00aa"), "secreta")


@pytest.mark.parametrize("password", ["\u0007", b"\xff"])
def test_scram_refuses_a_password_that_cannot_be_prepared(play, ready, password):
    core = ready("AUTH SCRAM-SHA-256", tls=True)
    with pytest.raises(ParseError):
        play(core, login(core, Credentials("tim", password)), [])


def test_a_python_without_md5_does_not_take_cram_md5(play, ready, monkeypatch):
    offered, credentials = "AUTH CRAM-MD5 DIGEST-MD5", Credentials("tim", "secret")
    challenge = b"<1896.697170952@postoffice.example>"
    core = ready(offered, tls=True)
    digest = hmac.new(b"secret", challenge, "md5").hexdigest()
    script = ["C: AUTH CRAM-MD5", f"S: 334 {b64(challenge)}", f"C: {b64(b'tim ' + digest.encode())}", "S: 235 ok"]
    play(core, login(core, credentials), script)

    def refused(*arguments, **options):
        raise ValueError("[digital envelope routines] unsupported")

    monkeypatch.setattr(hashlib, "md5", refused)
    core = ready(offered, tls=True)
    with pytest.raises(NotSupported, match="none may be used with a password"):
        play(core, login(core, credentials), [])
    core = ready(offered + " LOGIN", tls=True)
    script = ["C: AUTH LOGIN", "S: 334 x", "C: dGlt", "S: 334 x", "C: c2VjcmV0", "S: 235 ok"]
    play(core, login(core, credentials), script)


# Mechanisms that are named


def test_a_mechanism_may_be_named(play, ready):
    core = ready("AUTH PLAIN LOGIN", tls=True)
    credentials = Credentials("tim", "secret", mechanisms=["login"])
    script = ["C: AUTH LOGIN", "S: 334 x", "C: dGlt", "S: 334 x", "C: c2VjcmV0", "S: 235 ok"]
    play(core, login(core, credentials), script)


@pytest.mark.parametrize(("name", "line"), [("EXTERNAL", "AUTH EXTERNAL ="), ("ANONYMOUS", "AUTH ANONYMOUS =")])
def test_a_login_without_a_secret_is_made_only_when_named(play, ready, name, line):
    offered = "AUTH EXTERNAL ANONYMOUS PLAIN"
    core = ready(offered, tls=True)
    play(core, login(core, Credentials(mechanisms=[name])), [f"C: {line}", "S: 235 ok"])
    core = ready(offered, tls=True)
    with pytest.raises(NotSupported, match="user name alone"):
        play(core, login(core, Credentials("tim")), [])


def test_a_class_of_ones_own_comes_first(play, ready):
    class Own(Anonymous):
        name = "XOWN"

    core = ready("AUTH PLAIN XOWN", tls=True)
    credentials = Credentials("tim", "secret", mechanisms=["PLAIN", Own])
    play(core, login(core, credentials), ["C: AUTH XOWN dGlt", "S: 235 ok"])
    core = ready("AUTH LOGIN", tls=True)
    with pytest.raises(NotSupported, match="which name PLAIN, XOWN"):
        play(core, login(core, credentials), [])


# Tokens

FIRST = f"C: AUTH XOAUTH2 {b64(b'user=tim%cauth=Bearer old%c%c' % (1, 1, 1))}"
SECOND = FIRST.replace(b64(b"user=tim\1auth=Bearer old\1\1"), b64(b"user=tim\1auth=Bearer new\1\1"))
REFUSED = ["S: 334 eyJzdGF0dXMiOiI0MDEifQ==", "C: ", "S: 535 5.7.8 no"]  # {"status":"401"}


def provider(*tokens):
    rest = list(tokens)
    return lambda: rest.pop(0)


@pytest.mark.parametrize("status", ["eyJzdGF0dXMiOiI0MDEifQ==", "eyJzdGF0dXMiOiI0MDAifQ==", "bm8gSlNPTg==", ""])
def test_a_refused_token_is_asked_for_once_more(play, ready, status):
    refusal = [f"S: 334 {status}", "C: ", "S: 535 5.7.8 no"] if status else ["S: 535 5.7.3 no"]
    core = ready("AUTH XOAUTH2", tls=True)
    credentials = Credentials("tim", token=provider("old", "new"))
    assert play(core, login(core, credentials), [FIRST, *refusal, SECOND, "S: 235 ok"]).result.code == 235


def test_so_is_one_that_is_called_invalid(play, ready):
    core = ready("AUTH OAUTHBEARER", tls=True)
    first, second = (
        f"C: AUTH OAUTHBEARER {b64(b'n,a=tim,%cauth=Bearer %b%c%c' % (1, token, 1, 1))}" for token in (b"old", b"new")
    )
    refused = ["S: 334 " + b64(b'{"status":"invalid_token"}'), "C: AQ==", "S: 535 5.7.8 no"]
    credentials = Credentials("tim", token=provider("old", "new"))
    assert play(core, login(core, credentials), [first, *refused, second, "S: 235 ok"]).result.code == 235


def test_a_second_refusal_ends_it_and_tells_both(play, ready):
    core = ready("AUTH XOAUTH2", tls=True)
    credentials = Credentials("tim", token=provider("old", "new", "never"))
    with pytest.raises(AuthenticationError) as info:
        play(core, login(core, credentials), [FIRST, *REFUSED, SECOND, *REFUSED])
    assert info.value.error == {"status": "401"}
    assert info.value.mechanism == "XOAUTH2"
    assert info.value.__cause__.error == {"status": "401"}
    assert pickle.loads(pickle.dumps(info.value)).error == {"status": "401"}
    assert core.idle


def test_a_provider_that_caches_has_another_for_a_fresh_one(play, ready):
    core = ready("AUTH XOAUTH2", tls=True)
    credentials = Credentials("tim", token=lambda: "old", fresh_token=lambda: "new")
    play(core, login(core, credentials), [FIRST, *REFUSED, SECOND, "S: 235 ok"])


@pytest.mark.parametrize(
    ("token", "refusal"),
    [
        ("old", REFUSED),  # there is nobody to ask
        (lambda: "old", REFUSED),  # the same would be refused again
        (provider("old"), ["S: 454 4.7.0 later"]),  # it says nothing about the token
        (provider("old"), ["S: 334 eyJzdGF0dXMiOiI0MDMifQ==", "C: ", "S: 535 no"]),  # "403": another will not do either
        (provider("old"), ["S: 421 4.7.0 closing"]),
    ],
)
def test_otherwise_a_token_is_sent_once(play, ready, token, refusal):
    core = ready("AUTH XOAUTH2", tls=True)
    with pytest.raises(AuthenticationError):
        play(core, login(core, Credentials("tim", token=token)), [FIRST, *refusal])


def test_a_vault_is_not_asked_for_what_is_not_sent(play, ready):
    def never():
        raise AssertionError

    core = ready("AUTH XOAUTH2", tls=True)
    play(core, login(core, Credentials("tim", never, token="old")), [FIRST, "S: 235 ok"])
    core = ready("AUTH PLAIN", tls=True)
    script = [f"C: AUTH PLAIN {b64(b'%ctim%csecret' % (0, 0))}", "S: 235 ok"]
    play(core, login(core, Credentials("tim", "secret", token=never)), script)


# Hints


def test_a_refusal_of_a_known_server_is_explained(play, ready):
    core = ready("AUTH PLAIN", tls=True)
    script = [f"C: AUTH PLAIN {b64(b'%ctim%csecret' % (0, 0))}", "S: 535 5.7.8 not accepted"]
    with pytest.raises(AuthenticationError) as info:
        play(core, login(core, TIM), script)
    assert info.value.hint == ""
    core = ready("AUTH PLAIN", tls=True)
    core.greeting = type(core.greeting)(220, "smtp.gmail.com ESMTP x - gsmtp")
    with pytest.raises(AuthenticationError, match="app password") as info:
        play(core, login(core, TIM), script)
    assert str(info.value).endswith(f"; {info.value.hint}")


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (Credentials("tim", token=lambda: None), "the token gave NoneType"),
        (Credentials("tim", token=lambda: {"access_token": "x"}), "the token gave dict"),
        (Credentials(lambda: 7, token="old"), "the username gave int"),
        (Credentials(lambda: b"tim", token="old"), "the username gave bytes"),
    ],
)
def test_a_provider_that_gives_something_else_is_named(play, ready, credentials, words):
    with pytest.raises(ParseError, match=words):
        play(ready("AUTH XOAUTH2", tls=True), login(ready("AUTH XOAUTH2", tls=True), credentials), [])


def test_a_user_name_may_be_left_out_where_the_token_tells(play, ready):
    core = ready("AUTH OAUTHBEARER", tls=True)
    script = [f"C: AUTH OAUTHBEARER {b64(b'n,,' + bytes([1]) + b'auth=Bearer old' + bytes([1, 1]))}", "S: 235 ok"]
    play(core, login(core, Credentials(None, token="old")), script)
