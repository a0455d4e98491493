"""Sending: what a caller may ask for, and what leaves."""

import io
from email.message import EmailMessage

import pytest

from smtpkit.errors import LocalProtocolError, NotSupported, ParseError, RecipientsRefused
from smtpkit.protocol import CHUNK, DONE, DSN, Envelope, Message, Verdict
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.sending import OPTIONS, Sending
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.parameter_values import DeliverBy

BOB = "bob@b.example"
EXTENSIONS = [
    "PIPELINING",
    "SIZE",
    "8BITMIME",
    "SMTPUTF8",
    "DSN",
    "REQUIRETLS",
    "FUTURERELEASE",
    "DELIVERBY",
    "MT-PRIORITY",
]


def deliver(core, sending, rcpt_replies=(), final=b"250 done\r\n"):
    """Run it against a server that accepts; the groups that the client sent, and the result."""
    driver = ClientDriver(core)
    if sending.file is not None:
        sending.scan_file()
    driver.start(sending.exchange(), sending.held)
    said, answer, refusals = [], None, iter(rcpt_replies)
    while (need := driver.next(answer)) is not DONE:
        answer = None
        if need is CHUNK:
            answer = sending.read() if sending.file is not None else next(sending.source, None)
            continue
        octets = driver.take()
        if not octets or need.name == "WRITE":
            said.append(octets)
            continue
        said.append(octets)
        for line in octets.split(b"\r\n"):
            if line.startswith((b"MAIL", b"RSET")):
                driver.receive(b"250 ok\r\n")
            elif line.startswith(b"RCPT"):
                driver.receive(next(refusals, b"250 ok") + b"\r\n")
            elif line == b"DATA":
                driver.receive(b"354 go\r\n")
            elif line == b"." or (line.startswith(b"BDAT") and line.endswith(b"LAST")):
                driver.receive(final)
    return b"".join(said), driver.result


# Bodies


def test_a_callable_makes_the_body(ready):
    for body in (lambda: b"x\r\n", lambda: iter([b"x", b"\r\n"]), lambda: io.BytesIO(b"x\r\n")):
        core = ready("PIPELINING")
        said, _ = deliver(core, Sending(core, "a@a.example", BOB, body, {}))
        assert said.endswith(b"x\r\n.\r\n")


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, lambda body: io.BytesIO(body), lambda body: [body]])
def test_any_kind_of_body_gives_the_same_octets(ready, make):
    sending = Sending(ready(*EXTENSIONS[:2]), "a@a.example", BOB, make(b"one\n.two"), {})
    said, result = deliver(sending._client, sending)
    assert said.endswith(b"DATA\r\none\r\n..two\r\n.\r\n")
    assert list(result.accepted) == [BOB]
    assert (b"SIZE=11" in said) == (not isinstance(make(b""), list))


def test_str_is_no_body(ready):
    with pytest.raises(TypeError, match="encode it"):
        Sending(ready(), None, BOB, "text", {})


@pytest.mark.parametrize("seekable", [True, False])
def test_a_text_file_is_no_body(ready, seekable):
    class Text(io.StringIO):
        def seekable(self):
            return seekable

    sending = Sending(ready(), None, BOB, Text("text"), {})
    with pytest.raises(TypeError, match="a body gives bytes, not str"):
        deliver(sending._client, sending)


def test_a_file_is_read_from_where_it_stands(ready):
    file = io.BytesIO(b"skipped" + b"x" * 300_000)
    file.seek(7)
    sending = Sending(ready(*EXTENSIONS, tls=True), None, BOB, file, {})
    said, _ = deliver(sending._client, sending)
    assert b"SIZE=300002" in said
    assert said.count(b"x") >= 300_000
    assert b"skipped" not in said


def test_a_file_that_can_be_read_once_is_not_scanned(ready):
    class Pipe:
        def __init__(self):
            self.pieces = [b"\xff\n", b"x"]

        def read(self, size):
            return self.pieces.pop(0) if self.pieces else b""

    sending = Sending(ready(*EXTENSIONS, tls=True), None, BOB, Pipe(), {"size": 77})
    said, _ = deliver(sending._client, sending)
    assert b"SIZE=77" in said
    assert b"BODY=8BITMIME" in said
    assert said.endswith(b"\xff\r\nx\r\n.\r\n")


def test_an_async_iterable_is_the_adapters_to_read(ready):
    async def pieces():
        yield b"x"

    sending = Sending(ready(), None, BOB, pieces(), {})
    assert hasattr(sending.source, "__anext__")


