"""SMTP and LMTP with blocking sockets and threads: client and server."""

from smtpkit.certificates import Certificates
from smtpkit.endpoints import Listener
from smtpkit.observing import Receipt, ServerObserver
from smtpkit.protocol.ledger import Ledger
from smtpkit.protocol.message import Message
from smtpkit.sync.client import Client, connect, send_message
from smtpkit.sync.pool import Pool
from smtpkit.sync.relay import Relay, RelaySession
from smtpkit.sync.server import Server, serve
from smtpkit.sync.session import Session
from smtpkit.watching import ClientStats, Observer

__all__ = [
    "Certificates",
    "Client",
    "ClientStats",
    "Ledger",
    "Listener",
    "Message",
    "Observer",
    "Pool",
    "Receipt",
    "Relay",
    "RelaySession",
    "Server",
    "ServerObserver",
    "Session",
    "connect",
    "send_message",
    "serve",
]
