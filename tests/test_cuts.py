"""Verdicts that hold wherever the line is cut: client and server in memory, cut after each octet of each direction."""

from pathlib import Path

import pytest

from smtpkit.errors import SMTPError
from smtpkit.protocol import (
    CHUNK,
    CLOSE,
    DONE,
    READ,
    WRITE,
    AuthPolicy,
    ClientConfig,
    ClientConnection,
    Credentials,
    ServerConfig,
    ServerConnection,
    Verdict,
)
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.exchanges import opening, quit_session
from smtpkit.protocol.sending import Sending
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import SessionFacts
from smtpkit.sasl.questions import VerifyPassword
from smtpkit.tls import TLS, client_context, server_context
from smtpkit.wire.replies import Reply

CERTIFICATES = Path(__file__).parent / "certificates"
TO = ["ok1@b.example", "refused@b.example", "ok2@b.example"]
BODY = b"Subject: x\r\n\r\n.one\r\n..\r\ntwo"
STEPS = 3000  # no conversation here needs as many

ACCEPTED, REFUSED, DEFERRED, UNKNOWN = Verdict


class Line:
    """Two drivers and what lies between them, which ends after a number of octets in one direction."""

    def __init__(self, scenario, *, up=None, down=None, drip=False):
        self.left = {"up": up, "down": down}
        self.drip = drip
        self.carried = {"up": 0, "down": 0}
        self.cut = False
        self.accepted = []  # recipients for whom the server has taken responsibility
        core = ClientConnection(ClientConfig(lmtp=scenario.lmtp))
        self.client = ClientDriver(core, make_tls=scenario.client_tls, implicit_tls=scenario.implicit)
        self.server = ServerDriver(
            ServerConnection(scenario.config),
            SessionFacts(),
            {"on_rcpt", "on_message", "on_login"},
            make_tls=scenario.server_tls,
            implicit_tls=scenario.implicit,
        )
        self.server_need = None
        self.lmtp = scenario.lmtp
        self.steps = 0

    def on_rcpt(self, command):
        return Reply(550, "no", "5.1.1") if command.forward_path.local_part == "refused" else None

    def on_login(self, question):
        return question.password == "secret" if isinstance(question, VerifyPassword) else "secret"

    def on_message(self, message):
        self.accepted.append([str(recipient) for recipient in message.envelope.recipients])
        if self.lmtp:
            self.accepted[-1] = self.accepted[-1][1:]
            return [Reply(452, "full", "4.2.2"), *[Reply(250, "ok", "2.0.0")] * len(self.accepted[-1])]
        return None

    def carry(self, way, octets, receive):
        """Hand octets on as far as the line goes; once it is cut both ends learn of it."""
        if self.cut:
            return
        left = self.left[way]
        if left is not None and len(octets) >= left - self.carried[way]:
            octets, self.cut = octets[: left - self.carried[way]], True
        self.carried[way] += len(octets)
        for piece in [octets[at : at + 1] for at in range(len(octets))] if self.drip else [octets]:
            receive(piece) if piece else None
        if self.cut:
            self.server.receive(b"")
            self.client.receive(b"")

    def serve(self):
        """Let the server go on until it waits."""
        answer = None
        while self.server_need is not CLOSE:
            self.steps += 1
            assert self.steps < STEPS, "no end"
            need = self.server_need = self.server.next(answer)
            answer = None
            if need is READ or need is WRITE or need is CLOSE:
                octets = self.server.take()
                if octets:
                    self.carry("down", octets, self.client.receive)
                if need is READ:
                    return
            else:
                answer = getattr(self, need.name)(need.argument)
        self.cut = True
        self.client.receive(b"")

    def run(self, exchange, sending=None):
        """The result of an exchange, or what it raised."""
        self.client.start(exchange, sending.held if sending is not None else None)
        pieces = iter([BODY[:9], b"", BODY[9:]])
        answer = None
        while True:
            self.steps += 1
            assert self.steps < STEPS, "no end"
            try:
                need = self.client.next(answer)
            except SMTPError as error:
                return error
            answer = None
            if need is DONE:
                return self.client.result
            if need is CHUNK:
                answer = next(pieces, None)
                continue
            octets = self.client.take()
            if octets:
                self.carry("up", octets, self.server.receive)
            self.serve()


