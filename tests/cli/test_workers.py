"""`smtpkit serve --workers N`: processes that share the work, and their parent, which outlives each of them."""

import os
import re
import signal
import smtplib
import socket
import time
from collections import Counter

import pytest

from smtpkit.cli import main
from smtpkit.cli.workers import Workers

MESSAGE = b"Subject: hi\r\n\r\nhi\r\n"
ENDED = re.compile(r"smtpkit: worker (\d) \(process (\d+)\) has ended by signal 9, and is begun anew in (\d+\.\d) s\n")


def send(port):
    with smtplib.SMTP("127.0.0.1", port, "client.example", timeout=20) as smtp:
        assert smtp.sendmail("a@b.example", ["c@d.example"], MESSAGE) == {}


def workers(server, count):
    """The processes that were begun, once there are so many."""
    children = f"/proc/{server.process.pid}/task/{server.process.pid}/children"
    while True:
        with open(children) as file:
            found = [int(word) for word in file.read().split()]
        if len(found) == count:
            return found


def greeting(port):
    with socket.create_connection(("127.0.0.1", port), 20) as sock, sock.makefile("rb") as replies:
        return int(replies.readline()[:3] or 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_that_was_sent_is_stored_by_whichever_of_them(serving, tmp_path, messages, number):
    server = serving("--workers", "3", "--maildir", tmp_path / "mail")
    assert len(workers(server, 3)) == 3
    for _ in range(12):
        send(server.port)
    assert server.end(number) == (0, "", "")
    assert len(messages(tmp_path / "mail")) == 12
    with pytest.raises(ConnectionRefusedError):
        send(server.port)


@pytest.mark.parametrize("store", ["mbox", "eml-dir"])
def test_other_stores_are_shared_too(serving, tmp_path, store):
    server = serving("--workers", "2", f"--{store}", tmp_path / "mail")
    for _ in range(6):
        send(server.port)
    assert server.end(signal.SIGTERM)[0] == 0
    stored = tmp_path / "mail"
    if store == "mbox":
        assert stored.read_bytes().count(b"\nSubject: hi\n") == 6
    else:
        assert len(list(stored.glob("**/*.eml"))) == 6


def test_each_tcp_port_is_shared_out(serving):
    server = serving("--workers", "2", "--log-level", "debug", "--log-format", "json")
    for _ in range(30):
        assert greeting(server.port) == 220
    assert server.end(signal.SIGTERM)[0] == 0


def test_a_unix_socket_is_shared_and_removed_at_the_end(serving, tmp_path):
    path = tmp_path / "s"
    server = serving("--workers", "2", "--unix", path, "--unix-mode", "600")
    assert server.where == f"unix:{path}"
    for _ in range(4):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(path))
            assert sock.recv(4) == b"220 "
    assert server.end(signal.SIGTERM)[0] == 0
    assert not path.exists()


def test_one_that_crashes_is_begun_anew_and_no_connection_is_lost(serving):
    server = serving("--workers", "2")
    before = workers(server, 2)
    os.kill(before[0], signal.SIGKILL)
    ended = ENDED.fullmatch(server.process.stderr.readline().decode())
    assert ended[2] == str(before[0])
    assert float(ended[3]) == 0.1
    # Those that the system gives to its socket meanwhile wait there.
    for _ in range(20):
        assert greeting(server.port) == 220
    assert set(workers(server, 2)) & set(before) == {before[1]}
    code, _, err = server.end(signal.SIGTERM)
    assert (code, err) == (0, "")


def test_the_delay_grows_while_it_keeps_on_crashing(serving):
    server = serving("--workers", "2")
    delays = Counter()
    _, other = workers(server, 2)
    for _ in range(3):
        (newest,) = set(workers(server, 2)) - {other}
        os.kill(newest, signal.SIGKILL)
        number, _, delay = ENDED.fullmatch(server.process.stderr.readline().decode()).groups()
        delays[number, delay] += 1
    assert max(float(delay) for _, delay in delays) >= 0.4
    assert server.end(signal.SIGTERM)[0] == 0


