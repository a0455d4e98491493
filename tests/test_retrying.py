"""A message over several attempts: who is still asked for, what is merged, and when it ends."""

from email.message import EmailMessage

import pytest

from smtpkit import Mailbox, Message, Retry
from smtpkit.errors import ConnectionLost, MessageRefused, NotSupported, RecipientsRefused
from smtpkit.protocol.envelope import Envelope
from smtpkit.protocol.results import Outcome, SendResult, Verdict
from smtpkit.retrying import Delivery
from smtpkit.wire.replies import Reply

OK, NO, LATER = Reply(250, "ok"), Reply(550, "no"), Reply(451, "later")
UNKNOWN = Outcome(Verdict.UNKNOWN, None)
RETRY = Retry(3, 1.0, jitter=0)


class Client:
    """Notes what it is asked to send."""

    def __init__(self):
        self.sent = []

    def send(self, sender, recipients, body, **options):
        self.sent.append((sender, recipients, body, options))
        return "sent"

    def send_message(self, message, sender, recipients, **options):
        self.sent.append((message, sender, recipients, options))
        return "sent"


def result(**replies):
    return SendResult({address: Outcome.of(reply) for address, reply in replies.items()})


def refusal(kind, may_retry=True, **replies):
    error = kind(LATER) if kind is not ConnectionLost else kind("gone")
    error.recipients = {
        address: reply if isinstance(reply, Outcome) else Outcome.of(reply) for address, reply in replies.items()
    }
    error.may_retry = may_retry
    return error


def delivery(recipients=("a", "b", "c"), body=b"body", retry=RETRY, **options):
    return Delivery("s", recipients, body, retry, options)


def test_the_first_attempt_is_what_the_caller_asked_for():
    client = Client()
    assert delivery(dsn=1).attempt(client, None) == "sent"
    assert delivery("a", deadline=9.0).attempt(client, 4.0) == "sent"
    delivery(Mailbox.parse("a@b.example")).attempt(client, None)
    assert client.sent == [
        ("s", ["a", "b", "c"], b"body", {"dsn": 1}),
        ("s", ["a"], b"body", {"deadline": 4.0}),
        ("s", [Mailbox.parse("a@b.example")], b"body", {}),
    ]


def test_a_careful_attempt_sends_no_content_before_the_server_was_heard():
    client = Client()
    delivery("a").attempt(client, None, careful=True)
    delivery("a", chunking=True).attempt(client, None, careful=True)
    delivery("a", chunking=False).attempt(client, None)
    assert [options["chunking"] for *_, options in client.sent] == [False, True, False]


def test_only_those_who_were_deferred_are_asked_for_again():
    client, sending = Client(), delivery()
    assert sending.note(result(a=OK, b=LATER, c=NO), None) == 1.0
    sending.attempt(client, None)
    assert client.sent[0][1] == ["b"]
    assert sending.note(result(b=OK), None) is None
    assert sending.result() == result(a=OK, b=OK, c=NO)


def test_those_whom_an_error_does_not_name_are_asked_for_again():
    client, sending = Client(), delivery()
    assert sending.note(refusal(ConnectionLost, b=NO), None) == 1.0
    sending.attempt(client, None)
    assert client.sent[0][1] == ["a", "c"]
    assert sending.note(result(a=OK, c=OK), None) is None
    assert sending.result() == result(a=OK, b=NO, c=OK)


def test_attempts_end_with_what_is_known():
    sending = delivery()
    assert sending.note(result(a=OK, b=LATER, c=OK), None) == 1.0
    assert sending.note(refusal(RecipientsRefused, b=LATER), None) == 2.0
    assert sending.note(refusal(ConnectionLost), None) is None
    assert sending.result() == result(a=OK, b=LATER, c=OK)


def test_a_recipient_who_is_named_twice_is_wanted_once():
    sending = delivery(("a", "a", "b"), raise_for="any")
    assert sending.note(refusal(RecipientsRefused, a=OK, b=LATER), None) == 1.0
    assert sending.note(result(b=OK), None) is None
    assert sending.result() == result(a=OK, b=OK)


def test_the_last_error_is_raised_if_nobody_was_accepted():
    sending = delivery(retry=Retry(2, 0))
    assert sending.note(refusal(ConnectionLost, c=NO), None) == 0
    last = refusal(MessageRefused, a=LATER, b=LATER)
    assert sending.note(last, None) is None
    with pytest.raises(MessageRefused) as caught:
        sending.result()
    assert caught.value is last
    assert caught.value.recipients == result(a=LATER, b=LATER, c=NO).recipients


def test_what_may_have_been_accepted_is_never_sent_again():
    sending = delivery()
    error = refusal(ConnectionLost, may_retry=False, a=UNKNOWN)
    assert sending.note(error, None) is None
    with pytest.raises(ConnectionLost):
        sending.result()
    sending = delivery()
    assert sending.note(SendResult({"a": UNKNOWN, "b": Outcome.of(LATER), "c": Outcome.of(OK)}), None) is None


def test_what_is_known_to_be_useless_is_not_sent_again():
    sending = delivery()
    assert sending.note(NotSupported("no SMTPUTF8"), None) is None
    with pytest.raises(NotSupported):
        sending.result()


