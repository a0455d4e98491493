"""Values: equality, hash, repr and matching come from the slots."""

import pickle

import pytest

from smtpkit import Mail, Mailbox, OriginalRecipient
from smtpkit.wire.value import Value


class Point(Value):
    __slots__ = ("x", "y", "_derived")

    def __init__(self, x, y):
        self.x = x
        self.y = y
        self._derived = object()


class Point3(Point):
    __slots__ = ("z",)

    def __init__(self, x, y, z):
        super().__init__(x, y)
        self.z = z


def test_fields_are_the_slots_without_an_underscore_in_their_order():
    assert Point.__match_args__ == ("x", "y")
    assert Point3.__match_args__ == ("x", "y", "z")
    match Point3(1, 2, 3):
        case Point3(x, y, z):
            assert (x, y, z) == (1, 2, 3)


def test_values_are_equal_if_their_fields_are():
    assert Point(1, 2) == Point(1, 2)
    assert Point(1, 2) != Point(2, 1)
    assert hash(Point(1, 2)) == hash(Point(1, 2))


@pytest.mark.parametrize("other", [(1, 2), Point3(1, 2, 3), None, "Point(1, 2)"])
def test_a_value_equals_nothing_of_another_type(other):
    assert Point(1, 2) != other


def test_repr_shows_the_fields():
    assert repr(Point(1, "a")) == "Point(1, 'a')"


def test_a_mapping_among_the_fields_is_hashed_whatever_its_order():
    address = Mailbox("a", "b.example")
    one = Mail(address, {"SIZE": 1, "RET": "FULL"})
    other = Mail(address, {"RET": "FULL", "SIZE": 1})
    assert one == other
    assert hash(one) == hash(other)


def test_values_have_no_dict_and_can_be_pickled():
    value = OriginalRecipient("rfc822", "a@b.example")
    assert not hasattr(value, "__dict__")
    assert pickle.loads(pickle.dumps(value)) == value
