"""`smtpkit send`: what it sends, what it says of each recipient, and with which status it ends."""

import hashlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from smtpkit import Transcript, Transport
from smtpkit.protocol.replay import ScriptedClient
from smtpkit.protocol.target import Target
from smtpkit.sync import serve
from smtpkit.tls import server_context

CERTIFICATES = Path(__file__).parents[1] / "certificates"
GREETING = b"220 mx.example ESMTP\r\n"
OK = b"250 2.1.0 OK\r\n"
GO_ON = b"354 Go on\r\n"
BYE = b"221 2.0.0 Bye\r\n"
MESSAGE = b"Subject: x\n\n.\n..two\n"
ENVELOPE = ("--from", "a@b.example", "--to", "c@d.example")


@pytest.fixture
def maildir(serving, tmp_path, messages):
    """A server's URL, and what it has stored: (url, stored())."""
    path = tmp_path / "mail"
    server = serving("--maildir", path, "--crlf", "--hostname", "mx.example")
    return f"smtp://{server.where}", lambda: messages(path)


def content(stored):
    """A stored message without its trace fields, and these."""
    trace = re.match(rb"(?s:.*?)\r\n\t\w{3}, [^\r]*\r\n", stored)[0]
    return stored[len(trace) :], trace


# What is sent


@pytest.mark.parametrize("source", ["file", "dash", "nothing", "between options"])
def test_a_file_is_sent_as_its_octets_are_with_line_ends_made_crlf(smtpkit, maildir, tmp_path, source):
    url, stored = maildir
    file = tmp_path / "m.eml"
    file.write_bytes(MESSAGE)
    arguments = {
        "file": (*ENVELOPE, file),
        "dash": (*ENVELOPE, "-"),
        "nothing": ENVELOPE,
        "between options": (*ENVELOPE[:2], file, *ENVELOPE[2:], "--timeout", 10),
    }[source]
    finished = smtpkit("send", url, *arguments, input=MESSAGE)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert re.fullmatch(r"c@d\.example accepted: 250 2\.0\.0 .*\n", finished.stdout)
    (octets,) = stored()
    assert content(octets)[0] == MESSAGE.replace(b"\n", b"\r\n")


def test_the_null_reverse_path(smtpkit, maildir):
    url, stored = maildir
    assert smtpkit("send", url, "--from", "", "--to", "c@d.example", input=MESSAGE).returncode == 0
    assert stored()[0].startswith(b"Return-Path: <>\r\n")


@pytest.mark.parametrize("piped", [True, False])
def test_envelope_from_the_header_and_bcc_is_not_sent(smtpkit, maildir, tmp_path, piped):
    url, stored = maildir
    head = b"From: Ann <a@b.example>\nTo: c@d.example\nCc: D <d@d.example>\n"
    message = head + b"BCC: e@d.example,\n f@d.example\nSubject: x\n\nBcc: stays\n"
    if piped:
        finished = smtpkit("send", url, input=message)
    else:
        (tmp_path / "m").write_bytes(message)
        finished = smtpkit("send", url, tmp_path / "m")
    assert [line.split()[0] for line in finished.stdout.splitlines()] == [f"{name}@d.example" for name in "cdef"]
    octets, trace = content(stored()[0])
    assert trace.startswith(b"Return-Path: <a@b.example>\r\nDelivered-To: c@d.example\r\nDelivered-To: d@d.example\r\n")
    assert octets == (head + b"Subject: x\n\nBcc: stays\n").replace(b"\n", b"\r\n")


@pytest.mark.parametrize("piped", [True, False])
def test_recipients_that_are_given_leave_the_header_alone(smtpkit, maildir, tmp_path, piped):
    url, stored = maildir
    message = b"From: x@y.example, z@y.example\r\nSender: a@b.example\r\nBcc: e@d.example\r\n\r\nhi\r\n"
    (tmp_path / "m").write_bytes(message)
    source = "-" if piped else tmp_path / "m"
    finished = smtpkit("send", url, source, "--to", "c@d.example", input=message)
    assert finished.stdout.startswith("c@d.example accepted")
    octets, trace = content(stored()[0])
    assert trace.startswith(b"Return-Path: <a@b.example>\r\n")
    assert octets == message


