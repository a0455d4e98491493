"""Sending again by policy, over real sockets: what was deferred or lost on the way, and nothing else."""

import asyncio
import sys
import time
from email.message import EmailMessage

import pytest

from smtpkit import ConnectionLost, LocalProtocolError, MessageRefused, Reply, Retry, Timeout, Verdict

BODY = b"Subject: test\r\n\r\nline\r\n"
SEND = ("a@a.example", "b@b.example", BODY)
AT_ONCE = Retry(3, 0)


async def content_of(peer):
    """Read a message's content; False if the client went in the middle."""
    while (line := await peer.reader.readline()) != b".\r\n":
        if not line:
            return False
    return True


class Flaky:
    """A server whose first connections break at a step; those after them are good.

    Args:
        at: the line at which each of them breaks; "" before the greeting.
    """

    def __init__(self, *at):
        self.at = list(at)
        self.recipients = []  # of each message that was taken
        self.connections = 0

    async def __call__(self, peer):
        self.connections += 1
        at = self.at.pop(0) if self.at else None
        if at == "":
            return
        await peer.write(b"220 mx.example\r\n")
        recipients = []
        while line := await peer.line():
            if at is not None and line.startswith(at):
                return
            if line.startswith("RCPT"):
                recipients.append(line.partition("<")[2].partition("@")[0])
            if line == "DATA":
                await peer.write(b"354 go\r\n")
                if not await content_of(peer):
                    return
                if at == ".":
                    return
                self.recipients.append(recipients)
                recipients = []
            await peer.write(b"250 ok\r\n")


def email():
    message = EmailMessage()
    message["From"], message["To"] = "a@a.example", "b@b.example"
    message.set_content("text\n")
    return message


async def test_only_those_who_were_deferred_are_asked_for_again(kit):
    inbox, deferred = [], {"c", "d"}

    class Session:
        async def on_rcpt(self, command):
            local_part = command.forward_path.local_part
            if local_part in deferred:
                deferred.discard(local_part)
                return Reply(450, "greylisted", "4.7.1")
            return Reply(550, "no such user", "5.1.1") if local_part == "no" else None

        async def on_message(self, message):
            inbox.append([each.partition("@")[0] for each in message.recipients])

    async with kit.serve(Session) as server, kit.pool(server) as pool:
        recipients = [f"{each}@b.example" for each in ("b", "c", "no", "d")]
        result = await pool.send("a@a.example", recipients, BODY, retry=AT_ONCE)
        assert list(result.recipients) == recipients
        assert [each.partition("@")[0] for each in result.accepted] == ["b", "c", "d"]
        assert list(result.refused) == ["no@b.example"]
        assert (pool.stats.retried, pool.stats.opened) == (1, 1)
    assert inbox == [["b"], ["c", "d"]]


@pytest.mark.parametrize("at", ["", "EHLO", "MAIL", "RCPT", "DATA"])
async def test_what_was_lost_on_the_way_is_sent_again_over_a_new_connection(kit, at):
    play = Flaky(at, at)
    async with kit.script(play) as address, kit.pool(address) as pool:
        result = await pool.send_message(email(), retry=AT_ONCE)
        assert list(result.accepted) == ["b@b.example"]
        assert (play.connections, play.recipients, pool.stats.retried) == (3, [["b"]], 2)


async def test_what_may_have_been_accepted_is_never_sent_again(kit):
    play = Flaky(".")
    async with kit.script(play) as address, kit.pool(address) as pool:
        with pytest.raises(ConnectionLost) as caught:
            await pool.send(*SEND, retry=AT_ONCE)
        assert caught.value.recipients["b@b.example"].verdict is Verdict.UNKNOWN
        assert not caught.value.may_retry
        assert play.connections == 1


async def test_attempts_end_and_the_last_error_is_raised(kit):
    async def busy(message):
        return Reply(451, "not now", "4.3.0")

    async with kit.serve(busy) as server, kit.pool(server) as pool:
        with pytest.raises(MessageRefused) as caught:
            await pool.send(*SEND, retry=AT_ONCE)
        assert caught.value.may_retry
        assert pool.stats.messages == 3


async def test_a_refusal_for_good_is_not_sent_again(kit):
    async def no(message):
        return Reply(554, "spam", "5.7.1")

    async with kit.serve(no) as server, kit.pool(server) as pool:
        with pytest.raises(MessageRefused):
            await pool.send(*SEND, retry=AT_ONCE)
        assert pool.stats.messages == 1


