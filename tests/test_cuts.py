"""Verdicts that hold wherever the line breaks: client and server in memory, cut after each octet of each direction.

`SMTPKIT_CUTS=all` has every loss at each octet of SCRAM and of real TLS too (in CI some, since a key and a handshake
cost milliseconds), and prints how often each verdict was given.
"""

import atexit
import os
import runpy
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.errors import ConnectionLost, ReplyError, SMTPError, Timeout, TLSError
from smtpkit.protocol import AuthPolicy, Credentials, ServerConfig, Verdict
from smtpkit.protocol.exchanges import opening, quit_session
from smtpkit.protocol.sending import Sending
from smtpkit.tls import TLS, client_context, server_context
from smtpkit.wire.replies import Reply

memory = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("in_memory.py"))))
Line, FakeTLS, PASSWORD, TOKEN = memory.Line, memory.FakeTLS, memory.PASSWORD, memory.TOKEN

CERTIFICATES = Path(__file__).parent / "certificates"
CLIENT_CONTEXT = client_context(cafile=str(CERTIFICATES / "ca.pem"))
SERVER_CONTEXT = server_context(str(CERTIFICATES / "server.pem"))
TO = ["ok1@b.example", "refused@b.example", "ok2@b.example"]
BODY = b"Subject: x\r\n\r\n.one\r\n..\r\ntwo"
KINDS = ["close", "reset", "silence", "half"]
EVERYTHING = os.environ.get("SMTPKIT_CUTS") == "all"
TALLY = Counter()  # (scenario, way, kind, verdict on the first recipient): cuts

ACCEPTED, REFUSED, DEFERRED, UNKNOWN = Verdict


class Scenario:
    """A conversation: opening, a message of which one recipient is refused, and QUIT."""

    def __init__(
        self,
        *extensions,
        lmtp=False,
        tls="off",
        real=False,
        mechanism=None,
        stream=False,
        chunking=None,
        capacity=65536,
    ):
        policy = AuthPolicy(mechanisms=[mechanism], allow_in_clear=True) if mechanism else None
        self.config = ServerConfig(
            "mx.example", lmtp=lmtp, extensions=extensions, tls_available=tls == "required", auth=policy
        )
        token = mechanism in ("XOAUTH2", "OAUTHBEARER")
        credentials = Credentials("tim", token=TOKEN) if token else Credentials("tim", PASSWORD)
        self.credentials = credentials if mechanism else None
        self.tls, self.stream, self.chunking = tls, stream, chunking
        self.line = {"implicit": tls == "implicit", "capacity": capacity}
        if real:
            self.line["client_tls"] = lambda: TLS(CLIENT_CONTEXT, server_side=False, server_hostname="localhost")
            self.line["server_tls"] = lambda: TLS(SERVER_CONTEXT, server_side=True)

    def decide(self, name, argument):
        if name == "on_rcpt" and argument.forward_path.local_part == "refused":
            return Reply(550, "no", "5.1.1")
        if name == "on_message" and self.config.lmtp:
            return [Reply(452, "full", "4.2.2"), Reply(250, "ok", "2.0.0")]
        return None

    def play(self, **line):
        """The line, what became of the message, and the octets that each direction carried until it was sent."""
        line = Line(self.config, self.decide, **self.line, **line)
        client = line.client.core
        try:
            line.run(opening(client, "c.example", tls=self.tls, credentials=self.credentials, allow_auth_in_clear=True))
            self.opened = {"up": line.up.carried, "down": line.down.carried}
            body = [BODY[:9], b"", BODY[9:]] if self.stream else BODY
            sending = Sending(client, "a@a.example", TO, body, {"chunking": self.chunking})
            result = line.run(sending.exchange(), sending)
        except SMTPError as error:
            return line, error
        if not line.over:
            try:
                line.run(quit_session())
            except SMTPError:
                assert line.fault is not None
        return line, result


SENDING = {
    "DATA": Scenario("PIPELINING"),
    "DATA in lock-step": Scenario(),
    "DATA from an iterable": Scenario("PIPELINING", stream=True),
    "DATA, narrow": Scenario("PIPELINING", capacity=16),
    "BDAT": Scenario("PIPELINING", "CHUNKING"),
    "BDAT in lock-step": Scenario("CHUNKING"),
    "BDAT from an iterable": Scenario("PIPELINING", "CHUNKING", stream=True, chunking=True),
    "BDAT, narrow": Scenario("PIPELINING", "CHUNKING", capacity=16),
    "LMTP, DATA": Scenario("PIPELINING", lmtp=True),
    "LMTP, BDAT": Scenario("PIPELINING", "CHUNKING", lmtp=True),
    "LMTP in lock-step": Scenario(lmtp=True),
}
OPENING = {  # what follows them is as in SENDING, and is not cut once more
    **{
        f"AUTH {name}": Scenario("PIPELINING", "CHUNKING", mechanism=name)
        for name in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER")
    },
    "STARTTLS": Scenario("PIPELINING", "CHUNKING", tls="required"),
    "STARTTLS and AUTH": Scenario("PIPELINING", "CHUNKING", tls="required", mechanism="PLAIN"),
    "implicit TLS": Scenario("PIPELINING", "CHUNKING", tls="implicit"),
}
UNDER_TLS = {
    "STARTTLS, BDAT": Scenario("PIPELINING", "CHUNKING", tls="required", real=True),
    "STARTTLS, DATA": Scenario("PIPELINING", tls="required", real=True),
    "implicit TLS, BDAT": Scenario("PIPELINING", "CHUNKING", tls="implicit", real=True),
}
EXPECTED = {False: [ACCEPTED, REFUSED, ACCEPTED], True: [DEFERRED, REFUSED, ACCEPTED]}  # by whether it is LMTP


