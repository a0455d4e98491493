"""Several transactions for one message: who is asked when, and one result."""

import pytest

from smtpkit.errors import ConnectionLost, MessageRefused, NotSupported, RecipientsRefused, SenderRefused
from smtpkit.protocol import Verdict
from smtpkit.protocol.needs import REWIND
from smtpkit.protocol.outgoing import Outgoing, scanned
from smtpkit.protocol.splitting import transactions
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import Mail, Rcpt

ACCEPTED, REFUSED, DEFERRED, UNKNOWN = Verdict
BODY = b"hi\r\n"
CONTENT = ["C: hi", "C: ."]


def names(count):
    return [f"r{number}@b.example" for number in range(count)]


def group(*numbers):
    return ["C: MAIL FROM:<>", *[f"C: RCPT TO:<r{number}@b.example>" for number in numbers], "C: DATA", "S: 250 m"]


def send(core, count, *, make_body=None, **options):
    recipients = {name: Rcpt(Mailbox.parse(name)) for name in names(count)}
    make_body = make_body or (lambda: Outgoing(BODY, scanned((BODY,))))
    return transactions(core, Mail(None), recipients, make_body, **options)


def verdicts(of):
    return [outcome.verdict for outcome in of.recipients.values()]


OK, GO, DONE = "S: 250 ok", "S: 354 go", "S: 250 done"
LIMIT = "S: 452 4.5.3 too many"


def test_all_in_one_where_nothing_speaks_against_it(play, ready):
    core = ready("PIPELINING", "LIMITS RCPTMAX=3")
    played = play(core, send(core, 3, max_recipients=5), [*group(0, 1, 2), *[OK] * 3, GO, *CONTENT, DONE], body=BODY)
    assert verdicts(played.result) == [ACCEPTED] * 3


@pytest.mark.parametrize(("keyword", "option"), [("LIMITS RCPTMAX=2", None), ("SIZE", 2), ("LIMITS RCPTMAX=9", 2)])
def test_a_limit_that_is_known_is_kept(play, ready, keyword, option):
    core = ready("PIPELINING", keyword)
    script = [*group(0, 1), OK, OK, GO, *CONTENT, DONE, *group(2), OK, GO, *CONTENT, DONE]
    played = play(core, send(core, 3, max_recipients=option), script, body=BODY)
    assert verdicts(played.result) == [ACCEPTED] * 3
    assert list(played.result.recipients) == names(3)


@pytest.mark.parametrize("line", [LIMIT, "S: 452 too many", "S: 552 5.5.3 too many", "S: 552 too many"])
def test_a_limit_that_turns_up_is_kept_from_then_on(play, ready, line):
    core = ready("PIPELINING")
    script = [*group(0, 1, 2, 3, 4), OK, OK, line, line, line, GO, *CONTENT, DONE]
    script += [*group(2, 3), OK, OK, GO, *CONTENT, DONE, *group(4), OK, GO, *CONTENT, DONE]
    played = play(core, send(core, 5), script, body=BODY)
    assert verdicts(played.result) == [ACCEPTED] * 5


@pytest.mark.parametrize("line", ["S: 451 4.2.1 busy", "S: 452 4.3.1 full", "S: 552 5.2.2 full", "S: 550 5.5.3 no"])
def test_other_refusals_stand(play, ready, line):
    core = ready("PIPELINING")
    played = play(core, send(core, 2), [*group(0, 1), OK, line, GO, *CONTENT, DONE], body=BODY)
    assert verdicts(played.result) == [ACCEPTED, DEFERRED if line[3] == "4" else REFUSED]


def test_a_552_that_was_said_of_the_mailbox_is_said_twice_and_stands(play, ready):
    core = ready("PIPELINING")
    script = [*group(0, 1, 2), OK, "S: 552 mailbox full", OK, GO, *CONTENT, DONE]
    script += [*group(1), "S: 552 mailbox full", "S: 503 no recipients", "C: RSET", OK]
    played = play(core, send(core, 3), script, body=BODY)
    assert verdicts(played.result) == [ACCEPTED, REFUSED, ACCEPTED]


def test_a_limit_that_lets_nobody_through_ends_it(play, ready):
    core = ready("PIPELINING")
    script = [*group(0, 1), LIMIT, LIMIT, "S: 503 no", "C: RSET", OK]
    with pytest.raises(RecipientsRefused) as info:
        play(core, send(core, 2), script, body=BODY)
    assert verdicts(info.value) == [DEFERRED, DEFERRED]
    assert info.value.may_retry


