"""Dovecot in a room of its own: LMTP into Maildirs, submission to a relay, and a word on passwords for Postfix."""

import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path

from mail_servers import MAILBOXES, MailServer
from processes import free_port
from rooms import Room
from servers import PASSWORD, USER

__all__ = ["MECHANISMS", "bearer_token", "dovecot"]

# What Dovecot can do of what smtpkit can do.
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER")

_KEY = b"the key by which tokens of this test are signed"

_SHARED = """\
base_dir = /run/dovecot-{name}
state_dir = /var/lib/dovecot-{name}
log_path = /shared/dovecot-{name}.log
listen = 127.0.0.1
hostname = server.example
default_login_user = dovenull
default_internal_user = dovecot
first_valid_uid = 1
ssl = yes
ssl_cert = </certificates/server.pem
ssl_key = </certificates/server.pem
ssl_dh =
disable_plaintext_auth = no
mail_location = maildir:/shared/mail/%n
mail_save_crlf = yes
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u /etc/dovecot/users
}}
{token}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/shared/mail/%n
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""

_TOKEN = """\
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = /etc/dovecot/tokens
}
"""

_TOKENS = """\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix=/etc/dovecot/keys/
username_attribute = sub
"""

_LMTP = """\
protocols = lmtp
service lmtp {{
  inet_listener lmtp {{
    port = {clear}
  }}
}}
service lmtp {{
  inet_listener lmtps {{
    port = {implicit}
    ssl = yes
  }}
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {auth}
  }}
}}
"""

_SUBMISSION = """\
protocols = submission
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = no
submission_max_mail_size = 64M
submission_backend_capabilities = 8BITMIME DSN CHUNKING ENHANCEDSTATUSCODES PIPELINING SIZE SMTPUTF8
service submission-login {{
  inet_listener submission {{
    port = {clear}
  }}
  inet_listener submissions {{
    port = {implicit}
    ssl = yes
  }}
}}
"""


@contextlib.contextmanager
def dovecot(scratch: Path, *, auth: int, relay: int) -> Iterator[tuple[MailServer, MailServer]]:
    """A Dovecot as LMTP server, and as submission server, whose mail goes to another.

    Args:
        scratch: a folder.
        auth: the port on which to answer Postfix.
        relay: the port to submit to.
    """
    room = Room(scratch, "dovecot")
    room.user("dovecot", 990)
    room.user("dovenull", 991)
    room.write("etc/dovecot/users", "".join(f"{each}:{{PLAIN}}{PASSWORD}::::::\n" for each in _users()))
    room.write("etc/dovecot/tokens", _TOKENS)
    room.write("etc/dovecot/keys/default/HS256/default", base64.b64encode(_KEY).decode())
    lmtp = {"clear": free_port(), "implicit": free_port()}
    settings = _LMTP.format(**lmtp, auth=auth)
    names = [_instance(room, "lmtp", MECHANISMS, settings)]
    submission = {}
    for mechanism in MECHANISMS:
        clear, implicit = free_port(), free_port()
        settings = _SUBMISSION.format(clear=clear, implicit=implicit, relay=relay)
        names.append(_instance(room, mechanism.lower(), (mechanism,), settings))
        submission |= {f"login {mechanism}": clear}
        if mechanism == "PLAIN":
            submission |= {"clear": clear, "implicit": implicit}
    start = "".join(f"dovecot -F -c /etc/dovecot/{name}.conf & " for name in names) + "wait"
    with room.running("sh", "-c", start, ports=(*lmtp.values(), *submission.values(), auth)):
        version = room.run("dovecot", "--version").stdout.split()[0]
        fields = ("Return-Path", "Delivered-To", "Received")
        yield (
            MailServer(f"Dovecot {version} LMTP", lmtp, room.mail, fields, room.said, crlf=True, lmtp=True),
            MailServer(f"Dovecot {version} submission", submission, room.mail, (), room.said, login="PLAIN"),
        )


def bearer_token() -> str:
    """A token that this Dovecot takes for USER's: a JWT, signed with HS256."""

    def encoded(octets: bytes) -> str:
        return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()

    now = int(time.time())
    claims = {"sub": USER, "iat": now, "exp": now + 600, "iss": "interop"}
    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{text}.{encoded(hmac.digest(_KEY, text.encode(), hashlib.sha256))}"


def _instance(room: Room, name: str, mechanisms: tuple[str, ...], settings: str) -> str:
    token = _TOKEN if {"XOAUTH2", "OAUTHBEARER"} & set(mechanisms) else ""
    words = " ".join(mechanisms).lower()
    room.write(f"etc/dovecot/{name}.conf", _SHARED.format(name=name, mechanisms=words, token=token) + settings)
    return name


def _users() -> Iterator[str]:
    for mailbox in MAILBOXES:
        yield from (mailbox, f"{mailbox}@server.example", f"{mailbox}@client.example")
