"""The two roles in memory: whatever is sent, refused, delayed and lost, both sides tell the same story.

`SMTPKIT_PAIR_EXAMPLES` runs the machine with that many examples, each time others, and prints what it did.
"""

import atexit
import io
import os
import runpy
from base64 import b64encode
from collections import Counter
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from smtpkit.errors import (
    AuthenticationError,
    ConnectionLost,
    MessageRefused,
    NotSupported,
    ParseError,
    RecipientsRefused,
    RemoteProtocolError,
    ReplyError,
    SenderRefused,
    SMTPError,
    Timeout,
    TLSError,
)
from smtpkit.protocol import AuthPolicy, Credentials, Limits, SendResult, ServerConfig, State, Verdict
from smtpkit.protocol.dsn import DSN
from smtpkit.protocol.exchanges import command, hello, login, opening, quit_session, reset, start_tls
from smtpkit.protocol.sending import Sending
from smtpkit.wire.commands import Command, Help, Noop, Vrfy
from smtpkit.wire.dots import dot_stuff, dot_unstuff
from smtpkit.wire.replies import Reply

memory = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("in_memory.py"))))
Line, Plan, FakeTLS, PASSWORD, TOKEN = memory.Line, memory.Plan, memory.FakeTLS, memory.PASSWORD, memory.TOKEN

ACCEPTED, REFUSED, DEFERRED, UNKNOWN = Verdict
EXAMPLES = int(os.environ.get("SMTPKIT_PAIR_EXAMPLES", "0"))
EXTENSIONS = [("PIPELINING", "SIZE", "8BITMIME", "CHUNKING"), ("PIPELINING", "8BITMIME"), ("8BITMIME", "CHUNKING"), ()]
LOST = (ConnectionLost, Timeout, TLSError)
RUN = Counter()  # what the machine did


# What is drawn

LOCAL_PARTS = st.sampled_from(["bob", "carol", "dave", "erin", "a.b", "x+y"])
ADDRESSES = st.builds("{}@{}.example".format, LOCAL_PARTS, st.sampled_from(["b", "c"]))
PIECES = st.lists(st.integers(1, 40), min_size=1, max_size=4)
CODES = st.sampled_from([0, 0, 0, 450, 451, 550, 552])
BODIES = st.lists(
    st.sampled_from([b"a", b".", b"..", b"\r\n", b"\n", b"\r", b"\r\n.\r\n", b"\n.\n", b"x" * 700, b"\xff"]),
    max_size=20,
).map(b"".join)
NO = st.sampled_from([421, 450, 452, 500, 502, 550, 552, 554]).map(lambda code: Reply(code, "no"))
GO_AWAY = st.sampled_from([421, 450, 552]).map(lambda code: ("close", Reply(code, "early")))


def rarely(strategy):
    return st.integers(0, 5).flatmap(lambda number: strategy if number == 5 else st.none())


def plans(*hooks, by_hand=True):
    """Decisions: mostly none, so that programs come a long way."""
    answer = rarely(NO | GO_AWAY) if by_hand else rarely(NO)
    return st.fixed_dictionaries({hook: st.lists(answer, max_size=4) for hook in hooks})