def test_what_cannot_be_sent_is_found_before_mail(ready):
    for body, options, kind in [
        (b"a\0", {}, ParseError),
        (b"a\n", {"newlines": "strict"}, ParseError),
        (b"a" * 999 + b"\r\n", {"newlines": "strict"}, ParseError),
        (b"\xff", {}, NotSupported),
        (b"a", {"newlines": "dos"}, ValueError),
        (b"a", {"chunking": True}, NotSupported),
        (b"a", {"binary": True}, NotSupported),
    ]:
        sending = Sending(ready("PIPELINING"), None, BOB, body, options)
        driver = ClientDriver(sending._client)
        driver.start(sending.exchange(), sending.held)
        driver.next()
        with pytest.raises(kind):
            driver.next()
        assert driver.take() == b""
        assert sending._client.idle


def test_long_lines_of_a_file_are_found_before_mail_too(ready):
    sending = Sending(ready("PIPELINING"), None, BOB, io.BytesIO(b"a" * 999 + b"\r\n"), {"newlines": "strict"})
    sending.scan_file()
    with pytest.raises(ParseError, match="a line of 1001 octets"):
        next(sending.exchange())


def test_8_bit_is_sent_all_the_same_where_that_is_asked_for(ready):
    for body in (b"\xff", [b"\xff"]):
        sending = Sending(ready("PIPELINING"), None, BOB, body, {"eight_bit": "send"})
        said, _ = deliver(sending._client, sending)
        assert b"\xff\r\n.\r\n" in said
        assert b"BODY" not in said


# Recipients


def test_the_result_is_keyed_by_the_string_as_given_and_duplicates_go_once(ready):
    given = ["Bob@B.example", '"bob"@b.example', "Bob@B.example", Mailbox("carol", "c.example"), "d@müller.example"]
    sending = Sending(ready("PIPELINING"), None, iter(given), b"x", {})
    said, result = deliver(sending._client, sending)
    assert list(result.recipients) == ["Bob@B.example", '"bob"@b.example', "carol@c.example", "d@müller.example"]
    assert said.count(b"RCPT TO:") == 4
    assert b"RCPT TO:<bob@b.example>\r\n" in said
    assert b"RCPT TO:<d@xn--mller-kva.example>\r\n" in said


def test_a_message_needs_a_recipient(ready):
    with pytest.raises(LocalProtocolError, match="at least one"):
        Sending(ready(), None, [], b"", {})


@pytest.mark.parametrize("sender", ["", "<>", None])
def test_the_null_reverse_path(ready, sender):
    sending = Sending(ready(), sender, BOB, b"", {})
    assert b"MAIL FROM:<>\r\n" in deliver(sending._client, sending)[0]


@pytest.mark.parametrize(
    "evil", ["a@b\r\nDATA", "a@b.example>\r\nRSET", "a\0@b.example", "a\n@b.example", "a b@c.example", "a@b>"]
)
def test_no_address_smuggles_anything(ready, evil):
    with pytest.raises(ParseError):
        Sending(ready(), evil, BOB, b"", {})
    with pytest.raises(ParseError):
        Sending(ready(), None, [BOB, evil], b"", {})


# Options


def test_an_option_that_does_not_exist_is_an_error(ready):
    with pytest.raises(TypeError, match="no option pririty; there are newlines, partial"):
        Sending(ready(), None, BOB, b"", {"pririty": 1})
    with pytest.raises(ValueError, match="all or any"):
        Sending(ready(), None, BOB, b"", {"raise_for": "some"})
    with pytest.raises(ValueError, match="declare or send"):
        Sending(ready(), None, BOB, b"", {"eight_bit": "nope"})
    for options in ({"max_recipients": 0}, {"size": -1}, {"size": "9"}):
        with pytest.raises(ValueError, match="is a whole number from"):
            Sending(ready(), None, BOB, b"", options)
    assert all(OPTIONS.values())


def test_options_become_parameters(ready):
    options = {
        "dsn": DSN("HDRS", "id+1", ["SUCCESS", "DELAY"], orcpt=True),
        "requiretls": True,
        "hold_for": 60,
        "deliver_by": 120,
        "priority": -3,
        "mail_parameters": {"XM": "1"},
        "rcpt_parameters": {"XR": "2"},
        "deadline": 5,
    }
    sending = Sending(ready(*EXTENSIONS, tls=True), None, BOB, b"x", options)
    assert sending.deadline == 5
    said, _ = deliver(sending._client, sending)
    mail, rcpt, *_ = said.split(b"\r\n")
    assert mail == (b"MAIL FROM:<> RET=HDRS ENVID=id+2B1 REQUIRETLS HOLDFOR=60 BY=120;N MT-PRIORITY=-3 XM=1 SIZE=3")
    assert rcpt == b"RCPT TO:<bob@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob@b.example XR=2"


