"""A Maildir: exact octets, names that are ours, and nothing left of what was not accepted."""

import errno
import os
import re
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ReplyError
from smtpkit.stores import Maildir, disk
from smtpkit.stores import maildir as module


def files(path, directory="new"):
    return sorted((path / directory).iterdir())


def deliver(store, envelope, session, *pieces):
    delivery = store.begin(envelope, session)
    for piece in pieces:
        delivery.write(piece)
    assert delivery.commit() is None


def test_its_directories_are_made_for_the_owner_alone(tmp_path):
    Maildir(tmp_path / "a" / "b")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["cur", "new", "tmp"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a" / "b").iterdir()} == {0o700}
    Maildir(str(tmp_path / "a" / "b"))


def test_its_directories_are_on_the_disk_also_where_they_were_there_before(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(disk.os, "fsync", lambda number: synced.append(os.fstat(number).st_ino))
    store = Maildir(tmp_path / "mail")
    assert {tmp_path.stat().st_ino, store.path.stat().st_ino} <= set(synced)
    synced.clear()
    Maildir(tmp_path / "mail")
    assert store.path.stat().st_ino in synced


def test_trace_fields_are_on_top_with_the_line_ends_of_the_rest(tmp_path, envelope, session):
    for crlf in (False, True):
        deliver(Maildir(tmp_path, crlf=crlf), envelope(), session(), b"Subject: x\r\n\r\nhi\r\n")
    lf, crlf = (path.read_bytes() for path in files(tmp_path))
    assert lf.startswith(b"Return-Path: <a@b.example>\nDelivered-To: c@d.example\nReceived: from client.example")
    assert lf.endswith(b"\nSubject: x\n\nhi\n")
    assert b"\r" not in lf
    assert crlf.count(b"\r\n") == crlf.count(b"\n") == lf.count(b"\n")


def test_the_id_of_received_is_in_the_name_of_the_file(tmp_path, envelope, session):
    deliver(Maildir(tmp_path), envelope(), session(), b"hi\r\n")
    (path,) = files(tmp_path)
    identifier = re.search(rb" id ([0-9a-f]+-[0-9a-f]{16})\n", path.read_bytes())[1].decode()
    assert re.fullmatch(rf"\d+\.M\d+P{os.getpid()}Q{identifier}\.\S+", path.name)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_names_are_unique_and_nothing_of_the_peer_is_in_them(tmp_path, envelope, session, monkeypatch):
    monkeypatch.setattr(module.socket, "gethostname", lambda: "a/b:c")
    store = Maildir(tmp_path)
    evil = session(hello_name="../../etc/passwd")
    for _ in range(50):
        deliver(store, envelope(['"../x"@d.example'], '"/tmp/y"@d.example'), evil, b"hi\r\n")
    names = [path.name for path in files(tmp_path)]
    assert len(set(names)) == 50
    assert all(re.fullmatch(r"[0-9]+\.M[0-9]+P[0-9]+Q[0-9a-f-]+\.a\\057b\\072c", name) for name in names)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"a\r\nb\r\n", b"a\nb\n"),
        (b"", b""),
        (b"\r", b"\r"),
        (b"a\rb\nc\r\n", b"a\rb\nc\n"),
        (b"\r\r\n\r\r", b"\r\n\r\r"),
    ],
)
def test_crlf_becomes_lf_and_nothing_else_changes_whatever_the_pieces(tmp_path, envelope, session, sent, kept):
    store = Maildir(tmp_path, trace=False)
    for cut in range(len(sent) + 1):
        deliver(store, envelope(), session(), sent[:cut], sent[cut:])
    assert {path.read_bytes() for path in files(tmp_path)} == {kept}


@settings(max_examples=50, derandomize=True, deadline=None)
@given(pieces=st.lists(st.text("\r\nx", max_size=4)))
def test_pieces_do_not_matter(tmp_path_factory, pieces):
    from types import SimpleNamespace

    from smtpkit.protocol.envelope import Envelope

    path = tmp_path_factory.mktemp("mail")
    octets = [piece.encode() for piece in pieces]
    deliver(Maildir(path, trace=False), Envelope(None, ["c@d.example"]), SimpleNamespace(), *octets)
    assert files(path)[0].read_bytes() == b"".join(octets).replace(b"\r\n", b"\n")


