"""What a client knows of its connection, without octets: whether it can carry anything, and what ends it."""

from types import SimpleNamespace

import pytest

from smtpkit.connected import ClientFacts
from smtpkit.connecting import ClientSettings
from smtpkit.errors import ConnectionLost, LocalProtocolError, ReplyError
from smtpkit.protocol import exchanges
from smtpkit.protocol.needs import DONE, READ
from smtpkit.wire.replies import Reply


class Peer:
    """A Transport, as far as nothing waits."""

    closed = False

    def __init__(self):
        self.did = []

    def set_deadline(self, seconds):
        self.did.append(seconds)

    def look(self):
        self.did.append("look")

    def close(self):
        self.closed = True
        self.did.append("close")

    def abort(self):
        self.closed = True
        self.did.append("abort")


def client():
    made = ClientFacts(ClientSettings.of_many("Pool", "smtp://mx.example", None, {"deadline": 7.0}))
    made._transport = Peer()
    made._begin(exchanges.greeting(), None, None)
    made._driver.next()
    made._driver.receive(b"220 mx.example\r\n")
    assert made._driver.next() is DONE
    made._end(None)
    made._transport.did.clear()
    return made


def test_it_says_where_to_and_in_which_state():
    made = client()
    assert (made.url, made.tls, dict(made.capabilities)) == ("smtp://mx.example:25", None, {})
    assert repr(made) == f"<Client of smtp://mx.example:25, {made._core.state.value}>"
    made._drop()
    assert repr(made) == "<Client of smtp://mx.example:25, closed>"
    assert repr(ClientFacts(made._settings)) == "<Client of smtp://mx.example:25, closed>"


@pytest.mark.parametrize(("asked", "deadline"), [(None, 7.0), (0.5, 0.5)])
def test_an_exchange_has_the_deadline_of_the_client_unless_it_has_its_own(asked, deadline):
    made = client()
    made._begin(exchanges.reset(), None, asked)
    assert made._transport.did == [deadline]


def test_one_exchange_is_under_way_at_a_time():
    made = client()
    made._begin(exchanges.reset(), None, None)
    assert not made._may_quit
    assert not made._may_go_on
    with pytest.raises(LocalProtocolError, match="in use by another call"):
        made._begin(exchanges.reset(), None, None)


def test_a_refusal_leaves_the_connection_in_step():
    made = client()
    made._begin(exchanges.reset(), None, None)
    made._end(ReplyError(Reply(550, "No")))
    assert made._may_quit
    assert made._may_go_on
    assert made._transport.did == [7.0, "look"]


@pytest.mark.parametrize("error", [ValueError("of the body"), KeyboardInterrupt()])
def test_what_breaks_off_an_exchange_ends_the_connection_and_is_remembered(error):
    made = client()
    made._begin(exchanges.reset(), None, None)
    made._end(error)
    assert made._transport.did == [7.0, "abort"]
    assert not made._may_go_on
    with pytest.raises(ConnectionLost, match="not usable any more") as caught:
        made._begin(exchanges.reset(), None, None)
    assert caught.value.__cause__ is error


def test_a_refusal_in_the_middle_of_a_transaction_leaves_it_out_of_step():
    made = client()
    made._core = SimpleNamespace(idle=False)
    made._end(ReplyError(Reply(550, "No")))
    assert made._transport.did == ["abort"]


def test_a_server_that_takes_leave_in_an_exchange_is_closed_after_it():
    made = client()
    made._begin(exchanges.reset(), None, None)
    while made._driver.next() is not READ:
        pass
    made._driver.receive(b"421 mx.example closing\r\n")
    with pytest.raises(ReplyError) as caught:
        made._driver.next()
    made._end(caught.value)
    assert made._transport.closed
    assert not made._may_be_kept


def test_taking_leave_says_quit_where_somebody_is_there():
    made = client()
    made._quit_unheard()
    assert made._driver.take() == b"QUIT\r\n"
    assert made._transport.did == ["look", "close"]
    made._quit_unheard()
    assert made._driver.take() == b""
