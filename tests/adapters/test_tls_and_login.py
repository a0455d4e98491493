"""TLS and login between the adapters: what must work, and what must never be accepted."""

import hashlib
import socket
import ssl

import pytest

from smtpkit import (
    AuthenticationError,
    AuthPolicy,
    ConnectionLost,
    Credentials,
    NotSupported,
    RemoteProtocolError,
    Reply,
    ReplyError,
    Timeout,
    Timeouts,
    TLSError,
    Transcript,
    VerifyPassword,
)
from smtpkit.tls import client_context, server_context

BODY = b"Subject: test\r\n\r\ntext\r\n"
SECRET = "wr3nch-and-h4mmer"
USERS = {"user": SECRET}


def protocols(seen):
    async def handler(message):
        seen.append((message.session.protocol, message.session.identity))

    return handler


async def test_starttls_is_used_where_it_is_offered(mixed):
    seen = []
    async with mixed.serve(protocols(seen), tls=mixed.tls("server")) as server:
        async with mixed.connect(server, cafile=mixed.cafile) as client:
            assert client.tls.verified
            assert client.tls.version.startswith("TLSv1.")
            assert "STARTTLS" not in client.capabilities
            await client.send("a@a.example", "b@b.example", BODY)
        async with mixed.connect(server, tls="off") as client:
            assert client.tls is None
            await client.send("a@a.example", "b@b.example", BODY)
    assert seen == [("ESMTPS", None), ("ESMTP", None)]


async def test_tls_from_the_first_octet(mixed):
    seen = []
    async with mixed.serve(protocols(seen), tls=mixed.tls("server"), implicit_tls=True) as server:
        url = f"smtps://localhost:{server.address[1]}"
        async with mixed.connect(url, cafile=mixed.cafile) as client:
            assert client.tls.verified
            await client.send("a@a.example", "b@b.example", BODY * 20_000)
    assert seen == [("ESMTPS", None)]


async def test_a_body_of_8_mib_through_tls(mixed):
    sizes = []

    class Counting:
        async def on_body(self, stream):
            sizes.append(sum([len(piece) async for piece in stream]))

    async with (
        mixed.serve(Counting, tls=mixed.tls("server")) as server,
        mixed.connect(server, cafile=mixed.cafile, tls="required") as client,
    ):
        await client.send("a@a.example", "b@b.example", (BODY * 1000 for _ in range(350)))
    assert sizes == [len(BODY) * 350_000]


BAD = {
    "wrong-name": "localhost",
    "expired": "expired",
    "self-signed": "self",
}


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("name", BAD)
async def test_a_certificate_that_does_not_verify_is_refused(kit, name, implicit):
    seen = []
    async with kit.serve(protocols(seen), tls=kit.tls(name), implicit_tls=implicit) as server:
        options = {"tls": "implicit" if implicit else "if-offered", "cafile": kit.cafile}
        where = ("localhost", server.address[1])
        with pytest.raises(TLSError, match=BAD[name]):
            await kit.connected(where, **options)
        async with kit.connect(where, unverified_tls=True, **options) as client:
            assert not client.tls.verified
        # The server has not suffered.
        async with kit.connect(where, unverified_tls=True, **options) as client:
            await client.send("a@a.example", "b@b.example", BODY)
    assert seen == [("ESMTPS", None)]


async def test_the_certificate_may_be_for_another_name(kit):
    async with (
        kit.serve(tls=kit.tls("wrong-name")) as server,
        kit.connect(server, cafile=kit.cafile, server_hostname="elsewhere.example") as client,
    ):
        assert client.tls.verified


async def test_a_client_certificate_is_asked_for(kit):
    asking = server_context(*kit.tls("server"))
    asking.verify_mode = ssl.CERT_REQUIRED
    asking.load_verify_locations(kit.cafile)
    having = client_context(cafile=kit.cafile)
    having.load_cert_chain(kit.tls("client")[0])
    seen = []

    async def handler(message):
        seen.append(message.session.tls.verified)

    async with kit.serve(handler, tls=asking) as server:
        async with kit.connect(server, ssl_context=having) as client:
            await client.send("a@a.example", "b@b.example", BODY)
        async with kit.connect(server, cafile=kit.cafile, client_certificate=kit.tls("client")[0]) as client:
            await client.send("a@a.example", "b@b.example", BODY)
        # With TLS 1.3 the refusal comes when the client thinks that all is well.
        with pytest.raises(TLSError, match="certificate"):
            await kit.connected(server, cafile=kit.cafile)
    assert seen == [True, True]


async def test_required_tls_is_not_done_without(kit):
    async with kit.serve() as server:
        with pytest.raises(TLSError, match="does not offer STARTTLS"):
            await kit.connected(server, tls="required")


