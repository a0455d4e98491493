"""The values of ORCPT, BY, RRVS, MTRK and SOLICIT: what is written is read, what is not in the grammar refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire.parameter_values import (
    MOST_SOLICITATION,
    DeliverBy,
    MessageTracking,
    OriginalRecipient,
    ValidSince,
    solicitation_keywords,
)

quick = settings(derandomize=True, deadline=None, max_examples=100)

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)
UNICODE = st.text(
    st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), min_size=1, max_size=30
)
VALUES = st.one_of(
    st.builds(OriginalRecipient, st.sampled_from(["rfc822", "x400", "X-Other"]), PRINTABLE),
    st.builds(OriginalRecipient, st.just("utf-8"), UNICODE),
    st.builds(DeliverBy, st.integers(-999_999_999, 999_999_999), st.just("N"), st.booleans()),
    st.builds(DeliverBy, st.integers(1, 999_999_999), st.just("R"), st.booleans()),
    st.builds(ValidSince, st.just("2024-01-31T10:00:00+01:00"), st.sampled_from("RC")),
    st.builds(MessageTracking, st.text("aZ0+/", min_size=1), st.none() | st.integers(0, 999_999_999)),
)


@quick
@given(VALUES)
def test_what_is_written_is_read_as_the_same_value(value):
    text = str(value)
    assert text.isascii()
    assert not set(" =\r\n") & set(text)
    assert type(value).parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (OriginalRecipient, "RFC822;Bob+40Example.COM", OriginalRecipient("rfc822", "Bob@Example.COM")),
        (OriginalRecipient, "Utf-8;\\x{E9}@host", OriginalRecipient("utf-8", "é@host")),
        (OriginalRecipient, "utf-8;é@host", OriginalRecipient("utf-8", "é@host")),
        (OriginalRecipient, "X400;a;b", OriginalRecipient("X400", "a;b")),
        (DeliverBy, "120;rt", DeliverBy(120, "R", True)),
        (DeliverBy, "+5;N", DeliverBy(5, "N")),
        (DeliverBy, "-0;n", DeliverBy(0, "N")),
        (ValidSince, "2024-01-31T10:00:00Z;c", ValidSince("2024-01-31T10:00:00Z", "C")),
        (ValidSince, "2024-01-31T10:00:00Z;R", ValidSince("2024-01-31T10:00:00Z")),
        (MessageTracking, "abc:007", MessageTracking("abc", 7)),
    ],
)
def test_other_spellings(kind, text, value):
    assert kind.parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (OriginalRecipient, "rfc822"),
        (OriginalRecipient, "rfc822;"),
        (OriginalRecipient, ";a"),
        (OriginalRecipient, "rfc(822;a"),
        (OriginalRecipient, "rfc822;é"),
        (OriginalRecipient, "rfc822;+C3+A9"),
        (OriginalRecipient, "rfc822;a+09"),
        (OriginalRecipient, "utf-8;a+40b"),
        (OriginalRecipient, "utf-8;\\x{0A}"),
        (OriginalRecipient, "rfc822;" + "a" * 501),
        (DeliverBy, "120"),
        (DeliverBy, "120;T"),
        (DeliverBy, "120;NX"),
        (DeliverBy, "1234567890;N"),
        (DeliverBy, "0;R"),
        (DeliverBy, "-1;R"),
        (ValidSince, "2024-01-31"),
        (ValidSince, "2024-01-31T10:00:00Z;"),
        (ValidSince, "2024-01-31T10:00:00Z;X"),
        (ValidSince, "2024-01-31T10:00:00.5Z"),
        (MessageTracking, ""),
        (MessageTracking, "a-b"),
        (MessageTracking, "abc:"),
        (MessageTracking, "abc:1234567890"),
        (MessageTracking, ":1"),
    ],
)
def test_what_is_not_in_the_grammar(kind, text):
    with pytest.raises(ParseError) as caught:
        kind.parse(text)
    assert (caught.value.code, caught.value.enhanced) == (501, "5.5.4")


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (OriginalRecipient, ("rfc=822", "a")),
        (OriginalRecipient, ("rfc822", "a\r\nb")),
        (OriginalRecipient, ("utf-8", "\ud800")),
        (DeliverBy, (1, "X")),
        (DeliverBy, (10**9, "N")),
        (DeliverBy, (-(10**9), "N")),
        (MessageTracking, ("abc", -1)),
        (MessageTracking, ("abc", 10**9)),
    ],
)
def test_a_value_that_could_not_be_sent_is_not_made(kind, arguments):
    with pytest.raises(ParseError):
        kind(*arguments)


def test_solicitation_keywords_are_words_between_commas():
    assert solicitation_keywords("net.example:ADV,a_b-c") == ("net.example:ADV", "a_b-c")
    longest = "x" * MOST_SOLICITATION
    assert solicitation_keywords(longest) == (longest,)
    for wrong in ("", "1", "a,,b", "a,", longest + "x"):
        with pytest.raises(ParseError, match="bad SOLICIT"):
            solicitation_keywords(wrong)
    with pytest.raises(ParseError, match="bad NO-SOLICITING"):
        solicitation_keywords("1", "NO-SOLICITING")


def test_an_original_recipient_has_500_characters_at_most():
    assert OriginalRecipient("rfc822", "a" * 500).address == "a" * 500
    for address in ("", "a" * 501):
        with pytest.raises(ParseError):
            OriginalRecipient("rfc822", address)


@pytest.mark.parametrize("kind", [(DeliverBy, "{};N"), (MessageTracking, "QQ:{}")], ids=["BY", "MTRK"])
def test_seconds_have_nine_digits_at_most(kind):
    type_, text = kind
    assert str(type_.parse(text.format("9" * 9))) == text.format("9" * 9)
    with pytest.raises(ParseError):
        type_.parse(text.format("9" * 10))


@pytest.mark.parametrize(("action", "written"), [("R", ""), ("C", ";C")])
def test_the_action_of_rrvs_is_written_where_it_is_not_the_usual_one(action, written):
    assert str(ValidSince("2030-01-01T00:00:00Z", action)) == f"2030-01-01T00:00:00Z{written}"


def test_a_type_of_address_that_is_not_known_keeps_its_case():
    assert OriginalRecipient("X-Other", "a").address_type == "X-Other"
    assert OriginalRecipient("RFC822", "a").address_type == "rfc822"


def test_a_solicitation_keyword_may_be_one_letter():
    assert solicitation_keywords("a,b", "SOLICIT") == ("a", "b")
