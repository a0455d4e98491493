"""The back ends of docs/frameworks/ with the real frameworks.

SMTPKIT_FRAMEWORKS names those that are tested, such as "django,flask,fastapi,opentelemetry"; without it there is none.
"""

import importlib
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import smtpkit.sync

ROOT = Path(__file__).parent.parent.parent
CERTIFICATES = ROOT / "tests" / "certificates"
ALL = ["django", "fastapi", "flask", "opentelemetry"]
ASKED = [name for name in os.environ.get("SMTPKIT_FRAMEWORKS", "").split(",") if name]

assert set(ASKED) <= set(ALL), f"SMTPKIT_FRAMEWORKS names none but {', '.join(ALL)}"
collect_ignore = [f"test_{name}.py" for name in ALL if name not in ASKED]


class Inbox(list):
    """A handler that keeps what comes, and refuses nobody@."""

    def __init__(self):
        self.connections = set()

    def session(self):
        inbox = self

        class Session(smtpkit.sync.Session):
            def on_rcpt(self, command):
                if command.forward_path.local_part == "nobody":
                    return smtpkit.Reply(550, "No such user", "5.1.1")
                return None

            def on_message(self, message):
                inbox.connections.add(self.id)
                inbox.append(message)

        return Session


@pytest.fixture
def smtp():
    """`with smtp() as (url, inbox)`: a server that wants TLS and a login."""

    @contextmanager
    def serve():
        inbox = Inbox()
        options = {"hostname": "localhost", "tls": (str(CERTIFICATES / "server.pem"), None), "implicit_tls": True}
        with smtpkit.sync.serve(inbox.session(), port=0, auth={"shop": "s3cret"}, **options) as server:
            port = server.address[1]
            yield f"smtps://shop:s3cret@localhost:{port}?cafile={CERTIFICATES / 'ca.pem'}", inbox

    return serve


@pytest.fixture
def example(request):
    """Imports a file of docs/frameworks/ anew."""
    folder = str(ROOT / "docs" / "frameworks")
    sys.path.insert(0, folder)

    def load(name):
        sys.modules.pop(name, None)
        return importlib.import_module(name)

    yield load
    sys.path.remove(folder)
