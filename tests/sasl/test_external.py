"""EXTERNAL and ANONYMOUS in both roles."""

import pytest

from smtpkit.errors import ParseError
from smtpkit.sasl import client_mechanism


def test_external_without_authzid_is_an_empty_initial_response(log_in):
    """RFC 4954 section 4.1: `AUTH EXTERNAL =`, then 235."""
    identity, client, transcript = log_in("EXTERNAL", None, {}, {"certificate_identity": "tim"})
    assert identity == "tim"
    assert transcript == [("C", b"")]
    assert client.done


def test_external_asks_for_the_missing_response(serve):
    assert serve("EXTERNAL", None, [b"tim"], certificate_identity="tim") == ("tim", [b""], [])


@pytest.mark.parametrize(("authzid", "identity"), [("boss", "tim"), ("", None), ("tim", None), ("", "")])
def test_external_is_for_the_certificates_own_identity(log_in, authzid, identity):
    assert log_in("EXTERNAL", None, {"authzid": authzid}, {"certificate_identity": identity})[0] is None


def test_external_refuses_what_is_no_text(serve):
    with pytest.raises(ParseError):
        serve("EXTERNAL", b"\xff", certificate_identity="tim")


def test_anonymous(log_in, serve):
    """RFC 4505 section 5 sends "sirhc" as trace information."""
    identity, _, transcript = log_in("ANONYMOUS", None, {"username": "sirhc"})
    assert identity == "anonymous"
    assert transcript == [("C", b"sirhc")]
    assert serve("ANONYMOUS", None, [b""]) == ("anonymous", [b""], [])


def test_anonymous_tells_no_more_than_255_characters(serve):
    assert serve("ANONYMOUS", "é".encode() * 255)[0] == "anonymous"
    with pytest.raises(ParseError):
        serve("ANONYMOUS", b"e" * 256)
    with pytest.raises(ParseError):
        client_mechanism("ANONYMOUS", username="e" * 256).start()


@pytest.mark.parametrize(("name", "credential"), [("EXTERNAL", "certificate"), ("ANONYMOUS", "nothing")])
def test_what_they_are_called_and_live_by(name, credential):
    mechanism = client_mechanism(name).mechanism
    assert (mechanism.name, mechanism.credential) == (name, credential)
