"""`smtpkit demo`: the main job on this host, a message from client to server, with all that is said on the way."""

import asyncio

from smtpkit.asyncio import Message, connect, serve
from smtpkit.cli.output import complain, say
from smtpkit.protocol.transcript import Transcript

__all__ = ["EPILOG", "configure", "run"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EPILOG = """\
exit status:
  0  what arrived is what was sent
  1  it is not
"""

# No CHUNKING, so that the message goes by DATA and its dots are seen.
_EXTENSIONS = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
_SENDER = "alice@example.org"
_RECIPIENTS = ["bob@example.com", "carol@example.net"]
_MESSAGE = """\
From: Alice <alice@example.org>
To: Bob <bob@example.com>, Carol <carol@example.net>
Subject: Dots and letters
Date: Thu, 01 Jan 2026 12:00:00 +0000
Message-ID: <demo@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße aus Köln, καλημέρα, 你好.
A line that is a single dot does not end the message:
.
..nor do lines that begin with dots
...
""".replace("\n", "\r\n").encode()


def configure(parser: "ArgumentParser") -> None:
    """There is nothing to choose."""


def run(parser: "ArgumentParser", arguments: "Namespace") -> int:
    """Send the message, and compare."""
    message = asyncio.run(_deliver())
    envelope = message.envelope
    say("")
    say(f"envelope: from {envelope.sender} to {', '.join(map(str, envelope.recipients))}")
    say(f"received: {len(message.content)} octets by {message.session.protocol if message.session else 'SMTP'}")
    if message.content != _MESSAGE:
        complain(f"the {len(message.content)} octets that arrived are not the {len(_MESSAGE)} that were sent")
        return 1
    say(f"OK: the {len(_MESSAGE)} octets that arrived are the octets that were sent")
    return 0


async def _deliver() -> Message:
    received: asyncio.Queue[Message] = asyncio.Queue()
    async with serve(received.put, port=0, hostname="mx.example.com", extensions=_EXTENSIONS) as server:
        host, port = server.address
        transcript = Transcript(say, content=True)
        async with connect(host, port, local_hostname="client.example.org", transcript=transcript) as client:
            await client.send(_SENDER, _RECIPIENTS, _MESSAGE)
        return received.get_nowait()
