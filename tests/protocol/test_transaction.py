"""The mail transaction: what is said in which groups, and the verdict on each recipient."""

import pytest

from smtpkit.errors import (
    ConnectionLost,
    MessageRefused,
    NotSupported,
    ParseError,
    RecipientsRefused,
    RemoteProtocolError,
    SenderRefused,
    Timeout,
)
from smtpkit.protocol import Verdict
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.outgoing import PIECE, Outgoing, scanned
from smtpkit.protocol.transaction import transaction
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import Mail, Rcpt
from smtpkit.wire.replies import Reply

MAIL = Mail(Mailbox("a", "a.example"))
NAMES = ("r1@b.example", "r2@b.example", "r3@b.example")
MAIL_LINE = "C: MAIL FROM:<a@a.example>"
R1, R2, R3 = RCPT_LINES = tuple(f"C: RCPT TO:<{name}>" for name in NAMES)
TO_TWO = [MAIL_LINE, R1, R2]
BODY = b"Subject: x\r\n\r\n.hi\r\n"
DATA_LINES = ["C: Subject: x", "C: ", "C: ..hi", "C: ."]
BDAT_LINES = [f"C: BDAT {len(BODY)} LAST", "C: Subject: x", "C: ", "C: .hi"]
PIPED = ("PIPELINING",)
CHUNKED = ("PIPELINING", "CHUNKING")

ACCEPTED, REFUSED, DEFERRED, UNKNOWN = Verdict


def to(*names):
    return {name: Rcpt(Mailbox.parse(name)) for name in names}


def sends(core, names=NAMES[:2], body=BODY, **options):
    outgoing = Outgoing(body, scanned((body,))) if isinstance(body, bytes) else body
    return transaction(core, MAIL, to(*names), outgoing, **options)


def verdicts(of):
    return {name.split("@")[0]: outcome.verdict for name, outcome in of.recipients.items()}


@pytest.fixture
def fails(play):
    """fails(error, core, exchange, script) -> the error, which the exchange raised at the end of the script."""

    def run(kind, core, exchange, script, *, body=BODY, chunks=()):
        with pytest.raises(kind) as info:
            play(core, exchange, script, body=body, chunks=chunks)
        assert type(info.value) is kind
        return info.value

    return run


# Everybody accepts: the exact octets, and the round trips

TWO_OK = ["S: 250 a", "S: 250 b", "S: 250 c"]
ONE_BY_ONE = [line for pair in zip([*TO_TWO, "C: DATA"], [*TWO_OK, "S: 354 go"], strict=True) for line in pair]

ALL_ACCEPTED = {
    "lock-step, DATA": ((), False, [*ONE_BY_ONE, *DATA_LINES, "S: 250 done"], 5),
    "lock-step, BDAT": (("CHUNKING",), False, [*ONE_BY_ONE[:-2], *BDAT_LINES, "S: 250 done"], 4),
    "pipelined, DATA": (PIPED, False, [*TO_TWO, "C: DATA", *TWO_OK, "S: 354 go", *DATA_LINES, "S: 250 done"], 2),
    "pipelined, BDAT": (CHUNKED, False, [*TO_TWO, *BDAT_LINES, *TWO_OK, "S: 250 done"], 1),
    "LMTP lock-step, DATA": ((), True, [*ONE_BY_ONE, *DATA_LINES, "S: 250 x", "S: 250 y"], 5),
    "LMTP, DATA": (
        PIPED,
        True,
        [*TO_TWO, "C: DATA", *TWO_OK, "S: 354 go", *DATA_LINES, "S: 250 x", "S: 250 y"],
        2,
    ),
    "LMTP, BDAT": (CHUNKED, True, [*TO_TWO, *TWO_OK, *BDAT_LINES, "S: 250 x", "S: 250 y"], 2),
}


@pytest.mark.parametrize("name", ALL_ACCEPTED)
def test_all_accepted(play, ready, name):
    keywords, lmtp, script, rounds = ALL_ACCEPTED[name]
    core = ready(*keywords, lmtp=lmtp)
    played = play(core, sends(core), script, body=BODY)
    assert verdicts(played.result) == {"r1": ACCEPTED, "r2": ACCEPTED}
    assert played.rounds == rounds
    assert core.idle
    assert list(played.result.accepted) == list(NAMES[:2])


