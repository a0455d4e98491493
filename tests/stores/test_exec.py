"""A program for each message: whole messages, exact addresses, and its exit status as the reply."""

import json
import os
import re
import sys
import time
from pathlib import Path

import pytest

from smtpkit.errors import ReplyError
from smtpkit.stores import Exec
from smtpkit.stores import exec as module
from smtpkit.stores.sysexits import SYSEXITS, reply_to_status


@pytest.fixture
def program(tmp_path):
    """program(source, **options) -> an Exec of that Python program."""

    def make(source, **options):
        path = tmp_path / "program.py"
        path.write_text(source)
        return Exec([sys.executable, "-S", str(path)], **options)

    return make


SHOW = """
import json, os, sys
json.dump([dict(os.environ), sys.stdin.buffer.read().decode()], open(%r, "w"))
"""


@pytest.fixture
def shown(program, tmp_path, deliver):
    def run(envelope, session, *pieces, **options):
        out = tmp_path / "out"
        assert deliver(program(SHOW % str(out), **options), envelope, session, *pieces) is None
        return json.loads(out.read_text())

    return run


def test_the_message_is_on_standard_input_with_lf_and_trace_fields(shown, envelope, session):
    _, content = shown(envelope(), session(), b"Subject: x\r", b"\n\r\nhi\r\n")
    assert content.startswith("Return-Path: <a@b.example>\nDelivered-To: c@d.example\nReceived: from ")
    assert content.endswith("\nSubject: x\n\nhi\n")
    _, content = shown(envelope(), session(), b"hi\r\n", trace=False, crlf=True)
    assert content == "hi\r\n"


def test_line_ends_may_be_kept(program, tmp_path, deliver, envelope, session):
    copy = f"import sys; open({str(tmp_path / 'out')!r}, 'wb').write(sys.stdin.buffer.read())"
    deliver(program(copy, crlf=True, trace=False), envelope(), session(), b"a\r\nb\r\n")
    assert (tmp_path / "out").read_bytes() == b"a\r\nb\r\n"


def test_the_envelope_is_in_the_environment(shown, envelope, session):
    recipients = ['"$(rm -rf /) ;`x`"@d.example', "e@d.example"]
    facts = session(hello_name="() { :;}; x\n\xe9", identity="us er", protocol="ESMTPSA")
    environment, content = shown(envelope(recipients, "-oX@b.example"), facts, b"")
    assert environment["SENDER"] == "-oX@b.example"
    assert environment["RECIPIENT"] == recipients[0]
    assert environment["RECIPIENTS"].split("\n") == recipients
    assert environment["CLIENT_ADDRESS"] == "192.0.2.1"
    assert environment["CLIENT_HELO"] == "_____:____x__"
    assert environment["CLIENT_PROTOCOL"] == "ESMTPSA"
    assert environment["SASL_USERNAME"] == "us_er"
    assert environment["SESSION_ID"] == "5e5510"
    assert f" id {environment['MESSAGE_ID']}" in content


def test_variables_of_the_operator_win(shown, envelope, session):
    environment, _ = shown(envelope(), session(), environment={"HOME": "/queue", "SENDER": "postmaster", "KEY": "1"})
    assert [environment[name] for name in ("HOME", "SENDER", "KEY")] == ["/queue", "postmaster", "1"]


def test_of_the_servers_environment_it_gets_what_is_no_secret(shown, envelope, session, monkeypatch):
    monkeypatch.setenv("SMTPKIT_PASSWORD", "secret")
    monkeypatch.setenv("PATHS", "x")
    environment, _ = shown(envelope(sender=None), session(peer="", hello_name=None), b"", environment={"QUEUE": "a b"})
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["QUEUE"] == "a b"
    assert environment["SENDER"] == environment["CLIENT_ADDRESS"] == environment["CLIENT_HELO"] == ""
    assert not {"SMTPKIT_PASSWORD", "PATHS"} & environment.keys()


@pytest.mark.parametrize("status", [*SYSEXITS, 1, 3, 200])
def test_each_exit_status_has_its_reply(program, deliver, envelope, session, status):
    reply = reply_to_status(status)
    assert reply.code >= 400
    assert reply.enhanced.subject is not None
    if status in (1, 67, 75):  # one table, and three that are run
        assert deliver(program(f"raise SystemExit({status})"), envelope(), session(), b"x") == reply


def test_the_replies_of_sysexits():
    told = {name: f"{reply.code} {reply.enhanced}" for name, reply in SYSEXITS.values()}
    assert told == {
        "EX_USAGE": "451 4.3.5",
        "EX_DATAERR": "554 5.6.0",
        "EX_NOINPUT": "451 4.3.0",
        "EX_NOUSER": "550 5.1.1",
        "EX_NOHOST": "550 5.1.2",
        "EX_UNAVAILABLE": "554 5.3.0",
        "EX_SOFTWARE": "451 4.3.0",
        "EX_OSERR": "451 4.3.0",
        "EX_OSFILE": "451 4.3.5",
        "EX_CANTCREAT": "452 4.3.1",
        "EX_IOERR": "451 4.3.0",
        "EX_TEMPFAIL": "451 4.3.0",
        "EX_PROTOCOL": "451 4.5.0",
        "EX_NOPERM": "550 5.7.1",
        "EX_CONFIG": "451 4.3.5",
    }
    assert {number: getattr(os, name) for number, (name, _) in SYSEXITS.items()} == {
        number: number for number in SYSEXITS
    }
    assert reply_to_status(0) is None
    assert reply_to_status(1) == reply_to_status(-9)
    assert str(reply_to_status(1)).startswith("451 4.3.0 ")


