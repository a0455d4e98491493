"""What a server knows of its session, and how it ends it."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.events import ConnectionClosed, Transport
from smtpkit.protocol.states import State
from smtpkit.protocol.transcript import Transcript
from smtpkit.wire.replies import Reply

playing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))
Play, config, ready, codes, TRANSACTION = (
    playing.Play,
    playing.config,
    playing.ready,
    playing.codes,
    playing.TRANSACTION,
)


@pytest.mark.parametrize(
    ("settings", "tls", "say", "protocol"),
    [
        ({}, False, b"", "SMTP"),
        ({}, False, b"HELO c.example\r\n", "SMTP"),
        ({}, True, b"HELO c.example\r\n", "SMTP"),
        ({}, False, b"EHLO c.example\r\n", "ESMTP"),
        ({}, True, b"EHLO c.example\r\n", "ESMTPS"),
        ({}, False, b"EHLO c.example\r\n" + playing.LOGIN, "ESMTPA"),
        ({}, True, b"EHLO c.example\r\n" + playing.LOGIN, "ESMTPSA"),
        ({}, False, b"EHLO c.example\r\nMAIL FROM:<> SMTPUTF8\r\n", "UTF8SMTP"),
        ({}, True, b"EHLO c.example\r\n" + playing.LOGIN + b"MAIL FROM:<> SMTPUTF8\r\n", "UTF8SMTPSA"),
        ({"lmtp": True}, False, b"LHLO c.example\r\n", "LMTP"),
        ({"lmtp": True}, True, b"LHLO c.example\r\n" + playing.LOGIN, "LMTPSA"),
        ({"lmtp": True}, False, b"LHLO c.example\r\nMAIL FROM:<> SMTPUTF8\r\n", "UTF8LMTP"),
    ],
)
def test_the_protocols_name_for_trace_fields(settings, tls, say, protocol):
    # RFC 3848, RFC 6531 section 4.3
    play = Play(playing.with_login(**settings), tls=tls)
    play.say(say)
    assert play.core.protocol == protocol


def test_what_it_waits_for():
    play = ready(playing.with_login(tls_available=True))
    assert play.core.waiting_for == "command"
    play.say(b"AUTH PLAIN\r\n")
    assert play.core.waiting_for == "AUTH"
    play.say(b"*\r\nBDAT 4\r\n")
    assert play.core.waiting_for == "body"
    play.say(b"abcd" + TRANSACTION + b"DATA\r\n")
    assert play.core.waiting_for == "body"
    play.say(b".\r\nSTARTTLS\r\n")
    assert play.core.waiting_for == "TLS handshake"


def test_the_size_of_the_content_so_far():
    play = ready()
    assert play.core.size == 0
    play.say(TRANSACTION + b"DATA\r\n..two\r\n")
    assert play.core.size == 6


def test_a_transaction_is_open_while_it_can_still_be_accepted():
    play = ready(config(max_message_size=3))
    assert not play.core.in_transaction
    assert play.core.envelope is None
    play.say(TRANSACTION)
    assert play.core.in_transaction
    assert str(play.core.envelope.sender) == "a@a.example"
    play.say(b"BDAT 4\r\nabcd")
    assert play.core.state is State.BDAT_FAILED
    assert not play.core.in_transaction


def test_421_ends_the_session():
    play = ready()
    play.core.close(say.SHUTTING_DOWN)
    assert play.core.closed
    assert play.core.transport is Transport.CLOSE
    assert play.core.next_event() == ConnectionClosed()
    assert codes(play.core.data_to_send()) == [421]


def test_the_end_of_the_stream_ends_it_when_nothing_is_left():
    play = ready()
    assert not play.core.closed
    assert play.core.unread == 0
    play.say(b"NOO")
    assert play.core.unread == 3
    play.end()
    assert play.core.closed
    assert play.core.unread == 0


def test_what_is_answered_is_recorded():
    transcript = Transcript()
    ready(transcript=transcript).say(b"FOO\r\n")
    assert transcript.lines[-2:] == ["C: FOO", "S: 500 5.5.1 Command not recognized"]


def test_an_error_too_many_is_what_the_notice_tells():
    play = ready()
    play.say(b"FOO\r\n" * 10)
    assert play.events[-2].reply == Reply(421, "Too many errors", "4.7.0")
