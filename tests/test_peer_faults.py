"""Faults that were read in, or reported against, other SMTP libraries: this one has none of them.

A test is named for what goes wrong elsewhere.
"""

import logging
import runpy
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

import smtpkit.asyncio
from smtpkit import (
    DEFAULT_EXTENSIONS,
    DSN,
    AuthenticationError,
    AuthPolicy,
    ClientConfig,
    ClientConnection,
    Ehlo,
    Limits,
    Mail,
    Mailbox,
    Noop,
    NotSupported,
    Rcpt,
    Reply,
    Rset,
    StartTLS,
    Timeouts,
    TLSError,
    Transcript,
    dot_stuff,
)
from smtpkit.protocol import READ, WRITE
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.events import NEED_DATA, BodyChunk
from smtpkit.protocol.outgoing import Outgoing
from smtpkit.protocol.transaction import transaction
from smtpkit.sync import Session, connect, serve
from smtpkit.wire.dots import DotStuffer

TESTS = Path(__file__).parent
CERTIFICATES = TESTS / "certificates"
play = SimpleNamespace(**runpy.run_path(str(TESTS / "protocol" / "playing.py")))
config, ready, codes, TRANSACTION = play.config, play.ready, play.codes, play.TRANSACTION
WITHOUT_CHUNKING = [word for word in DEFAULT_EXTENSIONS if word != "CHUNKING"]


@contextmanager
def served(handler=lambda message: None, *, client=(), **options):
    """A client of a server on the loopback interface; its transcript is a list of lines."""
    transcript = Transcript()
    with serve(handler, port=0, hostname="mx.example", **options) as server:
        scheme = "lmtp" if options.get("lmtp") else "smtp"
        url = f"{scheme}://{server.address[0]}:{server.address[1]}"
        settings = {"local_hostname": "c.example", "transcript": transcript, **dict(client)}
        with connect(url, **settings) as connected:
            yield connected, transcript


def said(transcript, side="C: "):
    return [str(entry) for entry in transcript.entries if str(entry).startswith(side)]


class Refusing(Session):
    """Refuses the recipients that are called so."""

    def on_rcpt(self, command):
        return Reply(550, "no", "5.1.1") if str(command.forward_path).startswith("no") else None


# smtplib


def test_lmtp_reads_one_reply_for_all_recipients():
    """And one too few: the second one's refusal is lost, and answers the next command."""
    with served(lambda message: [Reply(250, "yes"), Reply(550, "no")], lmtp=True) as (client, _):
        result = client.send("a@a.example", ["b@b.example", "c@c.example"], b"hi\r\n")
        assert [outcome.verdict.value for outcome in result.recipients.values()] == ["accepted", "refused"]
        assert client.command(Noop()).code == 250


def test_bytes_keep_their_bare_lf():
    inbox = []
    with served(inbox.append) as (client, _):
        client.send("a@a.example", "b@b.example", b"one\ntwo\rthree\r\n")
    assert inbox[0].content == b"one\r\ntwo\r\nthree\r\n"


@pytest.mark.parametrize("certificate", ["self-signed", "expired", "wrong-name"])
def test_tls_without_a_context_is_unverified(certificate):
    tls = (str(CERTIFICATES / f"{certificate}.pem"), None)
    with pytest.raises(TLSError), served(tls=tls, client={"tls": "required"}):
        pass


def test_the_log_of_a_session_shows_the_password(caplog):
    caplog.set_level(logging.DEBUG)
    auth = AuthPolicy({"user": "s3cret"}, allow_in_clear=True)
    with served(auth=auth, client={"auth": ("user", "s3cret")}) as (client, transcript):
        client.send("a@a.example", "b@b.example", b"hi\r\n")
    shown = str(transcript) + caplog.text
    assert "AUTH " in shown
    for secret in ("s3cret", play.b64(b"s3cret").decode(), play.b64(b"\0user\0s3cret").decode()):
        assert secret not in shown


def test_a_size_is_declared_and_never_compared():
    with served(max_message_size=100) as (client, transcript):
        with pytest.raises(NotSupported):
            client.send("a@a.example", "b@b.example", b"x" * 101)
        assert not [line for line in said(transcript) if "MAIL" in line]


def test_options_that_are_not_offered_are_dropped_in_silence():
    with served() as (client, transcript):
        with pytest.raises(NotSupported):
            client.send("a@a.example", "b@b.example", b"hi\r\n", dsn=DSN(notify="FAILURE"))
        assert not [line for line in said(transcript) if "MAIL" in line]


