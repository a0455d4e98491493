"""What a client tells: numbers, log lines and an observer; nothing of it may cost a send, or show a secret."""

import asyncio
import gc
import logging
import re
import subprocess
import sys
import weakref

import pytest

from smtpkit import AuthPolicy, ConnectionLost, RecipientsRefused, Reply, Transcript
from smtpkit.sync import ClientStats, Observer

BODY = b"Subject: test\r\n\r\ntext\r\n"
SECRET = "wr3nch-and-h4mmer"
TO = ["b@b.example", "no@b.example", "late@b.example"]


class Choosy:
    async def on_rcpt(self, command):
        name = command.forward_path.local_part
        return {"no": Reply(550, "No", "5.1.1"), "late": Reply(450, "Later", "4.2.0")}.get(name)


class Noting(Observer):
    def __init__(self):
        self.told = []

    def connected(self, client, seconds):
        self.told.append(("connected", client.url, client.tls, seconds >= 0))

    def connect_failed(self, client, error, seconds):
        self.told.append(("connect_failed", client.url, type(error).__name__, repr(client)))

    def sent(self, client, result, seconds):
        self.told.append(("sent", len(result.accepted), seconds >= 0))

    def send_failed(self, client, error, seconds):
        self.told.append(("send_failed", type(error).__name__, seconds >= 0))

    def closed(self, client):
        self.told.append(("closed", client.stats.messages))


class TestStats:
    async def test_count_messages_verdicts_octets_and_round_trips(self, kit):
        async with kit.serve(Choosy) as server, kit.connect(server, local_hostname="client.example") as client:
            assert client.stats == ClientStats(
                octets_in=client.stats.octets_in, octets_out=len("EHLO client.example\r\n"), round_trips=1
            )
            await client.send("a@a.example", TO, BODY)
            assert (client.stats.messages, client.stats.round_trips) == (1, 2)  # CHUNKING: all in one flight
            with pytest.raises(RecipientsRefused):
                await client.send("a@a.example", "no@b.example", BODY)
            stats = client.stats
            assert (stats.messages, stats.accepted, stats.refused, stats.deferred, stats.unknown) == (2, 1, 2, 1, 0)
            assert stats.octets_in > 100
            assert stats.octets_out > 2 * len(BODY)
        assert client.stats.round_trips == 5  # RSET after the refusal, and QUIT
        assert repr(ClientStats(messages=1)).startswith("ClientStats(messages=1, accepted=0, ")

    async def test_know_recipients_whose_fate_is_unknown(self, kit):
        async def play(peer):
            await peer.write(b"220 mx.example\r\n")
            for code in (250, 250, 250, 354):
                await peer.line()
                await peer.write(b"%d go on\r\n" % code)
            while await peer.line() != ".":
                pass

        async with kit.script(play) as address:
            client = await kit.connected(address)
            with pytest.raises(ConnectionLost):
                await client.send("a@a.example", "b@b.example", BODY)
        assert client.stats.unknown == 1


