"""Composition: envelope from the header, and octets fit to be sent."""

import re
from email import message_from_bytes, policy
from email.headerregistry import Address, Group
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from smtpkit.errors import NotSupported, ParseError
from smtpkit.protocol.composition import compose, needs_utf8, recipients_in, sender_in

BOTH = [EmailMessage, Message]


def written(kind, *fields, body="hi\n"):
    message = kind()
    for name, value in fields:
        message[name] = value
    if kind is EmailMessage:
        message.set_content(body)
    else:
        message.set_payload(body)
    return message


def parsed(*lines, modern=True):
    octets = "\r\n".join([*lines, "", "hi", ""]).encode()
    return message_from_bytes(octets, policy=policy.default if modern else policy.compat32)


def octets(message, *, eight_bit=False, utf8=False):
    return compose(message, eight_bit=eight_bit, utf8=utf8)


# The sender


@pytest.mark.parametrize("kind", BOTH)
def test_sender_goes_before_from(kind):
    assert sender_in(written(kind, ("From", "A <a@a.example>"))) == "a@a.example"
    assert sender_in(written(kind, ("From", "a@a.example, b@b.example"), ("Sender", "c@c.example"))) == "c@c.example"
    assert sender_in(written(kind, ("From", '"a b"@a.example'))) == '"a b"@a.example'


def test_of_several_senders_the_first_counts():
    assert sender_in(parsed("From: a@a.example", "Sender: b@b.example", "Sender: c@c.example")) == "b@b.example"


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("fields", [[("From", "a@a.example, b@b.example")], [], [("From", "nobody:;")]])
def test_several_senders_or_none_is_an_error(kind, fields):
    with pytest.raises(ParseError, match="no single sender"):
        sender_in(written(kind, *fields))


@pytest.mark.parametrize("modern", [True, False])
def test_the_newest_resent_block_counts(modern):
    message = parsed(
        "Received: by x",
        "Resent-From: new@a.example",
        "Resent-To: bob@b.example",
        "Resent-From: old@a.example",
        "Resent-Sender: old-sender@a.example",
        "Resent-To: dave@b.example",
        "Resent-Cc: erin@b.example",
        "From: first@a.example",
        "To: carol@c.example",
        modern=modern,
    )
    assert sender_in(message) == "new@a.example"
    assert recipients_in(message) == ["bob@b.example"]


def test_a_trace_field_ends_a_resent_block():
    message = parsed(
        "Resent-Sender: s@a.example",
        "Resent-From: new@a.example",
        "Resent-Bcc: b@b.example",
        "Return-Path: <x@y.example>",
        "Resent-Cc: old@a.example",
        "To: carol@c.example",
    )
    assert sender_in(message) == "s@a.example"
    assert recipients_in(message) == ["b@b.example"]


def test_a_resent_block_may_stand_at_the_end():
    fields = [("From", "a@a.example"), ("To", "b@b.example"), ("Resent-From", "c@c.example")]
    message = written(EmailMessage, *fields, ("Resent-To", "d@d.example"))
    assert sender_in(message) == "c@c.example"
    assert recipients_in(message) == ["d@d.example"]


# The recipients


@pytest.mark.parametrize("kind", BOTH)
def test_to_cc_and_bcc_are_recipients_once(kind):
    fields = [
        ("To", "Bob <bob@b.example>, carol@c.example"),
        ("Cc", "team: dave@d.example, bob@b.example;"),
        ("Bcc", "erin@e.example"),
    ]
    expected = ["bob@b.example", "carol@c.example", "dave@d.example", "erin@e.example"]
    assert recipients_in(written(kind, *fields)) == expected


@pytest.mark.parametrize("kind", BOTH)
def test_an_empty_group_names_nobody(kind):
    message = written(kind, ("To", "undisclosed-recipients:;"))
    with pytest.raises(ParseError, match="no recipient"):
        recipients_in(message)
    message["Bcc"] = "bob@b.example"
    assert recipients_in(message) == ["bob@b.example"]


@pytest.mark.parametrize("modern", [True, False])
def test_folded_fields_and_repeated_ones_are_read(modern):
    message = parsed("To: bob@b.example,", " carol@c.example", "Cc: a@a.example", "Cc: d@d.example", modern=modern)
    assert recipients_in(message) == ["bob@b.example", "carol@c.example", "a@a.example", "d@d.example"]


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("value", ["evil@x.example <good@y.example>", "a@b@c.example", "<>", "bob", "a b@c.example"])
def test_what_is_no_address_is_not_guessed_at(modern, value):
    with pytest.raises(ParseError):
        recipients_in(parsed(f"To: {value}", modern=modern))


def test_an_encoded_word_is_no_part_of_an_address():
    message = parsed("To: =?utf-8?q?J=C3=B6rg?= <bob@b.example>", modern=False)
    assert recipients_in(message) == ["bob@b.example"]


# Bcc


@pytest.mark.parametrize("kind", BOTH)
def test_bcc_is_left_out_and_the_message_is_unchanged(kind):
    message = written(
        kind, ("From", "a@a.example"), ("bcc", "eve@e.example"), ("Resent-BCC", "x@x.example"), ("Subject", "hi")
    )
    before = message.as_bytes(), message.items()
    sent = octets(message)
    assert b"eve" not in sent
    assert b"x@x" not in sent
    assert b"Subject: hi\r\n" in sent
    assert (message.as_bytes(), message.items()) == before


