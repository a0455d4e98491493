"""`smtpkit serve` as operators set it up: where it listens, what it says, and the file of its options."""

import json
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest

CERTIFICATES = Path(__file__).parents[1] / "certificates"
SERVER, OTHER, CLIENT, CA = (str(CERTIFICATES / f"{name}.pem") for name in ("server", "wrong-name", "client", "ca"))
MESSAGE = b"Subject: hi\r\n\r\nhi\r\n"


def send(port, host="127.0.0.1"):
    with smtplib.SMTP(host, port, "client.example", timeout=20) as smtp:
        assert smtp.sendmail("a@b.example", ["c@d.example"], MESSAGE) == {}


def said(port, *lines):
    """The codes of the greeting and of what is answered to these lines."""
    codes = []
    with socket.create_connection(("127.0.0.1", port), 20) as sock, sock.makefile("rb") as replies:
        for line in ("", *lines):
            if line:
                sock.sendall(f"{line}\r\n".encode())
            while (reply := replies.readline())[3:4] == b"-":
                pass
            codes.append(int(reply[:3] or 0))
    return codes


def certificate(port, name="localhost", implicit=False):
    """The names in the certificate that a client gets."""
    context = ssl.create_default_context(cafile=CA)
    context.check_hostname = False
    if implicit:
        sock = socket.create_connection(("127.0.0.1", port), 20)
        with context.wrap_socket(sock, server_hostname=name) as tls:
            found = tls.getpeercert()
    else:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as smtp:
            smtp._host = name
            smtp.starttls(context=context)
            found = smtp.sock.getpeercert()
    return [value for kind, value in found["subjectAltName"] if kind == "DNS"]


# Where it listens


def test_several_addresses_are_a_line_each(serving):
    server = serving("--host", "127.0.0.1", "--host", "::1")
    second = server.process.stdout.readline().decode()
    assert re.fullmatch(r"listening on \[::1\]:[1-9][0-9]*\n", second)
    send(server.port)
    send(int(second.rpartition(":")[2]), "::1")


def test_implicit_tls_stands_beside_starttls(serving):
    server = serving("--implicit-tls-port", "0", "--tls-cert", SERVER)
    implicit = int(server.process.stdout.readline().decode().rpartition(":")[2])
    assert certificate(server.port) == ["localhost"]
    assert certificate(implicit, implicit=True) == ["localhost"]


def test_a_unix_socket_has_its_mode(serving, tmp_path):
    path = tmp_path / "s"
    serving("--unix", path, "--unix-mode", "620")
    assert stat.S_IMODE(path.stat().st_mode) == 0o620


def test_a_unix_socket_and_tcp_stand_side_by_side(tmp_path, smtpkit, serving):
    server = serving("--host", "127.0.0.1", "--unix", tmp_path / "s", "--port", "0")
    assert server.where.startswith("unix:")
    second = server.process.stdout.readline().decode()
    send(int(second.rpartition(":")[2]))