# aiosmtplib


def test_one_round_trip_for_each_command():
    replies = []
    with served(extensions=WITHOUT_CHUNKING) as (client, transcript):
        client.send("a@a.example", [f"r{n}@b.example" for n in range(5)], b"hi\r\n")
        replies = [str(entry)[:6] for entry in transcript.entries]
    assert "C: RCP" in replies
    first, last = replies.index("C: MAI"), replies.index("C: DAT")
    assert not [line for line in replies[first:last] if line.startswith("S: ")]


def test_a_body_is_copied_whole_before_it_leaves():
    class Dropping(Session):
        def on_body(self, stream):
            for _ in stream:
                pass

    with served(Dropping) as (client, _):
        client.send("a@a.example", "b@b.example", [b"warm\r\n"])
        piece = b"x" * 65534 + b"\r\n"
        tracemalloc.start()
        client.send("a@a.example", "b@b.example", (piece for _ in range(128)))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024  # of 8 MiB, client and server together


def test_a_refused_password_is_tried_with_the_next_mechanism():
    auth = AuthPolicy({"user": "right"}, allow_in_clear=True, mechanisms=["PLAIN", "LOGIN"])
    transcripts = []
    with (
        pytest.raises(AuthenticationError),
        served(
            auth=auth,
            transcript=lambda: transcripts.append(Transcript()) or transcripts[-1],
            client={"auth": ("user", "wrong")},
        ),
    ):
        pass
    assert len([line for line in said(transcripts[0]) if line.startswith("C: AUTH")]) == 1


# aiosmtpd


def test_lmtp_answers_once_for_all_recipients():
    session = ready(config(lmtp=True))
    assert codes(session.say(TRANSACTION + b"RCPT TO:<b@b.example>\r\nDATA\r\n.\r\n")) == [250, 250, 250, 354, 250, 250]


def test_a_blocking_handler_blocks_the_event_loop():
    with pytest.raises(TypeError):
        smtpkit.asyncio.serve(lambda message: None)


def test_content_is_written_to_the_log(caplog):
    caplog.set_level(logging.DEBUG)
    with served() as (client, transcript):
        client.send("a@a.example", "b@b.example", b"the secret plan\r\n")
    assert "secret plan" not in caplog.text + str(transcript)


def test_auth_is_offered_and_nobody_can_log_in():
    assert b"AUTH" not in play.Play(config(), tls=True).say(b"EHLO c.example\r\n")
    assert b"AUTH" not in play.Play(play.with_login(allow_in_clear=False)).say(b"EHLO c.example\r\n")
    assert b"STARTTLS" not in play.Play(config()).say(b"EHLO c.example\r\n")


def test_a_login_that_is_set_up_is_not_required():
    """Which makes a relay for everybody; and under implicit TLS it must be offered."""
    session = play.Play(config(auth=AuthPolicy({"user": "pass"})), tls=True)
    assert b"AUTH " in session.say(b"EHLO c.example\r\n")
    assert session.say(b"MAIL FROM:<>\r\n") == b"530 5.7.0 Authentication required\r\n"


def test_parameters_of_other_extensions_cannot_be_let_through():
    session = ready(config(extensions=["DSN"], unknown_parameters="keep"))
    line = b"MAIL FROM:<a@a.example> RET=HDRS ENVID=x XFOO=1\r\nRCPT TO:<b@b.example> NOTIFY=NEVER\r\n"
    assert codes(session.say(line)) == [250, 250]
    assert session.core.envelope.mail_parameters["XFOO"] == "1"


def test_pipelining_works_and_is_not_offered():
    assert b"PIPELINING" in play.Play().say(b"EHLO c.example\r\n")


# smtpproto


def test_a_dot_at_the_start_of_the_message_is_not_doubled():
    assert dot_stuff(b".\r\nx\r\n") == b"..\r\nx\r\n.\r\n"


def test_an_address_brings_a_second_command():
    with pytest.raises(ValueError, match=r"."):
        Rcpt(Mailbox.parse("a@a.example>\r\nRSET"))


def greeted(*keywords):
    core = ClientConnection(ClientConfig())
    core.receive_data(b"220 mx.example\r\n")
    core.next_event()
    core.send(Ehlo("c.example"))
    core.receive_data("".join(f"250-{word}\r\n" for word in ("mx.example", *keywords)).encode() + b"250 HELP\r\n")
    core.next_event()
    core.data_to_send()
    return core