def test_nobody_follows_a_message_that_was_refused(play, ready):
    core = ready("PIPELINING")
    with pytest.raises(MessageRefused) as info:
        play(core, send(core, 2), [*group(0, 1), OK, LIMIT, GO, *CONTENT, "S: 554 spam"], body=BODY)
    assert verdicts(info.value) == [REFUSED, DEFERRED]


def test_a_body_that_cannot_be_replayed_is_sent_once(play, ready):
    core = ready("PIPELINING", "LIMITS RCPTMAX=1")
    script = [*group(0, 1), OK, LIMIT, GO, *CONTENT, DONE]
    played = play(core, send(core, 2, replayable=False, make_body=Outgoing), script, chunks=[BODY])
    assert verdicts(played.result) == [ACCEPTED, DEFERRED]


@pytest.mark.parametrize(
    "options", [{"replayable": False, "max_recipients": 1}, {"partial": False, "max_recipients": 1}]
)
def test_what_cannot_be_split_is_an_error_before_mail(play, ready, options):
    core = ready("PIPELINING")
    with pytest.raises(NotSupported) as info:
        play(core, send(core, 2, **options), [])
    assert info.value.extension == "LIMITS"


FIRST = [*group(0), OK, GO, *CONTENT, DONE]
LATER = {
    "mail refused": (
        [*group(1)[:-1], "S: 451 4.7.0 enough", "S: 503 b", "S: 503 c"],
        SenderRefused,
        [ACCEPTED, DEFERRED],
    ),
    "mail refused for good": (
        [*group(1)[:-1], "S: 550 no", "S: 503 b", "S: 503 c"],
        SenderRefused,
        [ACCEPTED, REFUSED],
    ),
    "recipient refused": ([*group(1), "S: 550 who", "S: 503 c", "C: RSET", OK], RecipientsRefused, [ACCEPTED, REFUSED]),
    "message refused": ([*group(1), OK, GO, *CONTENT, "S: 554 no"], MessageRefused, [ACCEPTED, REFUSED]),
    "lost before": ([*group(1), "S: <eof>"], ConnectionLost, [ACCEPTED, DEFERRED]),
    "lost after": ([*group(1), OK, GO, *CONTENT, "S: <eof>"], ConnectionLost, [ACCEPTED, UNKNOWN]),
}


@pytest.mark.parametrize("name", LATER)
def test_a_later_failure_is_in_the_result_and_hides_nothing(play, ready, name):
    script, _, expected = LATER[name]
    core = ready("PIPELINING")
    result = play(core, send(core, 2, max_recipients=1), [*FIRST, *script], body=BODY).result
    assert verdicts(result) == expected
    assert list(result.recipients) == names(2)


@pytest.mark.parametrize("name", LATER)
def test_with_raise_for_any_it_is_raised_with_what_went_before(play, ready, name):
    script, kind, expected = LATER[name]
    core = ready("PIPELINING")
    with pytest.raises(kind) as info:
        play(core, send(core, 2, max_recipients=1, raise_for="any"), [*FIRST, *script], body=BODY)
    named = verdicts(info.value)
    assert named == expected[: len(named)]
    assert named[0] is ACCEPTED


@pytest.mark.parametrize(("line", "retry"), [("550 no", False), ("450 later", True)])
def test_raise_for_any_without_a_failure(play, ready, line, retry):
    core = ready("PIPELINING")
    with pytest.raises(RecipientsRefused, match=r"r1@b\.example") as info:
        play(core, send(core, 2, raise_for="any"), [*group(0, 1), OK, f"S: {line}", GO, *CONTENT, DONE], body=BODY)
    assert verdicts(info.value) == [ACCEPTED, DEFERRED if retry else REFUSED]
    assert info.value.may_retry == retry


def test_raise_for_any_may_be_sent_again_if_anybody_was_deferred(play, ready):
    core = ready("PIPELINING")
    script = [*group(0, 1, 2), OK, "S: 550 no", "S: 450 later", GO, *CONTENT, DONE]
    with pytest.raises(RecipientsRefused, match="550 no") as info:
        play(core, send(core, 3, raise_for="any"), script, body=BODY)
    assert verdicts(info.value) == [ACCEPTED, REFUSED, DEFERRED]
    assert info.value.may_retry


NOBODY = [*group(0), "S: 550 no", "S: 503 no", "C: RSET", OK]


