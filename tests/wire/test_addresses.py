"""Mailboxes, paths and domains: RFC 5321 section 4.1.2 and RFC 6531 section 3.3, with their limits."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox, domain_or_literal, is_domain, read_path
from smtpkit.wire.literals import is_address_literal

quick = settings(derandomize=True, deadline=None, max_examples=200)


def vectors(name):
    path = Path(__file__).parent.parent.joinpath("vectors", f"{name}.json")
    return pytest.mark.parametrize("vector", json.loads(path.read_text())["vectors"], ids=lambda vector: vector["id"])


def accepted(read, *arguments):
    try:
        read(*arguments)
    except ParseError:
        return False
    return True


LABELS = st.from_regex(
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,6}[A-Za-z0-9])?|[a-z\u00e0-\u00f6\u4e00-\u4e20]{1,8}", fullmatch=True
)
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(".".join) | st.sampled_from(
    ["[192.0.2.1]", "[01.2.3.4]", "[IPv6:2001:db8::1]"]
)
LOCAL_PARTS = st.text(
    st.characters(min_codepoint=32, max_codepoint=126)
    | st.sampled_from('.."\\ @<>')
    | st.characters(min_codepoint=160),
    max_size=16,
).filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text))


@vectors("addresses")
def test_vectors_of_addresses(vector):
    assert accepted(Mailbox.parse, vector["input_utf8"]) == (vector["rfc"] == "valid")
    if vector["rfc"] == "valid":
        assert Mailbox.parse(vector["input_utf8"]).is_ascii != vector["smtputf8"]


@vectors("localparts")
def test_vectors_of_local_parts(vector):
    valid = vector["rfc"] == "valid"
    if "op" not in vector:
        assert accepted(Mailbox.parse, vector["input_utf8"] + "@host.example") == valid
    elif valid:
        assert str(Mailbox(vector["decoded"], "host.example")) == vector["expected"] + "@host.example"
    else:
        assert not accepted(Mailbox, vector["decoded"], "host.example")


@vectors("hostnames")
def test_vectors_of_host_names(vector):
    assert is_domain(vector["input"]) == vector["rfc_domain_valid"]
    assert is_address_literal(f"[{vector['input']}]") == vector["rfc_ipv4_valid"]
    assert is_address_literal(f"[IPv6:{vector['input']}]") == vector["rfc_ipv6_valid"]


@vectors("paths")
def test_vectors_of_paths(vector):
    text = vector["input_utf8"]
    if vector["rfc"] == "invalid":
        assert not accepted(read_path, text)
        return
    mailbox, end = read_path(text)
    assert end == len(text)
    if "expected_address" in vector:
        assert ("" if mailbox is None else str(mailbox)) == vector["expected_address"]


@quick
@given(LOCAL_PARTS, DOMAINS)
def test_what_is_written_is_read_as_the_same_mailbox(local_part, domain):
    mailbox = Mailbox(local_part, domain)
    assert Mailbox.parse(str(mailbox)) == mailbox
    assert read_path(f"x<{mailbox}>y", 1) == (mailbox, len(str(mailbox)) + 3)


@quick
@given(
    st.lists(st.sampled_from([*'a1-.@<>,:"\\ []é\n', "[IPv6:", "::1", "postmaster", "\u200d"]), max_size=14).map(
        "".join
    )
)
def test_only_parse_errors_are_raised_and_what_is_read_can_be_written(text):
    for read in (Mailbox.parse, lambda text: read_path(f"<{text}>")[0], lambda text: Mailbox(text, text)):
        try:
            mailbox = read(text)
        except ParseError:
            continue
        assert mailbox is None or Mailbox.parse(str(mailbox)) == mailbox


@pytest.mark.parametrize(
    ("given_text", "written"),
    [
        ('"joe"@host', "joe@host"),
        (r'"\j\o\e"@host', "joe@host"),
        (r'"jo\e bl\"ow"@host', r'"joe bl\"ow"@host'),
        ('"a..b"@host', '"a..b"@host'),
        ('""@host', '""@host'),
        ("a@HOST.Example", "a@HOST.Example"),
    ],
)
def test_a_mailbox_is_written_with_the_least_quoting(given_text, written):
    assert str(Mailbox.parse(given_text)) == written


def test_all_spellings_are_equal_but_local_parts_keep_their_case():
    mailbox = Mailbox("joe", "Host.Example")
    assert mailbox == Mailbox.parse('"joe"@hOST.eXAMPLE')
    assert hash(mailbox) == hash(Mailbox("joe", "host.example"))
    assert mailbox != Mailbox("Joe", "host.example")
    assert mailbox != "joe@Host.Example"


def test_the_postmaster_stands_alone_in_any_case():
    assert Mailbox("Postmaster", "") == Mailbox.parse("POSTMASTER")
    assert hash(Mailbox("Postmaster", "")) == hash(Mailbox("postmaster", ""))
    assert str(Mailbox("Postmaster", "")) == "Postmaster"
    assert Mailbox("postmaster", "host") != Mailbox("postmaster", "")
    assert read_path("<postMaster>") == (Mailbox("postmaster", ""), 12)
    for other in ("", "abuse"):
        with pytest.raises(ParseError):
            Mailbox(other, "")
    with pytest.raises(ParseError, match="no domain behind the source route"):
        read_path("<@a.example:postmaster>")


def test_repr_and_match_show_both_parts():
    assert repr(Mailbox("a", "b")) == "Mailbox('a', 'b')"
    match Mailbox("a", "b"):
        case Mailbox(local_part, domain):
            assert (local_part, domain) == ("a", "b")


@pytest.mark.parametrize("character", ["\0", "\t", "\n", "\r", "\x1f", "\x7f"])
def test_a_control_character_cannot_be_in_a_local_part(character):
    assert not accepted(Mailbox, f"a{character}b", "host")
    assert not accepted(Mailbox.parse, f'"a{character}b"@host')
    assert not accepted(Mailbox.parse, f'"a\\{character}b"@host')


def test_c1_controls_and_format_characters_are_grammatical_in_a_local_part():
    assert Mailbox.parse("a\x85\u200bb@host").local_part == "a\x85\u200bb"


def test_lone_surrogates_are_refused():
    for local_part, domain in (("a\ud800", "host"), ("a", "\udc80")):
        assert not accepted(Mailbox, local_part, domain)
        assert not accepted(Mailbox.parse, f"{local_part}@{domain}")


@pytest.mark.parametrize(
    ("local_part", "fits"),
    [
        ("a" * 64, True),
        ("a" * 65, False),
        ("é" * 32, True),
        ("é" * 32 + "a", False),
        (" " * 62, True),
        (" " * 63, False),
        ('"' * 31, True),
        ('"' * 32, False),
    ],
)
def test_a_local_part_has_at_most_64_octets_with_the_least_quoting(local_part, fits):
    """RFC 5321 section 4.5.3.1.1 counts the production Local-part, whose quotes belong to it."""
    assert accepted(Mailbox, local_part, "host") == fits


def test_needless_quotes_do_not_count():
    assert Mailbox.parse(f'"{"a" * 64}"@host') == Mailbox("a" * 64, "host")


def test_a_path_has_at_most_256_octets():
    domain = ".".join(["d" * 63, "d" * 63, "d" * 61])  # 189, so that 64 + "@" + 189 = 254
    assert accepted(Mailbox.parse, "a" * 64 + "@" + domain)
    assert not accepted(Mailbox.parse, "a" * 64 + "@" + domain + "d")
    assert not accepted(Mailbox, "a" * 64, domain + "d")


def test_a_source_route_is_checked_dropped_and_not_counted():
    route = ",".join(["@" + ".".join(["d" * 63] * 4)] * 3)
    assert read_path(f"<{route}:a@b>")[0] == Mailbox("a", "b")
    assert read_path("<@[192.0.2.1],@é.example:a@b>")[0] == Mailbox("a", "b")
    for wrong in ("<@-:a@b>", "<@:a@b>", "<@a,b:a@b>", "<@a@b>", "<@a:>", "<@a:@b:a@b>", "<@[x]:a@b>", "<@a,:a@b>"):
        assert not accepted(read_path, wrong), wrong


@pytest.mark.parametrize("text", ["", "a@b", " <a@b>", "<", "<a@b", "<a@b ", "<a @b>", "<@a:postmaste>"])
def test_what_is_no_path(text):
    assert not accepted(read_path, text)


@pytest.mark.parametrize(("text", "offset"), [("a@b c", 3), ("a b@c", 0)])
def test_an_error_says_where_and_how_a_server_answers(text, offset):
    with pytest.raises(ParseError) as caught:
        Mailbox.parse(text)
    error = caught.value
    assert (error.offset, error.code, error.enhanced) == (offset, 501, "5.1.3")


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("a", True),
        ("localhost", True),
        ("xn--bcher-kva.example", True),
        ("a" * 63, True),
        ("a" * 64, False),
        (".".join(["a" * 63] * 4), True),
        (".".join(["a" * 63] * 3 + ["a" * 61, "b"]), True),
        (".".join(["a" * 63] * 3 + ["a" * 61, "bc"]), False),
        ("", False),
        ("a.", False),
        (".a", False),
        ("a..b", False),
        ("a-", False),
        ("-a", False),
        ("under_score", False),
        ("a b", False),
        ("a\n", False),
        ("bücher.example", True),
        ("bu\u0308cher", False),  # not in normalization form C
        ("bücher_", False),
        ("Bü-cher", True),
        ("é..é", False),
        ("é.-a", False),
        ("-é", False),
        ("é-", False),
        ("é\u200b", False),
        ("é\ufeff", False),
        ("é\x85", False),
        ("é\xa0", False),
        ("é\u3002example", False),  # a dot of IDNA2003
        ("\u0915\u094d\u200d\u0937", True),  # a joiner behind a virama, RFC 5892 appendix A.2
        ("\u0915\u200d\u0937", False),
        ("\u200d\u0937", False),
        ("\u4f60" * 28, True),  # 84 octets of UTF-8, but the A-label has fewer than 63
        ("\u4f60\u597d" * 28, False),
        ("\u4f60" * 86, False),  # 258 octets
        ("\ue000", False),
        ("\udc80", False),
        ("\u0378", False),  # unassigned
    ],
)
def test_domains(text, valid):
    assert is_domain(text) == valid
    if len(text) <= 252:  # what the limit of a path leaves
        assert accepted(Mailbox, "a", text) == valid


@pytest.mark.parametrize("text", ["a", "mail.example", "192.0.2.1", "[192.0.2.1]", "[IPv6:::1]"])
def test_a_name_of_a_host(text):
    assert domain_or_literal(text) == text


@pytest.mark.parametrize("text", ["", "a_b", "a.", "é.example", "[::1]", "[192.0.2.1", "a b", "a\r\n"])
def test_what_is_no_name_of_a_host(text):
    with pytest.raises(ParseError):
        domain_or_literal(text)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("a@b.example", True), ("a@[192.0.2.1]", True), ("j\xf6rg@b.example", False), ("a@b\xfccher.example", False)],
)
def test_an_address_is_ascii_where_both_its_parts_are(address, expected):
    assert Mailbox.parse(address).is_ascii is expected


@pytest.mark.parametrize(
    "text", ["", "a@b.example>", "(a@b.example>", "<@,:a@b.example>", "<@b.example,c:a@b.example>"]
)
def test_a_bad_path_has_5_1_3_whatever_is_wrong(text):
    with pytest.raises(ParseError) as caught:
        read_path(text)
    assert caught.value.enhanced == "5.1.3"


@pytest.mark.parametrize("character", ["\x85", "\xad", "\ud800", "\ue000", "\u0378", "\xa0", "\u2028", "\u2029"])
def test_no_label_holds_a_character_of_the_classes_that_are_no_text(character):
    assert not is_domain(f"\xe9{character}e.example")


def test_the_ascii_form_of_a_label_has_63_octets_at_most():
    lengths = {
        len("xn--" + label.encode("punycode").decode()): label for label in ("\xe9" + "a" * n for n in range(70))
    }
    assert is_domain(lengths[63])
    assert not is_domain(lengths[64])
