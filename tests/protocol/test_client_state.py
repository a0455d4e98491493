"""What a client knows of its connection, while all goes well and when it does not."""

import pytest

from smtpkit.errors import LocalProtocolError, RemoteProtocolError
from smtpkit.protocol.client import ClientConnection
from smtpkit.protocol.config import ClientConfig
from smtpkit.protocol.events import AuthResponse, BodyChunk, Transport
from smtpkit.protocol.states import State
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.protocol.transcript import Transcript
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import Auth, Bdat, Data, Ehlo, Mail, Noop, Quit, Rcpt, Rset, StartTLS

TRANSACTION = (Mail(None), Rcpt(Mailbox.parse("a@b.example")), Data())


def said(client: ClientConnection, *commands: object, answers: bytes) -> list[int]:
    client.send(*commands)  # type: ignore[arg-type]
    client.receive_data(answers)
    replies: list = []
    assert client.take_replies(replies) is None
    return [reply.code for reply in replies]


def ready(**options: object) -> ClientConnection:
    client = ClientConnection(ClientConfig("c.example"), **options)
    client.receive_data(b"220 s.example\r\n")
    client.take_replies([])
    said(client, Ehlo("c.example"), answers=b"250-s.example\r\n250-STARTTLS\r\n250 PIPELINING\r\n")
    return client


def test_a_new_connection_waits_for_the_greeting() -> None:
    client = ClientConnection(ClientConfig("c.example"))
    assert (client.state, client.waiting_for, client.owed) == (State.GREETING, "greeting", 1)
    assert not client.idle
    assert not client.closed
    assert repr(client) == "<ClientConnection: greeting, 1 replies owed>"


def test_it_is_quiet_until_something_comes_unasked() -> None:
    client = ready()
    assert (client.idle, client.quiet, client.silent) == (True, True, True)
    client.receive_data(b"42")
    assert (client.idle, client.quiet, client.silent, client.unread) == (True, False, False, 2)


def test_it_is_idle_before_its_hello() -> None:
    client = ClientConnection(ClientConfig("c.example"))
    client.receive_data(b"220 s.example\r\n")
    client.take_replies([])
    assert (client.state, client.idle) == (State.CONNECTED, True)
    assert client.greeting is not None
    assert client.greeting.text == "s.example"


def test_it_is_not_idle_within_a_chunk_that_was_answered_early() -> None:
    client = ready()
    assert said(client, *TRANSACTION[:2], Bdat(4, True), answers=b"250 ok\r\n" * 3) == [250] * 3
    assert (client.owed, client.state, client.idle) == (0, State.READY, False)
    client.send(BodyChunk(b"abcd"))
    assert client.idle


def test_it_is_not_silent_once_the_stream_has_ended() -> None:
    client = ready()
    client.receive_data(b"")
    assert not client.silent
    assert not client.quiet


def test_it_is_not_silent_when_it_is_over() -> None:
    client = ready(transcript=Transcript())
    assert said(client, Quit(), answers=b"221 bye\r\n") == [221]
    assert client.closed
    assert not client.silent
    assert client.transport is Transport.CLOSE


def test_a_wait_has_the_name_of_what_is_answered() -> None:
    client = ready()
    assert client.waiting_for == "command"
    client.send(*TRANSACTION)
    assert client.waiting_for == "MAIL"
    client.receive_data(b"250 ok\r\n250 ok\r\n354 go\r\n")
    client.take_replies([])
    assert client.waiting_for == "body"
    client.send(BodyChunk(b"", last=True))
    assert client.waiting_for == "end of data"


def test_the_last_chunk_waits_as_the_end_of_data_does() -> None:
    client = ready()
    said(client, *TRANSACTION[:2], answers=b"250 ok\r\n250 ok\r\n")
    client.send(Bdat(1, last=True))
    assert client.waiting_for == "end of data"
    client.send(BodyChunk(b"x", last=True))