CUTS = st.integers(0, 5).flatmap(
    lambda number: (
        st.none()
        if number
        else st.tuples(
            st.sampled_from(["up", "down"]),
            st.integers(0, 700),
            st.sampled_from(["close", "reset", "silence", "half"]),
        )
    )
)
OFFERED = st.sets(
    st.sampled_from(
        [
            "PIPELINING",
            "SIZE",
            "8BITMIME",
            "SMTPUTF8",
            "CHUNKING",
            "BINARYMIME",
            "DSN",
            "ENHANCEDSTATUSCODES",
            "LIMITS",
            "HELP",
        ]
    )
).map(
    lambda names: sorted(
        names | ({"8BITMIME"} if "SMTPUTF8" in names else set()) | ({"CHUNKING"} if "BINARYMIME" in names else set())
    )
)
LINES = st.fixed_dictionaries(
    {
        "sizes": st.lists(st.sampled_from([1, 2, 3, 7, 40, 1000, 65536]), min_size=1, max_size=4),
        "schedule": st.lists(st.integers(0, 3), min_size=1, max_size=6),
        "delays": st.lists(st.sampled_from([0, 0, 1, 30]), min_size=1, max_size=3),
        "capacity": st.sampled_from([16, 300, 65536]),
        "impatient": st.sampled_from(["client", "server"]),
        "delivers": st.booleans(),
        "resets": st.booleans(),
    }
)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "recipients": st.integers(1, 5),
        "transactions": st.integers(1, 3),
        "commands": st.integers(8, 20),
        "unread": st.just(300),
    },
)
MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"]
CREDENTIALS = st.sampled_from(
    [
        Credentials("tim", PASSWORD),
        Credentials("tim", lambda: PASSWORD),
        Credentials("tim", "wrong-" + PASSWORD),
        Credentials("tim", token=TOKEN),
        Credentials("tim", token="wrong-" + TOKEN),
    ]
)
SECRETS = [PASSWORD, TOKEN, *(b64encode(text.encode()).decode() for text in (PASSWORD, f"\0tim\0{PASSWORD}", TOKEN))]
CONTENT = st.one_of(
    BODIES,
    BODIES.map(lambda body: body.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n")),
    st.just(b"a\0b"),
    st.integers(15_000, 25_000).map(lambda count: b".line\r\n" * count),
)
FORMS = st.sampled_from(["held", "file", "pipe", "pieces of 5", "pieces of 20000", "breaks off"])
SEND_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "newlines": st.sampled_from(["normalize", "strict", "as-is"]),
        "partial": st.booleans(),
        "raise_for": st.sampled_from(["all", "any"]),
        "chunking": st.sampled_from([None, True, False]),
        "max_recipients": st.integers(1, 4),
        "eight_bit": st.sampled_from(["declare", "send", "send"]),
        "binary": st.sampled_from([False, False, True]),
        "dsn": st.just(DSN(ret="HDRS", envid="x+1", notify=["FAILURE"])),
    },
)


# What holds


def normal(body, options):
    """The content that a server must get."""
    if options.get("binary"):
        return body
    if options.get("newlines", "normalize") == "normalize":
        body = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return body if not body or body.endswith(b"\r\n") else body + b"\r\n"


def verdicts_are_true(addresses, told, took):
    """What the client was told of each recipient, beside those for whom the server took responsibility."""
    assert not took or max(took.values()) == 1, "delivered twice"
    for address in addresses:
        verdict = told[address].verdict if address in told else None
        if verdict is ACCEPTED:
            assert address in took, (address, "accepted without acceptance")
        if address in took:
            assert verdict in (ACCEPTED, UNKNOWN), (address, verdict, "accepted, and told otherwise")


def messages_are_as_sent(messages, sender, addresses, content, options):
    for message, _ in messages:
        assert message.content == content
        envelope = message.envelope
        assert str(envelope.sender or "") == sender
        reached = [str(each) for each in envelope.recipients]
        assert reached == [address for address in addresses if address in reached]
        parameters = envelope.mail_parameters
        assert parameters.get("SIZE") in (None, len(content))
        assert (parameters.get("BODY") == "BINARYMIME") == bool(options.get("binary"))
        assert ("RET" in parameters) == ("dsn" in options)
        assert all(("NOTIFY" in each) == ("dsn" in options) for each in envelope.rcpt_parameters)


def error_is_true(error, told, took, line):
    """What an error of a send says beside the verdicts."""
    if UNKNOWN in told.values():
        assert isinstance(error, LOST)
        assert line.unsent == 0, "unknown before the last octet had left"
    hidden = [address for address in took if told.get(address) is not ACCEPTED]
    if isinstance(error, (*LOST, ReplyError)):
        assert not (error.may_retry and hidden), "to be retried though it was accepted"
        assert not (error.may_retry and UNKNOWN in told.values())
    if isinstance(error, (SenderRefused, NotSupported, ParseError)):
        assert not hidden


def by_side(transcript):
    """What each side said, but for content."""
    lines = [each for each in str(transcript).split("\n") if "octets of content" not in each]
    return {side: [each for each in lines if each.startswith(side)] for side in ("C: ", "S: ")}


def transcripts_agree(line, *, whole):
    """Each side has the other's words in the other's order, as far as they came; and nobody's secrets."""
    mine, theirs = map(by_side, line.said)
    assert theirs["C: "] == mine["C: "][: len(theirs["C: "])]
    assert mine["S: "] == theirs["S: "][: len(mine["S: "])]
    if whole:
        assert mine == theirs
    for transcript in line.said:
        assert not [secret for secret in SECRETS if secret in str(transcript)]


