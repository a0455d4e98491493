"""Reading command lines: RFC 5321's grammar and no more, every octet accounted for, errors with their reply."""

import base64

import pytest

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import (
    SYNTAX,
    TOLERANCES,
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Etrn,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTLS,
    UnknownCommand,
    Vrfy,
    XClient,
    XForward,
    parse_command,
)
from smtpkit.wire.dialect import Dialect
from smtpkit.wire.parameter_values import DeliverBy, OriginalRecipient
from smtpkit.wire.parameters import ParameterCodec

ALICE = Mailbox("alice", "a.example")


def refused(line, **options):
    with pytest.raises(ParseError) as caught:
        parse_command(line, **options)
    return caught.value.code, caught.value.enhanced


@pytest.mark.parametrize("end", [b"", b"\r\n", b" ", b" \t \r\n"])
@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"EHLO mail.example", Ehlo("mail.example")),
        (b"ehlo [192.0.2.1]", Ehlo("[192.0.2.1]")),
        (b"Helo a", Helo("a")),
        (b"LHLO a", Lhlo("a")),
        (b"MAIL FROM:<>", Mail(None)),
        (b"mail from:<alice@A.example>", Mail(ALICE)),
        (b"mAiL fRoM:<alice@A.example>", Mail(ALICE)),
        (b"MAIL FROM:<> SIZE=00000000000000000005", Mail(None, {"SIZE": 5})),
        (b"MAIL FROM:<> SIZE=5 X=1", Mail(None, {"SIZE": 5, "X": "1"})),
        (b"MAIL FROM:<> size=5 X body=7bit", Mail(None, {"SIZE": 5, "X": None, "BODY": "7BIT"})),
        (b'MAIL FROM:<"alice"@a.example> BY=5;R', Mail(ALICE, {"BY": DeliverBy(5, "R")})),
        (b"MAIL FROM:<@b,@c:alice@a.example> RET=FULL", Mail(ALICE, {"RET": "FULL"})),
        (b"RCPT TO:<alice@a.example>", Rcpt(ALICE)),
        (b"Rcpt To:<alice@a.example>", Rcpt(ALICE)),
        (b"rcpt TO:<a@[IPv6:::1]> NOTIFY=NEVER", Rcpt(Mailbox("a", "[IPv6:::1]"), {"NOTIFY": ("NEVER",)})),
        (b"RCPT TO:<alice@a.example> ORCPT=rfc822;a", Rcpt(ALICE, {"ORCPT": OriginalRecipient("rfc822", "a")})),
        (b"RCPT TO:<PostMaster>", Rcpt(Mailbox("postmaster", ""))),
        (b"DATA", Data()),
        (b"dAtA", Data()),
        (b"BDAT 5", Bdat(5)),
        (b"bdat 99999999999999999999 last", Bdat(10**20 - 1, True)),
        (b"RSET", Rset()),
        (b"NOOP", Noop()),
        (b"NOOP any words, <of> all kinds", Noop("any words, <of> all kinds")),
        (b'NOOP "in quotes"', Noop("in quotes")),
        (b"QUIT", Quit()),
        (b"HELP", Help()),
        (b"HELP mail", Help("mail")),
        (b"VRFY alice@a.example", Vrfy("alice@a.example")),
        (b'VRFY "alice smith"', Vrfy("alice smith")),
        (b'VRFY "alice smith"@a.example smtputf8', Vrfy('"alice smith"@a.example', True)),
        (b"VRFY SMTPUTF8", Vrfy("SMTPUTF8")),
        ("EXPN é SMTPUTF8".encode(), Expn("é", True)),
        (b"STARTTLS", StartTLS()),
        (b"AUTH plain", Auth("PLAIN")),
        (b"AUTH PLAIN =", Auth("PLAIN", b"")),
        (b"AUTH PLAIN AGEAYg==", Auth("PLAIN", b"\0a\0b")),
        (b"ETRN #queue", Etrn("#queue")),
        (b"XCLIENT name=a+20b addr=192.0.2.1", XClient({"NAME": "a b", "ADDR": "192.0.2.1"})),
        (b"xforward IDENT=", XForward({"IDENT": ""})),
        (b"TURN", UnknownCommand("TURN")),
        (b"x-1 any   thing =", UnknownCommand("X-1", "any   thing =")),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_a_line_is_read_as(line, command, end):
    assert parse_command(line + end) == command
    assert parse_command(line + end, strict=False) == command


@pytest.mark.parametrize("verb", ["DATA", "RSET", "NOOP", "HELP", "QUIT", "STARTTLS"])
def test_a_command_without_fields_is_one_shared_object(verb):
    line = verb.encode()
    assert parse_command(line) is parse_command(line.lower() + b"\r\n")


