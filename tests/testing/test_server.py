"""The server takes mail of any client, in clear, under TLS and behind a login, and shares nothing with another."""

import asyncio
import smtplib
import ssl
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

import smtpkit.asyncio
import smtpkit.sync
from smtpkit import AuthenticationError, NotSupported, SenderRefused
from smtpkit.testing import Server

SENDER, RECIPIENT = "ada@example.org", "bob@example.net"
PATIENCE = 60  # seconds until what hangs fails
CONTENT = b"Subject: hi\r\n\r\n.dots\r\n"
TLS = ["starttls", "implicit"]
MODES = [{}, *({"tls": tls} for tls in TLS), *({"tls": tls, "login": ("ada", "s:@/é?")} for tls in TLS)]
MODES.append({"login": ("ada", "secret"), "allow_auth_in_clear": True})
LEVELS = {None: "ESMTP", "starttls": "ESMTPS", "implicit": "ESMTPS"}


def trusting(server):
    return ssl.create_default_context(cafile=server.cafile)


def by_smtplib(server):
    implicit = server.tls == "implicit"
    more = {"context": trusting(server)} if implicit else {}
    with (smtplib.SMTP_SSL if implicit else smtplib.SMTP)(server.host, server.port, timeout=PATIENCE, **more) as client:
        if server.tls == "starttls":
            client.starttls(context=trusting(server))
        if server.username:
            client.login(server.username, server.password)
        client.sendmail(SENDER, [RECIPIENT], CONTENT)


def by_sync(server):
    with smtpkit.sync.connect(server.url) as client:
        client.send(SENDER, RECIPIENT, CONTENT)


def by_asyncio(server):
    async def main():
        async with smtpkit.asyncio.connect(server.url) as client:
            await client.send(SENDER, RECIPIENT, CONTENT)

    asyncio.run(main())


def by_aiosmtplib(server):
    import aiosmtplib

    sending = aiosmtplib.send(
        CONTENT,
        sender=SENDER,
        recipients=[RECIPIENT],
        hostname=server.host,
        port=server.port,
        username=server.username or None,
        password=server.password or None,
        use_tls=server.tls == "implicit",
        tls_context=trusting(server),
    )
    asyncio.run(sending)


CLIENTS = [by_smtplib, by_sync, by_asyncio]
if find_spec("aiosmtplib"):  # another make of client, which need not be there
    CLIENTS.append(by_aiosmtplib)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("send", CLIENTS)
def test_any_client_gets_its_mail_through(send, mode):
    if send is by_smtplib and mode.get("login"):
        mode = {**mode, "login": ("ada", "s:@/?")}  # it can say no password beyond ASCII
    with Server(**mode) as server:
        send(server)
        (message,) = server.inbox
    assert (message.sender, message.recipients, message.content) == (SENDER, [RECIPIENT], CONTENT)
    assert message.as_email()["Subject"] == "hi"
    session = message.session
    assert session.identity == (mode["login"][0] if "login" in mode else None)
    assert session.protocol == LEVELS[mode.get("tls")] + ("A" if "login" in mode else "")
    assert (session.tls is not None) == ("tls" in mode)
    assert session.peer[0] == session.local[0] == "127.0.0.1"


def test_a_login_is_required_and_not_taken_in_clear():
    with Server(tls="starttls", login=("ada", "secret")) as server:
        with smtpkit.sync.connect(server.host, server.port, tls="off") as client:
            assert "AUTH" not in client.capabilities
            with pytest.raises(SenderRefused) as refused:
                client.send(SENDER, RECIPIENT, CONTENT)
        assert refused.value.reply.code == 530
        with pytest.raises(AuthenticationError):
            smtpkit.sync.connect(server.host, server.port, cafile=server.cafile, auth=("ada", "wrong"))
        assert not server.inbox
        assert "wrong" not in "".join(map(str, server.transcripts))


@pytest.mark.parametrize("tls", TLS)
@pytest.mark.parametrize("certificate", ["wrong-name", "expired", "self-signed"])
def test_a_client_that_verifies_refuses_a_bad_certificate(certificate, tls):
    with Server(tls=tls, certificate=certificate) as server:
        with pytest.raises(smtpkit.TLSError, match="certificate"):
            smtpkit.sync.connect(server.url)
        with pytest.raises(ssl.SSLCertVerificationError):
            by_smtplib(server)
        assert not server.inbox