def test_the_first_line_of_standard_error_is_logged_and_not_told(program, deliver, envelope, session, caplog):
    source = "import sys; sys.stderr.write('\\n  no\\x1b quota\\nsecond\\n' + 'x' * 10**6); print('out'); sys.exit(75)"
    reply = deliver(program(source), envelope(), session(), b"x")
    assert str(reply) == "451 4.3.0 Try again later"
    (record,) = caplog.records
    assert record.getMessage() == f"5e5510 {sys.executable} ended with 75 (EX_TEMPFAIL): no\\x1b quota"
    caplog.clear()
    assert deliver(program("import sys; sys.stderr.write('careful')"), envelope(), session(), b"x") is None
    assert caplog.records[0].getMessage().endswith("ended with 0: careful")


def test_of_an_endless_complaint_little_is_kept(program, deliver, envelope, session, caplog):
    deliver(program("import sys; sys.stderr.write('x' * 10**6)"), envelope(), session(), b"x")
    assert caplog.records[0].getMessage().endswith(f": {'x' * 4096}")


def test_a_verdict_is_no_trouble_and_a_failure_is(program, deliver, envelope, session, caplog):
    caplog.set_level("INFO", "smtpkit")
    for source in ("raise SystemExit(67)", "raise SystemExit(71)", "raise SystemExit('no such user')"):
        deliver(program(source), envelope(), session(), b"x")
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "WARNING"]


def test_the_page_has_the_table_of_exit_statuses():
    page = (Path(__file__).parents[2] / "docs" / "stores.md").read_text()
    rows = re.findall(r"(?m)^\| (\d+) \| (EX_\w+) \| (\d{3} [\d.]+) \|$", page)
    told = [(str(each), name, f"{reply.code} {reply.enhanced}") for each, (name, reply) in SYSEXITS.items()]
    assert rows == told


def test_a_program_that_hangs_is_killed_with_its_children(program, deliver, envelope, session, tmp_path, caplog):
    pid_file = tmp_path / "pid"
    source = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-Sc", "import time; time.sleep(60)"])
print("waiting", file=sys.stderr, flush=True)
open({str(pid_file)!r}, "w").write(str(child.pid))
time.sleep(60)
"""
    for timeout in (1, 5, 20):  # on a slow machine it may not have come so far
        caplog.clear()
        began = time.monotonic()
        reply = deliver(program(source, timeout=timeout), envelope(), session(), b"x")
        assert time.monotonic() - began < timeout + 10
        assert str(reply).startswith("451 4.3.0 ")
        if pid_file.exists() and (pid := pid_file.read_text()):
            break
    assert caplog.records[0].getMessage().endswith(f"took longer than {timeout} s: waiting")
    until = time.monotonic() + 20
    while not _is_gone(pid):
        assert time.monotonic() < until, "a child goes on"
        time.sleep(0.01)


def _is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_one_that_closes_its_standard_error_is_still_bound(program, deliver, envelope, session):
    reply = deliver(program("import os, time; os.close(2); time.sleep(60)", timeout=0.5), envelope(), session(), b"x")
    assert reply.code == 451


def test_a_child_that_it_leaves_behind_does_not_hold_the_verdict_up(program, deliver, envelope, session, tmp_path):
    over = tmp_path / "over"
    source = f"""
import os, time
if os.fork() == 0:
    for _ in range(2000):
        if os.path.exists({str(over)!r}):
            break
        time.sleep(0.05)
    os._exit(0)
"""
    assert deliver(program(source), envelope(), session(), b"x") is None  # and it has a minute
    over.touch()


def test_a_signal_is_a_failure_for_now(program, deliver, envelope, session, caplog):
    reply = deliver(program("import os; os.kill(os.getpid(), 9)"), envelope(), session(), b"x")
    assert reply.code == 451
    assert caplog.records[0].getMessage().endswith("was ended by signal 9")


def test_a_program_that_does_not_read_its_input_decides_all_the_same(program, deliver, envelope, session):
    assert deliver(program(""), envelope(), session(), b"x" * 1_000_000) is None


def test_recipients_that_no_environment_holds(program, envelope, session):
    with pytest.raises(ReplyError, match=r"554 5\.5\.3"):
        program("").begin(envelope([f"{'x' * 60}{number}@d.example" for number in range(2000)]), session())


def test_a_program_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="no program 'nowhere'"):
        Exec("nowhere")
    assert Exec("sh").arguments == [module.shutil.which("sh")]
    assert repr(Exec(tmp_path.__class__("/bin/sh"))).endswith("timeout=60)")


def test_until_the_message_is_complete_nothing_runs(program, envelope, session, tmp_path):
    store = program(f"open({str(tmp_path / 'ran')!r}, 'w')")
    delivery = store.begin(envelope(), session())
    delivery.write(b"half")
    delivery.abort()
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ValueError, match="aborted"):
        delivery.commit()


def test_an_interrupted_delivery_leaves_no_process(program, deliver, envelope, session, monkeypatch):
    def interrupted(process, timeout):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_watch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        deliver(program("import time; time.sleep(60)"), envelope(), session(), b"x")
