"""Enhanced status codes: the grammar, the range, and how they are compared."""

import copy
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.wire import status as module
from smtpkit.wire.replies import Reply, parse_reply
from smtpkit.wire.status import EnhancedStatus, leading_status

VECTORS = json.loads(Path(__file__).parent.parent.joinpath("vectors", "enhanced_status.json").read_text())["vectors"]
STATUSES = st.builds(EnhancedStatus, st.sampled_from([2, 4, 5]), st.integers(0, 999), st.integers(0, 999))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_vector(vector):
    if "reply_code" in vector:
        reply = Reply(vector["reply_code"], "", vector["enhanced"])
        octets = f"{vector['reply_code']} {vector['text']}\r\n".encode()
        assert bytes(reply) == octets
        assert parse_reply(octets) == reply
    elif vector["rfc"] == "valid":
        assert str(EnhancedStatus.parse(vector["input"])) == vector["input"]
    else:
        with pytest.raises(ParseError):
            EnhancedStatus.parse(vector["input"])


@settings(derandomize=True, deadline=None)
@given(STATUSES)
def test_a_code_is_read_back_from_its_text(status):
    assert EnhancedStatus.parse(str(status)) == status
    assert hash(EnhancedStatus.parse(str(status))) == hash(status)
    assert copy.deepcopy(status) == pickle.loads(pickle.dumps(status)) == status


@settings(derandomize=True, deadline=None)
@given(st.text(st.sampled_from("0125.٣²x -"), max_size=12) | st.text(max_size=12))
def test_a_text_is_refused_or_is_what_the_code_says(text):
    try:
        status = EnhancedStatus.parse(text)
    except ParseError:
        return
    assert str(status) == text


NOT_THREE_NUMBERS = ["", "5", "5.", "5.1", "5.1.", "5..1", "5.1.1.", "5.1.1.1", "x.1.1", "5.-1.1", "5.1.٣", "5.1.²"]
NOT_THE_NUMBERS = ["5.1.1000", "5.1234.1", "5.01.1", "05.1.1", "5.1.00", "1.1.1", "3.1.1", "6.0.0", "55.1.1"]
NOT_ALONE = ["5.1.1 ", " 5.1.1", "5.1.1\n", "5.1.1 x", "5.1.1\0"]


@pytest.mark.parametrize("text", NOT_THREE_NUMBERS + NOT_THE_NUMBERS + NOT_ALONE)
def test_what_the_grammar_does_not_allow_is_refused(text):
    with pytest.raises(ParseError, match="not an enhanced status code"):
        EnhancedStatus.parse(text)


@pytest.mark.parametrize(
    "numbers", [(3, 0, 0), (0, 0, 0), (55, 0, 0), (5, 1000, 0), (5, 0, 1000), (5, -1, 0), (5, 0, -1)]
)
def test_a_number_out_of_range_is_refused(numbers):
    with pytest.raises(ParseError):
        EnhancedStatus(*numbers)


def test_fields_and_texts_and_comparisons():
    status = EnhancedStatus.parse("4.7.28")
    assert (status.status_class, status.subject, status.detail) == (4, 7, 28)
    assert repr(status) == "EnhancedStatus(4, 7, 28)"
    assert status != EnhancedStatus(5, 7, 28)
    assert status != "4.7.28"
    match status:
        case EnhancedStatus(status_class, _, detail):
            assert (status_class, detail) == (4, 28)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(text, "2.1.5") for text in ("2.1.5 Ok", "2.1.5", "2.1.5  ")],
        *[
            (text, None)
            for text in ("2.1 km away", "2.1.5\tOk", "2.1.5, yes", "", " 2.1.5", "Ok", "2.1.5.6 x", "4.1.5 x", "5.0.0")
        ],
    ],
)
def test_only_a_code_of_the_class_with_a_space_or_nothing_behind_it_leads_a_text(text, expected):
    status = leading_status(text, 2)
    assert (None if status is None else str(status)) == expected


def test_the_cache_is_bounded():
    for subject in range(2):
        for detail in range(1000):
            EnhancedStatus.parse(f"5.{subject}.{detail}")
    assert len(module._by_text) <= module._CACHED
    assert EnhancedStatus.parse("5.1.999") is EnhancedStatus.parse("5.1.999")


@pytest.mark.parametrize("text", ["1.0.0", "3.0.0", "6.0.0", "2.0", "2.0.0.0"])
def test_the_class_is_2_4_or_5_and_two_numbers_follow(text):
    with pytest.raises(ParseError):
        EnhancedStatus.parse(text)
