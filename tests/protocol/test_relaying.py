"""What a relay passes on, what it answers in the next server's place, and what becomes of its replies."""

from types import SimpleNamespace

import pytest

from smtpkit import errors
from smtpkit.errors import ReplyError
from smtpkit.protocol import TLSFacts, exchanges, relaying
from smtpkit.protocol.envelope import Envelope
from smtpkit.wire.commands import parse_command
from smtpkit.wire.replies import Reply

MAIL = parse_command(b"MAIL FROM:<a@b.example>")
NOW = 1_767_225_600.0
EVERYTHING = (
    *("SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN", "AUTH PLAIN", "MT-PRIORITY", "DELIVERBY"),
    *("REQUIRETLS", "FUTURERELEASE 600 2030-01-01T00:00:00Z"),
)


def session(**facts):
    known = {
        "peer": ("192.0.2.1", 50_000),
        "local": ("192.0.2.25", 25),
        "hello_name": "client.example",
        "hostname": "mx.example",
        "protocol": "ESMTP",
        "identity": None,
        "id": "5e5510",
    }
    return SimpleNamespace(**{**known, **facts})


def front(*, lmtp=False, **facts):
    return session(_core=SimpleNamespace(config=SimpleNamespace(lmtp=lmtp)), **facts)


def envelope(**parameters):
    return Envelope("a@b.example", ["c@d.example"], parameters)


def passage(**parameters):
    return relaying.Passage(envelope(**parameters), session(), "5e5510-1", NOW, eight_bit=True)


def in_transaction(play, core, recipients=1):
    commands = [MAIL, *[parse_command(b"RCPT TO:<r%d@d.example>" % number) for number in range(recipients)]]
    for command in commands:
        play(core, exchanges.command(command), [b"C: " + bytes(command)[:-2], "S: 250 ok"])
    return core


TOP = [
    "C: Received: from client.example ([192.0.2.1])",
    "C: \tby mx.example with ESMTP id 5e5510-1",
    "C: \tfor <c@d.example>;",
]


def in_transit(recipients=1):
    transit = relaying.Transit()
    transit.begin()
    for _ in range(recipients):
        transit.rcpt_answered(Reply(250, "ok"))
    return transit


def onward(play, core, script, chunks=(b"Subject: x\r\n\r\n", b".dot\r\n"), recipients=1, **parameters):
    exchange = in_transit(recipients).content(core, envelope(**parameters), front(), NOW)
    return play(core, exchange, script, chunks=chunks)


def date():
    return "C: " + passage().top.decode().split("\r\n")[3]


# Content


def test_content_goes_on_with_received_on_top_and_dots_stuffed(play, ready):
    core = in_transaction(play, ready())
    content = [*TOP, date(), "C: Subject: x", "C: ", "C: ..dot", "C: ."]
    played = onward(play, core, ["C: DATA", "S: 354 go", *content, "S: 250 2.0.0 queued as 7"])
    assert played.result == [Reply(250, "queued as 7", "2.0.0")]
    assert core.idle


def test_an_older_return_path_is_none_of_a_relays_business(play, ready):
    core = in_transaction(play, ready())
    content = [*TOP, date(), "C: Return-Path: <x@y.example>", "C: ", "C: ."]
    chunks = (b"", b"Return-Path", b": <x@y.example>\r\n\r\n", b"")
    assert onward(play, core, ["C: DATA", "S: 354 go", *content, "S: 550 no"], chunks).result == [Reply(550, "no")]


def test_a_header_that_ends_in_the_middle_of_a_line_is_whole(play, ready):
    core = in_transaction(play, ready())
    content = [*TOP, date(), "C: X: x", "C: Y: y", "C: ."]
    assert onward(play, core, ["C: DATA", "S: 354 go", *content, "S: 250 ok"], (b"X: x\r\nY", b": y")).result


def test_a_refusal_of_data_is_the_verdict(play, ready):
    core = in_transaction(play, ready())
    assert onward(play, core, ["C: DATA", "S: 451 4.3.0 later"]).result == (Reply(451, "later", "4.3.0"),)
    assert not core.idle  # a transaction is open, which is to be reset


def test_a_refusal_in_the_middle_ends_the_content(play, ready):
    core = in_transaction(play, ready())
    script = ["C: DATA", "S: 354 go", *TOP, date(), "S: 552 5.3.4 too large"]
    assert onward(play, core, script).result == (Reply(552, "too large", "5.3.4"),)
    assert core.closing is not None