def test_a_second_reply_waits_for_more_octets():
    core = greeted("PIPELINING")
    core.send(Rset())
    core.send(Rset())
    core.receive_data(b"250 one\r\n250 two\r\n")
    assert [core.next_event().text, core.next_event().text, core.next_event()] == ["one", "two", NEED_DATA]


def test_replies_from_before_tls_are_there_after_it():
    core = greeted("STARTTLS", "AUTH PLAIN")
    core.send(StartTLS())
    core.receive_data(b"220 go\r\n")
    core.next_event()
    core.tls_established(play.FACTS)
    assert core.next_event() is NEED_DATA
    assert not core.capabilities


def test_one_refused_recipient_ends_the_message():
    inbox = []

    class Partial(Refusing):
        def on_message(self, message):
            inbox.append(message.recipients)

    with served(Partial) as (client, _):
        result = client.send("a@a.example", ["no@b.example", "yes@b.example"], b"hi\r\n")
    assert inbox == [["yes@b.example"]]
    assert [outcome.verdict.value for outcome in result.recipients.values()] == ["refused", "accepted"]


def test_there_is_no_implicit_tls():
    tls = (str(CERTIFICATES / "server.pem"), None)
    settings = {"tls": "implicit", "cafile": str(CERTIFICATES / "ca.pem"), "server_hostname": "localhost"}
    with served(tls=tls, implicit_tls=True, client=settings) as (client, _):
        assert client.tls.verified


# slimta, twisted


@pytest.mark.parametrize("policy", ["reject", "normalize", "keep"])
def test_a_dot_between_bare_newlines_ends_the_data(policy):
    session = ready(config(bare_newlines=policy))
    session.say(TRANSACTION + b"DATA\r\na\n.\nMAIL FROM:<e@e.example>\r\n")
    assert session.core.state is smtpkit.State.DATA


def test_a_piece_that_begins_with_a_dot_in_mid_line_is_stuffed():
    stuffer = DotStuffer()
    assert stuffer.feed(b"a") + stuffer.feed(b".b\r\n") + stuffer.finish() == b"a.b\r\n.\r\n"


def test_a_dot_at_the_start_of_a_piece_is_not_doubled():
    stuffer = DotStuffer()
    assert stuffer.feed(b"a\r\n") + stuffer.feed(b".\r\nb\r\n") + stuffer.finish() == b"a\r\n..\r\nb\r\n.\r\n"


def test_crlf_becomes_cr_cr_lf():
    inbox = []
    with served(inbox.append) as (client, _):
        client.send("a@a.example", "b@b.example", b"one\r\ntwo\r\n")
    assert inbox[0].content == b"one\r\ntwo\r\n"


@pytest.mark.parametrize("cut", [10, 11, 20])
def test_commands_behind_starttls_are_done_after_it(cut):
    octets = b"STARTTLS\r\nMAIL FROM:<e@e.example>\r\n"
    session = ready(config(tls_available=True), {StartTLS: None})
    answer = session.say(octets[:cut]) + session.say(octets[cut:])
    if session.core.unanswered is not None:
        session.core.accept()
        answer += session.run()
    assert codes(answer) == [554]
    assert session.core.closed


def test_noop_is_not_known():
    assert codes(ready().say(b"NOOP\r\nNOOP with words\r\n")) == [250, 250]


# lettre, mail-send


@pytest.mark.parametrize("body", [b"one\r\n", b"one\r\n\r\n", b"", b"one"])
def test_an_empty_line_is_added_at_the_end(body):
    inbox = []
    with served(inbox.append) as (client, _):
        client.send("a@a.example", "b@b.example", [body])
        client.send("a@a.example", "b@b.example", body)
    expected = body if body.endswith(b"\r\n") or not body else body + b"\r\n"
    assert [message.content for message in inbox] == [expected] * 2


def test_a_wait_may_last_an_hour():
    assert max(Timeouts().table.values()) == 600


# go-smtp, smtp-server


@pytest.mark.parametrize("parameter", [b"BY=100;R", b"MT-PRIORITY=3"])
def test_parameters_of_mail_belong_to_rcpt(parameter):
    session = ready(config(extensions=["DELIVERBY", "MT-PRIORITY"]))
    assert codes(session.say(b"MAIL FROM:<> " + parameter + b"\r\nRCPT TO:<b@b> " + parameter + b"\r\n"))[0] == 250
    assert session.core.recipients == []


