"""Transparency of DATA against the words of the RFC, in every cut of every short input, and against vectors."""

import json
import re
import runpy
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire import dots
from smtpkit.wire.dots import DotStuffer, DotUnstuffer, dot_stuff, dot_unstuff

model = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("transparency.py"))))
VECTORS = Path(__file__).parents[1] / "vectors"

smtp_octets = st.lists(
    st.sampled_from([b"\r\n", b".", b"\r\n.", b"\r\n.\r\n", b"\r", b"\n", b"\0", b"a", b"\xff", b"MAIL"]), max_size=40
).map(b"".join)
bodies = st.one_of(st.binary(max_size=200), smtp_octets)


def vectors(name):
    return json.loads((VECTORS / f"{name}.json").read_text())["vectors"]


def in_pieces(draw, octets):
    cuts = sorted(draw(st.lists(st.integers(0, len(octets)), max_size=5)))
    return [octets[start:end] for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)]


@st.composite
def cut(draw, octets):
    return in_pieces(draw, draw(octets))


# Exhaustive


@pytest.mark.parametrize("policy", model.POLICIES)
@pytest.mark.parametrize(("alphabet", "longest"), [(b"\r\n.a", 8), (b"\r\n.\0\xff", 5)])
def test_every_short_payload_is_read_as_the_rfc_says_in_every_cut_in_two(alphabet, longest, policy):
    for octets in model.strings(alphabet, longest):
        content, *end = wanted = model.expected(octets, policy)
        violated = wanted[3] is not None
        for index in range(len(octets) + 1):
            unstuffer = DotUnstuffer(policy)
            got = unstuffer.feed(octets[:index]) + unstuffer.feed(octets[index:])
            assert [unstuffer.eof, unstuffer.unused_data, unstuffer.violation] == end, (octets, index)
            assert violated or got == content, (octets, index)


@pytest.mark.parametrize(("alphabet", "longest"), [(b"\r\n.a", 8), (b"\r\n.\0\xff", 5)])
def test_every_short_body_is_stuffed_as_the_rfc_says_in_every_cut_in_two(alphabet, longest):
    for body in model.strings(alphabet, longest):
        wanted = model.stuffed(body)
        assert dot_unstuff(wanted) == (body if body.endswith(b"\r\n") or not body else body + b"\r\n")
        for index in range(len(body) + 1):
            stuffer = DotStuffer()
            got = stuffer.feed(body[:index]) + stuffer.feed(body[index:]) + stuffer.finish()
            assert got == wanted, (body, index)


def test_the_checks_that_mutants_must_fail_pass():
    model.check_unstuffing(dots)
    model.check_stuffing(dots)


# Properties


@settings(derandomize=True, deadline=None, max_examples=300)
@given(bodies)
def test_unstuffing_undoes_stuffing_but_for_the_crlf_that_was_added(body):
    assert dot_unstuff(dot_stuff(body)) == (body if body.endswith(b"\r\n") or not body else body + b"\r\n")


@settings(derandomize=True, deadline=None, max_examples=300)
@given(cut(bodies))
@example([b"a\r", b"\n", b".", b"b"])
def test_a_body_is_stuffed_the_same_in_any_pieces(pieces):
    stuffer = DotStuffer()
    assert b"".join([*map(stuffer.feed, pieces), stuffer.finish()]) == model.stuffed(b"".join(pieces))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(cut(bodies), st.sampled_from(model.POLICIES))
def test_a_payload_is_unstuffed_the_same_in_any_pieces(pieces, policy):
    model.assert_unstuffed(DotUnstuffer, b"".join(pieces), pieces, policy)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(bodies, st.sampled_from(model.POLICIES))
def test_a_payload_is_unstuffed_the_same_one_octet_at_a_time(octets, policy):
    model.assert_unstuffed(DotUnstuffer, octets, model.single(octets), policy)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(bodies, bodies)
def test_whatever_a_body_holds_the_data_ends_at_its_own_end_and_nowhere_before(body, behind):
    unstuffer = DotUnstuffer("keep")
    unstuffer.feed(dot_stuff(body) + behind)
    assert (unstuffer.eof, unstuffer.unused_data) == (True, behind)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(bodies)
def test_what_is_normalized_holds_only_crlf(body):
    content = DotUnstuffer("normalize").feed(dot_stuff(body))
    assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
    assert content == model.normalized(dot_unstuff(dot_stuff(body)))


