"""A directory of .eml and .json: octets as they came, and no file by itself that a reader may take for a message."""

import errno
import json
import os
import re

import pytest

from smtpkit.errors import ReplyError
from smtpkit.protocol.envelope import Envelope
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.stores import EmlDirectory
from smtpkit.stores import eml_directory as module
from smtpkit.wire.commands import parse_command


def pair(path):
    eml, facts = sorted(path.iterdir())
    assert eml.suffix == ".eml"
    assert facts == eml.with_suffix(".json")
    return eml, json.loads(facts.read_text())


def test_octets_are_those_that_came(tmp_path, deliver, envelope, session):
    content = b"Return-Path: <x@y.example>\r\nSubject: x\r\n\r\n\0\xff\rlone\n"
    assert deliver(EmlDirectory(tmp_path), envelope(), session(), content[:9], content[9:]) is None
    eml, facts = pair(tmp_path)
    assert eml.read_bytes() == content
    assert (facts["file"], facts["size"]) == (eml.name, len(content))
    assert re.fullmatch(r"\d+\.M\d+P\d+Q[0-9a-f-]+\.eml", eml.name)


def test_trace_fields_where_they_are_wanted(tmp_path, deliver, envelope, session):
    deliver(EmlDirectory(tmp_path, trace=True), envelope(), session(), b"Return-Path: <>\r\nSubject: x\r\n\r\n")
    eml, _ = pair(tmp_path)
    assert eml.read_bytes().startswith(b"Return-Path: <a@b.example>\r\nDelivered-To: c@d.example\r\nReceived: from ")
    assert eml.read_bytes().endswith(b"\r\nSubject: x\r\n\r\n")


def test_envelope_and_session_as_json(tmp_path, deliver, session):
    mail = parse_command(b"MAIL FROM:<a@b.example> SIZE=7 BODY=8BITMIME REQUIRETLS ENVID=a+2Bb")
    rcpt = parse_command(b"RCPT TO:<c@d.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@d.example")
    envelope = Envelope(
        mail.reverse_path,
        ["c@d.example", "e@d.example"],
        {**mail.parameters, "X": "1", "Y": None},
        [rcpt.parameters, {}],
    )
    facts = session(
        identity="user", protocol="ESMTPSA", peer=("2001:db8::1", 25, 0, 0), tls=TLSFacts("TLSv1.3", "TLS_AES", True)
    )
    deliver(EmlDirectory(tmp_path), envelope, facts, b"x\r\n")
    _, written = pair(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", written.pop("time"))
    assert re.fullmatch(r"[0-9a-f]+-[0-9a-f]{16}", written.pop("id"))
    assert written.pop("file")
    assert written == {
        "size": 3,
        "sender": "a@b.example",
        "parameters": {"SIZE": "7", "BODY": "8BITMIME", "REQUIRETLS": None, "ENVID": "a+2Bb", "X": "1", "Y": None},
        "recipients": [
            {"address": "c@d.example", "parameters": {"NOTIFY": "SUCCESS,DELAY", "ORCPT": "rfc822;x+2By@d.example"}},
            {"address": "e@d.example", "parameters": {}},
        ],
        "session": {
            "id": "5e5510",
            "peer": ["2001:db8::1", 25],
            "hello_name": "client.example",
            "hostname": "mx.example",
            "protocol": "ESMTPSA",
            "identity": "user",
            "tls": {"version": "TLSv1.3", "cipher": "TLS_AES", "verified": True},
        },
    }


def test_the_null_reverse_path_and_a_unix_socket(tmp_path, deliver, envelope, session):
    deliver(EmlDirectory(tmp_path), envelope(sender=None), session(peer=""), b"")
    _, facts = pair(tmp_path)
    assert (facts["sender"], facts["session"]["peer"], facts["session"]["tls"], facts["size"]) == ("", None, None, 0)


def test_content_is_there_before_envelope_and_both_last(tmp_path, deliver, envelope, session, monkeypatch):
    store = EmlDirectory(tmp_path)
    happened = []
    rename, fsync = os.rename, os.fsync

    def renamed(source, target):
        happened.append(("rename", target.suffix))
        assert source.name == f"{target.name}.tmp"
        rename(source, target)

    def synced(number):
        is_directory = os.path.samestat(os.fstat(number), os.stat(tmp_path))
        happened.append(("fsync", "directory" if is_directory else "file"))
        fsync(number)

    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(os, "fsync", synced)
    deliver(store, envelope(), session(), b"x\r\n")
    assert happened == [
        *[("fsync", "file")] * 2,
        ("rename", ".eml"),
        ("fsync", "directory"),
        ("rename", ".json"),
        ("fsync", "directory"),
    ]


def test_names_sort_by_time_and_are_never_used_twice(tmp_path, deliver, envelope, session):
    store = EmlDirectory(tmp_path)
    for number in range(30):
        deliver(store, envelope(), session(), b"%d" % number)
    assert len(list(tmp_path.iterdir())) == 60


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("step", ["fsync", "rename", "sync_directory", "second", "_made"])
def test_a_failure_leaves_nothing(tmp_path, deliver, envelope, session, monkeypatch, step, number):
    store = EmlDirectory(tmp_path)
    calls = []
    real = os.rename

    def fail(*arguments):
        calls.append(arguments)
        if step == "second" and len(calls) == 1:
            return real(*arguments)
        raise OSError(number, os.strerror(number))

    if step in ("fsync", "rename", "second"):
        monkeypatch.setattr(os, step if step != "second" else "rename", fail)
    else:
        monkeypatch.setattr(module, step, fail)
    with pytest.raises(OSError if number == errno.EIO else ReplyError):
        deliver(store, envelope(), session(), b"x\r\n")
    assert list(tmp_path.iterdir()) == []


def test_an_aborted_delivery_leaves_nothing_and_a_committed_one_stays(tmp_path, envelope, session):
    store = EmlDirectory(tmp_path)
    delivery = store.begin(envelope(), session())
    delivery.write(b"half")
    assert [each.suffix for each in tmp_path.iterdir()] == [".tmp"]
    delivery.abort()
    with pytest.raises(ValueError, match="aborted"):
        delivery.write(b"more")
    assert list(tmp_path.iterdir()) == []
    delivery = store.begin(envelope(), session())
    delivery.commit()
    delivery.abort()
    assert len(list(tmp_path.iterdir())) == 2
    assert repr(store) == f"EmlDirectory({str(tmp_path)!r}, trace=False)"
