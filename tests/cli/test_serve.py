"""`smtpkit serve` as mail programs meet it: what it takes, what it stores or shows, and what it says if it cannot."""

import re
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from smtpkit import Transcript
from smtpkit.sasl import make_record

CERTIFICATES = Path(__file__).parents[1] / "certificates"
SERVER = str(CERTIFICATES / "server.pem")
MESSAGE = b"Subject: dots\r\n\r\n.\r\n..two\r\n.\x80\xff\r\n"
TRACE = re.compile(
    rb"Return-Path: <a@b\.example>\n"
    rb"((?:Delivered-To: .*\n)+)"
    rb"Received: from client\.example \(\[127\.0\.0\.1\]\)\n"
    rb"\tby mx\.example with (\w+) id [0-9a-f]+-[0-9a-f]{16}(\n\tfor <c@d\.example>)?;\n"
    rb"\t\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\n"
)


def send(server, *, recipients=("c@d.example",), message=MESSAGE, login=None, tls=False, client=smtplib.SMTP):
    with client("127.0.0.1", server.port, "client.example", timeout=20) as smtp:
        if tls:
            smtp.starttls(context=trusting())
        if login:
            smtp.login(*login)
        return smtp.sendmail("a@b.example", recipients, message, ["BODY=8BITMIME"])


def trusting():
    return ssl.create_default_context(cafile=str(CERTIFICATES / "ca.pem"))


def test_one_line_says_where_it_listens(serving):
    server = serving()
    assert re.fullmatch(r"listening on 127\.0\.0\.1:[1-9][0-9]*", server.line)
    assert server.end(signal.SIGTERM) == (0, "", "")


def test_a_message_is_a_file_with_trace_fields_on_top(serving, tmp_path, messages):
    server = serving("--maildir", tmp_path / "mail", "--hostname", "mx.example")
    assert send(server) == {}
    # It is there as soon as it was answered.
    (stored,) = messages(tmp_path / "mail")
    trace = TRACE.match(stored)
    assert trace[1] == b"Delivered-To: c@d.example\n"
    assert trace[2] == b"ESMTP"
    assert trace[3] is not None
    assert stored[trace.end() :] == MESSAGE.replace(b"\r\n", b"\n")
    assert list((tmp_path / "mail" / "cur").iterdir()) == []


def test_several_recipients_are_one_file_that_names_each_and_no_for_clause(serving, tmp_path, messages):
    server = serving("--maildir", tmp_path, "--hostname", "mx.example")
    send(server, recipients=["c@d.example", "e@f.example", "c@d.example"])
    (stored,) = messages(tmp_path)
    trace = TRACE.match(stored)
    assert trace[1] == b"Delivered-To: c@d.example\nDelivered-To: e@f.example\n"
    assert trace[3] is None


def test_without_trace_and_with_crlf_the_file_is_what_was_sent(serving, tmp_path, messages):
    server = serving("--maildir", tmp_path, "--no-trace", "--crlf")
    send(server)
    assert messages(tmp_path) == [MESSAGE]


