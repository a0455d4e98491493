"""The table of ESMTP parameters: each value goes to the wire and back, and whatever else comes is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.parameter_values import DeliverBy, MessageTracking, OriginalRecipient, ValidSince
from smtpkit.wire.parameters import PARAMETERS, ParameterCodec, check_parameters, emit_parameters, parse_parameters

KNOWN = {**PARAMETERS["MAIL"], **PARAMETERS["RCPT"]}
quick = settings(derandomize=True, deadline=None, max_examples=200)

# Verb, what stands on the wire, keyword, value; the wire form is the one that is emitted.
LEGAL = [
    ("MAIL", "SIZE=0", "SIZE", 0),
    ("MAIL", "SIZE=99999999999999999999", "SIZE", 10**20 - 1),
    ("MAIL", "BODY=7BIT", "BODY", "7BIT"),
    ("MAIL", "BODY=8BITMIME", "BODY", "8BITMIME"),
    ("MAIL", "BODY=BINARYMIME", "BODY", "BINARYMIME"),
    ("MAIL", "SMTPUTF8", "SMTPUTF8", True),
    ("MAIL", "RET=FULL", "RET", "FULL"),
    ("MAIL", "RET=HDRS", "RET", "HDRS"),
    ("MAIL", "ENVID=e+3Dmc2+20x", "ENVID", "e=mc2 x"),
    ("MAIL", "ENVID=" + "x" * 100, "ENVID", "x" * 100),
    ("RCPT", "NOTIFY=NEVER", "NOTIFY", ("NEVER",)),
    ("RCPT", "NOTIFY=SUCCESS,FAILURE,DELAY", "NOTIFY", ("SUCCESS", "FAILURE", "DELAY")),
    ("RCPT", "ORCPT=rfc822;a@b", "ORCPT", OriginalRecipient("rfc822", "a@b")),
    ("RCPT", "ORCPT=utf-8;\\x{E9}@b", "ORCPT", OriginalRecipient("utf-8", "é@b")),
    ("MAIL", "AUTH=<>", "AUTH", None),
    ("MAIL", "AUTH=e+3Dmc2@example.com", "AUTH", Mailbox("e=mc2", "example.com")),
    ("MAIL", "AUTH=+C3+A9@example.com", "AUTH", Mailbox("é", "example.com")),
    ("MAIL", "BY=120;RT", "BY", DeliverBy(120, "R", True)),
    ("MAIL", "BY=-5;N", "BY", DeliverBy(-5, "N")),
    ("MAIL", "HOLDFOR=999999999", "HOLDFOR", 999_999_999),
    ("MAIL", "HOLDUNTIL=2030-01-01T00:00:00Z", "HOLDUNTIL", "2030-01-01T00:00:00Z"),
    ("MAIL", "MT-PRIORITY=-9", "MT-PRIORITY", -9),
    ("MAIL", "MT-PRIORITY=0", "MT-PRIORITY", 0),
    ("MAIL", "REQUIRETLS", "REQUIRETLS", True),
    ("RCPT", "RRVS=2014-04-03T23:01:00Z", "RRVS", ValidSince("2014-04-03T23:01:00Z")),
    ("RCPT", "RRVS=2014-04-03T23:01:00Z;C", "RRVS", ValidSince("2014-04-03T23:01:00Z", "C")),
    ("MAIL", "MTRK=QUJD:60", "MTRK", MessageTracking("QUJD", 60)),
    ("MAIL", "SOLICIT=net.example:ADV,org.example:ADV:ADLT", "SOLICIT", ("net.example:ADV", "org.example:ADV:ADLT")),
    ("MAIL", "TRANSID=<12345@claremont.edu>", "TRANSID", "12345@claremont.edu"),
    ("MAIL", "CONPERM", "CONPERM", True),
    ("MAIL", "X-OTHER=a;b+c", "X-OTHER", "a;b+c"),
    ("RCPT", "CONNEG", "CONNEG", None),
    ("RCPT", "X-UTF8=é", "X-UTF8", "é"),
]
IDS = [text[:30] for _, text, _, _ in LEGAL]


def test_the_table_of_legal_values_knows_every_parameter():
    assert {keyword for _, _, keyword, _ in LEGAL} >= set(KNOWN)


@pytest.mark.parametrize(("verb", "text", "keyword", "value"), LEGAL, ids=IDS)
def test_a_value_goes_to_the_wire_and_back(verb, text, keyword, value):
    assert parse_parameters(verb, text) == {keyword: value}
    assert emit_parameters(verb, {keyword: value}) == text
    assert check_parameters(verb, {keyword: value}) == {keyword: value}


@pytest.mark.parametrize(("verb", "text", "keyword", "value"), LEGAL, ids=IDS)
def test_keywords_may_be_in_any_case(verb, text, keyword, value):
    assert parse_parameters(verb, text.replace(keyword, keyword.lower(), 1)) == {keyword: value}
    assert check_parameters(verb, {keyword.lower(): value}) == {keyword: value}


@pytest.mark.parametrize(
    ("verb", "text", "value"),
    [
        ("MAIL", "BODY=8bitMime", "8BITMIME"),
        ("MAIL", "RET=hdrs", "HDRS"),
        ("RCPT", "NOTIFY=delay,DELAY,Success", ("DELAY", "SUCCESS")),
        ("MAIL", "ENVID=+3d", "="),
        ("MAIL", "AUTH=+3C+3E", None),
        ("MAIL", "SIZE=007", 7),
    ],
)
def test_other_spellings(verb, text, value):
    assert list(parse_parameters(verb, text).values()) == [value]


def test_order_is_kept():
    text = "ZZZ RET=FULL BODY=7BIT AAA=1"
    assert list(parse_parameters("MAIL", text)) == ["ZZZ", "RET", "BODY", "AAA"]
    assert emit_parameters("MAIL", parse_parameters("MAIL", text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "=", "=a", "A=", "A==", "A=b=c", "-A", "A_B", "é=1", "A=\x7f", "A B ", " A", "A  B"),
        *("SIZE", "SIZE=", "SIZE=-1", "SIZE=1x", "SIZE=100000000000000000000", "SIZE=\u0661", "SIZE=\xb2"),
        *("BODY", "BODY=", "BODY=OTHER", "BODY=8b\u0131tmime", "SMTPUTF8=1", "SMTPUTF8=", "REQUIRETLS=yes"),
        *("RET=ALL", "RET", "ENVID", "ENVID=a+0D", "ENVID=a+0A", "ENVID=a+07", "ENVID=+C3+A9", "ENVID=a+b"),
        *("AUTH", "AUTH=", "AUTH=a", "AUTH=postmaster", "AUTH=<a@b>", "AUTH=a@b+0A", "AUTH=<hey+A>"),
        *("BY=1", "BY=1;T", "HOLDFOR=0", "HOLDFOR=01", "HOLDFOR=1234567890", "HOLDUNTIL=2024-01-01", "HOLDUNTIL"),
        *("MTRK=:", "SOLICIT=", "SOLICIT=,", "SOLICIT=1a", "SOLICIT=" + "a" * 1001, "TRANSID=a", "TRANSID=<>"),
        *("TRANSID=<a<b>", "CONPERM=1", "\u017fIZE=1", "ENVID=" + "x" * 101),
        *("SIZE=1 SIZE=1", "size=1 SIZE=2", "X X", "x=1 X=2", "HOLDFOR=1 HOLDUNTIL=2030-01-01T00:00:00Z"),
        " ".join(f"X{number}" for number in range(33)),
    ],
)
def test_what_is_refused_in_mail(text):
    with pytest.raises(ParseError) as caught:
        parse_parameters("MAIL", text)
    assert (caught.value.code, caught.value.enhanced) == (501, "5.5.4")


@pytest.mark.parametrize(
    "text",
    [
        *("NOTIFY", "NOTIFY=", "NOTIFY=NEVER,DELAY", "NOTIFY=,", "NOTIFY=OTHER", "NOTIFY=\u017fuccess"),
        *("ORCPT", "ORCPT=", "ORCPT=a@b", "ORCPT=rfc822;", "ORCPT=;a", "RRVS=", "RRVS=ABC", "RRVS=2022-01-02"),
        "RRVS=2020-03-19T11:13:00Z;x;y",
    ],
)
def test_what_is_refused_in_rcpt(text):
    with pytest.raises(ParseError) as caught:
        parse_parameters("RCPT", text)
    assert (caught.value.code, caught.value.enhanced) == (501, "5.5.4")


@pytest.mark.parametrize("value", ["", "-", "10", "-10", "+1", "-0", "01", "x"])
def test_a_bad_priority_is_501_with_the_status_of_rfc_6710(value):
    with pytest.raises(ParseError) as caught:
        parse_parameters("MAIL", f"MT-PRIORITY={value}" if value else "MT-PRIORITY")
    assert (caught.value.code, caught.value.enhanced) == (501, "5.5.2")


@pytest.mark.parametrize("keyword", sorted(KNOWN))
def test_a_parameter_of_the_other_command_is_555(keyword):
    other = "RCPT" if keyword in PARAMETERS["MAIL"] else "MAIL"
    with pytest.raises(ParseError) as caught:
        parse_parameters(other, f"{keyword}=1")
    assert (caught.value.code, caught.value.enhanced) == (555, "5.5.4")


def test_32_parameters_are_not_too_many():
    assert len(parse_parameters("MAIL", " ".join(f"X{number}" for number in range(32)))) == 32


@pytest.mark.parametrize(
    "parameters",
    [
        {"SIZE": -1},
        {"SIZE": True},
        {"SIZE": 1.5},
        {"SIZE": None},
        {"BODY": "8BITMIME SIZE=1"},
        {"BODY": "8BITMIME\r\nQUIT"},
        {"SMTPUTF8": False},
        {"SMTPUTF8": None},
        {"ENVID": ""},
        {"ENVID": "a\nb"},
        {"ENVID": 5},
        {"AUTH": Mailbox("postmaster", "")},
        {"BY": "soon"},
        {"MT-PRIORITY": 10},
        {"SOLICIT": 5},
        {"SOLICIT": ()},
        {"X": ""},
        {"X": "a b"},
        {"X": "a\r\nb"},
        {"X": "\ud800"},
        {"X Y": None},
        {"X=Y": None},
        {"X": None, "x": None},
        {"X": "1 Y", "Z": None},
        {"": None},
        {"HOLDFOR": 1, "HOLDUNTIL": "2030-01-01T00:00:00Z"},
    ],
    ids=repr,
)
def test_a_caller_cannot_give_what_may_not_be_sent(parameters):
    with pytest.raises(ParseError):
        check_parameters("MAIL", parameters)


def test_a_caller_may_give_other_spellings():
    assert check_parameters("RCPT", {"notify": ["delay"]}) == {"NOTIFY": ("DELAY",)}
    assert check_parameters("MAIL", {"Body": "8bitmime", "x": "1"}) == {"BODY": "8BITMIME", "X": "1"}
    assert check_parameters("MAIL", {}) == {}


@quick
@given(
    st.sampled_from(["MAIL", "RCPT"]),
    st.lists(
        st.sampled_from([*KNOWN, *"=;,+: <>@aN1\u017f", "rfc822;", "120", "utf-8", "\\x{", "41}", "\x00", "\ud800"]),
        max_size=8,
    ).map("".join),
)
def test_only_parse_errors_are_raised_and_what_is_read_can_be_sent(verb, text):
    try:
        values = parse_parameters(verb, text)
    except ParseError:
        return
    assert check_parameters(verb, values) == values
    assert parse_parameters(verb, emit_parameters(verb, values)) == values


# Codecs of one's own


def table(*codecs):
    return {**PARAMETERS["MAIL"], **{codec.keyword: codec.guarded() for codec in codecs}}


def test_a_codec_of_ones_own_reads_and_writes():
    codecs = table(ParameterCodec("x-n", lambda text: int(text, 16), "{:x}".format))
    assert parse_parameters("MAIL", "X-N=ff SIZE=1", codecs) == {"X-N": 255, "SIZE": 1}
    assert emit_parameters("MAIL", {"X-N": 255}, codecs) == "X-N=ff"
    assert check_parameters("MAIL", {"x-n": 255}, codecs) == {"X-N": 255}


@pytest.mark.parametrize("text", ["X-N", "X-N=g", "X-N=1=2", "X-N=\x7f"])
def test_whatever_it_raises_is_a_parse_error(text):
    def parse(value):
        if value == "g":
            raise ParseError("no g")
        return int(value, 16)

    with pytest.raises(ParseError):
        parse_parameters("MAIL", text, table(ParameterCodec("X-N", parse)))


def test_a_parameter_of_text_may_stand_alone():
    codecs = table(ParameterCodec.of_text("X-T"))
    for text, value in (("X-T=a", "a"), ("X-T", None)):
        assert parse_parameters("MAIL", text, codecs) == {"X-T": value}
        assert emit_parameters("MAIL", {"X-T": value}, codecs) == text
    with pytest.raises(ParseError):
        check_parameters("MAIL", {"X-T": ""}, codecs)


@pytest.mark.parametrize("keyword", ["", "-A", "A_B", "É", "A B", "A=B"])
def test_a_keyword_is_in_the_grammar(keyword):
    with pytest.raises(ParseError, match="bad parameter"):
        ParameterCodec(keyword, str)


@pytest.mark.parametrize("text", ["BODY=9BIT", "RET=ALL", "SIZE=x", "HOLDFOR=0", "MT-PRIORITY=10"])
def test_a_wrong_value_names_its_parameter(text):
    with pytest.raises(ParseError, match=f"bad {text.partition('=')[0]}"):
        parse_parameters("MAIL", text)


def test_size_is_alone_or_with_others():
    for parameters, text in (({"SIZE": 5}, "SIZE=5"), ({"SIZE": 5, "BODY": "8BITMIME"}, "SIZE=5 BODY=8BITMIME")):
        assert emit_parameters("MAIL", parameters) == text
        assert check_parameters("MAIL", parameters) == parameters


@pytest.mark.parametrize(("verb", "size"), [("MAIL", -1), ("MAIL", 10**20), ("MAIL", True), ("RCPT", 5)])
def test_a_size_that_may_not_be_declared(verb, size):
    with pytest.raises(ParseError):
        check_parameters(verb, {"SIZE": size})


def test_the_largest_size_has_20_digits():
    for size in (0, 10**20 - 1):
        assert parse_parameters("MAIL", emit_parameters("MAIL", {"SIZE": size})) == {"SIZE": size}


def test_either_hold_goes_with_anything_but_the_other():
    for hold in ("HOLDFOR=60", "HOLDUNTIL=2030-01-01T00:00:00Z"):
        assert len(parse_parameters("MAIL", f"{hold} SIZE=1")) == 2
