"""Back-pressure: no role holds more than its bound of what came, each says how much that is, and what it waits for."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import RemoteProtocolError
from smtpkit.protocol.client import ClientConnection
from smtpkit.protocol.config import ClientConfig
from smtpkit.protocol.events import NEED_DATA, PAUSED, AuthResponse, BodyChunk, ConnectionClosed
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.timeouts import Timeouts
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.wire import commands as c
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.replies import Reply

playing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))
Play, config, ready, TRANSACTION, with_login = (
    playing.Play,
    playing.config,
    playing.ready,
    playing.TRANSACTION,
    playing.with_login,
)
PIECES = [
    *(b"EHLO c.example\r\n", b"MAIL FROM:<a@a.example>\r\n", b"RCPT TO:<b@b.example>\r\n", b"DATA\r\n", b"x" * 300),
    *(
        b".\r\n",
        b"\r\n.\r\n",
        b"BDAT 50\r\n",
        b"BDAT 3 LAST\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"VRFY joe\r\n",
        b"\n",
        b"\0",
    ),
]


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=60).map(b"".join), st.integers(1, 400), st.integers(0, 9))
def test_what_is_held_is_bounded_whatever_is_decided_and_when(octets, step, patience):
    """An owner that reads no more while `unread` is over its bound: nothing is lost, and no more is ever held.

    While a decision is due nothing is consumed: `unread` is then what came since, to the octet, and the owner's to
    bound.  Once it is made all is consumed again, but for the beginning of one line.
    """
    bound = 512
    play = Play(config(limits=Limits(line=200, errors=10_000, errors_in_a_row=10_000)))
    due, waited = 0, 0
    while due < len(octets) and not play.core.closed:
        if play.core.unread < bound:
            piece = octets[due : due + step]
            before = play.core.unread
            play.core.receive_data(piece)
            assert play.core.unread == before + len(piece)
            due += step
        assert play.core.unread < bound + step
        waited += 1
        if waited % (patience + 1) == 0 or play.core.unread >= bound:
            play.run()
            assert play.core.unread < 200
    play.run()
    assert play.core.unread < 200
    assert play.core.next_event() in (NEED_DATA, ConnectionClosed(), PAUSED)


@pytest.mark.parametrize(
    "before", [b"", TRANSACTION + b"DATA\r\n", TRANSACTION + b"BDAT 99999999 LAST\r\n", b"BDAT 99999999\r\n", b"NOOP "]
)
def test_content_is_handed_on_and_not_held(before):
    play = ready()
    play.say(before)
    for _ in range(50):
        play.say(b"x" * 65536)
        assert play.core.unread <= 1
    assert sum(len(event.data) for event in play.events if isinstance(event, BodyChunk)) in (0, 50 * 65536)


def test_content_that_nobody_takes_is_not_consumed():
    play = ready()
    play.say(TRANSACTION + b"DATA\r\n")
    for n in range(1, 4):
        play.core.receive_data(b"x" * 1000)
        assert play.core.unread == n * 1000
    assert len(play.core.next_event().data) == 3000
    assert play.core.unread == 0


def test_each_wait_of_a_server_has_a_name():
    names = {"command", "body", "AUTH", "TLS handshake"}
    play = Play(with_login(tls_available=True, mechanisms=["LOGIN"]))
    seen = [play.core.waiting_for]
    for line in (b"EHLO c.example\r\n", b"AUTH LOGIN\r\n", b"*\r\n", TRANSACTION, b"BDAT 3\r\n", b"abc", b"RSET\r\n"):
        play.say(line)
        seen.append(play.core.waiting_for)
    for line in (TRANSACTION + b"DATA\r\n", b".\r\n", b"STARTTLS\r\n"):
        play.say(line)
        seen.append(play.core.waiting_for)
    assert seen == [
        *("command", "command", "AUTH", "command", "command", "body", "command", "command"),
        *("body", "command", "TLS handshake"),
    ]
    assert set(seen) == names


# The client


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.lists(st.sampled_from([b"250-", b"x" * 600, b"\r\n", b"250 Ok\r\n", b"550-no\r\n"]), max_size=400),
    st.integers(1, 9),
)
def test_a_client_holds_no_more_than_one_reply(pieces, owed):
    core = ClientConnection(ClientConfig())
    core.receive_data(b"220 mx.example\r\n")
    core.next_event()
    for _ in range(owed):
        core.send(c.Rset())
    try:
        for piece in pieces:
            core.receive_data(piece)
            while isinstance(core.next_event(), Reply):
                pass
            assert core.unread <= 64 * 1024 + 600
    except RemoteProtocolError:
        assert core.closed


def test_each_wait_of_a_client_has_a_time_out():
    """From the connection to QUIT; what an adapter waits for itself has its own names in the table."""
    core = ClientConnection(ClientConfig())
    seen = [core.waiting_for]
    core.receive_data(b"220 mx.example\r\n")
    core.next_event()
    mail, rcpt = c.Mail(None), c.Rcpt(Mailbox("b", "b.example"))
    sent = [
        (c.Helo("c.example"), b"250 mx\r\n"),
        (c.Ehlo("c.example"), b"250 mx\r\n"),
        (c.StartTLS(), b"220 go\r\n"),
        (c.Ehlo("c.example"), b"250 mx\r\n"),
        (c.Auth("LOGIN"), b"334 VXNlcm5hbWU6\r\n"),
        (AuthResponse(b"user"), b"235 in\r\n"),
        *((mail, b"250 ok\r\n"), (rcpt, b"250 ok\r\n"), (c.Data(), b"354 go\r\n")),
        *((BodyChunk(b"hi\r\n"), b""), (BodyChunk(b"", True), b"250 ok\r\n")),
        *((mail, b"250 ok\r\n"), (rcpt, b"250 ok\r\n"), (c.Bdat(0), b"250 ok\r\n"), (c.Bdat(0, True), b"250 ok\r\n")),
        *((c.Vrfy("joe"), b"252 ok\r\n"), (c.Rset(), b"250 ok\r\n"), (c.Quit(), b"221 bye\r\n")),
    ]
    for item, answer in sent:
        core.send(item)
        seen.append(core.waiting_for)
        if answer:
            core.receive_data(answer)
            core.next_event()
        if type(item) is c.StartTLS:
            core.tls_established(TLSFacts("TLSv1.3", "x"))
    assert seen == [
        *(
            "greeting",
            "HELO",
            "EHLO",
            "STARTTLS",
            "EHLO",
            "AUTH",
            "AUTH",
            "MAIL",
            "RCPT",
            "DATA",
            "body",
            "end of data",
        ),
        *("MAIL", "RCPT", "BDAT", "end of data", "VRFY", "RSET", "QUIT"),
    ]
    table = Timeouts().table
    assert set(table) - set(seen) == {"connect", "TLS handshake", "LHLO", "other"}
    assert set(seen) - set(table) == {"VRFY"}  # which "other" is for
    # RFC 5321 section 4.5.3.2, in minutes
    least = {"greeting": 5, "MAIL": 5, "RCPT": 5, "DATA": 2, "body": 3, "end of data": 10}
    assert {name: Timeouts()[name] / 60 for name in least} == least
    assert Timeouts()["VRFY"] == table["other"]