def check(line, result, cut):
    """The verdicts are true, and `unknown` is said only where nobody can know."""
    took = {address for _, reached in line.accepted for address in reached}
    told = getattr(result, "recipients", {})
    verdicts = {address: told[address].verdict if address in told else None for address in TO}
    for address, verdict in verdicts.items():
        if verdict is ACCEPTED:
            assert address in took, (cut, "accepted without acceptance")
        if address in took:
            assert verdict in (ACCEPTED, UNKNOWN), (cut, address, verdict, "accepted, and told otherwise")
    unknown = UNKNOWN in verdicts.values()
    if isinstance(result, Exception):
        assert isinstance(result, (ConnectionLost, Timeout, TLSError, ReplyError)), (cut, result)
        assert not (result.may_retry and (took or unknown)), (cut, "to be retried though it may have been accepted")
        assert line.over, cut
    if unknown:
        # All of the content has left the client, and the server's final reply has not come.
        assert line.client.core.waiting_for in ("end of data", "MAIL", "RCPT"), (cut, line.client.core.waiting_for)
        assert line.unsent == 0, cut
    return verdicts


def cut_at(name, scenario, way, kind, at):
    # Of two that wait in vain, now one and now the other is the first to give up.
    line, result = scenario.play(cut=(way, at, kind), impatient="server" if at % 2 else "client")
    verdicts = check(line, result, (way, at, kind))
    first = verdicts[TO[0]]
    TALLY[name, way, kind, first.value if first else "not sent"] += 1
    return set(verdicts.values())


@pytest.mark.parametrize("name", [*SENDING, *OPENING, *UNDER_TLS])
@pytest.mark.parametrize("sizes", [(65536,), (1,)])
def test_the_whole_conversation(name, sizes):
    scenario = {**SENDING, **OPENING, **UNDER_TLS}[name]
    line, result = scenario.play(sizes=sizes)
    assert list(check(line, result, None).values()) == EXPECTED[scenario.config.lmtp]
    assert (line.client.core.tls is not None) == (scenario.tls != "off")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("name", SENDING)
def test_cut_after_each_octet_of_a_message(name, way, kind):
    scenario = SENDING[name]
    whole, _ = scenario.play()
    # The opening of one is that of all.
    first = 0 if name in ("DATA", "LMTP, DATA") else scenario.opened[way]
    seen = set()
    for at in range(first, getattr(whole, way).carried):
        seen |= cut_at(name, scenario, way, kind, at)
    assert UNKNOWN in seen
    if way == "down" or kind != "silence":
        assert ACCEPTED in seen  # cut in the middle of QUIT


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in OPENING for kind in (KINDS[:1] if "SCRAM" in name and not EVERYTHING else KINDS)],
)
@pytest.mark.parametrize("way", ["up", "down"])
def test_cut_after_each_octet_of_an_opening(name, way, kind):
    scenario = OPENING[name]
    scenario.play()
    for at in range(scenario.opened[way]):
        assert cut_at(name, scenario, way, kind, at) == {None}, "nothing was sent"


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("name", UNDER_TLS)
def test_cut_after_octets_of_tls(name, way):
    scenario = UNDER_TLS[name]
    whole, _ = scenario.play()
    total = getattr(whole, way).carried
    # What is in the middle of a record tells nothing new.
    some = [*range(0, total, max(total // 40, 1)), *range(max(total - 60, 0), total, 3)]
    for at in range(total) if EVERYTHING else some:
        for kind in KINDS if EVERYTHING else KINDS[:1]:
            cut_at(name, scenario, way, kind, at)


def figures():
    """How often each verdict was given, as a table."""
    rows = sorted({key[:3] for key in TALLY})
    columns = ["not sent", "deferred", "unknown", "accepted"]
    lines = [f"{'scenario':24} {'way':5} {'loss':8}" + "".join(f"{column:>10}" for column in columns)]
    lines += [
        f"{name:24} {way:5} {kind:8}" + "".join(f"{TALLY[name, way, kind, column]:10}" for column in columns)
        for name, way, kind in rows
    ]
    return "\n".join([*lines, f"{TALLY.total()} cuts"])


if EVERYTHING:
    atexit.register(lambda: print(figures()))
