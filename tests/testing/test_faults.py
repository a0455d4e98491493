"""Every fault, as a real client meets it."""

import smtplib
from contextlib import closing

import pytest

import smtpkit.sync
from smtpkit import (
    AuthenticationError,
    ConnectionLost,
    MessageRefused,
    NotSupported,
    RecipientsRefused,
    Reply,
    SenderRefused,
    SMTPError,
    Timeout,
    Timeouts,
    Verdict,
)
from smtpkit.testing import Fault, Server
from smtpkit.testing.faults import STEPS

ADA, BOB, EVE = "ada@example.org", "bob@example.net", "eve@example.net"
PATIENCE = 60  # seconds until what hangs fails
LOGIN = {"login": ("ada", "secret"), "allow_auth_in_clear": True}


def send(server, recipients=BOB, sender=ADA, **options):
    with smtpkit.sync.connect(server.url) as client:
        return client.send(sender, recipients, b"Hi\r\n", **options)


def codes(result):
    return {address: outcome.reply.code for address, outcome in result.recipients.items()}


@pytest.mark.parametrize("reply", ["450 4.7.1 Later", "550 5.7.1 Never", "421 4.3.2 Going down"])
@pytest.mark.parametrize("chunking", [False, True])
@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("connect", smtpkit.ReplyError),
        ("login", AuthenticationError),
        ("mail", SenderRefused),
        ("rcpt", RecipientsRefused),
        ("data", MessageRefused),
        ("message", MessageRefused),
    ],
)
def test_each_step_can_be_refused(smtp_server, step, error, reply, chunking):
    server = smtp_server if step != "login" else Server(**LOGIN).start()
    with server:
        fault = server.refuse(step, reply, times=1)
        with pytest.raises(error) as refused:
            send(server, chunking=chunking)
        assert refused.value.reply.code == int(reply[:3])
        assert (fault.hits, len(server.inbox)) == (1, 0)
        send(server, chunking=chunking)
        assert (fault.hits, len(server.inbox)) == (1, 1)


def test_smtplib_meets_the_same(smtp_server):
    smtp_server.refuse("data", "451 4.3.0 Not now")
    with smtplib.SMTP(smtp_server.host, smtp_server.port, timeout=PATIENCE) as client:
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail(ADA, BOB, "Hi")
        client.rset()  # it does not by itself
        smtp_server.faults.clear()
        smtp_server.refuse("rcpt", Reply(550, "No such user"), recipient=EVE)
        assert client.sendmail(ADA, [BOB, EVE], "Hi") == {EVE: (550, b"5.0.0 No such user")}
    assert smtp_server.inbox[0].recipients == [BOB]


def test_hello_and_starttls_can_be_refused():
    with Server(tls="starttls") as server:
        server.refuse("starttls", "454 4.7.0 TLS not available", times=1)
        with pytest.raises((NotSupported, SMTPError)):
            send(server)
        server.refuse("hello", "554 5.7.1 Not you")
        with pytest.raises(SMTPError, match="Not you"):
            send(server)


def test_refusals_are_for_whom_they_are_meant(smtp_server):
    smtp_server.refuse("rcpt", "550 5.1.1 No such user", recipient="EVE@*")
    smtp_server.refuse("mail", "553 5.1.8 Not you", sender="spam@example.org")
    smtp_server.refuse("message", "554 5.6.0 No", recipient="carol@example.net")
    smtp_server.refuse("rcpt", "550 5.1.2 No such host", recipient="*@[127.0.0.?]")
    assert codes(send(smtp_server, [BOB, EVE, "b@[127.0.0.2]"])) == {BOB: 250, EVE: 550, "b@[127.0.0.2]": 550}
    with pytest.raises(SenderRefused):
        send(smtp_server, sender="spam@example.org")
    with pytest.raises(MessageRefused):
        send(smtp_server, [BOB, "carol@example.net"])
    assert codes(send(smtp_server, sender="")) == {BOB: 250}
    assert [message.recipients for message in smtp_server.inbox] == [[BOB], [BOB]]


def test_the_first_that_fits_decides_until_it_is_used_up(smtp_server):
    smtp_server.refuse("rcpt", "450 4.2.0 One", times=2)
    smtp_server.refuse("rcpt", "550 5.1.1 Two", times=1)
    assert codes(send(smtp_server, [f"user{number}@example.net" for number in range(4)])) == {
        f"user{number}@example.net": code for number, code in enumerate((450, 450, 550, 250))
    }


def test_greylisting_defers_each_pair_once(smtp_server):
    fault = smtp_server.greylist()
    for recipient in (BOB, EVE):
        with pytest.raises(RecipientsRefused) as deferred:
            send(smtp_server, recipient)
        assert (deferred.value.reply.code, str(deferred.value.reply.enhanced)) == (450, "4.7.1")
        assert codes(send(smtp_server, recipient)) == {recipient: 250}
    with pytest.raises(RecipientsRefused):
        send(smtp_server, BOB, "other@example.org")
    assert fault.hits == 3