def test_it_serves_the_sockets_that_it_was_started_with():
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_server(("127.0.0.1", 0)) as implicit:
        sockets = {3: plain.fileno(), 4: implicit.fileno()}
        program = (
            "import os, sys\n"
            f"for number, given in {sockets}.items(): os.dup2(given, number + 200)\n"
            f"for number in {list(sockets)}: os.dup2(number + 200, number)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='smtp:smtps')\n"
            "os.execv(sys.executable, [sys.executable, '-m', 'smtpkit', *sys.argv[1:]])\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, "serve", "--systemd", "--tls-cert", SERVER],
            pass_fds=sockets.values(),
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
    with process:
        ports = [int(process.stdout.readline().decode().rpartition(":")[2]) for _ in range(2)]
        try:
            send(ports[0])
            assert certificate(ports[1], implicit=True) == ["localhost"]
        finally:
            process.terminate()
        assert process.wait(20) == 0


def test_without_sockets_that_is_an_error(smtpkit):
    finished = smtpkit("serve", "--systemd")
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "was not started with sockets" in finished.stderr


# Whom it believes


def test_xclient_is_for_trusted_addresses(serving):
    trusting = serving("--trust", "127.0.0.0/8")
    assert said(trusting.port, "XCLIENT ADDR=192.0.2.7", "EHLO x.example", "XFORWARD NAME=x") == [220, 220, 250, 250]
    assert said(serving("--trust", "10.0.0.0/8").port, "XCLIENT ADDR=192.0.2.7") == [220, 502]


def test_a_proxy_header_says_who_the_client_is(serving):
    server = serving("--proxy-protocol", "--trust", "127.0.0.1", "--log-level", "info")
    lines = ["EHLO c.example", "MAIL FROM:<>", "RCPT TO:<b@b.example>", "DATA", "hi\r\n.", "QUIT"]
    with socket.create_connection(("127.0.0.1", server.port), 20) as sock:
        sock.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.2 40000 25\r\n")
        sock.sendall("".join(f"{line}\r\n" for line in lines).encode())
        while sock.recv(4096):
            pass
    _, _, err = server.end(signal.SIGTERM)
    assert "peer=192.0.2.7:40000 from=<> recipients=1 size=4 " in err


# Certificates


def test_a_client_gets_the_certificate_of_its_name(serving):
    server = serving("--tls-cert", SERVER, "--tls-cert", OTHER)
    assert certificate(server.port, "elsewhere.example") == ["elsewhere.example"]
    assert certificate(server.port, "third.example") == ["localhost"]


def test_certificates_are_read_anew_at_sighup(serving, tmp_path):
    file = tmp_path / "tls.pem"
    shutil.copy(SERVER, file)
    server = serving("--tls-cert", file)
    assert certificate(server.port) == ["localhost"]
    shutil.copy(OTHER, file)
    server.process.send_signal(signal.SIGHUP)
    while certificate(server.port) != ["elsewhere.example"]:
        pass
    file.write_text("none")
    server.process.send_signal(signal.SIGHUP)
    line = server.process.stderr.readline().decode()
    assert line.startswith("smtpkit: the certificates remain what they were: cannot use the certificate")
    assert certificate(server.port) == ["elsewhere.example"]
    assert server.end(signal.SIGTERM)[0] == 0


def test_without_certificates_sighup_does_nothing(serving):
    server = serving()
    server.process.send_signal(signal.SIGHUP)
    send(server.port)
    assert server.end(signal.SIGTERM)[2] == ""


def test_nobody_comes_in_without_a_certificate_where_one_is_required(serving):
    server = serving("--tls-cert", SERVER, "--tls-client-ca", CA, "--tls-client-required", "--require-tls")
    context = ssl.create_default_context(cafile=CA)
    context.check_hostname = False
    for shown in (CLIENT, None):
        if shown:
            context.load_cert_chain(shown)
            with smtplib.SMTP("127.0.0.1", server.port, timeout=20) as smtp:
                smtp.starttls(context=context)
                assert smtp.sendmail("a@b.example", ["c@d.example"], MESSAGE) == {}
        else:
            assert said(server.port, "EHLO c.example", "MAIL FROM:<>") == [220, 250, 530]


# Limits


def test_limits_are_those_of_the_options(serving):
    server = serving("--max-recipients", "1", "--max-errors", "2", "--idle-timeout", "20", "--rate", "messages=1")
    rcpt = "RCPT TO:<b@b.example>"
    assert said(server.port, "EHLO c.example", "MAIL FROM:<>", rcpt, rcpt) == [220, 250, 250, 250, 452]
    assert said(server.port, "FOO", "FOO") == [220, 500, 421]
    message = ("EHLO c.example", "MAIL FROM:<>", rcpt, "DATA", "hi\r\n.")
    assert said(server.port, *message) == [220, 250, 250, 250, 354, 250]
    assert said(server.port) == [421]


def test_a_session_has_its_time(serving):
    server = serving("--session-timeout", "0.2")
    with socket.create_connection(("127.0.0.1", server.port), 20) as sock, sock.makefile("rb") as replies:
        assert replies.readline().startswith(b"220 ")
        assert replies.readline().startswith(b"421 4.4.2 The session has lasted too long")


def test_a_login_may_be_optional(serving):
    server = serving("--auth", "ada:secret", "--auth-optional", "--allow-auth-in-clear")
    with smtplib.SMTP("127.0.0.1", server.port, "client.example", timeout=20) as smtp:
        smtp.login("ada", "secret")
    send(server.port)


# What it says


def test_a_message_is_a_line_for_people(serving, tmp_path):
    server = serving("--log-level", "info", "--eml-dir", tmp_path)
    send(server.port)
    _, _, err = server.end(signal.SIGTERM)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [0-9a-f]{10} peer=127\.0\.0\.1:\d+ "
        r"id=1-[0-9a-f]{16} from=<a@b\.example> recipients=1 size=\d+ seconds=\d\.\d{3} accepted\n",
        err,
    )


