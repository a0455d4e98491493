"""The state of a pool: what each change hands out, and what it closes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import LocalProtocolError, Timeout
from smtpkit.pooling import PoolLimits, PoolState, PoolStats, Waiter, seconds_left


class Flag:
    """What wakes a waiter."""

    def __init__(self):
        self.is_set = False

    def set(self):
        self.is_set = True


class Client:
    """A connection; it can do nothing, and the state asks nothing of it."""


def limits(**given):
    return PoolLimits(**{"size": 2, "max_messages": 100, "max_idle": 8.0, "max_age": 240.0, "rate": None, **given})


def state(**given):
    return PoolState(limits(**given))


def asked(pool, now=0.0, *, paced=True):
    waiter = Waiter(Flag, paced=paced)
    pool.ask(waiter, now)
    return waiter


def filled(pool, now=0.0):
    slot = asked(pool, now).slot
    slot.fill(Client(), now)
    return slot


@pytest.mark.parametrize(
    "wrong",
    [{"size": 0}, {"size": 1.5}, {"max_messages": 2.5}, {"max_idle": 0}, {"max_age": -1}, {"rate": 0}, {"size": "3"}],
)
def test_a_limit_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        limits(**wrong)


def test_who_asks_gets_a_slot_at_once_while_there_is_room():
    pool = state(size=2)
    first, second, third = asked(pool), asked(pool), asked(pool)
    assert first.slot.client is None
    assert second.slot not in (None, first.slot)
    assert third.slot is None
    assert first.event is None  # it need not wait
    assert not third.event.is_set
    assert pool.stats == PoolStats(in_use=2, waiting=1)


def test_a_slot_that_is_given_back_goes_to_who_waits_longest():
    pool = state(size=1)
    slot = filled(pool)
    first, second = asked(pool), asked(pool)
    assert pool.give_back(slot, 1.0, usable=True, carried=1) == []
    assert first.slot is slot
    assert first.event.is_set
    assert second.slot is None


def test_messages_are_counted_over_all_connections_of_a_slot():
    pool = state(size=1)
    pool.give_back(filled(pool), 1.0, usable=True, carried=5)
    slot = asked(pool, 2.0).slot
    slot.fill(Client(), 2.0)  # the other was found dead
    pool.give_back(slot, 3.0, usable=True, carried=2)
    assert pool.stats.messages == 7


def test_a_connection_that_broke_frees_its_slot():
    pool = state(size=1)
    slot = filled(pool)
    waiter = asked(pool)
    assert pool.give_back(slot, 1.0, usable=False, carried=1) == []
    assert waiter.slot.client is None
    assert pool.stats == PoolStats(in_use=1, lost=1, messages=1)


def test_a_slot_without_a_connection_is_free_again():
    pool = state(size=1)
    waiter = asked(pool)
    pool.give_back(waiter.slot, 1.0, usable=False)
    assert pool.stats == PoolStats()
    assert not pool.has_connections


def test_the_connection_given_back_last_is_used_first():
    pool = state(size=3)
    slots = [filled(pool) for _ in range(3)]
    for slot in slots:
        pool.give_back(slot, 1.0, usable=True, carried=1)
    assert asked(pool, 2.0).slot is slots[2]
    assert asked(pool, 2.0).slot is slots[1]
    assert pool.has_connections


def test_what_has_rested_too_long_is_closed():
    pool = state(size=3, max_idle=8.0)
    old, new = filled(pool), filled(pool)
    pool.give_back(old, 1.0, usable=True, carried=1)
    pool.give_back(new, 5.0, usable=True, carried=1)
    waiter = Waiter(Flag)
    assert pool.ask(waiter, 9.0) == [old.client]
    assert waiter.slot is new


def test_what_is_too_old_is_closed_when_it_is_given_back_or_asked_for():
    pool = state(max_age=10.0)
    slot, other = filled(pool), filled(pool)
    assert pool.give_back(slot, 10.0, usable=True, carried=1) == [slot.client]
    assert pool.give_back(other, 9.0, usable=True, carried=1) == []
    assert pool.advance(10.0) == [other.client]


def test_what_has_carried_enough_is_closed():
    pool = state(max_messages=2)
    slot = filled(pool)
    assert pool.give_back(slot, 0.0, usable=True, carried=1) == []
    again = asked(pool).slot
    assert again is slot
    assert pool.give_back(slot, 0.0, usable=True, carried=2) == [slot.client]
    assert pool.stats == PoolStats(messages=2)


def test_a_waiter_that_gives_up_leaves_the_row():
    pool = state(size=1)
    slot = filled(pool)
    first, second = asked(pool), asked(pool)
    pool.abandon(first, 0.0)
    pool.abandon(first, 0.0)
    pool.give_back(slot, 0.0, usable=True, carried=1)
    assert first.slot is None
    assert second.slot is slot


def test_a_waiter_that_gives_up_after_it_was_served_gives_back_what_it_got_untouched():
    pool = state(size=1, rate=1.0)
    slot = filled(pool)
    first, second = asked(pool), asked(pool)
    pool.give_back(slot, 3.0, usable=True, carried=1)
    assert first.slot is slot
    assert pool.abandon(first, 3.0) == []
    assert second.slot is slot
    assert slot.since == 3.0


def test_the_rate_spaces_messages_evenly_and_in_turn():
    pool = state(size=2, rate=2.0)
    assert asked(pool, 10.0).slot is not None
    second, third = asked(pool, 10.1), asked(pool, 10.1)
    assert second.slot is None
    assert pool.patience(second, 10.1) == pytest.approx(0.4)
    assert pool.patience(third, 10.1) > 1000
    pool.advance(10.4)
    assert second.slot is None
    pool.advance(10.5)
    assert second.slot is not None
    assert pool.patience(third, 10.5) > 1000  # it waits for a slot now, not for the rate
    pool.give_back(second.slot, 10.6, usable=True)
    assert third.slot is None
    assert third.event.is_set  # it is the first in the row now
    assert pool.patience(third, 10.6) == pytest.approx(0.4)


def test_the_rate_does_not_run_ahead_of_those_who_give_up():
    pool = state(size=1, rate=1.0)
    for _ in range(5):
        pool.abandon(asked(pool, 0.0), 0.0)
    waiter = asked(pool, 0.0)
    assert waiter.slot is not None
    assert asked(pool, 0.5).slot is None


def test_what_is_no_message_is_not_held_back_by_the_rate():
    pool = state(size=3, rate=0.01)
    assert asked(pool).slot is not None
    assert asked(pool, paced=False).slot is not None
    pool.abandon(asked(pool, paced=False), 0.0)
    late = asked(pool)
    assert late.slot is None
    assert pool.patience(Waiter(Flag, paced=False), 0.0) > 1000


def test_a_closed_pool_hands_out_nothing_and_wakes_who_waits():
    pool = state(size=2)
    resting, used = filled(pool), filled(pool)
    waiter = asked(pool)
    pool.give_back(resting, 0.0, usable=True, carried=1)
    pool.give_back(waiter.slot, 0.0, usable=True, carried=2)
    late = Waiter(Flag)
    assert pool.close() == [resting.client]
    assert pool.close() == []
    with pytest.raises(LocalProtocolError, match="closed"):
        pool.ask(late, 0.0)
    assert pool.give_back(used, 0.0, usable=True, carried=1) == [used.client]
    assert pool.stats == PoolStats(messages=3)


def test_closing_wakes_who_waits():
    pool = state(size=1)
    filled(pool)
    waiter = asked(pool)
    pool.close()
    assert waiter.event.is_set
    assert waiter.slot is None
    pool.abandon(waiter, 0.0)


def test_a_connection_has_rested_after_a_second():
    pool = state()
    slot = filled(pool, 5.0)
    pool.give_back(slot, 7.0, usable=True, carried=1)
    assert not slot.has_rested(7.9)
    assert slot.has_rested(8.0)


def test_numbers_say_what_they_count():
    assert repr(PoolStats(idle=2, retried=1)) == (
        "PoolStats(idle=2, in_use=0, waiting=0, opened=0, reused=0, lost=0, messages=0, retried=1)"
    )


def test_a_slot_of_another_pool_is_not_taken():
    slot = filled(state())
    pool = state()
    assert pool.give_back(slot, 0.0, usable=True, carried=1) == []
    assert pool.stats == PoolStats()


def test_a_deadline_that_has_passed_is_a_timeout():
    assert seconds_left(None, 5.0) is None
    assert seconds_left(7.0, 5.0) == 2.0
    with pytest.raises(Timeout) as caught:
        seconds_left(5.0, 5.0)
    assert (caught.value.stage, caught.value.may_retry) == ("pool", True)


EVENTS = st.lists(
    st.tuples(st.sampled_from(["ask", "ask", "free", "back", "broken", "abandon", "advance"]), st.integers(0, 30)),
    max_size=60,
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(EVENTS, st.integers(1, 3), st.sampled_from([None, 0.5, 3.0]))
def test_whatever_happens_no_slot_is_lost_and_nobody_waits_in_vain(events, size, rate):
    """Slots never exceed the size, nobody is served out of turn, and at the end everything is free again."""
    pool = state(size=size, rate=rate, max_messages=3, max_idle=5.0, max_age=20.0)
    now, row, served, closed = 0.0, [], [], []
    for kind, number in events:
        now += number / 10
        if kind in ("ask", "free"):
            waiter = Waiter(Flag, paced=kind == "ask")
            closed += pool.ask(waiter, now)
            row.append(waiter)
        elif kind == "abandon" and row:
            closed += pool.abandon(row.pop(number % len(row)), now)
        elif kind in ("back", "broken") and served:
            slot = served.pop(number % len(served)).slot
            if slot.client is None:
                slot.fill(Client(), now)
            closed += pool.give_back(slot, now, usable=kind == "back", carried=slot.messages + 1)
        else:
            closed += pool.advance(now)
        while row and row[0].slot is not None:
            served.append(row.pop(0))
        assert not [waiter for waiter in row if waiter.slot is not None]  # in turn
        stats = pool.stats
        assert (stats.in_use, stats.waiting) == (len(served), len(row))
        assert stats.in_use + stats.idle <= size
        if row and stats.in_use < size and rate is None:
            raise AssertionError("somebody waits although there is room")
        assert not row or pool.patience(row[0], now) <= 1000 or stats.in_use == size or not row[0].paced
    for waiter in served:
        pool.give_back(waiter.slot, now, usable=False)
    for _ in row:
        now += 10
        pool.advance(now)
    for waiter in row:
        pool.abandon(waiter, now)
    assert pool.stats.in_use == pool.stats.waiting == 0
    assert len(closed) == len(set(closed))
