"""Needs and wants: small values with short names."""

from smtpkit.protocol import CHUNK, CLOSE, DONE, READ, WRITE, Call
from smtpkit.protocol.needs import NEXT_CHUNK, REWIND, UPGRADE, Expect


def test_needs_are_named():
    assert [repr(need) for need in (READ, WRITE, CLOSE, CHUNK, DONE)] == ["READ", "WRITE", "CLOSE", "CHUNK", "DONE"]
    assert len({NEXT_CHUNK, REWIND, UPGRADE}) == 3


def test_calls_and_expectations_are_values():
    assert Call("on_mail", 1) == Call("on_mail", 1) != Call("on_mail", 2)
    assert Call("", function=len).function is len
    assert Expect(2).replies == 2
