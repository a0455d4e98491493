"""What stores on a disk share."""

import os
import stat

from smtpkit.stores import disk


def test_a_directory_is_made_once_for_the_owner_alone(tmp_path):
    for _ in range(2):
        disk.make_directory(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_directory_is_synced(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(disk.os, "fsync", lambda number: synced.append(os.fstat(number).st_ino))
    disk.sync_directory(tmp_path)
    assert synced == [tmp_path.stat().st_ino]


def test_each_directory_that_is_made_is_synced_by_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(disk, "sync_directory", synced.append)
    for _ in range(2):
        disk.make_directory(tmp_path / "a" / "b")
    assert synced == [tmp_path / "a", tmp_path]


def test_windows_has_no_directory_sync(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "_SYNCS_DIRECTORIES", False)
    monkeypatch.setattr(disk.os, "open", None)
    disk.sync_directory(tmp_path)