def test_the_newest_resent_block_wins(smtpkit, maildir):
    url, stored = maildir
    block = b"Resent-From: r@b.example\nResent-To: s@d.example\n"
    finished = smtpkit("send", url, input=block + b"From: a@b.example\nTo: c@d.example\n\n")
    assert finished.stdout.startswith("s@d.example accepted")
    assert stored()[0].startswith(b"Return-Path: <r@b.example>\r\n")


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        (b"To: c@d.example\n\n", "sender"),
        (b"From: a@b.example\n\n", "recipient"),
        (b"", "sender"),
        (b"\0\xff", "sender"),
    ],
)
def test_a_header_that_names_nobody_is_a_usage_error(smtpkit, message, missing):
    finished = smtpkit("send", "smtp://127.0.0.1:1", input=message)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr.count("\n") == 1
    assert missing in finished.stderr
    assert "--to" in finished.stderr


def test_a_made_message_has_all_fields_that_it_needs(smtpkit, maildir, tmp_path):
    url, stored = maildir
    (tmp_path / "a.txt").write_text("naïve\n")
    (tmp_path / "b.txt").write_bytes(b"\xff\n")
    (tmp_path / "c.png").write_bytes(b"\x89PNG\0")
    (tmp_path / "d.eml").write_bytes(b"Subject: inner\n\n")
    attached = [word for name in ("a.txt", "b.txt", "c.png", "d.eml") for word in ("--attach", tmp_path / name)]
    arguments = (*ENVELOPE, "--to", "e@d.example", "--subject", "Grüße", "--body", "Zeile\n.\n", *attached)
    assert smtpkit("send", url, *arguments).returncode == 0
    message = message_from_bytes(content(stored()[0])[0], policy=policy.default)
    assert message["From"] == "a@b.example"
    assert message["To"] == "c@d.example, e@d.example"
    assert message["Subject"] == "Grüße"
    assert message["Date"].datetime.tzinfo is not None
    assert re.fullmatch(r"<[^@<>]+@b\.example>", message["Message-ID"])
    assert message.get_body().get_content().splitlines() == ["Zeile", "."]
    parts = [(part.get_filename(), part.get_content_type()) for part in message.iter_attachments()]
    octets = "application/octet-stream"
    assert parts == [("a.txt", "text/plain"), ("b.txt", octets), ("c.png", "image/png"), ("d.eml", octets)]
    assert [part.get_payload(decode=True) for part in message.iter_attachments()] == [
        (tmp_path / name).read_bytes() for name, _ in parts
    ]


def test_a_subject_alone_takes_the_text_from_standard_input(smtpkit, maildir):
    url, stored = maildir
    assert smtpkit("send", url, *ENVELOPE, "--subject", "s", input="grün\n".encode()).returncode == 0
    message = message_from_bytes(content(stored()[0])[0], policy=policy.default)
    assert message.get_content().splitlines() == ["grün"]


# What it says, and its status


