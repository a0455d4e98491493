"""Configurations: what is refused before anybody connects."""

import pytest

from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.config import ClientConfig, ServerConfig
from smtpkit.protocol.extensions import DEFAULT_EXTENSIONS, EXTENSIONS, Extension
from smtpkit.protocol.limits import Limits
from smtpkit.wire.dialect import STANDARD


def test_defaults():
    config = ServerConfig("mx.example")
    assert [extension.keyword for extension in config.extensions] == list(DEFAULT_EXTENSIONS)
    assert (config.max_message_size, config.bare_newlines, config.unknown_parameters) == (33554432, "reject", "reject")
    assert (config.lmtp, config.strict, config.tls_available, config.require_tls, config.auth) == (False,) * 4 + (None,)
    assert config.limits == Limits()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"bare_newlines": "ignore"}, "bare_newlines is one of reject, normalize, keep"),
        ({"unknown_parameters": "ignore"}, "unknown_parameters is one of reject, keep"),
        ({"require_tls": True}, "would refuse everybody"),
        ({"max_message_size": 0}, "None for no bound"),
        ({"max_message_size": -1}, "None for no bound"),
        ({"extensions": ["STARTTLS"]}, "by the TLS and AUTH settings"),
        ({"extensions": ["auth"]}, "by the TLS and AUTH settings"),
        ({"extensions": [EXTENSIONS["AUTH"]]}, "by the TLS and AUTH settings"),
        ({"extensions": ["XOWN"]}, "no extension 'XOWN' is known"),
        ({"extensions": ["PIPELINING 5"]}, "nothing is to be chosen behind PIPELINING"),
        ({"extensions": ["SIZE 5"]}, "nothing is to be chosen behind SIZE"),
        ({"extensions": ["DELIVERBY soon"]}, "bad DELIVERBY"),
        ({"extensions": ["SMTPUTF8"]}, "SMTPUTF8 must not be offered without 8BITMIME"),
        ({"extensions": ["BINARYMIME"]}, "must not be offered without CHUNKING"),
        ({"extensions": ["MTRK"]}, "must not be offered without DSN"),
    ],
)
def test_settings_that_make_no_server(settings, says):
    with pytest.raises(ValueError, match=says):
        ServerConfig("mx.example", **settings)


@pytest.mark.parametrize("hostname", ["", "two words", "x\r\n250 y", "under_score", "ü.example", "[1.2.3]"])
def test_the_hostname_is_a_domain_or_an_address_literal(hostname):
    with pytest.raises(ValueError, match="domain"):
        ServerConfig(hostname)
    with pytest.raises(ValueError, match="EHLO"):
        ClientConfig(hostname)


@pytest.mark.parametrize("hostname", ["mx.example", "[192.0.2.1]", "localhost"])
def test_hostnames_that_may_be_said(hostname):
    assert ServerConfig(hostname).hostname == hostname
    assert ClientConfig(hostname, lmtp=True) == ClientConfig(hostname, lmtp=True)


def test_a_client_may_leave_its_name_to_the_adapter():
    assert ClientConfig().hostname is None


def test_a_client_speaks_smtp_unless_told_otherwise():
    assert not ClientConfig().lmtp
    assert ClientConfig(lmtp=True).lmtp


def test_extensions_by_name_or_of_ones_own_each_once():
    own = Extension("XOWN")
    config = ServerConfig("mx.example", extensions=["size", own, "SIZE"])
    assert config.extensions == (EXTENSIONS["SIZE"], own)


def test_replace_changes_what_is_named_alone():
    config = ServerConfig("mx.example", auth=AuthPolicy(), limits=Limits(errors=3))
    changed = config.replace(lmtp=True)
    assert changed.lmtp
    assert changed.replace(lmtp=False) == config


def test_an_offer_is_made_once_for_each_standing():
    config = ServerConfig("mx.example")
    first = config.offer(tls=False, authenticated=False, extended=True)
    assert config.offer(tls=False, authenticated=False, extended=True) is first
    assert config.offer(tls=True, authenticated=False, extended=True) is not first


def test_what_stands_behind_a_keyword_may_be_chosen():
    (extension,) = ServerConfig("mx.example", extensions=["deliverby 60"]).extensions
    assert (extension.keyword, extension.ehlo) == ("DELIVERBY", "60")


def test_what_an_application_adds_is_in_its_configuration_alone():
    own = Extension("XOWN", mail_parameters=["X-OWN"])
    server, client = ServerConfig("mx.example", extensions=[own]), ClientConfig(extensions=[own])
    for config in (server, client):
        assert "X-OWN" in config.dialect.mail
    assert client.owners.parameters["X-OWN"] is own
    assert client == ClientConfig(extensions=[own]) != ClientConfig()
    assert ServerConfig("mx.example").dialect is ClientConfig().dialect is STANDARD
    assert "X-OWN" not in ClientConfig().owners.parameters
