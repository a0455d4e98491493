"""Each store behind a server: what got 250 is in it, whole and once; what fails is 4xx, and the server lives."""

import asyncio
import errno
import json
import os
import re
import sys
import threading

import pytest

import smtpkit.asyncio
from smtpkit import Reply, ReplyError
from smtpkit.stores import EmlDirectory, Exec, Maildir, Mbox

BODY = b"Subject: test\r\n\r\ntext\r\n"


def maildir(path):
    return Maildir(path), lambda: [each.read_bytes() for each in sorted((path / "new").iterdir())]


def mbox(path):
    store = Mbox(path / "mail")
    return store, lambda: re.split(rb"(?m)^From .*\n", store.path.read_bytes())[1:]


def eml(path):
    def stored():
        facts = [json.loads(each.read_text()) for each in sorted(path.glob("*.json"))]
        assert len(list(path.iterdir())) == 2 * len(facts)
        return [(path / each["file"]).read_bytes() for each in facts]

    return EmlDirectory(path), stored


def program(path):
    script = path / "take.py"
    script.write_text(
        "import os, sys\n"
        f"name = os.path.join({str(path)!r}, os.environ['MESSAGE_ID'] + '.taken')\n"
        "open(name, 'wb').write(sys.stdin.buffer.read())\n"
    )
    return Exec([sys.executable, "-S", str(script)]), lambda: [each.read_bytes() for each in path.glob("*.taken")]


STORES = pytest.mark.parametrize("make", [maildir, mbox, eml, program])


@STORES
async def test_what_is_accepted_is_stored_and_what_is_not_is_not(kit, make, tmp_path):
    store, stored = make(tmp_path)
    async with kit.serve(store, max_message_size=100_000) as server:
        async with kit.connect(server) as client:
            for _ in range(3):
                await client.send("a@a.example", ["b@b.example", "c@c.example"], BODY)
            with pytest.raises(ReplyError, match=r"554 5\.4\.6"):
                await client.send("a@a.example", "b@b.example", b"Received: x\r\n" * 100 + BODY)
            assert len(stored()) == 3
        async with kit.peer(server) as peer:
            await peer.begin()
            await peer.write(b"Subject: half\r\n\r\n" + b"x" * 70_000)
        async with kit.peer(server) as peer:
            await peer.begin()
            await peer.write(b"Subject: bare\r\n\r\nlone\nnewline\r\n")
            assert (await peer.say(".")).code == 550
            assert (await peer.say("MAIL FROM:<>", "RCPT TO:<b@b.example>", "DATA")).code == 354
            assert (await peer.say("Subject: good\r\n.")).code == 250
    messages = stored()
    assert len(messages) == 4
    assert sum(b"Subject: test" in each for each in messages) == 3
    assert sum(b"Subject: good" in each for each in messages) == 1


@STORES
async def test_the_trace_fields_of_a_final_delivery(kit, make, tmp_path):
    """RFC 5321 section 4.4: one Return-Path, of this delivery; Received on top of those of other hops."""
    store, stored = make(tmp_path)
    sent = b"Return-Path: <old@a.example>\r\nReceived: from earlier\r\n" + BODY
    async with kit.serve(store) as server, kit.connect(server, local_hostname="c.example") as client:
        await client.send("a@a.example", "b@b.example", sent)
    (message,) = stored()
    if make is eml:
        assert message == sent  # as it came: envelope and session are in the JSON
        return
    head = message.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode()
    names = [line.partition(":")[0] for line in head.split("\n") if line[0] not in " \t"]
    assert names == ["Return-Path", "Delivered-To", "Received", "Received", "Subject"]
    top = "Return-Path: <a@a.example>\nDelivered-To: b@b.example\nReceived: from c.example ([127.0.0.1])\n"
    assert head.startswith(top)


@STORES
@pytest.mark.parametrize(("number", "reply"), [(errno.EIO, "451 4.3.0"), (errno.ENOSPC, "452 4.3.1")])
async def test_a_disk_that_fails_is_4xx_and_the_server_lives(kit, make, tmp_path, monkeypatch, number, reply, log):
    store, stored = make(tmp_path)

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    async with kit.serve(store) as server, kit.connect(server) as client:
        with monkeypatch.context() as patch:
            if make is program:
                patch.setattr("tempfile.TemporaryFile", fail)
            else:
                patch.setattr(os, "fsync", fail)
            for _ in range(2):
                with pytest.raises(ReplyError) as refused:
                    await client.send("a@a.example", "b@b.example", BODY)
                assert str(refused.value.reply).startswith(reply)
        assert stored() == []
        await client.send("a@a.example", "b@b.example", BODY)
    assert len(stored()) == 1


async def test_a_program_that_hangs_holds_up_nobody_else(kit, tmp_path, log):
    store = Exec(["sleep", "60"], timeout=1.0)
    async with kit.serve(store) as server, kit.connect(server) as waiting, kit.peer(server) as peer:
        await peer.reply()
        sending = asyncio.create_task(waiting.send("a@a.example", "b@b.example", BODY))
        for _ in range(5):
            assert (await peer.say("NOOP")).code == 250
        assert not sending.done()
        with pytest.raises(ReplyError, match=r"451 4\.3\.0"):
            await sending


async def test_a_store_of_ones_own_may_raise_anything(kit, log):
    class Odd:
        def begin(self, envelope, session):
            return self

        def write(self, octets):
            raise RuntimeError("secret")

        def abort(self):
            pass

    async with kit.serve(Odd()) as server, kit.connect(server) as client:
        for _ in range(2):
            with pytest.raises(ReplyError) as refused:
                await client.send("a@a.example", "b@b.example", BODY)
            assert refused.value.reply == Reply(451, "Internal error, try again later", "4.3.0")


async def test_a_delivery_that_is_cut_off_while_it_begins_leaves_nothing(tmp_path):
    begun, go_on = threading.Event(), threading.Event()
    store = Maildir(tmp_path)

    class Slow:
        def begin(self, envelope, session):
            begun.set()
            assert go_on.wait(20)
            return store.begin(envelope, session)

    async with smtpkit.asyncio.serve(Slow(), port=0) as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        await reader.readuntil(b"354 ")
        writer.write(BODY)
        assert await asyncio.to_thread(begun.wait, 20)
        closing = asyncio.create_task(server.close(0))
        assert b"250" not in await reader.read()
        go_on.set()
        await closing
        writer.close()
    assert server.connections == 0
    assert list((tmp_path / "tmp").iterdir()) == []
