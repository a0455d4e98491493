"""Every input of the corpus, among them all that once failed, holds against every target of the fuzz run."""

import pytest
from targets import TARGETS, corpus, folded, run_twice


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_has_no_findings(name):
    for octets in corpus(name):
        run_twice(TARGETS[name][1], octets)


def test_folding_leaves_text_as_it_is_and_makes_words_of_all_else():
    assert folded(b"MAIL FROM:<a@b.example>\t\r\n") == b"MAIL FROM:<a@b.example>\t\r\n"
    words = [folded(bytes([octet])) for octet in range(127, 256)]
    assert len(set(words)) > 100
    assert b"\r\n.\r\n" in words


def test_every_corpus_belongs_to_a_target():
    from pathlib import Path

    files = {path.stem for path in Path(__file__).with_name("corpus").iterdir()}
    assert files == {name for name, _ in TARGETS.values()}
