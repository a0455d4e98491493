"""smtpkit delivers to real servers: they have what was sent, and every recipient's verdict is what they said."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cases import Case, equal, holds
from clients import Files, Way
from peers import Received, aiosmtpd_server, smtp_sink
from sample import LARGE_OCTETS, MESSAGE, OTHER, RECIPIENT, RECIPIENT_UTF8, SENDER
from senders import SENDERS, Report

from smtpkit import DSN

__all__ = ["sending_cases"]

_MEMORY = 64 * 1024  # KiB that a client of any message may have
_BOTH = (RECIPIENT, OTHER)

# How smtp-sink is made to speak.
_MANNERS: dict[str, tuple[str, ...]] = {
    "PIPELINING": (),
    "in lock-step": ("-p",),
    "no enhanced status codes, no DSN": ("-E", "-N"),
}

# What smtp-sink is made to do: its options, the error of the libraries, the exit status, and the verdict on the
# recipient, None where there is no word on it.
_TROUBLES = (
    ("MAIL refused for good", ("-f", "MAIL"), "SenderRefused", 1, None),
    ("MAIL refused for now", ("-r", "MAIL"), "SenderRefused", 1, None),
    ("RCPT refused for good", ("-f", "RCPT"), "RecipientsRefused", 1, "refused"),
    ("RCPT refused for now", ("-r", "RCPT"), "RecipientsRefused", 1, "deferred"),
    ("DATA refused for good", ("-f", "DATA"), "MessageRefused", 1, "refused"),
    ("DATA refused for now", ("-r", "DATA"), "MessageRefused", 1, "deferred"),
    ("message refused for good", ("-f", "."), "MessageRefused", 1, "refused"),
    ("message refused for now", ("-r", "."), "MessageRefused", 1, "deferred"),
    ("EHLO refused for good, HELO taken", ("-f", "EHLO", "-8"), "", 0, "accepted"),
    ("421 to RCPT, and closed", ("-Q", "RCPT"), "RecipientsRefused", 1, "deferred"),
    ("421 to the message, and closed", ("-Q", "."), "MessageRefused", 1, "deferred"),
    ("closed at MAIL", ("-q", "MAIL"), "ConnectionLost", 1, None),
    ("closed at the end of the message", ("-q", "."), "ConnectionLost", 3, "unknown"),
    ("550 in the middle of the message", ("-A", "0"), "MessageRefused", 1, "refused"),
)


def sending_cases(scratch: Path, files: Files, large: Path) -> Iterator[Case]:
    """Every client of smtpkit to every server, by every way that the server knows."""
    for name in SENDERS:
        yield from _aiosmtpd_cases(name, files)
        yield from _sink_cases(name, scratch, files)
    for name in SENDERS:
        feature = f"{LARGE_OCTETS // 1_000_000} MB, streamed"
        yield _case("aiosmtpd", name, feature, partial(_large_to_aiosmtpd, name, large))
        yield _case("smtp-sink", name, feature, partial(_large_to_sink, name, scratch, large))
        feature = f"550 after 354, {LARGE_OCTETS // 1_000_000} MB not sent in vain"
        yield _case("smtp-sink", name, feature, partial(_stopped, name, scratch, large))


def _case(peer: str, sender: str, feature: str, attempt: "partial[None]") -> Case:
    return Case(peer, "from smtpkit", f"{sender.removeprefix('smtpkit').strip(' .')}: {feature}", attempt)


# aiosmtpd


def _aiosmtpd_cases(name: str, files: Files) -> Iterator[Case]:
    for tls in ("clear", "starttls", "implicit"):
        for login in ("", "PLAIN", "LOGIN"):
            feature = f"{tls}, login {login}" if login else tls
            yield _case("aiosmtpd", name, feature, partial(_to_aiosmtpd, name, files, tls, login))
        if tls != "clear":
            for certificate in ("wrong-name", "expired", "self-signed"):
                attempt = partial(_refuses_certificate, name, files, tls, certificate)
                yield _case("aiosmtpd", name, f"{tls}, {certificate} certificate refused", attempt)
    yield _case("aiosmtpd", name, "LMTP", partial(_to_aiosmtpd, name, files, "clear", "", lmtp=True))
    yield _case("aiosmtpd", name, "SMTPUTF8", partial(_smtputf8, name, files))
    yield _case("aiosmtpd", name, "one of two recipients refused", partial(_one_refused, name, files))


def _to_aiosmtpd(name: str, files: Files, tls: str, login: str, lmtp: bool = False) -> None:
    with aiosmtpd_server(tls=tls, login=login, lmtp=lmtp) as inbox:
        report = SENDERS[name](Way(inbox.port, tls, login or None, lmtp), files.crlf)
    _all_accepted(report, (RECIPIENT,))
    (message,) = inbox.messages
    _same(message, Received(SENDER, [RECIPIENT], MESSAGE))
    assert inbox.logins == ([login] if login else [])
    holds(report.transcript, _dialogue(tls, login, lmtp))


def _dialogue(tls: str, login: str, lmtp: bool) -> Iterator[str]:
    if tls == "starttls":
        yield "^C: STARTTLS$"
    if tls != "clear":
        yield r"^-- TLSv1\.[23]"
    yield f"^C: {'LHLO' if lmtp else 'EHLO'} "
    if login:
        yield f"^C: AUTH {login}"
        yield "^S: 235 "
    yield f"^C: MAIL FROM:<{re.escape(SENDER)}>.* BODY=8BITMIME"
    yield f"^C: RCPT TO:<{re.escape(RECIPIENT)}>"


def _refuses_certificate(name: str, files: Files, tls: str, certificate: str) -> None:
    with aiosmtpd_server(tls=tls, certificate=certificate) as inbox:
        report = SENDERS[name](Way(inbox.port, tls), files.crlf)
    assert report.error in ("TLSError", "status 1"), report
    assert "certificate" in report.text, report.text
    assert not report.verdicts, report.verdicts
    assert not inbox.messages, "a message came"
    assert "C: MAIL" not in report.transcript, report.transcript


def _one_refused(name: str, files: Files) -> None:
    with aiosmtpd_server(refused=OTHER) as inbox:
        report = SENDERS[name](Way(inbox.port, recipients=_BOTH), files.crlf)
    assert report.verdicts == {RECIPIENT: "accepted", OTHER: "refused"}, report
    assert report.error == ("status 1" if name == "smtpkit send" else ""), report
    (message,) = inbox.messages
    _same(message, Received(SENDER, [RECIPIENT], MESSAGE))


def _smtputf8(name: str, files: Files) -> None:
    with aiosmtpd_server() as inbox:
        report = SENDERS[name](Way(inbox.port, recipients=(RECIPIENT_UTF8,)), files.crlf)
    _all_accepted(report, (RECIPIENT_UTF8,))
    _same(inbox.messages.pop(), Received(SENDER, [RECIPIENT_UTF8], MESSAGE))
    holds(report.transcript, ["^C: MAIL .* SMTPUTF8", f"^C: RCPT TO:<{re.escape(RECIPIENT_UTF8)}>"])


# smtp-sink


def _sink_cases(name: str, scratch: Path, files: Files) -> Iterator[Case]:
    to_sink = partial(_to_sink, name, scratch, files)
    for feature, options in _MANNERS.items():
        yield _case("smtp-sink", name, feature, partial(to_sink, options, Way(0, recipients=_BOTH)))
    yield _case("smtp-sink", name, "login PLAIN", partial(to_sink, (), Way(0, mechanism="PLAIN")))
    yield _case("smtp-sink", name, "LMTP, two replies", partial(to_sink, ("-L",), Way(0, lmtp=True, recipients=_BOTH)))
    if name != "smtpkit send":
        yield _case("smtp-sink", name, "DSN", partial(_dsn, name, scratch, files))
    yield _case("smtp-sink", name, "8-bit text where there is no 8BITMIME", partial(_no_8bitmime, name, scratch, files))
    for feature, options, error, status, verdict in _TROUBLES:
        expected = (f"status {status}" if status else "") if name == "smtpkit send" else error
        yield _case("smtp-sink", name, feature, partial(_trouble, name, scratch, files, options, expected, verdict))


def _to_sink(name: str, scratch: Path, files: Files, options: tuple[str, ...], way: Way) -> None:
    with smtp_sink(scratch, *options) as sink:
        report = SENDERS[name](way._replace(port=sink.port), files.crlf)
        _all_accepted(report, way.recipients)
        (message,) = sink.messages(1)
    _same(message, Received(SENDER, list(way.recipients), MESSAGE))
    if way.mechanism is not None:
        holds(report.transcript, [f"^C: AUTH {way.mechanism}", "^S: 235 |^S: 250 "])
    # Pipelined, the replies come after the whole group.
    group = "^C: MAIL.*\nC: RCPT" if "-p" not in options else "^C: MAIL.*\nS: 250"
    holds(report.transcript, [group])


def _dsn(name: str, scratch: Path, files: Files) -> None:
    dsn = DSN(ret="HDRS", envid="a+b=c", notify=("FAILURE", "DELAY"), orcpt=True)
    with smtp_sink(scratch) as sink:
        _all_accepted(SENDERS[name](Way(sink.port), files.crlf, dsn=dsn), (RECIPIENT,))
        (message,) = sink.messages(1)
    holds(
        message.records,
        [r"^X-Mail-Args: .* RET=HDRS ENVID=a\+2Bb\+3Dc", "^X-Rcpt-Args: .* NOTIFY=FAILURE,DELAY ORCPT="],
    )
    equal(message.content, MESSAGE)


def _no_8bitmime(name: str, scratch: Path, files: Files) -> None:
    with smtp_sink(scratch, "-8") as sink:
        report = SENDERS[name](Way(sink.port), files.crlf)
        assert report.error in ("NotSupported", "status 1"), report
        assert "8-bit" in report.text, report.text
        assert not report.verdicts, report.verdicts
        sink.messages(0)


def _trouble(name: str, scratch: Path, files: Files, options: tuple[str, ...], error: str, verdict: str | None) -> None:
    path = files.crlf.with_name("message.ascii")
    path.write_bytes(MESSAGE.decode().encode("ascii", "replace"))
    with smtp_sink(scratch, *options) as sink:
        report = SENDERS[name](Way(sink.port), path)
    assert report.error == error, report
    assert report.verdicts == ({RECIPIENT: verdict} if verdict is not None else {}), report


# Large messages


def _large_to_aiosmtpd(name: str, large: Path) -> None:
    with aiosmtpd_server() as inbox:
        report = SENDERS[name](Way(inbox.port), large)
    _all_accepted(report, (RECIPIENT,))
    _same(inbox.messages.pop(), Received(SENDER, [RECIPIENT], large.read_bytes()))
    assert report.memory < _MEMORY, f"the client had {report.memory} KiB"


def _large_to_sink(name: str, scratch: Path, large: Path) -> None:
    with smtp_sink(scratch) as sink:
        report = SENDERS[name](Way(sink.port), large)
        _all_accepted(report, (RECIPIENT,))
        (message,) = sink.messages(1)
    _same(message, Received(SENDER, [RECIPIENT], large.read_bytes()))


def _stopped(name: str, scratch: Path, large: Path) -> None:
    with smtp_sink(scratch, "-A", "0") as sink:
        report = SENDERS[name](Way(sink.port), large)
    assert report.error in ("MessageRefused", "status 1"), report
    assert report.verdicts == {RECIPIENT: "refused"}, report


def _all_accepted(report: Report, recipients: tuple[str, ...]) -> None:
    assert not report.error, report
    assert report.verdicts == dict.fromkeys(recipients, "accepted"), report


def _same(message: Received, wanted: Received) -> None:
    assert message.sender == wanted.sender, message.sender
    assert message.recipients == wanted.recipients, message.recipients
    equal(message.content, wanted.content)
