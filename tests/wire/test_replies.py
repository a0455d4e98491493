"""Replies: what is sent can be read back, what is read is accounted for, and nothing else is a reply."""

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire.replies import Reply, ReplyAssembler, known_replies, parse_reply
from smtpkit.wire.status import EnhancedStatus

VECTORS = json.loads(Path(__file__).parent.parent.joinpath("vectors", "replies.json").read_text())["vectors"]
ANY_TEXT = st.text(st.characters(exclude_characters="\r\n\0") | st.sampled_from("  \t\udcff"), max_size=2000)
LINES = st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.just("\t"), max_size=80)


@st.composite
def replies(draw, lines=LINES):
    code = draw(st.integers(200, 559).filter(lambda code: code // 10 % 10 < 6))
    status = None
    if code // 100 != 3:
        status = draw(
            st.none() | st.builds(EnhancedStatus, st.just(code // 100), st.integers(0, 999), st.integers(0, 99))
        )
    return Reply(code, draw(st.lists(lines, min_size=1, max_size=5)), status)


def add_all(octets, assembler=None, **options):
    assembler = assembler or ReplyAssembler()
    return [reply for line in octets.split(b"\r\n")[:-1] if (reply := assembler.add(line, **options)) is not None]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_vector(vector):
    octets = vector["input"].encode("latin-1")
    rest = vector.get("remaining", "").encode("latin-1")
    whole = octets.removesuffix(rest) if rest else octets
    if vector["rfc"] != "valid":
        with pytest.raises(ParseError):
            parse_reply(whole)
        return
    reply = parse_reply(whole)
    assert reply.code == vector["code"]
    assert list(reply.lines) == vector["lines"]
    assert reply.enhanced == (EnhancedStatus.parse(vector["enhanced"]) if "enhanced" in vector else None)
    if rest:
        with pytest.raises(ParseError):
            parse_reply(octets + b"\r\n")


# What is sent


@settings(derandomize=True, deadline=None)
@given(replies())
def test_what_is_sent_is_read_back(reply):
    assert parse_reply(bytes(reply)) == reply
    assert add_all(bytes(reply)) == [reply]


@settings(derandomize=True, deadline=None)
@given(replies(ANY_TEXT))
def test_what_is_sent_fits_the_grammar(reply):
    octets = bytes(reply)
    assert octets.endswith(b"\r\n")
    for line in octets.removesuffix(b"\r\n").split(b"\r\n"):
        assert len(line) + 2 <= 512
        assert not set(line) - {9, *range(32, 127)}
    read = parse_reply(octets)
    assert (read.code, read.enhanced) == (reply.code, reply.enhanced)


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (Reply(250, "Ok", "2.1.5"), b"250 2.1.5 Ok\r\n"),
        (Reply(250, ["a", "b"], "2.0.0"), b"250-2.0.0 a\r\n250 2.0.0 b\r\n"),
        (Reply(250, ["a", "b"]), b"250-a\r\n250 b\r\n"),
        (Reply(250, "", "2.0.0"), b"250 2.0.0\r\n"),
        (Reply(250), b"250 \r\n"),
        (Reply(250, ["", ""]), b"250-\r\n250 \r\n"),
        (Reply(571, "refused"), b"571 refused\r\n"),
        (Reply(550, "Grüße \x07\x7f\t😀\x85"), b"550 Gr??e ??\t??\r\n"),
    ],
)
def test_a_status_stands_on_every_line_and_text_is_ascii(reply, octets):
    assert bytes(reply) == octets
    assert bytes(reply) is bytes(reply)


def test_text_is_utf8_where_that_is_asked_for():
    """RFC 6531 section 3.7.4: in some replies."""
    reply = Reply(250, ["Jürgen <jürgen@例子.example>", "a\tb\x07\x85\udcff"], "2.1.5")
    octets = "250-2.1.5 Jürgen <jürgen@例子.example>\r\n250 2.1.5 a\tb???\r\n".encode()
    assert bytes(reply.in_utf8()) == octets
    assert reply.in_utf8() == reply
    assert bytes(reply).isascii()


@pytest.mark.parametrize("text", ["ü" * 400, "x" + "例" * 400, "😀 " * 300, "x" + "ü" * 253])
def test_a_long_line_of_utf8_is_split_between_characters(text):
    lines = bytes(Reply(250, text).in_utf8()).decode().removesuffix("\r\n").split("\r\n")
    assert len(lines) > 1
    assert all(len(line.encode()) <= 510 for line in lines)
    assert "".join(line[4:] for line in lines).replace(" ", "") == text.replace(" ", "")


def test_what_is_too_long_in_utf8_stays_ascii():
    reply = Reply(250, "例" * 40_000)
    assert bytes(reply.in_utf8()) == bytes(reply)
    assert bytes(reply).isascii()


def test_a_long_line_is_split_at_a_space():
    words = ["word" * 20] * 30
    reply = Reply(550, " ".join(words), "5.7.1")
    lines = bytes(reply).decode().removesuffix("\r\n").split("\r\n")
    assert all(len(line) <= 510 and line[4:].startswith("5.7.1 word") for line in lines)
    assert " ".join(parse_reply(bytes(reply)).lines) == reply.text


def test_a_line_without_spaces_is_split_anywhere():
    reply = Reply(550, "x" * 2000)
    assert "".join(parse_reply(bytes(reply)).lines) == reply.text
    assert bytes(Reply(250, "x" * 506)) == b"250 " + b"x" * 506 + b"\r\n"
    assert bytes(Reply(250, "x" * 507)).count(b"\r\n") == 2


def test_a_space_at_the_edge_is_where_a_line_is_split():
    reply = Reply(250, "x" * 506 + " y")
    assert parse_reply(bytes(reply)).lines == ("x" * 506, "y")


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\0b", ["a", "b\r\n250 c"]])
def test_cr_lf_and_nul_never_enter(text):
    with pytest.raises(ParseError, match="CR, LF or NUL"):
        Reply(250, text)


@pytest.mark.parametrize("code", [0, 99, 199, 600, 2500, -250])
def test_a_code_out_of_range_is_refused(code):
    with pytest.raises(ParseError, match="not a reply code"):
        Reply(code)


@pytest.mark.parametrize(
    ("code", "status"), [(250, "5.0.0"), (354, "2.0.0"), (550, "4.1.1"), (550, "5.1"), (550, "3.0.0")]
)
def test_a_status_of_another_class_is_refused(code, status):
    with pytest.raises(ParseError):
        Reply(code, "x", status)
    if status.count(".") == 2 and status[0] != "3":
        with pytest.raises(ParseError):
            Reply(code, "x", EnhancedStatus.parse(status))


# What it says


@pytest.mark.parametrize(
    ("code", "classes"),
    [
        *[(code, "is_positive") for code in (200, 250, 299)],
        *[(code, "is_intermediate") for code in (300, 354, 399)],
        *[(code, "is_transient") for code in (400, 451, 499)],
        *[(code, "is_permanent") for code in (500, 550, 599)],
    ],
)
def test_the_first_digit_decides(code, classes):
    names = ("is_positive", "is_intermediate", "is_transient", "is_permanent")
    assert [name for name in names if getattr(Reply(code), name)] == [classes]


def test_a_status_at_the_head_of_the_text_is_the_status():
    assert Reply(250, "2.1.0 Ok") == Reply(250, "Ok", "2.1.0")
    assert Reply(550, ["5.1.1 No", "5.1.1 such", "5.1.2 user"]) == Reply(550, ["No", "such", "5.1.2 user"], "5.1.1")
    assert Reply(250, "2.1 km away").lines == ("2.1 km away",)
    assert Reply(250, "4.0.0 of another class").enhanced is None
    assert Reply(354, "2.0.0").lines == ("2.0.0",)


@pytest.mark.parametrize("text", [["x"] * 513, "x" * (48 * 1024 + 1), ["x" * 300] * 400])
def test_no_reply_is_longer_than_whoever_reads_it_takes(text):
    with pytest.raises(ParseError, match="too much text"):
        Reply(250, text)


@pytest.mark.parametrize("text", [["x"] * 510, "x" * 48 * 1024, ["x" * 96] * 330, ["x " + "y" * 497] * 90])
def test_the_longest_reply_can_be_read(text):
    read = parse_reply(bytes(Reply(250, text, "2.999.999")))
    assert "".join(read.text.split()) == "".join("".join(text).split())


def test_what_acts_on_a_terminal_is_not_in_the_readable_line():
    reply = parse_reply(b"550 \x1b[2J\xc2\x9b\xff gone\tnow\r\n")
    assert str(reply) == r"550 \x1b[2J\x9b\udcff gone\tnow"


def test_texts_and_comparisons():
    reply = Reply(550, ["No such user", "", "here"], "5.1.1")
    assert str(reply) == "550 5.1.1 No such user here"
    assert reply.text == "No such user\n\nhere"
    assert repr(reply) == "Reply(550, ('No such user', '', 'here'), '5.1.1')"
    assert repr(Reply(250, "Ok")) == "Reply(250, 'Ok')"
    assert str(Reply(250)) == "250"
    assert Reply(250).lines == Reply(250, "").lines == Reply(250, []).lines == ("",)
    assert reply == Reply(550, ("No such user", "", "here"), EnhancedStatus(5, 1, 1))
    assert hash(reply) == hash(Reply(550, ("No such user", "", "here"), "5.1.1"))
    assert reply != Reply(550, "No such user", "5.1.1")
    bytes(reply)
    assert pickle.loads(pickle.dumps(reply)) == reply
    match reply:
        case Reply(550, lines, status):
            assert (len(lines), str(status)) == (3, "5.1.1")


# What is read


@settings(derandomize=True, deadline=None)
@given(
    st.lists(
        st.binary(max_size=12)
        | st.text(st.sampled_from("2509 -.\r\n\0é1"), max_size=14).map(str.encode)
        | st.sampled_from([b"250-", b"250 2.0.0", b"550-5.1.1 x", b"250", b"550 5.1.1 y"]),
        max_size=6,
    ),
    st.booleans(),
    st.booleans(),
)
def test_lines_give_replies_or_a_parse_error(lines, strict, enhanced):
    assembler = ReplyAssembler(strict=strict)
    given_lines = 0
    for line in lines:
        try:
            reply = assembler.add(line, enhanced=enhanced)
        except ParseError:
            return
        given_lines += 1
        assert assembler.incomplete == (reply is None)
        assert assembler.code == (line[:3] if reply is None else b"")
        if reply is not None:
            assert len(reply.lines) == given_lines
            if enhanced:
                assert Reply(reply.code, reply.lines, reply.enhanced) == reply
            given_lines = 0
            bytes(reply)


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=40) | st.text(st.sampled_from("2509 -.\r\n\0é1"), max_size=30).map(str.encode))
def test_octets_are_one_reply_or_a_parse_error(octets):
    try:
        reply = parse_reply(octets)
    except ParseError:
        return
    assert len(reply.lines) == octets.count(b"\r\n")
    assert octets.endswith(b"\r\n")


