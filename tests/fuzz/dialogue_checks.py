"""What must hold of a whole dialogue: a login, a server's connection, a client's, whatever the peer sends.

The input is cut at each "|" into the peer's messages, or reads; what stands before the first one are digits that
choose a configuration, and what the owner of the connection decides.
"""

from itertools import chain, cycle

from parser_checks import emitted_lines

from smtpkit.errors import LocalProtocolError, ParseError, RemoteProtocolError
from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.client import ClientConnection
from smtpkit.protocol.config import ClientConfig, ServerConfig
from smtpkit.protocol.events import (
    NEED_DATA,
    PAUSED,
    AuthResponse,
    BodyChunk,
    BodyRefused,
    ConnectionClosed,
    Transport,
)
from smtpkit.protocol.extensions import EXTENSIONS
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.sasl.questions import Challenge, FetchSecret, VerifyPassword, VerifyToken
from smtpkit.sasl.registry import mechanism_names, server_mechanism
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import (
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTLS,
    Vrfy,
)
from smtpkit.wire.replies import Reply, ReplyAssembler

__all__ = ["MECHANISMS", "client_connection", "sasl_server", "server_connection"]

MECHANISMS = mechanism_names()
CLEAR = TLSFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")


def sasl_server(octets, name):
    """A mechanism ends with an identity, None or ParseError.

    Of the first octet bit 0 is the application's answer; with bit 1 the first message is an initial response.
    """
    head, *messages = octets.split(b"|")
    bits = head[0] if head else 0
    messages.reverse()
    initial = messages.pop() if bits & 2 and messages else None
    steps = server_mechanism(
        name,
        initial,
        channel_binding=b"binding" if name.endswith("-PLUS") else None,
        certificate_identity="user",
        iterations=1,
        salt_secret=b"salt",
        nonce="server",
    )
    answer = None
    for _ in range(8):
        try:
            step = steps.send(answer)
        except ParseError as error:
            assert 500 <= error.code <= 599, error
            assert not any(message and message in str(error).encode() for message in messages if len(message) > 40)
            return
        except StopIteration as end:
            assert end.value is None or (isinstance(end.value, str) and end.value), end.value
            return
        assert repr(step)
        if isinstance(step, Challenge):
            answer = messages.pop() if messages else b""
        elif isinstance(step, FetchSecret):
            assert step.username
            answer = "pencil" if bits & 1 else None
        else:
            assert isinstance(step, VerifyPassword | VerifyToken)
            answer = bool(bits & 1)
    raise AssertionError("a login without end")


def _server_configs():
    everything = [keyword for keyword in EXTENSIONS if keyword not in ("STARTTLS", "AUTH")]
    small = Limits(commands=20, errors=9, errors_in_a_row=4, recipients=2, transactions=2)
    auth = AuthPolicy(allow_in_clear=True, required=False, mechanisms=("SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"))
    return (
        ServerConfig("mx.example"),
        ServerConfig("mx.example", lmtp=True, extensions=everything),
        ServerConfig("mx.example", extensions=everything, bare_newlines="normalize", max_message_size=40),
        ServerConfig("mx.example", strict=True, limits=small, bare_newlines="keep", unknown_parameters="keep"),
        ServerConfig("mx.example", tls_available=True, require_tls=True),
        ServerConfig("mx.example", auth=auth, tls_available=True, extensions=everything),
        ServerConfig("mx.example", auth=AuthPolicy(allow_in_clear=True, mechanisms=("PLAIN", "XOAUTH2"))),
        ServerConfig("[192.0.2.1]", lmtp=True, limits=small, max_message_size=40),
    )


SERVER_CONFIGS = _server_configs()


def server_connection(octets):
    """A server only ever sends whole replies, in bounded work, and raises nothing where its owner does nothing wrong.

    The first octet chooses the configuration, those behind it how events are decided, over and over.
    """
    head, *reads = octets.split(b"|")
    connection = ServerConnection(SERVER_CONFIGS[(head[0] if head else 0) % len(SERVER_CONFIGS)])
    decisions = cycle([octet & 3 for octet in head[1:]] or [0])
    written = []
    steps = 8 * len(octets) + 64  # of this owner, who looks twice where it decides
    for piece in chain(filter(None, reads), [b""]):
        connection.receive_data(piece)
        while (event := connection.next_event()) is not NEED_DATA:
            written.append(connection.data_to_send())
            _look_at(connection, event)
            steps -= 1
            assert steps > 0, "more events than the input can hold"
            if isinstance(event, ConnectionClosed):
                break
            if event is PAUSED and connection.unanswered is None:
                assert connection.transport is Transport.START_TLS
                connection.tls_established(CLEAR)
            elif connection.unanswered is not None:
                assert connection.next_event() is PAUSED
                _decide(connection, next(decisions))
            elif isinstance(event, BodyChunk) and next(decisions) == 3:
                connection.reject()
        assert connection.unread <= 12288 + 2, connection.unread
    written.append(connection.data_to_send())
    assert connection.closed
    assert connection.unread == 0
    assert isinstance(connection.next_event(), ConnectionClosed)
    _are_replies(b"".join(written))