def test_binary_content_goes_by_bdat_as_it_is(play, ready):
    core = in_transaction(play, ready("CHUNKING", "BINARYMIME"))
    top = passage(BODY="BINARYMIME").top
    script = [
        f"C: BDAT {len(top)}".encode(),
        *[line.encode() for line in [*TOP, date()]],
        "S: 250 ok",
        "C: BDAT 6",
        b"C~ \r\n\0\n.\r",
        "S: 250 ok",
        "C: BDAT 2 LAST",
        b"C~ \n\xff",
        "S: 250 2.0.0 done",
    ]
    chunks = (b"\r\n\0\n.\r", b"\n\xff")
    assert onward(play, core, script, chunks, BODY="BINARYMIME").result == [Reply(250, "done", "2.0.0")]


def test_a_refused_chunk_ends_the_content(play, ready):
    core = in_transaction(play, ready("CHUNKING", "BINARYMIME"))
    top = passage(BODY="BINARYMIME").top
    script = [f"C: BDAT {len(top)}".encode(), *[line.encode() for line in [*TOP, date()]], "S: 452 4.3.1 full"]
    assert onward(play, core, script, BODY="BINARYMIME").result == (Reply(452, "full", "4.3.1"),)


def test_eight_bit_content_does_not_go_to_who_takes_none(play, ready):
    core = in_transaction(play, ready())
    with pytest.raises(ReplyError, match=r"554 5\.6\.3"):
        onward(play, core, ["C: DATA", "S: 354 go"], (b"\xff\r\n",), BODY="8BITMIME")
    core = in_transaction(play, ready())
    script = ["C: DATA", "S: 354 go", *TOP, date(), "C: ", "C: ascii", "C: .", "S: 250 ok"]
    assert onward(play, core, script, (b"\r\nascii\r\n",), BODY="8BITMIME").result[0].is_positive
    core = in_transaction(play, ready())  # what was not declared is the client's affair
    script = [each.encode() for each in ("C: DATA", "S: 354 go", *TOP, date(), "C: ")]
    script += [b"C: \xff", b"C: .", b"S: 250 ok"]
    assert onward(play, core, script, (b"\r\n\xff\r\n",)).result[0].is_positive


def test_a_message_that_goes_round_in_circles_is_stopped(play, ready):
    core = in_transaction(play, ready())
    with pytest.raises(ReplyError, match=r"554 5\.4\.6"):
        onward(play, core, ["C: DATA", "S: 354 go"], (b"Received: x\r\n" * 100,))


def test_lmtp_answers_for_each_recipient(play, ready):
    core = in_transaction(play, ready(lmtp=True), 2)
    content = [*TOP, date(), "C: ", "C: ."]
    script = ["C: DATA", "S: 354 go", *content, "S: 250 one", "S: 550 two"]
    replies = onward(play, core, script, (b"\r\n",), 2).result
    assert in_transit(2).verdict(replies, front(lmtp=True)) == [Reply(250, "one"), Reply(550, "two")]


@pytest.mark.parametrize("end", ["<eof>", "<silence>", "<reset>"])
def test_in_lmtp_the_verdicts_that_came_before_a_loss_stand(play, ready, end):
    core = in_transaction(play, ready(lmtp=True), 3)
    script = ["C: DATA", "S: 354 go", *TOP, date(), "C: ", "C: .", "S: 250 one", f"S: {end}"]
    replies = onward(play, core, script, (b"\r\n",), 3).result
    assert replies == (Reply(250, "one"), relaying.LOST, relaying.LOST)


@pytest.mark.parametrize("lmtp", [False, True])
def test_a_loss_without_a_verdict_is_an_error(play, ready, lmtp):
    core = in_transaction(play, ready(lmtp=lmtp))
    with pytest.raises(errors.ConnectionLost) as lost:
        onward(play, core, ["C: DATA", "S: 354 go", *TOP, date(), "C: ", "C: .", "S: <eof>"], (b"\r\n",))
    assert relaying.failure(lost.value) == relaying.LOST


def test_the_body_is_asked_for_as_a_stream():
    stream = iter(())
    source = relaying.Source(stream)
    assert (source.source, source.held, source.file) == (stream, None, None)


# Parameters


def mail(line, core):
    command = parse_command(line, smtputf8=True)
    return bytes(relaying.Transit().mail(core, command)).decode().removesuffix("\r\n")


def test_what_the_next_server_offers_is_passed_on(ready):
    core = ready(*EVERYTHING, tls=True)
    line = (
        "MAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x AUTH=<> MT-PRIORITY=3 BY=99;N "
        "REQUIRETLS HOLDFOR=60 X=1"
    )
    assert mail(line.encode(), core) == line.replace("SIZE=100", "SIZE=612")
    rcpt = parse_command(b"RCPT TO:<c@d.example> NOTIFY=NEVER ORCPT=rfc822;x@y.example")
    assert relaying.Transit().rcpt(core, rcpt, front()) == rcpt
    plain = parse_command(b"RCPT TO:<c@d.example>")
    assert relaying.Transit().rcpt(ready(), plain, front()).parameters == {}


