"""`smtpkit demo`: the session is shown, the octets are compared, and the exit status says how that went."""

import re

import pytest

from smtpkit.cli import demo, main


def test_the_session_the_envelope_and_the_verdict_are_shown(smtpkit):
    finished = smtpkit("demo")
    assert (finished.returncode, finished.stderr) == (0, "")
    lines = finished.stdout.splitlines()
    assert lines[0].startswith("S: 220 ")
    assert lines[1].startswith("C: EHLO ")
    assert "CHUNKING" not in finished.stdout
    said = [line for line in lines if re.match(r"[CS]: (MAIL|RCPT|DATA|354|250 2\.0\.0|QUIT|221|\.$)", line)]
    assert [line[3:7].strip() for line in said] == ["MAIL", "RCPT", "RCPT", "DATA", "354", ".", "250", "QUIT", "221"]
    assert "C: .." in lines
    assert "C: Grüße aus Köln, καλημέρα, 你好." in lines
    assert "envelope: from alice@example.org to bob@example.com, carol@example.net" in lines
    assert re.fullmatch(r"OK: the (\d+) octets that arrived are the octets that were sent", lines[-1])


def test_the_message_has_all_that_could_go_wrong():
    assert b"\r\n.\r\n" in demo._MESSAGE
    assert b"\r\n.." in demo._MESSAGE
    assert not demo._MESSAGE.isascii()
    assert b"\n" not in demo._MESSAGE.replace(b"\r\n", b"")


def test_octets_that_differ_are_one_line_and_status_1(monkeypatch, capsys):
    deliver = demo._deliver

    async def damaged():
        message = await deliver()
        message.content = message.content.replace(b"..nor", b".nor")
        return message

    monkeypatch.setattr(demo, "_deliver", damaged)
    assert main(["demo"]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.startswith("smtpkit: the 425 octets that arrived are not the 426")
    assert "OK" not in said.out


def test_it_runs_in_a_locale_without_letters(smtpkit):
    finished = smtpkit("demo", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert finished.returncode == 0
    assert "C: Gr\\xfc\\xdfe" in finished.stdout


@pytest.mark.parametrize("word", ["extra", "--port"])
def test_it_takes_no_arguments(smtpkit, word):
    assert smtpkit("demo", word).returncode == 2
