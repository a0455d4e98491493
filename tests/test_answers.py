"""docs/answers.md keeps its word: forty rows, and every test and every page that a row names exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "answers.md").read_text()
TABLE, THREADS = PAGE.split("## Where they were said")
ROW = re.compile(r"^\| (\d+) \| (.*?) \| (.*) \| (\[.*?\)) \| (.*?) \|$", re.MULTILINE)
ROWS = {int(match[1]): match.groups()[1:] for match in ROW.finditer(TABLE)}

# What a row says is missing, and the file that would be there if it were not.
MISSING = {27: "smtpkit/compat", 40: "smtpkit/diagnose"}


def names_in(path):
    """The names of a file's tests, those of a class behind its name."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            inner = (each for each in node.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)))
            names |= {f"{node.name}::{each.name}" for each in inner}
    return names


def test_there_are_forty_rows_each_with_its_threads():
    assert list(ROWS) == list(range(1, 41))
    threads = re.findall(r"^\| (\d+) \| (\S.*) \|$", THREADS, re.MULTILINE)
    assert [int(number) for number, _ in threads] == list(range(1, 41))
    assert all("#" in words or "GHSA-" in words for _, words in threads)


@pytest.mark.parametrize("number", ROWS)
def test_what_a_row_names_exists(number):
    _, _, page, tests = ROWS[number]
    assert (ROOT / "docs" / re.fullmatch(r"\[[\w-]+\]\(([\w-]+\.md)(#[\w-]+)?\)", page)[1]).exists()
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    for each in named:
        file, _, name = each.partition("::")
        assert name in names_in(ROOT / "tests" / file), f"there is no test {each}"


def test_what_is_missing_is_missing():
    """A part that has been built since is no longer to be called missing."""
    said = {number for number, (_, answer, _, _) in ROWS.items() if "**Not yet**" in answer}
    assert said >= set(MISSING)
    built = [path for path in MISSING.values() if (ROOT / path).exists() or (ROOT / f"{path}.py").exists()]
    assert not built, f"docs/answers.md says that these are not there: {built}"
