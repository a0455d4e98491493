"""Every input of the corpus, among them all that once failed, holds against every target of the fuzz run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from engines import Findings
from targets import TARGETS, corpus, folded, run_twice

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_has_no_findings(name):
    for octets in corpus(name):
        run_twice(TARGETS[name][1], octets)


def test_every_corpus_belongs_to_a_target():
    files = {path.stem for path in HERE.joinpath("corpus").iterdir()}
    assert files == {name for name, _ in TARGETS.values()}


def test_folding_leaves_text_as_it_is_and_makes_words_of_all_else():
    assert folded(b"MAIL FROM:<a@b.example>\t\r\n") == b"MAIL FROM:<a@b.example>\t\r\n"
    words = [folded(bytes([octet])) for octet in range(127, 256)]
    assert len(set(words)) > 100
    assert b"\r\n.\r\n" in words


def test_of_each_kind_of_finding_the_smallest_input_is_kept(tmp_path):
    def check(octets):
        assert b"A" not in octets
        if b"B" in octets:
            raise ValueError(octets)

    findings = Findings(check, run_twice, tmp_path / "report")
    for octets in (b"xxAx", b"yyyB", b"B", b"harmless", b"xBAB"):
        findings.run(octets)
    report = json.loads((tmp_path / "report").read_text())
    assert sorted(octets for _, _, octets in report["findings"]) == ["b'A'", "b'B'"]
    assert not report["over"]


def test_the_run_prints_a_table_and_succeeds_where_nothing_is_found():
    command = [sys.executable, str(HERE / "run.py"), "--engine", "hypothesis", "--seconds", "0"]
    ended = subprocess.run([*command, "--target", "enhanced-status"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    name, engine, executions, _, findings = ended.stdout.splitlines()[1].split()
    assert (name, engine, findings) == ("enhanced-status", "hypothesis", "0")
    assert int(executions) > len(corpus("enhanced-status"))
