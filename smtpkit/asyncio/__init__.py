"""SMTP and LMTP for asyncio: client and server."""

from smtpkit.asyncio.client import Client, Connecting, connect, send_message
from smtpkit.asyncio.pool import Pool
from smtpkit.asyncio.relay import Relay, RelaySession
from smtpkit.asyncio.server import Server, serve
from smtpkit.asyncio.session import Session
from smtpkit.certificates import Certificates
from smtpkit.endpoints import Listener
from smtpkit.observing import Receipt, ServerObserver
from smtpkit.protocol.ledger import Ledger
from smtpkit.protocol.message import Message
from smtpkit.watching import ClientStats, Observer

__all__ = [
    "Certificates",
    "Client",
    "ClientStats",
    "Connecting",
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
