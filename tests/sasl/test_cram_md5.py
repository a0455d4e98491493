"""CRAM-MD5 in both roles, with the exchanges of RFC 2195 and RFC 4954."""

import hashlib
import hmac
from base64 import b64decode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.sasl import Challenge, FetchSecret, choose, client_mechanism, mechanism_names, server_mechanism

CHALLENGE = b64decode("PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+")
FACTS = {"hostname": "postoffice.reston.mci.net", "nonce": "1896.697170952"}
ANSWER = b64decode("dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw")


def test_published_exchange_as_client():
    """RFC 2195 section 2."""
    client = client_mechanism("CRAM-MD5", username="tim", password="tanstaaftanstaaf")
    assert client.start() is None
    assert client.respond(CHALLENGE) == ANSWER
    assert client.done
    client.finish()


@pytest.mark.parametrize("secret", ["tanstaaftanstaaf", b"tanstaaftanstaaf"])
def test_published_exchange_as_server(serve, secret):
    identity, challenges, questions = serve("CRAM-MD5", None, [ANSWER], secret, **FACTS)
    assert identity == "tim"
    assert challenges == [CHALLENGE]
    assert questions == [FetchSecret("tim", "CRAM-MD5")]


def test_form_of_the_exchange_of_rfc_4954():
    """RFC 4954 section 4.1; the password of rjs3 is not published, so only the form can be compared."""
    client = client_mechanism("CRAM-MD5", username="rjs3", password="not known")
    client.start()
    response = client.respond(b64decode("PDQxOTI5NDIzNDEuMTI4Mjg0NzJAc291cmNlZm91ci5hbmRyZXcuY211LmVkdT4="))
    published = b64decode("cmpzMyBlYzNhNTlmZWQzOTVhYmExZWM2MzY3YzRmNGI0MWFjMA==")
    assert (len(response), response[:5]) == (len(published), published[:5])


@pytest.mark.parametrize("secret", ["wrong", b"", "", None, True, False, 42])
def test_wrong_secret_or_unknown_user(serve, secret):
    assert serve("CRAM-MD5", None, [ANSWER], secret, **FACTS)[0] is None


def test_nobody_gets_in_with_what_unknown_users_are_compared_to(serve, log_in):
    assert log_in("CRAM-MD5", None, {"username": "tim", "password": "nobody"})[0] is None


@pytest.mark.parametrize("secret", ["", b""])
def test_an_empty_secret_lets_nobody_in(secret):
    exchange = server_mechanism("CRAM-MD5")
    challenge = next(exchange).octets
    exchange.send(b"tim " + hmac.new(b"", challenge, hashlib.md5).hexdigest().encode())
    with pytest.raises(StopIteration) as end:
        exchange.send(secret)
    assert end.value.value is None


def test_challenges_never_repeat():
    challenges = {next(server_mechanism("CRAM-MD5", hostname="mx")).octets for _ in range(20)}
    assert len(challenges) == 20
    assert all(challenge.startswith(b"<") and challenge.endswith(b"@mx>") for challenge in challenges)


@given(st.text(min_size=1, max_size=10).filter(lambda text: "\0" not in text), st.text(max_size=80))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_any_name_and_password_log_in(username, password):
    client = client_mechanism("CRAM-MD5", username=username, password=password + "x")
    client.start()
    exchange = server_mechanism("CRAM-MD5")
    challenge = next(exchange)
    assert isinstance(challenge, Challenge)
    assert exchange.send(client.respond(challenge.octets)) == FetchSecret(username, "CRAM-MD5")
    with pytest.raises(StopIteration) as end:
        exchange.send(password + "x")
    assert end.value.value == username


def test_initial_response_is_refused(serve):
    with pytest.raises(ParseError) as caught:
        serve("CRAM-MD5", b"")
    assert (caught.value.code, caught.value.enhanced) == (501, "5.7.0")


@pytest.mark.parametrize("response", [b"", b"tim", b" 00", b"\xff 00", b"a\0b 00"])
def test_malformed_answers(serve, response):
    with pytest.raises(ParseError) as caught:
        serve("CRAM-MD5", None, [response])
    assert (caught.value.code, caught.value.enhanced) == (501, "5.5.2")


def test_it_cannot_act_for_another():
    with pytest.raises(ParseError, match="another identity"):
        client_mechanism("CRAM-MD5", username="tim", authzid="boss").start()


def test_it_is_left_out_where_there_is_no_md5(monkeypatch):
    def forbidden(*_, **__):
        raise ValueError("disabled for FIPS")

    assert choose(["CRAM-MD5"], {"password"}, tls=True) == "CRAM-MD5"
    monkeypatch.setattr(hashlib, "md5", forbidden)
    assert choose(["CRAM-MD5"], {"password"}, tls=True) is None
    assert "CRAM-MD5" not in mechanism_names()
