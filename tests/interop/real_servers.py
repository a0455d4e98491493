"""All real servers, one at a time or those together that need each other."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dovecot_server import dovecot
from exim_server import exim
from mail_servers import MailServer, Relay
from node_server import smtp_server
from opensmtpd_server import opensmtpd
from peers import aiosmtpd_everywhere
from postfix_server import postfix
from processes import free_port

__all__ = ["real_servers"]


@contextlib.contextmanager
def real_servers(scratch: Path) -> Iterator[list[MailServer]]:
    """Every server, running: Postfix asks Dovecot about passwords, and Dovecot submits to Postfix."""
    with contextlib.ExitStack() as resources:
        enter = resources.enter_context
        auth, relay = free_port(), free_port()
        lmtp, submission = enter(dovecot(scratch, auth=auth, relay=relay))
        first = enter(postfix(scratch, auth=auth, port=relay, relays=_relays()))
        submission = submission._replace(mail=first.mail, fields=first.fields, said=first.said)
        yield [
            first,
            enter(exim(scratch, relays=_relays())),
            lmtp,
            submission,
            enter(opensmtpd(scratch, relays=_relays())),
            *enter(smtp_server(scratch)),
            enter(aiosmtpd_everywhere(scratch)),
        ]


def _relays() -> tuple[Relay, ...]:
    return tuple(
        Relay(f"{'lmtp' if lmtp else 'smtp'}.{adapter}.example", free_port(), adapter, lmtp)
        for adapter in ("sync", "asyncio")
        for lmtp in (False, True)
    )