def _look_at(connection, event):
    assert repr(event)
    assert repr(connection)
    assert connection.waiting_for
    assert connection.protocol
    assert connection.size >= 0
    envelope = connection.envelope
    if envelope is not None:
        assert len(envelope.recipients) == len(connection.recipients) <= connection.config.limits.recipients
    if isinstance(event, Command):
        emitted_lines(bytes(event))
    elif isinstance(event, BodyRefused):
        assert event.reply.code >= 400


def _decide(connection, choice):
    event = connection.unanswered
    if isinstance(event, FetchSecret | VerifyPassword | VerifyToken):
        secret = "pencil" if isinstance(event, FetchSecret) else True
        if choice == 3:
            connection.reject(Reply(454, "Not now", "4.7.0"))
        else:
            connection.supply((secret, None, False)[choice])
    elif choice == 0:
        connection.accept()
    elif choice == 1:
        connection.reject()
    elif choice == 2:
        enough = len(connection.recipients) > 2
        connection.reject(Reply(421, "Enough", "4.3.2") if enough else Reply(550, "No", "5.7.1"))
    elif connection.config.lmtp and isinstance(event, BodyChunk):
        connection.answer([Reply((250, 450, 550)[index % 3], "x") for index in range(len(connection.recipients))])
    else:
        connection.accept()


def _are_replies(octets):
    assembler = ReplyAssembler()
    for line in emitted_lines(octets) if octets else ():
        assert len(line) <= 510, line
        assembler.add(line)
    assert not assembler.incomplete


_A, _B = Mailbox("a", "a.example"), Mailbox("b", "b.example")
DIALOGUES = (
    ([Ehlo("c.example")], [Mail(_A)], [Rcpt(_B)], [Rcpt(_A)], [Data()], [BodyChunk(b".x\r\n", True)], [Quit()]),
    ([Ehlo("c.example")], [Mail(_A), Rcpt(_A), Rcpt(_B), Data()], [BodyChunk(b"x"), BodyChunk(b"", True)], [Rset()]),
    ([Ehlo("c.example")], [StartTLS()], [Ehlo("c.example")], [Mail(None)], [Quit()]),
    ([Ehlo("c.example")], [Auth("PLAIN", b"\0a\0b")], [AuthResponse(b"x")], [AuthResponse(None)], [Noop()]),
    ([Ehlo("c.example")], [Mail(_A), Rcpt(_A), Bdat(2), BodyChunk(b"xy")], [Bdat(0, True), BodyChunk(b"")], [Noop()]),
    ([Lhlo("c.example")], [Mail(_A), Rcpt(_A), Rcpt(_B), Data()], [BodyChunk(b"x", True)], [Vrfy("a")], [Quit()]),
    ([Lhlo("c.example")], [Mail(_A), Rcpt(_A), Rcpt(_B), Bdat(1, True), BodyChunk(b"x")], [Rset()], [Quit()]),
)


def client_connection(octets):
    """A client reads replies, or raises RemoteProtocolError and is closed; what is out of order it refuses to send.

    The first octet chooses the dialogue, of which a group is sent after each read.
    """
    head, *reads = octets.split(b"|")
    dialogue = DIALOGUES[(head[0] if head else 0) % 8 % len(DIALOGUES)]
    connection = ClientConnection(ClientConfig(lmtp=isinstance(dialogue[0][0], Lhlo)))
    groups = iter(dialogue)
    replies = 0
    for piece in chain(filter(None, reads), [b""]):
        connection.receive_data(piece)
        replies += _replies(connection)
        assert connection.unread <= 64 * 1024
        for item in next(groups, ()):
            try:
                connection.send(item)
            except LocalProtocolError as error:
                assert str(error)
                break
        emitted = connection.data_to_send()
        assert not emitted or emitted.endswith(b"\r\n") or b"BDAT" in emitted or emitted in (b"x", b"xy")
    assert replies <= octets.count(b"\n")
    assert connection.closed
    assert isinstance(connection.next_event(), ConnectionClosed)


def _replies(connection):
    replies = 0
    while True:
        try:
            event = connection.next_event()
        except RemoteProtocolError as error:
            assert connection.closed
            assert str(error)
            return replies
        assert repr(connection)
        assert connection.waiting_for
        assert connection.owed >= 0
        assert connection.idle in (True, False)
        if connection.transport is Transport.START_TLS:
            connection.tls_established(CLEAR)
        if isinstance(event, ConnectionClosed) or event is NEED_DATA:
            return replies
        assert isinstance(event, Reply)
        emitted_lines(bytes(event))
        replies += 1
