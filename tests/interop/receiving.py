"""Real clients deliver to smtpkit: what is stored is what they were given, octet for octet."""

import re
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.policy import default
from functools import partial
from pathlib import Path

from cases import Case, equal, holds
from clients import CLIENT_NAME, CLIENTS, Client, Files, Way
from peers import Received
from processes import Failed
from sample import LARGE_OCTETS, MESSAGE, OTHER, RECIPIENT, RECIPIENT_UTF8, SENDER
from servers import Serve
from sessions import SERVERS

__all__ = ["receiving_cases"]

_DIRECTION = "to smtpkit"
_MEMORY = 64 * 1024  # KiB that a server of any message may have


def receiving_cases(servers: dict[str, Serve], files: Files, large: Path) -> Iterator[Case]:
    """Every client, by every way that it knows."""
    for peer, client in CLIENTS.items():
        for feature, flavour, tls, mechanism in _ways(client):
            way = Way(servers[flavour].port, tls, mechanism)
            attempt = partial(_delivered, servers[flavour], client, way, files)
            yield Case(peer, _DIRECTION, feature, attempt, row=feature)
        for tls in client.tls:
            flavour = f"{'wrong name' if client.checks == 'name' else 'self-signed'}, {tls}"
            attempt = partial(_refused_by_client, servers[flavour], client, Way(servers[flavour].port, tls), files)
            feature = f"{flavour}: refused by the client"
            yield Case(peer, _DIRECTION, feature, attempt, row=feature)
            if client.checks == "issuer":
                server = servers[f"wrong name, {tls}"]
                attempt = partial(_delivered, server, client, Way(server.port, tls), files)
                yield Case(
                    peer,
                    _DIRECTION,
                    f"wrong name, {tls}: not noticed",
                    attempt,
                    deviation=True,
                    row=f"wrong name, {tls}: not noticed",
                )
    yield from _other_cases(servers, files, large)


def _ways(client: Client) -> Iterator[tuple[str, str, str, str | None]]:
    for tls in ("clear", *client.tls):
        yield tls, tls, tls, None
        for mechanism in client.mechanisms:
            yield f"{tls}, login {mechanism}", f"login, {tls}", tls, mechanism


def _other_cases(servers: dict[str, Serve], files: Files, large: Path) -> Iterator[Case]:
    lmtp = servers["lmtp"]
    for peer in ("smtplib", "swaks", "msmtp", "nodemailer", "smtp-source"):
        attempt = partial(_delivered, lmtp, CLIENTS[peer], Way(lmtp.port, lmtp=True), files)
        yield Case(peer, _DIRECTION, "LMTP", attempt, row="LMTP")
    both = (RECIPIENT, OTHER)
    for peer in ("swaks", "msmtp", "nodemailer"):
        attempt = partial(_delivered, lmtp, CLIENTS[peer], Way(lmtp.port, lmtp=True, recipients=both), files)
        yield Case(
            peer, _DIRECTION, "LMTP, two recipients, two replies", attempt, row="LMTP, two recipients, two replies"
        )
    for peer in (
        "smtplib",
        "aiosmtplib",
        "curl",
        "swaks",
        "swaks --pipeline",
        "msmtp",
        "nodemailer",
        "s-nail",
        "git send-email",
    ):
        server = servers["clear"]
        attempt = partial(_delivered, server, CLIENTS[peer], Way(server.port, recipients=both), files)
        yield Case(peer, _DIRECTION, "two recipients", attempt, row="two recipients")
    for peer in ("smtplib", "curl", "nodemailer"):
        server = servers["clear"]
        attempt = partial(_delivered, server, CLIENTS[peer], Way(server.port, recipients=(RECIPIENT_UTF8,)), files)
        yield Case(peer, _DIRECTION, "SMTPUTF8", attempt, row="SMTPUTF8")
    for adapter in SERVERS:
        for peer in ("smtplib", "aiosmtplib", "swaks", "swaks --pipeline", "nodemailer"):
            attempt = partial(_one_refused, adapter, CLIENTS[peer], files)
            feature = "one of two recipients refused"
            yield Case(peer, _DIRECTION, f"{adapter}: {feature}", attempt, row=feature)
        attempt = partial(_one_refused_late, adapter, CLIENTS["swaks"], files)
        yield Case("swaks", _DIRECTION, f"{adapter}: LMTP, one of two replies is 550", attempt)
    for tls in ("clear", "starttls"):
        attempt = partial(_large, servers[tls], tls, large)
        feature = f"{tls}, {LARGE_OCTETS // 1_000_000} MB, streamed to the disk"
        yield Case("curl", _DIRECTION, feature, attempt, row=feature)