class Scenario:
    def __init__(
        self, *extensions, lmtp=False, tls="off", auth=False, stream=False, mechanisms=("PLAIN",), chunking=None
    ):
        self.lmtp, self.tls, self.stream, self.chunking = lmtp, tls, stream, chunking
        self.implicit = tls == "implicit"
        policy = AuthPolicy(required=True, allow_in_clear=True, mechanisms=mechanisms) if auth else None
        self.config = ServerConfig(
            "mx.example", lmtp=lmtp, extensions=extensions, tls_available=tls == "required", auth=policy
        )
        self.credentials = Credentials("tim", "secret") if auth else None

    def client_tls(self):
        return TLS(CLIENT_CONTEXT, server_side=False, server_hostname="localhost")

    def server_tls(self):
        return TLS(SERVER_CONTEXT, server_side=True)

    def play(self, **cut):
        """The line, and what became of opening, sending and quitting."""
        line = Line(self, **cut)
        client = line.client.core
        line.serve()
        first = line.run(
            opening(client, "c.example", tls=self.tls, credentials=self.credentials, allow_auth_in_clear=True)
        )
        if isinstance(first, Exception):
            return line, first
        body = iter([b""]) if self.stream else BODY
        sending = Sending(client, "a@a.example", TO, body, {"chunking": self.chunking})
        result = line.run(sending.exchange(), sending)
        if not isinstance(result, Exception) and not line.client.broken:
            line.run(quit_session())
        return line, result


CLIENT_CONTEXT = client_context(cafile=str(CERTIFICATES / "ca.pem"))
SERVER_CONTEXT = server_context(str(CERTIFICATES / "server.pem"))

SCENARIOS = {
    "DATA": Scenario("PIPELINING"),
    "DATA in lock-step": Scenario(),
    "DATA from an iterable": Scenario("PIPELINING", stream=True),
    "BDAT": Scenario("PIPELINING", "CHUNKING"),
    "BDAT in lock-step": Scenario("CHUNKING"),
    "BDAT from an iterable": Scenario("PIPELINING", "CHUNKING", stream=True, chunking=True),
    "LMTP, DATA": Scenario("PIPELINING", lmtp=True),
    "LMTP, BDAT": Scenario("PIPELINING", "CHUNKING", lmtp=True),
    "AUTH": Scenario("PIPELINING", "CHUNKING", auth=True),
    "AUTH by SCRAM": Scenario("PIPELINING", "CHUNKING", auth=True, mechanisms=("SCRAM-SHA-256",)),
}
WITH_TLS = {
    "STARTTLS": Scenario("PIPELINING", "CHUNKING", tls="required"),
    "STARTTLS and DATA": Scenario("PIPELINING", tls="required"),
    "implicit TLS": Scenario("PIPELINING", "CHUNKING", tls="implicit"),
}


def check(scenario, line, result, cut):
    """The verdicts are true, and `unknown` is said only where nobody can know."""
    took = {address for message in line.accepted for address in message}
    told = getattr(result, "recipients", {})
    verdicts = {address: told[address].verdict if address in told else None for address in TO}
    for address, verdict in verdicts.items():
        if verdict is ACCEPTED:
            assert address in took, (cut, "accepted without acceptance")
        if address in took:
            assert verdict in (ACCEPTED, UNKNOWN), (cut, address, verdict, "accepted, and told otherwise")
    unknown = UNKNOWN in verdicts.values()
    if isinstance(result, Exception):
        assert not (result.may_retry and unknown), cut
        assert not (took and result.may_retry), (cut, "to be retried though it was accepted")
    if unknown:
        # All of the content has left the client; and the server's final reply has not come.
        assert line.client.core.waiting_for in ("end of data", "MAIL", "RCPT"), (cut, line.client.core.waiting_for)
    return verdicts


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("drip", [False, True])
def test_the_whole_conversation(name, drip):
    line, result = SCENARIOS[name].play(drip=drip)
    verdicts = check(SCENARIOS[name], line, result, None)
    expected = [DEFERRED if SCENARIOS[name].lmtp else ACCEPTED, REFUSED, ACCEPTED]
    assert list(verdicts.values()) == expected


@pytest.mark.parametrize("name", WITH_TLS)
def test_the_whole_conversation_with_tls(name):
    line, result = WITH_TLS[name].play()
    assert list(check(WITH_TLS[name], line, result, None).values()) == [ACCEPTED, REFUSED, ACCEPTED]
    assert line.client.core.tls is not None


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_cut_after_each_octet(name, way):
    scenario = SCENARIOS[name]
    whole, _ = scenario.play()
    seen = set()
    for at in range(whole.carried[way]):
        line, result = scenario.play(**{way: at})
        seen |= set(check(scenario, line, result, (way, at)).values())
    assert UNKNOWN in seen
    if way == "down" and not name.startswith("AUTH by"):
        assert ACCEPTED in seen  # cut in the middle of QUIT


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("name", WITH_TLS)
def test_cut_after_octets_of_tls(name, way):
    scenario = WITH_TLS[name]
    whole, _ = scenario.play()
    total = whole.carried[way]
    # A handshake costs a millisecond, and what is in the middle of a record tells nothing new.
    for at in [*range(0, total, max(total // 40, 1)), *range(max(total - 60, 0), total, 3)]:
        line, result = scenario.play(**{way: at})
        check(scenario, line, result, (way, at))