def test_each_recipient_has_a_line_with_verdict_and_reply(smtpkit, scripted):
    url = scripted(
        *(
            GREETING,
            b"250 mx.example\r\n",
            OK,
            OK,
            b"550 5.1.1 No such user\r\n",
            b"451-4.7.1 Later,\r\n451 4.7.1 please\r\n",
        ),
        *(GO_ON, b"250 2.0.0 Queued\r\n", BYE),
    )
    finished = smtpkit("send", url, *ENVELOPE, "--to", "e@d.example", "--to", "f@d.example", input=MESSAGE)
    assert (finished.returncode, finished.stderr) == (1, "")
    assert finished.stdout.splitlines() == [
        "c@d.example accepted: 250 2.0.0 Queued",
        "e@d.example refused: 550 5.1.1 No such user",
        "f@d.example deferred: 451 4.7.1 Later, please",
    ]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([b"250 mx\r\n", OK, b"550 5.1.1 No\r\n", OK, BYE], "refused: 550 5.1.1 No"),
        ([b"250 mx\r\n", b"550 5.7.1 No\r\n", OK, BYE], "not sent"),
        ([b"250 mx\r\n", OK, OK, b"451 4.3.0 No\r\n", OK, BYE], "deferred: 451 4.3.0 No"),
        ([b"250 mx\r\n", OK, OK, GO_ON, b"554 5.6.0 No\r\n", BYE], "refused: 554 5.6.0 No"),
        ([b"250 mx\r\n", OK, None], "not sent"),
        ([None], "not sent"),
    ],
    ids=["RCPT", "MAIL", "DATA", "content", "lost", "lost at EHLO"],
)
def test_nobody_accepted_is_status_1_with_the_reason(smtpkit, scripted, answers, said):
    finished = smtpkit("send", scripted(GREETING, *answers), *ENVELOPE, input=MESSAGE)
    assert (finished.returncode, finished.stdout) == (1, f"c@d.example {said}\n")
    assert finished.stderr.startswith("smtpkit: ")
    assert finished.stderr.count("\n") == 1


def test_what_a_server_says_does_not_act_on_the_terminal(smtpkit, scripted):
    url = scripted(GREETING, b"250 mx\r\n", OK, b"550 \x1b[2J\x9b1m\xc2\x9b \xe2\x80\xae no\r\n", OK, BYE)
    finished = smtpkit("send", url, *ENVELOPE, "--transcript", input=MESSAGE)
    for text in (finished.stdout, finished.stderr):
        assert r"\x1b[2J" in text
        assert all(char.isprintable() or char == "\n" for char in text)


def test_no_reply_to_the_message_is_status_3(smtpkit, scripted):
    url = scripted(GREETING, b"250 mx.example\r\n", OK, OK, b"550 5.1.1 No\r\n", GO_ON, None)
    finished = smtpkit("send", url, *ENVELOPE, "--to", "e@d.example", input=MESSAGE)
    assert finished.returncode == 3
    assert finished.stdout.splitlines() == [
        "c@d.example unknown: no reply came to the message",
        "e@d.example refused: 550 5.1.1 No",
    ]
    assert "end of data" in finished.stderr


def test_unknown_wins_over_refused_and_lmtp_answers_for_each(smtpkit, scripted):
    last = b"550 5.2.2 Full\r\n"
    url = scripted(GREETING, b"250 mx.example\r\n", OK, OK, OK, GO_ON, last, None, lmtp=True)
    finished = smtpkit("send", url, *ENVELOPE, "--to", "e@d.example", input=MESSAGE)
    assert finished.returncode == 3
    assert [line.split()[1] for line in finished.stdout.splitlines()] == ["refused:", "unknown:"]


def test_a_silent_server_is_given_up_after_the_time_out(smtpkit):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
        finished = smtpkit("send", url, *ENVELOPE, "--timeout", 1, input=MESSAGE)
    assert (finished.returncode, finished.stdout) == (1, "c@d.example not sent\n")
    assert "greeting" in finished.stderr


def test_nobody_listening(smtpkit):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        finished = smtpkit("send", f"smtp://127.0.0.1:{bound.getsockname()[1]}", *ENVELOPE, input=MESSAGE)
    assert finished.returncode == 1
    assert re.fullmatch(r"smtpkit: no connection to smtp://127.0.0.1:\d+: Connection refused.*\n", finished.stderr)


def test_standard_input_may_be_closed(tmp_path):
    arguments = [sys.executable, "-m", "smtpkit", "send", "smtp://127.0.0.1:1", *ENVELOPE]
    finished = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *arguments], capture_output=True, timeout=20, check=False)
    assert (finished.returncode, finished.stderr) == (1, b"smtpkit: standard input: closed\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [*ENVELOPE, "missing.eml"],
        [*ENVELOPE, "--body", "x", "--attach", "missing.eml"],
        [*ENVELOPE, "--transcript-file", "missing/t"],
    ],
)
def test_a_file_that_cannot_be_used_is_status_1(smtpkit, arguments):
    finished = smtpkit("send", "smtp://127.0.0.1:1", *arguments)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert re.fullmatch(r"smtpkit: missing.*: No such file or directory\n", finished.stderr)