def test_boundaries_are_not_given_to_the_callers_parts():
    inner = MIMEMultipart("alternative")
    inner.attach(MIMEText("plain"))
    message = MIMEMultipart()
    message["Bcc"] = "eve@e.example"
    message.attach(inner)
    sent = octets(message)
    assert message.get_boundary() is None
    assert inner.get_boundary() is None
    assert sent.count(b"boundary=") == 2
    assert message["Bcc"] == "eve@e.example"


def test_attachments_are_kept():
    message = written(EmailMessage, ("From", "a@a.example"))
    message.add_attachment(b"\0\1", maintype="application", subtype="octet-stream", filename="x")
    back = message_from_bytes(octets(message), policy=policy.default)
    assert [part.get_content_type() for part in back.walk()][1:] == ["text/plain", "application/octet-stream"]


# Octets


@pytest.mark.parametrize("kind", BOTH)
def test_every_line_ends_in_crlf_and_from_stays_from(kind):
    sent = octets(written(kind, ("From", "a@a.example"), body="From here\nto there\n.\n"))
    assert b"\r\n\r\nFrom here\r\nto there\r\n.\r\n" in sent
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", sent) is None


def test_8_bit_parts_stay_where_that_is_offered():
    message = written(EmailMessage, body="Grüße\n")
    assert "Grüße".encode() in octets(message, eight_bit=True)
    assert octets(message).isascii()


def test_names_beyond_ascii_become_encoded_words_without_smtputf8():
    for kind in BOTH:
        message = written(kind, ("To", "Jörg <bob@b.example>, team: Éva <eva@e.example>;"), ("Subject", "Grüße"))
        sent = octets(message)
        assert sent.isascii()
        header = message_from_bytes(sent, policy=policy.default)
        assert [str(address) for address in header["To"].addresses] == ["Jörg <bob@b.example>", "Éva <eva@e.example>"]
        assert header["Subject"] == "Grüße"
        assert message["To"] == "Jörg <bob@b.example>, team: Éva <eva@e.example>;"


@pytest.mark.parametrize("kind", BOTH)
def test_with_smtputf8_the_header_is_utf8(kind):
    message = written(kind, ("To", "Jörg <jörg@müller.example>"))
    assert "To: Jörg <jörg@müller.example>\r\n".encode() in octets(message, eight_bit=True, utf8=True)


@pytest.mark.parametrize("kind", BOTH)
def test_domains_in_the_header_are_written_in_ascii_without_it(kind):
    message = written(kind, ("To", "Jörg <j@müller.example>, bob@b.example"), ("From", "a@a.example"))
    assert b"<j@xn--mller-kva.example>, bob@b.example" in octets(message)


@pytest.mark.parametrize("kind", BOTH)
def test_a_local_part_beyond_ascii_is_an_error_without_it(kind):
    message = written(kind, ("Reply-To", "jörg@b.example"))
    with pytest.raises(NotSupported, match="SMTPUTF8"):
        octets(message)


def test_whether_utf8_is_needed():
    def needs(*fields):
        return needs_utf8(written(EmailMessage, *fields))

    assert needs(("Cc", "jörg@b.example"))
    assert needs(("To", Group("x", [Address("", "j", "faß.example")])))
    assert not needs(("To", Group("x", [Address("", "j", "müller.example")])))
    assert not needs(("To", "Jörg <j@b.example>"))
    assert not needs(("Subject", "jörg@b.example"))
    assert not needs(("To", "bob@b.example"))


@pytest.mark.parametrize("wrong", [b"From: a@a.example\r\n\r\n", "From: a@a.example", None])
def test_what_is_no_message_is_named(wrong):
    for function in (sender_in, recipients_in, octets):
        with pytest.raises(TypeError, match=f"not {type(wrong).__name__}: send"):
            function(wrong)


# Injection


@pytest.mark.parametrize("name", ["Subject", "To", "X-Any"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\n\n ", "\r\n\r\n\t"])
def test_no_field_holds_a_newline_that_begins_another(name, newline):
    message = Message()
    message["From"] = "a@a.example"
    message._headers.append((name, f"x{newline}Bcc: eve@e.example"))
    with pytest.raises(ParseError, match=f"a newline in the field {name}"):
        octets(message)


def test_nor_does_a_field_of_a_part():
    message = MIMEMultipart()
    part = MIMEText("x")
    part._headers.append(("X-Evil", "a\r\n\r\nbody"))
    message.attach(part)
    with pytest.raises(ParseError, match="X-Evil"):
        octets(message)


@pytest.mark.parametrize("name", ["X\r\nBcc", "X: y", "", "X Y", "Ü"])
def test_the_name_of_a_field_is_one(name):
    message = Message()
    message._headers.append((name, "x"))
    with pytest.raises(ParseError, match="not the name of a header field"):
        octets(message)


@pytest.mark.parametrize("modern", [True, False])
def test_folded_fields_pass(modern):
    sent = octets(parsed("Subject: one", "\ttwo", " three", modern=modern))
    assert b"one" in sent
    assert b"three" in sent


def test_what_the_library_cannot_write_is_an_error():
    message = Message()
    message["Content-Type"] = "multipart/mixed"
    message.set_payload("not a list of parts")
    message["Content-Transfer-Encoding"] = "8bit"
    message._payload = "\ud800"
    with pytest.raises(ParseError, match="cannot be written"):
        octets(message)
