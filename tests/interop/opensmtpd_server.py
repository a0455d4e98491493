"""OpenSMTPD in a room of its own: plain SMTP, and mail delivered into Maildirs."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from mail_servers import DOMAINS, MAILBOXES, MailServer, Relay
from processes import free_port
from rooms import Room

__all__ = ["opensmtpd"]

_SETTINGS = """\
smtp max-message-size 64M
bounce warn-interval 1d
pki server.example cert "/etc/smtpd/certificate"
pki server.example key "/etc/smtpd/key"
table mailboxes file:/etc/smtpd/mailboxes
listen on 127.0.0.1 port {clear} hostname server.example
listen on 127.0.0.1 port {broken} tls pki server.example hostname server.example
table anybody {{ "@" = mailbox }}
listen on socket
action "store" maildir "/shared/mail/%{{rcpt.user}}" virtual <mailboxes>
match from any for domain {{ {domains} }} action "store"
match from local for domain {{ {domains} }} action "store"
{relays}
"""

_START = """\
set -e
mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd
chmod 711 /var/spool/smtpd
openssl x509 -in /certificates/server.pem -out /etc/smtpd/certificate
openssl pkey -in /certificates/server.pem -out /etc/smtpd/key
chmod 600 /etc/smtpd/key
chgrp opensmtpq /usr/sbin/smtpctl
chmod 2755 /usr/sbin/smtpctl
exec smtpd -d
"""


@contextlib.contextmanager
def opensmtpd(scratch: Path, *, relays: tuple[Relay, ...]) -> Iterator[MailServer]:
    """An OpenSMTPD; what it offers by way of TLS breaks off with OpenSSL 3, which Debian has."""
    room = Room(scratch, "opensmtpd")
    ports = {name: free_port() for name in ("clear", "broken starttls")}
    domains = " ".join(f'"{domain}"' for domain in DOMAINS)
    settings = _SETTINGS.format(
        clear=ports["clear"],
        broken=ports["broken starttls"],
        domains=domains,
        relays="\n".join(map(_relay, relays)),
    )
    room.user("opensmtpd", 990)
    room.user("opensmtpq", 991)
    room.user("mailbox", 992)
    room.write("etc/smtpd.conf", settings)
    mailboxes = "".join(f"{name}@{domain}: mailbox\n" for name in MAILBOXES for domain in DOMAINS)
    room.write("etc/smtpd/mailboxes", mailboxes)
    with room.running("sh", "-c", _START, ports=ports.values()):
        version = re.search(r"OpenSMTPD (\S+) starting", room.said())
        assert version is not None
        fields = ("Return-Path", "Delivered-To", "Received")
        yield MailServer(
            f"OpenSMTPD {version[1]}",
            ports,
            room.mail,
            fields,
            room.said,
            queue=lambda: room.run("smtpctl", "show", "queue").stdout,
            relays=relays,
        )


def _relay(relay: Relay) -> str:
    # What it does by itself for "relay host lmtp://" reads one reply to the message, whatever the number of recipients.
    how = (
        f'lmtp "127.0.0.1:{relay.port}" rcpt-to virtual <anybody>'
        if relay.lmtp
        else f'relay host "smtp://127.0.0.1:{relay.port}"'
    )
    return f'action "{relay.domain}" {how}\nmatch from any for domain "{relay.domain}" action "{relay.domain}"'
