"""Real servers pass mail on to smtpkit: some recipients get it, one bounces, one waits, and each server says so."""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from functools import partial
from pathlib import Path

from cases import Case, equal, holds
from clients import Way
from mail_servers import MailServer, Relay, without_trace
from processes import Failed, eventually
from sample import MESSAGE
from senders import SENDERS
from sessions import SERVERS, Refusing

__all__ = ["relaying_cases"]

_TAKEN, _REFUSED, _DEFERRED = ("bob", "dave"), "carol", "erin"


def relaying_cases(server: MailServer, message: Path) -> Iterator[Case]:
    """A message to four recipients, by SMTP and by LMTP, to the servers of both adapters."""
    for relay in server.relays:
        feature = f"{'LMTP' if relay.lmtp else 'SMTP'}: two recipients taken, one bounced, one waiting"
        impatient = "OpenSMTPD" in server.name and relay.lmtp  # its mail.lmtp keeps on trying what was refused for good
        attempt = partial(_relayed, server, relay, message, bounces=not impatient)
        yield Case(server.name, "to smtpkit", f"{relay.adapter}: {feature}", attempt, deviation=impatient, row=feature)


def _relayed(server: MailServer, relay: Relay, message: Path, *, bounces: bool) -> str:
    server.empty()
    recipients = tuple(f"{name}@{relay.domain}" for name in (*_TAKEN, _REFUSED, _DEFERRED))
    with SERVERS[relay.adapter](lmtp=relay.lmtp, port=relay.port, tls=not relay.lmtp) as receiver:
        report = SENDERS["smtpkit.sync"](Way(server.ports["clear"], recipients=recipients), message)
        assert not report.error, report
        if not eventually(lambda: _arrived(receiver) >= {f"{name}@{relay.domain}" for name in _TAKEN}):
            raise Failed(f"{_arrived(receiver)}\n{receiver.transcript}\n{server.said()}")
        if bounces:
            _bounced(server, relay)
        _waits(server, relay, (_DEFERRED,) if bounces else (_DEFERRED, _REFUSED))
    for received in receiver.messages:
        trace, content = without_trace(received.content, ("Return-Path", "Delivered-To", "Received"))
        assert trace, "it has no Received field"
        equal(content, MESSAGE)
    taken = [each for received in receiver.messages for each in received.recipients]
    assert len(taken) == len(set(taken)), f"a recipient got it twice: {taken}"
    return _manner(receiver, relay) + ("" if bounces else "; nothing bounces, both wait")


def _arrived(receiver: Refusing) -> set[str]:
    return {each for received in receiver.messages for each in received.recipients}


def _bounced(server: MailServer, relay: Relay) -> None:
    # The sender is told of the one who was refused, and of nobody else.
    (bounce,) = server.stored("alice")
    notice = message_from_bytes(bounce.path.read_bytes(), policy=default)
    reports = [part for part in notice.walk() if part.get_content_type() == "message/delivery-status"]
    assert len(reports) == 1, notice
    blocks = [block for block in reports[0].get_payload() if block["Final-Recipient"]]
    told = [(str(block["Final-Recipient"]).partition(";")[2].strip(), block["Action"]) for block in blocks]
    assert told == [(f"{_REFUSED}@{relay.domain}", "failed")], told
    assert re.fullmatch(r"5\.1\.1|5\.0\.0", str(blocks[0]["Status"])), blocks[0]["Status"]
    assert "No such mailbox" in notice.as_string(), "the bounce does not have smtpkit's words"


def _waits(server: MailServer, relay: Relay, names: tuple[str, ...]) -> None:
    queue = server.queue
    assert queue is not None
    wanted = {f"{name}@{relay.domain}" for name in names}

    def waiting() -> set[str]:
        return set(re.findall(rf"[a-z]+@{re.escape(relay.domain)}", queue()))

    if not eventually(lambda: waiting() == wanted):
        raise Failed(f"{waiting()} wait, not {wanted}\n{queue()}")


def _manner(receiver: Refusing, relay: Relay) -> str:
    # Which of what smtpkit offers was made use of.
    transcript = str(receiver.transcript)
    holds(transcript, ["^C: LHLO " if relay.lmtp else "^C: EHLO "])
    used = {
        "TLS": "^-- TLSv1",
        "BDAT": "^C: BDAT",
        "SIZE": "^C: MAIL .*SIZE=",
        "8BITMIME": "^C: MAIL .*BODY=8BITMIME",
    }
    names = [name for name, line in used.items() if re.search(line, transcript, re.MULTILINE | re.IGNORECASE)]
    return f"with {', '.join(names)}" if names else "yes"
