"""A message is on the disk, under its name, before the client reads 250."""

import os
import socket

import pytest

from smtpkit.stores import Maildir
from smtpkit.sync import serve


def inode_of(path):
    return path.stat().st_ino if path.exists() else None


@pytest.fixture
def steps(monkeypatch, tmp_path):
    """What happens to the disk, in order."""
    happened = []
    fsync, rename = os.fsync, os.rename

    def synced(number):
        facts = os.fstat(number)
        is_new = facts.st_ino == inode_of(tmp_path / "new")
        happened.append(("fsync", "new" if is_new else facts.st_size))
        fsync(number)

    def renamed(source, target):
        happened.append(("rename", source.parent.name, target.parent.name, source.name == target.name))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    return happened


def test_write_sync_rename_sync_of_the_directory_and_then_250(steps, tmp_path):
    content = b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n"
    store = Maildir(tmp_path, trace=False)
    with (
        serve(store, port=0) as server,
        socket.create_connection(server.address, 20) as sock,
        sock.makefile("rb") as lines,
    ):
        sock.sendall(b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        while not lines.readline().startswith(b"354"):
            pass
        steps.clear()
        sock.sendall(content + b".\r\n")
        steps.append(("reply", lines.readline()[:3]))
        (stored,) = (tmp_path / "new").iterdir()
        assert stored.read_bytes() == content.replace(b"\r\n", b"\n")
    size = len(content) - content.count(b"\r\n")
    assert steps == [("fsync", size), ("rename", "tmp", "new", True), ("fsync", "new"), ("reply", b"250")]


def test_what_cannot_be_synced_is_not_accepted(monkeypatch, tmp_path):
    store = Maildir(tmp_path)

    def fail(number):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with (
        serve(store, port=0) as server,
        socket.create_connection(server.address, 20) as sock,
        sock.makefile("rb") as lines,
    ):
        sock.sendall(b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        while not lines.readline().startswith(b"354"):
            pass
        sock.sendall(b"hi\r\n.\r\n")
        assert lines.readline().startswith(b"451 4.3.0 ")
    assert [path for name in ("tmp", "new") for path in (tmp_path / name).iterdir()] == []
