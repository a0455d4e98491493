"""Any octets as command lines: what is written is read, nothing but ParseError is raised, and the work is linear."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import (
    HISTORIC_VERBS,
    Auth,
    Bdat,
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
from smtpkit.wire.parameter_values import DeliverBy, OriginalRecipient

quick = settings(derandomize=True, deadline=None, max_examples=300)

NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,10}[A-Za-z0-9])?(\.[a-z0-9]{1,8}){0,3}", fullmatch=True)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
UTF8 = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=12)
MAILBOXES = st.builds(Mailbox, TEXT, NAMES) | st.builds(Mailbox, UTF8, NAMES | st.just("ü.example"))
XTEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
UNKNOWN = st.dictionaries(
    st.sampled_from(["X-ONE", "TWO", "3"]), st.none() | st.text("abc+/;,:<>@\"'\\", min_size=1, max_size=9), max_size=3
)
MAIL_PARAMETERS = st.fixed_dictionaries(
    {"SMTPUTF8": st.just(True)},
    optional={
        "SIZE": st.integers(0, 10**20 - 1),
        "BODY": st.sampled_from(["7BIT", "8BITMIME", "BINARYMIME"]),
        "ENVID": XTEXT,
        "AUTH": st.none() | MAILBOXES,
        "BY": st.builds(DeliverBy, st.integers(1, 99), st.sampled_from("NR"), st.booleans()),
        "MT-PRIORITY": st.integers(-9, 9),
    },
)
RCPT_PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "NOTIFY": st.sampled_from([("NEVER",), ("SUCCESS", "DELAY"), ("FAILURE",)]),
        "ORCPT": st.builds(OriginalRecipient, st.just("rfc822"), XTEXT),
    },
)
ATTRIBUTES = st.dictionaries(st.sampled_from(["NAME", "ADDR", "HELO"]), UTF8, min_size=1)
COMMANDS = st.one_of(
    st.builds(Ehlo, NAMES),
    st.builds(Helo, NAMES),
    st.builds(Lhlo, NAMES),
    st.builds(lambda path, known, other: Mail(path, known | other), st.none() | MAILBOXES, MAIL_PARAMETERS, UNKNOWN),
    st.builds(lambda path, known, other: Rcpt(path, known | other), MAILBOXES, RCPT_PARAMETERS, UNKNOWN),
    st.builds(Bdat, st.integers(0, 10**20 - 1), st.booleans()),
    st.builds(Noop, TEXT),
    st.builds(Help, TEXT),
    st.builds(Vrfy, UTF8, st.just(True)) | st.builds(Vrfy, TEXT),
    st.builds(Expn, UTF8, st.just(True)) | st.builds(Expn, TEXT),
    st.builds(Auth, st.from_regex(r"[A-Z0-9_-]{1,20}", fullmatch=True), st.none() | st.binary(max_size=40)),
    st.builds(Etrn, TEXT),
    st.builds(XClient, ATTRIBUTES),
    st.builds(XForward, ATTRIBUTES),
    st.builds(
        UnknownCommand, st.sampled_from(["XYZ", *sorted(HISTORIC_VERBS)]), TEXT.map(lambda text: text.rstrip(" "))
    ),
    st.sampled_from([Data(), Rset(), Quit(), StartTLS()]),
)


@quick
@given(COMMANDS, st.booleans())
def test_what_is_written_is_read_as_the_same_command(command, strict):
    line = bytes(command)
    assert not set(b"\r\n\0") & set(line.removesuffix(b"\r\n"))
    assert line.endswith(b"\r\n")
    assert parse_command(line, smtputf8=True, strict=strict) == command
    assert parse_command(line[:-2], smtputf8=True, strict=strict) == command


PIECES = [
    *(b"MAIL", b"RCPT", b" FROM:", b" TO:", b"<", b">", b"a", b"b.c", b"@", b".", b'"', b"\\", b"[", b"]", b"IPv6:"),
    *(b"::1", b"192.0.2.1", b" ", b"  ", b"\t", b"\r\n", b"\r", b"\n", b"\0", b"\xff", "é".encode(), b"_", b"-", b","),
    *(
        b" SIZE=1",
        b" BODY=7BIT",
        b" SMTPUTF8",
        b" NOTIFY=",
        b" ORCPT=rfc822;",
        b" AUTH=",
        b"=",
        b"+",
        b"+20",
        b":",
        b";",
    ),
    *(
        b"EHLO ",
        b"helo ",
        b"AUTH ",
        b"PLAIN",
        b" AGEA",
        b"BDAT ",
        b"12",
        b" LAST",
        b"VRFY ",
        b"NOOP ",
        b"XCLIENT ",
        b"DATA",
    ),
    *(b"NAME=", b"ETRN ", b"x-1", b"MAIL FROM:<a@b>", b"RCPT TO:<a@b>", b"postmaster", b"\xc5\xbf"),
]
ANY_LINE = st.binary(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join)


@quick
@given(ANY_LINE, st.booleans())
def test_only_parse_errors_are_raised_and_what_is_read_can_be_written(line, smtputf8):
    try:
        command = parse_command(line, smtputf8=smtputf8)
    except ParseError as error:
        assert error.code in (500, 501, 550, 553, 555)  # noqa: PT017 (there may be no error)
        return
    written = bytes(command)
    assert not set(b"\r\n\0") & set(written[:-2])
    assert parse_command(written, smtputf8=smtputf8) == command


@quick
@given(ANY_LINE)
def test_tolerance_adds_and_never_changes(line):
    try:
        command = parse_command(line)
    except ParseError:
        try:
            command = parse_command(line, strict=False)
        except ParseError:
            return
        assert not set(b"\r\n\0") & set(bytes(command)[:-2])
    else:
        assert parse_command(line, strict=False) == command


@quick
@given(ANY_LINE)
def test_the_common_path_agrees_with_the_complete_parser(line):
    """The two are told apart by the spelling of the verb, which the common path knows in three forms only."""
    for verb, odd in ((b"MAIL", b"mAIL"), (b"RCPT", b"rCPT")):
        rest = line.removeprefix(b"MAIL").removeprefix(b"RCPT")
        results = []
        for spelled in (verb + rest, odd + rest):
            try:
                results.append(parse_command(spelled))
            except ParseError as error:
                results.append((error.what, error.code, error.enhanced))
        assert results[0] == results[1]


LONG = 300_000


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("start", "repeated", "end"),
    [
        (b"MAIL FROM:<", b"a", b"@b"),
        (b"MAIL FROM:<", b"a.", b"@b>"),
        (b"MAIL FROM:<a@", b"b.", b">"),
        (b"MAIL FROM:<a@", b"b-", b">"),
        (b"MAIL FROM:<a@", "é.".encode(), b"> SMTPUTF8"),
        (b'MAIL FROM:<"', b"\\a", b"@b>"),
        (b'MAIL FROM:<"', b'\\"', b"@b>"),
        (b"MAIL FROM:<", b'"', b"@b>"),
        (b"MAIL FROM:<", b"@a,", b":b@c>"),
        (b"MAIL FROM:<", b"@a", b":b@c>"),
        (b"MAIL FROM:<a@[IPv6:", b"1:", b"]>"),
        (b"MAIL FROM:<a@[", b"1.", b"]>"),
        (b"MAIL FROM:<a@b>", b" ", b"x"),
        (b"MAIL FROM:<a@b>", b" X", b"="),
        (b"MAIL FROM:<a@b> SIZE=", b"1", b""),
        (b"MAIL FROM:<a@b> ENVID=", b"+2b", b"+"),
        (b"MAIL FROM:<a@b> SOLICIT=", b"a,", b""),
        (b"RCPT TO:<a@b> ORCPT=utf-8;", b"\\x{2b}", b"\\x"),
        (b"RCPT TO:<a@b> NOTIFY=", b"DELAY,", b""),
        (b"RCPT TO:", b"a ", b""),
        (b"EHLO ", b"a.", b""),
        (b"EHLO a", b" a", b"\xff"),
        (b"BDAT ", b"1", b" LAST"),
        (b"NOOP ", b"a ", b""),
        (b'VRFY "', b"\\a", b""),
        (b"VRFY ", b'"a" ', b'"'),
        (b"VRFY ", b"a", b" SMTPUTF9"),
        (b"AUTH PLAIN ", b"A", b"="),
        (b"XCLIENT", b" A=+20", b"+"),
        (b"XYZ ", b" ", b"\xff"),
        (b"", b"X", b"_"),
        (b"", b" ", b"x"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_hostile_line_costs_no_more_than_its_length(start, repeated, end, strict):
    """At this length a quadratic search takes an hour: the test is that it ends."""
    line = start + repeated * (LONG // len(repeated)) + end
    try:
        parse_command(line, smtputf8=True, strict=strict)
    except ParseError as error:
        assert len(str(error)) < 1000  # noqa: PT017