def test_lone_newlines_are_refused_unless_told_otherwise(serving, tmp_path, messages):
    for choice, stored in ((), []), (("--bare-newlines", "normalize"), [b"a\nb\n"]):
        server = serving("--maildir", tmp_path, "--no-trace", *choice)
        sock, lines = server.connect()
        sock.sendall(b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        until(lines, b"354")
        sock.sendall(b"a\nb\r\n.\r\n")
        assert lines.readline().startswith(b"250 " if choice else b"550 5.6.0 ")
        assert messages(tmp_path) == stored


def test_every_message_of_a_session_is_stored(serving, tmp_path, messages):
    server = serving("--maildir", tmp_path, "--no-trace")
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as smtp:
        for number in range(3):
            smtp.sendmail("", ["c@d.example"], f"Subject: {number}\r\n\r\n".encode())
    assert messages(tmp_path) == [f"Subject: {number}\n\n".encode() for number in range(3)]


def test_without_maildir_messages_are_shown(serving):
    server = serving()
    send(server, message=b"Subject: \x1b[2J\r\n\r\nh\xc3\xa9 \xff\r\n")
    status, shown, _ = server.end(signal.SIGINT)
    assert status == 0
    assert shown.splitlines() == [
        "---------- message of 24 octets from 127.0.0.1 (client.example) by ESMTP",
        "MAIL FROM:<a@b.example> SIZE=24 BODY=8BITMIME",
        "RCPT TO:<c@d.example>",
        "",
        "Subject: \\x1b[2J",
        "",
        "hé \\xff",
        "",
    ]


def test_login_is_required_and_offered_under_tls_alone(serving, tmp_path, messages):
    server = serving(
        "--maildir", tmp_path, "--tls-cert", SERVER, "--auth", "u:p:p", "--auth", "v:w", "--hostname", "mx.example"
    )
    with pytest.raises(smtplib.SMTPSenderRefused, match="530"):
        send(server, tls=True)
    with pytest.raises(smtplib.SMTPNotSupportedError):
        send(server, login=("u", "p:p"))
    with pytest.raises(smtplib.SMTPAuthenticationError):
        send(server, tls=True, login=("v", "p:p"))
    assert messages(tmp_path) == []
    send(server, tls=True, login=("u", "p:p"))
    assert [TRACE.match(stored)[2] for stored in messages(tmp_path)] == [b"ESMTPSA"]


def test_every_password_mechanism_is_offered(serving):
    server = serving("--tls-cert", SERVER, "--auth", "u:p")
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as smtp:
        smtp.starttls(context=trusting())
        smtp.ehlo()
        assert {"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"} <= set(
            smtp.esmtp_features["auth"].split()
        )


def test_a_record_stands_for_a_password(serving, tmp_path, messages):
    server = serving("--maildir", tmp_path, "--tls-cert", SERVER, "--auth", f"u:{make_record('p', cost=16)}")
    with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as smtp:
        smtp.starttls(context=trusting())
        smtp.ehlo()
        assert smtp.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
    with pytest.raises(smtplib.SMTPAuthenticationError):
        send(server, tls=True, login=("u", "x"))
    send(server, tls=True, login=("u", "p"))
    assert len(messages(tmp_path)) == 1


def test_implicit_tls(serving, tmp_path, messages):
    server = serving("--maildir", tmp_path, "--tls-cert", SERVER, "--implicit-tls", "--auth", "u:p")
    with smtplib.SMTP_SSL("127.0.0.1", server.port, timeout=20, context=trusting()) as smtp:
        smtp.login("u", "p")
        smtp.sendmail("a@b.example", ["c@d.example"], MESSAGE)
    assert len(messages(tmp_path)) == 1


def test_login_in_clear_when_it_is_allowed_by_name(serving, tmp_path, messages):
    server = serving("--maildir", tmp_path, "--auth", "u:p", "--allow-auth-in-clear")
    send(server, login=("u", "p"))
    assert len(messages(tmp_path)) == 1


def test_lmtp_over_a_unix_socket(serving, tmp_path, messages):
    path = tmp_path / "socket"
    server = serving("--unix", path, "--lmtp", "--maildir", tmp_path / "mail", "--auth", "u:p")
    assert server.line == f"listening on unix:{path}"
    with socket.socket(socket.AF_UNIX) as sock, sock.makefile("rb") as lines:
        sock.settimeout(20)
        sock.connect(str(path))
        sock.sendall(b"LHLO client.example\r\nAUTH PLAIN AHUAcA==\r\nMAIL FROM:<>\r\n")
        sock.sendall(b"RCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\nDATA\r\n")
        replies = until(lines, b"354")
        assert any(line.startswith(b"235") for line in replies)
        sock.sendall(b"\r\nhi\r\n.\r\nQUIT\r\n")
        assert [line[:3] for line in until(lines, b"221")] == [b"250", b"250", b"221"]
    (stored,) = messages(tmp_path / "mail")
    assert stored.startswith(b"Return-Path: <>\nDelivered-To: c@d.example\nDelivered-To: e@d.example\n")
    assert b" with LMTPA id " in stored
    assert server.end(signal.SIGTERM)[0] == 0
    assert not path.exists()


def until(lines, code):
    replies = [lines.readline()]
    while not replies[-1].startswith(code) and replies[-1]:
        replies.append(lines.readline())
    return replies


def test_a_message_that_is_too_large_leaves_nothing(serving, tmp_path, messages):
    server = serving("--maildir", tmp_path, "--max-message-size", 1000)
    sock, lines = server.connect()
    with sock, lines:
        sock.sendall(b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        assert b"250-SIZE 1000\r\n" in until(lines, b"354")
        sock.sendall(b"x\r\n" * 400 + b".\r\n")
        assert lines.readline().startswith(b"552 5.3.4 ")
    assert messages(tmp_path) == []


def test_a_client_that_goes_in_the_middle_leaves_nothing(serving, tmp_path, messages):
    server = serving("--maildir", tmp_path)
    sock, lines = server.connect()
    with sock, lines:
        sock.sendall(b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        until(lines, b"354")
        sock.sendall(b"half\r\n")
        sock.shutdown(socket.SHUT_WR)
        while lines.readline():
            pass
    server.end(signal.SIGTERM)
    assert messages(tmp_path) == []


def test_verbose_shows_each_session_with_its_number_and_no_password(serving):
    server = serving("--verbose", "--auth", "u:pass", "--allow-auth-in-clear")
    send(server, login=("u", "pass"))
    send(server, login=("u", "pass"))
    _, _, shown = server.end(signal.SIGTERM)
    lines = shown.splitlines()
    assert all(re.match(r"\[[12]\] [CS]: ", line) for line in lines)
    assert lines[0].startswith("[1] S: 220 ")
    mail = f"[2] C: MAIL FROM:<a@b.example> SIZE={len(MESSAGE)} BODY=8BITMIME"
    assert mail.lower() in [line.lower() for line in lines]  # smtplib writes verbs in either case
    assert "pass" not in shown
    assert "AHUAcGFzcw" not in shown
    first = Transcript.parse("\n".join(line[4:] for line in lines if line.startswith("[1] ")))
    assert first.lines[-1].startswith("S: 221 ")


def test_all_addresses_of_a_host(serving):
    server = serving("--host", "localhost")
    assert re.fullmatch(r"listening on (127\.0\.0\.1|\[::1\]):[0-9]+", server.line)
    with smtplib.SMTP("localhost", server.port, timeout=20) as smtp:
        assert smtp.noop()[0] == 250


def test_a_message_that_cannot_be_stored_is_a_451_and_one_line(serving, tmp_path, messages):
    server = serving("--maildir", tmp_path / "mail")
    (tmp_path / "mail" / "tmp").rename(tmp_path / "gone")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(server)
    assert refused.value.smtp_code == 451
    (tmp_path / "gone").rename(tmp_path / "mail" / "tmp")
    send(server)
    assert len(messages(tmp_path / "mail")) == 1
    status, _, said = server.end(signal.SIGTERM)
    assert status == 0
    assert re.fullmatch(r"smtpkit: [0-9a-f]+ on_body failed: \S+/mail/tmp/\S+: No such file or directory\n", said)


# What it cannot do


def refusal(finished):
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.count("\n") == 1
    assert finished.stderr.startswith("smtpkit: ")
    return finished.stderr


def test_a_port_in_use(smtpkit):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        said = refusal(smtpkit("serve", "--port", number))
    assert f"127.0.0.1 port {number}" in said
    assert "in use" in said


def test_a_maildir_that_cannot_be_written(smtpkit, tmp_path):
    (tmp_path / "file").touch()
    assert "file" in refusal(smtpkit("serve", "--port", 0, "--maildir", tmp_path / "file" / "mail"))


@pytest.mark.parametrize("name", ["missing.pem", "README.md"])
def test_a_certificate_that_cannot_be_used(smtpkit, name):
    said = refusal(smtpkit("serve", "--port", 0, "--tls-cert", CERTIFICATES / name))
    assert name in said


def test_a_unix_socket_that_cannot_be_made(smtpkit, tmp_path):
    assert "unix:" in refusal(smtpkit("serve", "--unix", tmp_path / "missing" / "socket"))


def test_a_host_that_is_none(smtpkit):
    assert "host.invalid" in refusal(smtpkit("serve", "--host", "host.invalid"))


def test_nobody_reading_what_it_prints_is_a_451_to_the_client(serving):
    server = serving("--print")
    server.process.stdout.close()
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(server)
    assert refused.value.smtp_code == 451
    server.process.send_signal(signal.SIGTERM)
    assert re.fullmatch(rb"smtpkit: [0-9a-f]+ on_body failed: Broken pipe\n", server.process.stderr.read())
    assert server.process.wait(20) == 0


def test_the_module_is_the_command():
    finished = subprocess.run(
        [sys.executable, "-c", "import smtpkit.__main__"], capture_output=True, timeout=20, check=False
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, b"", b"")
