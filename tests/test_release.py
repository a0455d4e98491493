"""`.ci/release` makes nothing of a commit whose version, tag and changelog do not agree."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def checkout(tmp_path):
    """A repository with what the script looks at first."""
    for name in (".ci/release", "smtpkit/__init__.py", "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    git(tmp_path, "init", "--quiet")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    commit(tmp_path)
    return tmp_path


def git(checkout, *arguments):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=checkout, check=True, capture_output=True, text=True)


def commit(checkout):
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "release")


def release(checkout, *options):
    ran = subprocess.run([".ci/release", *options], cwd=checkout, capture_output=True, text=True)
    assert ran.returncode == 1
    assert not (checkout / "dist").exists()
    return ran.stderr


def test_what_does_not_agree_is_told(checkout):
    assert "HEAD is not tagged v0." in release(checkout, "--skip-checks")
    version = release(checkout).split(" tagged v")[1].partition(",")[0]
    git(checkout, "tag", f"v{version}")
    assert f"no heading '## [{version}] - YYYY-MM-DD'" in release(checkout)
    (checkout / "CHANGELOG.md").write_text(f"# Changelog\n\n## [{version}] - 2026-01-01\n")
    assert "the checkout is not clean" in release(checkout)
    commit(checkout)
    assert "HEAD is not tagged" in release(checkout)
    assert "the only option" in release(checkout, "--force")
