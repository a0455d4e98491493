"""SMTP and LMTP with blocking sockets and threads: client and server."""

from smtpkit.endpoints import Listener
from smtpkit.protocol.message import Message
from smtpkit.sync.client import Client, connect, send_message
from smtpkit.sync.pool import Pool
from smtpkit.sync.server import Server, serve
from smtpkit.sync.session import Session

__all__ = ["Client", "Listener", "Message", "Pool", "Server", "Session", "connect", "send_message", "serve"]