async def test_waits_between_attempts_grow(kit, monkeypatch):
    waits = []

    def note(event, seconds):
        waits.append(seconds)

    async def note_async(event, seconds):
        waits.append(seconds)

    monkeypatch.setattr(sys.modules["smtpkit.sync.pool"], "wait", note)
    monkeypatch.setattr(sys.modules["smtpkit.asyncio.pool"], "wait", note_async)
    async with kit.script(Flaky("", "", "")) as address, kit.pool(address) as pool:
        await pool.send(*SEND, retry=Retry(4, 10.0, factor=3.0, jitter=0.5, random=lambda: 1.0))
    assert waits == [5.0, 15.0, 30.0]


async def test_a_deadline_bounds_all_attempts_and_the_waits_between_them(kit):
    async with kit.script(Flaky("", "")) as address, kit.pool(address) as pool:
        began = time.monotonic()
        with pytest.raises(ConnectionLost):
            await pool.send(*SEND, retry=Retry(3, 60.0), deadline=15.0)
        assert time.monotonic() - began < 15.0

    async def silent(peer):
        await peer.ended()

    async with kit.script(silent) as address, kit.pool(address) as pool:
        with pytest.raises(Timeout):
            await pool.send(*SEND, retry=Retry(100, 0), deadline=0.05)
        assert pool.stats.in_use == 0


async def test_a_body_that_was_read_is_not_sent_again_and_the_error_says_why(kit):
    async def busy(message):
        return Reply(451, "not now", "4.3.0")

    async with kit.serve(busy) as server, kit.pool(server) as pool:
        with pytest.raises(MessageRefused) as caught:
            await pool.send("a@a.example", "b@b.example", iter([BODY]), retry=AT_ONCE)
        assert "gives its content only once" in caught.value.__notes__[0]
        assert pool.stats.messages == 1


async def test_a_body_that_can_be_given_again_is(kit, tmp_path):
    (tmp_path / "body").write_bytes(BODY)
    answers, inbox = [Reply(451, "not now", "4.3.0")] * 2, []

    async def later(message):
        inbox.append(message.content)
        return answers.pop() if answers else None

    with open(tmp_path / "body", "rb") as file:
        for body in (file, lambda: iter([BODY]), [BODY]):
            answers[:] = [Reply(451, "not now", "4.3.0")] * 2
            async with kit.serve(later) as server, kit.pool(server) as pool:
                assert (await pool.send("a@a.example", "b@b.example", body, retry=AT_ONCE)).accepted
    assert inbox == [BODY] * 9


async def lost_once(play, pool):
    """Until a first attempt has failed, and there is only the wait for the second."""
    while not play.connections or pool.stats.in_use:
        await asyncio.sleep(0.001)


async def test_closing_the_pool_ends_a_wait_between_attempts(kit):
    play = Flaky("")
    async with kit.script(play) as address, kit.pool(address) as pool:
        sending = asyncio.ensure_future(pool.send(*SEND, retry=Retry(2, 60.0)))
        await lost_once(play, pool)
        await pool.close()
        with pytest.raises((ConnectionLost, LocalProtocolError)):
            await asyncio.wait_for(sending, 10)


async def test_a_wait_between_attempts_can_be_cancelled(asyncio_kit):
    play = Flaky("")
    async with asyncio_kit.script(play) as address, asyncio_kit.pool(address) as pool:
        sending = asyncio.ensure_future(pool.send(*SEND, retry=Retry(2, 60.0)))
        await lost_once(play, pool)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert pool.stats.in_use == pool.stats.waiting == 0
        await pool.send(*SEND)


async def test_one_message_over_a_connection_of_its_own_can_be_sent_again_too(kit):
    play = Flaky("", "MAIL")
    async with kit.script(play) as address:
        where = "smtp://{}:{}".format(*address)
        if kit.colour == "asyncio":
            result = await kit.client_module.send_message(email(), where, retry=AT_ONCE)
        else:
            result = await asyncio.to_thread(kit.client_module.send_message, email(), where, retry=AT_ONCE)
        assert list(result.accepted) == ["b@b.example"]
    assert play.connections == 3


async def test_many_messages_can_each_be_sent_again(kit):
    play = Flaky("MAIL", "", "DATA")
    async with kit.script(play) as address, kit.pool(address, size=2) as pool:
        found = [each async for each in kit.many(pool, [SEND] * 6, retry=Retry(6, 0))]
        assert all(result.accepted for _, result in found)
    assert play.recipients == [["b"]] * 6