def test_what_a_relay_may_leave_out_it_leaves_out(ready):
    line = b"MAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME AUTH=<> MT-PRIORITY=3"
    assert mail(line, ready()) == "MAIL FROM:<a@b.example>"
    assert mail(b"MAIL FROM:<> BODY=7BIT", ready("8BITMIME")) == "MAIL FROM:<> BODY=7BIT"
    most = "9" * 20
    assert mail(f"MAIL FROM:<> SIZE={most}".encode(), ready("SIZE")) == f"MAIL FROM:<> SIZE={most}"


@pytest.mark.parametrize(
    ("parameters", "offered", "refusal"),
    [
        ("RET=FULL", (), "555 5.5.4"),
        ("ENVID=x", (), "555 5.5.4"),
        ("BY=99;R", (), "555 5.5.4"),
        ("HOLDFOR=9", (), "555 5.5.4"),
        ("BODY=BINARYMIME", ("8BITMIME", "CHUNKING"), "554 5.6.3"),
        ("BODY=BINARYMIME", ("BINARYMIME",), "554 5.6.3"),
        ("SMTPUTF8", ("8BITMIME",), "550 5.6.9"),
        ("REQUIRETLS", (), "550 5.7.30"),
        ("REQUIRETLS", ("REQUIRETLS",), "550 5.7.30"),
    ],
)
def test_what_it_may_not_leave_out_is_refused_as_its_standard_has_it(ready, parameters, offered, refusal):
    with pytest.raises(ReplyError) as refused:
        mail(f"MAIL FROM:<a@b.example> {parameters}".encode(), ready(*offered))
    assert f"{refused.value.reply.code} {refused.value.reply.enhanced}" == refusal


def test_addresses_beyond_ascii(ready):
    for sender, refusal in (("é@b.example", r"550 5\.6\.7"), ("", r"550 5\.6\.9")):
        with pytest.raises(ReplyError, match=refusal):
            mail(f"MAIL FROM:<{sender}> SMTPUTF8".encode(), ready("8BITMIME"))
    assert mail("MAIL FROM:<é@b.example> SMTPUTF8".encode(), ready("SMTPUTF8")).endswith("é@b.example> SMTPUTF8")


def test_requiretls_wants_a_verified_next_server(ready):
    core = ready("REQUIRETLS")
    core.tls = TLSFacts("TLSv1.3", "x", False)
    with pytest.raises(ReplyError, match=r"550 5\.7\.30"):
        mail(b"MAIL FROM:<> REQUIRETLS", core)


def test_a_recipients_parameters_are_refused_alone(ready):
    with pytest.raises(ReplyError, match=r"555 5\.5\.4"):
        relaying.Transit().rcpt(ready(), parse_command(b"RCPT TO:<c@d.example> NOTIFY=SUCCESS"), front())


# One transaction after the other


def test_who_answers_for_each_gets_one_recipient_at_a_time_from_who_hears_one_reply(ready):
    core, transit = ready(lmtp=True), relaying.Transit()
    rcpt = parse_command(b"RCPT TO:<c@d.example>")
    transit.begin()
    for refusal in (Reply(550, "no"), Reply(250, "ok")):
        assert transit.rcpt(core, rcpt, front()) == rcpt
        assert transit.rcpt_answered(refusal) is refusal
    with pytest.raises(ReplyError) as refused:
        transit.rcpt(core, rcpt, front())
    assert refused.value.reply == relaying.ONE_RECIPIENT
    assert transit.rcpt(core, rcpt, front(lmtp=True)) == rcpt
    assert transit.rcpt(ready(), rcpt, front()) == rcpt
    transit.begin()
    assert transit.rcpt(core, rcpt, front()) == rcpt


def test_each_message_has_its_number_and_the_hops_are_bounded(play, ready):
    core, transit = in_transaction(play, ready()), relaying.Transit(most_hops=1)
    transit.begin()
    transit.begin()
    exchange = transit.content(core, envelope(), front(), NOW)
    top = [*TOP, date()]
    top[1] = top[1].replace("-1", "-2")
    transit.rcpt_answered(Reply(250, "ok"))
    script = ["C: DATA", "S: 354 go", *top, "C: ", "C: .", "S: 421 bye"]
    replies = play(core, exchange, script, chunks=(b"\r\n",)).result
    assert transit.verdict(replies, front()) == Reply(451, "bye")
    assert transit.verdict(replies, front(lmtp=True)) == [Reply(451, "bye")]
    core = in_transaction(play, ready())
    exchange = transit.content(core, envelope(), front(), NOW)
    with pytest.raises(ReplyError, match=r"554 5\.4\.6"):
        play(core, exchange, ["C: DATA", "S: 354 go"], chunks=(b"Received: x\r\n\r\n",))


