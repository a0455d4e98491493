"""The filter of headers: one Return-Path, no loops, and no octet changed besides, whatever the pieces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ReplyError
from smtpkit.protocol.header_filter import MOST_HOPS, HeaderFilter

EVIL = (
    b"Return-Path: <x@d.example>\r\n folded\r\n\tand again\r\nreturn-path : <>\r\nX: x\r\n\r\nReturn-Path: <stays>\r\n"
)


def through(filtering, *pieces):
    return b"".join([*map(filtering.feed, pieces), filtering.finish()])


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_return_path_fields_of_the_header_are_left_out_wherever_the_message_is_cut(newline):
    sent = EVIL.replace(b"\r\n", newline)
    for cut in range(len(sent)):
        kept = through(HeaderFilter(), sent[:cut], sent[cut:])
        assert kept == b"X: x\r\n\r\nReturn-Path: <stays>\r\n".replace(b"\r\n", newline)


def test_the_line_that_ends_the_header_stays_behind_one_that_is_left_out():
    sent = b"X: x\r\nReturn-Path: <x@d.example>\r\n folded\r\n\r\nbody\r\n"
    for cut in range(len(sent)):
        assert through(HeaderFilter(), sent[:cut], sent[cut:]) == b"X: x\r\n\r\nbody\r\n"


def test_a_relay_leaves_them_in():
    assert through(HeaderFilter(return_path=True), EVIL) == EVIL


def test_a_message_that_has_gone_round_in_circles_is_refused():
    hop = b"Received: from a by b;\r\n\tdate\r\n"
    sent = hop * (MOST_HOPS - 1) + b"\r\n" + hop * 5
    assert through(HeaderFilter(), sent) == sent
    for pieces in ((hop * MOST_HOPS,), (hop,) * MOST_HOPS, (b"RECEIVED :x: y\n" * MOST_HOPS,)):
        with pytest.raises(ReplyError) as refused:
            through(HeaderFilter(), *pieces)
        assert (refused.value.reply.code, str(refused.value.reply.enhanced)) == (554, "5.4.6")


def test_how_many_hops_are_too_many_can_be_said():
    hops = b"Received: x\r\n" * 3
    with pytest.raises(ReplyError, match="circles"):
        HeaderFilter(most_hops=3).feed(hops)
    assert through(HeaderFilter(most_hops=4), hops) == hops
    assert through(HeaderFilter(most_hops=None), hops * 100) == hops * 100
    assert HeaderFilter(most_hops=None, return_path=True).feed(b"Ret") == b"Ret"


def test_other_fields_are_no_hops():
    sent = b"Received-SPF: pass\r\nX: Received: x\r\n Received: x\r\n" * 3
    assert through(HeaderFilter(most_hops=1), sent) == sent


@pytest.mark.parametrize(
    "sent", [b"no header at all", b"x" * 10_000 + b"\r\nReturn-Path: <kept>\r\n\r\n", b"\r\n\r\n", b""]
)
def test_what_is_no_header_is_kept(sent):
    assert through(HeaderFilter(), *(bytes([octet]) for octet in sent)) == sent


def test_a_header_without_end_is_not_looked_at_for_ever():
    filtering = HeaderFilter(most_hops=2)
    sent = b"a: b\r\n" * 10_000
    for _ in range(5):
        assert filtering.feed(sent) == sent
    assert filtering.feed(b"Received: x\r\n" * 2) == b"Received: x\r\n" * 2


@pytest.mark.parametrize(("length", "kept"), [(8 * 1024, b""), (8 * 1024 + 1, b"Return-Path: <>\r\n")])
def test_a_line_of_8_kib_is_still_one_of_a_header(length, kept):
    filtering = HeaderFilter()
    assert through(filtering, b"a" * length, b"\r\nReturn-Path: <>\r\n\r\n") == b"a" * length + b"\r\n" + kept + b"\r\n"


@pytest.mark.parametrize(("length", "kept"), [(256 * 1024, b""), (256 * 1024 + 1, b"Return-Path: <>\r\n")])
def test_256_kib_are_still_looked_at(length, kept):
    header = b"a: b\r\n" * (length // 6 - 1)
    header += b"c" * (length - len(header) - 2) + b"\r\n"
    assert through(HeaderFilter(), header, b"Return-Path: <>\r\n\r\n") == header + kept + b"\r\n"


def test_a_field_that_is_left_out_may_be_the_last():
    assert through(HeaderFilter(), b"a: b\r\nReturn-Path: <>\r\n") == b"a: b\r\n"


@settings(max_examples=60, derandomize=True, deadline=None)
@given(pieces=st.lists(st.sampled_from([b"Return-Path:", b" ", b"\r\n", b"\n", b"x", b"Received: "]), max_size=12))
def test_pieces_do_not_matter(pieces):
    assert through(HeaderFilter(), *pieces) == through(HeaderFilter(), b"".join(pieces))