@pytest.mark.parametrize("count", [1, 100])
@pytest.mark.parametrize(
    ("keywords", "trips"),
    [((), lambda n: n + 3), (("CHUNKING",), lambda n: n + 2), (PIPED, lambda n: 2), (CHUNKED, lambda n: 1)],
)
def test_round_trips(play, ready, keywords, trips, count):
    names = [f"r{number}@b.example" for number in range(count)]
    commands = [MAIL_LINE, *[f"C: RCPT TO:<{name}>" for name in names]]
    start = BDAT_LINES if "CHUNKING" in keywords else ["C: DATA"]
    if "PIPELINING" in keywords:
        script = [*commands, *start, *["S: 250 ok"] * (count + 1)]
    else:
        script = [line for command in commands for line in (command, "S: 250 ok")] + start
    script += ["S: 250 done"] if "CHUNKING" in keywords else ["S: 354 go", *DATA_LINES, "S: 250 done"]
    core = ready(*keywords)
    assert play(core, sends(core, names), script, body=BODY).rounds == trips(count)


# Some are refused


def test_some_refused_and_the_rest_get_the_message(play, ready):
    core = ready(*PIPED)
    script = [*TO_TWO, R3, "C: DATA", "S: 250 a", "S: 550 5.1.1 who", "S: 250 b", "S: 451 later", "S: 354 go"]
    result = play(core, sends(core, NAMES), [*script, *DATA_LINES, "S: 250 2.0.0 queued"], body=BODY).result
    assert verdicts(result) == {"r1": REFUSED, "r2": ACCEPTED, "r3": DEFERRED}
    assert list(result.recipients) == list(NAMES)
    assert result.recipients[NAMES[0]].reply.text == "who"
    assert result.recipients[NAMES[1]].reply.text == "queued"
    assert (list(result.refused), list(result.deferred)) == ([NAMES[0]], [NAMES[2]])
    assert result.unknown == {}


def test_some_refused_in_lock_step(play, ready):
    core = ready()
    script = [MAIL_LINE, "S: 250 a", R1, "S: 550 who", R2, "S: 250 b", "C: DATA", "S: 354 go", *DATA_LINES, "S: 250 d"]
    assert verdicts(play(core, sends(core), script, body=BODY).result) == {"r1": REFUSED, "r2": ACCEPTED}


def test_some_refused_with_the_message_in_the_same_group(play, ready):
    core = ready(*CHUNKED)
    script = [*TO_TWO, *BDAT_LINES, "S: 250 a", "S: 550 who", "S: 250 b", "S: 250 done"]
    assert verdicts(play(core, sends(core), script, body=BODY).result) == {"r1": REFUSED, "r2": ACCEPTED}


NOBODY = ["S: 250 a", "S: 550 5.1.1 one", "S: 450 4.2.1 two"]


@pytest.mark.parametrize(
    ("keywords", "start", "rest"),
    [
        (PIPED, ["C: DATA"], ["S: 503 no", "C: RSET", "S: 250 ok"]),
        (PIPED, ["C: DATA"], ["S: 354 go", "C: .", "S: 554 nobody"]),
        (PIPED, ["C: DATA"], ["S: 354 go", "C: .", "S: 250 whatever"]),
        (PIPED, ["C: DATA"], ["S: 354 go", "C: .", "S: <eof>"]),
        (PIPED, ["C: DATA"], ["S: 503 no", "C: RSET", "S: <eof>"]),
        (PIPED, ["C: DATA"], ["S: 503 no", "C: RSET", "S: rubbish"]),
        (CHUNKED, BDAT_LINES, ["S: 503 no", "C: RSET", "S: 250 ok"]),
    ],
)
def test_all_refused(fails, ready, keywords, start, rest):
    core = ready(*keywords)
    error = fails(RecipientsRefused, core, sends(core), [*TO_TWO, *start, *NOBODY, *rest])
    assert error.reply.text == "one"
    assert NAMES[0] in str(error)
    assert verdicts(error) == {"r1": REFUSED, "r2": DEFERRED}
    assert error.may_retry
    assert core.idle or "S: <eof>" in rest or "S: rubbish" in rest