@pytest.mark.parametrize("offered", [(), ("8BITMIME",)])
def test_eight_bit_content_is_looked_for_where_the_next_server_takes_none(play, ready, offered):
    core, transit = in_transaction(play, ready(*offered)), relaying.Transit()
    message = envelope(BODY="8BITMIME")
    exchange = transit.content(core, message, front(), NOW)
    script = ["C: DATA", "S: 354 go"]
    if not offered:
        with pytest.raises(ReplyError, match=r"554 5\.6\.3"):
            play(core, exchange, script, chunks=(b"\xff\r\n",))
        return
    top = [*TOP, date()]
    top[1] = top[1].replace("-1", "-0")
    script = [line.encode() for line in (*script, *top, "C: ")] + [b"C: \xff", b"C: .", b"S: 250 ok"]
    assert play(core, exchange, script, chunks=(b"\r\n\xff\r\n",)).result == [Reply(250, "ok")]


def test_after_xclient_a_connection_is_nobody_elses(play, ready):
    script = ["C: XCLIENT ADDR=192.0.2.1", "S: 220 mx", "C: EHLO client.example", "S: 250 mx"]
    transit = relaying.Transit(forward_client=True)
    core = ready("XCLIENT ADDR")
    assert transit.may_stay(front())
    play(core, transit.before_mail(core, front(), anew=True), script)
    play(core, transit.before_mail(core, front(), anew=False), [])  # it knows
    assert core.use.mails == 2
    assert transit.may_stay(front())
    assert not transit.may_stay(front(identity="somebody"))
    core = ready("XCLIENT ADDR")
    play(core, transit.before_mail(core, front(), anew=True), script)


def test_what_does_not_bind_the_connection_is_told_before_each_message(play, ready):
    script = ["C: XFORWARD ADDR=192.0.2.1", "S: 250 ok"]
    core, transit = ready("XFORWARD ADDR"), relaying.Transit(forward_client=True)
    for anew in (True, False):
        play(core, transit.before_mail(core, front(), anew=anew), script)
    play(core, relaying.Transit().before_mail(core, front(), anew=True), [])  # nobody asked for it
    assert transit.may_stay(front(identity="somebody"))


def test_the_limits_of_the_next_server_are_kept(play, ready):
    core, transit = ready("LIMITS MAILMAX=1"), relaying.Transit()
    play(core, transit.before_mail(core, front(), anew=True), [])
    with pytest.raises(errors.NotSupported):
        play(core, transit.before_mail(core, front(), anew=False), [])


# Replies


def test_replies_are_passed_as_they_are_but_421():
    refused = Reply(550, ["two", "lines"], "5.1.1")
    assert relaying.passed(refused) is refused
    assert relaying.passed(Reply(421, "closing", "4.3.2")) == Reply(451, "closing", "4.3.2")


def test_the_verdict_in_smtp_is_one_reply_and_in_lmtp_one_for_each():
    one, other, gone = Reply(250, "ok"), Reply(550, "no"), Reply(421, "bye")
    assert in_transit(2).verdict([one, gone], front(lmtp=True)) == [one, Reply(451, "bye")]
    assert in_transit(2).verdict([other], front(lmtp=True)) == other
    assert in_transit(1).verdict([gone], front()) == Reply(451, "bye")


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (errors.ConnectionLost("x", stage="connect"), "451 4.4.1"),
        (errors.Timeout("x", stage="greeting"), "451 4.4.1"),
        (errors.ConnectionLost("x", stage="MAIL"), "451 4.4.2"),
        (errors.Timeout("x", stage="end of data"), "451 4.4.2"),
        (errors.ReplyError(Reply(554, "secret")), "451 4.4.1"),
        (errors.AuthenticationError(Reply(535, "secret")), "451 4.3.5"),
        (errors.NotSupported("x", extension="AUTH"), "451 4.3.5"),
        (errors.TLSError("x"), "451 4.7.5"),
        (errors.RemoteProtocolError("x"), "451 4.5.0"),
        (errors.LocalProtocolError("x"), "451 4.4.2"),
    ],
)
def test_a_next_server_that_is_not_there_is_451_and_nothing_of_the_error_is_told(error, reply):
    told = relaying.failure(error)
    assert f"{told.code} {told.enhanced}" == reply
    assert "secret" not in told.text
