"""What is tried with every real server, by both colours of smtpkit's client, and what was seen."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cases import Case, equal, holds
from clients import Way
from dovecot_server import bearer_token
from fault_proxy import Fault, FaultProxy
from mail_servers import MailServer, Stored
from node_server import NODE_TOKEN
from processes import eventually
from sample import DOTS, LARGE_OCTETS, MESSAGE, OTHER, RECIPIENT, RECIPIENT_UTF8, SECOND
from senders import SENDERS, Report

from smtpkit import DSN
from smtpkit.wire.proxy import ProxyHeader

__all__ = ["COLOURS", "NOT_OFFERED", "Sources", "Trial", "scenario_cases"]

COLOURS = ("smtpkit.sync", "smtpkit.asyncio")
NOT_OFFERED = "not offered"

_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER")
_MAILBOXES = (RECIPIENT, SECOND)
_ENVID = "interop+42"


class Sources(NamedTuple):
    """The messages to send.

    Attributes:
        message: MESSAGE.
        dots: DOTS.
        large: LARGE_OCTETS of it.
    """

    message: Path
    dots: Path
    large: Path


class Trial(NamedTuple):
    """One colour of the client, and a server."""

    server: MailServer
    colour: str
    sources: Sources

    def way(self, port: str = "clear", **changes: Any) -> Way:
        """The way in by the port of that name."""
        plain = Way(self.server.ports[port], "clear", self.server.login or None, self.server.lmtp)
        return plain._replace(**changes)

    def send(self, way: Way, path: Path | None = None, **options: Any) -> Report:
        """Send the message, or another."""
        self.server.empty()
        return SENDERS[self.colour](way, path or self.sources.message, **options)

    def stored(self, recipients: tuple[str, ...], content: bytes = MESSAGE) -> list[Stored]:
        """What these recipients have, which is that content, octet for octet, once each."""
        found = [self.server.stored(recipient)[0] for recipient in recipients]
        for message in found:
            equal(message.content, content)
        return found


def scenario_cases(server: MailServer, sources: Sources) -> Iterator[Case]:
    """Every scenario, in both colours; what a server has not is left out, and the matrix says so."""
    for feature, port, attempt in _scenarios():
        for colour in COLOURS if port in server.ports else ():
            trial = partial(attempt, Trial(server, colour, sources))
            name = f"{colour.removeprefix('smtpkit.')}: {feature}"
            yield Case(server.name, "from smtpkit", name, trial, row=feature)


def _scenarios() -> "Iterator[tuple[str, str, Callable[[Trial], str | None]]]":
    yield "clear", "clear", _clear
    yield "STARTTLS", "clear", _starttls
    yield "STARTTLS that breaks off is a TLSError", "broken starttls", _broken_starttls
    yield "implicit TLS", "implicit", _implicit
    for mechanism in _MECHANISMS:
        yield f"login {mechanism}", f"login {mechanism}", partial(_login, mechanism=mechanism)
    yield "wrong password refused", "login PLAIN", _wrong_password
    yield "PIPELINING", "clear", _pipelining
    yield "CHUNKING", "clear", _chunking
    yield "8BITMIME", "clear", _eight_bit
    yield "DSN", "clear", _dsn
    yield "SMTPUTF8", "clear", _smtputf8
    yield "one recipient refused among three", "clear", _one_refused
    yield "every recipient refused", "clear", _all_refused
    yield "dots and long lines", "clear", _dots
    yield "dots and long lines by BDAT", "clear", partial(_dots, chunking=True)
    yield "PROXY header, over one's own socket", "proxy", _proxy
    yield f"{LARGE_OCTETS // 1_000_000} MB, streamed", "clear", _large
    yield "421 between messages", "clear", _idle
    yield "421 in the middle of a message", "clear", _late


def _clear(trial: Trial) -> None:
    _accepted(trial.send(trial.way()), RECIPIENT)
    trial.stored((RECIPIENT,))


def _starttls(trial: Trial) -> str | None:
    port = "starttls" if "starttls" in trial.server.ports else "clear"
    report = trial.send(trial.way(port, tls="starttls"))
    if not _offers(report, "STARTTLS"):
        return _not_supported(trial, report, "TLSError")
    _accepted(report, RECIPIENT)
    holds(report.transcript, ["^C: STARTTLS$", r"^-- TLSv1\.3", "^C: MAIL "])
    trial.stored((RECIPIENT,))
    return None


def _broken_starttls(trial: Trial) -> None:
    report = trial.send(trial.way("broken starttls", tls="starttls"))
    assert report.error == "TLSError", report
    assert "C: MAIL" not in report.transcript, "it went on in clear"


def _implicit(trial: Trial) -> None:
    report = trial.send(trial.way("implicit", tls="implicit"))
    _accepted(report, RECIPIENT)
    holds(report.transcript, [r"^-- TLSv1\.3", "^S: 220 "])
    trial.stored((RECIPIENT,))


def _login(trial: Trial, mechanism: str) -> None:
    token = ""
    if mechanism in ("XOAUTH2", "OAUTHBEARER"):
        token = NODE_TOKEN if "smtp-server" in trial.server.name else bearer_token()
    report = trial.send(trial.way(f"login {mechanism}", tls="starttls", mechanism=mechanism, token=token))
    _accepted(report, RECIPIENT)
    holds(report.transcript, [r"^-- TLSv1\.3", f"^C: AUTH {mechanism}( |$)", "^S: 235 "])
    trial.stored((RECIPIENT,))


def _wrong_password(trial: Trial) -> None:
    report = trial.send(trial.way("login PLAIN", tls="starttls", mechanism="PLAIN", password="another"))
    assert report.error == "AuthenticationError", report
    assert "C: MAIL" not in report.transcript, report.transcript


def _pipelining(trial: Trial) -> str | None:
    report = trial.send(trial.way(recipients=_MAILBOXES))
    _accepted(report, *_MAILBOXES)
    trial.stored(_MAILBOXES)
    # Pipelined, the replies come after the whole group.
    offered = _offers(report, "PIPELINING")
    holds(report.transcript, ["^C: MAIL.*\nC: RCPT.*\nC: RCPT.*\nC: " if offered else "^C: MAIL.*\nS: 250"])
    return None if offered else f"{NOT_OFFERED}: in lock-step"


def _chunking(trial: Trial) -> str | None:
    report = trial.send(trial.way(), chunking=True)
    if not _offers(report, "CHUNKING"):
        return _not_supported(trial, report)
    _accepted(report, RECIPIENT)
    holds(report.transcript, [r"^C: BDAT \d+", "LAST$"])
    assert "C: DATA" not in report.transcript, report.transcript
    trial.stored((RECIPIENT,))
    return None


def _eight_bit(trial: Trial) -> str | None:
    report = trial.send(trial.way())
    if not _offers(report, "8BITMIME"):
        return _not_supported(trial, report)
    holds(report.transcript, ["^C: MAIL .* BODY=8BITMIME"])
    trial.stored((RECIPIENT,))
    return None


def _dsn(trial: Trial) -> str | None:
    dsn = DSN(ret="HDRS", envid=_ENVID, notify=("SUCCESS", "FAILURE"), orcpt=True)
    report = trial.send(trial.way(), dsn=dsn)
    if not _offers(report, "DSN"):
        return _not_supported(trial, report)
    _accepted(report, RECIPIENT)
    holds(report.transcript, [r"^C: MAIL .* RET=HDRS ENVID=interop\+2B42", "^C: RCPT .* NOTIFY=SUCCESS,FAILURE ORCPT="])
    trial.stored((RECIPIENT,))
    reported = re.compile(r"(?i)(original-envelope-id|envid)\W+interop\+(2B)?42")
    if eventually(lambda: reported.search(trial.server.told()), 2):
        return None
    return "taken; no report of success comes"


def _smtputf8(trial: Trial) -> str | None:
    report = trial.send(trial.way(recipients=(RECIPIENT_UTF8,)))
    if not _offers(report, "SMTPUTF8"):
        return _not_supported(trial, report)
    _accepted(report, RECIPIENT_UTF8)
    holds(report.transcript, ["^C: MAIL .* SMTPUTF8", f"^C: RCPT TO:<{re.escape(RECIPIENT_UTF8)}>"])
    trial.stored((RECIPIENT_UTF8,))
    return None


def _one_refused(trial: Trial) -> None:
    report = trial.send(trial.way(recipients=(RECIPIENT, OTHER, SECOND)))
    assert report.verdicts == {RECIPIENT: "accepted", OTHER: "refused", SECOND: "accepted"}, report
    assert not report.error, report
    trial.stored(_MAILBOXES)
    assert not trial.server.has(OTHER), "the refused recipient got the message"


def _all_refused(trial: Trial) -> None:
    report = trial.send(trial.way(recipients=(OTHER,)))
    assert report.error == "RecipientsRefused", report
    assert report.verdicts == {OTHER: "refused"}, report
    assert not trial.server.has(OTHER), "the refused recipient got the message"


def _dots(trial: Trial, **options: Any) -> str | None:
    report = trial.send(trial.way(), trial.sources.dots, **options)
    if report.error == "NotSupported":
        return _not_supported(trial, report)
    _accepted(report, RECIPIENT)
    trial.stored((RECIPIENT,), DOTS)
    return None


def _proxy(trial: Trial) -> None:
    header = ProxyHeader("TCP4", "192.0.2.7", 40000, "192.0.2.8", 25, version=1)
    _accepted(trial.send(trial.way("proxy"), first=bytes(header)), RECIPIENT)
    trial.stored((RECIPIENT,))
    assert "192.0.2.7" in trial.server.said(), "it does not know whom the header named"


def _large(trial: Trial) -> None:
    _accepted(trial.send(trial.way(), trial.sources.large), RECIPIENT)
    eventually(lambda: trial.server.has(RECIPIENT))
    trial.stored((RECIPIENT,), trial.sources.large.read_bytes())
    trial.server.empty()


def _idle(trial: Trial) -> str:
    return _ended(trial, Fault("421", "MAIL", "command"), idle=1.3)


def _late(trial: Trial) -> str:
    return _ended(trial, Fault("421", "body", "command"), pause=1.3)


def _ended(trial: Trial, fault: Fault, **wait: float) -> str:
    # A server that loses its patience within a second says 421 itself; for the others a proxy does.
    if "impatient" in trial.server.ports:
        report, seen = trial.send(trial.way("impatient"), **wait), ""
    else:
        way, path = trial.way(), trial.sources.large if fault.step == "body" else None
        with FaultProxy(("127.0.0.1", way.port), fault) as proxy:
            report, seen = trial.send(way._replace(port=proxy.address[1]), path, chunking=False), "yes, by a proxy"
    # The last one is for a reply that nobody asked for.
    assert report.error in ("ConnectionLost", "MessageRefused", "SenderRefused", "RemoteProtocolError"), report
    assert "421" in report.text, report
    assert set(report.verdicts.values()) <= {"deferred"}, report
    assert not trial.server.has(RECIPIENT), "a message came"
    return seen


def _accepted(report: Report, *recipients: str) -> None:
    assert not report.error, report
    assert report.verdicts == dict.fromkeys(recipients, "accepted"), report


def _offers(report: Report, keyword: str) -> bool:
    return re.search(rf"^S: 250[- ]{keyword}( |$)", report.transcript, re.MULTILINE) is not None


def _not_supported(trial: Trial, report: Report, error: str = "NotSupported") -> str:
    # What the server does not offer is refused before MAIL, and nothing is dropped silently.
    assert report.error == error, report
    assert "C: MAIL" not in report.transcript, report.transcript
    assert not trial.server.has(RECIPIENT), "a message came"
    return NOT_OFFERED