def test_or_an_object_for_machines(serving):
    server = serving("--log-level", "debug", "--log-format", "json")
    send(server.port)
    _, _, err = server.end(signal.SIGTERM)
    lines = [json.loads(line) for line in err.splitlines()]
    lines = [line for line in lines if line["logger"].startswith("smtpkit.server")]
    assert [line["event"] for line in lines] == ["connect", "message", "close"]
    message = lines[1]
    assert (message["from"], message["recipients"], message["accepted"]) == ("a@b.example", 1, 1)
    assert message["reply"] == ["accepted"]
    assert len({line["session"] for line in lines}) == 1
    assert message["peer"].startswith("127.0.0.1:")
    assert message["seconds"] >= 0


def test_what_fails_is_an_object_too(serving, tmp_path):
    server = serving("--log-format", "json", "--maildir", tmp_path / "mail")
    shutil.rmtree(tmp_path / "mail")
    lines = ("EHLO c.example", "MAIL FROM:<>", "RCPT TO:<b@b.example>", "DATA", "hi\r\n.")
    assert said(server.port, *lines)[-1] == 451
    _, _, err = server.end(signal.SIGTERM)
    (line,) = [json.loads(line) for line in err.splitlines()]
    assert (line["level"], line["event"], line["hook"]) == ("error", "failure", "on_body")
    assert line["error"].startswith("FileNotFoundError: ")


# The file


def test_options_may_stand_in_a_file(serving, tmp_path):
    file = tmp_path / "smtpkit.toml"
    file.write_text(
        f"""
        # what it calls itself
        hostname = "mx.example"
        tls-cert = ["{SERVER}", "{OTHER}"]
        trust = "127.0.0.1"
        max-recipients = 1
        session-timeout = 90.5
        lmtp = false
        verbose = true
        """
    )
    server = serving("--config", file)
    with socket.create_connection(("127.0.0.1", server.port), 20) as sock, sock.makefile("rb") as replies:
        assert replies.readline() == b"220 mx.example ESMTP\r\n"
    assert certificate(server.port, "elsewhere.example") == ["elsewhere.example"]
    assert said(server.port, "XCLIENT ADDR=192.0.2.7") == [220, 220]


def test_the_command_line_wins(serving, tmp_path):
    file = tmp_path / "smtpkit.toml"
    file.write_text('hostname = "mx.example"\ntrust = ["127.0.0.1"]\nport = 1\n')
    server = serving(f"--config={file}", "--hostname", "other.example", "--trust=10.0.0.1")
    with socket.create_connection(("127.0.0.1", server.port), 20) as sock, sock.makefile("rb") as replies:
        assert replies.readline() == b"220 other.example ESMTP\r\n"
    assert said(server.port, "XCLIENT ADDR=192.0.2.7") == [220, 502]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("port = 25\nprot = 26\n", "smtpkit.toml:2: there is no option 'prot'"),
        ("[tls]\ncert = 'x'\n", "smtpkit.toml:1: there is no option 'tls'"),
        ("config = 'x'\n", "there is no option 'config'"),
        ("lmtp = 'yes'\n", "smtpkit.toml:1: lmtp is true or false"),
        ("port = true\n", "port is text or a number"),
        ("host = [['::1']]\n", "host is text or a number"),
        ("port = [1, 2]\n", "port is one value, not a list"),
        ("port = 'smtp'\n", "argument --port: a port is a number"),
        ("port 25\n", "smtpkit.toml: "),
    ],
)
def test_a_file_that_makes_no_sense_is_a_usage_error(smtpkit, tmp_path, text, complaint):
    file = tmp_path / "smtpkit.toml"
    file.write_text(text)
    finished = smtpkit("serve", "--config", file)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert complaint in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_a_file_that_is_not_there_is_an_error(smtpkit, tmp_path):
    finished = smtpkit("serve", "--config", tmp_path / "none.toml")
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "none.toml" in finished.stderr
