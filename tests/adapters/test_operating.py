"""What operators set and watch: trusted peers, the ledger, observers, certificates that change, and the total time."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

import smtpkit.sync
from smtpkit import AuthenticationError, Limits, Noop, Reply, SMTPError
from smtpkit.protocol import Ledger
from smtpkit.stores import Maildir
from smtpkit.tls import client_context, server_context

CERTIFICATES = Path(__file__).parents[1] / "certificates"
BODY = b"Subject: test\r\n\r\ntext\r\n"
HEADER = "PROXY TCP4 {} 198.51.100.2 40000 25\r\n"
MESSAGE = ("MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>", "DATA", "hi\r\n.")


async def eventually(condition):
    """Wait for what another thread or task is about to bring about."""
    while not condition():
        await asyncio.sleep(0.001)


def counted(server):
    return {name: number for name, number in server.counters.items() if number}


class Told(smtpkit.sync.ServerObserver):
    """An observer that keeps what it is told."""

    def __init__(self):
        self.names, self.facts = [], []

    def __getattribute__(self, name):
        if name in vars(smtpkit.sync.ServerObserver):
            return lambda session, *facts: (self.names.append(name), self.facts.append(facts))
        return super().__getattribute__(name)


# Trusted peers


class Facts:
    async def on_message(self, message):
        session = message.session
        return Reply(250, f"{session.peer} {session.hello_name} {session.identity} {dict(session.forwarded)}")


async def test_a_trusted_peer_speaks_for_its_clients(kit):
    async with kit.serve(Facts, trusted=["127.0.0.0/8"]) as server, kit.peer(server) as peer:
        await peer.reply()
        offered = (await peer.say("EHLO proxy.example")).lines
        assert "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT" in offered
        said = await peer.say("XCLIENT ADDR=192.0.2.7 PORT=4000 HELO=c.example LOGIN=joe")
        assert said.code == 220
        said = await peer.say("EHLO proxy.example", "XFORWARD IDENT=q1", *MESSAGE)
        assert said.text == "('192.0.2.7', 4000) c.example joe {'IDENT': 'q1'}"
        assert (await peer.say(*MESSAGE)).text.endswith(" {}")


@pytest.mark.parametrize("trusted", [None, [], ["10.0.0.0/8", "2001:db8::/32", "unix"]])
async def test_nobody_else_does(kit, trusted):
    async with kit.serve(Facts, trusted=trusted) as server, kit.peer(server) as peer:
        await peer.reply()
        assert not {"XCLIENT", "XFORWARD"} & {line.split()[0] for line in (await peer.say("EHLO x.example")).lines}
        for command in ("XCLIENT ADDR=192.0.2.7", "XFORWARD NAME=x"):
            assert (await peer.say(command)).code == 502


async def test_a_relay_that_is_trusted_tells_whose_mail_it_brings(kit):
    seen = []

    class Noting:
        async def on_message(self, message):
            seen.append((message.session.peer[0], message.session.hello_name, message.session.told["HELO"]))

    async with kit.serve(Noting, trusted=["127.0.0.1"]) as behind:
        relay = kit.module.Relay(*behind.address, forward_client=True)
        async with kit.serve(relay) as front, kit.connect(front, local_hostname="client.example") as client:
            assert (await client.send("a@a.example", "b@b.example", BODY)).accepted
    assert seen == [("127.0.0.1", "client.example", "client.example")]


async def test_a_unix_socket_may_be_trusted(kit, tmp_path):
    async with kit.serve(unix=str(tmp_path / "s"), trusted=["unix"]), kit.peer(str(tmp_path / "s")) as peer:
        await peer.reply()
        assert (await peer.say("XCLIENT ADDR=192.0.2.7")).code == 220


async def test_the_session_may_refuse_what_a_trusted_peer_says(kit):
    class Strict:
        async def on_command(self, command):
            return Reply(550, "not now") if command.verb == "XCLIENT" else None

    async with kit.serve(Strict, trusted=["127.0.0.1"]) as server, kit.peer(server) as peer:
        await peer.reply()
        assert (await peer.say("XCLIENT ADDR=192.0.2.7")).code == 550
        assert (await peer.say("EHLO x.example", "XFORWARD NAME=x")).code == 250


async def test_what_is_no_address_is_a_value_error(kit):
    for wrong in (["localhost"], "127.0.0.1"):
        with pytest.raises(ValueError, match=r"trusted|localhost"):
            kit.server(trusted=wrong)


async def test_a_proxy_header_is_taken_of_trusted_peers_alone(kit):
    async with kit.serve(proxy_protocol=True, trusted=["10.0.0.1"]) as server:
        async with kit.peer(server) as peer:
            await peer.write(HEADER.format("192.0.2.7").encode())
            assert await peer.reply() is None
        await eventually(lambda: server.connections == 0)
        assert counted(server) == {"connections": 1, "refused": 1}
    async with kit.serve(Facts, proxy_protocol=True, trusted=["127.0.0.1"]) as server, kit.peer(server) as peer:
        await peer.write(HEADER.format("192.0.2.7").encode())
        await peer.reply()
        said = await peer.say("EHLO c.example")
        assert "XCLIENT" not in str(said)  # the proxy is trusted, its clients are not
        assert (await peer.say(*MESSAGE)).text.startswith("('192.0.2.7', 40000)")


async def test_one_listener_may_stand_behind_a_proxy_and_another_not(kit):
    listeners = [kit.module.Listener(port=0), kit.module.Listener(port=0, proxy_protocol=True)]
    async with kit.serve(Facts, listeners=listeners) as server:
        direct, proxied = server.addresses
        async with kit.connect(direct) as client:
            assert (await client.command(Noop())).code == 250
        async with kit.peer(proxied) as peer:
            await peer.write(HEADER.format("192.0.2.7").encode())
            assert (await peer.reply()).code == 220


async def test_behind_a_proxy_the_limit_of_an_address_is_that_of_the_client(kit):
    async with kit.serve(proxy_protocol=True, limits=Limits(per_address=1)) as server:
        async with kit.peer(server) as one, kit.peer(server) as other, kit.peer(server) as again:
            for peer, address, code in ((one, "192.0.2.7", 220), (other, "192.0.2.8", 220), (again, "192.0.2.7", 421)):
                await peer.write(HEADER.format(address).encode())
                assert (await peer.reply()).code == code
        await eventually(lambda: server.connections == 0)
        async with kit.peer(server) as peer:
            await peer.write(HEADER.format("192.0.2.7").encode())
            assert (await peer.reply()).code == 220
    assert counted(server) == {"connections": 4, "refused": 1, "over_per_address": 1}


# The ledger


async def test_an_address_that_comes_too_often_is_turned_away(kit):
    async with kit.serve(ledger=Ledger(connections=2)) as server:
        for code in (220, 220, 421):
            async with kit.peer(server) as peer:
                assert (await peer.reply()).code == code
        assert counted(server) == {"connections": 3, "refused": 1, "over_ledger": 1}


@pytest.mark.parametrize("limits", [{"messages": 2}, {"recipients": 2}])
async def test_the_message_that_is_the_last_is_accepted_and_the_session_ends(kit, limits):
    async with kit.serve(ledger=Ledger(**limits)) as server:
        async with kit.peer(server) as peer:
            await peer.reply()
            assert (await peer.say("EHLO c.example", *MESSAGE)).code == 250
            assert (await peer.say(*MESSAGE)).code == 250
            assert str(await peer.reply()) == "421 4.7.0 Too much from your address, try again later"
        async with kit.peer(server) as peer:
            assert (await peer.reply()).code == 421
        assert server.counters["messages"] == 2


async def test_errors_close_the_door(kit):
    async with kit.serve(ledger=Ledger(errors=3)) as server:
        async with kit.peer(server) as peer:
            await peer.reply()
            await peer.say("FOO", "BAR", "BAZ")
        async with kit.peer(server) as peer:
            assert (await peer.reply()).code == 421
        assert counted(server) == {"connections": 2, "refused": 1, "errors": 3, "over_ledger": 1}


async def test_failed_logins_bar_the_way_to_a_login_and_nothing_else(kit):
    policy = smtpkit.AuthPolicy({"ada": "secret"}, allow_in_clear=True, required=False)
    async with kit.serve(auth=policy, ledger=Ledger(failed_logins=2)) as server:
        for _ in range(2):
            with pytest.raises(AuthenticationError, match="535"):
                await kit.connected(server, auth=("ada", "wrong"))
        with pytest.raises(SMTPError, match="421"):
            await kit.connected(server, auth=("ada", "secret"))
        async with kit.connect(server) as client:
            await client.send("a@a.example", "b@b.example", BODY)
        assert server.counters["failed_logins"] == 2
        assert server.counters["logins"] == 0
        assert server.counters["over_ledger"] == 1


async def test_by_default_a_hundred_failures_do(kit):
    server = kit.server()
    settings = getattr(server, "target", server)._settings
    assert settings.ledger.limits == {"failed_logins": 100}


# Watching


async def test_an_observer_is_told_of_a_session(kit):
    told = Told()
    policy = smtpkit.AuthPolicy({"ada": "secret"}, allow_in_clear=True, required=False)
    async with kit.serve(observer=told, auth=policy, limits=Limits(recipients=1)) as server:
        with pytest.raises(AuthenticationError):
            await kit.connected(server, auth=("ada", "wrong"))
        await eventually(lambda: server.connections == 0)
        async with kit.connect(server, auth=("ada", "secret")) as client:
            await client.send("a@a.example", ["b@b.example", "c@c.example"], BODY)
        await eventually(lambda: server.connections == 0)
    # Of two recipients one is too many for a transaction: the client takes two.
    session = ["connected", "logged_in", "limit_reached", "received", "received", "closed"]
    assert told.names == ["connected", "login_failed", "closed", *session]
    receipt = told.facts[told.names.index("received")][0]
    assert (receipt.sender, receipt.recipients, receipt.size, receipt.accepted) == ("a@a.example", 1, len(BODY), 1)
    assert receipt.replies == (None,)
    assert 0 <= receipt.seconds < 10
    assert told.facts[told.names.index("limit_reached")] == ("recipients",)
    assert 0 < told.facts[-1][0] < 10


async def test_it_is_told_who_is_turned_away_and_what_fails(kit, log):
    async def broken(message):
        raise LookupError("no such thing")

    told = Told()
    async with kit.serve(broken, observer=told, limits=Limits(connections=1)) as server, kit.connect(server) as client:
        with pytest.raises(SMTPError):
            await kit.connected(server)
        with pytest.raises(SMTPError, match="451"):
            await client.send("a@a.example", "b@b.example", BODY)
    assert told.names[:5] == ["connected", "limit_reached", "refused", "failed", "received"]
    assert told.facts[2][0].code == 421
    assert told.facts[3][0] == "on_message"
    assert isinstance(told.facts[3][1], LookupError)
    assert server.counters["failures"] == server.counters["messages_refused"] == 1


async def test_a_message_that_no_hook_is_asked_about_is_counted_too(kit):
    class Sink:
        async def on_close(self):
            pass

    async with kit.serve(Sink, ledger=Ledger(messages=1)) as server, kit.peer(server) as peer:
        await peer.reply()
        assert (await peer.say("EHLO c.example", *MESSAGE)).code == 250
        assert (await peer.reply()).code == 421
    assert counted(server) == {"connections": 1, "messages": 1, "recipients": 1, "octets": 4, "over_ledger": 1}


async def test_an_observer_that_fails_is_logged_and_changes_nothing(kit, log):
    class Failing(smtpkit.sync.ServerObserver):
        def received(self, session, receipt):
            raise LookupError("broken")

    async with kit.serve(observer=Failing()) as server, kit.connect(server) as client:
        assert (await client.send("a@a.example", "b@b.example", BODY)).accepted
    assert any("the observer failed at received()" in record.getMessage() for record in log.records)


async def test_a_record_has_the_facts_of_its_line(kit, log):
    async with kit.serve() as server, kit.connect(server) as client:
        await client.send("", ["b@b.example", "c@c.example"], BODY)
    (record,) = [record for record in log.records if record.name == "smtpkit.server.mail"]
    assert record.facts.pop("seconds") >= 0
    assert record.facts.pop("session") in record.getMessage()
    assert record.facts.pop("peer").startswith("127.0.0.1:")
    said = {"event": "message", "from": "", "recipients": 2, "size": len(BODY), "accepted": 2, "reply": ["accepted"]}
    assert record.facts == said


async def test_the_log_says_who_was_turned_away_and_who_failed_to_log_in(kit, log):
    policy = smtpkit.AuthPolicy({"ada": "secret"}, allow_in_clear=True)
    async with kit.serve(auth=policy, limits=Limits(per_address=1)) as server:
        with pytest.raises(AuthenticationError):
            await kit.connected(server, auth=("ada", "wrong"))
        await eventually(lambda: server.connections == 0)
        async with kit.connect(server, auth=("ada", "secret")) as client:
            with pytest.raises(SMTPError):
                await kit.connected(server)
            await client.send("a@a.example", "b@b.example", BODY)
            await client.command(smtpkit.UnknownCommand("X" * 600))
    async with kit.serve(proxy_protocol=True, trusted=["10.0.0.1"]) as server, kit.peer(server) as peer:
        assert await peer.reply() is None
    said = [record for record in log.records if record.name.startswith("smtpkit.server") and record.levelname == "INFO"]
    assert [record.getMessage().partition(" ")[2].partition(" seconds")[0] for record in said] == [
        "failed login",
        "refused: 421 4.3.2 Too many connections",
        f"user='ada' from=<a@a.example> recipients=1 size={len(BODY)}",
        "limit: line",
        "refused: 421 4.7.0 No PROXY header is taken of this address",
    ]
    assert [record.facts["event"] for record in said] == ["failed login", "refused", "message", "limit", "refused"]
    assert all(record.facts["peer"].startswith("127.0.0.1:") for record in said)
    assert (said[2].facts["identity"], said[3].facts["limit"]) == ("ada", "line")


async def test_a_proxy_header_that_cannot_be_read_is_counted_and_told(kit, log):
    told = Told()
    async with kit.serve(proxy_protocol=True, observer=told) as server:
        for octets in (b"EHLO c.example\r\n", b""):
            async with kit.peer(server) as peer:
                await peer.write(octets)
                peer.writer.write_eof()
                assert await peer.reply() is None
        await eventually(lambda: server.connections == 0)
    assert counted(server) == {"connections": 2, "refused": 1, "bad_proxy_headers": 1}
    assert told.names == ["refused"]  # of who never came in, the end is not told either
    (record,) = [each for each in log.records if each.name == "smtpkit.server" and each.levelname == "INFO"]
    assert record.getMessage().endswith(" refused: 421 4.7.0 The PROXY header cannot be read")
    assert record.facts["event"] == "refused"


async def test_the_line_of_a_message_has_the_id_of_its_received_field(kit, log, tmp_path):
    told = Told()
    store = Maildir(tmp_path / "mail")
    async with (
        kit.serve(store) as behind,
        kit.serve(kit.module.Relay(*behind.address), observer=told) as server,
        kit.connect(server) as client,
    ):
        await client.send("a@a.example", "b@b.example", BODY)
        with pytest.raises(SMTPError, match=r"5\.4\.6"):
            await client.send("a@a.example", "b@b.example", b"Received: x\r\n" * 99 + BODY)
    (stored,) = (tmp_path / "mail" / "new").iterdir()
    last, first = re.findall(r"SMTP id (\S+)", stored.read_text())
    mail = [record for record in log.records if record.name == "smtpkit.server.mail"]
    assert {record.facts["id"] for record in mail[:2]} == {last, first}
    assert all(f" id={record.facts['id']} " in record.getMessage() for record in mail)
    assert told.facts[told.names.index("received")][0].identifier == first
    assert len({record.facts["id"] for record in mail}) == len(mail)


async def test_a_transcript_that_cannot_be_made_is_logged_and_done_without(kit, log):
    def broken():
        raise LookupError("disk full")

    async with kit.serve(transcript=broken) as server:
        for _ in range(2):
            async with kit.connect(server) as client:
                assert (await client.command(Noop())).code == 250
    assert sum("transcript failed" in record.getMessage() for record in log.records) == 2


# Time


@pytest.mark.parametrize("talks", [True, False])
async def test_a_session_has_a_total_time(kit, talks):
    async with kit.serve(limits=Limits(total=0.1)) as server, kit.peer(server) as peer:
        assert (await peer.reply()).code == 220
        reply = Reply(250)
        while talks and reply.code == 250:
            reply = await peer.say("NOOP")
        if not talks:
            reply = await peer.reply()
        assert str(reply) == "421 4.4.2 The session has lasted too long"
        assert await peer.ended()
        assert server.counters["over_total"] == 1


async def test_a_wait_that_is_too_long_counts_as_such(kit):
    async with kit.serve(limits=Limits(idle=0.05)) as server, kit.peer(server) as peer:
        assert (await peer.reply()).code == 220
        assert str(await peer.reply()) == "421 4.4.2 Idle for too long"
        assert counted(server) == {"connections": 1, "over_idle": 1}


async def test_less_is_kept_unread_before_a_login(kit):
    policy = smtpkit.AuthPolicy({"ada": "secret"}, allow_in_clear=True, mechanisms=["PLAIN"])
    async with kit.serve(auth=policy) as server, kit.peer(server) as peer:
        await peer.reply()
        (connection,) = getattr(server, "target", server)._connections
        assert connection.transport.driver.unread_limit == 16 * 1024
        assert (await peer.say("EHLO c.example", "AUTH PLAIN AGFkYQBzZWNyZXQ=")).code == 235
        assert connection.transport.driver.unread_limit == 128 * 1024


# Certificates


async def test_new_connections_get_the_certificate_that_was_read_anew(kit, tmp_path):
    file = tmp_path / "tls.pem"
    shutil.copy(CERTIFICATES / "server.pem", file)
    async with kit.serve(tls=str(file)) as server:
        options = {"tls": "required", "unverified_tls": True}
        async with kit.connect(server, **options) as old:
            before = old.tls.peer_certificate
            shutil.copy(CERTIFICATES / "self-signed.pem", file)
            server.reload_tls() if kit.colour == "asyncio" else await server.reload_tls()
            async with kit.connect(server, **options) as new:
                assert new.tls.peer_certificate != before
            assert (await old.command(Noop())).code == 250
            file.write_text("no certificate")
            with pytest.raises(smtpkit.TLSError):
                server.reload_tls() if kit.colour == "asyncio" else await server.reload_tls()
            async with kit.connect(server, **options) as third:
                assert third.tls.peer_certificate == new.tls.peer_certificate


@pytest.mark.parametrize("given", [None, "context"])
async def test_what_was_not_given_as_files_is_not_read_anew(kit, given):
    tls = server_context(str(CERTIFICATES / "server.pem")) if given else None
    server = kit.server(tls=tls)
    with pytest.raises(RuntimeError, match="read anew"):
        getattr(server, "target", server).reload_tls()


async def test_a_callable_that_makes_a_context_is_called_again(kit):
    made = []

    def make():
        made.append(server_context(str(CERTIFICATES / "server.pem")))
        return made[-1]

    async with kit.serve(tls=make) as server:
        getattr(server, "target", server).reload_tls()
        async with kit.connect(server, tls="required", cafile=kit.cafile, server_hostname="localhost") as client:
            assert client.tls.verified
    assert len(made) == 2


async def test_a_client_gets_the_certificate_of_the_name_that_it_asks_for(kit):
    files = [str(CERTIFICATES / "server.pem"), str(CERTIFICATES / "wrong-name.pem")]
    async with kit.serve(tls=kit.module.Certificates(*files)) as server:
        options = {"tls": "required", "cafile": kit.cafile}
        for name in ("localhost", "elsewhere.example"):
            async with kit.connect(server, server_hostname=name, **options) as client:
                assert client.tls.verified
        with pytest.raises(smtpkit.TLSError):
            await kit.connected(server, server_hostname="nobody.example", **options)


async def test_starttls_and_implicit_tls_stand_side_by_side(kit):
    listeners = [kit.module.Listener(port=0), kit.module.Listener(port=0, implicit_tls=True)]
    async with kit.serve(listeners=listeners, tls=kit.tls("server")) as server:
        clear, implicit = server.addresses
        options = {"cafile": kit.cafile, "server_hostname": "localhost"}
        async with kit.connect(clear, tls="required", **options) as client:
            assert client.tls.verified
        async with kit.connect(implicit, tls="implicit", **options) as client:
            assert client.tls.verified


async def test_a_client_certificate_may_be_asked_for_or_demanded(kit):
    async def names(message):
        tls = message.session.tls
        return Reply(250, f"{tls.verified} {tls.peer_certificate is not None}")

    asked = client_context(cafile=kit.cafile, certificate=str(CERTIFICATES / "client.pem"))
    server_file, ca = str(CERTIFICATES / "server.pem"), kit.cafile
    for required in (False, True):
        tls = kit.module.Certificates(server_file, client_cafile=ca, client_required=required)
        async with kit.serve(names, tls=tls) as server:
            options = {"tls": "required", "server_hostname": "localhost"}
            async with kit.connect(server, ssl_context=asked, **options) as client:
                result = await client.send("a@a.example", "b@b.example", BODY)
                assert result.accepted["b@b.example"].reply.text == "True True"
            if required:
                with pytest.raises(SMTPError):
                    async with kit.connect(server, cafile=ca, **options) as client:
                        await client.command(Noop())
            else:
                async with kit.connect(server, cafile=ca, **options) as client:
                    assert (await client.command(Noop())).code == 250


async def test_one_session_fills_no_log_with_tracebacks(kit, log):
    async def on_rcpt(self, command):
        raise LookupError("a secret")

    async with kit.serve(type("Raising", (), {"on_rcpt": on_rcpt})) as server:
        async with kit.peer(server) as peer:
            await peer.reply()
            await peer.say("EHLO c.example", "MAIL FROM:<a@a.example>")
            for _ in range(15):
                assert (await peer.say("RCPT TO:<b@b.example>")).code == 451
            assert (await peer.say("QUIT")).code == 221
        while server.connections:
            await asyncio.sleep(0.005)
        assert server.counters["failures"] == 15
    assert sum(record.exc_info is not None for record in log.records) == 10
    assert [record.facts["number"] for record in log.records if "more failures" in record.message] == [5]
