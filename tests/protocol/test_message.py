"""A message as a handler gets it."""

from smtpkit.protocol.envelope import Envelope
from smtpkit.protocol.message import Message

CONTENT = b"Subject: h\xc3\xa9\r\nMIME-Version: 1.0\r\n\r\nbody\r\n"


def test_addresses_as_text():
    message = Message(Envelope('"a b"@a.example', ["b@b.example", "c@c.example"]), CONTENT)
    assert message.sender == '"a b"@a.example'
    assert message.recipients == ["b@b.example", "c@c.example"]
    assert message.session is None


def test_the_null_sender_is_empty():
    assert Message(Envelope(None, []), b"").sender == ""


def test_its_repr_tells_the_size_and_not_the_content():
    message = Message(Envelope(None, ["b@b.example"]), b"secret")
    assert repr(message) == "<Message from '' to ['b@b.example'], 6 octets>"


def test_it_can_be_read_as_an_email():
    email = Message(Envelope(None, []), CONTENT).as_email()
    assert email.get_content() == "body\n" or email.get_content() == "body\r\n"
    assert email["Subject"].startswith("h")