# Rules


def documented_rows():
    """The table in the module's docstring: what stands before, the octets, their content, and the remark."""
    octets = {"CR": b"\r", "LF": b"\n", "NUL": b"\0", ".": b".", "text": b"text", "nothing": b""}
    for row in dots.__doc__.partition("    on the wire ")[2].partition("\n\n")[0].splitlines()[1:]:
        wire, content, remark = re.split(r"\s{2,}", row.strip())
        wire, comma, _ = wire.partition(", at the start")
        yield (
            b"" if comma else b"a",
            b"".join(octets[word] for word in wire.split()),
            b"".join(octets[word] for word in content.split()),
            remark,
        )


def test_the_table_of_the_docstring_is_true():
    rows = list(documented_rows())
    assert len(rows) == 15
    for head, wire, content, remark in rows:
        tail = b"" if remark.startswith("the end") else b"b\r\n.\r\n"
        wanted = head + content + tail.removesuffix(b".\r\n")
        payload = head + wire + tail
        found = re.search("bare CR|bare LF|NUL", remark)
        for pieces in ([payload], model.single(payload)):
            assert model.result(DotUnstuffer("keep"), pieces) == (wanted, True, b"", None)
            assert model.result(DotUnstuffer(), pieces)[1:] == (True, b"", found and found[0])


def test_a_piece_without_anything_to_change_is_passed_on_without_a_copy():
    piece = b"no dot here\r\n" * 9
    dotted = b"a dot. But not first\r\n" * 9
    for octets in (piece, dotted):
        assert DotStuffer().feed(octets) is octets
        for policy in model.POLICIES:
            assert DotUnstuffer(policy).feed(octets) is octets


def test_empty_pieces_change_nothing():
    stuffer, unstuffer = DotStuffer(), DotUnstuffer()
    assert [stuffer.feed(piece) for piece in (b"", b"a\r", b"", b"\n.", b"")] == [b"", b"a\r", b"", b"\n..", b""]
    assert [unstuffer.feed(piece) for piece in (b"", b"a\r", b"", b"\n.", b"")] == [b"", b"a\r", b"", b"\n", b""]
    assert unstuffer.feed(b"\r\n") == b""
    assert unstuffer.eof


def test_octets_fed_behind_the_end_are_unused():
    unstuffer = DotUnstuffer()
    assert unstuffer.feed(b"a\r\n.\r\nMA") == b"a\r\n"
    assert unstuffer.feed(b"IL") == b""
    assert unstuffer.unused_data == b"MAIL"


def test_what_stands_behind_the_end_is_no_violation():
    unstuffer = DotUnstuffer()
    unstuffer.feed(b"a\r\n.\r\n\n\0")
    assert unstuffer.violation is None


def test_after_a_violation_nothing_is_given_and_the_end_is_found():
    unstuffer = DotUnstuffer()
    assert [unstuffer.feed(piece) for piece in (b"a\nb", b"c\r\n..d\r\n.", b"\r\nRSET")] == [b"", b"", b""]
    assert (unstuffer.eof, unstuffer.unused_data, unstuffer.violation) == (True, b"RSET", "bare LF")


def test_a_cr_at_the_end_of_a_piece_is_judged_by_what_follows():
    unstuffer = DotUnstuffer()
    assert unstuffer.feed(b"a\r") == b"a\r"
    assert unstuffer.violation is None
    unstuffer.feed(b"b\0\n")
    assert unstuffer.violation == "bare CR"


def test_many_leading_dots_are_found_beyond_the_first_64():
    body = b".\r\n..\r\na\r\n" * 100
    assert dot_stuff(body) == model.stuffed(body)
    assert dot_unstuff(dot_stuff(body)) == body


def test_lines_that_look_like_the_end_to_the_quick_test_are_content():
    # A leading dot, then an octet below CR.
    body = b"\tindented\r\n\r\n\x01\r\n" * 9
    assert dot_unstuff(body.replace(b"\t", b".\t").replace(b"\x01", b".\x01") + b".\r\n") == body


@pytest.mark.parametrize("octets", [b"", b"a", b"a\r\n", b"a\r\n.\r", b"a\n.\n"])
def test_a_payload_without_its_end_is_refused(octets):
    with pytest.raises(ParseError, match="no end of data"):
        dot_unstuff(octets)