@pytest.mark.parametrize(
    ("line", "code", "enhanced"),
    [
        (b"", 500, "5.5.2"),
        (b"\r\n", 500, "5.5.2"),
        (b" \t\r\n", 500, "5.5.2"),
        (b"\n", 500, "5.5.2"),
        (b"NOOP\n", 500, "5.5.2"),
        (b"NOOP\r", 500, "5.5.2"),
        (b"NOOP\r\n\r\n", 500, "5.5.2"),
        (b"NOOP \nQUIT\r\n", 500, "5.5.2"),
        (b"MAIL FROM:<a@b>\n", 500, "5.5.2"),
        (b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", 500, "5.5.2"),
        (b"NOOP \0", 501, "5.5.2"),
        (b"NOOP a\tb", 501, "5.5.2"),
        (b"MAIL FROM:<a\x7fb@c>", 501, "5.5.2"),
        (b" NOOP", 500, "5.5.2"),
        (b"DATA_", 500, "5.5.2"),
        (b"MAILFROM:<a@b>", 500, "5.5.2"),
        (b"\xff", 500, "5.5.2"),
        ("\u017fOML".encode(), 500, "5.5.2"),
        ("XYZ é".encode(), 500, "5.5.2"),
        ("EHLO é.example".encode(), 501, "5.5.2"),
        (b"EHLO", 501, "5.5.4"),
        (b"EHLO a b", 501, "5.5.4"),
        (b"EHLO  a", 501, "5.5.4"),
        (b"HELO under_score", 501, "5.5.4"),
        (b"LHLO a.", 501, "5.5.4"),
        (b"EHLO " + b"a" * 256, 501, "5.5.4"),
        (b"MAIL", 501, "5.5.4"),
        (b"MAIL <a@b>", 501, "5.5.4"),
        (b"MAIL TO:<a@b>", 501, "5.5.4"),
        (b"MAIL FROM <a@b>", 501, "5.5.4"),
        (b"MAIL FROM :<a@b>", 501, "5.5.4"),
        (b"MAIL  FROM:<a@b>", 501, "5.5.4"),
        (b"MAIL FROM:", 501, "5.1.7"),
        (b"MAIL FROM: <a@b>", 501, "5.1.7"),
        (b"MAIL FROM:a@b", 501, "5.1.7"),
        (b"MAIL FROM:<a@b", 501, "5.1.7"),
        (b"MAIL FROM:<a@>", 501, "5.1.7"),
        (b"MAIL FROM:<postmaster>", 501, "5.1.7"),
        (b"MAIL FROM:<" + b"a" * 65 + b"@b>", 501, "5.1.7"),
        (b"MAIL FROM:<a@b>SIZE=1", 501, "5.5.4"),
        (b"MAIL FROM:<>SIZE=1", 501, "5.5.4"),
        (b"MAIL FROM:<a@b>>", 501, "5.5.4"),
        (b"MAIL FROM:<a@b>  SIZE=1", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=1  BODY=7BIT", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=x", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=1x", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=1 SIZE=1", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> SIZE=000000000000000000001", 501, "5.5.4"),
        (b"MAIL FROM:<a@b> MT-PRIORITY=x", 501, "5.5.2"),
        (b"MAIL FROM:<a@b> NOTIFY=NEVER", 555, "5.5.4"),
        (b"MAIL FROM:<a@b> AUTH=<a@b>", 501, "5.5.4"),
        ("MAIL FROM:<é@b>".encode(), 550, "5.6.7"),
        ("MAIL FROM:<a@é> SIZE=1".encode(), 550, "5.6.7"),
        ("MAIL FROM:<é@b> \u017fMTPUTF8".encode(), 501, "5.5.4"),
        ("MAIL FROM:<é@>".encode(), 501, "5.1.7"),
        (b"MAIL FROM:<\xe9@b> SMTPUTF8", 501, "5.5.2"),
        (b"RCPT TO:<>", 501, "5.1.3"),
        (b"RCPT TO:<abuse>", 501, "5.1.3"),
        (b"RCPT TO: <a@b>", 501, "5.1.3"),
        (b"RCPT TO:<a@b>NOTIFY=NEVER", 501, "5.5.4"),
        (b"RCPT TO:<a@b> NOTIFY=x", 501, "5.5.4"),
        (b"RCPT TO:<a@b> BY=5;R", 555, "5.5.4"),
        (b"RCPT FROM:<a@b>", 501, "5.5.4"),
        ("RCPT TO:<é@b>".encode(), 553, "5.6.7"),
        ("RCPT TO:<é@b> NOTIFY=x".encode(), 501, "5.5.4"),
        (b"DATA now", 501, "5.5.4"),
        (b"QUIT now", 501, "5.5.4"),
        (b"STARTTLS =", 501, "5.5.4"),
        (b"BDAT", 501, "5.5.4"),
        (b"BDAT 5LAST", 501, "5.5.4"),
        (b"BDAT 5 LAST LAST", 501, "5.5.4"),
        (b"BDAT -5", 501, "5.5.4"),
        (b"BDAT 100000000000000000000", 501, "5.5.4"),
        ("BDAT \u0665".encode(), 501, "5.5.2"),
        (b"VRFY", 501, "5.5.4"),
        (b"VRFY a b", 501, "5.5.4"),
        (b'VRFY "a', 501, "5.5.4"),
        ("VRFY é".encode(), 550, "5.6.7"),
        ("VRFY a \u017fMTPUTF8".encode(), 501, "5.5.4"),
        (b"EXPN \xff SMTPUTF8", 501, "5.5.2"),
        ("NOOP é".encode(), 501, "5.5.2"),
        (b"ETRN", 501, "5.5.4"),
        (b"ETRN a b", 501, "5.5.4"),
        (b"AUTH", 501, "5.5.4"),
        (b"AUTH PLA/IN", 501, "5.5.4"),
        (b"AUTH " + b"A" * 21, 501, "5.5.4"),
        (b"AUTH PLAIN  AGEAYg==", 501, "5.5.2"),
        (b"AUTH PLAIN *", 501, "5.5.2"),
        (b"AUTH PLAIN AGEAYg", 501, "5.5.2"),
        (b"AUTH PLAIN AGEAYh==", 501, "5.5.2"),  # bits that padding leaves over
        (b"AUTH PLAIN AGEA Yg==", 501, "5.5.2"),
        (b"AUTH PLAIN AGE-", 501, "5.5.2"),
        (b"AUTH PLAIN ==", 501, "5.5.2"),
        (b"AUTH PLAIN =AAA", 501, "5.5.2"),
        (b"XCLIENT", 501, "5.5.4"),
        (b"XCLIENT NAME", 501, "5.5.4"),
        (b"XCLIENT NAME=a NAME=b", 501, "5.5.4"),
        (b"XCLIENT NAME=a  ADDR=b", 501, "5.5.4"),
        (b"XCLIENT NAME=+0A", 501, "5.5.4"),
        (b"XFORWARD NAME=+1B", 501, "5.5.4"),
        (b"XFORWARD =a", 501, "5.5.4"),
    ],
)
def test_what_is_refused_and_how(line, code, enhanced):
    assert refused(line) == (code, enhanced)


@pytest.mark.parametrize("verb", sorted(SYNTAX))
def test_an_error_of_an_argument_tells_the_right_syntax(verb):
    with pytest.raises(ParseError) as caught:
        parse_command(f"{verb} é\udcff".encode("utf-8", "surrogatepass"))
    assert caught.value.expected == SYNTAX[verb]
    assert caught.value.octets.startswith(verb.encode())


@pytest.mark.parametrize(
    "line",
    [
        b"AUTH PLAIN c2VjcmV0",
        b" auth PLAIN c2VjcmV0",
        b"AUTH PLAIN c2VjcmV0\n",
        b"AUTH PLAIN c2VjcmV0\xff",
        b"AUTH  X c2VjcmV0",
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_no_error_shows_an_initial_response(line, strict):
    broken = line.replace(b"c2VjcmV0", b"c2VjcmV0=")
    with pytest.raises(ParseError) as caught:
        parse_command(broken, strict=strict)
    error = caught.value
    while error is not None:
        assert "c2VjcmV0" not in f"{error}{error.args}{vars(error)}{getattr(error, 'object', '')}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("verb", ["MAIL FROM", "mAIL FROM", "RCPT TO", "rCPT TO"])
def test_limits_hold_in_the_common_path_and_in_the_complete_parser(verb):
    fits = "a" * 64 + "@" + ".".join(["d" * 63, "d" * 63, "d" * 61])  # 254 octets, the path 256
    enhanced = "5.1.7" if verb.upper() == "MAIL FROM" else "5.1.3"
    parse_command(f"{verb}:<{fits}> X=1".encode())
    for too_long in (f"a{fits}", f"{fits}d", "a" * 65 + "@b", "a@" + "b" * 64):
        assert refused(f"{verb}:<{too_long}> X=1".encode()) == (501, enhanced)


def test_utf8_in_mail_needs_the_parameter_of_the_same_command():
    line = "MAIL FROM:<é@ü.example> BODY=8BITMIME SMTPUTF8".encode()
    assert parse_command(line).reverse_path == Mailbox("é", "ü.example")
    assert refused(line.replace(b" SMTPUTF8", b""), smtputf8=True) == (550, "5.6.7")


def test_utf8_in_rcpt_needs_the_transactions_smtputf8():
    line = "RCPT TO:<é@ü.example> ORCPT=utf-8;é@ü.example".encode()
    rcpt = parse_command(line, smtputf8=True)
    assert rcpt.parameters["ORCPT"] == OriginalRecipient("utf-8", "é@ü.example")
    assert refused(line) == (553, "5.6.7")


# Tolerances


def case(row):
    what, example, strict, *_ = row
    return pytest.param(example, strict, id=what)


@pytest.mark.parametrize(("example", "strict"), [case(row) for row in TOLERANCES])
def test_what_is_tolerated_is_an_error_in_strict_mode_and_read_as_the_right_line(example, strict):
    refused(example)
    command = parse_command(example + b"\r\n", strict=False)
    if strict is None:
        assert bytes(command) == example + b"\r\n"
    else:
        assert command == parse_command(strict)


@pytest.mark.parametrize(
    ("line", "strict"),
    [
        (b"mail from:  a@b  size=1 ", b"MAIL FROM:<a@b> SIZE=1"),
        (b"MAIL   FROM:  <a@b>", b"MAIL FROM:<a@b>"),
        (b'MAIL FROM: "a  b"@c  X', b'MAIL FROM:<"a  b"@c> X'),
        (b'RCPT  TO:<"a  \\"  b"@c>', b'RCPT TO:<"a  \\"  b"@c>'),
        (b"RCPT TO:postmaster", b"RCPT TO:<postmaster>"),
        (b"HELO  a.example   x y", b"HELO a.example"),
        (b"lhlo a.example x", b"LHLO a.example"),
        (b"BDAT  5   LAST", b"BDAT 5 LAST"),
        (b"AUTH  PLAIN  =", b"AUTH PLAIN ="),
        (b"XCLIENT  NAME=a  ADDR=b", b"XCLIENT NAME=a ADDR=b"),
        (b"VRFY  a  SMTPUTF8", b"VRFY a SMTPUTF8"),
    ],
)
def test_tolerances_go_together(line, strict):
    refused(line)
    assert parse_command(line, strict=False) == parse_command(strict)


@pytest.mark.parametrize("name", ["under_score", "localhost.", "-", "[::1]", "<script>", "a" * 255])
def test_a_hello_name_that_is_no_domain_is_taken_as_it_is(name):
    for kind in (Ehlo, Helo, Lhlo):
        command = parse_command(f"{kind.verb.lower()} {name} x".encode(), strict=False)
        assert type(command) is kind
        assert command.name == name


@pytest.mark.parametrize(
    "line",
    [
        b"MAIL FROM:<a@b>SIZE=1",
        b"MAIL FROM: <a@b>SIZE=1",
        b"MAIL FROM:<a@b>>",
        b"MAIL FROM:<a@b",
        b"MAIL FROM:a@b>",
        b"MAIL FROM:",
        b"MAIL FROM: ",
        b"MAIL FROM:a b@c",
        b"MAIL FROM:a@b SIZE=x",
        b"MAIL FROM :<a@b>",
        b"MAIL\tFROM:<a@b>",
        b"MAIL FROM: postmaster",
        b"RCPT TO:under_score@b_c",
        b"RCPT TO: <>",
        b"EHLO",
        b"EHLO \xe9",
        b"EHLO a \xe9",
        b"EHLO a\x01",
        b"EHLO a b\x01",
        b"EHLO a b\nc",
        b"EHLO " + b"a" * 256,
        b"DATA  x",
        b"NOOP\n",
        b"NOOP\r",
        b"",
        b"  NOOP",
        b"BDAT 5  LASTx",
    ],
)
def test_what_is_not_tolerated(line):
    refused(line)
    refused(line, strict=False)


def test_base64_is_read_as_it_is_written_everywhere_else():
    octets = bytes(range(256))
    assert parse_command(b"AUTH X " + base64.b64encode(octets)).initial_response == octets


class Own(Command):
    __slots__ = ("number",)
    verb = "XOWN"
    syntax = "XOWN number"

    def __init__(self, number):
        self.number = number

    @classmethod
    def parse_argument(cls, text):
        return cls(int(text))


def test_words_that_are_added_are_read_too():
    codec = ParameterCodec("X-N", int)
    own = Dialect(commands={"XOWN": Own}, mail={"X-N": codec}, rcpt={"X-N": codec})
    assert parse_command(b"XOWN 5\r\n", dialect=own) == Own(5)
    with pytest.raises(ParseError, match="expected XOWN number"):
        parse_command(b"XOWN x\r\n", dialect=own)
    for line in (b"MAIL FROM:<a@b.example> X-N=5\r\n", b"RCPT TO:<a@b.example> X-N=5\r\n"):
        assert parse_command(line, dialect=own).parameters == {"X-N": 5}
        assert bytes(parse_command(line, dialect=own)) == line