async def test_a_server_may_require_tls(kit):
    async with kit.serve(tls=kit.tls("server"), require_tls=True) as server:
        async with kit.connect(server, tls="off") as client:
            with pytest.raises(ReplyError, match="STARTTLS command first"):
                await client.send("a@a.example", "b@b.example", BODY)
        async with kit.connect(server, cafile=kit.cafile) as client:
            await client.send("a@a.example", "b@b.example", BODY)


async def test_tls_spoken_to_a_plain_port_says_so(kit):
    async with kit.serve() as server:
        with pytest.raises(TLSError, match=r"does not speak TLS here.*try smtp://"):
            await kit.connected(server, tls="implicit")


async def test_clear_text_spoken_to_a_tls_port_says_so(kit):
    async with kit.serve(tls=kit.tls("server"), implicit_tls=True) as server:
        with pytest.raises((Timeout, ConnectionLost), match=r"try smtps://|use smtps://"):
            await kit.connected(server, timeouts=Timeouts(60, greeting=0.1))


async def test_an_alert_in_place_of_a_greeting_says_so(kit):
    async def play(peer):
        await peer.write(b"\x15\x03\x03\x00\x02\x02\x28\r\n")

    async with kit.script(play) as address:
        with pytest.raises(RemoteProtocolError, match="try smtps://"):
            await kit.connected(address)


async def test_octets_behind_starttls_are_refused(kit):
    async with kit.serve(tls=kit.tls("server")) as server, kit.peer(server) as peer:
        await peer.reply()
        await peer.say("EHLO client.example")
        await peer.write(b"STARTTLS\r\nMAIL FROM:<a@a.example>\r\n")
        assert (await peer.reply()).code == 554
        assert await peer.reply() is None


async def test_a_handshake_that_is_garbage_ends_the_connection(kit):
    async with kit.serve(tls=kit.tls("server")) as server:
        async with kit.peer(server) as peer:
            await peer.reply()
            assert (await peer.say("EHLO client.example", "STARTTLS")).code == 220
            await peer.write(b"EHLO client.example\r\n")
            assert await peer.ended()
        async with kit.connect(server, cafile=kit.cafile) as client:
            assert client.tls.verified


# Login


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "CRAM-MD5"])
async def test_login_with_each_mechanism(mixed, mechanism):
    seen = []
    auth = AuthPolicy(USERS, mechanisms=[mechanism])
    async with mixed.serve(protocols(seen), tls=mixed.tls("server"), auth=auth) as server:
        async with mixed.connect(server, cafile=mixed.cafile, auth=("user", SECRET)) as client:
            await client.send("a@a.example", "b@b.example", BODY)
        with pytest.raises(AuthenticationError) as caught:
            await mixed.connected(server, cafile=mixed.cafile, auth=("user", "guess"))
        with pytest.raises(AuthenticationError):
            await mixed.connected(server, cafile=mixed.cafile, auth=("stranger", SECRET))
    assert seen == [("ESMTPSA", "user")]
    assert caught.value.reply.code == 535
    assert "guess" not in str(caught.value)


async def test_credentials_in_the_url(kit):
    seen = []
    async with (
        kit.serve(protocols(seen), auth=AuthPolicy(USERS, allow_in_clear=True)) as server,
        kit.connect(f"smtp://user:{SECRET}@127.0.0.1:{server.address[1]}", tls="off") as client,
    ):
        await client.send("a@a.example", "b@b.example", BODY)
    assert seen == [("ESMTPA", "user")]


async def test_login_in_clear_is_not_offered(kit):
    async with kit.serve(tls=kit.tls("server"), auth=USERS) as server:
        with pytest.raises(NotSupported, match="AUTH"):
            await kit.connected(server, tls="off", auth=("user", SECRET))


async def test_a_password_is_not_sent_in_clear_to_another_host(kit):
    """The name is another host's, though the socket is not: the URL decides."""
    auth = AuthPolicy(USERS, allow_in_clear=True, mechanisms=["PLAIN", "LOGIN"])
    transcript = Transcript()
    async with kit.serve(auth=auth) as server:
        for options in ({"tls": "off"}, {"tls": "if-offered"}):
            with pytest.raises(NotSupported, match="in clear"):
                await kit.connected(
                    ("mail.example", 25),
                    sock=socket.create_connection(server.address),
                    auth=("user", SECRET),
                    transcript=transcript,
                    **options,
                )
        with pytest.raises(TLSError):
            await kit.connected(
                ("mail.example", 25), sock=socket.create_connection(server.address), auth=("user", SECRET)
            )
        async with kit.connect(
            ("mail.example", 25),
            sock=socket.create_connection(server.address),
            auth=("user", SECRET),
            tls="off",
            allow_auth_in_clear=True,
        ) as client:
            assert client.capabilities.auth
    assert not any(line.startswith("C: AUTH") for line in transcript.lines)