def test_all_refused_for_good_is_not_to_be_retried(fails, ready):
    core = ready()
    script = [MAIL_LINE, "S: 250 a", R1, "S: 550 no", "C: RSET", "S: 250 ok"]
    assert not fails(RecipientsRefused, core, sends(core, NAMES[:1]), script).may_retry


def test_all_refused_in_lmtp(fails, ready):
    core = ready(*CHUNKED, lmtp=True)
    error = fails(RecipientsRefused, core, sends(core), [*TO_TWO, *NOBODY, "C: RSET", "S: 250 ok"])
    assert verdicts(error) == {"r1": REFUSED, "r2": DEFERRED}


def test_all_refused_in_lmtp_with_a_needless_354(fails, ready):
    core = ready(*PIPED, lmtp=True)
    script = [*TO_TWO, "C: DATA", *NOBODY, "S: 354 go", "C: .", "S: 503 nobody"]
    fails(RecipientsRefused, core, sends(core), script)
    assert core.idle


@pytest.mark.parametrize("line", ["550 5.7.1 not you", "451 4.7.1 later"])
@pytest.mark.parametrize("last", ["S: 503 d", "S: 354 go"])
def test_mail_refused(fails, ready, line, last):
    core = ready(*PIPED)
    script = [*TO_TWO, "C: DATA", f"S: {line}", "S: 503 b", "S: 503 c", last]
    if last == "S: 354 go":
        script += ["C: .", "S: 554 nobody"]
    error = fails(SenderRefused, core, sends(core), script)
    assert error.recipients == {}
    assert error.command is MAIL
    assert error.may_retry == (line[0] == "4")
    assert core.idle


def test_mail_refused_in_lock_step_ends_it(fails, ready):
    core = ready()
    fails(SenderRefused, core, sends(core), [MAIL_LINE, "S: 550 no"])
    assert core.idle


def test_mail_refused_with_the_message_in_the_same_group(fails, ready):
    core = ready(*CHUNKED)
    fails(SenderRefused, core, sends(core), [*TO_TWO, *BDAT_LINES, "S: 550 a", "S: 503 b", "S: 503 c", "S: 503 d"])
    assert core.idle


@pytest.mark.parametrize("keywords", [(), PIPED])
def test_data_refused(fails, ready, keywords):
    core = ready(*keywords)
    if keywords:
        script = [*TO_TWO, "C: DATA", "S: 250 a", "S: 550 b", "S: 250 c", "S: 451 4.3.0 later"]
    else:
        script = [MAIL_LINE, "S: 250 a", R1, "S: 550 b", R2, "S: 250 c", "C: DATA", "S: 451 4.3.0 later"]
    error = fails(MessageRefused, core, sends(core), [*script, "C: RSET", "S: 250 ok"])
    assert error.command.verb == "DATA"
    assert verdicts(error) == {"r1": REFUSED, "r2": DEFERRED}
    assert error.may_retry


@pytest.mark.parametrize(("line", "verdict"), [("554 5.6.0 spam", REFUSED), ("452 4.3.1 full", DEFERRED)])
@pytest.mark.parametrize("keywords", [PIPED, CHUNKED])
def test_message_refused(fails, ready, line, verdict, keywords):
    core = ready(*keywords)
    replies = ["S: 250 a", "S: 550 who", "S: 250 c"]
    if keywords == PIPED:
        script = [*TO_TWO, "C: DATA", *replies, "S: 354 go", *DATA_LINES, f"S: {line}"]
    else:
        # What a refused chunk leaves of the transaction is not known (RFC 3030 section 2).
        script = [*TO_TWO, *BDAT_LINES, *replies, f"S: {line}", "C: RSET", "S: 250 ok"]
    error = fails(MessageRefused, core, sends(core), script)
    assert verdicts(error) == {"r1": REFUSED, "r2": verdict}
    assert error.reply.code == int(line[:3])
    assert error.may_retry == (verdict is DEFERRED)
    assert core.idle


