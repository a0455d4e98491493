"""The lines of a transcript: each has one text form, and comes back from it as it was."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.protocol.transcript_entries import Comment, ContentSize, Line, TLSStarted, parse_entry

octets = st.binary(max_size=30) | st.text(max_size=20).map(lambda text: text.encode(errors="replace"))
octets |= st.lists(
    st.sampled_from(
        [b"<hidden>", b" ", b"\\", b"<", b"12 octets of content>", b"\r", b"\n", b"x41", "\u200bé".encode()]
    ),
    max_size=5,
).map(b"".join)
one_line = octets.filter(lambda line: b"\r\n" not in line)
lines = st.one_of(
    st.builds(Line, st.sampled_from("CS"), one_line, hidden=st.booleans()),
    st.builds(Line, st.sampled_from("CS"), one_line, ended=st.booleans()),
)
entries = st.one_of(
    lines,
    st.builds(ContentSize, st.integers(1, 10**15)),
    st.sampled_from(["TLSv1.2", "TLSv1.3", "a b"]).map(TLSStarted),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])).map(lambda text: Comment(f"#{text}")),
    st.just(Comment("")),
)


@settings(derandomize=True, max_examples=500, deadline=None)
@given(entries)
def test_each_entry_comes_back_from_its_text(entry):
    text = str(entry)
    assert parse_entry(text) == entry
    assert isinstance(entry, Comment) or text.isprintable()


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.text(max_size=20) | st.tuples(st.sampled_from(["C: ", "S: ", "-- ", "#"]), st.text(max_size=20)).map("".join))
def test_any_other_text_is_refused_or_says_the_same_when_written(text):
    try:
        entry = parse_entry(text)
    except ParseError:
        return
    assert parse_entry(str(entry)) == entry


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (Line("C", b"MAIL FROM:<a@b.example>"), "C: MAIL FROM:<a@b.example>"),
        (Line("S", b"250 "), "S: 250 "),
        (Line("C", b""), "C: "),
        (Line("C", "Grüße".encode()), "C: Grüße"),
        (Line("C", b"\x1b[2J\xff\t"), "C: \\x1b[2J\\xff\\x09"),
        (Line("C", "a\u200b".encode()), "C: a\\xe2\\x80\\x8b"),
        (Line("C", b"C:\\DIR"), "C: C:\\\\DIR"),
        (Line("C", b"12345", ended=False), "C: 12345\\"),
        (Line("C", b"", hidden=True), "C: <hidden>"),
        (Line("C", b"AUTH PLAIN", hidden=True), "C: AUTH PLAIN <hidden>"),
        (Line("C", b"NOOP <hidden>"), "C: NOOP \\x3chidden>"),
        (Line("C", b"<5 octets of content>"), "C: \\x3c5 octets of content>"),
        (Line("C", b"<05 octets of content>"), "C: <05 octets of content>"),
        (ContentSize(5), "C: <5 octets of content>"),
        (TLSStarted("TLSv1.3"), "-- TLSv1.3"),
        (Comment("# RFC 5321"), "# RFC 5321"),
    ],
)
def test_the_text_form(entry, text):
    assert str(entry) == text
    assert parse_entry(text) == entry
    assert hash(parse_entry(text)) == hash(entry)


def test_an_editor_may_have_removed_the_space_at_the_end():
    assert parse_entry("C:") == Line("C", b"")


def test_who_has_said_it():
    assert [entry.speaker for entry in (Line("S", b""), ContentSize(1), TLSStarted("x"), Comment(""))] == [
        *"SC",
        None,
        None,
    ]


def test_repr_is_the_text():
    assert repr(Line("C", b"NOOP")) == "<C: NOOP>"


@pytest.mark.parametrize(
    "text",
    ["EHLO x", "C:EHLO", "c: x", "--TLSv1.3", "-- ", "--  x", " # x", "C: a\\b", "C: \\x4", "C: \\xFF", "C: \\"],
)
def test_what_is_no_line_of_a_transcript_is_refused(text):
    if text == "C: \\":
        assert parse_entry(text) == Line("C", b"", ended=False)
        return
    with pytest.raises(ParseError):
        parse_entry(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Line("X", b""),
        lambda: Line("C", b"a\r\nb"),
        lambda: Line("C", b"", hidden=True, ended=False),
        lambda: ContentSize(0),
        lambda: TLSStarted(""),
        lambda: TLSStarted("a\nb"),
        lambda: TLSStarted(" a"),
        lambda: Comment("a"),
        lambda: Comment("#\n"),
        lambda: Comment("#\r"),
    ],
)
def test_an_entry_that_has_no_text_form_cannot_be_made(make):
    with pytest.raises(ParseError):
        make()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("C: <12 octets of content>", ContentSize),
        ("C: <12 octets of CONTENT>", Line),
        ("C: [12 octets of content>", Line),
    ],
)
def test_only_the_very_words_are_the_size_of_content(text, kind):
    entry = parse_entry(text)
    assert (type(entry), str(entry)) == (kind, text)
