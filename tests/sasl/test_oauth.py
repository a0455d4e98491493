"""OAUTHBEARER and XOAUTH2 in both roles, with the exchanges of RFC 7628 and of Google's documentation."""

import json
from base64 import b64decode
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.sasl import Challenge, ClientFacts, VerifyToken, client_mechanism, server_mechanism
from smtpkit.sasl.oauth import OAuthBearer

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
RFC_7628_MESSAGE = b64decode(
    "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52"
    "YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
)
RFC_7628_ERROR = b64decode(
    "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYXRpb24iOiJodHRwczovL2"
    "V4YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0="
)
FACTS = {"username": "user@example.com", "token": TOKEN, "host": "server.example.com", "port": 587}
GOOGLE_TOKEN = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
GOOGLE_MESSAGE = b64decode(
    "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
)


class TestOAuthBearer:
    def test_published_message_as_client(self):
        """RFC 7628 section 4.1."""
        client = client_mechanism("OAUTHBEARER", **FACTS)
        assert client.start() == RFC_7628_MESSAGE
        client.finish()

    def test_published_message_as_server(self, serve):
        assert serve("OAUTHBEARER", RFC_7628_MESSAGE) == (
            "user@example.com",
            [],
            [VerifyToken("user@example.com", TOKEN)],
        )

    def test_published_error_as_client(self):
        """RFC 7628 section 4.3: the client answers %x01 and the server refuses."""
        client = client_mechanism("OAUTHBEARER", **FACTS)
        client.start()
        assert client.respond(RFC_7628_ERROR) == b"\x01"
        assert client.mechanism.error["status"] == "invalid_token"
        assert client.mechanism.error["openid-configuration"].endswith("openid-configuration")

    def test_vector_of_another_project(self, auth_vectors):
        (vector,) = [vector for vector in auth_vectors if vector["mech"] == "OAUTHBEARER"]
        facts = {name: vector[name] for name in ("username", "token", "host", "port")}
        assert client_mechanism("OAUTHBEARER", **facts).start() == b64decode(vector["response_b64"])

    def test_identity_is_escaped_and_need_not_be_there(self, serve):
        client = client_mechanism("OAUTHBEARER", username="a=b,c", token="t")
        message = client.start()
        assert message == b"n,a=a=3Db=2Cc,\x01auth=Bearer t\x01\x01"
        assert serve("OAUTHBEARER", message)[0] == "a=b,c"
        assert client_mechanism("OAUTHBEARER", token="t").start() == b"n,,\x01auth=Bearer t\x01\x01"
        assert client_mechanism("OAUTHBEARER", username="u", authzid="z", token="t").start()[:6] == b"n,a=z,"

    def test_host_and_port_may_be_told(self, serve):
        """RFC 7628 section 3.1: in any order, and with more keys; a server of mail needs none of them."""
        for told in (b"", b"host=mail.example\x01port=587\x01", b"port=1\x01mthd=POST\x01", b"host=\x01"):
            message = b"n,a=tim,\x01" + told + b"auth=Bearer t\x01\x01"
            assert serve("OAUTHBEARER", message) == ("tim", [], [VerifyToken("tim", "t")])

    def test_a_token_may_tell_the_identity(self, serve):
        message = b"n,,\x01auth=Bearer t\x01\x01"
        assert serve("OAUTHBEARER", message, answer="tim")[0] == "tim"
        identity, challenges, questions = serve("OAUTHBEARER", message, [b"\x01"], answer=True)
        assert (identity, questions) == (None, [VerifyToken("", "t")])
        assert json.loads(challenges[0]) == {"status": "invalid_token"}

    @pytest.mark.parametrize("answer", [False, None, "", 1])
    def test_refused_token(self, log_in, answer):
        identity, client, transcript = log_in("OAUTHBEARER", answer, FACTS)
        assert identity is None
        assert client.mechanism.error == {"status": "invalid_token"}
        assert transcript[-1] == ("C", b"\x01")

    def test_scheme_in_any_case_and_other_keys(self, serve):
        message = b"y,a=tim,\x01host=h\x01auth=bEARER  t\x01x=y\x01\x01"
        assert serve("OAUTHBEARER", None, [message])[:2] == ("tim", [b""])

    @pytest.mark.parametrize(
        "message",
        [
            b"",
            b"\x01\x01",
            b"n,,\x01\x01",
            b"n,,\x01auth=Bearer t\x01",
            b"n,,\x01auth=Bearer t",
            b"n,,\x01auth=Bearer t\x01\x01x",
            b"n,,\x01auth=Basic dDp0\x01\x01",
            b"n,,\x01auth=Bearer\x01\x01",
            b"n,,\x01auth\x01\x01",
            b"n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01",
            b"n\x01auth=Bearer t\x01\x01",
            b"n,\x01auth=Bearer t\x01\x01",
            b"n,a=x,y\x01auth=Bearer t\x01\x01",
            b"n,x,\x01auth=Bearer t\x01\x01",
            b"n,a=x=2,\x01auth=Bearer t\x01\x01",
            b"p=tls-unique,,\x01auth=Bearer t\x01\x01",
            b"n,,\x01auth=Bearer \xff\x01\x01",
        ],
    )
    def test_malformed_messages(self, serve, message):
        with pytest.raises(ParseError) as caught:
            serve("OAUTHBEARER", message)
        assert (caught.value.code, caught.value.octets) == (501, b"")