async def test_verify_may_be_a_function_of_the_servers_colour(kit):
    questions = []

    async def verify(question):
        questions.append(question)
        return isinstance(question, VerifyPassword) and question.password == SECRET

    auth = AuthPolicy(kit.function(verify), allow_in_clear=True)
    async with kit.serve(auth=auth) as server:
        async with kit.connect(server, auth=Credentials("user", SECRET)) as client:
            await client.send("a@a.example", "b@b.example", BODY)
        with pytest.raises(AuthenticationError):
            await kit.connected(server, auth=Credentials("user", "guess"))
    assert [question.username for question in questions] == ["user", "user"]


async def test_verify_that_raises_refuses_for_now_and_is_logged(kit, log):
    async def verify(question):
        raise LookupError("no directory")

    async with kit.serve(auth=AuthPolicy(kit.function(verify), allow_in_clear=True)) as server:
        with pytest.raises(AuthenticationError) as caught:
            await kit.connected(server, auth=("user", SECRET))
    assert caught.value.reply == Reply(451, "Internal error, try again later", "4.3.0")
    assert [record.exc_info[0] for record in log.records if record.exc_info] == [LookupError]
    assert SECRET not in log.text


async def test_a_session_may_judge_logins_itself(kit):
    class Strict:
        async def on_login(self, question):
            if question.username == "banned":
                return Reply(454, "Not now", "4.7.0")
            return question.password == SECRET

    async with kit.serve(Strict, auth=AuthPolicy(allow_in_clear=True)) as server:
        async with kit.connect(server, auth=("user", SECRET)):
            pass
        with pytest.raises(AuthenticationError, match="454"):
            await kit.connected(server, auth=("banned", SECRET))


async def test_mail_before_login_is_refused_unless_login_is_optional(kit):
    for required, code in ((True, 530), (False, 250)):
        auth = AuthPolicy(USERS, allow_in_clear=True, required=required)
        async with kit.serve(auth=auth) as server, kit.peer(server) as peer:
            await peer.reply()
            assert (await peer.say("EHLO client.example", "MAIL FROM:<a@a.example>")).code == code


async def test_guessing_ends_with_421(kit):
    auth = AuthPolicy(USERS, allow_in_clear=True, attempts=2)
    async with kit.serve(auth=auth) as server, kit.peer(server) as peer:
        await peer.reply()
        await peer.say("EHLO client.example")
        codes = [(await peer.say("AUTH PLAIN AHVzZXIAZ3Vlc3M=")).code for _ in range(3)]
        assert codes == [535, 535, 421]
        assert await peer.reply() is None


async def test_a_password_may_come_from_a_callable(kit):
    async with (
        kit.serve(auth=AuthPolicy(USERS, allow_in_clear=True)) as server,
        kit.connect(server, auth=Credentials(lambda: "user", lambda: SECRET)) as client,
    ):
        await client.send("a@a.example", "b@b.example", BODY)


async def test_a_token_may_come_from_a_coroutine_function(asyncio_kit):
    async def password():
        return SECRET

    async with (
        asyncio_kit.serve(auth=AuthPolicy(USERS, allow_in_clear=True)) as server,
        asyncio_kit.connect(server, auth=Credentials("user", password)) as client,
    ):
        assert client.capabilities.auth


async def test_transcripts_of_both_sides_hide_credentials(mixed):
    for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
        ours, theirs = Transcript(), Transcript()
        auth = AuthPolicy(USERS, allow_in_clear=True, mechanisms=[mechanism])
        async with (
            mixed.serve(auth=auth, transcript=theirs) as server,
            mixed.connect(server, auth=("user", SECRET), transcript=ours) as client,
        ):
            await client.send("a@a.example", "b@b.example", BODY)
        for transcript in (ours, theirs):
            assert any(line.startswith(f"C: AUTH {mechanism}") for line in transcript.lines)
            assert any(line.startswith("S: 235 ") for line in transcript.lines)
            assert "C: QUIT" in transcript.lines
            for hidden in ("d3IzbmNoLWFuZC1oNG1tZXI", "dXNlcg", SECRET, "HVzZXIA"):
                assert hidden not in str(transcript)


async def test_a_pinned_certificate_is_enough_and_another_is_told(kit):
    context = server_context(*kit.tls("self-signed"))
    pin = hashlib.sha256(context.own_certificate).hexdigest()
    async with kit.serve(tls=context) as server:
        async with kit.connect(server, fingerprint=pin, tls="required") as client:
            assert client.tls.verified
            result = await client.send("a@a.example", "b@b.example", BODY)
            assert list(result.accepted) == ["b@b.example"]
        with pytest.raises(TLSError, match=f"is not the pinned one: its SHA-256 is {pin}"):
            await kit.connected(server, fingerprint="00" * 32, tls="required")
