"""What a trusted peer tells about its client becomes facts of the session, and nobody else's word does."""

import pytest

from smtpkit.protocol.config import ServerConfig
from smtpkit.protocol.needs import CLOSE, READ, Call
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import SessionFacts
from smtpkit.protocol.told import take_header, take_told
from smtpkit.wire import commands as c
from smtpkit.wire.proxy import ProxyHeader

EHLO = b"EHLO proxy.example\r\n"
MESSAGE = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nhi\r\n.\r\n"


def session():
    made = SessionFacts()
    made.peer, made.local = ("127.0.0.1", 5), ("127.0.0.1", 25)
    return made


class Dialogue:
    """A driver whose hook on_message notes what is known of the session."""

    def __init__(self, *, trusted=True, extensions=("XCLIENT", "XFORWARD")):
        self.core = ServerConnection(ServerConfig("mx.example", extensions=extensions))
        self.session = session()
        self.driver = ServerDriver(self.core, self.session, {"on_message"}, trusted=trusted)
        self.forwarded = []

    def say(self, octets):
        self.driver.receive(octets)
        answer = None
        while (need := self.driver.next(answer)) is not READ and need is not CLOSE:
            answer = None
            if isinstance(need, Call):
                self.forwarded.append(dict(self.session.forwarded))
        return [int(line[:3]) for line in self.driver.take().splitlines() if line[3:4] == b" "]


@pytest.mark.parametrize(
    ("attributes", "peer"),
    [
        ({"ADDR": "192.0.2.7", "PORT": "4000"}, ("192.0.2.7", 4000)),
        ({"ADDR": "192.0.2.7"}, ("192.0.2.7", 0)),
        ({"ADDR": "192.0.2.7", "PORT": "[UNAVAILABLE]"}, ("192.0.2.7", 0)),
        ({"ADDR": "IPV6:2001:db8::1", "PORT": "x"}, ("2001:db8::1", 0)),
        ({"ADDR": "ipv6:2001:db8::1"}, ("2001:db8::1", 0)),
        ({"PORT": "4000"}, ("127.0.0.1", 5)),
        ({"ADDR": "[UNAVAILABLE]"}, ("127.0.0.1", 5)),
        ({"ADDR": "no address"}, ("127.0.0.1", 5)),
        ({"NAME": "c.example"}, ("127.0.0.1", 5)),
    ],
)
def test_xclient_says_who_the_peer_is(attributes, peer):
    facts = session()
    take_told(facts, c.XClient(attributes))
    assert facts.peer == peer


def test_xclient_says_where_the_client_connected_to():
    facts = session()
    take_told(facts, c.XClient({"DESTADDR": "198.51.100.2", "DESTPORT": "587"}))
    assert facts.local == ("198.51.100.2", 587)


def test_a_second_xclient_changes_what_it_names():
    facts = session()
    take_told(facts, c.XClient({"ADDR": "192.0.2.7", "PORT": "4000", "NAME": "c.example"}))
    take_told(facts, c.XClient({"NAME": "[tempunavail]", "HELO": "h.example"}))
    assert facts.peer == ("192.0.2.7", 4000)
    assert facts.told == {"ADDR": "192.0.2.7", "PORT": "4000", "NAME": "", "HELO": "h.example"}


def test_other_commands_tell_nothing():
    facts = session()
    take_told(facts, c.Noop())
    assert (facts.told, facts.forwarded) == ({}, {})


def test_a_header_without_an_address_leaves_the_proxy():
    facts = session()
    take_header(facts, ProxyHeader(local=True))
    assert facts.peer == ("127.0.0.1", 5)
    take_header(facts, ProxyHeader("TCP4", "192.0.2.7", 1, "198.51.100.2", 2))
    assert (facts.peer, facts.local) == (("192.0.2.7", 1), ("198.51.100.2", 2))


def test_a_session_begins_anew_as_that_of_the_client():
    dialogue = Dialogue()
    xclient = b"XCLIENT ADDR=192.0.2.7 PORT=4000 HELO=c.example LOGIN=joe\r\n"
    assert dialogue.say(EHLO + xclient) == [220, 250, 220]
    assert dialogue.say(b"MAIL FROM:<>\r\n") == [503]
    dialogue.say(EHLO)
    facts = dialogue.session
    assert (facts.peer, facts.hello_name, facts.identity) == (("192.0.2.7", 4000), "c.example", "joe")


def test_what_is_forwarded_is_for_one_message():
    dialogue = Dialogue()
    assert dialogue.say(EHLO + b"XFORWARD NAME=c.example\r\nXFORWARD IDENT=1\r\n") == [220, 250, 250, 250]
    dialogue.say(MESSAGE * 2)
    assert dialogue.forwarded == [{"NAME": "c.example", "IDENT": "1"}, {}]


@pytest.mark.parametrize("end", [b"RSET\r\n", b"MAIL FROM:<a@a.example>\r\nRSET\r\n"])
def test_a_reset_forgets_what_was_forwarded(end):
    dialogue = Dialogue()
    dialogue.say(EHLO + b"XFORWARD NAME=c.example\r\n" + end + MESSAGE)
    assert dialogue.forwarded == [{}]


def test_who_is_not_trusted_needs_the_session_to_take_his_word():
    dialogue = Dialogue(trusted=False)
    assert dialogue.say(EHLO + b"XCLIENT ADDR=192.0.2.7\r\nXFORWARD NAME=x\r\n") == [220, 250, 502, 502]
    assert dialogue.session.peer == ("127.0.0.1", 5)