def test_no_recipient_for_bdat_last_leaves_a_connection_to_be_used_again(fails, ready):
    core = ready(*CHUNKED)
    script = [*TO_TWO, *BDAT_LINES, "S: 250 a", "S: 550 b", "S: 550 c", "S: 554 nobody", "C: RSET", "S: 250 ok"]
    fails(RecipientsRefused, core, sends(core), script)
    assert core.idle


def test_a_server_that_refuses_mail_and_takes_the_message_has_taken_it(play, ready):
    core = ready(*CHUNKED)
    script = [*TO_TWO, *BDAT_LINES, "S: 503 open already", "S: 250 b", "S: 550 c", "S: 250 taken"]
    result = play(core, sends(core), script).result
    assert verdicts(result) == {"r1": ACCEPTED, "r2": REFUSED}


def test_lmtp_mixed(play, ready):
    core = ready(*PIPED, lmtp=True)
    script = [*TO_TWO, R3, "C: DATA", *TWO_OK, "S: 250 d", "S: 354 go", *DATA_LINES, "S: 250 x", "S: 452 y", "S: 550 z"]
    result = play(core, sends(core, NAMES), script, body=BODY).result
    assert verdicts(result) == {"r1": ACCEPTED, "r2": DEFERRED, "r3": REFUSED}
    assert core.idle


def test_lmtp_all_refused_after_the_message(fails, ready):
    core = ready(*CHUNKED, lmtp=True)
    error = fails(MessageRefused, core, sends(core), [*TO_TWO, *TWO_OK, *BDAT_LINES, "S: 452 full", "S: 550 no"])
    assert verdicts(error) == {"r1": DEFERRED, "r2": REFUSED}
    assert error.reply.code == 452
    assert error.may_retry


# partial=False


@pytest.mark.parametrize("keywords", [(), PIPED, CHUNKED])
def test_without_partial_one_refusal_means_that_nothing_is_sent(fails, ready, keywords):
    core = ready(*keywords)
    if keywords:
        script = [*TO_TWO, "S: 250 a", "S: 250 b", "S: 550 c"]
    else:
        script = [MAIL_LINE, "S: 250 a", R1, "S: 250 b", R2, "S: 550 c"]
    error = fails(RecipientsRefused, core, sends(core, partial=False), [*script, "C: RSET", "S: 250 ok"])
    assert verdicts(error) == {"r2": REFUSED}  # the other was not accepted, and may be sent again
    assert error.may_retry
    assert core.idle


@pytest.mark.parametrize(
    ("keywords", "rest"),
    [
        (PIPED, ["C: DATA", "S: 354 go", *DATA_LINES, "S: 250 done"]),
        (CHUNKED, [*BDAT_LINES, "S: 250 done"]),
    ],
)
def test_without_partial_the_content_waits_for_every_recipient(play, ready, keywords, rest):
    core = ready(*keywords)
    played = play(core, sends(core, partial=False), [*TO_TWO, *TWO_OK, *rest], body=BODY)
    assert verdicts(played.result) == {"r1": ACCEPTED, "r2": ACCEPTED}


def test_without_partial_a_refusal_after_the_message_is_no_refusal_of_a_recipient(play, ready):
    core = ready(*PIPED, lmtp=True)
    script = [*TO_TWO, *TWO_OK, "C: DATA", "S: 354 go", *DATA_LINES, "S: 250 x", "S: 550 y"]
    result = play(core, sends(core, partial=False), script, body=BODY).result
    assert verdicts(result) == {"r1": ACCEPTED, "r2": REFUSED}


# DATA or BDAT


def test_chunking_can_be_refused_by_name(play, ready):
    core = ready(*CHUNKED)
    script = [*TO_TWO, "C: DATA", *TWO_OK, "S: 354 go", *DATA_LINES, "S: 250 done"]
    play(core, sends(core, chunking=False), script, body=BODY)


def test_chunking_that_is_demanded_and_not_offered_is_an_error_before_mail(fails, ready):
    core = ready(*PIPED)
    error = fails(NotSupported, core, sends(core, chunking=True), [])
    assert error.extension == "CHUNKING"
    assert not error.may_retry


