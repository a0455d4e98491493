"""Certificates by name, as they are read from files."""

from pathlib import Path

import pytest

from smtpkit.certificates import Certificates, _choice, _names
from smtpkit.errors import TLSError
from smtpkit.tls import TLS, client_context, server_context

FILES = Path(__file__).parent / "certificates"
SERVER, OTHER, CA, CLIENT = (str(FILES / f"{name}.pem") for name in ("server", "wrong-name", "ca", "client"))


def facts(certificates, name, certificate=None):
    """What client and server know when their handshake is over."""
    client = TLS(client_context(unverified=True, certificate=certificate), server_side=False, server_hostname=name)
    server = TLS(certificates.load(), server_side=True)
    while client.facts is None or server.facts is None:
        server.feed(client.data_to_send())
        client.feed(server.data_to_send())
    return client.facts, server.facts


def shown(certificates, name):
    """The name that a client finds in the certificate that it gets."""
    of_client, of_server = facts(certificates, name)
    assert of_server.server_name == name
    return _names(of_client.peer_certificate)


def test_each_name_has_its_certificate_and_the_first_is_for_the_others():
    certificates = Certificates((SERVER, None), OTHER)
    assert shown(certificates, "elsewhere.example") == ["elsewhere.example"]
    assert shown(certificates, "localhost") == ["localhost"]
    assert shown(certificates, "third.example") == ["localhost"]


@pytest.mark.parametrize("name", ["localhost", "elsewhere.example"])
@pytest.mark.parametrize("required", [True, False])
def test_a_client_is_verified_whatever_name_it_asks_for(name, required):
    certificates = Certificates(SERVER, OTHER, client_cafile=CA, client_required=required)
    _, of_server = facts(certificates, name, CLIENT)
    assert of_server.verified


def test_of_two_for_a_name_the_first_is_taken():
    certificates = Certificates(OTHER, SERVER, str(FILES / "self-signed.pem"))
    of_client, _ = facts(certificates, "localhost")
    assert of_client.peer_certificate == server_context(SERVER).own_certificate


def test_one_is_for_all_names():
    assert shown(Certificates(SERVER), "elsewhere.example") == ["localhost"]


def element(tag, content):
    size = bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2, "big")
    return bytes([tag]) + size + content


@pytest.mark.parametrize("critical", [b"", b"\x01\x01\xff"])
def test_names_are_found_wherever_they_stand(critical):
    names = element(0x82, b"One.example") + element(0x87, b"\x7f\0\0\x01") + element(0x82, b"*.two.example") * 20
    extension = b"\x06\x03\x55\x1d\x11" + critical + element(0x04, element(0x30, names))
    assert _names(b"..." + extension + b"...") == ["one.example", *["*.two.example"] * 20]
    assert _names(b"no names") == []


def test_a_wildcard_is_for_one_label():

    chosen = []

    class Connection:
        context = property(lambda self: None, lambda self, value: chosen.append(value))

    choose = _choice({"*.two.example": "wild"})
    for name in ("a.two.example", "A.TWO.example", "two.example", "a.b.two.example", "other.example", None):
        choose(Connection(), name, None)
    assert chosen == ["wild"] * 2


@pytest.mark.parametrize(("files", "options"), [((), {}), ((SERVER,), {"client_required": True})])
def test_what_makes_no_sense_is_refused(files, options):
    with pytest.raises(ValueError, match="certificate"):
        Certificates(*files, **options)


@pytest.mark.parametrize(("files", "options"), [(("/nowhere",), {}), ((SERVER,), {"client_cafile": "/nowhere"})])
def test_a_file_that_cannot_be_read_is_a_tls_error(files, options):
    with pytest.raises(TLSError, match="/nowhere"):
        Certificates(*files, **options).load()


def test_it_shows_files_and_nothing_else():
    assert repr(Certificates("a.pem", ("b.pem", "b.key"), client_cafile=CA)) == "Certificates('a.pem', 'b.pem')"