@settings(derandomize=True, deadline=None)
@given(st.lists(st.binary(max_size=20).map(lambda text: text.translate(None, b"\r\n\0")), min_size=1, max_size=4))
def test_text_is_decoded_without_loss(texts):
    octets = b"\r\n".join([b"250-" + text for text in texts] + [b"250 end", b""])
    (reply,) = add_all(octets, enhanced=False)
    assert [line.encode("utf-8", "surrogateescape") for line in reply.lines] == [*texts, b"end"]


@settings(derandomize=True, deadline=None)
@given(st.lists(replies(), max_size=4))
def test_replies_in_a_row_are_told_apart(row):
    assert add_all(b"".join(map(bytes, row))) == row


@pytest.mark.parametrize(
    ("line", "code", "status", "text"),
    [
        (b"250 2.1.5 Ok", 250, "2.1.5", "Ok"),
        (b"250 2.1.5", 250, "2.1.5", ""),
        (b"250 2.1.5 ", 250, "2.1.5", ""),
        (b"250 2.1.5  Ok", 250, "2.1.5", " Ok"),
        (b"250 2.1.5, Ok", 250, None, "2.1.5, Ok"),
        (b"250 2.1 km away", 250, None, "2.1 km away"),
        (b"250 5.1.1 Ok", 250, None, "5.1.1 Ok"),
        (b"354 2.0.0 go", 354, None, "2.0.0 go"),
        (b"334 3.0.0 go", 334, None, "3.0.0 go"),
        (b"250", 250, None, ""),
        (b"250 ", 250, None, ""),
        (b"571 5.7.1 no", 571, "5.7.1", "no"),
        (b"299 odd", 299, None, "odd"),
        (b"250 a\tb\x07", 250, None, "a\tb\x07"),
        ("250 Grüße".encode(), 250, None, "Grüße"),
        (b"250 \xff", 250, None, "\udcff"),
    ],
)
def test_one_line(line, code, status, text):
    reply = ReplyAssembler().add(line)
    assert (reply.code, reply.lines) == (code, (text,))
    assert reply.enhanced == (None if status is None else EnhancedStatus.parse(status))


