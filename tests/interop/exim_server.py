"""Exim in a room of its own: every way in, and mail delivered into Maildirs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mail_servers import MAILBOXES, MailServer, Relay
from processes import free_port
from rooms import Room
from servers import PASSWORD, USER

__all__ = ["EXIM_MECHANISMS", "exim"]

EXIM_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5")

_SETTINGS = """\
primary_hostname = server.example
domainlist local_domains = server.example : client.example
local_interfaces = <; {interfaces}
tls_on_connect_ports = {implicit}
disable_ipv6
host_lookup =
dns_ipv4_lookup = *
rfc1413_query_timeout = 0s
log_file_path = /shared/exim-%s.log
pid_file_path = /run/exim.pid
keep_environment =
never_users =
qualify_domain = server.example
message_size_limit = 64M
accept_8bitmime
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
pipelining_connect_advertise_hosts =
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = /certificates/server.pem
tls_privatekey = /certificates/server.pem
smtp_receive_timeout = ${{if eq{{$received_port}}{{{impatient}}}{{1s}}{{5m}}}}
acl_smtp_rcpt = recipient
acl_smtp_data = accept
smtp_accept_max = 100
queue_run_in_order
log_selector = +smtp_protocol_error

begin acl
recipient:
  deny message = log in first
    condition = ${{if inlist{{$received_port}}{{{login_ports}}}}}
    !authenticated = *
  accept domains = {domains}
  accept domains = +local_domains
    local_parts = {mailboxes}
    control = dkim_disable_verify
  deny message = 5.1.1 no such mailbox

begin routers
relay:
  driver = manualroute
  domains = {domains}
  route_data = ${{extract{{$domain}}{{{routes}}}}}
  self = send
  transport = ${{if match{{$domain}}{{^lmtp}}{{lmtp}}{{smtp}}}}
mailboxes:
  driver = accept
  domains = +local_domains
  local_parts = {mailboxes}
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = /shared/mail/$local_part_data
  maildir_format
  use_crlf
  user = nobody
  group = nogroup
  return_path_add

smtp:
  driver = smtp
  allow_localhost
  tls_verify_hosts =
  tls_try_verify_hosts =
lmtp:
  driver = smtp
  protocol = lmtp
  port = 24
  allow_localhost
  tls_verify_hosts =
  tls_try_verify_hosts =

begin retry
* * F,1h,10m

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if eq{{$received_port}}{{{PLAIN}}}}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{user}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
  server_advertise_condition = ${{if eq{{$received_port}}{{{LOGIN}}}}}
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{{user}}}{{{password}}}fail}}
  server_set_id = $auth1
  server_advertise_condition = ${{if eq{{$received_port}}{{{CRAM}}}}}
"""


@contextlib.contextmanager
def exim(scratch: Path, *, relays: tuple[Relay, ...]) -> Iterator[MailServer]:
    """An Exim, with each mechanism on a port of its own; it passes mail on to `relays`."""
    room = Room(scratch, "exim")
    names = ("clear", "implicit", "impatient", *(f"login {each}" for each in EXIM_MECHANISMS))
    ports = {name: free_port() for name in names}
    login = {name: ports[f"login {name}"] for name in EXIM_MECHANISMS}
    settings = _SETTINGS.format(
        interfaces=" ; ".join(f"127.0.0.1.{port}" for port in ports.values()),
        implicit=ports["implicit"],
        impatient=ports["impatient"],
        login_ports=" : ".join(map(str, login.values())),
        mailboxes=" : ".join(MAILBOXES),
        domains=" : ".join(each.domain for each in relays),
        routes=" ".join(f'{each.domain}="127.0.0.1::{each.port} byname"' for each in relays),
        user=USER,
        password=PASSWORD,
        PLAIN=login["PLAIN"],
        LOGIN=login["LOGIN"],
        CRAM=login["CRAM-MD5"],
    )
    room.user("Debian-exim", 990)
    room.write("etc/exim4/exim4.conf", settings)
    start = "mkdir -p /var/spool/exim4 && chown -R Debian-exim:Debian-exim /var/spool/exim4 && exec exim4 -bdf"
    with room.running("sh", "-c", start, ports=ports.values()):
        version = room.run("exim4", "-bV").stdout.split()[2]
        yield MailServer(
            f"Exim {version}",
            ports,
            room.mail,
            ("Return-path", "Received"),
            room.said,
            crlf=True,
            queue=lambda: room.run("exim4", "-bpu").stdout,
            relays=relays,
        )