def test_there_is_one_return_path_and_it_is_ours(tmp_path, envelope, session):
    sent = b"Return-Path: <evil@d.example>\r\n folded\r\nreturn-path : <>\r\nSubject: x\r\n\r\nReturn-Path: <stays>\r\n"
    store = Maildir(tmp_path)
    for cut in range(len(sent)):
        deliver(store, envelope(), session(), sent[:cut], sent[cut:])
    for path in files(tmp_path):
        head, _, body = path.read_bytes().partition(b"\n\n")
        assert head.lower().count(b"return-path") == 1
        assert head.endswith(b"\nSubject: x")
        assert body == b"Return-Path: <stays>\n"
    deliver(Maildir(tmp_path / "untouched", trace=False), envelope(), session(), sent)
    assert files(tmp_path / "untouched")[0].read_bytes() == sent.replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    "sent", [b"no header at all", b"x" * 10_000 + b"\r\nReturn-Path: <kept>\r\n\r\n", b"\r\n\r\n", b""]
)
def test_what_is_no_header_is_kept(tmp_path, envelope, session, sent):
    deliver(Maildir(tmp_path, crlf=True), envelope(), session(), *(bytes([octet]) for octet in sent))
    assert files(tmp_path)[0].read_bytes().endswith(b"\r\n" + sent)


def test_binary_content_is_kept_as_it_came(tmp_path, envelope, session):
    deliver(Maildir(tmp_path), envelope(BODY="BINARYMIME"), session(), b"\0\r\n\n\r\xff\r\n")
    stored = files(tmp_path)[0].read_bytes()
    assert stored.startswith(b"Return-Path: <a@b.example>\r\n")
    assert stored.endswith(b"\r\n\0\r\n\n\r\xff\r\n")


def test_until_commit_there_is_nothing_in_new_and_after_abort_nothing_at_all(tmp_path, envelope, session):
    delivery = Maildir(tmp_path).begin(envelope(), session())
    delivery.write(b"half\r\n")
    assert len(files(tmp_path, "tmp")) == 1
    delivery.abort()
    delivery.abort()
    assert files(tmp_path, "tmp") == files(tmp_path) == []
    with pytest.raises(ValueError, match="aborted"):
        delivery.write(b"more")


def test_abort_after_commit_keeps_the_message(tmp_path, envelope, session):
    store = Maildir(tmp_path)
    delivery = store.begin(envelope(), session())
    delivery.commit()
    delivery.abort()
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["open", "write", "close", "fsync", "rename", "directory"])
def test_a_failure_leaves_nothing_and_a_full_disk_says_so(tmp_path, envelope, session, monkeypatch, step, number):
    store = Maildir(tmp_path)

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    if step == "open":
        monkeypatch.setattr(module, "open_private", fail)
    elif step == "directory":
        monkeypatch.setattr(module, "sync_directory", fail)
    elif step in ("fsync", "rename"):
        monkeypatch.setattr(module.os, step, fail)

    def attempt():
        delivery = store.begin(envelope(), session())
        if step in ("write", "close"):
            delivery._file = Failing(delivery._file, step, fail)
        delivery.write(b"x\r\n")
        delivery.commit()

    with pytest.raises(OSError if number == errno.EIO else ReplyError) as failed:
        attempt()
    if number != errno.EIO:
        assert (failed.value.reply.code, str(failed.value.reply.enhanced)) == (452, "4.3.1")
    assert files(tmp_path, "tmp") == files(tmp_path) == []


class Failing:
    """A file one method of which fails."""

    def __init__(self, file, step, fail):
        self._file = file
        self._fail = {step: fail}

    def __getattr__(self, name):
        return self._fail.pop(name, None) or getattr(self._file, name)


def test_a_directory_that_cannot_be_made_or_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        Maildir(tmp_path / "file" / "mail")
    monkeypatch.setattr(disk.os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="tmp"):
        Maildir(tmp_path)


def test_repr_tells_the_settings(tmp_path):
    assert repr(Maildir(tmp_path, crlf=True)) == f"Maildir({str(tmp_path)!r}, crlf=True, trace=True)"
