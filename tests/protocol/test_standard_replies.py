"""The server's own replies: each may be sent as it is."""

import pytest

from smtpkit.protocol import standard_replies as say
from smtpkit.wire.replies import Reply, parse_reply

REPLIES = {name: reply for name, reply in vars(say).items() if isinstance(reply, Reply)}

# RFC 5321, 4954, 3207, 3030, 5248: what a server says, beside what for.
CODES = {
    **dict.fromkeys(["CHUNK_OK", "MESSAGE_ACCEPTED", "OK"], "250 2.0.0"),
    **dict.fromkeys(["BAD_SEQUENCE", "BINARY_NEEDS_BDAT", "HELLO_FIRST", "NEED_MAIL", "NEED_RCPT"], "503 5.5.1"),
    **dict.fromkeys(["AUTHENTICATED_ALREADY", "NESTED_MAIL", "TLS_ACTIVE"], "503 5.5.1"),
    **dict.fromkeys(["NOT_MAIL", "TOO_MANY_COMMANDS", "TOO_MANY_ERRORS", "TOO_MANY_IN_A_ROW"], "421 4.7.0"),
    **dict.fromkeys(["BAD_PROXY_HEADER", "NOT_A_PROXY"], "421 4.7.0"),
    **dict.fromkeys(["TOO_MANY_LOGINS", "TOO_MANY_TRANSACTIONS", "TOO_MUCH_OF_ADDRESS"], "421 4.7.0"),
    **dict.fromkeys(["SESSION_TOO_LONG", "TOO_SLOW"], "421 4.4.2"),
    **dict.fromkeys(["HANDLER_TOO_LONG", "INTERNAL_ERROR"], "451 4.3.0"),
    **dict.fromkeys(["EARLY", "INJECTED"], "554 5.5.0"),
    **dict.fromkeys(["AUTH_CANCELLED"], "501 5.7.0"),
    "AUTH_SYNTAX": "501 5.5.2",
    "CANNOT_VERIFY": "252 2.5.0",
    **dict.fromkeys(["HANDLER_HANGS", "NO_SESSION"], "421 4.3.0"),
    "LOGIN_UNAVAILABLE": "454 4.7.0",
    "NOT_IMPLEMENTED": "502 5.5.1",
    "NO_SERVICE": "554 5.3.2",
    "NO_VALID_RECIPIENTS": "554 5.5.1",
    "READY_FOR_TLS": "220 2.0.0",
    "SHUTTING_DOWN": "421 4.3.2",
    "START_DATA": "354 None",
    "UNKNOWN_COMMAND": "500 5.5.1",
    "AUTHENTICATED": "235 2.7.0",
    "AUTH_LINE_TOO_LONG": "500 5.5.6",
    "BARE_NEWLINE": "550 5.6.0",
    "CREDENTIALS_INVALID": "535 5.7.8",
    "IDLE_TOO_LONG": "421 4.4.2",
    "LINE_TOO_LONG": "500 5.5.2",
    "MAIL_OK": "250 2.1.0",
    "NEED_AUTH": "530 5.7.0",
    "NEED_TLS": "530 5.7.0",
    "NO_TLS_NOW": "454 4.7.0",
    "RCPT_OK": "250 2.1.5",
    "TOO_LARGE": "552 5.3.4",
    "TOO_MANY_CONNECTIONS": "421 4.3.2",
    "TOO_MANY_RECIPIENTS": "452 4.5.3",
    "UNKNOWN_MECHANISM": "504 5.5.4",
    "UNKNOWN_ATTRIBUTE": "501 5.5.4",
    "UNKNOWN_PARAMETER": "555 5.5.4",
}


@pytest.mark.parametrize(("name", "codes"), CODES.items())
def test_codes_are_those_of_the_standards(name, codes):
    reply = REPLIES[name]
    assert f"{reply.code} {reply.enhanced}" == codes


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *[(250, "2.0.0"), (421, "4.0.0"), (432, "4.7.12"), (451, "4.3.0"), (452, "4.3.1"), (454, "4.7.0")],
        *[(455, "4.5.4"), (499, "4.0.0"), (500, "5.0.0"), (502, "5.5.1"), (503, "5.5.1"), (504, "5.5.4")],
        *[(521, "5.3.2"), (530, "5.7.0"), (534, "5.7.9"), (535, "5.7.8"), (538, "5.7.11"), (550, "5.0.0")],
        *[(554, "5.0.0"), (555, "5.5.4"), (556, "5.1.10")],
    ],
)
def test_a_code_alone_says_no_more_than_it_means(code, status):
    assert str(say.usual_status(code)) == status


def test_a_reply_without_its_status_code_keeps_its_text():
    assert say.without_status(say.OK) == Reply(250, "Ok")
    assert say.without_status(say.START_DATA) is say.START_DATA


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_can_be_read_back(name):
    reply = REPLIES[name]
    assert parse_reply(bytes(reply)) == reply
    assert len(bytes(reply)) <= 512


@pytest.mark.parametrize("name", REPLIES)
def test_all_but_intermediate_ones_have_a_status_code_of_their_class(name):
    # RFC 2034 section 4
    reply = REPLIES[name]
    if reply.is_intermediate:
        assert reply.enhanced is None
    else:
        assert str(reply.enhanced)[0] == str(reply.code)[0]


def test_what_names_the_server():
    assert bytes(say.greeting("mx.example", lmtp=False)) == b"220 mx.example ESMTP\r\n"
    assert bytes(say.greeting("mx.example", lmtp=True)) == b"220 mx.example LMTP\r\n"
    assert bytes(say.hello("mx.example")) == b"250 mx.example\r\n"
    assert bytes(say.commands(["DATA", "QUIT"])) == b"214 2.0.0 Commands: DATA QUIT\r\n"
    assert bytes(say.farewell("mx.example")) == b"221 2.0.0 mx.example closing\r\n"


def test_a_reply_says_that_one_limit_is_reached_and_no_other():
    replies = [reply for replies in say.LIMIT_REPLIES.values() for reply in replies]
    assert len({id(reply) for reply in replies}) == len(replies)
    assert all(reply.code >= 400 for reply in replies)
