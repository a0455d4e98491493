"""Attacks of which both roles know: what a hostile peer, or a hostile string, gets for each.

`docs/attacks.md` lists them with the test that proves each defence.
"""

import json
import runpy
import tracemalloc
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit import (
    DSN,
    Auth,
    AuthPolicy,
    ClientConfig,
    ClientConnection,
    Credentials,
    DeliverBy,
    Ehlo,
    Envelope,
    Etrn,
    Expn,
    Extension,
    Helo,
    Help,
    Lhlo,
    Limits,
    Mail,
    Mailbox,
    MessageTracking,
    Noop,
    OriginalRecipient,
    Rcpt,
    RemoteProtocolError,
    Reply,
    ServerConfig,
    StartTLS,
    State,
    Transport,
    UnknownCommand,
    ValidSince,
    Vrfy,
    XClient,
    XForward,
    parse_command,
)
from smtpkit.protocol.composition import recipients_in, sender_in
from smtpkit.protocol.events import BodyChunk, ConnectionClosed
from smtpkit.protocol.target import Target
from smtpkit.wire.proxy import parse_proxy_header

TESTS = Path(__file__).parent
play = SimpleNamespace(**runpy.run_path(str(TESTS / "protocol" / "playing.py")))
config, ready, codes, TRANSACTION = play.config, play.ready, play.codes, play.TRANSACTION
POLICIES = ("reject", "normalize", "keep")

# Smuggling: what is behind an end that is none must stay content

VECTORS = json.loads((TESTS / "vectors" / "smuggling_eod.json").read_text())["vectors"]
NO_ENDS = [bytes.fromhex(each["sequence_hex"]) for each in VECTORS]
NO_ENDS += [
    b"".join(each) for each in product([b"\n", b"\r", b"\r\r\n", b"\0\r\n", b"\r\n\0"], [b"."], [b"\n", b"\r\n"])
]
NO_ENDS += [
    b"\r\n.\0\r\n",
    b"\r\n. \r\n",
    b"\r\n..\r\n",
    b"\r\n.\t\r\n",
    b"\r\n\xff.\r\n",
    b"\r\n.\x0b\r\n",
    b"\x0b.\x0b",
]
NO_ENDS = [each for each in dict.fromkeys(NO_ENDS) if b"\r\n.\r\n" not in each]
SMUGGLED = b"MAIL FROM:<evil@e.example>\r\nRCPT TO:<victim@v.example>\r\nDATA\r\nevil\r\n.\r\n"
BEHIND = b"RSET\r\nNOOP\r\nVRFY joe\r\n"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("sequence", NO_ENDS, ids=bytes.hex)
def test_what_is_no_end_ends_nothing_wherever_it_is_cut(sequence, policy):
    """The first real end is that of the smuggled message; so nothing of it is a command, but what is behind it."""
    octets = b"text" + sequence + SMUGGLED + BEHIND
    start = len(b"text")
    for cut in range(start, start + len(sequence) + 2):
        session = ready(config(bare_newlines=policy))
        session.say(TRANSACTION + b"DATA\r\n")
        said = codes(session.say(octets[:cut]) + session.say(octets[cut:]))
        assert said == [550 if policy == "reject" and judged(sequence) else 250, 250, 250, 252]
        assert session.kinds.count("Mail") == 1
        assert all(b"victim@v.example" in message for message in session.messages)


def judged(sequence):
    """Whether there is anything in it that "reject" does not take."""
    text = b"text" + sequence + b"MAIL"
    rest = text.replace(b"\r\n", b"")
    return any(octet in rest for octet in b"\r\n\0")


@pytest.mark.parametrize("policy", POLICIES)
def test_the_one_real_end_ends_it_wherever_it_is_cut(policy):
    octets = b"text\r\n.\r\n" + SMUGGLED + BEHIND
    for cut in range(len(octets)):
        session = ready(config(bare_newlines=policy))
        session.say(TRANSACTION + b"DATA\r\n")
        said = codes(session.say(octets[:cut]) + session.say(octets[cut:]))
        assert said == [250, 250, 250, 354, 250, 250, 250, 252]
        assert session.messages == [b"text\r\n", b"evil\r\n"]