def test_binary_is_declared_of_plain_content_too(ready):
    core = ready("CHUNKING", "BINARYMIME", "PIPELINING")
    said, _ = deliver(core, Sending(core, None, BOB, b"x\r\n", {"binary": True}))
    assert b" BODY=BINARYMIME\r\n" in said


def test_newlines_are_as_asked_for(ready):
    for newlines, octets in (("normalize", b"a\r\nb\r\n"), ("as-is", b"a\nb\r\n")):
        core = ready("CHUNKING", "PIPELINING")
        said, _ = deliver(core, Sending(core, None, BOB, b"a\nb\r\n", {"newlines": newlines, "chunking": True}))
        assert said.endswith(b" LAST\r\n" + octets)


def test_all_or_nothing_is_asked_of_the_transaction(ready):
    core = ready("PIPELINING")
    sending = Sending(core, None, ["a@b.example", "c@b.example"], b"x", {"partial": False})
    with pytest.raises(RecipientsRefused):
        deliver(core, sending, [b"250 ok", b"550 no"])


def test_a_size_of_0_may_be_declared(ready):
    core = ready("SIZE")
    said, _ = deliver(core, Sending(core, None, BOB, [], {"size": 0}))
    assert said.startswith(b"MAIL FROM:<> SIZE=0\r\n")


def test_dsn_may_be_a_part_of_it(ready):
    dsn = DSN(notify="NEVER")
    assert dsn.notify == ("NEVER",)
    sending = Sending(ready(*EXTENSIONS, tls=True), None, "jörg@b.example", b"x", {"dsn": dsn})
    said, _ = deliver(sending._client, sending)
    assert b"RCPT TO:<j\xc3\xb6rg@b.example> NOTIFY=NEVER\r\n" in said
    sending = Sending(ready(*EXTENSIONS, tls=True), None, "jörg@b.example", b"x", {"dsn": DSN(orcpt=True)})
    assert b"ORCPT=utf-8;j\\x{F6}rg@b.example\r\n" in deliver(sending._client, sending)[0]


def test_deliver_by_may_be_given_in_full(ready):
    sending = Sending(ready(*EXTENSIONS, tls=True), None, BOB, b"x", {"deliver_by": DeliverBy(60, "R", True)})
    assert b"BY=60;RT" in deliver(sending._client, sending)[0]


@pytest.mark.parametrize(
    "options",
    [
        {"dsn": DSN("FULL")},
        {"dsn": DSN(notify="NEVER")},
        {"requiretls": True},
        {"hold_for": 1},
        {"deliver_by": 1},
        {"priority": 0},
        {"rcpt_parameters": {"RRVS": "x"}},
    ],
)
def test_options_whose_extension_is_missing_are_an_error_before_mail(ready, options):
    sending = Sending(ready("PIPELINING"), None, BOB, b"x", options)
    with pytest.raises(NotSupported):
        deliver(sending._client, sending)
    assert sending._client.owed == 0


def test_parameters_may_be_given_for_each_recipient(ready):
    options = {"rcpt_parameters": [{"XR": "1"}, {"XR": "2"}, {"XR": "3"}]}
    sending = Sending(ready("PIPELINING"), None, ["a@b.example", "c@b.example", "a@b.example"], b"x", options)
    said, _ = deliver(sending._client, sending)
    assert b"RCPT TO:<a@b.example> XR=1\r\nRCPT TO:<c@b.example> XR=2\r\nDATA" in said
    with pytest.raises(ParseError, match="not as many"):
        Sending(ready(), None, [BOB, "c@b.example"], b"x", {"rcpt_parameters": [{}]})


@pytest.mark.parametrize(
    "options",
    [
        {"dsn": DSN(envid="a\r\nRSET")},
        {"dsn": DSN("FULL\r\nRSET")},
        {"dsn": DSN(notify="NEVER\r\nRSET")},
        {"hold_for": "5\r\nRSET"},
        {"priority": "1\r\nRSET"},
        {"deliver_by": "5;N\r\nRSET"},
        {"requiretls": "\r\nRSET"},
        {"size": "5\r\nRSET"},
        {"mail_parameters": {"X": "\r"}},
        {"rcpt_parameters": {"X\n": "1"}},
    ],
)
@pytest.mark.parametrize("body", [b"x", [b"x"]])
def test_no_option_smuggles_anything(ready, options, body):
    core = ready(*EXTENSIONS, tls=True)
    try:
        sending = Sending(core, None, BOB, body, options)
        said, _ = deliver(core, sending)
    except (ValueError, TypeError):
        assert core.owed == 0
        assert core.data_to_send() == b""
    else:
        assert b"\r\nRSET" not in said


# Messages