def test_their_parent_goes_on_though_nobody_reads_what_it_says(serving):
    server = serving("--workers", "2")
    before = workers(server, 2)
    descriptor = os.open(f"/proc/{server.process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    with open(descriptor, "wb", buffering=0) as pipe:
        while pipe.write(b"x" * 4096) is not None:
            pass
    os.kill(before[0], signal.SIGKILL)
    while os.path.exists(f"/proc/{before[0]}"):
        pass  # it is missed as soon as it is gone
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0


def test_a_transaction_under_way_is_finished(serving, tmp_path, messages):
    server = serving("--workers", "2", "--maildir", tmp_path, "--no-trace")
    with socket.create_connection(("127.0.0.1", server.port), 20) as sock, sock.makefile("rb") as replies:
        sock.sendall(b"EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n")
        while not replies.readline().startswith(b"354"):
            pass
        server.process.send_signal(signal.SIGTERM)
        while True:
            try:
                greeting(server.port)
            except ConnectionRefusedError:
                break
            except ConnectionResetError:
                pass  # it came in the moment in which the port was closed
        sock.sendall(b"Subject: half\r\n\r\n.\r\n")
        assert replies.readline().startswith(b"250 ")
        assert replies.readline().startswith(b"421 ")
    assert server.process.wait(20) == 0
    assert messages(tmp_path) == [b"Subject: half\n\n"]


def test_nobody_holds_it_up_for_longer_than_the_grace(serving):
    server = serving("--workers", "2", "--grace", "0.2")
    for pid in workers(server, 2):
        os.kill(pid, signal.SIGSTOP)  # they hear nothing any more
    began = time.monotonic()
    assert server.end(signal.SIGTERM)[0] == 0
    assert time.monotonic() - began < 10


def test_they_end_when_their_parent_does(serving):
    server = serving("--workers", "2")
    pids = workers(server, 2)
    send(server.port)
    server.process.kill()
    server.process.wait(20)
    until = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < until, "they go on without their parent"
        time.sleep(0.01)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_comes_from_one_address_is_counted_by_all_together(serving):
    server = serving("--workers", "2", "--rate", "connections=6")
    assert Counter(greeting(server.port) for _ in range(12)) == {220: 6, 421: 6}


def test_sighup_reaches_all(serving):
    server = serving("--workers", "2")
    server.process.send_signal(signal.SIGHUP)
    for _ in range(6):
        send(server.port)
    assert server.end(signal.SIGTERM)[::2] == (0, "")


def test_a_port_in_use_is_told_before_any_is_begun(smtpkit):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finished = smtpkit("serve", "--workers", "2", "--port", taken.getsockname()[1])
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "cannot listen on 127.0.0.1" in finished.stderr


# Parts, without processes


def test_no_signal_to_a_worker_that_begins_is_lost(monkeypatch):
    """Until it has its own ways with signals, those that it gets wake its parent, which passes them on again."""
    done = []

    class Ended(Exception):
        pass

    def ended(status):
        raise Ended

    monkeypatch.setattr("smtpkit.cli.workers.os._exit", ended)
    monkeypatch.setattr("smtpkit.cli.workers.signal.signal", lambda number, action: done.append(number))
    monkeypatch.setattr(Workers, "_forget_signals", lambda workers: done.append("parent's"))
    beginning = Workers.__new__(Workers)
    beginning._alive, beginning._serve = os.pipe(), lambda number, parent: 0
    with pytest.raises(Ended):
        beginning._become(0)
    os.close(beginning._alive[0])
    assert done == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, "parent's"]


def test_a_worker_that_lived_for_a_while_is_begun_anew_at_once(monkeypatch, capsys):
    watching = Workers.__new__(Workers)
    watching._begun, watching._crashes, watching._due = [0.0], [5], {}
    for now, delay in ((9.0, 3.2), (10.0, 0.1)):
        monkeypatch.setattr("smtpkit.cli.workers.monotonic", lambda now=now: now)
        watching._begin_anew(0, 4711, -9)
        assert watching._due == {0: pytest.approx(now + delay)}
    assert "worker 1 (process 4711) has ended by signal 9" in capsys.readouterr().err


def test_each_worker_writes_to_a_part_of_the_ledger_that_is_its_own(monkeypatch):
    class Inside:
        def __init__(self, count, serve, grace):
            self.serve = serve

        def run(self, ended):
            assert [self.serve(number, -1) for number in (0, 1)] == [0, 0]
            ended()

    async def served(server, grace, parent):
        ledgers.append(repr(server._settings.ledger))

    ledgers = []
    monkeypatch.setattr("smtpkit.cli.workers.Workers", Inside)
    monkeypatch.setattr("smtpkit.cli.serve._serve", served)
    monkeypatch.setattr("smtpkit.cli.logs.set_up", lambda arguments: None)
    assert main(["serve", "--port", "0", "--workers", "2", "--print"]) == 0
    assert [text.rpartition(", ")[2] for text in ledgers] == ["worker 0 of 2>", "worker 1 of 2>"]
