"""Envelopes and sessions as a server hands them to a store."""

from types import SimpleNamespace

import pytest

from smtpkit.protocol.envelope import Envelope


@pytest.fixture
def session():
    """session(**facts) -> what a store looks at."""

    def make(**facts):
        known = {
            "peer": ("192.0.2.1", 50_000),
            "hello_name": "client.example",
            "hostname": "mx.example",
            "protocol": "ESMTP",
            "identity": None,
            "id": "5e5510",
            "tls": None,
        }
        made = SimpleNamespace(**{**known, **facts})
        made.address = made.peer[0] if made.peer else None
        return made

    return make


@pytest.fixture
def deliver():
    """deliver(store, envelope, session, *pieces) -> what the commit gives."""

    def run(store, envelope, session, *pieces):
        delivery = store.begin(envelope, session)
        for piece in pieces:
            delivery.write(piece)
        return delivery.commit()

    return run


@pytest.fixture
def envelope():
    """envelope(recipients, **mail parameters) -> from a@b.example."""

    def make(recipients=("c@d.example",), sender="a@b.example", **parameters):
        return Envelope(sender, recipients, parameters)

    return make