class TestObserver:
    async def test_is_told_in_order(self, kit):
        observer = Noting()
        async with (
            kit.serve(Choosy, tls=kit.tls("server")) as server,
            kit.connect(server, tls="off", observer=observer) as client,
        ):
            await client.send("a@a.example", TO, BODY)
            with pytest.raises(RecipientsRefused):
                await client.send("a@a.example", "no@b.example", BODY)
        url = f"smtp://127.0.0.1:{server.address[1]}"
        assert observer.told == [
            ("connected", url, None, True),
            ("sent", 1, True),
            ("send_failed", "RecipientsRefused", True),
            ("closed", 2),
        ]

    async def test_is_told_of_a_connection_that_did_not_come_about(self, kit):
        async with kit.script(lambda peer: peer.write(b"554 No\r\n")) as address:
            observer = Noting()
            with pytest.raises(Exception, match="554 No"):
                await kit.connected(address, observer=observer)
            url = f"smtp://127.0.0.1:{address[1]}"
            assert observer.told == [("connect_failed", url, "ReplyError", f"<Client of {url}, closed>")]
        observer = Noting()
        with pytest.raises(ConnectionLost):
            await kit.connected(address, observer=observer)
        assert observer.told == [("connect_failed", url, "ConnectionLost", f"<Client of {url}, closed>")]

    async def test_learns_that_a_send_broke_the_connection(self, kit):
        async def play(peer):
            await peer.write(b"220 mx.example\r\n")
            await peer.line()
            await peer.write(b"250 mx.example\r\n")
            await peer.line()

        observer = Noting()
        async with kit.script(play) as address:
            client = await kit.connected(address, observer=observer)
            with pytest.raises(ConnectionLost):
                await client.send("a@a.example", "b@b.example", BODY)
            told = [what for what, *_ in observer.told]
            assert told == ["connected", "send_failed", "closed"]
            await client.close()
            assert len(observer.told) == 3

    async def test_learns_of_a_send_that_was_cancelled(self, asyncio_kit):
        async def play(peer):
            await peer.write(b"220 mx.example\r\n")
            await peer.line()
            await peer.write(b"250 mx.example\r\n")
            await asyncio.sleep(20)

        observer = Noting()
        async with asyncio_kit.script(play) as address:
            client = await asyncio_kit.connected(address, observer=observer)
            task = asyncio.create_task(client.send("a@a.example", "b@b.example", BODY))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert observer.told[1:] == [("send_failed", "CancelledError", True), ("closed", 1)]

    async def test_is_told_by_each_connection_of_a_pool(self, kit):
        observer = Noting()
        async with kit.serve() as server, kit.pool(server, observer=observer, max_messages=2) as pool:
            for _ in range(3):
                await pool.send("a@a.example", "b@b.example", BODY)
        told = [each if each[0] == "closed" else each[0] for each in observer.told]
        assert told == ["connected", "sent", "sent", ("closed", 2), "connected", "sent", ("closed", 1)]

    async def test_that_fails_changes_nothing_and_is_logged(self, kit, log):
        class Broken(Observer):
            def connected(self, client, seconds):
                raise LookupError("no metrics")

            sent = closed = connected

        async with kit.serve() as server, kit.connect(server, observer=Broken()) as client:
            assert (await client.send("a@a.example", "b@b.example", BODY)).accepted
        complaints = [record for record in log.records if record.exc_info]
        assert len(complaints) == 3
        assert {record.name for record in complaints} == {"smtpkit.client"}

    async def test_may_override_as_little_as_it_likes(self, kit):
        async with kit.serve() as server, kit.connect(server, observer=Observer()) as client:
            await client.send("a@a.example", "b@b.example", BODY)
            with pytest.raises(ValueError, match="no address"):
                await client.send("a@a.example", "no address", BODY)
        with pytest.raises(ConnectionLost):
            await kit.connected(server.address, observer=Observer())


