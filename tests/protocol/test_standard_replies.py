"""The server's own replies: each may be sent as it is."""

import pytest

from smtpkit.protocol import standard_replies as say
from smtpkit.wire.replies import Reply, parse_reply

REPLIES = {name: reply for name, reply in vars(say).items() if isinstance(reply, Reply)}

# RFC 4954, 3207, 3030, 5248: what a server says, beside what for.
CODES = {
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
    "UNKNOWN_PARAMETER": "555 5.5.4",
}


@pytest.mark.parametrize(("name", "codes"), CODES.items())
def test_codes_are_those_of_the_standards(name, codes):
    reply = REPLIES[name]
    assert f"{reply.code} {reply.enhanced}" == codes


@pytest.mark.parametrize(
    ("code", "status"),
    [(250, "2.0.0"), (421, "4.0.0"), (451, "4.3.0"), (452, "4.3.1"), (535, "5.7.8"), (550, "5.0.0"), (554, "5.0.0")],
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
