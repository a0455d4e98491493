"""What the command line takes, and how it says what it does not take."""

import os
import subprocess
import sys

import pytest

import smtpkit as package
from smtpkit.cli import COMMANDS, main
from smtpkit.cli.output import complain, say

USAGE = [
    ([], "COMMAND"),
    (["teleport"], "'teleport'"),
    (["--frobnicate"], "COMMAND"),
    (["serve", "FILE"], "FILE"),
    (["serve", "--port", "65536"], "65536"),
    (["serve", "--port", "smtp"], "smtp"),
    (["serve", "--port", "-1"], "--port"),
    (["serve", "--maildir", "d", "--print"], "not allowed with"),
    (["serve", "--max-message-size", "0"], "above 0"),
    (["serve", "--hostname", "under_score.example"], "--hostname"),
    (["serve", "--implicit-tls"], "--tls-cert"),
    (["serve", "--tls-key", "f"], "--tls-cert"),
    (["serve", "--auth", "u:secret"], "--allow-auth-in-clear"),
    (["serve", "--auth", "u:secret", "--unix", "s", "--port", "0"], "--allow-auth-in-clear"),
    (["serve", "--auth", "u:secret", "--unix", "s", "--host", "::1"], "--allow-auth-in-clear"),
    (["serve", "--auth", "u:secret", "--unix", "s", "--systemd"], "--allow-auth-in-clear"),
    (["serve", "--proxy-protocol"], "needs --trust"),
    (["serve", "--auth", "secret", "--allow-auth-in-clear"], "USER:PASSWORD"),
    (["serve", "--auth", ":secret", "--allow-auth-in-clear"], "USER:PASSWORD"),
    (["serve", "--auth", "secret:", "--allow-auth-in-clear"], "USER:PASSWORD"),
    (["serve", "--auth", "u:scrypt$secret", "--allow-auth-in-clear"], "begins as a record"),
    (["send"], "URL"),
    (["send", "http://localhost"], "scheme"),
    (["send", "smtp://localhost:port"], "port"),
    (["send", "smtp://localhost", "--tls", "maybe"], "maybe"),
    (["send", "smtp://localhost", "--timeout", "0"], "above 0"),
    (["send", "smtp://localhost", "--timeout", "soon"], "above 0"),
    (["send", "smtp://localhost", "--from", "a b", "--to", "c@d.example"], "--from"),
    (["send", "smtp://localhost", "--from", "a@b.example", "--to", "c@d.example>"], "--to"),
    (["send", "smtp://localhost", "--body", "x", "--to", "c@d.example"], "--from"),
    (["send", "smtp://localhost", "--body", "x", "--from", "", "--to", "c@d.example"], "--from"),
    (["send", "smtp://localhost", "--body", "x", "--from", "a@b.example"], "--to"),
    (["send", "smtp://localhost", "m.eml", "--body", "x"], "FILE"),
    (["send", "smtp://localhost", "m.eml", "--subject", "x"], "FILE"),
    (["send", "smtp://localhost", "m.eml", "more.eml"], "more.eml"),
    (["send", "smtp://localhost", "--password-file", "f"], "user"),
    (["send", "smtp://u@localhost", "m.eml"], "no password"),
    (
        [
            "send",
            "smtp://localhost",
            "--subject",
            "a\nb",
            "--body",
            "x",
            "--from",
            "a@b.example",
            "--to",
            "c@d.example",
        ],
        "",
    ),
]


@pytest.mark.parametrize(("arguments", "named"), USAGE, ids=[" ".join(arguments) for arguments, _ in USAGE])
def test_a_usage_error_is_one_line_and_status_2(arguments, named, capsys):
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = ended.code
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert said.err.startswith("smtpkit: ")
    assert said.err.count("\n") == 1
    assert named in said.err
    assert "secret" not in said.err


def test_the_version_is_told(smtpkit):
    finished = smtpkit("--version")
    assert (finished.returncode, finished.stdout) == (0, f"smtpkit {package.__version__}\n")


def test_help_names_every_command(smtpkit):
    finished = smtpkit("--help")
    assert finished.returncode == 0
    assert all(f"  {name} " in finished.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_its_exit_statuses(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"usage: smtpkit {name} ")
    assert "exit status:" in said.out


def test_options_are_not_abbreviated(smtpkit):
    finished = smtpkit("send", "smtp://localhost", "--unver")
    assert finished.returncode == 2
    assert "--unver" in finished.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["demo"]])
def test_nobody_reading_the_output_is_no_failure(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        finished = subprocess.run(
            [sys.executable, "-m", "smtpkit", *arguments],
            stdout=nobody,
            stderr=subprocess.PIPE,
            timeout=20,
            check=False,
        )
    assert (finished.returncode, finished.stderr) == (0, b"")


def test_there_may_be_no_output_at_all(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    say("lost")
    complain("lost")
    assert main(["demo"]) == 0


def test_an_error_is_one_line_whatever_its_text(capsys):
    complain("two\nlines  of\ttext")
    complain(ValueError())
    complain(FileNotFoundError(2, "No such file or directory", "m.eml"))
    complain(OSError(111, "Connection refused"))
    assert capsys.readouterr().err.splitlines() == [
        "smtpkit: two lines of text",
        "smtpkit: ValueError",
        "smtpkit: m.eml: No such file or directory",
        "smtpkit: Connection refused",
    ]


def test_help_imports_no_adapter():
    code = "import sys, smtpkit.cli\ntry: smtpkit.cli.main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(str(sorted({'asyncio', 'ssl', 'socket', 'email', 'logging'} & sys.modules.keys())))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20, check=False)
    assert finished.stderr.strip() == b"[]"
