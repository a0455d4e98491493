"""PLAIN in both roles, with the exchanges of RFC 4616 and RFC 4954 and the vectors of other projects."""

from base64 import b64decode, b64encode
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.sasl import Challenge, VerifyPassword, client_mechanism, server_mechanism

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)

PUBLISHED = [
    ("test", "test", "1234", b"dGVzdAB0ZXN0ADEyMzQ="),  # RFC 4954 section 4.1
    ("", "tim", "tanstaaftanstaaf", b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm"),  # RFC 4616 section 4
    ("Ursel", "Kurt", "xipj3plmq", b"VXJzZWwAS3VydAB4aXBqM3BsbXE="),
]


@pytest.mark.parametrize(("authzid", "username", "password", "message"), PUBLISHED)
def test_published_exchanges(serve, authzid, username, password, message):
    client = client_mechanism("PLAIN", username=username, password=password, authzid=authzid)
    assert b64encode(client.start()) == message
    assert client.done
    client.finish()
    identity, _, questions = serve("PLAIN", b64decode(message))
    assert identity == (authzid or username)
    assert questions == [VerifyPassword(authzid, username, password)]


def test_without_initial_response_the_server_sends_an_empty_challenge(serve):
    identity, challenges, _ = serve("PLAIN", None, [b"\0tim\0secret"])
    assert (identity, challenges) == ("tim", [b""])


@pytest.mark.parametrize("answer", [False, None, "yes", 1])
def test_only_true_lets_in(serve, answer):
    assert serve("PLAIN", b"\0tim\0secret", answer=answer)[0] is None


def test_who_may_act_for_another_is_asked(serve):
    identity, _, _ = serve("PLAIN", b"boss\0tim\0secret", answer=lambda question: question.authzid == "boss")
    assert identity == "boss"


def test_a_challenge_too_many_is_refused():
    client = client_mechanism("plain", username="tim", password="secret")
    client.start()
    with pytest.raises(ParseError, match="a challenge after PLAIN was complete"):
        client.respond(b"more?")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0",
        b"\0\0",
        b"a\0\0",
        b"\0a\0",
        b"\0\0a",
        b"a\0b",
        b"a\0b\0c\0d",
        b"\0a\0\xff",
        b"\xff\0a\0b",
        b"\0\xc3\0p",
    ],
)
def test_malformed_messages_are_refused_without_showing_them(serve, message):
    with pytest.raises(ParseError) as caught:
        serve("PLAIN", message)
    assert (caught.value.code, caught.value.enhanced, caught.value.octets) == (501, "5.5.2", b"")


@pytest.mark.parametrize(
    "facts",
    [
        {"username": "", "password": "x"},
        {"username": "a", "password": ""},
        {"username": "a\0b", "password": "x"},
        {"username": "a", "password": "x\0y"},
        {"username": "a", "password": b"x\0y"},
        {"username": "\udc80", "password": "x"},
        {"username": "a", "password": "x", "authzid": "\0"},
    ],
)
def test_credentials_that_cannot_be_sent_are_refused(facts):
    with pytest.raises(ParseError):
        client_mechanism("PLAIN", **facts).start()


def test_password_octets_go_out_as_they_are():
    assert client_mechanism("PLAIN", username="a", password=b"\xe9\xff").start() == b"\0a\0\xe9\xff"
    assert client_mechanism("PLAIN", username="a", password="é\udcff").start() == b"\0a\0\xc3\xa9\xff"


@given(TEXT, TEXT.filter(bool), TEXT.filter(bool))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_what_the_client_writes_the_server_reads(authzid, username, password):
    message = client_mechanism("PLAIN", username=username, password=password, authzid=authzid).start()
    assert next(server_mechanism("PLAIN", message)) == VerifyPassword(authzid, username, password)


@given(st.binary(max_size=40))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_octets_are_a_question_or_a_parse_error(message):
    with suppress(ParseError):
        assert isinstance(next(server_mechanism("PLAIN", message)), VerifyPassword)


def test_vectors_of_other_projects(auth_vectors):
    for vector in auth_vectors:
        if vector["mech"] != "PLAIN" or "response_b64" not in vector:
            continue
        message = b64decode(vector["response_b64"])
        if vector["dir"] == "client-encode":
            facts = {name: vector[name] for name in ("username", "password", "authzid")}
            assert client_mechanism("PLAIN", **facts).start() == message, vector["id"]
        elif vector["rfc"] == "valid":
            assert isinstance(next(server_mechanism("PLAIN", message)), VerifyPassword), vector["id"]
        else:
            with pytest.raises(ParseError):
                next(server_mechanism("PLAIN", message))


def test_questions_hide_the_password():
    question = next(server_mechanism("PLAIN", b"boss\0tim\0hunter2"))
    assert repr(question) == "VerifyPassword(authzid='boss', username='tim', password=<hidden>)"
    assert next(server_mechanism("PLAIN")) == Challenge(b"")
