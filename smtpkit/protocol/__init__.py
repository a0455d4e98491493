"""The protocol layer: SMTP and LMTP as state machines of both roles, without I/O.

Drivers and exchanges are imported from their own modules, by whoever writes an adapter.
"""

from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.client import ClientConnection
from smtpkit.protocol.config import ClientConfig, ServerConfig
from smtpkit.protocol.credentials import Credentials
from smtpkit.protocol.dsn import DSN
from smtpkit.protocol.envelope import Envelope
from smtpkit.protocol.events import (
    NEED_DATA,
    PAUSED,
    Answered,
    AuthResponse,
    BodyChunk,
    BodyRefused,
    Connect,
    ConnectionClosed,
    Transport,
)
from smtpkit.protocol.extensions import DEFAULT_EXTENSIONS, EXTENSIONS, Extension
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.message import Message
from smtpkit.protocol.needs import CHUNK, CLOSE, DONE, READ, WRITE, Call
from smtpkit.protocol.results import Outcome, SendResult, Verdict
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.states import LMTP, SMTP, State
from smtpkit.protocol.timeouts import Timeouts
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.protocol.transcript import Transcript

__all__ = [
    "CHUNK",
    "CLOSE",
    "DEFAULT_EXTENSIONS",
    "DONE",
    "DSN",
    "EXTENSIONS",
    "LMTP",
    "NEED_DATA",
    "PAUSED",
    "READ",
    "SMTP",
    "WRITE",
    "Answered",
    "AuthPolicy",
    "AuthResponse",
    "BodyChunk",
    "BodyRefused",
    "Call",
    "ClientConfig",
    "ClientConnection",
    "Connect",
    "ConnectionClosed",
    "Credentials",
    "Envelope",
    "Extension",
    "Limits",
    "Message",
    "Outcome",
    "SendResult",
    "ServerConfig",
    "ServerConnection",
    "State",
    "TLSFacts",
    "Timeouts",
    "Transcript",
    "Transport",
    "Verdict",
]
