"""The client of each adapter in docs/loops/, with smtpkit.sync and servers by hand."""

import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import smtpkit.sync
from smtpkit import (
    ConnectionLost,
    MessageRefused,
    Quit,
    RecipientsRefused,
    Reply,
    Timeout,
    Timeouts,
    TLSError,
    Transcript,
    Verdict,
)

CERTIFICATES = Path(__file__).parent.parent / "certificates"
PATIENCE = 20
TO = ["b@b.example", "c@b.example"]
LARGE = b"Subject: large\r\n\r\n" + b"." * 70 + (b"x" * 70 + b"\r\n.\r\n") * 69_000  # 5 MB, dots in it
PIECES = [LARGE[start : start + 100_000] for start in range(0, len(LARGE), 100_000)]


@contextmanager
def serve(handler=lambda message: None, tls="off", certificate="server", **options):
    """A server of smtpkit.sync; its address."""
    if tls != "off":
        options |= {"tls": (str(CERTIFICATES / f"{certificate}.pem"), None), "implicit_tls": tls == "implicit"}
    with smtpkit.sync.serve(handler, port=0, hostname="mx.example", **options) as server:
        yield server.address


@contextmanager
def script(*turns, silent=False):
    """A server that says each of these when the client has said something since, and then is silent or gone."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def play():
        sock, _ = listener.accept()
        sock.settimeout(PATIENCE)
        with sock, suppress(ConnectionError):
            for index, turn in enumerate(turns):
                if index:
                    sock.recv(65536)
                sock.sendall(turn)
            if silent:
                assert over.wait(PATIENCE)

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        over.set()
        thread.join(PATIENCE)
        listener.close()


AT_DATA = (b"220 mx\r\n", b"250 mx\r\n", b"250 Ok\r\n", b"250 Ok\r\n", b"354 Go on\r\n")


@pytest.mark.parametrize("body", [b"Subject: hi\r\n\r\n.\r\n", LARGE, PIECES], ids=["small", "large", "pieces"])
@pytest.mark.parametrize("tls", ["off", "required", "implicit"])
def test_what_is_sent_arrives(loop, client_tls, tls, body):
    inbox = []
    with serve(inbox.append, tls) as address:
        result = loop.send(address, "a@a.example", TO, body, tls=tls, make_tls=client_tls)
    assert [outcome.verdict for outcome in result.recipients.values()] == [Verdict.ACCEPTED] * 2
    (message,) = inbox
    assert (message.sender, message.recipients) == ("a@a.example", TO)
    assert message.content == (body if isinstance(body, bytes) else LARGE)


def test_each_recipient_has_an_answer_in_lmtp(loop):
    answers = [Reply(250, "Ok", "2.0.0"), Reply(452, "Full", "4.2.2")]
    with serve(lambda message: answers, lmtp=True) as address:
        result = loop.send(address, "a@a.example", TO, b"x", lmtp=True)
    assert [outcome.reply for outcome in result.recipients.values()] == answers


@pytest.mark.parametrize("answer", [None, Reply(550, "No", "5.7.1")])
def test_leave_is_taken_whatever_became_of_the_message(loop, answer):
    class Session(smtpkit.sync.Session):
        def on_rcpt(self, command):
            return answer

    transcript = Transcript()
    with serve(Session, transcript=transcript) as address:
        if answer is None:
            loop.send(address, "a@a.example", TO, b"x")
        else:
            with pytest.raises(RecipientsRefused, match="550"):
                loop.send(address, "a@a.example", TO, b"x")
    assert f"C: {bytes(Quit()).decode().strip()}" in str(transcript)


@pytest.mark.parametrize("tls", ["required", "implicit"])
def test_a_certificate_for_another_name_is_not_taken(loop, client_tls, tls):
    with serve(tls=tls, certificate="wrong-name") as address, pytest.raises(TLSError, match="does not verify"):
        loop.send(address, "a@a.example", TO, b"x", tls=tls, make_tls=client_tls)


def test_a_silent_server_is_left(loop):
    with script(silent=True) as address, pytest.raises(Timeout) as caught:
        loop.send(address, "a@a.example", TO[:1], b"x", timeouts=Timeouts(0.2))
    assert caught.value.stage == "greeting"


def test_a_server_that_does_not_answer_the_message_leaves_it_unknown(loop):
    with script(*AT_DATA, silent=True) as address, pytest.raises(Timeout) as caught:
        loop.send(address, "a@a.example", TO[:1], b"x", timeouts=Timeouts(PATIENCE, end_of_data=0.2))
    assert caught.value.recipients[TO[0]].verdict is Verdict.UNKNOWN


def test_a_server_that_does_not_read_is_left_and_nothing_was_sent(loop):
    with script(*AT_DATA, silent=True) as address, pytest.raises(Timeout) as caught:
        loop.send(address, "a@a.example", TO[:1], LARGE * 6, timeouts=Timeouts(PATIENCE, body=0.5))
    assert Verdict.UNKNOWN not in {outcome.verdict for outcome in caught.value.recipients.values()}
    assert caught.value.may_retry


def test_a_server_that_goes_away_in_the_body_has_not_taken_it(loop):
    with script(*AT_DATA) as address, pytest.raises(ConnectionLost) as caught:
        loop.send(address, "a@a.example", TO[:1], LARGE * 6)
    assert Verdict.UNKNOWN not in {outcome.verdict for outcome in caught.value.recipients.values()}


@pytest.mark.parametrize("body", [LARGE * 6, PIECES * 6], ids=["held", "pieces"])
@pytest.mark.parametrize("then", ["silent", "gone"])
def test_what_the_server_says_in_the_body_is_heard(loop, body, then):
    expected = MessageRefused if then == "silent" or loop.hears_last_words else (MessageRefused, ConnectionLost)
    words = (*AT_DATA, b"552 5.3.4 Too large\r\n")
    # What comes when the line is full already is read once the write has taken too long.
    timeouts = Timeouts(PATIENCE, body=1)
    with script(*words, silent=then == "silent") as address, pytest.raises(expected) as caught:
        loop.send(address, "a@a.example", TO[:1], body, timeouts=timeouts)
    assert Verdict.UNKNOWN not in {outcome.verdict for outcome in caught.value.recipients.values()}
