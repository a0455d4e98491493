"""What `smtpkit serve` does with mail: each store and the relay, from the outside."""

import json
import mailbox
import re
import signal
import smtplib
import sys
from contextlib import closing

import pytest

MESSAGE = b"Subject: x\r\n\r\nFrom here\r\n"


def send(server, recipients=("c@d.example",), message=MESSAGE):
    with smtplib.SMTP("127.0.0.1", server.port, "client.example", timeout=20) as smtp:
        return smtp.sendmail("a@b.example", recipients, message)


def refusal(server, message=MESSAGE):
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(server, message=message)
    return f"{refused.value.smtp_code} {refused.value.smtp_error.decode()}"


def test_mbox(serving, tmp_path):
    server = serving("--mbox", tmp_path / "mail", "--hostname", "mx.example")
    for _ in range(2):
        assert send(server) == {}
    with closing(mailbox.mbox(tmp_path / "mail")) as box:
        messages = list(box)
    assert [message["Delivered-To"] for message in messages] == ["c@d.example"] * 2
    assert [message.get_payload() for message in messages] == [">From here\n"] * 2


def test_mbox_without_a_dot_lock(serving, tmp_path):
    (tmp_path / "mail.lock").touch()
    assert send(serving("--mbox", tmp_path / "mail", "--no-dot-lock")) == {}


def test_mbox_without_trace_fields(serving, tmp_path):
    send(serving("--mbox", tmp_path / "mail", "--no-trace"))
    assert (tmp_path / "mail").read_bytes().partition(b"\n")[2] == b"Subject: x\n\n>From here\n\n"


def test_eml_and_json(serving, tmp_path):
    send(serving("--eml-dir", tmp_path / "new"), ["c@d.example", "e@f.example"])
    content, envelope = sorted((tmp_path / "new").iterdir())
    facts = json.loads(envelope.read_text())
    assert content.read_bytes() == MESSAGE
    assert facts["file"] == content.name
    assert [each["address"] for each in facts["recipients"]] == ["c@d.example", "e@f.example"]
    assert facts["session"]["hello_name"] == "client.example"


def test_exec(serving, tmp_path):
    script = tmp_path / "take in.py"
    script.write_text(
        "import os, sys\n"
        f"open({str(tmp_path / 'out')!r}, 'ab').write(os.environb[b'RECIPIENT'] + b' ' + sys.stdin.buffer.read())\n"
        "sys.exit('no thanks' if len(sys.argv) > 2 else int(sys.argv[1]))\n"
    )
    server = serving("--exec", f"{sys.executable} -S '{script}' 0", "--no-trace", "--crlf")
    assert send(server) == {}
    assert (tmp_path / "out").read_bytes() == b"c@d.example " + MESSAGE
    assert server.end(signal.SIGTERM) == (0, "", "")
    server = serving("--exec", f"{sys.executable} -S '{script}' 67")
    assert refusal(server) == "550 5.1.1 No such user here"
    assert server.end(signal.SIGTERM)[2] == ""  # a verdict is no trouble
    server = serving("--exec", f"{sys.executable} -S '{script}' 75")
    assert refusal(server) == "451 4.3.0 Try again later"
    assert re.search(r"ended with 75 \(EX_TEMPFAIL\)$", server.end(signal.SIGTERM)[2])
    server = serving("--exec", f"{sys.executable} -S '{script}' 0 1")
    assert refusal(server).startswith("451 4.3.0 ")
    assert server.end(signal.SIGTERM)[2].rstrip().endswith("ended with 1: no thanks")


def test_exec_of_a_program_that_hangs(serving):
    server = serving("--exec", "sleep 60", "--exec-timeout", "0.3")
    assert refusal(server).startswith("451 4.3.0 ")


def test_relay(serving, tmp_path, messages):
    behind = serving("--maildir", tmp_path, "--hostname", "behind.example")
    server = serving("--relay", f"smtp://127.0.0.1:{behind.port}", "--hostname", "front.example")
    assert send(server) == {}
    (stored,) = messages(tmp_path)
    assert re.findall(rb"(?m)^\tby (\S+) ", stored) == [b"behind.example", b"front.example"]
    assert stored.count(b"Return-Path") == 1
    behind.end(signal.SIGTERM)
    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        send(server)
    assert refused.value.smtp_code == 451


def test_loops_are_stopped(serving, tmp_path, messages):
    server = serving("--maildir", tmp_path, "--max-hops", 3)
    assert send(server, message=b"Received: x\r\n" * 2 + MESSAGE) == {}
    assert refusal(server, b"Received: x\r\n" * 3 + MESSAGE).startswith("554 5.4.6 ")
    assert len(messages(tmp_path)) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--mbox", "x", "--maildir", "y"], 2, "not allowed with"),
        (["--mbox", "x", "--crlf"], 2, "--crlf goes with --maildir or --exec, not with --mbox"),
        (["--no-trace"], 2, "--no-trace goes with --maildir or --mbox or --exec, not with --print"),
        (["--exec-timeout", "3", "--mbox", "x"], 2, "--exec-timeout goes with --exec"),
        (["--forward-client"], 2, "--forward-client goes with --relay, not with --print"),
        (["--no-dot-lock", "--maildir", "x"], 2, "--no-dot-lock goes with --mbox"),
        (["--exec", ""], 2, "--exec wants a program"),
        (["--exec", "'"], 2, "--exec: No closing quotation"),
        (["--exec", "no-such-program"], 1, "no program 'no-such-program'"),
        (["--relay", "gopher://x"], 2, "--relay: "),
        (["--relay", "memory:"], 2, "--relay: a relay leads to a server"),
        (["--mbox", "/dev/null"], 1, "no regular file"),
        (["--eml-dir", "/dev/null"], 1, "/dev/null"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(smtpkit, arguments, status, words):
    finished = smtpkit("serve", "--port", "0", *arguments)
    assert finished.returncode == status
    assert words in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_the_password_of_a_relay_is_in_the_environment(monkeypatch):
    from smtpkit.cli.storing import relay_password

    assert relay_password("smtps://user@h") is None
    monkeypatch.setenv("SMTPKIT_PASSWORD", "secret")
    assert relay_password("smtps://user@h") == ("user", "secret")
    assert relay_password("smtps://user:other@h") is None
    assert relay_password("smtp://h") is None