def long_body(octets):
    return (b"x" * 62 + b"\r\n") * (octets // 64)


def test_a_long_body_goes_by_data_unless_chunking_is_demanded(play, ready):
    body = long_body(140_032)
    core = ready(*CHUNKED)
    script = [*TO_TWO, "C: DATA", *TWO_OK, "S: 354 go", b"C~ " + body, "C: .", "S: 250 done"]
    play(core, sends(core, body=body), script, body=body)
    script = [
        *[*TO_TWO, *TWO_OK, f"C: BDAT {PIECE}", b"C~ " + body[:PIECE], "S: 250 more"],
        *[f"C: BDAT {len(body) - PIECE} LAST", b"C~ " + body[PIECE:], "S: 250 done"],
    ]
    assert play(core, sends(core, body=body, chunking=True), script, body=body).rounds == 3


def test_a_binary_body_goes_by_bdat(play, ready):
    body = bytes(range(256))
    core = ready(*PIPED, "CHUNKING", "BINARYMIME")
    script = [MAIL_LINE, R1, "C: BDAT 256 LAST", b"C~ " + body, "S: 250 a", "S: 250 b", "S: 250 done"]
    outgoing = Outgoing(body, scanned((body,)), binary=True)
    play(core, sends(core, NAMES[:1], outgoing, chunking=False), script, body=body)


@pytest.mark.parametrize("code", [452, 503, 552])
@pytest.mark.parametrize("lmtp", [False, True])
def test_a_chunk_but_the_last_is_refused(fails, ready, code, lmtp):
    body = long_body(140_032)
    core = ready(*CHUNKED, lmtp=lmtp)
    script = [*TO_TWO, *TWO_OK, f"C: BDAT {PIECE}", b"C~ " + body[:PIECE], f"S: {code} no", "C: RSET", "S: 250 ok"]
    error = fails(MessageRefused, core, sends(core, body=body, chunking=True), script, body=body)
    assert verdicts(error) == dict.fromkeys(["r1", "r2"], DEFERRED if code == 452 else REFUSED)
    assert core.idle


@pytest.mark.parametrize("code", [500, 502])
def test_a_bdat_that_is_not_known_is_not_tried_again_on_that_connection(fails, ready, code):
    core = ready(*CHUNKED)
    driver = ClientDriver(core)
    fails(MessageRefused, driver, sends(core), [*TO_TWO, *BDAT_LINES, *TWO_OK, f"S: {code} what"])
    assert driver.broken


def test_pieces_of_an_iterable_are_gathered(play, ready):
    core = ready(*PIPED)
    chunks = [b"", b"one\n", b"", b".two\r", b"\nthree"]
    script = [*TO_TWO, "C: DATA", *TWO_OK, "S: 354 go", "C: one", "C: ..two", "C: three", "C: .", "S: 250 done"]
    play(core, sends(core, body=Outgoing()), script, chunks=chunks)


def test_an_empty_body_is_one(play, ready):
    core = ready(*PIPED)
    play(core, sends(core, body=b""), [*TO_TWO, "C: DATA", *TWO_OK, "S: 354 go", "C: .", "S: 250 done"], body=b"")
    core = ready(*CHUNKED)
    play(core, sends(core, body=b""), [*TO_TWO, "C: BDAT 0 LAST", *TWO_OK, "S: 250 done"], body=b"")
    script = [*TO_TWO, *TWO_OK, "C: BDAT 0 LAST", "S: 250 done"]
    play(core, sends(core, body=Outgoing(), chunking=True), script, chunks=[])


# A server that takes leave with 421 before the content: nobody has got anything, and everybody is told why


LEAVE = ["S: 421 4.3.2 going down", "S: <eof>"]
GONE = Reply(421, "going down", "4.3.2")


@pytest.mark.parametrize("keywords", [PIPED, CHUNKED])
@pytest.mark.parametrize(
    ("said", "kind", "known"),
    [
        ([], SenderRefused, {}),
        (["S: 250 a"], RecipientsRefused, {"r1": DEFERRED, "r2": DEFERRED}),
        (["S: 250 a", "S: 250 b"], MessageRefused, {"r1": DEFERRED, "r2": DEFERRED}),
        (["S: 250 a", "S: 550 b"], RecipientsRefused, {"r1": REFUSED, "r2": DEFERRED}),
        (TWO_OK, MessageRefused, {"r1": DEFERRED, "r2": DEFERRED}),
    ],
)
def test_a_421_to_a_group_answers_the_rest_of_it(fails, ready, keywords, said, kind, known):
    core = ready(*keywords)
    driver = ClientDriver(core)
    script = [*TO_TWO, *(["C: DATA"] if keywords == PIPED else BDAT_LINES), *said, *LEAVE]
    error = fails(kind, driver, sends(core), script)
    assert verdicts(error) == known
    assert error.may_retry
    assert core.closing == GONE
    assert driver.broken


@pytest.mark.parametrize("keywords", [(), ("CHUNKING",)])
@pytest.mark.parametrize("chunking", [None, True])
@pytest.mark.parametrize("at", [1, 2])
def test_after_a_421_in_lock_step_nothing_more_is_sent(fails, ready, keywords, chunking, at):
    if chunking and not keywords:
        return
    core = ready(*keywords)
    script = [line for pair in zip(TO_TWO, TWO_OK, strict=True) for line in pair][: 2 * at]
    body, chunks = (BODY, ()) if chunking is None else (Outgoing(), [BODY])
    exchange = sends(core, body=body, chunking=chunking)
    script += [TO_TWO[at], *LEAVE]
    kind = RecipientsRefused if at == 1 else MessageRefused
    error = fails(kind, core, exchange, script, body=BODY if chunking is None else None, chunks=chunks)
    assert verdicts(error) == {"r1": DEFERRED, "r2": DEFERRED}
    assert error.reply == GONE


def test_a_421_ends_the_windows_too(fails, ready):
    core = ready(*PIPED)
    names = [f"r{number}@b.example" for number in range(200)]
    script = [MAIL_LINE, *(f"C: RCPT TO:<{name}>" for name in names[:126]), "S: 250 a", "S: 250 r0", *LEAVE]
    error = fails(MessageRefused, core, sends(core, names), script)
    assert set(verdicts(error).values()) == {DEFERRED}
    assert list(error.recipients) == names


def test_in_lmtp_a_421_speaks_for_one_recipient(fails, ready):
    core = ready(*PIPED, lmtp=True)
    script = [*TO_TWO, "C: DATA", *TWO_OK, "S: 354 go", *DATA_LINES, *LEAVE]
    error = fails(ConnectionLost, core, sends(core), script)
    assert verdicts(error) == {"r1": DEFERRED, "r2": UNKNOWN}
    assert str(error).endswith("; whether the message was accepted is not known")


# A server that gives up in the middle of the content


PIECES = [b"x" * 16382 + b"\r\n", b"y" * 16382 + b"\r\n", b"end\r\n"]


@pytest.mark.parametrize(("line", "verdict"), [("552 5.3.4 too much", REFUSED), ("421 4.3.2 closing", DEFERRED)])
@pytest.mark.parametrize("lmtp", [False, True])
def test_an_early_refusal_ends_the_content(fails, ready, line, verdict, lmtp):
    core = ready(*PIPED, lmtp=lmtp)
    driver = ClientDriver(core)
    script = [*TO_TWO, "C: DATA", *TWO_OK, "S: 354 go", b"C~ " + PIECES[0], f"S: {line}"]
    error = fails(MessageRefused, driver, sends(core, body=Outgoing()), script, body=None, chunks=PIECES)
    assert verdicts(error) == {"r1": verdict, "r2": verdict}
    assert driver.broken  # and the connection is closed without an end of data
    assert driver.take() == b""


@pytest.mark.parametrize("lmtp", [False, True])
def test_a_refusal_that_comes_while_the_last_piece_is_awaited_keeps_the_end_back(ready, lmtp):
    core = ready(*PIPED, lmtp=lmtp)
    driver = ClientDriver(core)
    driver.start(sends(core, body=Outgoing()))
    driver.next()
    driver.next()
    driver.take()
    driver.receive(b"250 a\r\n250 b\r\n250 c\r\n354 go\r\n")
    assert driver.next().name == "CHUNK"
    driver.receive(b"552 5.3.4 too much\r\n")
    with pytest.raises(MessageRefused) as info:
        driver.next(None)
    assert verdicts(info.value) == {"r1": REFUSED, "r2": REFUSED}
    assert driver.take() == b""
    assert driver.broken


def test_a_body_that_turns_out_unsendable_has_no_end_of_data(ready, fails):
    core = ready(*PIPED)
    chunks = [PIECES[0], b"\xff", b"rest"]
    script = [*TO_TWO, "C: DATA", *TWO_OK, "S: 354 go"]
    body = Outgoing(eight_bit=False)
    error = fails(NotSupported, core, sends(core, body=body), script, body=None, chunks=chunks)
    assert error.recipients == {}
    assert not core.idle


def test_a_held_body_that_cannot_be_sent_is_found_before_mail():
    with pytest.raises(ParseError):
        Outgoing(b"a\0b", scanned((b"a\0b",)))


# The line breaks


LOSSES = [
    ("<eof>", ConnectionLost),
    ("<reset>", ConnectionLost),
    ("<silence>", Timeout),
    ("rubbish", RemoteProtocolError),
]


def cases():
    """Every prefix of a script at whose end the line breaks, and the verdicts."""
    for lmtp in (False, True):
        yield PIPED, lmtp, [*TO_TWO, "C: DATA"], {}
        yield PIPED, lmtp, [*TO_TWO, "C: DATA", "S: 250 a"], {}
        yield PIPED, lmtp, [*TO_TWO, "C: DATA", "S: 250 a", "S: 550 b"], {"r1": REFUSED}
        yield PIPED, lmtp, [*TO_TWO, "C: DATA", "S: 250 a", "S: 550 b", "S: 250 c"], {"r1": REFUSED}
        whole = [*TO_TWO, "C: DATA", *TWO_OK, "S: 354 go", *DATA_LINES]
        yield PIPED, lmtp, whole, {"r1": UNKNOWN, "r2": UNKNOWN}
        some = [*TO_TWO, "C: DATA", "S: 250 a", "S: 450 b", "S: 250 c", "S: 354 go", *DATA_LINES]
        yield PIPED, lmtp, some, {"r1": DEFERRED, "r2": UNKNOWN}
    yield PIPED, True, [*whole, "S: 250 x"], {"r1": ACCEPTED, "r2": UNKNOWN}
    yield PIPED, True, [*whole, "S: 450 x"], {"r1": DEFERRED, "r2": UNKNOWN}
    yield CHUNKED, False, [*TO_TWO, *BDAT_LINES], {"r1": UNKNOWN, "r2": UNKNOWN}
    yield CHUNKED, False, [*TO_TWO, *BDAT_LINES, "S: 250 a"], {"r1": UNKNOWN, "r2": UNKNOWN}
    yield CHUNKED, False, [*TO_TWO, *BDAT_LINES, "S: 550 a"], {}
    yield CHUNKED, False, [*TO_TWO, *BDAT_LINES, "S: 250 a", "S: 550 b"], {"r1": REFUSED, "r2": UNKNOWN}
    yield CHUNKED, False, [*TO_TWO, *BDAT_LINES, "S: 250 a", "S: 550 b", "S: 450 c"], {"r1": REFUSED, "r2": DEFERRED}
    yield CHUNKED, True, [*TO_TWO, *TWO_OK, *BDAT_LINES], {"r1": UNKNOWN, "r2": UNKNOWN}
    yield (), False, [MAIL_LINE, "S: 250 a", R1, "S: 550 b", R2], {"r1": REFUSED}


@pytest.mark.parametrize(("loss", "kind"), LOSSES)
@pytest.mark.parametrize(("keywords", "lmtp", "script", "expected"), list(cases()))
def test_a_loss_tells_what_is_known_and_what_is_not(fails, ready, loss, kind, keywords, lmtp, script, expected):
    core = ready(*keywords, lmtp=lmtp)
    error = fails(kind, core, sends(core), [*script, f"S: {loss}"])
    assert verdicts(error) == expected
    unknown = UNKNOWN in expected.values()
    assert error.may_retry == (not unknown and (len(expected) < 2 or DEFERRED in expected.values()))
    assert list(error.recipients) == sorted(error.recipients)


@pytest.mark.parametrize("keywords", [PIPED, CHUNKED])
def test_what_had_not_left_cannot_have_been_accepted(fails, ready, keywords):
    core = ready(*keywords)
    if keywords == PIPED:
        script = [*TO_TWO, "C: DATA", *TWO_OK, "S: 354 go", *DATA_LINES, "S: <unwritten>"]
    else:
        script = [*TO_TWO, *BDAT_LINES, "S: <unwritten>"]
    error = fails(ConnectionLost, core, sends(core), script)
    assert error.recipients == {}
    assert error.may_retry


@pytest.mark.parametrize("loss", ["<eof>", "<reset>"])
@pytest.mark.parametrize("when", ["piece", "chunk"])
def test_a_loss_before_the_end_of_the_content_leaves_nothing_unknown(ready, loss, when):
    core = ready()
    driver = ClientDriver(core)
    driver.start(sends(core, NAMES[:1], Outgoing()))
    driver.next()  # WRITE
    for line in (b"250 a\r\n", b"250 b\r\n", b"354 go\r\n"):
        driver.next()
        driver.take()
        driver.receive(line)
    assert driver.next().name == "CHUNK"
    driver.next(PIECES[0])
    if when == "piece":
        assert driver.next(PIECES[1]).name == "WRITE"
        driver.take()
    driver.receive(b"") if loss == "<eof>" else driver.lost(ConnectionResetError(104, "reset"))
    with pytest.raises(ConnectionLost) as info:
        driver.next(None)
    assert info.value.recipients == {}
    assert info.value.may_retry
    assert driver.take() == b""


# Groups


def test_a_group_has_at_most_128_commands_and_32_kib(play, ready):
    names = [f"r{number}@{'b' * 60}.{'c' * 60}.example" for number in range(1000)]
    core = ready(*PIPED)
    driver = ClientDriver(core)
    driver.start(sends(core, names), BODY)
    groups = []
    driver.next()
    while driver.next().name == "READ":
        octets = driver.take()
        if b"DATA\r\n" not in octets and octets.endswith(b"\r\n.\r\n"):
            driver.receive(b"250 done\r\n")
            continue
        groups.append(octets)
        driver.receive(
            octets.count(b"\r\n") * b"250 ok\r\n"
            if b"DATA" not in octets
            else (octets.count(b"\r\n") - 1) * b"250 ok\r\n" + b"354 go\r\n"
        )
    assert len(driver.result.accepted) == 1000
    assert max(group.count(b"\r\n") for group in groups) <= 128
    assert max(map(len, groups)) <= 32 * 1024
    assert len(groups) == 8
    assert groups[-1].endswith(b"DATA\r\n")


def test_a_group_is_bounded_by_its_octets_too(ready):
    names = [f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 50}.r{number}.example" for number in range(130)]
    core = ready(*PIPED)
    driver = ClientDriver(core)
    driver.start(sends(core, names), BODY)
    driver.next()
    driver.next()
    octets = driver.take()
    assert octets.count(b"\r\n") < 128
    assert 32 * 1024 - 400 < len(octets) <= 32 * 1024


def test_mail_that_is_refused_in_the_first_of_several_groups_stops_it(fails, ready):
    names = [f"r{number}@b.example" for number in range(200)]
    core = ready(*PIPED)
    script = [MAIL_LINE, *[f"C: RCPT TO:<{name}>" for name in names[:126]], "S: 550 no", *["S: 503 what"] * 126]
    fails(SenderRefused, core, sends(core, names), script)
    assert core.idle


def test_a_body_in_several_groups_waits_for_the_last(play, ready):
    names = [f"r{number}@b.example" for number in range(127)]
    lines = [f"C: RCPT TO:<{name}>" for name in names]
    core = ready(*CHUNKED)
    script = [MAIL_LINE, *lines[:126], *["S: 250 ok"] * 127, lines[126], *BDAT_LINES, "S: 250 ok", "S: 250 done"]
    assert len(play(core, sends(core, names), script, body=BODY).result.accepted) == 127