def test_a_greeting_has_no_status():
    greeting = ReplyAssembler().add(b"220 2.0.0 x", enhanced=False)
    assert (greeting.enhanced, greeting.text) == (None, "2.0.0 x")
    assembler = ReplyAssembler()
    assert assembler.add(b"250-2.0.0 x", enhanced=False) is None
    assert assembler.add(b"250 2.0.0 y", enhanced=True).enhanced is None


@pytest.mark.parametrize(
    ("lines", "status", "text"),
    [
        ([b"250-2.0.0 a", b"250 2.0.0 b"], "2.0.0", ("a", "b")),
        ([b"250-2.0.0 a", b"250 b"], "2.0.0", ("a", "b")),
        ([b"250-2.0.0 a", b"250 2.1.0 b"], "2.0.0", ("a", "2.1.0 b")),
        ([b"250-a", b"250 2.0.0 b"], None, ("a", "2.0.0 b")),
        ([b"250-5.0.0 a", b"250 5.0.0 b"], None, ("5.0.0 a", "5.0.0 b")),
        ([b"250-", b"250"], None, ("", "")),
    ],
)
def test_many_lines(lines, status, text):
    assembler = ReplyAssembler()
    *_, reply = [assembler.add(line) for line in lines]
    assert reply.lines == text
    assert reply.enhanced == (None if status is None else EnhancedStatus.parse(status))