@pytest.mark.parametrize(
    ("before", "answers", "item", "expected"),
    [
        ((), b"", AuthResponse(b""), "EHLO"),
        (TRANSACTION, b"", BodyChunk(b""), "the reply to DATA"),
        (TRANSACTION, b"250 ok\r\n250 ok\r\n354 go\r\n", Noop(), "content"),
        ((*TRANSACTION[:2], Bdat(3)), b"", Noop(), "3 octets of content"),
        ((Auth("LOGIN"),), b"334 \r\n", Noop(), "an answer to the challenge"),
        ((Quit(),), b"221 bye\r\n", Noop(), "nothing"),
    ],
)
def test_what_is_out_of_order_is_told_what_is_not(before: tuple, answers: bytes, item: object, expected: str) -> None:
    client = ready()
    client.send(*before)
    if answers:
        client.receive_data(answers)
    client.take_replies([])
    with pytest.raises(LocalProtocolError) as caught:
        client.send(item)  # type: ignore[arg-type]
    assert expected in caught.value.expected


def test_a_violation_says_what_was_awaited() -> None:
    client = ready()
    client.send(Noop())
    client.receive_data(b"nonsense\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        client.take_replies([])
    assert caught.value.expected == "a reply to NOOP"
    assert client.closed


def test_a_violation_says_that_nothing_was_awaited() -> None:
    client = ready()
    client.receive_data(b"250 what?\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        client.next_event()
    assert caught.value.expected == "nothing"


def test_a_violation_says_that_the_greeting_was_awaited() -> None:
    client = ClientConnection(ClientConfig())
    client.receive_data(b"hello\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        client.next_event()
    assert caught.value.expected == "the greeting"


def test_a_violation_says_of_which_class_the_reply_should_have_been() -> None:
    client = ready()
    client.send(Noop())
    client.receive_data(b"354 go\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        client.take_replies([])
    assert caught.value.expected == "another class of reply"


def test_what_is_offered_is_forgotten_when_tls_begins() -> None:
    client = ready()
    assert "STARTTLS" in client.capabilities
    said(client, StartTLS(), answers=b"220 go\r\n")
    client.tls_established(TLSFacts("TLSv1.3", "x", verified=True))
    assert dict(client.capabilities) == {}
    assert client.state is State.CONNECTED


def test_out_of_order_is_told_with_what_has_to_come_first() -> None:
    client = ready()
    client.send(StartTLS())
    with pytest.raises(LocalProtocolError) as info:
        client.send(Noop())
    assert info.value.expected == "the reply to STARTTLS"
    client.receive_data(b"220 go\r\n")
    client.take_replies([])
    with pytest.raises(LocalProtocolError) as info:
        client.send(Ehlo("c.example"))
    assert info.value.expected == "tls_established()"


def test_a_violation_in_a_login_shows_nothing_of_it() -> None:
    client = ready()
    client.send(Auth("PLAIN", b"secret"))
    client.receive_data(b"what c2VjcmV0\r\n")
    with pytest.raises(RemoteProtocolError) as info:
        client.next_event()
    assert info.value.received == b"<hidden>"


@pytest.mark.parametrize(
    "group",
    [
        [Rset(), Mail(None)],
        [*TRANSACTION[:2], Bdat(0, False), Bdat(0, True), Mail(None)],
        [*TRANSACTION[:2], Bdat(0, True), Rset()],
    ],
)
def test_what_may_be_followed_is_no_end_of_a_group(group: list) -> None:
    client = ready()
    client.send(*group)
    assert client.owed == len(group)


@pytest.mark.parametrize(("login", "shown"), [(False, b"250 s3cret\r\n"), (True, b"<hidden>")])
def test_what_comes_unasked_is_shown_outside_a_login(login: bool, shown: bytes) -> None:
    client = ready()
    if login:
        said(client, Auth("LOGIN"), answers=b"334 VXNlcg==\r\n")
    client.receive_data(b"250 s3cret\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        client.next_event()
    assert caught.value.received == shown
