"""For tests of software that sends mail: a real server with an inbox, TLS, a login, and every fault there is.

    with smtpkit.testing.Server() as server:
        send_newsletter(server.host, server.port)       # your code
        (message,) = server.inbox.wait()
    assert message.recipients == ["bob@example.net"]

pytest has it as the fixture `smtp_server` (`smtpkit.testing.plugin`).
"""

__all__ = ["Fault", "Inbox", "Server"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.testing.faults import Fault
    from smtpkit.testing.inbox import Inbox
    from smtpkit.testing.server import Server

_FILES = {"Fault": "faults", "Inbox": "inbox", "Server": "server"}


def __getattr__(name: str) -> "Any":
    # pytest loads the plugin beside this file in every run; sockets and TLS are for the tests that use them.
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
    return value
