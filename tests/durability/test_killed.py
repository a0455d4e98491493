"""The quick part of the durability run: a few kills for each store; `.ci/durability` does the rest."""

import pytest
from killed import deliver_and_kill
from served import STORES
from traced import EXPECTED, _steps


@pytest.mark.parametrize("store", STORES)
def test_what_got_250_survives_sigkill_whole_and_once(store, tmp_path):
    report = deliver_and_kill(store, tmp_path, kills=2)
    assert not report.problems, report
    assert report.accepted


def test_the_trace_is_read_across_threads(tmp_path):
    mail = tmp_path / "mail"
    log = f"""\
7  write(9<{mail}/tmp/1.M2>, "Subject: traced\\n"..., 25) = 25
7  fsync(9<{mail}/tmp/1.M2> <unfinished ...>
8  sendto(6<socket:[1]>, "250 mx.example"..., 12, 0, NULL, 0) = 12
7  <... fsync resumed>) = 0
7  rename("{mail}/tmp/1.M2", "{mail}/new/1.M2") = 0
7  fsync(10<{mail}/new>) = 0
8  sendto(6<socket:[1]>, "250 2.0.0 Message accepted\\r\\n", 28, 0, NULL, 0) = 28
"""
    assert _steps("maildir", tmp_path, log)[0] == EXPECTED["maildir"]