def test_without_a_policy_there_is_one_attempt():
    sending = delivery(retry=None)
    assert sending.note(result(a=OK, b=LATER, c=LATER), None) is None
    assert sending.result() == result(a=OK, b=LATER, c=LATER)


def test_a_wait_that_the_deadline_does_not_allow_ends_it():
    assert delivery().note(refusal(ConnectionLost), 1.0) is None
    assert delivery().note(refusal(ConnectionLost), 1.1) == 1.0


def test_all_or_nothing_ends_with_the_first_refusal():
    sending = delivery(partial=False)
    assert sending.note(refusal(RecipientsRefused, a=LATER), None) == 1.0
    assert sending.note(refusal(RecipientsRefused, a=LATER, b=NO), None) is None


def test_any_refusal_raises_where_that_is_wanted():
    sending = delivery(raise_for="any")
    first = refusal(RecipientsRefused, a=NO, b=LATER, c=OK)
    assert sending.note(first, None) == 1.0
    assert sending.note(result(b=OK), None) is None
    with pytest.raises(RecipientsRefused) as caught:
        sending.result()
    assert caught.value.recipients == result(a=NO, b=OK, c=OK).recipients
    sending = delivery(raise_for="any")
    assert sending.note(refusal(RecipientsRefused, a=OK, b=LATER, c=OK), None) == 1.0
    assert sending.note(result(b=OK), None) is None
    assert sending.result() == result(a=OK, b=OK, c=OK)


def test_a_body_that_was_read_is_not_sent_again_and_the_error_says_so():
    client, body = Client(), iter([b"a", b"b"])
    sending = delivery(body=body)
    sending.attempt(client, None)
    assert sending.note(refusal(ConnectionLost), None) == 1.0  # nothing was read yet
    next(client.sent[0][2])
    error = refusal(ConnectionLost)
    assert sending.note(error, None) is None
    assert "only once" in error.__notes__[0]
    sending = delivery(body=body)
    sending.attempt(client, None)
    list(client.sent[1][2])
    assert sending.note(result(a=OK, b=LATER, c=OK), None) is None
    assert sending.result() == result(a=OK, b=LATER, c=OK)


def test_a_new_connection_is_free_while_nothing_was_accepted_and_the_body_can_be_given():
    sending = delivery()
    assert sending.may_begin_again(refusal(ConnectionLost))
    assert not sending.may_begin_again(refusal(ConnectionLost, a=OK))
    client, sending = Client(), delivery(body=iter([b"a"]))
    sending.attempt(client, None)
    assert sending.may_begin_again(refusal(ConnectionLost))
    next(client.sent[0][2])
    assert not sending.may_begin_again(refusal(ConnectionLost))


def test_parameters_of_recipients_go_with_them():
    client = Client()
    sending = delivery(rcpt_parameters=[{"X": 1}, {"X": 2}, {"X": 3}])
    sending.note(result(a=LATER, b=OK, c=LATER), None)
    sending.attempt(client, None)
    assert client.sent[0][3]["rcpt_parameters"] == [{"X": 1}, {"X": 3}]
    sending = delivery(rcpt_parameters={"X": 1})
    sending.note(result(a=LATER, b=OK, c=LATER), None)
    sending.attempt(client, None)
    assert client.sent[1][3]["rcpt_parameters"] == {"X": 1}


def test_of_a_recipient_given_twice_the_first_parameters_hold():
    client = Client()
    sending = delivery(["a", "b", "a"], rcpt_parameters=[{"X": 1}, {}, {"X": 3}])
    sending.note(result(a=LATER, b=OK), None)
    sending.attempt(client, None)
    assert client.sent[0][1] == ["a", "a"]
    assert client.sent[0][3]["rcpt_parameters"] == [{"X": 1}, {"X": 1}]


def test_recipients_of_a_message_come_from_where_a_client_takes_them():
    client = Client()
    email = EmailMessage()
    email["To"] = "b@b.example"
    Delivery.of_message(email, None, None, None, {}).attempt(client, None)
    received = Message(Envelope("a@a.example", ["c@c.example"]), b"content")
    Delivery.of_message(received, None, None, None, {}).attempt(client, None)
    Delivery.of_message(received, "x@x.example", "y@y.example", None, {}).attempt(client, None)
    assert [list(map(str, recipients)) for _, _, recipients, _ in client.sent] == [
        ["b@b.example"],
        ["c@c.example"],
        ["y@y.example"],
    ]
    assert [sender for _, sender, _, _ in client.sent] == [None, None, "x@x.example"]


def test_an_item_is_a_message_or_a_triple():
    client = Client()
    received = Message(Envelope("a@a.example", ["c@c.example"]), b"content")
    Delivery.of_item(received, None, {}).attempt(client, None)
    Delivery.of_item(("s", "a", b"x"), RETRY, {}).attempt(client, None)
    assert client.sent[0][0] is received
    assert client.sent[1][:3] == ("s", ["a"], b"x")


def test_wrong_arguments_are_told_at_once():
    with pytest.raises(TypeError, match="retry is a Retry"):
        delivery(retry=3)
    with pytest.raises(ValueError, match="deadline"):
        delivery(deadline=0)
