"""ClientConnection: every pair of a state and of what the server may say has a defined result."""

import pytest

from smtpkit.errors import LocalProtocolError, RemoteProtocolError
from smtpkit.protocol import (
    NEED_DATA,
    AuthResponse,
    BodyChunk,
    ClientConfig,
    ClientConnection,
    ConnectionClosed,
    State,
    Transport,
)
from smtpkit.protocol.states import END_OF_DATA, LMTP, RESPONSE, SMTP
from smtpkit.wire import commands as c
from smtpkit.wire.addresses import Mailbox

S = State
BDATS = ("BDAT", "BDAT LAST")
ITEMS = {
    "EHLO": (c.Ehlo("c.example"),),
    "HELO": (c.Helo("c.example"),),
    "LHLO": (c.Lhlo("c.example"),),
    "MAIL": (c.Mail(None),),
    "RCPT": (c.Rcpt(Mailbox("b", "b.example")),),
    "DATA": (c.Data(),),
    END_OF_DATA: (BodyChunk(b"hi", True),),
    "BDAT": (c.Bdat(2), BodyChunk(b"hi")),
    "BDAT LAST": (c.Bdat(2, True), BodyChunk(b"hi", True)),
    "RSET": (c.Rset(),),
    "NOOP": (c.Noop(),),
    "HELP": (c.Help(),),
    "VRFY": (c.Vrfy("bob"),),
    "EXPN": (c.Expn("all"),),
    "ETRN": (c.Etrn("b.example"),),
    "STARTTLS": (c.StartTLS(),),
    "AUTH": (c.Auth("LOGIN"),),
    RESPONSE: (AuthResponse(b"me"),),
    "XCLIENT": (c.XClient({"NAME": "x"}),),
    "XFORWARD": (c.XForward({"NAME": "x"}),),
    "QUIT": (c.Quit(),),
    "XFOO": (c.UnknownCommand("XFOO"),),
}
# How a state is reached: (step, reply), …
PATHS = {
    S.GREETING: [],
    S.REFUSED: [("greeting", 554)],
    S.CONNECTED: [("greeting", 220)],
    S.READY: [("greeting", 220), ("EHLO", 250)],
    S.MAIL: [("greeting", 220), ("EHLO", 250), ("MAIL", 250)],
    S.RCPT: [("greeting", 220), ("EHLO", 250), ("MAIL", 250), ("RCPT", 250)],
    S.DATA: [("greeting", 220), ("EHLO", 250), ("MAIL", 250), ("RCPT", 250), ("DATA", 354)],
    S.BDAT: [("greeting", 220), ("EHLO", 250), ("MAIL", 250), ("RCPT", 250), ("BDAT", 250)],
    S.BDAT_FAILED: [("greeting", 220), ("EHLO", 250), ("MAIL", 250), ("RCPT", 250), ("BDAT", 451)],
    S.AUTH: [("greeting", 220), ("EHLO", 250), ("AUTH", 334)],
    S.CLOSED: [("greeting", 220), ("QUIT", 221)],
}
# One pair for each way of answering, to which all codes are said; to the other pairs some of each class.
KINDS = [
    (S.GREETING, "greeting"),
    (S.READY, "NOOP"),
    (S.READY, "MAIL"),
    (S.RCPT, "DATA"),
    (S.DATA, END_OF_DATA),
    (S.RCPT, "BDAT"),
    (S.BDAT, "BDAT LAST"),
    (S.AUTH, RESPONSE),
]
SOME = [200, 211, 250, 299, 300, 334, 354, 399, 400, 421, 450, 499, 500, 502, 503, 550, 571, 599]


def pairs(table):
    """Every pair of a state and a step that is legal in it; the table's, and those that stand under it."""
    rows = [(state, step) for state, row in table.items() for step in row]
    return [*rows, (S.READY, "XFOO"), (S.RCPT, "XFOO")]


CASES = [("SMTP", *pair) for pair in pairs(SMTP)] + [("LMTP", *pair) for pair in pairs(LMTP)]


def at(protocol, state):
    """A connection in this state, with nothing owed."""
    core = ClientConnection(ClientConfig(lmtp=protocol == "LMTP"))
    for step, code in PATHS[state]:
        say(core, "LHLO" if step == "EHLO" and core.lmtp else step)
        core.receive_data(b"%d ok\r\n" % code)
        assert core.next_event().code == code
    assert core.state is state
    return core


def say(core, step):
    for item in ITEMS.get(step, ()):
        core.send(item)
    core.data_to_send()


def expected(protocol, state, step, code):
    """The state that a reply leads to, or None where no standard knows it."""
    if code >= 400:
        if state is S.GREETING:
            return S.REFUSED
        if state is S.BDAT_FAILED:  # only RSET helps, in LMTP too
            return state
        if step in (END_OF_DATA, RESPONSE) or (protocol == "LMTP" and step == "BDAT LAST"):
            return S.READY
        return S.BDAT_FAILED if step in BDATS else state
    if code >= 300:
        return {"DATA": S.DATA, "AUTH": S.AUTH, RESPONSE: S.AUTH}.get(step)
    if step == "DATA":
        return None
    if step == "XFOO":
        return state
    return {"SMTP": SMTP, "LMTP": LMTP}[protocol][state][step]


