"""The plugin, as pytest loads it: by its name, with the marker, and beside another process."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = """
import smtplib
import pytest

pytestmark = pytest.mark.smtp_server(tls="starttls", max_message_size=1000)


def test_a_message(smtp_server):
    with smtplib.SMTP(smtp_server.host, smtp_server.port, timeout=60) as client:
        assert client.ehlo()[0] == 250
        assert client.esmtp_features["size"] == "1000"
        client.sendmail("ada@example.org", ["bob@example.net"], "Hi")
    assert len(smtp_server.inbox) == 1


def test_the_next_begins_with_an_empty_inbox(smtp_server):
    assert not smtp_server.inbox
    assert smtp_server.url.startswith("smtp://127.0.0.1:")


@pytest.mark.smtp_server(tls="implicit", login=("ada", "secret"))
def test_the_nearest_marker_wins(smtp_server):
    assert smtp_server.url.startswith("smtps://ada:secret@127.0.0.1:")


@pytest.mark.smtp_server("implicit")
def test_options_have_names(smtp_server):
    pass
"""
LOADED = """
import sys
import pytest
import smtpkit.testing.plugin
print(*{"asyncio", "ssl", "smtpkit.tls", "smtpkit.sync", "smtpkit.testing.server"} & set(sys.modules))
"""


def start(directory, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_processes_at_once_have_the_fixture_and_the_marker(tmp_path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["smtpkit.testing.plugin"]')
    (tmp_path / "test_mail.py").write_text(TESTS)
    pytest_command = ["-m", "pytest", "-W", "error", "--strict-markers", "-p", "no:cacheprovider", "-q"]
    processes = [start(tmp_path, *pytest_command) for _ in range(2)]
    for process in processes:
        printed, _ = process.communicate(timeout=60)
        assert "3 passed, 1 error" in printed, printed
        assert "the marker smtp_server takes options by name, not ('implicit',)" in printed
    process = start(tmp_path, "-m", "pytest", "-p", "smtpkit.testing.plugin", "--markers")
    assert "@pytest.mark.smtp_server(tls=" in process.communicate(timeout=60)[0]


def test_loading_it_loads_no_sockets(tmp_path):
    printed, _ = start(tmp_path, "-c", LOADED).communicate(timeout=60)
    assert printed == "\n"


def test_its_name_is_that_of_the_module_so_that_asking_for_it_twice_is_asking_once():
    text = (ROOT / "pyproject.toml").read_text()
    assert '[project.entry-points.pytest11]\n"smtpkit.testing.plugin" = "smtpkit.testing.plugin"\n' in text