@pytest.mark.parametrize("sequence", NO_ENDS, ids=bytes.hex)
def test_nor_does_it_leave_this_side_in_data(sequence):
    """What a client is given as one message is one message to a strict server, and to a lenient one."""
    body = b"a\r\n" + sequence + b"MAIL FROM:<evil@e.example>\r\n"
    normalized = composed_wire(body)
    assert normalized.count(b"\r\n.\r\n") == 1
    assert normalized.endswith(b"\r\n.\r\n")
    for lenient in (b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r.\r"):
        assert lenient not in normalized.removesuffix(b"\r\n.\r\n") + b"\r\n"


def composed_wire(body):
    """A body as it leaves by DATA."""
    from smtpkit import dot_stuff
    from smtpkit.wire.newlines import NewlineNormalizer

    normalizer = NewlineNormalizer()
    return dot_stuff(normalizer.feed(body) + normalizer.finish())


# Injection: a string that would become a second line is refused when the value is made

BREAKS = ["\r", "\n", "\0", "\r\nRSET", "\nRSET\n", "\r\n.\r\n"]
ODD = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e", "\x7f", "\u0100", "\ud800", "\uff0a\uff0d"]
LONG = "x" * 70_000
FIELDS = {
    "EHLO name": lambda text: Ehlo(f"c{text}.example"),
    "HELO name": lambda text: Helo(f"c{text}.example"),
    "LHLO name": lambda text: Lhlo(f"c{text}.example"),
    "EHLO literal": lambda text: Ehlo(f"[192.0.2.1{text}]"),
    "local-part": lambda text: Mail(Mailbox(f"a{text}b", "a.example")),
    "quoted local-part": lambda text: Rcpt(Mailbox(f"a {text}b", "a.example")),
    "domain": lambda text: Rcpt(Mailbox("a", f"a{text}.example")),
    "literal domain": lambda text: Rcpt(Mailbox("a", f"[IPv6:::1{text}]")),
    "parsed address": lambda text: Mail(Mailbox.parse(f"a{text}@a.example")),
    "parsed behind": lambda text: Mail(Mailbox.parse(f"a@a.example{text}")),
    "SIZE": lambda text: Mail(None, {"SIZE": f"1{text}"}),
    "BODY": lambda text: Mail(None, {"BODY": f"8BITMIME{text}"}),
    "RET": lambda text: Mail(None, {"RET": f"FULL{text}"}),
    "ENVID": lambda text: Mail(None, {"ENVID": f"id{text}"}),
    "BY": lambda text: Mail(None, {"BY": DeliverBy(5, f"N{text}")}),
    "HOLDFOR": lambda text: Mail(None, {"HOLDFOR": f"5{text}"}),
    "HOLDUNTIL": lambda text: Mail(None, {"HOLDUNTIL": f"2030-01-01T00:00:00Z{text}"}),
    "MT-PRIORITY": lambda text: Mail(None, {"MT-PRIORITY": f"1{text}"}),
    "MTRK": lambda text: Mail(None, {"MTRK": MessageTracking(f"x{text}")}),
    "SOLICIT": lambda text: Mail(None, {"SOLICIT": f"com.example:a{text}"}),
    "TRANSID": lambda text: Mail(None, {"TRANSID": f"<a{text}@b>"}),
    "AUTH=": lambda text: Mail(None, {"AUTH": Mailbox(f"a{text}", "a.example")}),
    "own parameter": lambda text: Mail(None, {"XFOO": f"1{text}"}),
    "own keyword": lambda text: Mail(None, {f"XFOO{text}": "1"}),
    "NOTIFY": lambda text: Rcpt(Mailbox("a", "a.example"), {"NOTIFY": (f"FAILURE{text}",)}),
    "ORCPT": lambda text: Rcpt(Mailbox("a", "a.example"), {"ORCPT": OriginalRecipient("rfc822", f"a{text}@b")}),
    "ORCPT type": lambda text: Rcpt(Mailbox("a", "a.example"), {"ORCPT": OriginalRecipient(f"rfc822{text}", "a@b")}),
    "RRVS": lambda text: Rcpt(Mailbox("a", "a.example"), {"RRVS": ValidSince(f"2030-01-01T00:00:00Z{text}")}),
    "NOOP": lambda text: Noop(f"a{text}"),
    "HELP": lambda text: Help(f"a{text}"),
    "VRFY": lambda text: Vrfy(f"a{text}"),
    "EXPN": lambda text: Expn(f"a{text}"),
    "ETRN": lambda text: Etrn(f"a{text}.example"),
    "AUTH mechanism": lambda text: Auth(f"PLAIN{text}"),
    "XCLIENT name": lambda text: XClient({f"NAME{text}": "a"}),
    "XCLIENT value": lambda text: XClient({"NAME": f"a{text}"}),
    "XFORWARD value": lambda text: XForward({"NAME": f"a{text}"}),
    "another verb": lambda text: UnknownCommand(f"XFOO{text}"),
    "another argument": lambda text: UnknownCommand("XFOO", f"a{text}"),
    "reply": lambda text: Reply(250, f"a{text}"),
    "reply line": lambda text: Reply(250, ["a", f"b{text}", "c"]),
    "status code": lambda text: Reply(250, "a", f"2.0.0{text}"),
}
# What is no line by itself, and leads to one.
SETTINGS = {
    "server name": lambda text: ServerConfig(f"mx{text}.example"),
    "client name": lambda text: ClientConfig(f"c{text}.example"),
    "keyword": lambda text: Extension(f"XFOO{text}"),
    "envelope sender": lambda text: Envelope(f"a{text}@a.example", ["b@b.example"]),
    "envelope recipient": lambda text: Envelope(None, [f"b{text}@b.example"]),
    "envelope parameter": lambda text: Mail(None, Envelope(None, ["b@b"], {"ENVID": f"x{text}"}).mail_parameters),
    "DSN envid": lambda text: Mail(None, {"ENVID": DSN(envid=f"x{text}").envid}),
    "mechanism": lambda text: AuthPolicy({}, mechanisms=[f"PLAIN{text}"]),
    "URL local_hostname": lambda text: bytes(
        Ehlo(Target.parse(f"smtp://mx.example?local_hostname=c{text}").options["local_hostname"])
    ),
    "URL host": lambda text: Target.parse(f"smtp://mx{text}.example"),
}


@pytest.mark.parametrize("text", BREAKS, ids=repr)
@pytest.mark.parametrize("field", [*FIELDS, *SETTINGS])
def test_no_field_takes_the_end_of_a_line(field, text):
    with pytest.raises(ValueError, match=r"."):
        {**FIELDS, **SETTINGS}[field](text)


@pytest.mark.parametrize("text", ODD, ids=ascii)
@pytest.mark.parametrize("field", FIELDS)
def test_what_looks_like_one_is_refused_or_stays_in_its_line(field, text):
    try:
        octets = bytes(FIELDS[field](text))
    except ValueError:
        return
    lines = 3 if field == "reply line" else 1
    assert octets.count(b"\r\n") == octets.count(b"\r") == octets.count(b"\n") == lines
    assert octets.endswith(b"\r\n")
    assert len(octets.decode(errors="replace").removesuffix("\r\n").split("\r\n")) == lines


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_over_long_is_refused_or_folded_into_lines_that_are_not(field):
    try:
        octets = bytes(FIELDS[field](LONG))
    except ValueError:
        return
    assert not field.startswith(("EHLO", "HELO", "LHLO", "local", "quoted", "domain", "literal", "parsed", "reply"))
    assert octets.count(b"\r\n") == 1  # the verb's own limit is the server's matter, not the grammar's


@pytest.mark.parametrize("text", BREAKS, ids=repr)
@pytest.mark.parametrize("part", ["username", "password", "token", "authzid"])
def test_credentials_stay_in_one_line_of_base64(part, text):
    from smtpkit.sasl.registry import client_mechanism

    given = {"username": "u", "authzid": "", **({"password": "p"} if part != "token" else {"token": "t"})}
    given[part] += text
    try:
        credentials = Credentials(**given)
        login = client_mechanism("XOAUTH2" if part == "token" else "PLAIN", credentials=credentials)
        octets = bytes(Auth("PLAIN", login.initial_response))
    except (ValueError, TypeError, AttributeError):
        return
    assert octets.count(b"\r") == octets.count(b"\n") == 1


@pytest.mark.parametrize("name", ["Bcc", "To", "Cc", "From", "Sender"])
@pytest.mark.parametrize("text", ["\r\nRSET", "\nX: y", "\0", "\r"], ids=repr)
def test_addresses_of_a_header_never_bring_a_line_with_them(name, text):
    from email.message import Message

    message = Message()
    message["From"] = "a@a.example"
    message["To"] = "b@b.example"
    message._headers.append((name, f"<x{text}@e.example>"))  # no library checks this way
    try:
        envelope = Envelope(sender_in(message), recipients_in(message))
    except ValueError:
        return
    for path in (envelope.sender, *envelope.recipients):
        assert not set("\r\n\0") & set(str(path))


@pytest.mark.parametrize("value", ["id+0D+0ARSET", "id+00", "id+0A"])
def test_nothing_is_smuggled_in_as_xtext(value):
    with pytest.raises(ValueError, match=r"."):
        parse_command(f"MAIL FROM:<> ENVID={value}".encode())
    with pytest.raises(ValueError, match=r"."):
        parse_command(f"RCPT TO:<a@b> ORCPT=rfc822;{value}@b".encode())
    with pytest.raises(ValueError, match=r"."):
        parse_command(f"XCLIENT NAME={value}".encode())


# STARTTLS: octets in clear behind it

INJECTED = b"MAIL FROM:<evil@e.example>\r\n"


def test_a_server_refuses_what_stands_behind_starttls_wherever_it_is_cut():
    octets = b"STARTTLS\r\n" + INJECTED
    for cut in range(1, len(octets)):
        session = ready(config(tls_available=True), {parse_command(b"STARTTLS").__class__: None})
        said = session.say(octets[:cut]) + session.say(octets[cut:])
        if cut == len(b"STARTTLS\r\n"):
            session.core.accept()  # it came before the answer
            said += session.run()
        elif session.core.unanswered is not None:
            session.core.accept()
            said += session.run()
        assert said == b"554 5.5.0 Octets followed STARTTLS in clear\r\n"
        assert session.core.closed
        assert session.core.next_event() == ConnectionClosed()


def talking_client(*keywords, tls=False):
    """A client after its EHLO."""
    core = ClientConnection(ClientConfig())
    core.receive_data(b"220 mx.example\r\n")
    core.next_event()
    core.send(Ehlo("c.example"))
    lines = ["mx.example", *keywords]
    core.receive_data("".join(f"250-{line}\r\n" for line in lines[:-1]).encode() + f"250 {lines[-1]}\r\n".encode())
    core.next_event()
    core.data_to_send()
    return core


def fed(core, *pieces):
    """Hand in octets and ask for an event, again and again."""
    for piece in pieces:
        core.receive_data(piece)
        core.next_event()


def test_a_client_refuses_what_stands_behind_the_220_wherever_it_is_cut():
    answer, injected = b"220 go\r\n", b"250-mx.example\r\n250 AUTH PLAIN\r\n"
    octets = answer + injected
    for cut in [*range(1, len(answer)), *range(len(answer) + 1, len(octets))]:
        core = talking_client("STARTTLS")
        core.send(StartTLS())
        with pytest.raises(RemoteProtocolError, match="in clear behind the reply to STARTTLS"):
            fed(core, octets[:cut], octets[cut:])
        assert core.closed
        assert core.next_event() == ConnectionClosed()


def test_what_was_offered_in_clear_is_forgotten():
    core = talking_client("STARTTLS", "AUTH PLAIN", "XEVIL")
    core.send(StartTLS())
    core.receive_data(b"220 go\r\n")
    core.next_event()
    core.tls_established(play.FACTS)
    assert not core.capabilities
    assert core.state is State.CONNECTED


def test_and_so_is_what_a_client_said_in_clear():
    session = ready(play.with_login(tls_available=True))
    session.say(play.LOGIN + b"STARTTLS\r\n")
    session.core.tls_established(play.FACTS)
    assert (session.core.hello_name, session.core.identity, session.core.envelope) == (None, None, None)
    assert codes(session.say(b"MAIL FROM:<>\r\n")) == [503]


# Replies that nobody asked for, and without end


@pytest.mark.parametrize("reply", [b"250 Ok\r\n", b"354 go\r\n", b"235 in\r\n", b"550 no\r\n", b"250-a\r\n250 b\r\n"])
def test_a_reply_before_its_command_is_an_error(reply):
    core = talking_client("PIPELINING")
    core.receive_data(reply)
    with pytest.raises(RemoteProtocolError, match="nobody asked for"):
        core.next_event()
    assert core.closed


def test_and_one_too_many_behind_another():
    core = talking_client()
    core.send(Noop())
    core.receive_data(b"250 Ok\r\n250 RCPT is fine\r\n")
    assert core.next_event() == Reply(250, "Ok")
    with pytest.raises(RemoteProtocolError):
        core.next_event()


@pytest.mark.parametrize("piece", [b"250-x\r\n", b"250-" + b"x" * 400 + b"\r\n", b"x" * 1000, b"250-x"])
def test_a_reply_without_end_is_given_up_in_bounded_memory(piece):
    core = talking_client()
    core.send(Noop())
    tracemalloc.start()
    with pytest.raises(RemoteProtocolError):
        fed(core, *[piece] * 20_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 1024 * 1024


@pytest.mark.parametrize(
    "line", [b"250 a\nb\r\n", b"250 a\0b\r\n", b"250 a\rb\r\n", b"99 a\r\n", b"\r\n", b"2500 a\r\n"]
)
def test_what_is_no_reply_is_an_error(line):
    core = talking_client()
    core.send(Noop())
    core.receive_data(line)
    with pytest.raises(RemoteProtocolError):
        core.next_event()


def test_a_mixed_reply_is_never_taken_for_its_better_half():
    core = talking_client()
    core.send(Noop())
    core.receive_data(b"250-fine\r\n550 not\r\n")
    with pytest.raises(RemoteProtocolError):
        core.next_event()


# AUTH

LOGIN_CONFIG = play.with_login(mechanisms=["PLAIN", "LOGIN"], extensions=["PIPELINING", "CHUNKING"])
# What is said behind EHLO, and what comes of it.
AUTH_TABLE = {
    "in a transaction": (b"MAIL FROM:<>\r\n" + play.LOGIN, [250, 503]),
    "between recipients": (TRANSACTION + play.LOGIN, [250, 250, 503]),
    "between chunks": (TRANSACTION + b"BDAT 2\r\nab" + play.LOGIN, [250, 250, 250, 503]),
    "twice": (play.LOGIN * 2, [235, 503]),
    "before hello": (b"", []),
    "of no mechanism": (b"AUTH XYZZY\r\n", [504]),
    "of a weaker one": (b"AUTH CRAM-MD5\r\n", [504]),
    "cancelled": (b"AUTH PLAIN\r\n*\r\n", [334, 501]),
    "no base64": (b"AUTH PLAIN\r\n!!!\r\n", [334, 501]),
    "base64 cut off": (b"AUTH PLAIN\r\nAHVzZXIAcGFzcw=\r\n", [334, 501]),
    "base64 with octets behind": (b"AUTH PLAIN\r\nAHVzZXIAcGFzcw==AA\r\n", [334, 501]),
    "8-bit": (b"AUTH PLAIN\r\n\xff\xfe\r\n", [334, 501]),
    "NUL": (b"AUTH PLAIN\r\nAHVz\0ZXIAcGFzcw==\r\n", [334, 501]),
    "bare LF": (b"AUTH PLAIN\r\nAHVz\nZXIAcGFzcw==\r\n", [334, 501]),
    "initial response of no base64": (b"AUTH PLAIN !!!\r\n", [501]),
    "four fields": (b"AUTH PLAIN " + play.b64(b"a\0b\0c\0d") + b"\r\n", [501]),
    "no UTF-8": (b"AUTH PLAIN " + play.b64(b"\0\xff\0c") + b"\r\n", [501]),
    "12288 octets": (b"AUTH PLAIN\r\n" + b"A" * 12288 + b"\r\n", [334, 501]),
    "12289 octets": (b"AUTH PLAIN\r\n" + b"A" * 12289 + b"\r\n", [334, 500]),
    "a megabyte": (b"AUTH PLAIN\r\n" + b"A" * 2**20 + b"\r\n", [334, 500]),
}


@pytest.mark.parametrize("name", AUTH_TABLE)
def test_logins_that_are_out_of_order_or_wrong(name):
    line, expected = AUTH_TABLE[name]
    if name == "before hello":
        assert codes(play.Play(LOGIN_CONFIG).say(play.LOGIN)) == [503]
        return
    session = ready(LOGIN_CONFIG)
    said = session.say(line + b"NOOP\r\n")
    assert codes(said) == [*expected, 250]
    assert session.core.identity == ("user" if name == "twice" else None)
    if expected[-1] == 500:
        assert b"\r\n500 5.5.6 " in said


def test_a_password_cannot_be_guessed_for_ever():
    session = ready(LOGIN_CONFIG)
    wrong = b"AUTH PLAIN " + play.b64(b"\0user\0wrong") + b"\r\n"
    assert codes(session.say(wrong * 10)) == [535, 535, 535, 421]
    assert session.core.closed


# BDAT: sizes that lie, overflow, or are no sizes

IN_STEP = b"NOOP\r\n"
BDAT_TABLE = {
    # what is said behind MAIL and RCPT: what is answered, whether the session is over
    "negative": (b"BDAT -1\r\n", [501], True),
    "signed": (b"BDAT +1\r\n", [501], True),
    "none": (b"BDAT\r\n", [501], True),
    "no number": (b"BDAT x\r\n", [501], True),
    "hexadecimal": (b"BDAT 0x10\r\n", [501], True),
    "grouped": (b"BDAT 1_0\r\n", [501], True),
    "fraction": (b"BDAT 1.0\r\n", [501], True),
    "other digits": (b"BDAT \xd9\xa1\r\n", [501], True),
    "21 digits": (b"BDAT " + b"9" * 21 + b"\r\n", [501], True),
    "400 digits": (b"BDAT " + b"9" * 400 + b"\r\n", [501], True),
    "5000 digits": (b"BDAT " + b"9" * 5000 + b"\r\n", [500], True),
    "another word": (b"BDAT 1 FIRST\r\n", [501], True),
    "2**63": (b"BDAT 9223372036854775808\r\n" + IN_STEP * 9, [], False),
    "2**64": (b"BDAT 18446744073709551616\r\n" + IN_STEP * 9, [], False),
    "20 digits": (b"BDAT 99999999999999999999\r\n" + IN_STEP * 9, [], False),
    "commands inside": (b"BDAT 12 LAST\r\n" + IN_STEP * 2, [250], False),
    "too large": (b"BDAT 2000 LAST\r\n" + b"QUIT\r\n" * 333 + b"..", [552], False),
    "too large together": (b"BDAT 900\r\n" + b"x" * 900 + b"BDAT 200 LAST\r\n" + b"x" * 200, [250, 552], False),
    "refused, then more": (
        b"BDAT 1100\r\n" + b"x" * 1100 + b"BDAT 6\r\nQUIT\r\n" + b"BDAT 6 LAST\r\nQUIT\r\n",
        [552, 503, 503],
        False,
    ),
    "behind LAST": (b"BDAT 0 LAST\r\nBDAT 6\r\nQUIT\r\n", [250, 503], False),
    "DATA behind a chunk": (b"BDAT 2\r\nabDATA\r\n", [250, 503], False),
}


@pytest.mark.parametrize("name", BDAT_TABLE)
def test_chunks_that_lie(name):
    octets, expected, over = BDAT_TABLE[name]
    for cut in {1, len(octets) // 2, len(octets)}:
        session = ready(config(max_message_size=1000))
        session.say(TRANSACTION)
        assert codes(session.say(octets[:cut]) + session.say(octets[cut:])) == expected
        assert session.core.closed is over
        if expected and not over:
            assert codes(session.say(IN_STEP)) == [250]
        assert session.core.unread == 0


@pytest.mark.parametrize("lmtp", [False, True])
def test_the_last_chunk_without_recipients(lmtp):
    session = ready(config(lmtp=lmtp))
    assert codes(session.say(b"MAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\n" + IN_STEP)) == (
        [250, 250] if lmtp else [250, 503, 250]
    )


def test_a_chunk_where_none_are_offered_is_never_read_as_commands():
    session = ready(config(extensions=[]))
    assert codes(session.say(TRANSACTION + b"BDAT 30 LAST\r\nMAIL FROM:<evil@e.example>\r\n")) == [250, 250, 502]
    assert session.core.closed


# SIZE that lies


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"MAIL FROM:<> SIZE=1001\r\n", [552]),
        (b"MAIL FROM:<> SIZE=99999999999999999999\r\n", [552]),
        (b"MAIL FROM:<> SIZE=999999999999999999999\r\n", [501]),
        (b"MAIL FROM:<> SIZE=-1\r\n", [501]),
        (b"MAIL FROM:<> SIZE=1_0\r\n", [501]),
        (b"MAIL FROM:<> SIZE=\r\n", [501]),
        (b"MAIL FROM:<> SIZE\r\n", [501]),
        (b"MAIL FROM:<> SIZE=1 SIZE=2\r\n", [501]),
        (b"MAIL FROM:<> SIZE=1\r\nRCPT TO:<b@b>\r\nDATA\r\n" + b"x" * 1001 + b"\r\n.\r\n", [250, 250, 354, 552]),
        (b"MAIL FROM:<> SIZE=1\r\nRCPT TO:<b@b>\r\nBDAT 1001 LAST\r\n" + b"x" * 1001, [250, 250, 552]),
        (b"MAIL FROM:<> SIZE=1\r\nRCPT TO:<b@b>\r\nDATA\r\n" + b"x" * 100 + b"\r\n.\r\n", [250, 250, 354, 250]),
    ],
)
def test_a_size_is_believed_where_it_refuses_only(octets, expected):
    session = ready(config(max_message_size=1000))
    assert codes(session.say(octets + IN_STEP)) == [*expected, 250]


