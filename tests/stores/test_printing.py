"""The printing store: envelope and content, and nothing that acts on a terminal."""

import io
from itertools import pairwise
from threading import Thread

import pytest

from smtpkit.stores import Printing


def shown(envelope, session, *pieces):
    stream = io.StringIO()
    delivery = Printing(stream).begin(envelope, session)
    for piece in pieces:
        delivery.write(piece)
    assert stream.getvalue() == ""
    assert delivery.commit() is None
    return stream.getvalue()


def test_envelope_and_content(envelope, session):
    text = shown(
        envelope(["c@d.example", "e@d.example"], SIZE=20), session(), b"Subject: h\xc3", b"\xa9\r\n\r", b"\nhi\r\n"
    )
    assert text == (
        "---------- message of 20 octets from 192.0.2.1 (client.example) by ESMTP\n"
        "MAIL FROM:<a@b.example> SIZE=20\n"
        "RCPT TO:<c@d.example>\n"
        "RCPT TO:<e@d.example>\n"
        "\n"
        "Subject: hé\n\nhi\n\n"
    )


def test_who_logged_in_and_a_unix_socket(envelope, session):
    text = shown(envelope(sender=None), session(peer="", identity="u\x1b", protocol="ESMTPA"), b"")
    assert text.startswith(
        "---------- message of 0 octets from unix socket (client.example) by ESMTPA, u\\x1b logged in\nMAIL FROM:<>\n"
    )


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"\x1b[2J\x07\x7f\xc2\x9b\0\r\n", "\\x1b[2J\\x07\\x7f\\x9b\\x00\n"),
        (b"tab\tstays\r\n", "tab\tstays\n"),
        (b"\xff\xc3\r\n", "\\xff\\xc3\n"),
        (b"a\rb\r\n", "a\\x0db\n"),
        ("\u202eright\u2066 to\u2028left\u200f\r\n".encode(), "\\u202eright\\u2066 to\\u2028left\\u200f\n"),
        (b"no newline", "no newline"),
        (b"x" * 200_000 + b"\r\n", "x" * 200_000 + "\n"),
    ],
)
def test_what_acts_on_a_terminal_is_escaped(envelope, session, sent, seen):
    assert shown(envelope(), session(), sent).split("\n\n", 1)[1] == seen + "\n"


def test_an_aborted_message_is_not_shown(envelope, session):
    stream = io.StringIO()
    delivery = Printing(stream).begin(envelope(), session())
    delivery.write(b"half")
    delivery.abort()
    assert stream.getvalue() == ""


def test_messages_take_turns(envelope, session):
    stream = io.StringIO()
    store = Printing(stream)

    def deliver(letter):
        delivery = store.begin(envelope(), session())
        for _ in range(100):
            delivery.write(letter * 3000 + b"\r\n")
        delivery.commit()

    threads = [Thread(target=deliver, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    letters = [line[0] for line in stream.getvalue().splitlines() if line[:1] in ("a", "b", "c")]
    assert sum(one != other for one, other in pairwise(letters)) == 2
    assert len(letters) == 300


def test_standard_output_is_the_default(envelope, session, capsys):
    Printing().begin(envelope(), session()).commit()
    assert "MAIL FROM:<a@b.example>" in capsys.readouterr().out


def test_a_stream_that_takes_no_more_fails_the_commit(envelope, session):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    delivery = Printing(Full()).begin(envelope(), session())
    with pytest.raises(OSError, match="No space"):
        delivery.commit()