def test_content_is_read_octet_by_octet():
    session = ready()
    session.say(TRANSACTION + b"DATA\r\n")
    session.events.clear()
    session.say(b"x" * 2**20 + b"\r\n.\r\n")
    assert len(session.events) <= 2


def test_a_refused_chunk_is_read_as_commands():
    session = ready()
    assert codes(session.say(b"BDAT 26\r\nMAIL FROM:<>\r\nNOOP\r\nQUIT\r\nNOOP\r\n")) == [503, 250]


def test_a_doubled_dot_behind_a_bare_lf_loses_one():
    session = ready(config(bare_newlines="keep"))
    session.say(TRANSACTION + b"DATA\r\na\n..b\r\n.\r\n")
    assert session.messages == [b"a\n..b\r\n"]


# MailKit


def test_the_replies_to_rcpt_are_awaited_before_data():
    driver = ClientDriver(greeted("PIPELINING"))
    sent = group(driver, ["b@b.example", "c@c.example"])
    assert sent.count(b"\r\n") == 4
    assert sent.endswith(b"DATA\r\n")


def test_status_codes_are_text():
    with served(Refusing) as (client, _):
        result = client.send("a@a.example", ["no@b.example", "yes@b.example"], b"hi\r\n")
    assert str(result.recipients["no@b.example"].reply.enhanced) == "5.1.1"


# Reported by users


def group(driver, recipients):
    """What leaves before the client waits for the first time."""
    paths = {address: Rcpt(Mailbox.parse(address)) for address in recipients}
    driver.start(transaction(driver.core, Mail(None), paths, Outgoing(b"hi\r\n")), None)
    sent = b""
    while (need := driver.next(None)) is WRITE:
        sent += driver.take()
    assert need is READ
    return sent + driver.take()


def test_dots_are_stuffed_in_chunks():
    """DATA and BDAT give the same octets."""
    body = b".\r\n..\r\nx\r\n.\r\n"
    inbox = []
    with served(inbox.append) as (client, _):
        for chunking in (True, False):
            client.send("a@a.example", "b@b.example", body, chunking=chunking)
    assert [message.content for message in inbox] == [body] * 2


def test_many_recipients_overrun_a_server_that_answers_before_it_reads():
    """Replies to 10,000 recipients do not fit any window; a group does, and waits for its replies."""
    sent = group(ClientDriver(greeted("PIPELINING")), [f"recipient-{n}@b.example" for n in range(10_000)])
    assert sent.count(b"\r\n") <= 128
    assert len(sent) <= 32 * 1024


def test_ten_thousand_recipients_arrive():
    inbox = []
    with served(inbox.append, limits=Limits(recipients=20_000, commands=50_000)) as (client, _):
        result = client.send("a@a.example", [f"r{n}@b.example" for n in range(10_000)], b"hi\r\n")
        assert len(result.accepted) == 10_000
    assert len(inbox[0].recipients) == 10_000


def test_a_second_hello_behind_the_login_undoes_it():
    auth = AuthPolicy({"user": "pass"}, allow_in_clear=True)
    with served(auth=auth, client={"auth": ("user", "pass")}) as (client, transcript):
        client.send("a@a.example", "b@b.example", b"hi\r\n")
    lines = said(transcript)
    login = next(index for index, line in enumerate(lines) if line.startswith("C: AUTH"))
    assert not [line for line in lines[login:] if line.startswith("C: EHLO")]


def test_an_exception_of_the_handler_is_told_to_the_peer():
    def failing(message):
        raise LookupError("the name of our data base")

    with served(failing) as (client, transcript), pytest.raises(smtpkit.MessageRefused) as refused:
        client.send("a@a.example", "b@b.example", b"hi\r\n")
    assert str(refused.value.reply) == "451 4.3.0 Internal error, try again later"
    assert "data base" not in str(transcript)


def test_nobody_counts_connections_errors_or_time():
    limits = Limits()
    assert all((limits.connections, limits.per_address, limits.errors, limits.commands, limits.idle, limits.unread))


def test_one_piece_of_a_message_is_taken_for_all_of_it():
    session = ready()
    session.say(TRANSACTION + b"DATA\r\nhalf")
    session.end()
    assert not [event for event in session.events if isinstance(event, BodyChunk) and event.last]
