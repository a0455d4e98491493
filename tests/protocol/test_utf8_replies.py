"""UTF-8 in the application's replies: where RFC 6531 section 3.7.4 allows it, and what is said elsewhere."""

import pytest

from smtpkit.protocol import NEED_DATA, ServerConfig, ServerConnection
from smtpkit.protocol.utf8_replies import spelled
from smtpkit.wire import commands as c
from smtpkit.wire.commands import parse_command
from smtpkit.wire.replies import Reply

NAME, ADDRESS = "Jürgen", "<jürgen@例子.example>"
RCPT = parse_command(b"RCPT TO:<j@example.net>")


def said(event, reply, *, smtputf8=False):
    return bytes(spelled(event, reply, smtputf8=smtputf8)).decode()


@pytest.mark.parametrize("code", [251, 551])
def test_an_address_that_has_moved_is_told_where_mail_carried_smtputf8(code):
    """RFC 6531 section 3.7.4.1."""
    assert said(RCPT, Reply(code, f"try {ADDRESS}"), smtputf8=True) == f"{code} try {ADDRESS}\r\n"


@pytest.mark.parametrize(("code", "instead"), [(251, "250 2.1.5"), (551, "550 5.1.6")])
def test_elsewhere_it_is_not(code, instead):
    """RFC 6531 section 3.7.4.1: 250 or 550, without the address."""
    line = said(RCPT, Reply(code, f"try {ADDRESS}"))
    assert line.startswith(instead)
    assert "?" not in line


@pytest.mark.parametrize("smtputf8", [False, True])
@pytest.mark.parametrize("code", [250, 450, 550])
def test_no_other_reply_to_rcpt_is_utf8(code, smtputf8):
    assert said(RCPT, Reply(code, NAME), smtputf8=smtputf8) == f"{code} J?rgen\r\n"


@pytest.mark.parametrize("command", [c.Vrfy, c.Expn])
@pytest.mark.parametrize("code", [250, 550, 551, 553])
def test_vrfy_and_expn_with_smtputf8_are_answered_in_utf8(command, code):
    """RFC 6531 section 3.7.4.2; the MAIL of the transaction does not matter."""
    assert said(command("j", smtputf8=True), Reply(code, f"{NAME} {ADDRESS}")) == f"{code} {NAME} {ADDRESS}\r\n"


@pytest.mark.parametrize("command", [c.Vrfy, c.Expn])
@pytest.mark.parametrize(
    ("code", "instead"), [(250, "252 2.6.8"), (251, "252 2.6.8"), (551, "550 5.6.8"), (553, "550 5.6.8")]
)
def test_without_it_they_say_what_they_would_need(command, code, instead):
    """RFC 6531 section 3.7.4.2: 252 or 550, and X.6.8."""
    line = said(command("j"), Reply(code, f"{NAME} {ADDRESS}"), smtputf8=True)
    assert line.startswith(instead)
    assert "?" not in line


def test_a_refusal_that_holds_no_address_stays():
    assert said(c.Vrfy("j"), Reply(550, NAME)) == "550 J?rgen\r\n"


@pytest.mark.parametrize("event", [None, c.Noop()])
def test_nothing_else_is_utf8(event):
    """RFC 6531 section 3.7.4.2: MUST NOT, but for those."""
    assert said(event, Reply(250, NAME), smtputf8=True) == "250 J?rgen\r\n"


def test_a_server_says_them():
    core = ServerConnection(ServerConfig("mx.example", extensions=["SMTPUTF8", "8BITMIME", "VRFY"]))
    replies = {c.Vrfy: Reply(250, f"{NAME} {ADDRESS}"), c.Rcpt: Reply(551, f"try {ADDRESS}")}
    octets = "EHLO c\r\nVRFY j\r\nVRFY j SMTPUTF8\r\nMAIL FROM:<a@b.c> SMTPUTF8\r\nRCPT TO:<j@example.net>\r\n"
    core.receive_data(octets.encode())
    while (event := core.next_event()) is not NEED_DATA:
        reply = replies.get(type(event))
        if core.unanswered is not None:
            core.reject(reply) if reply is not None and reply.code >= 400 else core.accept(reply)
    lines = core.data_to_send().decode().split("\r\n")
    assert [line[:3] for line in lines] == ["220", *["250"] * 4, "252", "250", "250", "551", ""]
    assert lines[6].endswith(f"{NAME} {ADDRESS}")
    assert lines[8].endswith(ADDRESS)