def _delivered(server: Serve, client: Client, way: Way, files: Files) -> None:
    server.begin()
    client.send(way, files)
    (path,) = server.arrived()
    if client.exact:
        equal(path.read_bytes(), MESSAGE)
    else:
        equal(*(_text(each) for each in (path.read_bytes(), MESSAGE)))
    holds(server.said(), _dialogue(client, way))


def _text(message: bytes) -> bytes:
    # The subject and the text, whatever their encoding.
    parsed = message_from_bytes(message, policy=default)
    text: str = parsed.get_content()
    return f"{parsed['Subject']}\n{text}".replace("\r\n", "\n").encode()


def _dialogue(client: Client, way: Way) -> Iterator[str]:
    # What shows that the feature was used, and nothing else.
    hello = rf"^C: {'LHLO' if way.lmtp else '(EHLO|HELO)'} {re.escape(CLIENT_NAME)}$"
    if way.tls == "starttls":
        yield "^C: STARTTLS$"
    if way.tls != "clear":
        yield r"^-- TLSv1\.[23]"
    yield hello
    if way.mechanism is not None:
        yield f"^C: AUTH {way.mechanism}"
        yield "^S: 235 "
    yield f"^C: MAIL FROM: ?<{re.escape(SENDER)}>"
    if client.eight_bit:
        yield " BODY=8BITMIME"
    for recipient in way.recipients:
        yield f"^C: RCPT TO: ?<{re.escape(recipient)}>"
    yield rf"^C: <{len(MESSAGE) if client.exact else '[0-9]+'} octets of content>$"
    for _ in way.recipients if way.lmtp else (1,):
        yield "^S: 250 "
    if client.quits:
        yield "^S: 221 "


def _refused_by_client(server: Serve, client: Client, way: Way, files: Files) -> None:
    server.begin()
    try:
        client.send(way, files)
    except Exception as error:
        if not re.search("certificate|issuer|self.signed|host ?name", str(error), re.IGNORECASE):
            raise
    else:
        raise AssertionError("the client took the certificate")
    assert not server.arrived(), "a message came"
    assert "C: MAIL" not in server.said(), "it went on to MAIL"


def _one_refused(adapter: str, client: Client, files: Files) -> None:
    with SERVERS[adapter](lmtp=False) as server:
        client.send(Way(server.port, recipients=(RECIPIENT, OTHER)), files)
    assert server.messages == [Received(SENDER, [RECIPIENT], MESSAGE)], server.messages
    holds(str(server.transcript), ["^S: 250 2.1.5 ", "^S: 550 5.1.1 ", "^S: 250 2.0.0 "])


def _one_refused_late(adapter: str, client: Client, files: Files) -> None:
    with SERVERS[adapter](lmtp=True) as server, suppress(Failed):  # what it makes of it is its own affair
        client.send(Way(server.port, lmtp=True, recipients=(RECIPIENT, OTHER)), files)
    assert server.messages == [Received(SENDER, [RECIPIENT, OTHER], MESSAGE)], server.messages
    # It takes leave only after it has read both.
    holds(str(server.transcript), ["octets of content>$", "^S: 250 2.0.0 ", "^S: 550 5.1.1 ", "^C: QUIT$"])


def _large(server: Serve, tls: str, large: Path) -> None:
    server.begin()
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # forgets the highest use of memory
    CLIENTS["curl"].send(Way(server.port, tls), Files(large, large, large))
    (path,) = server.arrived()
    equal(path.read_bytes(), large.read_bytes())
    path.unlink()
    highest = _memory(server.pid)
    assert highest < _MEMORY, f"the server had {highest} KiB"


def _memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1])
