"""What bad input gets from a server without an application: each input beside its whole answer.

Codes and enhanced codes are those of RFC 5321, 1870, 2033, 2034, 2920, 3030, 3207, 3461, 4954, 5248 and 6531; a bound
that no RFC names has the code that RFC 5321 section 3.8 leaves for it.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.events import Connect
from smtpkit.protocol.extensions import EXTENSIONS
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.states import State
from smtpkit.wire.replies import Reply

play = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))
config, codes, TRANSACTION = play.config, play.codes, play.TRANSACTION

EHLO, MAIL, RCPT = b"EHLO c.example\r\n", b"MAIL FROM:<a@a.example>\r\n", b"RCPT TO:<b@b.example>\r\n"
AUTH = AuthPolicy({"user": "pass"}, required=True)
ALL = [word for word in EXTENSIONS if word not in ("STARTTLS", "AUTH")]
CLEAR = {"allow_in_clear": True, "required": False}

# Settings; what was said before; the line; the code and enhanced code; whether the session is over.
# fmt: off
ROWS = [
    # Not known, off, out of order                                          RFC 5321 4.2.4, 4.1.4
    ({}, EHLO, b"XYZZY", "500 5.5.1", False),
    ({}, EHLO, b"", "500 5.5.2", False),
    ({}, EHLO, b"\x80\xff", "500 5.5.2", False),
    ({}, EHLO, b"NOOP\nNOOP", "500 5.5.2", False),
    ({}, EHLO, b"NOOP\rNOOP", "500 5.5.2", False),
    ({}, EHLO, b"TURN", "502 5.5.1", False),
    ({}, EHLO, b"SAML FROM:<a@a>", "502 5.5.1", False),
    ({}, EHLO, b"ETRN x", "502 5.5.1", False),
    ({}, EHLO, b"XCLIENT NAME=x", "502 5.5.1", False),
    ({}, EHLO, b"XFORWARD NAME=x", "502 5.5.1", False),
    ({}, b"", b"MAIL FROM:<>", "503 5.5.1", False),
    ({}, b"", b"RCPT TO:<b@b>", "503 5.5.1", False),
    ({}, b"", b"DATA", "503 5.5.1", False),
    ({}, EHLO, b"RCPT TO:<b@b>", "503 5.5.1", False),
    ({}, EHLO, b"DATA", "503 5.5.1", False),
    ({}, EHLO + MAIL, b"DATA", "503 5.5.1", False),
    ({}, EHLO + MAIL, b"MAIL FROM:<>", "503 5.5.1", False),
    ({}, EHLO + MAIL + b"RCPT TO:<>\r\n", b"DATA", "554 5.5.1", False),     # RFC 5321 3.3
    ({"lmtp": True}, b"LHLO c\r\n" + MAIL, b"DATA", "503 5.5.1", False),    # RFC 2033 4.2
    # The hello has no enhanced code                                        RFC 2034 4
    ({}, b"", b"EHLO", "501", False),
    ({}, b"", b"HELO", "501", False),
    ({}, b"", b"LHLO c.example", "500", False),
    ({"lmtp": True}, b"", b"EHLO c.example", "500", False),                 # RFC 2033 4.1
    ({"lmtp": True}, b"", b"HELO c.example", "500", False),
    # Arguments                                                             RFC 5321 4.3.2, 2.1
    ({}, EHLO, b"DATA now", "501 5.5.4", False),
    ({}, EHLO, b"RSET now", "501 5.5.4", False),
    ({}, EHLO, b"QUIT now", "501 5.5.4", False),
    ({}, EHLO, b"VRFY", "501 5.5.4", False),
    ({}, EHLO, b"MAIL", "501 5.5.4", False),
    ({}, EHLO, b"MAIL FROM:<a@b@c>", "501 5.1.7", False),
    ({}, EHLO, b"MAIL FROM:<" + b"a" * 65 + b"@a>", "501 5.1.7", False),
    ({}, EHLO + MAIL, b"RCPT TO:<>", "501 5.1.3", False),
    ({}, EHLO + MAIL, b"RCPT TO:<b>", "501 5.1.3", False),
    ({}, EHLO + MAIL, b"RCPT TO:<" + b"b" * 65 + b"@b>", "501 5.1.3", False),
    ({}, EHLO, "MAIL FROM:<ä@a>".encode(), "550 5.6.7", False),             # RFC 6531 3.5
    ({}, EHLO + MAIL, "RCPT TO:<ä@a>".encode(), "553 5.6.7", False),
    # Parameters                                                            RFC 5321 4.1.1.11
    ({}, EHLO, b"MAIL FROM:<> XFOO=1", "555 5.5.4", False),
    ({}, EHLO + MAIL, b"RCPT TO:<b@b> XFOO=1", "555 5.5.4", False),
    ({}, EHLO, b"MAIL FROM:<> RET=HDRS", "555 5.5.4", False),
    ({}, EHLO + MAIL, b"RCPT TO:<b@b> NOTIFY=NEVER", "555 5.5.4", False),
    ({}, EHLO, b"MAIL FROM:<> BODY=BINARYMIME", "555 5.5.4", False),
    ({}, b"HELO c.example\r\n", b"MAIL FROM:<> SIZE=1", "555 5.5.4", False),
    ({}, EHLO, b"MAIL FROM:<> SIZE=1 SIZE=1", "501 5.5.4", False),          # RFC 1870 6
    ({}, EHLO, b"MAIL FROM:<> SIZE=x", "501 5.5.4", False),
    ({}, EHLO, b"MAIL FROM:<> BODY=9BIT", "501 5.5.4", False),
    ({"extensions": ALL}, EHLO, b"MAIL FROM:<> RET=ALL", "501 5.5.4", False),       # RFC 3461 5.1
    ({"extensions": ALL}, EHLO, b"MAIL FROM:<> ENVID=+0D", "501 5.5.4", False),
    ({"extensions": ALL}, EHLO + MAIL, b"RCPT TO:<b@b> NOTIFY=NEVER,DELAY", "501 5.5.4", False),
    ({"extensions": ALL}, EHLO, b"MAIL FROM:<> REQUIRETLS", "555 5.5.4", False),    # RFC 8689: under TLS only
    # Size and content                                                      RFC 1870 6.1
    ({"max_message_size": 9}, EHLO, b"MAIL FROM:<> SIZE=10", "552 5.3.4", False),
    ({"max_message_size": 9}, EHLO + TRANSACTION + b"DATA\r\n", b"0123456789\r\n.", "552 5.3.4", False),
    ({}, EHLO + TRANSACTION + b"DATA\r\n", b"a\nb\r\n.", "550 5.6.0", False),       # RFC 5321 2.3.8
    ({}, EHLO + TRANSACTION + b"DATA\r\n", b"a\rb\r\n.", "550 5.6.0", False),
    ({}, EHLO + TRANSACTION + b"DATA\r\n", b"a\0b\r\n.", "550 5.6.0", False),
    # CHUNKING                                                              RFC 3030 2, 3
    ({}, EHLO + TRANSACTION, b"BDAT x", "501 5.5.4", True),
    ({}, EHLO + TRANSACTION, b"BDAT -2", "501 5.5.4", True),
    ({"extensions": []}, EHLO + TRANSACTION, b"BDAT 2", "502 5.5.1", True),
    ({}, EHLO, b"BDAT 2\r\n", "503 5.5.1", False),
    ({}, EHLO + MAIL, b"BDAT 2\r\n", "503 5.5.1", False),
    ({}, EHLO + TRANSACTION + b"BDAT 0\r\n", b"DATA", "503 5.5.1", False),
    ({"max_message_size": 1}, EHLO + TRANSACTION, b"BDAT 2\r\n", "552 5.3.4", False),
    ({"max_message_size": 1}, EHLO + TRANSACTION + b"BDAT 2\r\nab", b"BDAT 2 LAST\r\n", "503 5.5.1", False),
    ({"extensions": ALL}, EHLO + b"MAIL FROM:<> BODY=BINARYMIME\r\n" + RCPT, b"DATA", "503 5.5.1", False),
    # TLS                                                                   RFC 3207 4
    ({"tls_available": True}, EHLO, b"STARTTLS now", "501 5.5.4", False),
    ({"tls_available": True}, EHLO, b"STARTTLS\r\nNOOP", "554 5.5.0", True),
    ({"tls_available": True}, b"", b"STARTTLS", "503 5.5.1", False),
    ({"tls_available": True}, EHLO + MAIL, b"STARTTLS", "503 5.5.1", False),
    ({}, EHLO, b"STARTTLS", "502 5.5.1", False),
    *(({"tls_available": True, "require_tls": True}, EHLO, line, "530 5.7.0", False)
      for line in (b"MAIL FROM:<>", b"RCPT TO:<b@b>", b"DATA", b"BDAT 2\r\n", b"RSET", b"VRFY x", b"EXPN x", b"HELP")),
    ({"tls_available": True, "require_tls": True}, b"", b"HELO c", "530", False),
    ({"tls_available": True, "require_tls": True, "auth": AUTH}, EHLO, b"AUTH PLAIN", "530 5.7.0", False),
    # AUTH                                                                  RFC 4954 4, 6
    *(({"auth": AUTH}, EHLO, line, "530 5.7.0", False)
      for line in (b"MAIL FROM:<>", b"RCPT TO:<b@b>", b"DATA", b"BDAT 2\r\n", b"VRFY x", b"EXPN x", b"HELP")),
    ({}, EHLO, b"AUTH PLAIN", "502 5.5.1", False),
    ({"auth": AUTH}, EHLO, b"AUTH PLAIN", "502 5.5.1", False),              # no TLS, and none to be had
    ({"auth": AUTH, "tls_available": True}, EHLO, b"AUTH PLAIN", "530 5.7.0", False),
    ({"auth": CLEAR}, b"", play.LOGIN[:-2], "503 5.5.1", False),
    ({"auth": CLEAR}, EHLO + MAIL, play.LOGIN[:-2], "503 5.5.1", False),
    ({"auth": CLEAR}, EHLO + play.LOGIN, play.LOGIN[:-2], "503 5.5.1", False),
    ({"auth": CLEAR}, b"HELO c\r\n", play.LOGIN[:-2], "503 5.5.1", False),
    ({"auth": CLEAR}, EHLO, b"AUTH", "501 5.5.4", False),
    ({"auth": CLEAR}, EHLO, b"AUTH XYZZY", "504 5.5.4", False),
    ({"auth": CLEAR}, EHLO, b"AUTH PLAIN !", "501 5.5.2", False),
    ({"auth": CLEAR}, EHLO, b"AUTH PLAIN AHVzZXIAbm8=", "535 5.7.8", False),
    ({"auth": CLEAR}, EHLO + b"AUTH PLAIN\r\n", b"*", "501 5.7.0", False),
    ({"auth": CLEAR}, EHLO + b"AUTH PLAIN\r\n", b"!", "501 5.5.2", False),
    ({"auth": CLEAR}, EHLO + b"AUTH PLAIN\r\n", b"A" * 12289, "500 5.5.6", False),
    ({"auth": {**CLEAR, "mechanisms": ["CRAM-MD5"]}}, EHLO, b"AUTH CRAM-MD5 AA==", "501 5.7.0", False),
    ({"auth": {**CLEAR, "attempts": 1}}, EHLO + b"AUTH PLAIN AHVzZXIAbm8=\r\n", b"AUTH PLAIN AHVzZXIAbm8=",
     "421 4.7.0", True),
    # Limits, one after the other                                           RFC 5321 4.5.3.1, 3.8
    ({}, EHLO, b"NOOP " + b"x" * 506, "500 5.5.2", False),
    ({"limits": Limits(line=64)}, EHLO, b"NOOP " + b"x" * 58, "500 5.5.2", False),
    ({"limits": Limits(commands=3)}, EHLO + b"NOOP\r\nNOOP\r\n", b"NOOP", "421 4.7.0", True),
    ({"limits": Limits(errors=2)}, EHLO + b"XYZZY\r\nNOOP\r\n", b"XYZZY", "421 4.7.0", True),
    ({"limits": Limits(errors_in_a_row=2)}, EHLO + b"XYZZY\r\n", b"XYZZY", "421 4.7.0", True),
    ({"limits": Limits(recipients=1)}, EHLO + TRANSACTION, RCPT[:-2], "452 4.5.3", False),
    ({"limits": Limits(transactions=1)}, EHLO + MAIL + b"RSET\r\n", MAIL[:-2], "421 4.7.0", True),
    ({}, EHLO, b"MAIL FROM:<>" + b" X=1" * 33, "501 5.5.4", False),
    # Another protocol
    ({}, b"", b"GET / HTTP/1.1", "421 4.7.0", True),
]
# fmt: on


def session(settings):
    auth = settings.get("auth")
    if isinstance(auth, dict):
        settings = {**settings, "auth": AuthPolicy({"user": "pass"}, **auth)}
    return play.Play(config(**settings))


@pytest.mark.parametrize(("settings", "before", "line", "expected", "over"), ROWS)
def test_each_refusal_has_the_reply_that_the_standard_names(settings, before, line, expected, over):
    server = session(settings)
    server.say(before)
    was = server.core.state
    answer = server.say(line + b"\r\n")
    assert answer.count(b"\r\n") == 1
    assert answer.startswith(expected.encode() + b" ")
    assert answer[5:6] != b"." or " " in expected  # RFC 2034 section 4
    assert server.core.closed is over
    refused_chunk = line.startswith(b"BDAT") and expected == "552 5.3.4"
    if not over and was not in (State.DATA, State.AUTH):
        assert server.core.state is (State.BDAT_FAILED if refused_chunk else was)


@pytest.mark.parametrize("lmtp", [False, True])
def test_the_session_is_in_step_after_each(lmtp):
    for settings, before, line, _, over in ROWS:
        if over or settings.get("lmtp", False) is not lmtp:
            continue
        server = session(settings)
        server.say(before)
        server.say(line + b"\r\n")
        assert codes(server.say(b"NOOP\r\nQUIT\r\n")) == [250, 221], line


def test_a_refused_greeting_leaves_quit_alone():
    server = play.Play(config(), {Connect: Reply(554, "no service here")})
    said = server.greeting + server.say(EHLO + MAIL + b"XYZZY\r\nNOOP\r\nQUIT\r\n")
    assert codes(said) == [554, 503, 503, 503, 503, 221]


def test_octets_before_the_greeting_are_refused():
    server = play.Play(decisions={Connect: None})
    server.say(EHLO)
    server.core.accept()
    assert server.run() == b"554 5.5.0 Octets came before the greeting\r\n"
    assert server.core.closed


def test_after_tls_all_is_to_be_said_again():
    server = play.Play(play.with_login(tls_available=True), say=EHLO + play.LOGIN + b"STARTTLS\r\n")
    server.core.tls_established(play.FACTS)
    assert (server.core.state, server.core.identity, server.core.hello_name) == (State.CONNECTED, None, None)
    assert server.say(MAIL + b"STARTTLS\r\n") == b"503 5.5.1 Say hello first\r\n503 5.5.1 TLS is active already\r\n"


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("available", [False, True])
@pytest.mark.parametrize("auth", [None, AUTH, AuthPolicy({}, allow_in_clear=True)])
def test_nothing_is_offered_that_cannot_succeed(tls, available, auth):
    """What depends on TLS and login is taken right behind the hello where its keyword stands, and nowhere else."""
    lines = {
        "STARTTLS": b"STARTTLS\r\n",
        "AUTH": b"AUTH PLAIN\r\n",
        "REQUIRETLS": b"MAIL FROM:<> REQUIRETLS\r\n",
    }
    settings = config(extensions=ALL, tls_available=available, auth=auth)
    offered = {line[4:].split(b" ")[0].decode() for line in play.Play(settings, tls=tls).say(EHLO).splitlines()[1:]}
    for keyword, line in lines.items():
        server = play.Play(settings, tls=tls, say=EHLO)
        answer = codes(server.say(line))[-1]
        refused = answer in (500, 502, 503, 530, 555)
        wants_login = keyword == "REQUIRETLS" and auth is not None
        assert refused is (keyword not in offered or wants_login), (keyword, answer)
