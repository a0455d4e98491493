"""What came from an address lately is counted in bounded memory, by one process or by several together."""

import mmap
import random
from collections import Counter

import pytest

from smtpkit.protocol.ledger import Ledger

A, B = "192.0.2.1", "192.0.2.2"


def test_what_has_no_limit_is_not_counted():
    ledger = Ledger(messages=2)
    ledger.add(A, "connections", 0)
    assert ledger.count(A, "connections", 0) == 0
    assert not ledger.over(A, "connections", 0)


def test_an_address_is_over_when_it_has_reached_its_limit():
    ledger = Ledger(failed_logins=3)
    for _ in range(3):
        assert ledger.refusal(A, "failed_logins", 5) is None
        ledger.add(A, "failed_logins", 5)
    assert ledger.over(A, "failed_logins", 5)
    assert str(ledger.refusal(A, "failed_logins", 5)).startswith("421 4.7.0 ")
    assert not ledger.over(B, "failed_logins", 5)


def test_after_a_while_nothing_of_it_counts():
    ledger = Ledger(messages=9, window=10)
    for now, number in ((5, 7), (35, 1), (45, 1), (105, 1)):
        ledger.add(A, "messages", now, number)
        assert ledger.count(A, "messages", now) == (1.5 if now == 45 else number)


def test_a_count_that_is_beyond_all_numbers_stays_there():
    ledger = Ledger(messages=9)
    for _ in range(5):
        ledger.add(A, "messages", 0, 1 << 62)
    assert ledger.over(A, "messages", 0)


def test_kinds_do_not_mix_and_a_number_counts_as_such():
    ledger = Ledger(messages=9, recipients=9)
    ledger.add(A, "recipients", 0, 7)
    ledger.add(A, "messages", 0)
    assert (ledger.count(A, "recipients", 0), ledger.count(A, "messages", 0)) == (7, 1)


def test_the_window_slides():
    ledger = Ledger(errors=100, window=10)
    ledger.add(A, "errors", 9, 8)
    assert ledger.count(A, "errors", 9.9) == 8
    assert ledger.count(A, "errors", 10) == 8
    assert ledger.count(A, "errors", 15) == 4
    ledger.add(A, "errors", 15, 1)
    assert ledger.count(A, "errors", 15) == 5
    assert ledger.count(A, "errors", 20) == 1
    assert ledger.count(A, "errors", 30) == 0


def test_what_is_two_periods_old_is_gone_when_counting_goes_on():
    ledger = Ledger(errors=100, window=10)
    ledger.add(A, "errors", 5, 8)
    ledger.add(A, "errors", 25, 1)
    assert ledger.count(A, "errors", 25) == 1


def test_nobody_is_not_counted():
    ledger = Ledger(connections=1)
    for nobody in (None, ""):
        ledger.add(nobody, "connections", 0)
        assert not ledger.over(nobody, "connections", 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("2001:db8:0:2::1", "2001:db8:0:3::1", False),
        ("2001:db8::1", "2001:db8::8000:0:0:1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("no:address", "no:address", True),
        ("no:address", "no:other", False),
        ("\udcff", "\udcff", True),
    ],
)
def test_an_ipv6_address_stands_for_its_network(one, other, same):
    ledger = Ledger(connections=1)
    ledger.add(one, "connections", 0)
    assert ledger.over(other, "connections", 0) is same


def test_processes_that_share_the_memory_count_together():
    with mmap.mmap(-1, Ledger.size(64, 3)) as memory:
        ledger = Ledger(messages=10, addresses=64, workers=3, memory=memory)
        workers = [ledger.of_worker(number) for number in range(3)]
        for number, worker in enumerate(workers):
            worker.add(A, "messages", 1, number + 1)
        assert {worker.count(A, "messages", 1) for worker in workers} == {6}
        # One that is begun anew goes on where the last of its number has ended.
        again = Ledger(messages=10, addresses=64, workers=3, memory=memory).of_worker(1)
        again.add(A, "messages", 1, 4)
        assert all(worker.over(A, "messages", 1) for worker in workers)
        for each in (ledger, again):
            each._words.release()
            each._memory.release()
        del ledger, again, workers, worker, each


def test_a_flood_of_addresses_makes_it_forget_the_oldest():
    ledger = Ledger(connections=5, window=10, addresses=8)
    ledger.add(A, "connections", 0, 5)
    for number in range(1000):
        ledger.add(f"198.51.100.{number}", "connections", 100)
    assert ledger.count(A, "connections", 100) == 0
    assert len(ledger._memory) == Ledger.size(8)


def test_few_addresses_are_counted_exactly():
    seed = random.Random(7)
    ledger, truth = Ledger(connections=1, addresses=4096), Counter()
    for _ in range(3000):
        address = f"10.0.0.{seed.randrange(200)}"
        ledger.add(address, "connections", 1)
        truth[address] += 1
    assert {address: ledger.count(address, "connections", 1) for address in truth} == truth


@pytest.mark.parametrize("wrong", [{"window": 0}, {"messages": 0}, {"addresses": 0}, {"memory": bytearray(8)}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"above 0|octets"):
        Ledger(**wrong)


def test_there_are_as_many_workers_as_were_said():
    with pytest.raises(ValueError, match="numbered from 0"):
        Ledger(workers=2).of_worker(2)


def test_it_says_what_it_is():
    assert repr(Ledger(messages=3)) == "<Ledger of messages=3 in 600.0 s, worker 0 of 1>"


def test_who_never_pauses_is_counted_for_one_window_at_a_time():
    ledger = Ledger(messages=100, window=10)
    for now in range(5, 105, 10):
        ledger.add("192.0.2.1", "messages", now)
    assert ledger.count("192.0.2.1", "messages", 95) == 1.5
