"""Choosing a mechanism, adding one, and what is imported for it."""

import subprocess
import sys

import pytest

from smtpkit.errors import ParseError
from smtpkit.sasl import (
    Challenge,
    Mechanism,
    choose,
    client_mechanism,
    mechanism_names,
    register,
    registry,
    server_mechanism,
)
from smtpkit.sasl.registry import best, mechanism

EVERY = mechanism_names()
BEST_FIRST = (
    "SCRAM-SHA-512-PLUS",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
)


class Nothing(Mechanism):
    """A mechanism of an application."""

    name = "X-NOTHING"

    def client(self, facts):
        challenge = yield None
        return challenge[::-1]

    def server(self, facts, response):
        return "nobody" if (yield Challenge(b"abc")) == b"cba" else None


@pytest.fixture
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_MECHANISMS", dict(registry._MECHANISMS))


class TestChoose:
    def test_order_under_tls(self):
        names = list(reversed(BEST_FIRST))
        for name in BEST_FIRST:
            assert choose(names, {"password"}, tls=True, channel_binding=True) == name
            names.remove(name)
        assert choose(names, {"password"}, tls=True) is None

    def test_no_plus_without_channel_binding(self):
        assert choose(EVERY, {"password"}, tls=True) == "SCRAM-SHA-512"

    def test_tokens_want_oauth(self):
        assert choose(EVERY, {"token"}, tls=True) == "OAUTHBEARER"
        assert choose(["PLAIN", "XOAUTH2"], {"token"}, tls=True) == "XOAUTH2"
        assert choose(["PLAIN", "LOGIN"], {"token"}, tls=True) is None

    def test_nothing_that_shows_the_secret_in_clear(self):
        assert choose(["PLAIN", "LOGIN"], {"password"}, tls=False) is None
        assert choose(["OAUTHBEARER", "XOAUTH2"], {"token"}, tls=False) is None
        assert choose(["LOGIN"], {"password"}, tls=False, allow_in_clear=True) == "LOGIN"
        assert choose(["XOAUTH2"], {"token"}, tls=False, allow_in_clear=True) == "XOAUTH2"

    def test_in_clear_a_digest_is_better_than_the_password(self):
        names = ["PLAIN", "CRAM-MD5", "LOGIN"]
        assert choose(names, {"password"}, tls=False, allow_in_clear=True) == "CRAM-MD5"
        assert choose(names, {"password"}, tls=False) == "CRAM-MD5"
        assert choose(names, {"password"}, tls=True) == "PLAIN"

    def test_external_and_anonymous_when_asked_for(self):
        assert choose(EVERY, {"certificate"}, tls=True) == "EXTERNAL"
        assert choose(EVERY, {"nothing"}, tls=False) == "ANONYMOUS"

    def test_names_in_any_case_and_unknown_ones(self):
        assert choose(["gssapi", "plain"], {"password"}, tls=True) == "PLAIN"
        assert choose(["GSSAPI", "DIGEST-MD5", "NTLM"], {"password", "token"}, tls=True) is None

    def test_only_what_the_caller_allows(self):
        assert choose(EVERY, {"password"}, tls=True, allowed={"LOGIN", "CRAM-MD5"}) == "LOGIN"
        assert choose(["PLAIN"], {"password"}, tls=True, allowed=()) is None