class TestLog:
    def lines(self, log, level):
        return [
            record.getMessage().partition(" ")[2]
            for record in log.records
            if record.name == "smtpkit.client" and record.levelno == level
        ]

    async def test_has_the_session_at_debug_without_credentials(self, kit, log):
        ours = Transcript(content=True)
        async with (
            kit.serve(auth=AuthPolicy({"user": SECRET}, allow_in_clear=True, mechanisms=["PLAIN"])) as server,
            kit.connect(server, auth=("user", SECRET), transcript=ours, local_hostname="c.example") as client,
        ):
            await client.send("a@a.example", "b@b.example", BODY, chunking=False)
        lines = self.lines(log, logging.DEBUG)
        assert lines[:2] == ["< 220 mx.example ESMTP", "> EHLO c.example"]
        at = lines.index("> AUTH PLAIN <hidden>")
        assert lines[at + 2 : at + 4] == [
            f"connected to smtp://127.0.0.1:{server.address[1]}, in clear",
            "> MAIL FROM:<a@a.example> SIZE=23",
        ]
        assert f"> <{len(BODY)} octets of content>" in lines
        assert lines[-1].startswith("closed: ClientStats(messages=1, accepted=1, ")
        assert SECRET not in log.text
        # The caller's transcript has its own way with content.
        assert "C: text" in ours.lines
        assert "C: AUTH PLAIN <hidden>" in ours.lines
        assert ours.lines[-1] == "S: 221 2.0.0 mx.example closing"

    @pytest.mark.parametrize("recorded", [False, True])
    async def test_hides_what_answers_a_challenge_and_ends_with_what_was_cut_off(self, kit, log, recorded):
        transcript = Transcript() if recorded else None

        async def play(peer):
            await peer.write(b"220 mx.example\r\n")
            answers = [
                "250-mx.example\r\n250 AUTH LOGIN",
                "334 VXNlcm5hbWU6",
                "334 UGFzc3dvcmQ6",
                "235 Ok",
                "250 Ok",
                "250 Ok",
            ]
            for answer in [*answers, "354 Go on"]:
                await peer.line()
                await peer.write(f"{answer}\r\n".encode())
            while await peer.line() != ".":
                pass

        async with kit.script(play) as address:
            client = await kit.connected(address, auth=("user", SECRET), transcript=transcript)
            with pytest.raises(ConnectionLost):
                await client.send("a@a.example", "b@b.example", BODY)
        lines = self.lines(log, logging.DEBUG)
        assert lines.count("> <hidden>") == 2
        assert f"> <{len(BODY)} octets of content>" in lines
        assert "ZHczNuY2gt" not in log.text
        if transcript is not None:
            assert transcript.lines.count("C: <hidden>") == 2

    async def test_is_nothing_where_nobody_has_imported_logging(self, kit, monkeypatch):
        async with kit.serve(Choosy) as server:
            monkeypatch.delitem(sys.modules, "logging")
            async with kit.connect(server) as client:
                assert (await client.send("a@a.example", TO, BODY)).accepted
                with pytest.raises(RecipientsRefused):
                    await client.send("a@a.example", "no@b.example", BODY)
                assert client.stats.accepted == 1
            monkeypatch.undo()
        monkeypatch.delitem(sys.modules, "logging")
        with pytest.raises(ConnectionLost):
            await kit.connected(server.address)

    async def test_has_tls(self, kit, log):
        async with kit.serve(tls=kit.tls("server")) as server, kit.connect(server, cafile=kit.cafile, tls="required"):
            pass
        lines = self.lines(log, logging.DEBUG)
        assert "-- TLSv1.3" in lines
        assert f"connected to smtp://127.0.0.1:{server.address[1]}, TLSv1.3" in lines

    async def test_has_one_line_for_each_send_at_info(self, kit, log):
        async with kit.serve(Choosy) as server, kit.connect(server) as client:
            await client.send("a@a.example", TO, BODY)
            with pytest.raises(RecipientsRefused):
                await client.send("a@a.example", TO[1:], BODY)
        with pytest.raises(ConnectionLost):
            await kit.connected(server.address)
        sent, refused, lost = self.lines(log, logging.INFO)
        accepted = re.escape("1 accepted, 1 refused, 1 deferred (250 2.0.0 Message accepted)")
        assert re.fullmatch(rf"sent in \d+\.\d+ s: {accepted}", sent)
        assert refused.endswith(" s: RecipientsRefused: no@b.example: 550 5.1.1 No (1 refused, 1 deferred)")
        assert lost.startswith(f"no connection to {client.url}: ConnectionLost: ")

    async def test_is_silent_where_nobody_listens(self, kit, caplog):
        caplog.set_level(logging.WARNING, "smtpkit")
        async with kit.serve() as server, kit.connect(server) as client:
            await client.send("a@a.example", "b@b.example", BODY)
        assert not [record for record in caplog.records if record.name == "smtpkit.client"]

    def test_is_not_imported_for_a_client(self):
        program = (
            "import smtpkit.sync, sys\n"
            "with smtpkit.sync.Pool('memory:') as pool: pool.send('a@a.example', 'b@b.example', b'x')\n"
            "print('logging' in sys.modules)"
        )
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert ran.stdout == "False\n"


async def test_a_client_that_is_let_go_is_freed_at_once(asyncio_kit):
    gc.disable()
    try:
        client = await asyncio_kit.connected("memory:")
        gone = weakref.ref(client)
        await client.close()
        del client
        assert gone() is None
    finally:
        gc.enable()
