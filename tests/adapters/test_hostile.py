"""Hostile clients, a few of each kind: what they get, and that nobody else notices.  `tests/hostile` has many more."""

import asyncio
import re
import runpy
import subprocess
import sys
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from smtpkit import Limits

HOSTILE = Path(__file__).parent.parent / "hostile"
EHLO, MAIL, RCPT = b"EHLO c.example\r\n", b"MAIL FROM:<a@a.example>\r\n", b"RCPT TO:<b@b.example>\r\n"
BODY = b"Subject: hi\r\n\r\nhi\r\n"
STEPS = (EHLO, MAIL, RCPT, b"DATA\r\n", BODY, b".\r\n", EHLO, MAIL, RCPT, b"BDAT 4\r\nhi\r\n", b"BDAT 0 LAST\r\n")
LINE = re.compile(rb"[2-5][0-5][0-9][ -][\t\x20-\x7e]*")
SHORT = Limits(idle=0.5)  # seconds


async def everything(peer):
    """All that comes until the server closes; each line is one of a reply, whole or cut off by a reset."""
    octets = b""
    try:
        while piece := await peer.reader.read(65536):
            octets += piece
    except ConnectionError:
        octets = octets[: octets.rfind(b"\n") + 1]
    *lines, rest = octets.split(b"\r\n")
    assert not rest
    assert all(LINE.fullmatch(line) for line in lines), lines
    return lines


async def is_served(kit, server):
    async with kit.connect(server, cafile=kit.cafile) as client:
        return await client.send("a@a.example", "b@b.example", BODY)


def codes(lines):
    return [int(line[:3]) for line in lines if line[3:4] == b" "]


# Slow


async def heard(kit, server, octets):
    """The codes that a client hears who says this, and then nothing more."""
    async with kit.peer(server) as peer:
        await peer.write(octets)
        return codes(await everything(peer))


async def test_who_says_no_more_is_told_to_go(kit):
    said = [b"".join(STEPS[:count]) for count in range(6)]
    async with kit.serve(limits=SHORT) as server:
        for found in await asyncio.gather(*(heard(kit, server, octets) for octets in said)):
            assert found[-1] == 421
        assert await is_served(kit, server)


async def test_a_line_without_its_end_is_waited_for_only_so_long(kit):
    lines = (b"EHLO aaaa", b"MAIL FROM:<a@a.ex", b"\xff", b"\r")
    async with kit.serve(limits=SHORT) as server:
        assert await asyncio.gather(*(heard(kit, server, line) for line in lines)) == [[220, 421]] * 4


async def test_a_chunk_without_its_end_is_waited_for_only_so_long(kit):
    async with kit.serve(limits=SHORT) as server:
        assert (await heard(kit, server, EHLO + MAIL + RCPT + b"BDAT 100 LAST\r\nhi"))[-1] == 421


# Half-closed, reset


@pytest.mark.parametrize("step", range(len(STEPS)))
async def test_who_sends_no_more_after_a_step_hears_all_its_replies(kit, step):
    async with kit.serve() as server, kit.peer(server) as peer:
        await peer.write(b"".join(STEPS[: step + 1]))
        peer.writer.write_eof()
        heard = codes(await everything(peer))
        answered = [each for each in STEPS[: step + 1] if each is not BODY]
        assert len([code for code in heard if code != 421]) == 1 + len(answered)
        assert set(heard) <= {220, 250, 354, 421}


@pytest.mark.parametrize("step", range(len(STEPS)))
async def test_who_resets_after_a_step_leaves_nothing_behind(kit, log, step):
    async with kit.serve() as server:
        async with kit.peer(server) as peer:
            await peer.reply()
            await peer.write(b"".join(STEPS[: step + 1]))
            peer.reset()
        assert await is_served(kit, server)
    assert server.connections == 0
    assert not [record for record in log.records if record.exc_info]


# Floods and random octets


@pytest.mark.parametrize("command", [b"NOOP\r\n", b"RSET\r\n", MAIL, RCPT, b"VRFY a\r\n", EHLO, b"WHAT\r\n", b"\r\n"])
async def test_a_flood_ends_with_421(kit, command):
    async with kit.serve(limits=Limits(commands=500)) as server, kit.peer(server) as peer:
        await peer.write(EHLO + command * 600)
        assert codes(await everything(peer))[-1] == 421


@pytest.mark.parametrize("step", range(len(STEPS)))
@pytest.mark.parametrize("alphabet", ["any", "smtp"])
async def test_random_octets_at_a_step_get_replies_and_nothing_else(kit, log, step, alphabet):
    random = Random(f"{step} {alphabet}")
    words = [b"\r\n", b"\n", b".", b" ", b"\0", b"\xff", b"<", b">", b"DATA", b"BDAT 9", b"RSET", b"MAIL FROM:<"]
    async with kit.serve() as server:
        for _ in range(5):
            noise = random.randbytes(500) if alphabet == "any" else b"".join(random.choices(words, k=100))
            async with kit.peer(server) as peer:
                await peer.write(b"".join(STEPS[:step]) + noise)
                peer.writer.write_eof()
                await everything(peer)
        assert await is_served(kit, server)
    assert server.connections == 0
    assert not [record for record in log.records if record.exc_info]


async def test_connections_that_come_and_go_leave_nothing_behind(kit, log):
    async with kit.serve(limits=Limits(per_address=1000)) as server:
        for _ in range(100):
            async with kit.peer(server):
                pass
        assert await is_served(kit, server)
    assert server.connections == 0
    assert not [record for record in log.records if record.exc_info]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
async def test_half_a_handshake_costs_its_connection_alone(kit, log, share):
    hello = hostile.client_hello()
    async with kit.serve(tls=kit.tls("server")) as server:
        async with kit.peer(server) as peer:
            await peer.reply()
            await peer.say("EHLO c.example", "STARTTLS")
            await peer.write(hello[: int(len(hello) * share)])
            peer.writer.write_eof()
            assert await peer.ended()
        assert await is_served(kit, server)
    assert not [record for record in log.records if record.exc_info]


# The user's code


async def test_a_hook_that_raises_costs_a_451_each_time_and_says_nothing_of_itself(kit, log):
    class Raising:
        async def on_rcpt(self, command):
            raise LookupError("a secret of the application's")

    async with kit.serve(Raising, limits=Limits(commands=60)) as server, kit.peer(server) as peer:
        await peer.write(EHLO + MAIL + RCPT * 50 + b"QUIT\r\n")
        lines = await everything(peer)
    assert codes(lines) == [220, 250, 250, *[451] * 50, 221]
    assert b"secret" not in b"".join(lines)
    assert len([record for record in log.records if record.exc_info]) == 10


# All of it at once


@pytest.mark.parametrize("scenario", ["crowded", "idle"])
def test_a_good_client_is_served_among_them(kit, scenario):
    words = ["--quick", "--only", scenario, "--colour", kit.colour]
    program = [sys.executable, "-W", "error", str(HOSTILE / "run.py"), *words]
    done = subprocess.run(program, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _kinds():
    sys.path.insert(0, str(HOSTILE))
    try:
        return SimpleNamespace(**runpy.run_path(str(HOSTILE / "kinds.py")))
    finally:
        sys.path.remove(str(HOSTILE))


hostile = _kinds()
