"""An mbox: what other programs read, whole messages only, and nobody's mail but its own is lost."""

import errno
import fcntl
import mailbox
import os
import re
import stat
import subprocess
import threading
import time
from contextlib import closing
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ReplyError
from smtpkit.stores import Mbox, locking
from smtpkit.stores import mbox as module
from smtpkit.stores.mbox import FromQuoter

CONTENT = b"Subject: x\r\n\r\nFrom here on\r\n>From there\r\n>>From all\r\nfrom x\r\n From y\r\n"


def quoted(*pieces):
    quoter = FromQuoter()
    return b"".join([*map(quoter.feed, pieces), quoter.finish()])


def test_the_octets_of_a_mailbox(tmp_path, deliver, envelope, session):
    store = Mbox(tmp_path / "mail", trace=False)
    for _ in range(2):
        assert deliver(store, envelope(), session(), CONTENT) is None
    one, other, rest = re.split(
        rb"(?m)^From a@b\.example (?=\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\n)", store.path.read_bytes()
    )
    assert one == b""
    body = b"Subject: x\n\n>From here on\n>>From there\n>>>From all\nfrom x\n From y\n\n"
    assert other.partition(b"\n")[2] == rest.partition(b"\n")[2] == body
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mail"]


def test_python_reads_what_was_stored(tmp_path, deliver, envelope, session):
    store = Mbox(tmp_path / "mail")
    bodies = [b"one\r\n", b"From two\r\n\r\nFrom x Mon Jan  1 00:00:00 2001\r\n", b"no newline", b"\r\n\r\n"]
    for body in bodies:
        deliver(store, envelope(), session(), b"Subject: s\r\n\r\n" + body)
    with closing(mailbox.mbox(store.path)) as box:
        messages = list(box)
        assert [message.get_from().split()[0] for message in messages] == ["a@b.example"] * 4
        assert {message["Return-Path"] for message in messages} == {"<a@b.example>"}
        read = [re.sub(r"(?m)^>(>*From )", r"\1", message.get_payload()) for message in messages]
    assert read == ["one\n", "From two\n\nFrom x Mon Jan  1 00:00:00 2001\n", "no newline\n", "\n\n"]


@pytest.mark.parametrize(
    ("sender", "named"),
    [(None, b"MAILER-DAEMON"), ('"a b"@c.example', b'"a_b"@c.example'), ("a@b.example", b"a@b.example")],
)
def test_the_from_line_names_the_sender_in_one_word(tmp_path, deliver, envelope, session, sender, named):
    store = Mbox(tmp_path / "mail", trace=False)
    deliver(store, envelope(sender=sender), session(), b"x\r\n")
    assert store.path.read_bytes().split(b" ")[:2] == [b"From", named]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"From x\n", b">From x\n"),
        (b">" * 9 + b"From x\nFrom", b">" * 10 + b"From x\nFrom\n"),
        (b"xFrom x\n>xFrom x\n", b"xFrom x\n>xFrom x\n"),
        (b"", b""),
        (b"x", b"x\n"),
        (b">>", b">>\n"),
        (b"F\nFr\nFrom\nFrom \n", b"F\nFr\nFrom\n>From \n"),
    ],
)
def test_from_lines_are_quoted_wherever_they_are_cut(sent, kept):
    assert quoted(*(bytes([octet]) for octet in sent)) == kept
    for cut in range(len(sent) + 1):
        assert quoted(sent[:cut], sent[cut:]) == kept


@settings(max_examples=150, derandomize=True, deadline=None)
@given(pieces=st.lists(st.sampled_from([b"From ", b">", b"\n", b"x", b"Fr", b"om ", b">>From"]), max_size=10))
def test_pieces_do_not_matter_and_quoting_can_be_undone(pieces):
    whole = b"".join(pieces)
    kept = quoted(*pieces)
    assert kept == quoted(whole)
    assert re.sub(rb"(?m)^>(>*From )", rb"\1", kept) == whole + (b"\n" if whole and not whole.endswith(b"\n") else b"")
    assert not re.search(rb"(?m)^From ", kept)


