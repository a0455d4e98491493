"""The server of each adapter in docs/loops/, with smtplib, smtpkit.sync and clients by hand."""

import smtplib
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

import smtpkit.sync
from smtpkit import AuthPolicy, Limits, MessageRefused, Reply, ReplyError, ServerConfig, parse_reply

CAFILE = str(Path(__file__).parent.parent / "certificates" / "ca.pem")
PATIENCE = 20
LARGE = b"Subject: large\r\n\r\n" + b"." * 70 + (b"x" * 70 + b"\r\n.\r\n") * 69_000  # 5 MB, dots in it
BEGUN = b"EHLO c.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"


class Inbox(list):
    """A handler that keeps what comes."""

    def __call__(self, message):
        self.append((message.sender, message.recipients, message.content))


@pytest.fixture
def inbox():
    return Inbox()


def config(**settings):
    return ServerConfig("mx.example", **settings)


def by_smtplib(address, tls, body):
    context = ssl.create_default_context(cafile=CAFILE)
    host, port = "localhost", address[1]
    if tls == "implicit":
        client = smtplib.SMTP_SSL(host, port, timeout=PATIENCE, context=context)
    else:
        client = smtplib.SMTP(host, port, timeout=PATIENCE)
    with client:
        if tls == "required":
            client.starttls(context=context)
        assert client.sendmail("a@a.example", ["b@b.example", "c@b.example"], body) == {}


def by_smtpkit(address, tls, body):
    with smtpkit.sync.connect("localhost", address[1], tls=tls, cafile=CAFILE, timeouts=PATIENCE) as client:
        assert len(client.send("a@a.example", ["b@b.example", "c@b.example"], body).accepted) == 2


class ByHand:
    """A client that is written as octets."""

    def __init__(self, address, **options):
        self.sock = socket.socket()
        self.sock.settimeout(PATIENCE)
        for name, value in options.items():
            self.sock.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        self.sock.connect(address)
        self.file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()

    def reply(self):
        """The next reply, None at the end."""
        octets = b""
        while line := self.file.readline():
            octets += line
            if line[3:4] != b"-":
                return parse_reply(octets)
        return None

    def fill(self, octets, times):
        """Write, and read nothing; a time-out is that of a single write."""
        for _ in range(times):
            self.sock.send(octets)

    def codes(self):
        """All codes until the end."""
        return [reply.code for reply in iter(self.reply, None)]