def test_a_transaction_without_recipients_does_not_keep_the_others_from_theirs(play, ready):
    core = ready("PIPELINING", "LIMITS RCPTMAX=1")
    script = [*NOBODY, *group(1), OK, GO, *CONTENT, DONE]
    assert verdicts(play(core, send(core, 2), script, body=BODY).result) == [REFUSED, ACCEPTED]
    core = ready("PIPELINING", "LIMITS RCPTMAX=1")
    with pytest.raises(RecipientsRefused, match="550 no") as info:
        play(core, send(core, 2, raise_for="any"), script, body=BODY)
    assert verdicts(info.value) == [REFUSED, ACCEPTED]
    assert not info.value.may_retry


@pytest.mark.parametrize(("line", "retry"), [("550 no", False), ("450 later", True)])
def test_if_all_transactions_are_without_recipients_the_first_error_names_all(play, ready, line, retry):
    core = ready("PIPELINING", "LIMITS RCPTMAX=1")
    script = [*NOBODY, *group(1), f"S: {line}", "S: 503 no", "C: RSET", OK]
    with pytest.raises(RecipientsRefused, match="550 no") as info:
        play(core, send(core, 2), script, body=BODY)
    assert verdicts(info.value) == [REFUSED, DEFERRED if retry else REFUSED]
    assert info.value.may_retry == retry


def test_after_421_nobody_follows(play, ready):
    core = ready("PIPELINING", "LIMITS RCPTMAX=1")
    with pytest.raises(RecipientsRefused, match="421 bye") as info:
        play(core, send(core, 2), [*group(0), "S: 421 bye", "S: <eof>"], body=BODY)
    assert info.value.may_retry


def test_where_the_line_is_lost_behind_a_refusal_nobody_else_was_asked(play, ready):
    core = ready("PIPELINING", "LIMITS RCPTMAX=1")
    script = [*group(0), "S: 550 no", "S: 503 no", "C: RSET", "S: <eof>"]
    with pytest.raises(RecipientsRefused, match="550 no") as info:
        play(core, send(core, 2), script, body=BODY)
    assert list(info.value.recipients) == names(1)
    assert info.value.may_retry  # to those who were not asked
    core = ready("PIPELINING", "LIMITS RCPTMAX=1")
    result = play(core, send(core, 3), [*FIRST, *[line.replace("r0", "r1") for line in script]], body=BODY).result
    assert verdicts(result) == [ACCEPTED, REFUSED, DEFERRED]


def test_all_or_nothing_is_useless_to_try_again_where_one_was_refused(play, ready):
    script = [*group(0, 1)[:-2], "S: 250 m", "S: 550 no", OK, "C: RSET", OK]
    core = ready("PIPELINING")
    with pytest.raises(RecipientsRefused) as info:
        play(core, send(core, 2, partial=False), script, body=BODY)
    assert not info.value.may_retry


def test_the_body_is_begun_again_between_transactions_alone(ready):
    core = ready("PIPELINING", "LIMITS RCPTMAX=1")
    assert next(send(core, 2)) is not REWIND


@pytest.mark.parametrize(("line", "again"), [("452 full", False), ("452 4.2.2 full", False), ("452 4.5.3 many", True)])
def test_in_lmtp_452_alone_may_be_said_of_a_mailbox(play, ready, line, again):
    core = ready("PIPELINING", lmtp=True)
    script = [*group(0, 1), OK, OK if not again else f"S: {line}", GO, *CONTENT, DONE]
    script += [*group(1), OK, GO, *CONTENT, DONE] if again else [f"S: {line}"]
    result = play(core, send(core, 2), script, body=BODY).result
    assert verdicts(result) == [ACCEPTED, ACCEPTED if again else DEFERRED]


def test_raise_for_any_is_content_when_all_are_accepted(play, ready):
    core = ready("PIPELINING")
    play(core, send(core, 1, raise_for="any"), FIRST, body=BODY)


def test_in_lmtp_a_loss_after_somebody_was_accepted_is_in_the_result(play, ready):
    core = ready("PIPELINING", lmtp=True)
    script = [*group(0, 1), OK, OK, GO, *CONTENT, "S: 250 one", "S: <eof>"]
    assert verdicts(play(core, send(core, 2), script, body=BODY).result) == [ACCEPTED, UNKNOWN]
    core = ready("PIPELINING", lmtp=True)
    with pytest.raises(ConnectionLost) as info:
        play(core, send(core, 2, raise_for="any"), script, body=BODY)
    assert verdicts(info.value) == [ACCEPTED, UNKNOWN]
    assert not info.value.may_retry
