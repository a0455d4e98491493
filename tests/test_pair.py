"""The two roles in memory: whatever is sent, refused, and cut into pieces, both sides tell the same story."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from smtpkit.errors import MessageRefused, RecipientsRefused, SenderRefused, SMTPError
from smtpkit.protocol import (
    CHUNK,
    CLOSE,
    DONE,
    READ,
    WRITE,
    ClientConfig,
    ClientConnection,
    Limits,
    ServerConfig,
    ServerConnection,
    Verdict,
)
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.exchanges import command, opening, quit_session, reset
from smtpkit.protocol.sending import Sending
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import SessionFacts
from smtpkit.wire.commands import Noop
from smtpkit.wire.dots import dot_stuff, dot_unstuff
from smtpkit.wire.replies import Reply

ACCEPTED, REFUSED, DEFERRED, UNKNOWN = Verdict
EXTENSIONS = [("PIPELINING", "SIZE", "8BITMIME", "CHUNKING"), ("PIPELINING", "8BITMIME"), ("8BITMIME", "CHUNKING"), ()]


class Pair:
    """A client and a server, with octets carried in pieces of the sizes given, over and over."""

    def __init__(self, extensions=EXTENSIONS[0], *, lmtp=False, pieces=(65536,), **config):
        core = ClientConnection(ClientConfig(lmtp=lmtp))
        self.client = ClientDriver(core)
        self.server = ServerDriver(
            ServerConnection(ServerConfig("mx.example", lmtp=lmtp, extensions=extensions, **config)),
            SessionFacts(),
            {"on_mail", "on_rcpt", "on_message", "on_reset"},
        )
        self.pieces, self.turn = pieces, 0
        self.messages, self.resets, self.groups = [], 0, []
        self.refusals, self.verdict, self.no_sender = {}, None, False
        self.need = None
        self.serve()
        self.run(opening(core, "c.example", tls="off"))

    # The server's hooks

    def on_mail(self, mail):
        return Reply(550, "no such sender", "5.1.8") if self.no_sender else None

    def on_rcpt(self, rcpt):
        code = self.refusals.get(str(rcpt.forward_path))
        return Reply(code, "no") if code else None

    def on_message(self, message):
        self.messages.append(message)
        return self.verdict(message) if callable(self.verdict) else self.verdict

    def on_reset(self, _):
        self.resets += 1

    # Carrying

    def carry(self, octets, receive):
        at = 0
        while at < len(octets):
            size = self.pieces[self.turn % len(self.pieces)]
            self.turn += 1
            receive(octets[at : at + size])
            at += size
            yield

    def serve(self):
        answer = None
        while self.need is not CLOSE:
            self.need = self.server.next(answer)
            answer = None
            if self.need in (READ, WRITE, CLOSE):
                for _ in self.carry(self.server.take(), self.client.receive):
                    pass
                if self.need is READ:
                    return
            else:
                answer = getattr(self, self.need.name)(self.need.argument)
        self.client.receive(b"")

    def run(self, exchange, sending=None):
        self.client.start(exchange, sending.held if sending is not None else None)
        answer = None
        for _ in range(20_000):
            need, answer = self.client.next(answer), None
            if need is DONE:
                return self.client.result
            if need is CHUNK:
                answer = next(sending.source, None)
                continue
            octets = self.client.take()
            if octets:
                self.groups.append(octets)
            for _ in self.carry(octets, self.server.receive):
                self.serve()
            self.serve()
        raise AssertionError("no end")

    def send(self, recipients, body, **options):
        sending = Sending(self.client.core, "a@a.example", recipients, body, options)
        return self.run(sending.exchange(), sending)


LOCAL_PARTS = st.sampled_from(["bob", "carol", "dave", "erin", "a.b", "x+y"])
ADDRESSES = st.builds("{}@{}.example".format, LOCAL_PARTS, st.sampled_from(["b", "c"]))
CODES = st.sampled_from([0, 0, 0, 450, 451, 550, 552])
BODIES = st.lists(
    st.sampled_from([b"a", b".", b"..", b"\r\n", b"\n", b"\r", b"\r\n.\r\n", b"\n.\n", b"x" * 700, b"\xff"]),
    max_size=20,
).map(b"".join)
PIECES = st.lists(st.integers(1, 40), min_size=1, max_size=4)


def verdict_of(code, final):
    code = code or final
    return ACCEPTED if code < 300 else DEFERRED if code < 500 else REFUSED


@settings(derandomize=True, deadline=None, max_examples=120)
@given(
    st.sampled_from(EXTENSIONS),
    st.booleans(),
    PIECES,
    st.dictionaries(ADDRESSES, CODES, min_size=1, max_size=6),
    BODIES,
    st.sampled_from([250, 250, 250, 451, 554]),
    st.booleans(),
    st.sampled_from([None, False]),
)
def test_the_result_is_what_the_server_decided(extensions, lmtp, pieces, recipients, body, final, held, chunking):
    pair = Pair(extensions, lmtp=lmtp, pieces=pieces)
    pair.refusals = {address: code for address, code in recipients.items() if code}
    pair.verdict = None if final == 250 else Reply(final, "no")
    source = body if held else [body[at : at + 5] for at in range(0, len(body), 5)]
    expected = {address: verdict_of(code, final) for address, code in recipients.items()}
    try:
        told = pair.send(list(recipients), source, chunking=chunking, eight_bit="send").recipients
    except (RecipientsRefused, MessageRefused) as error:
        assert ACCEPTED not in expected.values()
        assert error.may_retry == (DEFERRED in expected.values())  # noqa: PT017
        told = error.recipients
    assert {address: outcome.verdict for address, outcome in told.items()} == expected
    assert list(told) == list(recipients)
    reached = [address for address, code in recipients.items() if not code]
    assert [[str(each) for each in message.envelope.recipients] for message in pair.messages] == [reached] * bool(
        reached
    )
    if pair.messages:
        normal = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        assert pair.messages[0].content == dot_unstuff(dot_stuff(normal))
    assert pair.client.core.idle
    assert pair.run(command(Noop())).code == 250  # and both are in step
    assert max(map(len, pair.groups)) < 128 * 1024


@settings(derandomize=True, deadline=None, max_examples=40)
@given(PIECES, st.integers(1, 5), st.integers(1, 30), st.sampled_from(EXTENSIONS))
def test_recipients_are_split_by_what_the_server_takes(pieces, limit, count, extensions):
    pair = Pair(extensions, pieces=pieces, limits=Limits(recipients=limit))
    recipients = [f"r{number}@b.example" for number in range(count)]
    result = pair.send(recipients, b"hi\n")
    assert list(result.accepted) == recipients
    assert sorted(str(each) for message in pair.messages for each in message.envelope.recipients) == sorted(recipients)
    assert {message.content for message in pair.messages} == {b"hi\r\n"}
    assert len(pair.messages) == -(-count // limit)


def test_a_sender_that_is_refused():
    pair = Pair()
    pair.no_sender = True
    with pytest.raises(SenderRefused):
        pair.send(["bob@b.example"], b"hi")
    assert pair.messages == []
    pair.no_sender = False
    assert pair.send(["bob@b.example"], b"hi").accepted


def test_without_partial_nothing_is_sent_if_one_is_refused():
    pair = Pair()
    pair.refusals = {"bob@b.example": 550}
    with pytest.raises(RecipientsRefused):
        pair.send(["carol@c.example", "bob@b.example"], b"hi", partial=False)
    assert pair.messages == []
    assert pair.resets == 1


@pytest.mark.parametrize("count", [1, 100, 1000])
@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        (EXTENSIONS[0], {1: 1, 100: 1, 1000: 8}),
        (EXTENSIONS[1], {1: 2, 100: 2, 1000: 9}),
        (EXTENSIONS[2], {1: 3, 100: 102, 1000: 1002}),
        (EXTENSIONS[3], {1: 4, 100: 103, 1000: 1003}),
    ],
)
def test_round_trips(extensions, expected, count):
    pair = Pair(extensions)
    pair.groups.clear()
    result = pair.send([f"r{number}@b.example" for number in range(count)], b"hi\r\n")
    assert len(result.accepted) == count
    assert len(pair.groups) == expected[count]


def test_a_large_body_goes_in_pieces_both_ways():
    body = b"".join(b"%d\r\n.line\r\n" % number for number in range(20_000))
    for chunking in (None, True):
        pair = Pair(limits=None)
        assert pair.send(["bob@b.example"], body, chunking=chunking).accepted
        assert pair.messages[0].content == body
        assert max(map(len, pair.groups)) < 128 * 1024


def test_a_body_that_is_too_large_is_refused_before_a_byte_of_it_leaves():
    pair = Pair(max_message_size=1000)
    with pytest.raises(SMTPError, match="takes 1000 at most"):
        pair.send(["bob@b.example"], b"x" * 2000)
    assert pair.send(["bob@b.example"], b"x" * 900).accepted


class Session(RuleBasedStateMachine):
    """Many sends over one connection; after each the two sides agree, and both are ready for the next."""

    @initialize(extensions=st.sampled_from(EXTENSIONS), lmtp=st.booleans(), pieces=PIECES)
    def begin(self, extensions, lmtp, pieces):
        self.pair = Pair(extensions, lmtp=lmtp, pieces=pieces)
        self.count = 0

    @rule(recipients=st.lists(ADDRESSES, min_size=1, max_size=5), body=BODIES)
    def send(self, recipients, body):
        result = self.pair.send(recipients, body, eight_bit="send")
        self.count += 1
        assert list(result.accepted) == list(dict.fromkeys(recipients))
        assert [str(each) for each in self.pair.messages[-1].envelope.recipients] == list(result.accepted)

    @rule(recipients=st.lists(ADDRESSES, min_size=1, max_size=5, unique=True), code=st.sampled_from([450, 550]))
    def send_to_nobody(self, recipients, code):
        self.pair.refusals = dict.fromkeys(recipients, code)
        with pytest.raises(RecipientsRefused):
            self.pair.send(recipients, b"hi")
        self.pair.refusals = {}

    @rule(lmtp_replies=st.lists(st.sampled_from([250, 450, 550]), min_size=2, max_size=2))
    def send_with_mixed_verdicts(self, lmtp_replies):
        if not self.pair.client.core.lmtp:
            return
        self.pair.verdict = [Reply(code, "x") for code in lmtp_replies]
        try:
            told = self.pair.send(["bob@b.example", "carol@c.example"], b"hi").recipients
        except MessageRefused as error:
            told = error.recipients
        self.count += 1
        assert [outcome.reply.code for outcome in told.values()] == lmtp_replies
        self.pair.verdict = None

    @rule()
    def reset(self):
        self.pair.run(reset())

    @rule()
    def unsendable(self):
        with pytest.raises(SMTPError):
            self.pair.send(["bob@b.example"], b"a\0b")

    @invariant()
    def both_are_in_step(self):
        if hasattr(self, "pair"):
            assert self.pair.client.core.idle
            assert not self.pair.client.broken
            assert len(self.pair.messages) == self.count

    def teardown(self):
        if hasattr(self, "pair"):
            assert self.pair.run(quit_session()).code == 221
            assert self.pair.need is CLOSE


Session.TestCase.settings = settings(derandomize=True, deadline=None, max_examples=30, stateful_step_count=12)
TestSession = Session.TestCase
