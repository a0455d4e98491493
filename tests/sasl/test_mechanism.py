"""The client's walk through any mechanism."""

import pytest

from smtpkit.errors import ParseError
from smtpkit.sasl.facts import ClientFacts
from smtpkit.sasl.mechanism import ClientLogin, Mechanism


class Handshake(Mechanism):
    """Says hello, wants an octet echoed, and then knows the server."""

    name = "X-HANDSHAKE"
    mutual = True

    def client(self, facts):
        challenge = yield facts.username.encode()
        if challenge != b"x":
            raise ParseError("not the same")
        challenge = yield None
        return challenge


class OneMessage(Mechanism):
    name = "X-ONE"

    def client(self, facts):
        yield from ()
        return b""


class OnlyFails(Mechanism):
    name = "X-FAILS"

    def client(self, facts):
        yield from ()
        raise ParseError("cannot begin")


def login(mechanism, *arguments):
    return ClientLogin(mechanism(), ClientFacts(*arguments))


def test_steps_end_with_the_last_response():
    client = login(Handshake, "tim")
    assert client.name == "X-HANDSHAKE"
    assert client.start() == b"tim"
    assert client.respond(b"x") == b""
    assert not client.done
    assert client.respond(b"y") == b"y"
    assert client.done
    client.finish()
    with pytest.raises(ParseError, match="after X-HANDSHAKE was complete"):
        client.respond(b"z")


def test_one_message():
    client = login(OneMessage)
    assert repr(client) == "<ClientLogin by X-ONE>"
    client.finish()
    assert client.start() == b""
    assert repr(client) == "<ClientLogin by X-ONE, done>"


def test_success_is_not_believed_before_a_mutual_mechanism_is_done():
    client = login(Handshake)
    client.start()
    with pytest.raises(ParseError, match="success without the server's proof"):
        client.finish()


def test_a_failure_stays_one():
    client = login(Handshake)
    client.start()
    with pytest.raises(ParseError, match="not the same"):
        client.respond(b"y")
    with pytest.raises(ParseError, match="cannot go on"):
        client.respond(b"x")
    assert not client.done
    with pytest.raises(ParseError):
        client.finish()


def test_a_failure_at_the_start_stays_one():
    client = login(OnlyFails)
    for words in ("cannot begin", "cannot go on"):
        with pytest.raises(ParseError, match=words):
            client.start()


def test_a_mechanism_can_do_nothing_by_itself():
    mechanism = Mechanism()
    assert mechanism.available()
    assert mechanism.error is None
    with pytest.raises(NotImplementedError):
        mechanism.client(ClientFacts())
    with pytest.raises(NotImplementedError):
        mechanism.server(None, None)


def test_what_is_stored_fits_the_mechanism_that_can_use_it():
    class Proof(Mechanism):
        name = "XPROOF"

    class Shown(Mechanism):
        name = "XSHOWN"
        plaintext = True

    class Token(Shown):
        credential = "token"

    record = object()
    assert [each.accepts("secret") for each in (Proof, Shown, Token)] == [True, True, False]
    assert [each.accepts(record) for each in (Proof, Shown, Token)] == [False, True, False]
