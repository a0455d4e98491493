"""The published SASL exchanges, as data: each through the client's core, the server's core, and both in memory."""

import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from smtpkit.errors import AuthenticationError
from smtpkit.protocol import AuthPolicy, Credentials, ServerConfig, ServerConnection, TLSFacts
from smtpkit.protocol.events import NEED_DATA
from smtpkit.protocol.login import login
from smtpkit.sasl import ScramKeys
from smtpkit.sasl.registry import mechanism

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "sasl_exchanges.json").read_text())["exchanges"]
VERIFIED = TLSFacts("TLSv1.3", "a cipher", True, b"a certificate")
WORDS = {235: b"235 2.7.0 Authenticated", 535: b"535 5.7.8 Authentication credentials invalid"}


def fixed(vector):
    """The mechanism with what is random, or not told by a core, fixed: as a class of one's own may do."""
    found = mechanism(vector["mechanism"])

    class Fixed(found):
        def client(self, facts):
            facts.nonce = vector.get("client_nonce")
            facts.host, facts.port = vector.get("host", ""), vector.get("port", 0)
            return super().client(facts)

        def server(self, facts, response):
            facts.nonce = vector.get("server_nonce")
            return super().server(facts, response)

    return Fixed


def lines(vector):
    """[(client's line, server's answer), …] on the wire, as RFC 4954 section 4 writes the steps."""
    turns, line = [], f"AUTH {vector['mechanism']}".encode()
    for side, message in vector["steps"]:
        if side == "C":
            octets = b64encode(message.encode())
            line = octets if turns else line + b" " + (octets or b"=")
        else:
            answer = WORDS[message] if isinstance(message, int) else b"334 " + b64encode(message.encode())
            turns.append((line + b"\r\n", answer + b"\r\n"))
    return turns


def policy(vector):
    def verify(question):
        known = vector["client"]
        if question.username != known["username"]:
            return None
        if vector["mechanism"].startswith("SCRAM"):
            salt = b64decode(vector["salt_b64"])
            return ScramKeys.derive(known["password"], vector["mechanism"], iterations=vector["iterations"], salt=salt)
        return known["password"]

    return AuthPolicy(
        verify,
        mechanisms=[fixed(vector)],
        tokens=lambda question: question.token == vector["client"].get("token") and not vector.get("refused"),
        certificate_identity=lambda facts: vector.get("certificate_identity"),
    )


def client_says(vector, ready, answers):
    """What a client's core says to these answers; the reply or the error in the end."""
    core = ready(f"AUTH {vector['mechanism']}", tls=True)
    exchange = login(core, Credentials(**vector["client"], mechanisms=[fixed(vector)]))
    said, sent = [], next(exchange)
    try:
        for answer in answers:
            for item in sent:
                core.send(item)
            said.append(core.data_to_send())
            core.receive_data(answer(said[-1]))
            sent = exchange.send((core.next_event(),))
    except StopIteration as end:
        return said, end.value
    except AuthenticationError as error:
        return said, error
    raise AssertionError("the login does not end")


class Server:
    """A server's core that has been said hello to."""

    def __init__(self, vector):
        self.policy = policy(vector)
        hostname = vector.get("hostname", "mx.example")
        self.core = ServerConnection(ServerConfig(hostname, tls_available=True, auth=self.policy))
        self.core.tls_established(VERIFIED)
        self.answer(b"")
        self.answer(b"EHLO client.example\r\n")

    def answer(self, line):
        if line:
            self.core.receive_data(line)
        while (event := self.core.next_event()) is not NEED_DATA:
            if hasattr(event, "username"):
                self.core.supply(self.policy.answer(event))
            elif self.core.unanswered is not None:
                self.core.accept()
        return self.core.data_to_send()


@pytest.fixture(params=VECTORS, ids=lambda vector: f"{vector['mechanism']}: {vector['source']}")
def vector(request):
    return request.param


def test_the_wire_form_is_that_of_the_source(vector):
    assert [line for line, _ in lines(vector)] == [
        f"{line}\r\n".encode() for line in vector.get("wire", [line.decode()[:-2] for line, _ in lines(vector)])
    ]


def test_the_client_says_what_is_published(vector, ready):
    turns = lines(vector)
    said, end = client_says(vector, ready, [lambda _, answer=answer: answer for _, answer in turns])
    assert said == [line for line, _ in turns]
    if "identity" in vector:
        assert end.code == 235
    else:
        assert end.reply.code == 535
        assert end.error == vector.get("error", {})


def test_the_server_answers_what_is_published(vector):
    if vector.get("role") == "client":
        return  # the reason that it tells is not ours
    server = Server(vector)
    assert [server.answer(line) for line, _ in lines(vector)] == [answer for _, answer in lines(vector)]
    assert server.core.identity == vector.get("identity")


def test_both_roles_get_along(vector, ready):
    server = Server({**vector, "refused": "identity" not in vector})
    turns = len(lines(vector))
    said, end = client_says(vector, ready, [server.answer] * turns)
    assert len(said) == turns
    assert isinstance(end, AuthenticationError) is ("identity" not in vector)
    assert server.core.identity == vector.get("identity")