class Calls:
    """Asks the plan of the moment, and sees to it that the server's hooks are called in order."""

    def __init__(self, *, by_hand):
        self.plan = Plan()
        self.codes = {}  # by address, before what is planned
        self.lmtp = []  # codes for the recipients of a message, over and over
        self._resets = not by_hand
        self._open, self._recipients = False, 0

    def __call__(self, name, argument):
        answer = self.plan(name, argument)
        if name == "on_rcpt" and str(argument.forward_path) in self.codes:
            answer = Reply(self.codes[str(argument.forward_path)], "no")
        if name == "on_message" and self.lmtp and answer is None:
            codes = cycle(self.lmtp)
            answer = [Reply(next(codes), "each for itself") for _ in argument.envelope.recipients]
        positive = answer is None or (isinstance(answer, Reply) and answer.is_positive)
        if name == "on_mail":
            assert not (self._open and self._resets), "MAIL in a transaction"
            self._open, self._recipients = positive, 0
        elif name == "on_rcpt":
            assert self._open
            self._recipients += positive
        elif name in ("on_message", "on_reset"):
            assert self._open
            assert self._recipients or name == "on_reset"
            self._open = False
        return answer


class Session(RuleBasedStateMachine):
    """Any program of client calls against any program of server decisions, over any line."""

    def __init__(self):
        super().__init__()
        self.line = None
        self.sent = 0
        RUN["examples"] += 1

    def perform(self, exchange, allowed, plan, cut=None, sending=None, *, whole=True):
        """Run it: (result, None) or (None, error)."""
        line = self.line
        self.calls.plan = Plan(**plan)
        line.break_at(cut)
        RUN["calls"] += 1
        before = line.steps
        try:
            result, error = line.run(exchange, sending), None
        except SMTPError as caught:
            result, error = None, caught
        RUN["moves"] += line.steps - before
        if error is not None:
            event(type(error).__name__)
            RUN[type(error).__name__] += 1
            assert isinstance(error, allowed), repr(error)
            assert str(error)
            assert not [secret for secret in SECRETS if secret in str(error)]
            if isinstance(error, ReplyError):
                assert not line.out_of_step or line.client.core.state is State.REFUSED
            if isinstance(error, LOST):
                assert line.over or (isinstance(error, TLSError) and not line.client.broken)
        line.up.cut = line.down.cut = None
        line.settle()
        if not line.over:
            assert line.client.core.idle or line.client.core.state in (State.REFUSED, State.GREETING)
            assert not line.server.core.in_transaction
            assert line.server.unread == line.client.unread == 0
        transcripts_agree(line, whole=not line.over and whole)
        return result, error

    @property
    def is_up(self):
        return self.line is not None and not self.line.over

    @property
    def said_hello(self):
        return self.is_up and self.line.client.core.state is State.READY

    # Rules

    @precondition(lambda self: not self.is_up)
    @rule(
        offered=OFFERED,
        lmtp=st.booleans(),
        by_hand=st.booleans(),
        tls=st.sampled_from(["off", "off", "if-offered", "required", "implicit"]),
        refuses_tls=st.integers(0, 7).map(lambda number: number == 7),
        mechanisms=rarely(st.lists(st.sampled_from(MECHANISMS), min_size=1, max_size=3, unique=True)),
        required=st.booleans(),
        credentials=rarely(CREDENTIALS),
        limits=rarely(LIMITS),
        size=st.sampled_from([2**25, 2**25, 2**25, None, 700]),
        kind=LINES,
        plan=plans("on_connect", "on_hello", "on_starttls", "on_login"),
        cut=CUTS,
    )
    def connect(
        self,
        offered,
        lmtp,
        by_hand,
        tls,
        refuses_tls,
        mechanisms,
        required,
        credentials,
        limits,
        size,
        kind,
        plan,
        cut,
    ):
        if self.line is not None:
            self.line.hang_up()
        by_hand = by_hand and tls != "implicit"
        if not by_hand:
            plan = {name: [None if isinstance(each, tuple) else each for each in plan[name]] for name in plan}
        config = ServerConfig(
            "mx.example",
            lmtp=lmtp,
            extensions=offered,
            max_message_size=size,
            tls_available=tls in ("if-offered", "required"),
            auth=AuthPolicy(mechanisms=mechanisms, allow_in_clear=True, required=required) if mechanisms else None,
            limits=Limits(**(limits or {})),
        )
        self.calls = Calls(by_hand=by_hand)
        self.by_hand = by_hand
        self.bounded = bool(limits)
        self.line = Line(
            config,
            self.calls,
            by_hand=by_hand,
            implicit=tls == "implicit",
            client_tls=lambda: FakeTLS(server_side=False, refuses=refuses_tls),
            **kind,
        )
        client = self.line.client.core
        result, error = self.perform(
            opening(client, "c.example", tls=tls, credentials=credentials, allow_auth_in_clear=True),
            (ReplyError, *LOST, NotSupported),
            plan,
            cut,
        )
        if error is None:
            assert result.code == 220
            assert client.idle or self.line.over
            if credentials is not None and not self.line.over:
                self.knows_who()
        elif isinstance(error, ReplyError) and not self.line.over and client.state is not State.READY:
            self.line.hang_up()  # there is nothing to be done on it

    def knows_who(self):
        assert self.line.server.core.identity == "tim"

    @precondition(lambda self: self.said_hello and "STARTTLS" in self.line.client.core.capabilities)
    @rule(plan=plans("on_starttls"), cut=CUTS)
    def secure(self, plan, cut):
        client = self.line.client.core
        _, error = self.perform(start_tls(client), LOST, self.fitting(plan), cut)
        if error is None and not self.line.over:
            assert client.state is State.CONNECTED
            assert not client.capabilities
            assert self.line.server.core.tls is not None
            self.perform(hello(client, "c.example"), (ReplyError, *LOST), {})

    @precondition(lambda self: self.said_hello and "AUTH" in self.line.client.core.capabilities)
    @rule(credentials=CREDENTIALS, plan=plans("on_login"), cut=CUTS)
    def log_in(self, credentials, plan, cut):
        before = self.line.server.core.identity
        exchange = login(self.line.client.core, credentials, allow_in_clear=True)
        result, error = self.perform(
            exchange, (AuthenticationError, NotSupported, ConnectionLost, Timeout, TLSError), self.fitting(plan), cut
        )
        if result is not None and not self.line.over:
            assert result.code == 235
            assert "wrong" not in repr(credentials.password) + repr(credentials.token)
            self.knows_who()
        elif error is not None and not self.line.over:
            assert self.line.server.core.identity == before

    @precondition(lambda self: self.said_hello)
    @rule(
        sender=st.sampled_from(["a@a.example", "", "ä@a.example"]),
        recipients=st.lists(ADDRESSES, min_size=1, max_size=6),
        body=CONTENT,
        form=FORMS,
        options=SEND_OPTIONS,
        codes=st.dictionaries(ADDRESSES, st.sampled_from([421, 450, 452, 550, 552]), max_size=2),
        plan=plans("on_mail", "on_rcpt", "on_data", "on_piece", "on_message"),
        lmtp=st.lists(st.sampled_from([250, 250, 421, 452, 550]), max_size=6),
        cut=CUTS,
    )
    def send(self, sender, recipients, body, form, options, codes, plan, lmtp, cut):
        line, client = self.line, self.line.client.core
        addresses = list(dict.fromkeys(recipients))
        self.calls.codes = codes
        plan = self.fitting(plan)
        body = body if line.is_wide else body[:1500]
        self.calls.lmtp = lmtp if client.lmtp else []
        before = len(line.accepted)
        source = as_form(body, form)
        try:
            sending = Sending(client, sender, recipients, source, options)
            if sending.file is not None:
                sending.scan_file()
            result, error = self.perform(
                sending.exchange(),
                (SenderRefused, RecipientsRefused, MessageRefused, *LOST, NotSupported, ParseError),
                plan,
                cut,
                sending,
            )
        except BrokenOff:
            result, error = None, BrokenOff()
            assert line.over
            assert len(line.accepted) == before
        messages = line.accepted[before:]
        took = Counter(address for _, reached in messages for address in reached)
        told = getattr(result or error, "recipients", {})
        verdicts_are_true(addresses, told, took)
        messages_are_as_sent(messages, sender, addresses, normal(body, options), options)
        verdicts = {address: outcome.verdict for address, outcome in told.items()}
        if result is not None:
            assert type(result) is SendResult
            assert list(told) == addresses
            assert result.accepted
            if options.get("raise_for") == "any":
                assert list(result.accepted) == addresses
            self.sent += 1
            RUN["messages"] += len(messages)
        else:
            error_is_true(error, verdicts, took, line)
            assert list(told) == [address for address in addresses if address in told]
        if options.get("partial") is False and took and not client.lmtp:
            assert list(took) == addresses, "sent in part"
        RUN.update(f"verdict {verdict.value}" for verdict in verdicts.values())
        self.calls.codes, self.calls.lmtp = {}, []

    @precondition(lambda self: self.said_hello and self.takes_mail and not self.bounded)
    @rule(recipients=st.lists(ADDRESSES, min_size=1, max_size=3, unique=True), body=BODIES)
    def send_what_must_arrive(self, recipients, body):
        """Whatever came before it on this connection."""
        line, before = self.line, len(self.line.accepted)
        body = body[:600]
        sending = Sending(line.client.core, "a@a.example", recipients, body, {"eight_bit": "send"})
        result, _ = self.perform(sending.exchange(), (), {}, sending=sending)
        assert list(result.accepted) == recipients
        took = Counter(address for _, reached in line.accepted[before:] for address in reached)
        assert took == Counter(recipients)
        assert {message.content for message, _ in line.accepted[before:]} == {normal(body, {})}
        RUN["messages"] += len(line.accepted) - before

    @property
    def takes_mail(self):
        config = self.line.server.core.config
        return config.auth is None or not config.auth.required or self.line.server.core.identity is not None

    @precondition(lambda self: self.said_hello)
    @rule(
        what=st.sampled_from([Noop(), Help(), Vrfy("bob"), "reset", "hello"]),
        plan=plans("on_command", "on_hello"),
        cut=CUTS,
    )
    def talk(self, what, plan, cut):
        client = self.line.client.core
        exchange = reset() if what == "reset" else hello(client, "c.example") if what == "hello" else command(what)
        allowed = LOST if isinstance(what, Command) else (ReplyError, *LOST)
        result, _ = self.perform(exchange, allowed, self.fitting(plan), cut)
        assert result is None or (result.is_positive or isinstance(what, Command))

    @precondition(lambda self: self.is_up)
    @rule(how=st.sampled_from(["go on", "go on", "quit", None, Reply(421, "shutting down")]), cut=CUTS)
    def end(self, how, cut):
        if how == "quit":
            result, _ = self.perform(quit_session(), LOST, {}, cut)
            assert result is None or result.code in (221, 421)
            self.line.hang_up()
        elif how != "go on":
            self.line.end_server(how)  # which an idle client learns with its next call
            _, error = self.perform(command(Noop()), (*LOST, RemoteProtocolError), {})
            assert error is not None
            assert error.may_retry, "nothing was sent"
            assert how is None or "421" in str(error)

    def fitting(self, plan):
        if self.by_hand:
            return plan
        return {name: [None if isinstance(each, tuple) else each for each in plan[name]] for name in plan}

    def teardown(self):
        if self.line is not None:
            self.line.hang_up()
            transcripts_agree(self.line, whole=False)