def test_a_payload_with_octets_behind_its_end_is_refused_and_says_where():
    with pytest.raises(ParseError, match="behind the end of data at offset 6") as caught:
        dot_unstuff(b"a\r\n.\r\nb")
    assert caught.value.offset == 6


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="not 'strict'"):
        DotUnstuffer("strict")


@pytest.mark.parametrize("octets", [b"a" * 1024, b"\r\n" * 512, b"\n" * 1024, b"\r\n.x" * 256, b"\0" * 1024])
@pytest.mark.parametrize("policy", model.POLICIES)
def test_nothing_is_held_back_but_the_tail_that_may_be_the_end(octets, policy):
    unstuffer, stuffer = DotUnstuffer(policy), DotStuffer()
    tracemalloc.start()
    try:
        for _ in range(200):
            unstuffer.feed(octets)
            stuffer.feed(octets)
        assert tracemalloc.get_traced_memory()[0] < 8192
    finally:
        tracemalloc.stop()


# Vectors: what other implementations do, and RFC 5321's reason where ours differs

PASSES = "section 2.3.8: lone CRs and LFs must not be sent; they are refused or normalized before stuffing"
COMPLETES = "section 4.1.1.4: a body without its last CRLF may be refused, or given one"
ADDS = "section 4.1.1.4: an extra CRLF changes the body"
DEVIATIONS = {
    "dot_stuffing-001": COMPLETES,
    "dot_stuffing-002": COMPLETES,
    "dot_stuffing-003": PASSES,
    "dot_stuffing-005": PASSES,
    "dot_stuffing-007": PASSES,
    "dot_stuffing-009": PASSES,
    "dot_stuffing-010": PASSES,
    "dot_stuffing-015": ADDS,
    "dot_stuffing-017": ADDS,
    "dot_stuffing-019": "section 2.3.8: LF alone ends no line, so the dot behind it begins none",
    "dot_stuffing-029": PASSES,
    "dot_stuffing-030": ADDS,
}


def test_bodies_are_stuffed_as_others_do():
    checked = [vector for vector in vectors("dot_stuffing") if vector.get("op") != "to_crlf"]
    assert len(checked) == 20
    for vector in checked:
        body = vector["input"].encode("latin-1")
        pieces = [piece.encode("latin-1") for piece in vector.get("chunks", [vector["input"]])]
        stuffer = DotStuffer()
        got = b"".join(map(stuffer.feed, pieces))
        if vector.get("terminator_appended", True):
            got += stuffer.finish()
        agrees = got == vector.get("expected", "an error").encode("latin-1")
        assert agrees == (vector["id"] not in DEVIATIONS), (vector, got)
        assert dot_stuff(body) == model.stuffed(body), vector


def test_payloads_are_unstuffed_as_the_rfc_says_literally():
    checked = vectors("dot_unstuffing")
    assert len(checked) == 37
    for vector in checked:
        octets = vector["input"].encode("latin-1")
        literal = vector["rfc_literal"]
        wanted = (literal["body"].encode("latin-1"), literal["ended"], literal["remaining"].encode("latin-1"), None)
        chunks = [piece.encode("latin-1") for piece in vector.get("chunks", [])]
        for pieces in ([octets], model.single(octets), chunks or [octets]):
            assert model.result(DotUnstuffer("keep"), pieces) == wanted, vector
            strict = model.result(DotUnstuffer(), pieces)
            lone = vector["contains_bare_cr_or_lf"] and not octets.endswith(b"\r")
            assert (strict[3] is not None) == lone, vector


def test_no_smuggled_end_of_data_is_taken_for_one():
    checked = vectors("smuggling_eod")
    assert len(checked) == 15
    for vector in checked:
        payload = bytes.fromhex(vector["payload_hex"])
        assert dot_ends(payload) == (vector["rfc5321"].startswith("end"),) * 3, vector
        for pieces in ([payload], model.single(payload)):
            strict = DotUnstuffer()
            model.result(strict, pieces)
            assert strict.eof
            wanted = vector["recommended_smtpkit"].startswith("REJECT")
            assert (strict.violation is not None) == wanted, vector


def dot_ends(payload):
    """Under each policy: whether the data ends at the smuggled sequence, and not at the last octet only."""
    ends = []
    for policy in model.POLICIES:
        unstuffer = DotUnstuffer(policy)
        unstuffer.feed(payload)
        ends.append(unstuffer.unused_data.startswith(b"MAIL"))
    return tuple(ends)