class TestRegister:
    def test_an_added_mechanism_works_in_both_roles_and_is_preferred(self, own_registry, log_in):
        assert register(Nothing) is Nothing
        assert mechanism_names()[0] == "X-NOTHING"
        assert choose(["PLAIN", "X-NOTHING"], {"password"}, tls=True) == "X-NOTHING"
        identity, client, transcript = log_in("x-nothing", None, {})
        assert identity == "nobody"
        assert client.done
        assert transcript == [("C", None), ("S", b"abc"), ("C", b"cba")]

    def test_a_built_in_one_can_be_replaced_in_its_place(self, own_registry):
        register(type("Plain", (Nothing,), {"name": "PLAIN", "available": classmethod(lambda cls: False)}))
        assert "PLAIN" not in mechanism_names()
        assert choose(["PLAIN", "LOGIN"], {"password"}, tls=True) == "LOGIN"
        assert next(iter(registry._MECHANISMS)) == "SCRAM-SHA-512-PLUS"

    def test_a_role_that_is_not_defined(self, own_registry):
        register(type("Half", (Mechanism,), {"name": "X-HALF"}))
        with pytest.raises(NotImplementedError):
            client_mechanism("X-HALF")
        with pytest.raises(NotImplementedError):
            server_mechanism("X-HALF")


def test_names_by_credential():
    assert mechanism_names("token") == ("OAUTHBEARER", "XOAUTH2")
    assert mechanism_names("password") == BEST_FIRST
    assert mechanism_names("certificate") == ("EXTERNAL",)


@pytest.mark.parametrize("make", [client_mechanism, server_mechanism])
def test_unknown_mechanisms_are_504(make):
    with pytest.raises(ParseError, match="unknown authentication mechanism") as caught:
        make("GSSAPI")
    assert (caught.value.code, caught.value.enhanced) == (504, "5.5.4")


def test_reprs_hide_secrets():
    client = client_mechanism("PLAIN", username="tim", password="hunter2")
    assert repr(client) == "<ClientLogin by PLAIN>"
    client.start()
    assert repr(client) == "<ClientLogin by PLAIN, done>"
    assert client.name == "PLAIN"
    facts = registry.ClientFacts("tim", "hunter2", token="t0ken")
    assert "hunter2" not in repr(facts)
    assert "t0ken" not in repr(facts)
    assert "pepper" not in repr(registry.ServerFacts("mx", salt_secret=b"pepper"))


def test_importing_and_password_logins_load_nothing_dear():
    program = """
import sys
import smtpkit.sasl as sasl
imported = set(sys.modules)
sasl.client_mechanism("PLAIN", username="a", password="b").start()
next(sasl.server_mechanism("PLAIN", b"\\0a\\0b"))
next(sasl.server_mechanism("LOGIN"))
sasl.choose(["PLAIN", "LOGIN"], ["password"], tls=True)
print(*(name for name in set(sys.modules) - imported if not name.startswith("smtpkit.sasl.")))
print(*({"hashlib", "hmac", "json", "secrets", "ssl", "stringprep"} & set(sys.modules)))
"""
    loaded = subprocess.run([sys.executable, "-S", "-c", program], check=True, capture_output=True, text=True)
    assert loaded.stdout.split() == []


class Own(Mechanism):
    name = "XOWN"
    plaintext = True


def test_a_class_stands_for_itself():
    assert mechanism(Own) is Own
    assert mechanism("plain").name == "PLAIN"
    assert client_mechanism(mechanism("PLAIN")).name == "PLAIN"


@pytest.mark.parametrize("name", ["", "xown", "X OWN", "X" * 21, "XÖ"])
def test_a_class_has_a_name_that_may_stand_in_the_keyword_list(name):
    with pytest.raises(ParseError, match="1 to 20"):
        mechanism(type("Wrong", (Mechanism,), {"name": name}))


@pytest.mark.parametrize("wrong", [7, object, None])
def test_anything_else_is_no_mechanism(wrong):
    with pytest.raises(ParseError, match="a name or a class"):
        mechanism(wrong)


def test_classes_come_before_names():
    offered = ["PLAIN", "XOWN", "LOGIN"]
    assert best(offered, ["password"], tls=True, allowed=["PLAIN", Own]) is Own
    assert best(offered, ["password"], tls=False, allowed=["PLAIN", Own]) is None
    assert best(["PLAIN"], ["password"], tls=True, allowed=["PLAIN", Own]).name == "PLAIN"
    assert best(["LOGIN"], ["password"], tls=True, allowed=["PLAIN", Own]) is None
