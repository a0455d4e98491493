"""Envelopes: text or mailboxes in, checked mailboxes out."""

import pytest

from smtpkit.errors import ParseError
from smtpkit.protocol.envelope import Envelope, forward_path, reverse_path
from smtpkit.wire.addresses import Mailbox

ALICE = Mailbox("alice", "a.example")


@pytest.mark.parametrize("null", [None, "", "<>"])
def test_the_null_reverse_path_has_three_spellings(null):
    assert Envelope(null, []).sender is None
    assert reverse_path(null) is None


@pytest.mark.parametrize("address", ["alice@a.example", ALICE])
def test_addresses_may_be_text_or_mailboxes(address):
    envelope = Envelope(address, [address])
    assert (envelope.sender, envelope.recipients) == (ALICE, (ALICE,))
    assert forward_path(address) == ALICE


@pytest.mark.parametrize("wrong", ["nobody at all", "a@b\r\nRCPT TO:<x@y.example>", "a@b.example>"])
def test_an_address_outside_the_grammar_is_refused(wrong):
    with pytest.raises(ParseError):
        Envelope(None, [wrong])
    with pytest.raises(ParseError):
        Envelope(wrong, [])


def test_one_mapping_of_parameters_holds_for_every_recipient():
    envelope = Envelope(None, [ALICE, ALICE], rcpt_parameters={"NOTIFY": "NEVER"})
    assert envelope.rcpt_parameters == ({"NOTIFY": "NEVER"}, {"NOTIFY": "NEVER"})


def test_parameters_may_stand_beside_the_recipients():
    envelope = Envelope(None, [ALICE, ALICE], {"SIZE": 3}, [{}, {"NOTIFY": "NEVER"}])
    assert envelope.mail_parameters == {"SIZE": 3}
    assert envelope.rcpt_parameters == ({}, {"NOTIFY": "NEVER"})


def test_parameters_are_empty_by_default():
    envelope = Envelope(None, [ALICE])
    assert (envelope.mail_parameters, envelope.rcpt_parameters) == ({}, ({},))


def test_as_many_mappings_as_recipients_or_none():
    with pytest.raises(ParseError, match="not as many"):
        Envelope(None, [ALICE], rcpt_parameters=[{}, {}])


def test_values_that_were_checked_before_are_taken_as_they_are():
    trusted = Envelope._trusted(ALICE, [ALICE], {"SIZE": 3}, [{}])
    assert trusted == Envelope(ALICE, [ALICE], {"SIZE": 3})


def test_what_the_caller_changes_later_does_not_reach_it():
    parameters, recipients = {"SIZE": 3}, [ALICE]
    envelope = Envelope(None, recipients, parameters)
    parameters["SIZE"] = 4
    recipients.clear()
    assert envelope == Envelope(None, [ALICE], {"SIZE": 3})
