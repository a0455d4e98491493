"""Results: a verdict for each recipient."""

import pickle

import pytest

from smtpkit.protocol import Outcome, SendResult, Verdict
from smtpkit.wire.replies import Reply


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (250, Verdict.ACCEPTED),
        (251, Verdict.ACCEPTED),
        (421, Verdict.DEFERRED),
        (450, Verdict.DEFERRED),
        (550, Verdict.REFUSED),
        (571, Verdict.REFUSED),
    ],
)
def test_the_first_digit_decides(code, verdict):
    reply = Reply(code, "x")
    assert Outcome.of(reply) == Outcome(verdict, reply)


def test_a_result_sorts_its_recipients_by_verdict_and_keeps_their_order():
    outcomes = {
        "a": Outcome.of(Reply(550, "no")),
        "b": Outcome.of(Reply(250, "ok")),
        "c": Outcome(Verdict.UNKNOWN, None),
        "d": Outcome.of(Reply(450, "later")),
        "e": Outcome.of(Reply(250, "ok")),
    }
    result = SendResult(outcomes)
    assert list(result.recipients) == list("abcde")
    assert list(result.accepted) == ["b", "e"]
    assert (list(result.refused), list(result.deferred), list(result.unknown)) == (["a"], ["d"], ["c"])
    assert pickle.loads(pickle.dumps(result)) == result
    assert "accepted" in repr(result)


def test_verdicts_have_names():
    assert [verdict.value for verdict in Verdict] == ["accepted", "refused", "deferred", "unknown"]