class TestXOAuth2:
    def test_published_message_in_both_roles(self, serve):
        client = client_mechanism("XOAUTH2", username="someuser@example.com", token=GOOGLE_TOKEN)
        assert client.start() == GOOGLE_MESSAGE
        client.finish()
        identity, _, questions = serve("XOAUTH2", GOOGLE_MESSAGE)
        assert identity == "someuser@example.com"
        assert questions == [VerifyToken("someuser@example.com", GOOGLE_TOKEN)]

    def test_refused_token(self, log_in):
        identity, client, transcript = log_in("XOAUTH2", False, FACTS)
        assert identity is None
        assert client.mechanism.error == {"status": "401", "schemes": "Bearer"}
        assert transcript[-1] == ("C", b"")

    @pytest.mark.parametrize("message", [b"", b"user=u\x01\x01", b"auth=Bearer t\x01", b"u\x01auth=Bearer t\x01\x01"])
    def test_malformed_messages(self, serve, message):
        with pytest.raises(ParseError):
            serve("XOAUTH2", message)

    def test_a_challenge_too_many(self):
        client = client_mechanism("XOAUTH2", **FACTS)
        client.start()
        client.respond(b"{}")
        with pytest.raises(ParseError, match="after XOAUTH2 was complete"):
            client.respond(b"{}")


@pytest.mark.parametrize("error", [b"", b"no json", b"[1]", b"\xff", b"[" * 12000])
def test_errors_that_are_no_json_objects_are_empty(error):
    client = client_mechanism("XOAUTH2", **FACTS)
    client.start()
    assert client.respond(error) == b""
    assert client.mechanism.error == {}


@pytest.mark.parametrize("name", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize(
    "facts",
    [
        {"token": ""},
        {"token": "two words"},
        {"token": "a\r\nb"},
        {"token": "tök"},
        {"token": "t", "username": "a\1b"},
        {"token": "t", "authzid": "a\1b"},
        {"token": "t", "host": "a\1b"},
        {"token": "t", "username": "\0"},
    ],
)
def test_credentials_that_cannot_be_sent(name, facts):
    with pytest.raises(ParseError) as caught:
        client_mechanism(name, **facts).start()
    assert "words" not in str(caught.value)


def test_what_they_share_is_no_mechanism():
    shared = OAuthBearer.__base__()
    with pytest.raises(NotImplementedError):
        shared.message(ClientFacts())
    with pytest.raises(NotImplementedError):
        shared.read([])


def test_questions_hide_the_token():
    question = next(server_mechanism("XOAUTH2", GOOGLE_MESSAGE))
    assert repr(question) == "VerifyToken(username='someuser@example.com', token=<hidden>)"


@given(st.sampled_from(["OAUTHBEARER", "XOAUTH2"]), st.text("n,a=\1 auth=Bearer x2CD", max_size=30))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_message_is_a_question_or_a_parse_error(name, message):
    with suppress(ParseError):
        assert isinstance(next(server_mechanism(name, message.encode())), VerifyToken | Challenge)