NO_CODE = [
    b"",
    b"2",
    b"25",
    b"25 x",
    b"hello",
    b"199 x",
    b"600 x",
    b"2500 x",
    b" 250 x",
    b"+50 x",
    b"2 0 x",
    b"\xb250 x",
]
NO_SEPARATOR = [b"250_x", b"250\tx", b"250=x", b"250\r"]
NO_TEXT = [b"250 a\rb", b"250 a\nb", b"250 a\0", b"250 a\r", b"250-\xe9\n"]


@pytest.mark.parametrize("line", NO_CODE + NO_SEPARATOR + NO_TEXT)
def test_what_is_no_reply_line_is_refused(line):
    with pytest.raises(ParseError):
        ReplyAssembler().add(line)


@pytest.mark.parametrize("line", [b"550 x", b"251 x", b"250_x", b"x", b"", b"250 \0"])
def test_every_line_of_a_reply_has_the_same_code(line):
    assembler = ReplyAssembler()
    assert assembler.add(b"250-a") is None
    with pytest.raises(ParseError):
        assembler.add(line)


UNFINISHED = [b"", b"\r\n", b"250 x", b"250 x\n", b"250 x\r", b"250-x\r\n", b"250 x\r\r\n"]
MORE_THAN_ONE = [b"250 x\r\n250 y\r\n", b"250 x\r\n\r\n"]
BEYOND_THE_GRAMMAR = [b"260 x\r\n", b"571 x\r\n", b"250-a\r\n260 b\r\n"]


