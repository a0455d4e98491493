"""What has come, waiting for it, and what an error tells."""

import threading

import pytest

import smtpkit.sync
from smtpkit import Envelope, Message
from smtpkit.testing import Inbox, Server


def message(*recipients):
    return Message(Envelope("ada@example.org", recipients), b"Hi\r\n")


def test_it_is_a_sequence():
    inbox = Inbox()
    assert not inbox
    first, second = message("bob@example.net"), message("eve@example.net")
    inbox.add(first)
    inbox.add(second)
    assert list(inbox) == [inbox[0], inbox[-1]] == inbox[:] == [first, second]
    assert "bob@example.net" in repr(inbox)
    inbox.clear()
    assert len(inbox) == 0


def test_messages_are_found_by_recipient():
    inbox = Inbox()
    inbox.add(message("Bob@Example.NET", "eve@example.net"))
    inbox.add(message("eve@example.net"))
    assert inbox.to("bob@example.net") == [inbox[0]]
    assert inbox.to('"eve"@EXAMPLE.net') == list(inbox)
    assert inbox.to("nobody") == []


def test_waiting_ends_when_enough_have_come():
    inbox = Inbox()
    timer = threading.Timer(0.01, lambda: [inbox.add(message(f"user{number}@example.net")) for number in range(2)])
    timer.start()
    one, two = inbox.wait(2)
    assert (one.recipients, two.recipients) == (["user0@example.net"], ["user1@example.net"])
    assert inbox.wait() == [one, two]
    timer.join()


def test_the_error_says_what_has_come_and_what_was_said():
    with pytest.raises(AssertionError, match="1 message should have come within 0 s, but 0 did:\nnobody has connected"):
        Inbox().wait(timeout=0)
    with Server() as server:
        server.refuse("rcpt", "550 5.1.1 No such user", recipient="eve@*")
        with smtpkit.sync.connect(server.url) as client:
            client.send("ada@example.org", ["bob@example.net", "eve@example.net"], b"Hi\r\n")
        with pytest.raises(AssertionError) as missing:
            server.inbox.wait(2, timeout=0.01)
    told = str(missing.value)
    assert "2 messages should have come within 0.01 s, but 1 did:" in told
    assert "from 'ada@example.org' to ['bob@example.net'], 4 octets" in told
    assert "session 1:\n  S: 220 localhost" in told
    assert "  S: 550 5.1.1 No such user\n" in told