def test_a_line_of_arrows_is_not_held_in_memory():
    quoter = FromQuoter()
    given = b">" * 100_000
    assert quoter.feed(given) + quoter.feed(given) == given + given[1:]


def test_a_message_that_another_program_left_open_is_closed_first(tmp_path, deliver, envelope, session):
    for end, missing in ((b"", b""), (b"x", b"\n\n"), (b"x\n", b"\n"), (b"x\n\n", b""), (b"\n", b"\n")):
        path = tmp_path / "mail"
        path.write_bytes(end)
        deliver(Mbox(path, trace=False), envelope(), session(), b"y\r\n")
        assert path.read_bytes().startswith(end + missing + b"From a@b.example ")


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("step", ["fsync", "write", "half", "directory", "spool"])
def test_a_failure_leaves_the_mailbox_as_it_was(tmp_path, deliver, envelope, session, monkeypatch, step, number):
    store = Mbox(tmp_path / "mail", trace=False)
    if step != "directory":
        store.path.write_bytes(b"From x\n\nhello\n\n")
    before = store.path.read_bytes()
    write = os.write

    def fail(*arguments):
        if step == "half" and write(arguments[0], bytes(arguments[1])[:5]) and False:
            return
        raise OSError(number, os.strerror(number))

    if step == "directory":
        monkeypatch.setattr(module, "sync_directory", fail)
    elif step == "spool":
        monkeypatch.setattr(module.tempfile, "TemporaryFile", lambda **_: fail())
    else:
        monkeypatch.setattr(module.os, "write" if step == "half" else step, fail)
    with pytest.raises(OSError if number == errno.EIO else ReplyError) as failed:
        deliver(store, envelope(), session(), CONTENT)
    monkeypatch.undo()
    if number == errno.ENOSPC:
        assert (failed.value.reply.code, str(failed.value.reply.enhanced)) == (452, "4.3.1")
    assert store.path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["mail"]
    deliver(store, envelope(), session(), b"later\r\n")


def test_a_mailbox_that_others_have_locked_is_waited_for(tmp_path, deliver, envelope, session):
    store = Mbox(tmp_path / "mail", trace=False, lock_timeout=10)
    lock = tmp_path / "mail.lock"
    lock.touch()
    thread = threading.Thread(target=deliver, args=(store, envelope(), session(), b"x\r\n"))
    thread.start()
    assert store.path.read_bytes() == b""
    lock.unlink()
    thread.join(10)
    assert store.path.read_bytes().endswith(b"\n\nx\n\n") or store.path.read_bytes().endswith(b"\nx\n\n")


@pytest.mark.parametrize("how", ["dot", "fcntl", "thread"])
def test_a_mailbox_that_stays_locked_is_451(tmp_path, deliver, envelope, session, monkeypatch, how):
    store = Mbox(tmp_path / "mail", lock_timeout=0.01)
    if how == "dot":
        (tmp_path / "mail.lock").touch()
    elif how == "thread":
        store._threads.acquire()
    else:
        monkeypatch.setattr(fcntl, "lockf", _taken)
    with pytest.raises(ReplyError) as failed:
        deliver(store, envelope(), session(), b"x\r\n")
    assert (failed.value.reply.code, str(failed.value.reply.enhanced)) == (451, "4.2.0")
    assert store.path.read_bytes() == b""
    assert (tmp_path / "mail.lock").exists() == (how == "dot")


def _taken(number, kind):
    if kind != fcntl.LOCK_UN:
        raise BlockingIOError(errno.EAGAIN, "taken")


