"""OpenSMTPD in a room of its own: plain SMTP, and mail delivered into Maildirs."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from mail_servers import DOMAINS, MAILBOXES, MailServer
from processes import free_port
from rooms import Room

__all__ = ["opensmtpd"]

_SETTINGS = """\
smtp max-message-size 64M
pki server.example cert "/etc/smtpd/certificate"
pki server.example key "/etc/smtpd/key"
table mailboxes file:/etc/smtpd/mailboxes
listen on 127.0.0.1 port {clear} hostname server.example
listen on 127.0.0.1 port {broken} tls pki server.example hostname server.example
listen on socket
action "store" maildir "/shared/mail/%{{rcpt.user}}" virtual <mailboxes>
match from any for domain {{ {domains} }} action "store"
"""

_START = """\
set -e
mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd
chmod 711 /var/spool/smtpd
openssl x509 -in /certificates/server.pem -out /etc/smtpd/certificate
openssl pkey -in /certificates/server.pem -out /etc/smtpd/key
chmod 600 /etc/smtpd/key
exec smtpd -d
"""


@contextlib.contextmanager
def opensmtpd(scratch: Path) -> Iterator[MailServer]:
    """An OpenSMTPD; what it offers by way of TLS breaks off with OpenSSL 3, which Debian has."""
    room = Room(scratch, "opensmtpd")
    ports = {name: free_port() for name in ("clear", "broken starttls")}
    domains = " ".join(f'"{domain}"' for domain in DOMAINS)
    settings = _SETTINGS.format(clear=ports["clear"], broken=ports["broken starttls"], domains=domains)
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
        yield MailServer(f"OpenSMTPD {version[1]}", ports, room.mail, fields, room.said)