def test_lmtp_recipients_are_refused_one_by_one():
    with Server(lmtp=True, extensions=["DSN"]) as server:
        server.refuse("message", "452 4.2.2 Full", recipient=EVE)
        assert codes(send(server, [BOB, EVE], rcpt_parameters={"NOTIFY": ["NEVER"]})) == {BOB: 250, EVE: 452}
        with pytest.raises(MessageRefused):
            send(server, EVE)
        (message,) = server.inbox
        assert (message.recipients, len(message.envelope.rcpt_parameters)) == ([BOB], 1)
        server.disconnect("message")
        with pytest.raises(ConnectionLost) as lost:
            send(server, [EVE, BOB])
        assert lost.value.recipients[EVE].verdict is Verdict.UNKNOWN
        assert server.inbox[-1].recipients == [BOB]


@pytest.mark.parametrize("tls", [None, "starttls", "implicit"])
@pytest.mark.parametrize("step", [step for step in STEPS if step not in ("quit", "starttls")])
def test_the_line_can_be_dropped_at_each_step(step, tls):
    with Server(tls=tls, **LOGIN) as server:
        fault = server.disconnect(step, times=1)
        with pytest.raises(ConnectionLost) as lost:
            send(server, chunking=False)
        assert fault.hits == 1
        unknown = {address for address, outcome in lost.value.recipients.items() if outcome.verdict is Verdict.UNKNOWN}
        # The message is there, and its client cannot know.
        assert (unknown, len(server.inbox)) == (({BOB}, 1) if step == "message" else (set(), 0))
        send(server)


def test_starttls_can_be_dropped():
    with Server(tls="starttls") as server:
        server.disconnect("starttls")
        with pytest.raises(ConnectionLost):
            send(server)


def test_quit_can_be_dropped_after_the_verdict(smtp_server):
    smtp_server.disconnect("quit", times=1)
    assert codes(send(smtp_server)) == {BOB: 250}
    smtp_server.disconnect("quit", times=1)
    with closing(smtplib.SMTP(smtp_server.host, smtp_server.port, timeout=PATIENCE)) as client:
        client.sendmail(ADA, BOB, "Hi")
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.quit()
    assert len(smtp_server.inbox) == 2


def test_a_delay_is_met_by_a_time_out_and_adds_to_what_follows(smtp_server):
    slow = smtp_server.delay("rcpt", 3600, recipient=EVE)
    timeouts = Timeouts(PATIENCE, rcpt=0.05)
    with smtpkit.sync.connect(smtp_server.url, timeouts=timeouts) as client, pytest.raises(Timeout, match="RCPT"):
        client.send(ADA, EVE, b"Hi\r\n", chunking=False)
    assert slow.hits == 1
    smtp_server.delay("mail", 0.001)
    smtp_server.delay("mail", 0.001)
    smtp_server.refuse("mail", "550 5.7.1 No")
    with pytest.raises(SenderRefused):
        send(smtp_server)
    assert [fault.hits for fault in smtp_server.faults] == [1, 1, 1, 1]


def test_several_chunks_of_bdat_are_one_message(smtp_server):
    def body():
        for _ in range(3):
            yield b"x" * 70_000 + b"\r\n"

    with smtpkit.sync.connect(smtp_server.url) as client:
        client.send(ADA, BOB, body(), chunking=True)
        assert len(smtp_server.inbox[0].content) == 3 * 70_002
        smtp_server.refuse("data", "552 5.2.2 Full")
        with pytest.raises(MessageRefused):
            client.send(ADA, BOB, body(), chunking=True)


def test_what_is_no_fault_is_told(smtp_server):
    for step, reply in (
        ("body", "550 No"),
        ("rcpt", "no"),
        ("rcpt", "250 Ok"),
        ("rcpt", "55 No"),
        ("rcpt", "950 No"),
        ("rcpt", "550 4.1.1 No\r\n"),
        ("quit", "550 No"),
    ):
        with pytest.raises(ValueError):
            smtp_server.refuse(step, reply)
    with pytest.raises(ValueError, match="connect, hello, starttls"):
        smtp_server.disconnect("recipient")
    with pytest.raises(ValueError, match="times"):
        smtp_server.greylist(times=0)
    with pytest.raises(ValueError, match="seconds"):
        smtp_server.delay("rcpt", -1)
    assert smtp_server.faults == []


def test_a_fault_says_what_it_is():
    assert repr(Fault("rcpt", "550 5.1.1 No")) == "<Fault at rcpt: 550 5.1.1 No; hits: 0>"
    assert repr(Fault("rcpt", None)) == "<Fault at rcpt: drop the line; hits: 0>"
    assert repr(Fault("rcpt", 2)) == "<Fault at rcpt: 2 s; hits: 0>"
