"""Calls of the user's code that go on for too long, on a clock of the test's own."""

from smtpkit.overdue import Calls


class Connection:
    def overdue(self):
        raise AssertionError("the watchdogs call this, and nobody else")


A, B = Connection(), Connection()


def test_a_call_is_overdue_once():
    calls = Calls(10)
    calls.begin(A, 100)
    calls.begin(B, 105)
    assert calls.overdue(109) == []
    assert calls.overdue(110) == [A]
    assert calls.overdue(114) == []
    assert calls.overdue(120) == [B]


def test_either_the_caller_ends_a_call_or_it_is_overdue():
    calls = Calls(10)
    calls.begin(A, 100)
    calls.begin(B, 100)
    assert calls.end(A, 100)
    assert calls.overdue(110) == [B]
    assert not calls.end(B, 100)
    assert not calls.end(A, 100)


def test_the_next_look_is_due_when_the_first_call_is_and_no_sooner():
    calls = Calls(10)
    assert calls.pause(100) == 10  # whatever begins now has as much time
    calls.begin(A, 100)
    calls.begin(B, 105)
    assert calls.pause(107) == 3
    calls.end(A, 100)
    assert calls.pause(107) == 8
    assert calls.pause(120) == 0


def test_without_a_limit_nothing_is_ever_overdue():
    calls = Calls(None)
    calls.begin(A, 100)
    assert calls.overdue(1e12) == []
    assert calls.pause(100) == 3600