@pytest.mark.parametrize("tls", TLS)
def test_a_client_that_does_not_verify_is_found_out(tls):
    with Server(tls=tls, certificate="expired") as server:
        with smtpkit.sync.connect(server.url, unverified_tls=True) as client:
            client.send(SENDER, RECIPIENT, CONTENT)
        assert len(server.inbox) == 1


def test_lmtp_and_other_settings():
    with Server(lmtp=True, tls="starttls", max_message_size=100, extensions=["SIZE"]) as server:
        assert server.url.startswith("lmtp://")
        with smtpkit.sync.connect(server.url) as client:
            assert set(client.capabilities) == {"SIZE"}
            client.send(SENDER, [RECIPIENT, "eve@example.net"], CONTENT)
            with pytest.raises(NotSupported, match="100 at most"):
                client.send(SENDER, RECIPIENT, CONTENT * 10)
            assert client.command(smtpkit.Vrfy("bob")).code == 252
    assert [message.recipients for message in server.inbox] == [[RECIPIENT, "eve@example.net"]]


def test_what_makes_no_sense_is_told():
    for options in (
        {"tls": "required"},
        {"certificate": "mine"},
        {"login": ("ada", "secret")},
        {"max_message_size": 0},
        {"hostname": "no host"},
    ):
        with pytest.raises(ValueError):
            Server(**options)
    with pytest.raises(TypeError):
        Server(size=3)
    with pytest.raises(RuntimeError, match="start"):
        _ = Server().port


def test_starting_and_closing_may_be_repeated_and_nobody_listens_then():
    server = Server()
    server.close()
    server = Server().start()
    assert server.start() is server
    assert str(server.port) in repr(server)
    server.close()
    server.close()
    with pytest.raises(OSError):
        smtpkit.sync.connect(server.host, server.port)
    with pytest.raises(RuntimeError):
        server.start()


def test_closing_ends_sessions_and_threads():
    before = threading.enumerate()
    server = Server(tls="starttls").start()
    clients = [smtplib.SMTP(server.host, server.port, timeout=PATIENCE) for _ in range(3)]
    clients[0].starttls(context=trusting(server))
    server.delay("connect", 3600)

    def meets_the_end():
        with pytest.raises(smtplib.SMTPServerDisconnected):
            by_smtplib(server)

    waiting = threading.Thread(target=meets_the_end)
    waiting.start()
    while len(server.transcripts) < 4:
        waiting.join(0.001)
    server.close()
    for client in clients:
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            client.docmd("NOOP")
        client.close()
    waiting.join(PATIENCE)
    assert not [thread for thread in threading.enumerate() if thread not in before]


def test_many_side_by_side_are_apart():
    servers = [Server().start() for _ in range(8)]
    for number, server in enumerate(servers):
        with smtpkit.sync.connect(server.url) as client:
            client.send(SENDER, f"user{number}@example.net", CONTENT)
    for number, server in enumerate(servers):
        server.close()
        assert [message.recipients for message in server.inbox] == [[f"user{number}@example.net"]]


def test_one_server_takes_many_clients_at_once():
    with Server() as server:
        threads = [threading.Thread(target=by_sync, args=(server,)) for _ in range(16)]
        for thread in threads:
            thread.start()
        assert len(server.inbox.wait(16, timeout=PATIENCE)) == 16
        for thread in threads:
            thread.join()
        assert len(server.transcripts) == 16


def test_the_shipped_certificates_are_those_of_the_tests_and_say_that_they_are_public():
    ours = Path(__file__).parent.parent / "certificates"
    shipped = Path(Server().cafile).parent
    names = {"ca": "ca", "valid": "server"} | {name: name for name in ("wrong-name", "expired", "self-signed")}
    assert {path.stem for path in shipped.glob("*.pem")} == set(names)
    for name, origin in names.items():
        first, _, rest = (shipped / f"{name}.pem").read_text().partition("\n")
        assert first.startswith("For tests only")
        assert (ours / f"{origin}.pem").read_text().endswith(rest)