# Floods, lines without end, and octets that belong nowhere


@pytest.mark.parametrize(
    ("line", "limits", "expected"),
    [
        (b"NOOP\r\n", {"commands": 50}, [250] * 50 + [421]),
        (b"RSET\r\n", {"commands": 50}, [250] * 50 + [421]),
        (b"VRFY joe\r\n", {"commands": 50}, [252] * 50 + [421]),
        (b"HELP\r\n", {"commands": 50}, [214] * 50 + [421]),
        (b"EHLO c.example\r\n", {"commands": 50}, [250] * 50 + [421]),
        (b"XYZZY\r\n", {}, [500] * 9 + [421]),
        (b"MAIL FROM:\r\n", {}, [501] * 9 + [421]),
        (b"\r\n", {}, [500] * 9 + [421]),
        (b"DATA\r\n", {}, [503] * 9 + [421]),
        (b"TURN\r\n", {}, [502] * 9 + [421]),
        (b"NOOP\nNOOP\r\n", {}, [500] * 9 + [421]),
        (b"MAIL FROM:<> XFOO=1\r\n", {}, [555] * 9 + [421]),
        (b"MAIL FROM:<>\r\nRSET\r\n", {"transactions": 20}, [250, 250] * 20 + [421]),
        (b"MAIL FROM:<>\r\nRSET\r\n", {"commands": 40}, [250] * 40 + [421]),
    ],
)
def test_a_flood_is_cut_off(line, limits, expected):
    session = play.Play(config(limits=Limits(**limits)))
    session.core._budget.commands -= 1  # the hello
    session.say(b"EHLO c.example\r\n")
    assert codes(session.say(line * 200)) == expected
    assert session.core.closed
    assert session.core.unread == 0


