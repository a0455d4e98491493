"""Postfix in a room of its own: every way in, and mail delivered into Maildirs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mail_servers import MAILBOXES, MailServer, Relay
from processes import free_port
from rooms import Room

__all__ = ["POSTFIX_MECHANISMS", "postfix"]

POSTFIX_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER")

_MAIN = """\
compatibility_level = 3.6
queue_directory = /var/spool/postfix
data_directory = /var/lib/postfix
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
maillog_file = /shared/postfix.log
maillog_file_prefixes = /shared
import_environment = LC_ALL
myhostname = server.example
mydestination =
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_tls_security_level = may
relay_domains = texthash:/etc/postfix/transports
transport_maps = texthash:/etc/postfix/transports
minimal_backoff_time = 1h
smtputf8_enable = yes
message_size_limit = 67108864
virtual_mailbox_limit = 0
virtual_mailbox_domains = server.example, client.example
virtual_mailbox_maps = regexp:/etc/postfix/mailboxes
virtual_mailbox_base = /shared/mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_relay_restrictions =
smtpd_tls_cert_file = /certificates/server.pem
smtpd_tls_security_level = may
smtpd_tls_session_cache_database =
smtpd_client_connection_rate_limit = 0
smtpd_sasl_type = dovecot
smtpd_sasl_security_options = noanonymous
"""

# service, type, private, unprivileged, chroot, wakeup, most processes, program
_MASTER = """\
postlog   unix-dgram n - n - 1 postlogd
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
lmtp      unix - - n - - lmtp
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
showq     unix n - n - - showq
"""


@contextlib.contextmanager
def postfix(scratch: Path, *, auth: int, port: int, relays: tuple[Relay, ...]) -> Iterator[MailServer]:
    """A Postfix.

    Args:
        scratch: a folder.
        auth: the port of a Dovecot that it asks about passwords.
        port: where it takes mail in clear.
        relays: where it passes mail on to.
    """
    room = Room(scratch, "postfix")
    ports = {
        name: free_port()
        for name in ("clear", "implicit", "impatient", *(f"login {each}" for each in POSTFIX_MECHANISMS))
    }
    ports["clear"] = port
    services = "".join(f"127.0.0.1:{each} inet n - n - - smtpd {_options(name)}\n" for name, each in ports.items())
    room.user("postfix", 990)
    room.user("postdrop", 991)
    room.write("etc/postfix/main.cf", f"{_MAIN}smtpd_sasl_path = inet:127.0.0.1:{auth}\n")
    transports = (
        f"{each.domain} {'lmtp:inet:127.0.0.1' if each.lmtp else 'smtp:[127.0.0.1]'}:{each.port}\n" for each in relays
    )
    room.write("etc/postfix/transports", "".join(transports))
    room.write("etc/postfix/master.cf", _MASTER + services)
    mailboxes = "".join(rf"/^{name}@(server|client)\.example$/ {name}/" + "\n" for name in MAILBOXES)
    room.write("etc/postfix/mailboxes", mailboxes)
    start = "chown postfix /var/lib/postfix; postfix check >/dev/null 2>&1; exec /usr/lib/postfix/sbin/master -d"
    with room.running("sh", "-c", start, ports=ports.values()):
        version = room.run("postconf", "-h", "mail_version").stdout.strip()
        yield MailServer(
            f"Postfix {version}",
            ports,
            room.mail,
            ("Return-Path", "X-Original-To", "Delivered-To", "Received"),
            room.said,
            queue=lambda: room.run("postqueue", "-j").stdout,
            relays=relays,
        )


def _options(name: str) -> str:
    if name == "implicit":
        return "-o smtpd_tls_wrappermode=yes"
    if name == "impatient":
        return "-o smtpd_timeout=1s"
    if name.startswith("login "):
        mechanism = name.removeprefix("login ")
        return (
            f"-o smtpd_sasl_auth_enable=yes -o smtpd_sasl_mechanism_filter={mechanism}"
            " -o smtpd_client_restrictions=permit_sasl_authenticated,reject"
        )
    return ""
