"""What a server knows of its connections, without octets: whom it lets in, what it counts, and when it is empty."""

from threading import Event
from types import SimpleNamespace

import pytest

from smtpkit.endpoints import Listener
from smtpkit.errors import ReplyError
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.session import SessionFacts
from smtpkit.protocol.standard_replies import INTERNAL_ERROR
from smtpkit.served import ServedConnection, ServerFacts
from smtpkit.serving import ServerSettings
from smtpkit.wire.replies import Reply

HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.2 40000 25\r\n"
ASKED = dict.fromkeys(("hostname", "config", "tls", "auth", "limits", "transcript", "trusted", "ledger", "observer"))


def server(**settings):
    made = ServerFacts(ServerSettings([Listener()], **{**ASKED, "proxy_protocol": False, **settings}))
    made._closed, made._gone = Event(), Event()
    made._acceptor = SimpleNamespace(addresses=["/run/smtp", ("192.0.2.25", 25)])
    return made


def connected(to, address="192.0.2.1"):
    connection = ServedConnection(to, Listener(), (address, 4000), SessionFacts(), set())
    connection.transport = SimpleNamespace(
        peer=(address, 4000), local=("192.0.2.25", 25), set_deadline=lambda seconds: None, close=lambda: None
    )
    connection._opened()
    return connection


def said(connection, octets=b""):
    driver = connection._driver
    if octets:
        driver.receive(octets)
    driver.next(None)
    return driver.take()


def counted(made):
    return {name: number for name, number in made.counters.items() if number}


def test_a_client_that_is_let_in_is_counted_until_it_has_gone():
    made = server()
    connection = connected(made)
    assert said(connection).startswith(b"220 ")
    assert (made.connections, made._admission.connections) == (1, 1)
    connection._ended()
    assert (made.connections, made._admission.connections) == (0, 0)
    assert counted(made) == {"connections": 1}


def test_one_too_many_is_told_and_counted():
    made = server(limits=Limits(per_address=1))
    connected(made)
    assert said(connected(made)).startswith(b"421 4.3.2 ")
    assert counted(made) == {"connections": 2, "refused": 1, "over_per_address": 1}


def test_behind_a_proxy_the_header_says_whose_connection_counts():
    made = server(proxy_protocol=True, limits=Limits(per_address=1))
    first, second = connected(made), connected(made)  # of one proxy
    assert said(first) == b""
    assert said(first, HEADER).startswith(b"220 ")
    said(second)
    assert said(second, HEADER).startswith(b"421 4.3.2 ")
    assert made._admission.connections == 1


def test_who_is_not_to_be_believed_hears_nothing():
    made = server(proxy_protocol=True, trusted=["10.0.0.0/8"])
    assert said(connected(made), HEADER) == b""
    assert counted(made) == {"connections": 1, "refused": 1}


def test_a_server_that_is_closed_is_empty_once_the_last_connection_has_gone():
    made = server()
    first, second = connected(made), connected(made)
    assert made._is_first_to_close()
    assert not made._is_first_to_close()
    assert said(connected(made)).startswith(b"421 4.3.2 ")
    for connection in list(made._connections - {first}):
        connection._ended()
    assert not made._gone.is_set()
    first._ended()
    assert made._gone.is_set()
    assert second not in made._connections


def test_whose_call_hangs_has_gone_and_counts_for_its_address_until_the_call_is_over():
    made = server()
    connection = connected(made)
    said(connection)
    connection._dismiss()
    assert (made.connections, made._admission.connections) == (0, 1)
    connection._ended()
    assert made._admission.connections == 0


def test_what_a_hook_raises_is_an_answer_and_a_failure_unless_it_is_a_reply():
    made = server()
    connection = connected(made)
    refusal = Reply(550, "No", "5.7.1")
    assert connection._raised("on_mail", ReplyError(refusal)) is refusal
    assert counted(made) == {"connections": 1}
    assert connection._raised("on_mail", ValueError("secret")) == INTERNAL_ERROR
    assert counted(made) == {"connections": 1, "failures": 1}


@pytest.mark.parametrize(
    ("addresses", "address"), [([("192.0.2.25", 25)], ("192.0.2.25", 25)), (["/run/smtp", ("::1", 26)], ("::1", 26))]
)
def test_the_address_is_that_of_the_first_tcp_endpoint(addresses, address):
    made = server()
    made._acceptor.addresses = addresses
    assert made.address == address
    assert made.addresses == addresses
    assert repr(made) == f"<Server on {addresses}, 0 connections>"
    made._acceptor.addresses = ["/run/smtp"]
    with pytest.raises(RuntimeError, match=r"no TCP endpoint; see \.addresses"):
        _ = made.address