def test_chunks_of_nothing_are_a_flood_too():
    session = ready(config(limits=Limits(commands=50)))
    assert codes(session.say(TRANSACTION + b"BDAT 0\r\n" * 100))[-1] == 421


@pytest.mark.parametrize("octets", [b"x", b"\0", b"MAIL FROM:<", b"\r", b"\xff", b" "])
def test_a_line_without_end_costs_no_memory_and_one_answer(octets):
    session = ready()
    piece = octets * (65536 // len(octets))
    tracemalloc.start()
    for _ in range(100):
        assert session.say(piece) == b""
        assert session.core.unread < 8192
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * 65536
    assert codes(session.say(b"\r\n" + IN_STEP)) == [500, 250]


VERBS = [
    b"EHLO c.example",
    b"MAIL FROM:<a@a.example>",
    b"RCPT TO:<b@b.example>",
    b"DATA",
    b"RSET",
    b"NOOP x",
    b"VRFY joe",
]
VERBS += [b"EXPN joe", b"HELP x", b"QUIT", b"STARTTLS", b"AUTH PLAIN", b"MAIL FROM:<> SIZE=10", b"XYZZY x"]


@pytest.mark.parametrize(
    "octet", [b"\0", b"\r", b"\n", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xc0\x80", b"\xe2\x80\xa8"]
)
@pytest.mark.parametrize("verb", VERBS)
def test_octets_that_are_no_text_are_refused_wherever_they_stand(verb, octet):
    for at in range(len(verb) + 1):
        session = ready(play.with_login(tls_available=True))
        line = verb[:at] + octet + verb[at:]
        said = codes(session.say(line + b"\r\n"))
        assert len(said) == 1
        assert said[0] in (500, 501, 502, 503, 550, 553, 554), line
        assert session.core.state is State.READY


@pytest.mark.parametrize("pieces", [1, 3])
def test_dripped_octets_change_nothing(pieces):
    octets = TRANSACTION + b"DATA\r\n..a\r\n.\r\n" + TRANSACTION + b"BDAT 3 LAST\r\n.\r\nNOOP\r\n"
    session = ready()
    said = b"".join(session.say(octets[at : at + pieces]) for at in range(0, len(octets), pieces))
    assert codes(said) == [250, 250, 354, 250, 250, 250, 250, 250]
    assert session.messages == [b".a\r\n", b".\r\n"]


@pytest.mark.parametrize("slow", [True, False])
def test_content_that_drips_is_told_to_go(slow):
    adapter = play.Adapter(config())
    adapter.say(b"EHLO c.example\r\n" + TRANSACTION + b"DATA\r\n")
    for _ in range(12):
        said = adapter.say(b"x" if slow else b"x" * 400)
        adapter.driver.waited(6.0)
        if adapter.core.closed:
            break
    assert adapter.core.closed is slow
    if slow:
        assert adapter.run().startswith(b"421 4.4.2 ")
    else:
        assert said == b""


# Other protocols


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1", b"POST /x HTTP/1.1", b"CONNECT mx:25 HTTP/1.1", b"PRI * HTTP/2.0"])
def test_a_browser_is_sent_away_at_its_first_line(line):
    session = play.Play()
    body = b"\r\nHost: mx\r\n\r\nEHLO c.example\r\n" + TRANSACTION + b"DATA\r\nevil\r\n.\r\n"
    assert codes(session.say(line + body)) == [421]
    assert session.core.closed


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 192.0.2.7\0 198.51.100.2 40000 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.2 40000 25\0\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.2 40000 25\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.2 +1 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.2 99999 25\r\n",
        b"PROXY TCP4 192.0.2.07 198.51.100.2 40000 25\r\n",
        b"PROXY " + b"x" * 200,
        b"\0" * 12,
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c" + b"\0" * 12,
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x01\0",
    ],
)
def test_a_proxy_header_that_is_none(header):
    with pytest.raises(ValueError, match=r"."):
        parse_proxy_header(header)
    adapter = play.Adapter(config(), proxy_protocol=True)
    assert adapter.say(header) == b""
    assert adapter.closed


def test_a_client_never_names_credentials_in_clear_in_what_it_shows():
    credentials = Credentials("user", "s3cret")
    assert "s3cret" not in repr(credentials) + str(credentials)
    assert "s3cret" not in repr(Target.parse("smtp://user:s3cret@mx.example"))


def test_the_transport_is_closed_after_every_attack_that_ends_a_session():
    for octets in (b"BDAT -1\r\n", b"XYZZY\r\n" * 10):
        session = ready()
        session.say(TRANSACTION + octets)
        assert session.core.transport is Transport.CLOSE


def test_content_is_never_handed_on_as_two_messages():
    session = ready(config(bare_newlines="keep"))
    session.say(TRANSACTION + b"DATA\r\na\n.\nMAIL FROM:<evil@e.example>\r\n.\r\n")
    assert [type(event) is BodyChunk and event.last for event in session.events].count(True) == 1