class BrokenOff(Exception):
    """The user's own body failed."""


def as_form(body, form):
    if form == "held":
        return body
    if form == "file":
        return io.BytesIO(body)
    if form == "pipe":
        pipe = io.BytesIO(body)
        pipe.seekable = lambda: False
        return pipe
    size = 20_000 if form == "pieces of 20000" else 5
    pieces = [body[at : at + size] for at in range(0, min(len(body), size * 1000), size)]
    if len(body) > size * 1000:
        pieces.append(body[size * 1000 :])
    return pieces if form != "breaks off" else broken_off(pieces[: len(pieces) // 2])


def broken_off(pieces):
    yield from pieces
    raise BrokenOff


def figures():
    """What the machine did, for whoever runs it for long."""
    return ", ".join(f"{name}: {number}" for name, number in sorted(RUN.items()))


if EXAMPLES:
    atexit.register(lambda: print(figures()))

Session.TestCase.settings = settings(
    derandomize=not EXAMPLES,
    deadline=None,
    max_examples=EXAMPLES or 60,
    stateful_step_count=12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    **({"database": None} if EXAMPLES else {}),
)
TestSession = Session.TestCase


# One call at a time, and what is known of it exactly


def begun(extensions=EXTENSIONS[0], decide=lambda name, argument: None, *, lmtp=False, pieces=(65536,), **settings):
    """A line whose client has said hello."""
    config = ServerConfig("mx.example", lmtp=lmtp, extensions=extensions, **settings)
    line = Line(config, decide, sizes=pieces)
    line.run(opening(line.client.core, "c.example", tls="off"))
    line.groups.clear()
    return line


def sent(line, recipients, body, **options):
    sending = Sending(line.client.core, "a@a.example", recipients, body, options)
    return line.run(sending.exchange(), sending)


def contents(line):
    return [message.content for message, _ in line.accepted]


def reached(line):
    return [address for _, recipients in line.accepted for address in recipients]


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
    def decide(name, argument):
        code = recipients[str(argument.forward_path)] if name == "on_rcpt" else final if name == "on_message" else 0
        return Reply(code, "so be it") if code else None

    line = begun(extensions, decide, lmtp=lmtp, pieces=pieces)
    source = body if held else [body[at : at + 5] for at in range(0, len(body), 5)]
    expected = {address: verdict_of(code, final) for address, code in recipients.items()}
    try:
        told = sent(line, list(recipients), source, chunking=chunking, eight_bit="send").recipients
    except (RecipientsRefused, MessageRefused) as error:
        assert ACCEPTED not in expected.values()
        assert error.may_retry == (DEFERRED in expected.values())  # noqa: PT017
        told = error.recipients
    assert {address: outcome.verdict for address, outcome in told.items()} == expected
    assert list(told) == list(recipients)
    assert reached(line) == [address for address, verdict in expected.items() if verdict is ACCEPTED]
    if line.accepted:
        assert contents(line) == [dot_unstuff(dot_stuff(normal(body, {})))]
    assert line.run(command(Noop())).code == 250  # both are in step


@settings(derandomize=True, deadline=None, max_examples=40)
@given(PIECES, st.integers(1, 5), st.integers(1, 30), st.sampled_from(EXTENSIONS))
def test_recipients_are_split_by_what_the_server_takes(pieces, limit, count, extensions):
    line = begun(extensions, pieces=pieces, limits=Limits(recipients=limit))
    recipients = [f"r{number}@b.example" for number in range(count)]
    assert list(sent(line, recipients, b"hi\n").accepted) == recipients
    assert sorted(reached(line)) == sorted(recipients)
    assert contents(line) == [b"hi\r\n"] * -(-count // limit)


def test_a_sender_that_is_refused():
    plan = Plan(on_mail=[Reply(550, "no such sender", "5.1.8")])
    line = begun(decide=plan)
    with pytest.raises(SenderRefused):
        sent(line, ["bob@b.example"], b"hi")
    assert line.accepted == []
    assert sent(line, ["bob@b.example"], b"hi").accepted


def test_without_partial_nothing_is_sent_if_one_is_refused():
    line = begun(decide=Plan(on_rcpt=[None, Reply(550, "no")]))
    with pytest.raises(RecipientsRefused):
        sent(line, ["carol@c.example", "bob@b.example"], b"hi", partial=False)
    assert line.accepted == []
    assert line.resets == 1


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
    line = begun(extensions)
    result = sent(line, [f"r{number}@b.example" for number in range(count)], b"hi\r\n")
    assert len(result.accepted) == count
    assert len(line.groups) == expected[count]


def test_a_large_body_goes_in_pieces_both_ways():
    body = b"".join(b"%d\r\n.line\r\n" % number for number in range(20_000))
    for chunking in (None, True):
        line = begun(limits=None)
        assert sent(line, ["bob@b.example"], body, chunking=chunking).accepted
        assert contents(line) == [body]


@pytest.mark.parametrize("chunking", [None, True])
def test_a_large_body_is_sent_whole_in_each_of_several_transactions(chunking):
    body = b"0123456\r\n" * 20_000
    line = begun()
    result = sent(line, ["bob@b.example", "carol@b.example"], body, max_recipients=1, chunking=chunking)
    assert len(result.accepted) == 2
    assert contents(line) == [body, body]


def test_a_body_that_is_too_large_is_refused_before_a_byte_of_it_leaves():
    line = begun(max_message_size=1000)
    with pytest.raises(NotSupported, match="takes 1000 at most"):
        sent(line, ["bob@b.example"], b"x" * 2000)
    assert line.groups == []
    assert sent(line, ["bob@b.example"], b"x" * 900).accepted
