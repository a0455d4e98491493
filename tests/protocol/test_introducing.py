"""What a relay tells the next server of the client whose mail comes."""

from types import SimpleNamespace

import pytest

from smtpkit.errors import ReplyError
from smtpkit.protocol import introducing


def session(**facts):
    known = {
        "peer": ("192.0.2.1", 50_000),
        "local": ("192.0.2.25", 25),
        "hello_name": "client.example",
        "hostname": "mx.example",
        "protocol": "ESMTP",
        "identity": None,
        "id": "5e5510",
    }
    return SimpleNamespace(**{**known, **facts})


FACTS = {
    "NAME": "[UNAVAILABLE]",
    "PROTO": "ESMTP",
    "ADDR": "192.0.2.1",
    "PORT": "50000",
    "DESTADDR": "192.0.2.25",
    "DESTPORT": "25",
    "HELO": "client.example",
    "LOGIN": "[UNAVAILABLE]",
    "IDENT": "5e5510",
    "SOURCE": "REMOTE",
}


def test_what_can_be_told_of_a_client():
    assert introducing.client_facts(session()) == FACTS
    told = introducing.client_facts(
        session(
            peer="", local=("fe80::1%eth0", 25, 0, 0), hello_name="é\r\nx" + "y" * 300, identity="u", protocol="SMTP"
        )
    )
    assert told == {
        **FACTS,
        "PROTO": "SMTP",
        "ADDR": "[UNAVAILABLE]",
        "PORT": "[UNAVAILABLE]",
        "DESTADDR": "IPv6:fe80::1",
        "HELO": "???x" + "y" * 251,
        "LOGIN": "u",
        "SOURCE": "LOCAL",
    }
    assert introducing.client_facts(session(peer=("somewhere", 1)))["ADDR"] == "[UNAVAILABLE]"
    assert introducing.client_facts(session(hello_name=None))["HELO"] == "[UNAVAILABLE]"


def test_xforward_tells_what_the_next_server_takes(play, ready):
    core = ready("XFORWARD ADDR HELO SOURCE")
    script = ["C: XFORWARD ADDR=192.0.2.1 HELO=client.example SOURCE=REMOTE", "S: 250 ok"]
    assert play(core, introducing.introduce(core, FACTS), script).result is False


@pytest.mark.parametrize(("name", "said"), [("client.example", "client.example"), ("a_b", "localhost")])
def test_with_xclient_the_session_begins_anew(play, ready, name, said):
    core = ready("XFORWARD ADDR", "XCLIENT ADDR HELO")
    script = [f"C: XCLIENT ADDR=192.0.2.1 HELO={name}", "S: 220 mx", f"C: EHLO {said}", "S: 250-mx", "S: 250 SIZE"]
    assert play(core, introducing.introduce(core, {**FACTS, "HELO": name}), script).result is True
    assert list(core.capabilities) == ["SIZE"]


def test_who_offers_neither_is_told_nothing(play, ready):
    core = ready("XFORWARD NOTHING")
    assert play(core, introducing.introduce(core, FACTS), []).result is False


def test_who_refuses_to_hear_it(play, ready):
    core = ready("XFORWARD ADDR")
    with pytest.raises(ReplyError, match="550"):
        play(core, introducing.introduce(core, FACTS), ["C: XFORWARD ADDR=192.0.2.1", "S: 550 no"])
