"""SMTP and LMTP for asyncio: client and server."""

from smtpkit.asyncio.client import Client, connect, send_message
from smtpkit.asyncio.pool import Pool
from smtpkit.asyncio.relay import Relay, RelaySession
from smtpkit.asyncio.server import Server, serve
from smtpkit.asyncio.session import Session
from smtpkit.endpoints import Listener
from smtpkit.protocol.message import Message
from smtpkit.watching import ClientStats, Observer

__all__ = [
    "Client",
    "ClientStats",
    "Listener",
    "Message",
    "Observer",
    "Pool",
    "Relay",
    "RelaySession",
    "Server",
    "Session",
    "connect",
    "send_message",
    "serve",
]
