"""`memory:` and `print:`: a client's dialogue with a server in the same process."""

import pytest

from smtpkit import ClientConfig, ClientConnection, Message, Noop
from smtpkit.captured import CapturedTransport, show
from smtpkit.errors import ConnectionLost
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.envelope import Envelope
from smtpkit.protocol.exchanges import command, opening, quit_session
from smtpkit.protocol.needs import DONE
from smtpkit.protocol.sending import Sending


class Pair:
    """A client whose server is in this process."""

    def __init__(self):
        self.outbox = []
        self.core = ClientConnection(ClientConfig())
        self.driver = ClientDriver(self.core)
        self.transport = CapturedTransport(self.driver, self.outbox.append)
        self.run(opening(self.core, "client.example", tls="off"))

    def run(self, exchange, sending=None):
        self.transport.set_deadline(1.0)
        self.driver.start(exchange, sending.held if sending is not None else None)
        need = self.transport.advance(self.driver.next)
        while need is not DONE:
            need = self.transport.advance(self.driver.next, next(sending.source, None))
        return self.driver.result

    def send(self, body, **options):
        sending = Sending(self.core, "a@a.example", ["b@b.example"], body, options)
        return self.run(sending.exchange(), sending)


def test_it_offers_what_options_of_a_send_may_need():
    wanted = "SIZE 8BITMIME SMTPUTF8 CHUNKING BINARYMIME DSN DELIVERBY FUTURERELEASE MT-PRIORITY REQUIRETLS PIPELINING"
    assert Pair().core.capabilities.keys() >= set(wanted.split())


@pytest.mark.parametrize("chunking", [None, True, False])
def test_what_is_sent_is_kept(chunking):
    pair = Pair()
    body = b".dot\r\n" * 50000
    assert pair.send(body, chunking=chunking).accepted
    assert pair.send(iter([body[:7], body[7:]])).accepted
    assert [message.content for message in pair.outbox] == [body, body]
    assert pair.outbox[0].session.hello_name == "client.example"


def test_it_has_no_bound_that_a_long_run_would_meet():
    pair = Pair()
    recipients = [f"b{number}@b.example" for number in range(3000)]
    sending = Sending(pair.core, "a@a.example", recipients, b"x\r\n", {})
    assert len(pair.run(sending.exchange(), sending).accepted) == 3000
    for _ in range(200):
        pair.run(command(Noop()))


def test_after_quit_it_is_over():
    pair = Pair()
    pair.run(quit_session())
    assert not pair.driver.reusable
    pair.transport.look()
    pair.transport.close()
    assert pair.transport.closed
    with pytest.raises(ConnectionLost):
        pair.run(command(Noop()))


def test_a_message_is_printed_with_nothing_that_moves_the_cursor(capsys):
    envelope = Envelope("a@a.example", ["b@b.example"], {"SIZE": 3}, {"NOTIFY": frozenset({"NEVER"})})
    show(Message(envelope, b"Subject: \x1b[2J\r\n\r\n\xff \xc3\xa9\tx\r\n"))
    assert capsys.readouterr().out == (
        "---------- message of 25 octets, printed and not sent\n"
        "MAIL FROM:<a@a.example> SIZE=3\n"
        "RCPT TO:<b@b.example> NOTIFY=NEVER\n"
        "\n"
        "Subject: \\x1b[2J\n\n\\xff é\tx\n\n"
    )