def test_interrupted_is_status_130():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
        sending = subprocess.Popen(
            [sys.executable, "-m", "smtpkit", "send", url, *ENVELOPE, "--body", "x", "--subject", "x"],
            stderr=subprocess.PIPE,
            # Whoever runs the tests in the background may have a shell that ignores it, which is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        with sending, silent.accept()[0]:  # it has connected, and waits for the greeting
            sending.send_signal(signal.SIGINT)
            assert sending.communicate(timeout=20)[1] == b"smtpkit: interrupted\n"
    assert sending.returncode == 130


# The session


def test_the_transcript_goes_to_standard_error_and_to_a_file(smtpkit, maildir, tmp_path):
    url, _ = maildir
    record = tmp_path / "record"
    finished = smtpkit("send", url, *ENVELOPE, "--transcript", "--transcript-file", record, input=MESSAGE)
    assert finished.stderr.startswith("S: 220 mx.example")
    assert "\nC: MAIL FROM:<a@b.example>" in finished.stderr
    assert finished.stderr.splitlines()[-1].startswith("S: 221 ")
    assert record.read_text() == finished.stderr


def test_a_transcript_in_a_file_can_be_played_to_a_server_again(smtpkit, maildir, tmp_path):
    url, _ = maildir
    record = tmp_path / "record"
    smtpkit("send", url, *ENVELOPE, "--transcript-file", record, input=MESSAGE)
    target = Target.parse(url)
    script = ScriptedClient(Transcript.parse(record.read_text(encoding="utf-8")))
    with socket.create_connection((target.host, target.port)) as sock:
        while script.transport is Transport.READ:
            sock.sendall(script.data_to_send())
            script.receive_data(sock.recv(65536))
    assert script.done


@pytest.fixture
def guarded(serving):
    server = serving("--tls-cert", CERTIFICATES / "server.pem", "--auth", "u:pass", "--print")
    return f"smtp://u@localhost:{server.port}"


@pytest.mark.parametrize("where", ["environment", "file", "both"])
def test_a_password_that_is_not_in_the_process_list(smtpkit, guarded, tmp_path, where):
    file = tmp_path / "password"
    file.write_text("pass\nsecond line\n")
    env = {"environment": {"SMTPKIT_PASSWORD": "pass"}, "file": {}, "both": {"SMTPKIT_PASSWORD": "wrong"}}[where]
    option = () if where == "environment" else ("--password-file", file)
    arguments = (*ENVELOPE, "--cafile", CERTIFICATES / "ca.pem", "--tls", "required", "--transcript", *option)
    finished = smtpkit("send", guarded, *arguments, input=MESSAGE, env=env)
    assert finished.returncode == 0
    assert "-- TLSv1." in finished.stderr
    assert "<hidden>" in finished.stderr
    assert "pass" not in finished.stderr


def test_a_wrong_password(smtpkit, guarded):
    arguments = (*ENVELOPE, "--cafile", CERTIFICATES / "ca.pem")
    finished = smtpkit("send", guarded, *arguments, input=MESSAGE, env={"SMTPKIT_PASSWORD": "secret"})
    assert (finished.returncode, finished.stdout) == (1, "c@d.example not sent\n")
    assert "535 5.7.8" in finished.stderr
    assert "secret" not in finished.stderr


def test_a_certificate_is_verified_unless_told_not_to(smtpkit, guarded):
    arguments = (guarded.replace("//u@", "//u:pass@"), *ENVELOPE)
    finished = smtpkit("send", *arguments, input=MESSAGE)
    assert (finished.returncode, finished.stdout) == (1, "c@d.example not sent\n")
    assert "does not verify" in finished.stderr
    assert smtpkit("send", *arguments, "--unverified-tls", input=MESSAGE).returncode == 0


def test_a_pinned_certificate_and_another_name(smtpkit, guarded):
    certificate = ssl.PEM_cert_to_DER_cert(
        "-----BEGIN" + (CERTIFICATES / "server.pem").read_text().split("-----BEGIN")[1]
    )
    pin = hashlib.sha256(certificate).hexdigest()
    arguments = (guarded.replace("//u@", "//u:pass@"), *ENVELOPE)
    assert smtpkit("send", *arguments, "--fingerprint", pin, input=MESSAGE).returncode == 0
    finished = smtpkit("send", *arguments, "--fingerprint", "00" * 32, input=MESSAGE)
    assert finished.returncode == 1
    assert f"its SHA-256 is {pin}" in finished.stderr
    options = ("--cafile", CERTIFICATES / "ca.pem", "--server-hostname", "elsewhere.example")
    finished = smtpkit("send", *arguments, *options, input=MESSAGE)
    assert finished.returncode == 1
    assert "not valid for 'elsewhere.example'" in finished.stderr


@pytest.mark.parametrize("files", ["one", "two"])
def test_a_certificate_of_the_client(smtpkit, tmp_path, files):
    seen = []
    context = server_context(str(CERTIFICATES / "server.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(CERTIFICATES / "ca.pem")
    both = (CERTIFICATES / "client.pem").read_text()
    end = both.index("-----BEGIN PRIVATE KEY")
    (tmp_path / "cert.pem").write_text(both[:end] if files == "two" else both)
    (tmp_path / "key.pem").write_text(both[end:])
    options = ["--cafile", CERTIFICATES / "ca.pem", "--tls", "required", "--client-cert", tmp_path / "cert.pem"]
    options += ["--client-key", tmp_path / "key.pem"] if files == "two" else []
    with serve(lambda message: seen.append(message.session.tls.verified), port=0, tls=context) as server:
        url = f"smtp://localhost:{server.address[1]}"
        assert smtpkit("send", url, *ENVELOPE, *options, input=MESSAGE).returncode == 0
        assert smtpkit("send", url, *ENVELOPE, *options[:4], input=MESSAGE).returncode == 1
    assert seen == [True]


def test_the_own_name_and_address(smtpkit):
    seen = []
    with serve(lambda message: seen.append((message.session.hello_name, message.session.peer[0])), port=0) as server:
        options = ("--local-hostname", "client.example", "--local-address", "127.0.0.3")
        url = f"smtp://127.0.0.1:{server.address[1]}"
        assert smtpkit("send", url, *ENVELOPE, *options, input=MESSAGE).returncode == 0
    assert seen == [("client.example", "127.0.0.3")]


def test_a_deadline_is_for_all_waits_together(smtpkit):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
        finished = smtpkit("send", url, *ENVELOPE, "--deadline", 1, input=MESSAGE)
    assert finished.returncode == 1
    assert "did not answer in time (greeting)" in finished.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--client-key", "key.pem"), "--client-key needs --client-cert"),
        (("--fingerprint", "00" * 32, "--unverified-tls"), "unverified_tls does not go with it"),
        (("--deadline", 0), "seconds above 0"),
        (("--local-hostname", "no name"), "name"),
    ],
)
def test_options_that_do_not_fit_together_are_a_usage_error(smtpkit, options, words):
    finished = smtpkit("send", "smtp://127.0.0.1:1", *ENVELOPE, *options, input=MESSAGE)
    assert finished.returncode == 2
    assert words in finished.stderr


def test_no_password_goes_in_clear_to_another_host(smtpkit):
    finished = smtpkit("send", "smtp://u:p@host.invalid", *ENVELOPE, "--tls", "off", "--timeout", 5, input=MESSAGE)
    assert finished.returncode == 1
    assert finished.stdout == "c@d.example not sent\n"


def test_nobody_reading_the_report_leaves_the_status(maildir):
    url, stored = maildir
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [sys.executable, "-m", "smtpkit", "send", url, *ENVELOPE]
    with os.fdopen(writing, "wb") as nobody:
        finished = subprocess.run(
            arguments, input=MESSAGE, stdout=nobody, stderr=subprocess.PIPE, timeout=20, check=False
        )
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert len(stored()) == 1
