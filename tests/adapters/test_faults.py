"""Whatever happens to the line, at whatever step: a message is accepted if and only if it is stored; nobody hangs."""

import pytest

from smtpkit import SMTPError, Timeouts
from tests.interop.fault_proxy import KINDS, SIDES, STEPS, Fault, FaultProxy, unknown_allowed, waits

SENDER, RECIPIENTS = "a@a.example", ("b@b.example", "c@c.example")
MESSAGE = b"Subject: hello\r\n\r\n" + b"." + b"x" * 76 + b"\r\n" + (b"y" * 76 + b"\r\n") * 20
# In its middle, a client knows that its last octet has not left only if it does not fit between it and the server.
LARGE = MESSAGE * 10_000

PLACES = [(step, side) for step in STEPS for side in SIDES if (step, side) != ("body", "reply")]
PLACES_OF_BDAT = [(step, side) for step in ("MAIL", "RCPT", "BDAT") for side in SIDES]


def faults(places, *, told_in_vain=()):
    """Every kind of harm at these places, as parameters.

    That a message is not taken cannot be said instead of the replies `told_in_vain`: the server has taken it.
    """
    every = [Fault(kind, *place) for place in places for kind in KINDS if kind != "delay"]
    true = [each for each in every if each.kind != "421" or each[1:] not in told_in_vain]
    return pytest.mark.parametrize("fault", true, ids=lambda fault: "-".join(fault))


def timeouts(fault, short=0.15):
    return Timeouts(**waits(fault, short, 60))


async def sent(kit, address, fault, content, **options):
    """What a client makes of a send: the outcomes."""
    try:
        client = await kit.connected(address, timeouts=timeouts(fault), tls="off")
    except SMTPError as error:
        return error.recipients
    try:
        result = await client.send(SENDER, RECIPIENTS, content, **options)
    except SMTPError as error:
        result = error
    finally:
        await client.close()
    return result.recipients


async def judged(kit, fault, **options):
    """Send through a fault, and look at what came of it."""
    stored = []
    content = LARGE if fault.step == "body" else MESSAGE

    async def handler(message):
        stored.append((message.recipients, message.content))

    async with kit.serve(handler) as server:
        with FaultProxy(server.address, fault) as proxy:
            outcomes = await sent(kit, proxy.address, fault, content, **options)
    verdicts = {outcome.verdict.value for outcome in outcomes.values()}
    assert len(verdicts) <= 1, f"one message, two verdicts: {outcomes}"
    assert verdicts <= {"accepted", "deferred", "unknown"}, outcomes
    assert stored in ([], [(list(RECIPIENTS), content)]), "it is stored whole and once, or not at all"
    if verdicts == {"accepted"}:
        assert stored, "accepted, and not stored"
    elif verdicts == {"unknown"}:
        assert unknown_allowed(fault, bdat=options["chunking"]), "the last octet had not left"
    else:
        assert not stored, "stored, and the client may send it again"
    return verdicts


@faults(PLACES, told_in_vain=[("end of data", "reply")])
async def test_a_message_is_accepted_if_and_only_if_it_is_stored(kit, fault):
    verdicts = await judged(kit, fault, chunking=False)
    if fault.step == "QUIT":
        assert verdicts == {"accepted"}, "what happens after the verdict does not change it"


@faults(PLACES_OF_BDAT, told_in_vain=[place for place in PLACES_OF_BDAT if "reply" in place])
async def test_a_message_that_leaves_with_mail_is_accepted_if_and_only_if_it_is_stored(kit, fault):
    await judged(kit, fault, chunking=True)


async def test_what_takes_its_time_arrives(kit):
    for places, chunking in ((PLACES, False), (PLACES_OF_BDAT, True)):
        for place in places:
            assert await judged(kit, Fault("delay", *place), chunking=chunking) == {"accepted"}, place


@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
async def test_what_comes_in_single_octets_arrives(mixed, chunking):
    stored = []

    async def handler(message):
        stored.append(message.content)

    async with mixed.serve(handler) as server:
        with FaultProxy(server.address, None, single=True) as proxy:
            async with mixed.connect(proxy.address, tls="off") as client:
                result = await client.send(SENDER, RECIPIENTS, MESSAGE, chunking=chunking)
    assert len(result.accepted) == 2
    assert stored == [MESSAGE]


POOL_PLACES = [place for place in PLACES if place[0] not in ("greeting", "EHLO", "body", "QUIT")]


@faults(POOL_PLACES, told_in_vain=[("end of data", "reply")])
async def test_a_pool_goes_on_after_any_harm_and_sends_nothing_twice(kit, fault):
    stored = []

    async def handler(message):
        stored.append(message.sender)

    async with kit.serve(handler) as server:
        with FaultProxy(server.address, fault) as proxy:
            # The second message has no other time-outs than the first, and is to be accepted.
            async with kit.pool(proxy.address, size=1, timeouts=timeouts(fault, 0.6), tls="off") as pool:
                try:
                    result = await pool.send("first@a.example", RECIPIENTS[0], MESSAGE, chunking=False)
                except SMTPError as error:
                    result = error
                after = await pool.send("second@a.example", RECIPIENTS[0], MESSAGE, chunking=False)
    assert len(after.accepted) == 1
    verdicts = {outcome.verdict.value for outcome in result.recipients.values()}
    if verdicts != {"unknown"}:
        assert stored.count("first@a.example") == ("accepted" in verdicts)
    assert stored.count("first@a.example") <= 1
    assert stored.count("second@a.example") == 1
