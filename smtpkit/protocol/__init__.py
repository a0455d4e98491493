"""The protocol layer: SMTP and LMTP as state machines of both roles, without I/O.

What an adapter is made of (the drivers, `Sending`, some exchanges, and what a server's hooks need) is loaded at its
first use: neither `import smtpkit` nor a program with one role pays for it.
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
    Signal,
    Transport,
)
from smtpkit.protocol.extensions import DEFAULT_EXTENSIONS, EXTENSIONS, Extension
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.message import Message
from smtpkit.protocol.needs import (
    CHUNK,
    CLOSE,
    DONE,
    NEXT_CHUNK,
    READ,
    REWIND,
    UPGRADE,
    WRITE,
    Call,
    Expect,
    Need,
    Want,
)
from smtpkit.protocol.results import Outcome, SendResult, Verdict
from smtpkit.protocol.retry import Retry
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.states import State
from smtpkit.protocol.timeouts import Timeouts
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.protocol.transcript import Transcript

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.protocol.client_driver import ClientDriver
    from smtpkit.protocol.exchanges import one_message, opening, quit_session
    from smtpkit.protocol.ledger import Ledger
    from smtpkit.protocol.sending import OPTIONS, Sending
    from smtpkit.protocol.server_driver import ServerDriver
    from smtpkit.protocol.session import SessionFacts, checked, failure_reply

__all__ = [
    "CHUNK",
    "CLOSE",
    "DEFAULT_EXTENSIONS",
    "DONE",
    "DSN",
    "EXTENSIONS",
    "NEED_DATA",
    "NEXT_CHUNK",
    "OPTIONS",
    "PAUSED",
    "READ",
    "REWIND",
    "UPGRADE",
    "WRITE",
    "Answered",
    "AuthPolicy",
    "AuthResponse",
    "BodyChunk",
    "BodyRefused",
    "Call",
    "ClientConfig",
    "ClientConnection",
    "ClientDriver",
    "Connect",
    "ConnectionClosed",
    "Credentials",
    "Envelope",
    "Expect",
    "Extension",
    "Ledger",
    "Limits",
    "Message",
    "Need",
    "Outcome",
    "Retry",
    "SendResult",
    "Sending",
    "ServerConfig",
    "ServerConnection",
    "ServerDriver",
    "SessionFacts",
    "Signal",
    "State",
    "TLSFacts",
    "Timeouts",
    "Transcript",
    "Transport",
    "Verdict",
    "Want",
    "checked",
    "failure_reply",
    "one_message",
    "opening",
    "quit_session",
]

_FOR_ADAPTERS = {
    "ClientDriver": "client_driver",
    "Ledger": "ledger",
    "OPTIONS": "sending",
    "Sending": "sending",
    "ServerDriver": "server_driver",
    "SessionFacts": "session",
    "checked": "session",
    "failure_reply": "session",
    "one_message": "exchanges",
    "opening": "exchanges",
    "quit_session": "exchanges",
}


def __getattr__(name: str) -> "Any":
    if name not in _FOR_ADAPTERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_FOR_ADAPTERS[name]}"), name)
    return value