@pytest.mark.parametrize(("protocol", "state", "step"), CASES)
def test_every_answer_to_every_step_leads_to_a_state_or_ends_the_connection(protocol, state, step):
    for code in range(200, 600) if (state, step) in KINDS else SOME:
        core = at(protocol, state)
        say(core, step)
        core.receive_data(b"%d so\r\n" % code)
        following = expected(protocol, state, step, code)
        if following is None:
            with pytest.raises(RemoteProtocolError) as info:
                core.next_event()
            assert info.value.state == state.value
            assert str(code) in str(info.value)
            following = S.CLOSED
        else:
            assert core.next_event().code == code
            assert core.next_event() in (NEED_DATA, ConnectionClosed())
        assert core.state is following, code
        assert core.closed == (following is S.CLOSED)
        assert core.owed == 0 or following is S.CLOSED
        ends = code == 421 or (step in BDATS and code in (500, 502))
        assert core.closing is None if not ends else core.closing.code == code
        tls = step == "STARTTLS" and code < 300
        assert core.transport is (Transport.CLOSE if core.closed else Transport.START_TLS if tls else Transport.READ)


@pytest.mark.parametrize("protocol", ["SMTP", "LMTP"])
@pytest.mark.parametrize("state", PATHS)
def test_what_is_not_in_the_table_cannot_be_said(protocol, state):
    legal = {"SMTP": SMTP, "LMTP": LMTP}[protocol][state if state is not S.GREETING else S.CONNECTED]
    allowed = {*legal, *({"XFOO"} if "NOOP" in legal else ())}
    for step in ITEMS:
        core = at(protocol, state)
        if step in allowed:
            say(core, step)
            continue
        with pytest.raises(LocalProtocolError) as info:
            say(core, step)
        assert info.value.expected
        assert core.data_to_send() == b""
        assert core.state is state


@pytest.mark.parametrize("protocol", ["SMTP", "LMTP"])
@pytest.mark.parametrize("state", [state for state in PATHS if state is not S.GREETING])
@pytest.mark.parametrize("code", [200, 220, 250, 354, 421, 450, 552, 599])
def test_a_reply_that_nobody_asked_for_ends_the_connection(protocol, state, code):
    core = at(protocol, state)
    core.receive_data(b"%d psst\r\n" % code)
    if state is S.CLOSED:
        assert core.next_event() == ConnectionClosed()
    elif state is S.DATA and code >= 400:
        assert core.next_event().code == core.closing.code == code  # it gives up in the middle
    else:
        with pytest.raises(RemoteProtocolError, match="nobody asked for"):
            core.next_event()
        assert core.closed
        assert core.next_event() == ConnectionClosed()


@pytest.mark.parametrize(("protocol", "state", "step"), CASES)
def test_a_reply_too_many_ends_the_connection(protocol, state, step):
    core = at(protocol, state)
    say(core, step)
    code = 354 if step == "DATA" else 221 if step == "QUIT" else 250
    core.receive_data(b"%d one\r\n250 two\r\n" % code)
    if step == "STARTTLS":
        with pytest.raises(RemoteProtocolError, match="in clear behind the reply"):
            core.next_event()
    else:
        assert core.next_event().code == code
        if step != "QUIT":
            with pytest.raises(RemoteProtocolError, match="nobody asked for"):
                core.next_event()
    assert core.closed
    assert core.next_event() == ConnectionClosed()


BAD = {
    "below 200": b"199 no\r\n",
    "above 599": b"600 no\r\n",
    "two digits": b"25 ok\r\n",
    "four digits": b"2500 ok\r\n",
    "no digits": b"hello\r\n",
    "nothing": b"\r\n",
    "no separator": b"250ok\r\n",
    "two codes": b"250-a\r\n550 b\r\n",
    "digits of another script": "²⁵⁰ ok\r\n".encode(),
    "a space first": b" 250 ok\r\n",
    "LF alone": b"250 ok\n",
    "NUL": b"250 a\0b\r\n",
    "CR alone": b"250 a\rb\r\n",
    "NUL in the code": b"2\x0050 ok\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n",
}


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD)
def test_what_is_no_reply_ends_the_connection_at_every_step(octets):
    for protocol, state, step in CASES:
        core = at(protocol, state)
        say(core, step)
        core.receive_data(octets)
        with pytest.raises(RemoteProtocolError) as info:
            core.next_event()
        assert info.value.state == state.value
        assert core.closed
        assert core.unread == 0
        core.receive_data(b"250 ok\r\n")
        assert core.next_event() == ConnectionClosed()


@pytest.mark.parametrize("octets", [b"\xff", b"\xc3\xa4", b"\x1b[2J", b"\t", b"\x7f"])
def test_any_other_octet_may_stand_in_the_text_of_a_reply(octets):
    for protocol, state, step in CASES:
        core = at(protocol, state)
        say(core, step)
        core.receive_data(b"550-a" + octets + b"b\r\n550 " + octets + b"\r\n")
        reply = core.next_event()
        assert reply.code == 550, (protocol, state, step)
        assert str(reply).isprintable()
        bytes(reply)  # it can be shown on the wire


@pytest.mark.parametrize("line", [b"250-\r\n", b"250-" + b"a" * 2000 + b"\r\n", b"2" * 1000])
@pytest.mark.parametrize(("state", "step"), KINDS)
def test_a_reply_without_an_end_is_bounded_at_every_step(state, step, line):
    core = at("SMTP", state)
    say(core, step)
    came = 0
    with pytest.raises(RemoteProtocolError):  # noqa: PT012
        while came < 10_000_000:
            core.receive_data(line)
            came += len(line)
            assert core.next_event() is NEED_DATA
            assert core.unread < 70_000
    assert came < 300_000
    assert core.closed
    assert core.unread == 0


@pytest.mark.parametrize(("protocol", "state", "step"), CASES)
def test_the_end_of_the_stream_ends_the_connection_at_every_step(protocol, state, step):
    for came in (b"", b"2", b"250-a\r\n", b"250 a\r"):
        core = at(protocol, state)
        say(core, step)
        core.receive_data(came)
        core.receive_data(b"")
        assert core.next_event() == core.next_event() == ConnectionClosed()
        assert core.state is S.CLOSED
