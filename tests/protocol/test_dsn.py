"""What a sender wants to be told, as a value."""

from smtpkit import DSN


def test_one_condition_or_several_may_be_given():
    assert DSN(notify="NEVER").notify == ("NEVER",)
    assert DSN("FULL", "QQ314159", ["SUCCESS", "DELAY"], True) == DSN(
        ret="FULL", envid="QQ314159", notify=("SUCCESS", "DELAY"), orcpt=True
    )


def test_what_is_not_wanted_is_not_asked_for():
    assert DSN() == DSN(ret=None, envid=None, notify=(), orcpt=False)
