"""Content as it is framed by DATA and by BDAT: its end, its size, its newlines, in every cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.content import ChunkedContent, DataContent
from smtpkit.wire.lines import LineBuffer

POLICIES = ["reject", "normalize", "keep"]


def data(octets, policy="reject", limit=None, cuts=()):
    """What a DATA body gives: content, why it is refused, what is left behind its end."""
    content, lines, given = DataContent(policy, limit), LineBuffer(), b""
    for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
        lines.feed(octets[start:end])
        if not content.complete:
            given += content.read(lines)
    assert content.complete
    return given, content.refusal, lines.take_all()


def chunks(*pieces, policy="reject", limit=None, binary=False, step=10**6):
    """The same of chunks, the last of which is LAST."""
    content, lines, given = ChunkedContent(policy, limit, binary=binary), LineBuffer(), b""
    for index, piece in enumerate(pieces):
        content.begin(len(piece), index == len(pieces) - 1)
        assert not content.complete
        for start in range(0, len(piece) or 1, step):
            lines.feed(piece[start : start + step])
            given += content.read(lines)
        assert content.complete
    assert content.last
    assert content.size == sum(map(len, pieces))
    return given, content.refusal


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("cut", range(18))
def test_data_ends_with_its_line_wherever_it_is_cut(policy, cut):
    assert data(b"..a\r\n.b\r\n.\r\nQUIT\r\n", policy, cuts=[cut]) == (b".a\r\nb\r\n", None, b"QUIT\r\n")


def test_data_may_be_empty():
    assert data(b".\r\n") == (b"", None, b"")


def test_data_of_the_very_size_is_taken():
    assert data(b"12345\r\n.\r\n", limit=7) == (b"12345\r\n", None, b"")


def test_data_over_the_size_is_dropped_to_its_end():
    assert data(b"1234567\r\n.\r\nQUIT\r\n", limit=7) == (b"", say.TOO_LARGE, b"QUIT\r\n")
    given, refusal, rest = data(b"1234\r\n5678\r\n.\r\nQUIT\r\n", limit=7, cuts=[6, 8])
    assert (given, refusal, rest) == (b"1234\r\n", say.TOO_LARGE, b"QUIT\r\n")


@pytest.mark.parametrize(
    ("octets", "refusal"),
    [
        (b"a\nb", say.BARE_NEWLINE),
        (b"a\rb", say.BARE_NEWLINE),
        (b"a\0b", say.BARE_NEWLINE),
        (b"a\r\r\n", say.BARE_NEWLINE),
    ],
)
@pytest.mark.parametrize("cut", range(4))
def test_a_bare_newline_and_nul_are_refused_at_the_end(octets, refusal, cut):
    assert data(octets + b"\r\n.\r\nX", cuts=[cut])[1:] == (refusal, b"X")
    assert chunks(octets[:cut], octets[cut:])[1] is refusal
    assert chunks(octets, b"")[1] is refusal


def test_a_bare_newline_and_nul_may_be_kept_or_made_right():
    assert data(b"a\nb\rc\0\r\n.\r\n", "keep") == (b"a\nb\rc\0\r\n", None, b"")
    assert chunks(b"a\nb\rc\0", policy="keep") == (b"a\nb\rc\0", None)
    assert data(b"a\nb\rc\0\r\n.\r\n", "normalize") == (b"a\r\nb\r\nc\0\r\n", None, b"")
    assert chunks(b"a\nb\rc\0", policy="normalize") == (b"a\r\nb\r\nc\0", None)


def test_the_first_reason_stays():
    content, lines = DataContent("reject", 3), LineBuffer()
    for octets in (b"\n", b"12345", b"\r\n.\r\n"):
        lines.feed(octets)
        content.read(lines)
    assert content.refusal is say.BARE_NEWLINE
    content.refusal = say.INTERNAL_ERROR
    assert content.complete


@pytest.mark.parametrize("cut", range(10))
def test_a_bare_newline_behind_the_size_is_what_is_told(cut):
    assert data(b"1234567\n\r\n.\r\n", limit=3, cuts=[cut])[1] is say.BARE_NEWLINE


def test_a_newline_cut_in_two_by_chunks_is_whole():
    assert chunks(b"a\r", b"\nb\r\n") == (b"a\r\nb\r\n", None)
    assert chunks(b"a\r", b"\nb\r\n", policy="normalize") == (b"a\r\nb\r\n", None)


@pytest.mark.parametrize("policy", POLICIES)
def test_so_is_one_cut_in_two_within_the_last_chunk(policy):
    assert chunks(b"a\r\nb\r\n", policy=policy, step=2)[:2] == (b"a\r\nb\r\n", None)


def test_a_lone_cr_at_the_very_end_is_noticed():
    assert chunks(b"a\r")[1] is say.BARE_NEWLINE
    assert chunks(b"a\r", policy="normalize") == (b"a\r\n", None)


@pytest.mark.parametrize("policy", POLICIES)
def test_binary_content_is_passed_as_it_is(policy):
    assert chunks(b"\0\r\n.\r\n\n", policy=policy, binary=True) == (b"\0\r\n.\r\n\n", None)


def test_a_dot_means_nothing_in_a_chunk():
    assert chunks(b"a\r\n.\r\nb\r\n", b"..c\r\n") == (b"a\r\n.\r\nb\r\n..c\r\n", None)


def test_chunks_over_the_size_are_refused_when_announced_and_read_all_the_same():
    content, lines = ChunkedContent("reject", 5), LineBuffer()
    lines.feed(b"1234567890MORE")
    content.begin(4, False)
    assert content.read(lines) == b"1234"
    assert content.refusal is None
    content.begin(6, False)
    assert content.refusal is say.TOO_LARGE
    assert content.read(lines) == b""
    assert lines.take_all() == b"MORE"
    content.begin(1, True)
    assert content.refusal is say.TOO_LARGE


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.lists(st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"\0", b"a", b"\r\n.\r\n"]), max_size=12).map(b"".join),
    st.sampled_from(POLICIES),
    st.integers(1, 5),
)
def test_pieces_make_no_difference(octets, policy, step):
    whole = octets + b"\r\n.\r\n.\r\n"
    given_whole, refusal, rest = data(whole, policy)
    given, other_refusal, other_rest = data(whole, policy, cuts=range(step, len(whole), step))
    assert (other_refusal, other_rest) == (refusal, rest)
    assert given == given_whole or (refusal is not None and given_whole == b"")
    assert chunks(octets, policy=policy, step=step)[1] is chunks(octets, policy=policy)[1]