def test_the_lock_of_a_program_that_died_is_removed(tmp_path, deliver, envelope, session):
    store = Mbox(tmp_path / "mail", lock_timeout=5)
    lock = tmp_path / "mail.lock"
    lock.touch()
    long_ago = time.time() - locking._STALE - 10
    os.utime(lock, (long_ago, long_ago))
    deliver(store, envelope(), session(), b"x\r\n")
    assert not lock.exists()


def test_the_lock_of_a_process_that_was_killed_is_removed_at_once(tmp_path, deliver, envelope, session):
    store = Mbox(tmp_path / "mail", lock_timeout=0.2)
    lock = tmp_path / "mail.lock"
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    for kept, mark in (
        (True, locking._mark(os.getpid())),
        (True, f"{gone.pid} another-host\n"),
        (True, "no number"),
        (False, locking._mark(gone.pid)),
    ):
        lock.write_text(mark)
        if kept:
            with pytest.raises(ReplyError):
                deliver(store, envelope(), session(), b"x\r\n")
        else:
            deliver(store, envelope(), session(), b"x\r\n")
        assert lock.exists() == kept


def test_without_dot_lock_the_directory_need_not_be_written_to(tmp_path, deliver, envelope, session):
    store = Mbox(tmp_path / "mail", dot_lock=False)
    (tmp_path / "mail.lock").touch()
    deliver(store, envelope(), session(), b"x\r\n")
    assert store.path.read_bytes().endswith(b"\nx\n\n")


def test_where_the_directory_cannot_be_written_to_messages_are_kept_elsewhere_meanwhile(
    tmp_path, deliver, envelope, session, monkeypatch
):
    monkeypatch.setattr(module.os, "access", lambda path, mode: path != tmp_path)
    store = Mbox(tmp_path / "mail", dot_lock=False)
    spools = []
    monkeypatch.setattr(module.tempfile, "TemporaryFile", lambda **at: spools.append(at) or BytesIO())
    deliver(store, envelope(), session(), b"x\r\n")
    assert spools == [{"dir": None}]
    assert store.path.read_bytes().endswith(b"\nx\n\n")


def test_the_message_is_whole_when_it_is_synced(tmp_path, deliver, envelope, session, monkeypatch):
    store = Mbox(tmp_path / "new" / "mail")
    synced = []
    monkeypatch.setattr(module.os, "fsync", lambda number: synced.append(store.path.read_bytes()))
    for _ in range(2):
        deliver(store, envelope(), session(), b"x\r\n")
    assert synced[-1] == store.path.read_bytes()


def test_threads_take_turns(tmp_path, deliver, envelope, session):
    store = Mbox(tmp_path / "mail", trace=False)

    def run(letter):
        for _ in range(5):
            deliver(store, envelope(), session(), b"S: s\r\n\r\n", letter * 30_000, b"\r\n")

    threads = [threading.Thread(target=run, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(mailbox.mbox(store.path)) as box:
        bodies = [message.get_payload().rstrip("\n") for message in box]
    assert sorted(bodies) == sorted(letter * 30_000 for letter in "abc" for _ in range(5))


def test_what_is_no_mailbox(tmp_path, envelope, session):
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(OSError, match="pipe"):
            Mbox(tmp_path / "pipe")
    finally:
        os.close(reading)
    with pytest.raises(OSError, match="directory"):
        Mbox(tmp_path)
    with pytest.raises(ReplyError, match=r"554 5\.6\.1"):
        Mbox(tmp_path / "mail").begin(envelope(BODY="BINARYMIME"), session())


def test_an_aborted_delivery_leaves_nothing(tmp_path, envelope, session):
    store = Mbox(tmp_path / "mail")
    delivery = store.begin(envelope(), session())
    delivery.write(b"half")
    delivery.abort()
    delivery.abort()
    with pytest.raises(ValueError, match="aborted"):
        delivery.commit()
    assert store.path.read_bytes() == b""
    assert repr(store) == f"Mbox({str(tmp_path / 'mail')!r}, trace=True)"
