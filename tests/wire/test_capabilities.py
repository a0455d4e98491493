"""EHLO replies: what a server offers is read back from what it says, and nothing it says is fatal."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire.capabilities import Capabilities, ehlo_reply
from smtpkit.wire.replies import Reply, ReplyAssembler, parse_reply

VECTORS = json.loads(Path(__file__).parent.parent.joinpath("vectors", "ehlo.json").read_text())["vectors"]
WHOLE = [vector for vector in VECTORS if "input" in vector]
LIMITS = [vector for vector in VECTORS if "params" in vector]
KEYWORD_LINES = [vector for vector in VECTORS if "keyword_line" in vector]
by_id = {"ids": lambda vector: vector["id"]}

VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
KEYWORDS = st.from_regex(r"[A-Z0-9][A-Z0-9-]{0,15}", fullmatch=True)
OFFERS = st.dictionaries(KEYWORDS.filter(lambda word: word != "AUTH"), st.lists(VISIBLE, max_size=5), max_size=8)


def offer(*lines):
    return Capabilities.parse(Reply(250, ["mx.example", *lines]))


@pytest.mark.parametrize("vector", WHOLE, **by_id)
def test_vector_of_a_whole_reply(vector):
    reply = parse_reply(vector["input"].encode("latin-1"))
    assert len(reply.lines) == vector["input"].count("\r\n")
    if reply.code != 250:
        return
    capabilities = Capabilities.parse(reply)
    assert capabilities.domain == vector["domain"]
    assert {keyword: list(parameters) for keyword, parameters in capabilities.items()} == vector["keywords"]
    assert capabilities.size == vector["parsed"].get("size")
    assert list(capabilities.auth) == vector["parsed"].get("auth", [])
    assert capabilities.get("MT-PRIORITY", ("",))[0] == vector["parsed"].get("mt_priority", "")


@pytest.mark.parametrize("vector", LIMITS, **by_id)
def test_vector_of_limits(vector):
    limits = offer(f"LIMITS {vector['params']}").limits
    names = ("MAILMAX", "RCPTMAX", "RCPTDOMAINMAX")
    assert [limits.get(name, 0) for name in names] == vector["mailmax_rcptmax_rcptdomainmax"]


@pytest.mark.parametrize("vector", KEYWORD_LINES, **by_id)
def test_vector_of_a_keyword(vector):
    assert list(offer(vector["keyword_line"])) == [vector["canonical"]]


@settings(derandomize=True, deadline=None)
@given(VISIBLE, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30), OFFERS)
def test_an_offer_is_read_back(domain, greeting, keywords):
    octets = bytes(ehlo_reply(domain, greeting, keywords.items()))
    assembler = ReplyAssembler()
    *_, reply = [assembler.add(line, enhanced=False) for line in octets.split(b"\r\n")[:-1]]
    capabilities = Capabilities.parse(reply)
    assert (capabilities.domain, capabilities.greeting) == (domain, greeting)
    assert {keyword: list(parameters) for keyword, parameters in capabilities.items()} == keywords
    assert ehlo_reply(domain, greeting, capabilities.items()) == reply


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n\0"), max_size=20), min_size=1, max_size=5)
    | st.lists(st.text(st.sampled_from("SIZEAUTHLIMITS= 019;é²"), max_size=20), min_size=1, max_size=5)
    | st.lists(
        st.sampled_from(["SIZE", "AUTH", "LIMITS"]).flatmap(lambda w: st.text(" 1=A²", max_size=9).map(w.__add__)),
        min_size=1,
    )
)
def test_whatever_a_server_says_is_taken(lines):
    capabilities = Capabilities.parse(Reply(250, lines))
    assert all(keyword == keyword.upper() for keyword in capabilities if keyword.isascii())
    assert capabilities.size is None or capabilities.size >= 0
    assert all(isinstance(name, str) for name in capabilities.auth)
    assert set(capabilities.limits) <= {"MAILMAX", "RCPTMAX", "RCPTDOMAINMAX"}
    assert repr(capabilities)


def test_keywords_are_folded_in_ascii_alone():
    long_s = "\u017fIZE"  # str.upper() makes it SIZE
    capabilities = Capabilities.parse(Reply(250, ["mx", f"{long_s} 5"]))
    assert dict(capabilities) == {long_s: ("5",)}
    assert capabilities.size is None


def test_nothing_is_offered_after_helo():
    capabilities = Capabilities()
    assert len(capabilities) == 0
    assert "PIPELINING" not in capabilities
    assert (capabilities.size, capabilities.auth, capabilities.limits) == (None, (), {})
    assert (capabilities.domain, capabilities.greeting) == ("", "")
    assert repr(capabilities) == "<Capabilities of nobody: nothing>"


def test_the_first_line_is_no_keyword():
    capabilities = Capabilities.parse(Reply(250, ["SIZE AUTH PLAIN", "8bitmime"]))
    assert dict(capabilities) == {"8BITMIME": ()}
    assert (capabilities.domain, capabilities.greeting) == ("SIZE", "AUTH PLAIN")
    assert capabilities["8BITMIME"] == ()
    assert repr(capabilities) == "<Capabilities of SIZE: 8BITMIME>"


def test_two_offers_are_equal_if_they_offer_the_same():
    assert offer("SIZE 5", "DSN") == offer("dsn", "size 5")
    assert offer("SIZE 5") != offer("SIZE 6")
    assert offer("SIZE 5") == {"SIZE": ("5",)}


@pytest.mark.parametrize(
    ("line", "size"),
    [
        *[(line, None) for line in ("SIZE", "SIZE unlimited", "SIZE -1", "SIZE ²", "DSN")],
        *[("SIZE 0", 0), ("SIZE 1000", 1000), ("size 1000 junk", 1000)],
        *[("SIZE " + "9" * 20, 10**20 - 1), ("SIZE " + "9" * 21, None)],
    ],
)
def test_size(line, size):
    assert offer(line).size == size


@pytest.mark.parametrize(
    ("lines", "mechanisms"),
    [
        (["AUTH plain Login"], ("PLAIN", "LOGIN")),
        (["AUTH=LOGIN PLAIN"], ("LOGIN", "PLAIN")),
        (["AUTH PLAIN", "AUTH=LOGIN plain"], ("PLAIN", "LOGIN")),
        (["AUTH=LOGIN PLAIN", "AUTH CRAM-MD5 PLAIN"], ("LOGIN", "PLAIN", "CRAM-MD5")),
        (["AUTH PLAIN", "AUTH LOGIN PLAIN", "AUTH"], ("PLAIN", "LOGIN")),
        (["AUTH"], ()),
        (["AUTH="], ()),
        (["AUTH= PLAIN"], ("PLAIN",)),
        (["AUTH PLAIN plain PLAIN"], ("PLAIN",)),
    ],
)
def test_auth_lines_are_merged_in_their_order(lines, mechanisms):
    capabilities = offer(*lines)
    assert capabilities.auth == mechanisms
    assert "AUTH" in capabilities


def test_of_other_keywords_the_first_line_counts():
    assert offer("SIZE 5", "SIZE 7", "size").size == 5


def test_junk_is_kept():
    capabilities = offer("Ok", "", "  ", "X_PIPE_CONNECT", "X-EXPS=NTLM", "XEXCH50  a\tb ")
    assert list(capabilities) == ["OK", "X_PIPE_CONNECT", "X-EXPS=NTLM", "XEXCH50"]
    assert capabilities["XEXCH50"] == ("a", "b")


@pytest.mark.parametrize(
    ("parameters", "limits"),
    [
        ("RCPTMAX=100 MAILMAX=5 RCPTDOMAINMAX=1", {"RCPTMAX": 100, "MAILMAX": 5, "RCPTDOMAINMAX": 1}),
        ("rcptmax=100", {"RCPTMAX": 100}),
        ("RCPTMAX=100 RCPTMAX=50", {"RCPTMAX": 50}),
        ("RCPTMAX=50 RCPTMAX=100", {"RCPTMAX": 50}),
        ("RCPTMAX=0 MAILMAX=5", {"MAILMAX": 5}),
        ("RCPTMAX=0100 MAILMAX=5", {"MAILMAX": 5}),
        ("RCPTMAX=1000000 MAILMAX=999999", {"MAILMAX": 999999}),
        ("RCPTMAX=many MAILMAX=5", {"MAILMAX": 5}),
        ("RCPTMAX MAILMAX=5", {"MAILMAX": 5}),
        ("OTHER=a=b WORD MAILMAX=5", {"MAILMAX": 5}),
        ("RCPTMAX= MAILMAX=5", {}),
        ("=5 MAILMAX=5", {}),
        ("A;B MAILMAX=5", {}),
        ("A=b;c MAILMAX=5", {}),
        ("A=é MAILMAX=5", {}),
        ("", {}),
    ],
)
def test_limits_as_rfc_9422_reads_them(parameters, limits):
    assert offer(f"LIMITS {parameters}").limits == limits


def test_an_offer_as_it_is_sent():
    keywords = [("PIPELINING", ()), ("SIZE", ("1000",)), ("AUTH", ["PLAIN", "LOGIN"])]
    octets = b"250-mx.example greets you\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 AUTH PLAIN LOGIN\r\n"
    assert bytes(ehlo_reply("mx.example", "greets you", keywords)) == octets
    assert bytes(ehlo_reply("mx.example", "", ())) == b"250 mx.example\r\n"


@pytest.mark.parametrize(
    ("domain", "keywords"),
    [
        ("", []),
        ("mx example", []),
        ("mé.example", []),
        ("mx.example", [("", ())]),
        ("mx.example", [("-X", ())]),
        ("mx.example", [("AUTH=LOGIN", ())]),
        ("mx.example", [("X Y", ())]),
        ("mx.example", [("É", ())]),
        ("mx.example", [("SIZE", ("",))]),
        ("mx.example", [("SIZE", ("1 2",))]),
        ("mx.example", [("SIZE", ("1\r\n250 X",))]),
        ("mx.example", [("SIZE", ("é",))]),
        ("mx.example", [("AUTH", ("PLAIN",) * 100)]),
        ("mx.example\n", []),
    ],
)
def test_what_cannot_be_read_back_is_not_sent(domain, keywords):
    with pytest.raises(ParseError):
        ehlo_reply(domain, "hello", keywords)


def test_what_stands_behind_a_keyword_is_read_as_a_value():
    offered = Capabilities([("DELIVERBY", ["60"]), ("FUTURERELEASE", ["soon"]), ("X-OTHER", ["a", "b"])])
    assert offered.value("DELIVERBY") == 60
    assert offered.value("FUTURERELEASE") is None  # makes no sense
    assert offered.value("X-OTHER") == ("a", "b")
    assert offered.value("SIZE") is None
    own = Capabilities([("X-OTHER", ["5"]), ("SIZE", ["5"])], readers={"X-OTHER": lambda words: int(words[0])})
    assert (own.value("X-OTHER"), own.size) == (5, 5)


def test_an_old_spelling_without_a_mechanism_is_a_login_by_none():
    for keywords in ([("AUTH=", [])], [("AUTH", [])]):
        capabilities = Capabilities(keywords)
        assert "AUTH" in capabilities
        assert list(capabilities.auth) == []
