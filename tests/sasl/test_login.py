"""LOGIN in both roles, with the exchanges of its draft and of other projects."""

from base64 import b64decode

import pytest

from smtpkit.errors import ParseError
from smtpkit.sasl import VerifyPassword, client_mechanism


def test_exchange_of_the_draft():
    """draft-murchison-sasl-login section 2.3: the prompts there are "User Name" NUL and "Password" NUL."""
    client = client_mechanism("LOGIN", username="tim", password="tanstaaftanstaaf")
    assert client.start() is None
    assert client.respond(b64decode("VXNlciBOYW1lAA==")) == b64decode("dGlt")
    assert not client.done
    assert client.respond(b64decode("UGFzc3dvcmQA")) == b64decode("dGFuc3RhYWZ0YW5zdGFhZg==")
    assert client.done
    client.finish()


def test_exchange_with_the_prompts_in_use(serve, auth_vectors):
    steps = next(vector for vector in auth_vectors if vector["id"] == "auth-030")["steps"]
    prompts = [b64decode(line[4:]) for side, line in steps if side == "S" and line.startswith("334")]
    responses = [b64decode(line) for side, line in steps[1:] if side == "C"]
    assert serve("LOGIN", None, responses) == (
        "bob@mydomain.tld",
        prompts,
        [VerifyPassword("", "bob@mydomain.tld", "secret")],
    )


def test_user_name_as_initial_response(serve):
    identity, challenges, _ = serve("LOGIN", b"tim", [b"secret"])
    assert (identity, challenges) == ("tim", [b"Password:"])


def test_both_roles_together(log_in):
    identity, client, _ = log_in(
        "LOGIN", lambda question: question.password == "pässword", {"username": "tim", "password": "pässword"}
    )
    assert identity == "tim"
    assert client.done


@pytest.mark.parametrize(("username", "password"), [(b"", b""), (b"tim", b""), (b"", b"secret")])
def test_empty_parts_are_refused_without_a_question(serve, username, password):
    assert serve("LOGIN", None, [username, password]) == (None, [b"Username:", b"Password:"], [])


def test_wrong_password(serve):
    assert serve("LOGIN", b"tim", [b"wrong"], answer=False)[0] is None


@pytest.mark.parametrize("responses", [[b"\xff"], [b"a\0b"], [b"tim", b"\xff"], [b"tim", b"a\0b"]])
def test_malformed_messages(serve, responses):
    with pytest.raises(ParseError) as caught:
        serve("LOGIN", None, responses)
    assert (caught.value.code, caught.value.enhanced) == (501, "5.5.2")


def test_it_cannot_act_for_another():
    assert client_mechanism("LOGIN", username="tim", password="x", authzid="tim").start() is None
    with pytest.raises(ParseError, match="another identity"):
        client_mechanism("LOGIN", username="tim", password="x", authzid="boss").start()


def test_a_challenge_too_many_is_refused():
    client = client_mechanism("LOGIN", username="tim", password="secret")
    client.start()
    client.respond(b"1")
    client.respond(b"2")
    with pytest.raises(ParseError, match="after LOGIN was complete"):
        client.respond(b"3")


def test_it_shows_the_password_as_it_is():
    assert client_mechanism("LOGIN", username="user", password="pass").mechanism.plaintext
