"""What `smtpkit serve` tells systemd, on a datagram socket as systemd has one."""

import os
import signal
import socket
import time

import pytest

from smtpkit.cli import systemd

PATIENCE = 20


@pytest.fixture(params=["path", "abstract"])
def told(request, monkeypatch, tmp_path):
    """told() -> the next message, as a mapping."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@smtpkit-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0", 1) if request.param == "abstract" else name)
        sock.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield lambda: dict(line.split("=") for line in sock.recv(4096).decode().splitlines())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_service_is_ready_is_reloaded_and_stops(serving, told, workers):
    server = serving("--workers", workers)
    assert told() == {"READY": "1"}
    server.connect()[1].readline()
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    server.process.send_signal(signal.SIGHUP)
    reloading = told()
    assert before <= int(reloading.pop("MONOTONIC_USEC")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert reloading == {"RELOADING": "1"}
    assert told() == {"READY": "1"}
    server.process.send_signal(signal.SIGTERM)
    assert told() == {"STOPPING": "1"}
    assert server.process.wait(PATIENCE) == 0


def test_who_was_not_started_by_it_tells_nobody(monkeypatch, capsys):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.ready()
    assert capsys.readouterr().err == ""


def test_where_nobody_listens_it_is_said_and_that_is_all(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    systemd.stopping()
    assert capsys.readouterr().err == f"smtpkit: systemd was not told at {tmp_path}/none: No such file or directory\n"