def letter(**fields):
    message = EmailMessage()
    for name, value in {"From": "a@a.example", "To": "bob@b.example", **fields}.items():
        message[name] = value
    message.set_content("Grüße\n")
    return message


def test_an_email_message_has_its_envelope_in_the_header(ready):
    core = ready("PIPELINING", "8BITMIME")
    sending = Sending.of_message(core, letter(Bcc="eve@e.example"), None, None, {})
    said, result = deliver(core, sending)
    assert list(result.accepted) == ["bob@b.example", "eve@e.example"]
    assert b"MAIL FROM:<a@a.example> BODY=8BITMIME\r\n" in said
    assert b"Bcc" not in said
    assert "Grüße".encode() in said


def test_an_envelope_that_is_given_wins(ready):
    core = ready("PIPELINING")
    sending = Sending.of_message(core, letter(), "", "other@o.example", {})
    said, result = deliver(core, sending)
    assert list(result.accepted) == ["other@o.example"]
    assert b"MAIL FROM:<>\r\n" in said
    assert said.isascii()


def test_utf8_is_used_where_it_is_needed_and_offered(ready):
    core = ready("PIPELINING", "8BITMIME", "SMTPUTF8")
    said, _ = deliver(core, Sending.of_message(core, letter(Cc="jörg@b.example"), None, None, {}))
    assert b"SMTPUTF8\r\n" in said
    assert "Cc: jörg@b.example".encode() in said
    said, _ = deliver(core, Sending.of_message(core, letter(Cc="jörg@b.example"), None, BOB, {}))
    assert b"SMTPUTF8\r\n" in said  # for the header, though the envelope is ASCII
    said, _ = deliver(core, Sending.of_message(core, letter(), None, "jörg@b.example", {}))
    assert b"SMTPUTF8\r\n" in said
    for message, recipient in ((letter(Subject="Grüße"), None), (letter(), "bob@b\xfccher.example")):
        said, _ = deliver(core, Sending.of_message(core, message, None, recipient, {}))
        assert b"SMTPUTF8" not in said
    with pytest.raises(NotSupported):
        Sending.of_message(ready(), letter(Cc="jörg@b.example"), None, BOB, {})


def test_a_message_that_a_server_received_goes_on_as_it_is(ready):
    core = ready("PIPELINING")
    received = Message(Envelope("a@a.example", [BOB]), b"From: x\r\n\r\nbody\r\n")
    said, result = deliver(core, Sending.of_message(core, received, None, None, {}))
    assert b"MAIL FROM:<a@a.example>\r\n" in said
    assert list(result.accepted) == [BOB]
    assert b"DATA\r\nFrom: x\r\n\r\nbody\r\n.\r\n" in said
    said, result = deliver(core, Sending.of_message(core, received, "", "c@c.example", {}))
    assert b"MAIL FROM:<>\r\n" in said
    assert list(result.accepted) == ["c@c.example"]
    with pytest.raises(LocalProtocolError):
        Sending.of_message(core, received, None, [], {})


# Several transactions


def test_recipients_beyond_the_limit_follow_with_the_same_content(ready):
    for body in (b".x\n", io.BytesIO(b".x\n")):
        core = ready("PIPELINING")
        sending = Sending(core, None, [f"r{number}@b.example" for number in range(5)], body, {"max_recipients": 2})
        said, result = deliver(core, sending)
        assert len(result.accepted) == 5
        assert said.count(b"MAIL FROM") == 3
        assert said.count(b"DATA\r\n..x\r\n.\r\n") == 3


def test_a_body_that_can_be_read_once_cannot_be_split(ready):
    core = ready("PIPELINING")
    sending = Sending(core, None, ["a@b.example", "c@b.example"], [b"x"], {"max_recipients": 1})
    with pytest.raises(NotSupported, match="read once"):
        deliver(core, sending)


def test_raise_for_any(ready):
    core = ready("PIPELINING")
    sending = Sending(core, None, ["a@b.example", "c@b.example"], b"x", {"raise_for": "any"})
    with pytest.raises(RecipientsRefused) as info:
        deliver(core, sending, [b"250 ok", b"550 no"])
    assert [outcome.verdict for outcome in info.value.recipients.values()] == [Verdict.ACCEPTED, Verdict.REFUSED]


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_deadline_is_ahead(ready, seconds):
    with pytest.raises(ValueError, match="a deadline is a number of seconds above 0"):
        Sending(ready(), "a@a.example", ["b@b.example"], b"", {"deadline": seconds})


def test_dsn_is_a_dsn(ready):
    with pytest.raises(TypeError, match="dsn is a DSN, not int"):
        Sending(ready(), "a@a.example", ["b@b.example"], b"", {"dsn": 1})
