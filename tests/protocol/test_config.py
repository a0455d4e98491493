"""Configurations: what is refused before anybody connects."""

import pytest

from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.config import ClientConfig, ServerConfig
from smtpkit.protocol.extensions import DEFAULT_EXTENSIONS, EXTENSIONS, Extension
from smtpkit.protocol.limits import Limits


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
        ({"extensions": ["XOWN"]}, "no extension 'XOWN' is known"),
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