@pytest.mark.parametrize("octets", UNFINISHED + MORE_THAN_ONE + BEYOND_THE_GRAMMAR)
def test_parse_reply_takes_exactly_one_reply_of_the_grammar(octets):
    with pytest.raises(ParseError):
        parse_reply(octets)


def test_a_reply_has_at_most_512_lines():
    octets = b"250-x\r\n" * 511 + b"250 x\r\n"
    assert len(parse_reply(octets).lines) == 512
    with pytest.raises(ParseError, match="without end"):
        parse_reply(b"250-x\r\n" + octets)
    with pytest.raises(ParseError):
        parse_reply(b"250-x\r\n" * 100_000 + octets)


def test_a_reply_has_at_most_64_kib():
    octets = b"250-" + b"x" * 32762 + b"\r\n" + b"250 " + b"x" * 32762 + b"\r\n"
    assert len(octets) == 64 * 1024
    assert parse_reply(octets).code == 250
    with pytest.raises(ParseError, match="without end"):
        parse_reply(b"250-x\r\n" + octets)
    with pytest.raises(ParseError, match="without end"):
        parse_reply(b"250 " + b"x" * 65531 + b"\r\n")
    assert parse_reply(b"250 2.0.0 " + b"x" * 600 + b"\r\n").enhanced == EnhancedStatus(2, 0, 0)


def test_the_same_line_gives_the_same_reply():
    lines = [b"250 2.1.5 same line", *(b"250 2.0.0 queued as %d" % number for number in range(300))]
    replies = [ReplyAssembler().add(line) for line in lines]
    assert ReplyAssembler().add(lines[-1]) is replies[-1]
    assert [ReplyAssembler(strict=True).add(line) for line in lines] == replies


def test_a_line_that_is_known_still_depends_on_what_is_around_it():
    known = b"250 2.1.5 known"
    assert ReplyAssembler().add(known).text == "known"
    assert ReplyAssembler().add(known, enhanced=False).text == "2.1.5 known"
    assembler = ReplyAssembler()
    assert assembler.add(b"250-2.1.5 first") is None
    assert assembler.add(known).lines == ("first", "known")
    assert ReplyAssembler().add(b"290 known").code == 290
    with pytest.raises(ParseError):
        ReplyAssembler(strict=True).add(b"290 known")


def test_lines_that_each_have_been_a_reply_are_known():
    assembler = ReplyAssembler()
    lines = [b"250 2.1.0 known, this one", b"354 known, that one"]
    assert known_replies([*lines, b"250 never said before or after"]) is None
    replies = [assembler.add(line) for line in lines]
    assert known_replies(lines) == replies
    assert known_replies([*lines, b"250 never said before or after"]) is None
    assert known_replies([]) == []


def test_a_line_of_512_octets_is_one_line():
    assert len(bytes(Reply(250, "x" * 506))) == 512
    assert bytes(Reply(250, "x" * 506)).count(b"\r\n") == 1
    assert bytes(Reply(250, "x" * 507)).count(b"\r\n") == 2


def test_of_the_spaces_that_fit_the_last_ends_a_line():
    *full, _ = bytes(Reply(250, " ".join(["word"] * 300))).splitlines(keepends=True)
    assert all(len(line) > 512 - len("word ") for line in full)