@pytest.mark.parametrize("body", [b"Subject: hi\r\n\r\n.\r\n", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("tls", ["off", "required", "implicit"])
@pytest.mark.parametrize("send", [by_smtplib, by_smtpkit])
def test_what_is_sent_arrives(loop, inbox, server_tls, send, tls, body):
    options = {} if tls == "off" else {"make_tls": server_tls, "implicit_tls": tls == "implicit"}
    with loop.serve(inbox, config(tls_available=tls != "off"), **options) as address:
        send(address, tls, body)
        send(address, tls, body)
    assert inbox == [("a@a.example", ["b@b.example", "c@b.example"], body)] * 2


def test_a_reply_of_the_handler_is_the_answer(loop):
    refused = pytest.raises(MessageRefused, match=r"550 5\.7\.1 No")
    with loop.serve(lambda message: Reply(550, "No", "5.7.1"), config()) as address, refused:
        by_smtpkit(address, "off", b"x")


@pytest.mark.parametrize(
    ("error", "said"),
    [(ReplyError(Reply(552, "Full", "5.2.2")), "552 5.2.2 Full"), (ValueError("secret"), "451 4.3.0 Internal error")],
)
def test_what_the_handler_raises_is_answered_too(loop, error, said):
    def handler(message):
        raise error

    with loop.serve(handler, config()) as address, pytest.raises(MessageRefused, match=said) as caught:
        by_smtpkit(address, "off", b"x")
    assert "secret" not in str(caught.value)


def test_each_recipient_has_an_answer_in_lmtp(loop):
    answers = [Reply(250, "Ok", "2.0.0"), Reply(452, "Full", "4.2.2")]
    with loop.serve(lambda message: answers, config(lmtp=True)) as (host, port):
        client = smtpkit.sync.connect(f"lmtp://{host}:{port}", timeouts=PATIENCE)
        with client:
            result = client.send("a@a.example", ["b@b.example", "c@b.example"], b"x")
    assert [outcome.reply for outcome in result.recipients.values()] == answers


def test_a_pipelined_session_is_answered_whole_even_when_its_client_says_no_more(loop, inbox):
    with loop.serve(inbox, config()) as address, ByHand(address) as client:
        client.sock.sendall(BEGUN.replace(b"DATA", b"NOOP\r\n" * 1000 + b"DATA"))
        assert [client.reply().code for _ in range(1005)] == [220, *[250] * 1003, 354]
        client.sock.sendall(b"one\r\n.\r\n" + BEGUN.partition(b"\r\n")[2] + b"two\r\n.\r\nQUIT\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.codes() == [250, 250, 250, 354, 250, 221]
    assert [content for _, _, content in inbox] == [b"one\r\n", b"two\r\n"]


def test_a_connection_that_is_lost_in_the_body_gives_no_message(loop, inbox):
    with loop.serve(inbox, config()) as address:
        with ByHand(address) as client:
            client.sock.sendall(BEGUN + b"half of it\r\n")
            assert [client.reply().code for _ in range(5)] == [220, 250, 250, 250, 354]
        by_smtpkit(address, "off", b"whole\r\n")
    assert [content for _, _, content in inbox] == [b"whole\r\n"]


def test_a_silent_client_is_told_and_left(loop, inbox):
    with loop.serve(inbox, config(limits=Limits(idle=0.2))) as address, ByHand(address) as client:
        assert client.codes() == [220, 421]


def test_a_client_that_says_an_octet_now_and_then_is_left_too(loop, inbox):
    with loop.serve(inbox, config(limits=Limits(idle=0.5))) as address, ByHand(address) as client:
        assert client.reply().code == 220
        client.sock.settimeout(0.05)
        dripped = 0
        came = b""
        while not came and dripped < 100:
            client.sock.sendall(b"N")
            dripped += 1
            try:
                came = client.sock.recv(4096)
            except TimeoutError:
                continue
        assert came.startswith(b"421 4.4.2 ")


def test_a_client_that_does_not_read_is_read_no_more_and_left(loop, inbox):
    verbose = ServerConfig(".".join(["x" * 60] * 4), limits=Limits(idle=0.5, commands=10**9))
    with loop.serve(inbox, verbose) as address, ByHand(address, SO_RCVBUF=65536) as client:
        assert client.reply().code == 220
        client.sock.settimeout(0.25)
        with pytest.raises(TimeoutError):
            client.fill(b"EHLO c.example\r\n" * 4000, 1000)  # 64 MB
        client.sock.settimeout(PATIENCE)
        with suppress(ConnectionError):
            while client.sock.recv(65536):
                pass


def test_before_a_login_little_is_read_at_once(loop, inbox):
    settings = {"auth": AuthPolicy({"user": "pass"}, allow_in_clear=True), "limits": Limits(unread_before_login=8)}
    with loop.serve(inbox, config(**settings)) as address, ByHand(address) as client:
        client.sock.sendall(b"NOOP " + b"x" * 200 + b"\r\nMAIL FROM:<a@a.example>\r\nQUIT\r\n")
        assert client.codes() == [220, 250, 530, 221]


def test_a_handshake_that_fails_ends_that_connection_alone(loop, inbox, server_tls):
    with loop.serve(inbox, config(tls_available=True), make_tls=server_tls, implicit_tls=True) as address:
        with ByHand(address) as client:
            client.sock.sendall(b"EHLO in.clear\r\n")
            assert client.sock.recv(4096) == b""
        by_smtpkit(address, "implicit", b"x\r\n")
    assert len(inbox) == 1
