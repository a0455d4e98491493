"""Logins over real sockets: tokens, records, certificates, and mechanisms of one's own."""

import hashlib
import hmac
import ssl
import threading
from base64 import b64decode

import pytest

from smtpkit import (
    AuthenticationError,
    AuthPolicy,
    Credentials,
    NotSupported,
    SenderRefused,
    Transcript,
)
from smtpkit.sasl import Challenge, FetchSecret, Mechanism, ScramKeys, make_record
from smtpkit.tls import client_context, server_context

BODY = b"Subject: test\r\n\r\ntext\r\n"
SECRET = "pässwörd"


def identities(seen):
    async def handler(message):
        seen.append(message.session.identity)

    return handler


class Keyed(Mechanism):
    """A mechanism as a user writes one: a challenge, and its keyed SHA-256."""

    name = "X-KEYED"

    def client(self, facts):
        challenge = yield None
        return facts.username.encode() + b" " + hmac.digest(facts.password, challenge, "sha256")

    def server(self, facts, response):
        username, _, digest = (yield Challenge(b"a challenge")).partition(b" ")
        secret = yield FetchSecret(username.decode(), self.name)
        if secret is None:
            return None
        right = hmac.digest(secret.encode(), b"a challenge", "sha256")
        return username.decode() if hmac.compare_digest(digest, right) else None


async def test_a_mechanism_of_ones_own(mixed):
    seen = []
    auth = AuthPolicy({"tim": SECRET}, mechanisms=[Keyed, "PLAIN"], allow_in_clear=True)
    async with mixed.serve(identities(seen), auth=auth) as server:
        async with mixed.connect(server, auth=Credentials("tim", SECRET, mechanisms=[Keyed])) as client:
            assert client.capabilities.auth == ("X-KEYED", "PLAIN")
            await client.send("a@a.example", "b@b.example", BODY)
        with pytest.raises(AuthenticationError, match="AUTH X-KEYED: 535"):
            await mixed.connected(server, auth=Credentials("tim", "guess", mechanisms=[Keyed]))
        async with mixed.connect(server, auth=("tim", SECRET)):
            pass  # who does not have it takes another
    assert seen == ["tim"]


class TestCertificate:
    """EXTERNAL: who has the key of a verified client certificate."""

    def asking(self, kit, optional=False):
        context = server_context(*kit.tls("server"))
        context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED
        context.load_verify_locations(kit.cafile)
        return context

    def having(self, kit):
        context = client_context(cafile=kit.cafile)
        context.load_cert_chain(kit.tls("client")[0])
        return context

    @pytest.mark.parametrize("implicit", [False, True])
    async def test_is_an_identity(self, mixed, implicit):
        seen = []
        auth = AuthPolicy(certificate_identity=lambda facts: facts.peer_name("email"))
        options = {"tls": self.asking(mixed), "implicit_tls": implicit, "auth": auth}
        async with mixed.serve(identities(seen), **options) as server:
            where = {"tls": "implicit" if implicit else "required", "ssl_context": self.having(mixed)}
            for authzid in ("", "client@example.com"):
                credentials = Credentials(authzid=authzid, mechanisms=["EXTERNAL"])
                async with mixed.connect(server, auth=credentials, **where) as client:
                    assert client.capabilities.auth == ("EXTERNAL",)
                    await client.send("a@a.example", "b@b.example", BODY)
            other = Credentials(authzid="root@example.com", mechanisms=["EXTERNAL"])
            with pytest.raises(AuthenticationError, match="535"):
                await mixed.connected(server, auth=other, **where)
        assert seen == ["client@example.com"] * 2

    async def test_of_nobody_is_not_offered_a_login(self, kit):
        policy = AuthPolicy({"tim": SECRET}, certificate_identity=lambda facts: None)
        async with kit.serve(tls=self.asking(kit), auth=policy) as server:
            credentials = Credentials("tim", SECRET, mechanisms=["EXTERNAL"])
            with pytest.raises(NotSupported, match="which name EXTERNAL"):
                await kit.connected(server, auth=credentials, ssl_context=self.having(kit), tls="required")

    async def test_may_be_optional(self, kit):
        identity = {"client@example.com": "tim"}
        policy = AuthPolicy({"tim": SECRET}, certificate_identity=lambda facts: identity.get(facts.peer_name("email")))
        async with kit.serve(tls=self.asking(kit, optional=True), auth=policy) as server:
            async with kit.connect(server, auth=("tim", SECRET), cafile=kit.cafile, tls="required") as client:
                assert "EXTERNAL" not in client.capabilities.auth
            async with kit.connect(
                server, auth=("tim", SECRET), ssl_context=self.having(kit), tls="required"
            ) as client:
                assert "EXTERNAL" in client.capabilities.auth


class TestBinding:
    """SCRAM with the server's certificate bound to it."""

    async def test_is_used_where_it_is_offered(self, mixed):
        transcript = Transcript()
        names = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"]
        auth = AuthPolicy({"tim": SECRET}, mechanisms=names)
        async with mixed.serve(auth=auth, tls=mixed.tls("server")) as server:
            options = {"auth": ("tim", SECRET), "cafile": mixed.cafile, "tls": "required"}
            async with mixed.connect(server, transcript=transcript, **options):
                pass
        assert "AUTH SCRAM-SHA-256-PLUS" in str(transcript)


STORED = {
    "scrypt": make_record(SECRET, cost=16),
    "pbkdf2": make_record(SECRET, "pbkdf2-sha256", cost=10),
    "scram": str(ScramKeys.derive(SECRET, iterations=4096)),
    "password": SECRET,
}


class TestRecords:
    @pytest.mark.parametrize("kind", STORED)
    @pytest.mark.parametrize("asked", [False, True])
    async def test_what_is_stored_in_a_mapping_or_told_by_a_callable(self, kit, kind, asked):
        async def verify(question):
            return STORED[kind] if question.username == "tim" else None

        auth = AuthPolicy(kit.function(verify) if asked else {"tim": STORED[kind]}, allow_in_clear=True)
        async with kit.serve(auth=auth) as server:
            for mechanism in auth.mechanisms:
                async with kit.connect(server, auth=Credentials("tim", SECRET, mechanisms=[mechanism])):
                    pass
                for username, password in (("tim", "wrong"), ("tom", SECRET)):
                    with pytest.raises(AuthenticationError, match="535"):
                        await kit.connected(server, auth=Credentials(username, password, mechanisms=[mechanism]))

    @pytest.mark.parametrize("secret", [STORED["scrypt"], SECRET])
    async def test_are_not_hashed_in_the_event_loop(self, asyncio_kit, secret, monkeypatch):
        threads = []
        for name in ("scrypt", "pbkdf2_hmac"):
            real = getattr(hashlib, name)

            def hashing(*arguments, _real=real, **options):
                threads.append(threading.current_thread())
                return _real(*arguments, **options)

            monkeypatch.setattr(hashlib, name, hashing)
        auth = AuthPolicy({"tim": secret}, allow_in_clear=True)
        async with asyncio_kit.serve(auth=auth) as server, asyncio_kit.peer(server) as peer:
            await peer.reply()
            name = "SCRAM-SHA-256 biwsbj10aW0scj1hYmM=" if secret is SECRET else "PLAIN AHRpbQBndWVzcw=="
            reply = await peer.say("EHLO client.example", f"AUTH {name}")
            assert reply.code == (334 if secret is SECRET else 535)
        assert threads
        assert threading.main_thread() not in threads

    async def test_that_are_none_refuse_for_now_and_are_logged(self, kit, log):
        class Session:
            async def on_login(self, question):
                return "scrypt$broken"

        async with kit.serve(Session, auth=AuthPolicy(allow_in_clear=True)) as server:
            with pytest.raises(AuthenticationError, match="451"):
                await kit.connected(server, auth=("tim", SECRET))
        assert any(record.exc_info for record in log.records)


class TestTokens:
    """A provider is asked at login, and once more where the server refuses the token."""

    @pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
    async def test_are_asked_for_once_more(self, mixed, mechanism):
        seen, asked = [], []
        good = "fresh"

        async def verify(question):
            return question.token == good

        def provider():
            asked.append(len(asked))
            return ["stale", "fresh", "never"][asked[-1]]

        auth = AuthPolicy(tokens=mixed.function(verify), allow_in_clear=True)
        async with mixed.serve(identities(seen), auth=auth) as server:
            credentials = Credentials("tim@example.com", token=provider, mechanisms=[mechanism])
            async with mixed.connect(server, auth=credentials) as client:
                await client.send("a@a.example", "b@b.example", BODY)
            assert asked == [0, 1]
            good = "another"
            asked.clear()
            with pytest.raises(AuthenticationError) as caught:
                await mixed.connected(server, auth=credentials)
        assert asked == [0, 1]
        assert caught.value.error["status"] in ("401", "invalid_token")
        assert isinstance(caught.value.__cause__, AuthenticationError)
        assert seen == ["tim@example.com"]

    async def test_may_come_from_a_coroutine_function(self, asyncio_kit):
        async def provider():
            return "fresh"

        auth = AuthPolicy(tokens=lambda question: question.token == "fresh", allow_in_clear=True)
        credentials = Credentials("tim", token=provider)
        async with asyncio_kit.serve(auth=auth) as server, asyncio_kit.connect(server, auth=credentials) as client:
            assert client.capabilities.auth == ("OAUTHBEARER", "XOAUTH2")


async def test_a_refusal_of_a_known_provider_is_explained(kit):
    async def gmail(peer):
        await peer.write(b"220 smtp.gmail.com ESMTP a1-2b3 - gsmtp\r\n")
        await peer.line()
        await peer.write(b"250-smtp.gmail.com at your service\r\n250 AUTH LOGIN PLAIN XOAUTH2\r\n")
        await peer.line()
        await peer.write(
            b"535-5.7.8 Username and Password not accepted. For more information, go to\r\n"
            b"535 5.7.8  https://support.google.com/mail/?p=BadCredentials a1-2b3 - gsmtp\r\n"
        )
        await peer.line()

    async with kit.script(gmail) as where:
        with pytest.raises(AuthenticationError, match="app password") as caught:
            await kit.connected(where, auth=("tim@gmail.com", SECRET))
    assert caught.value.hint in str(caught.value)


async def test_a_mail_without_login_is_explained_too(kit):
    async def brevo(peer):
        await peer.write(b"220 smtp-relay.brevo.com ESMTP Service Ready\r\n")
        await peer.line()
        await peer.write(b"250 smtp-relay.brevo.com\r\n")
        await peer.line()
        await peer.write(b"502 5.7.0 Please authenticate first\r\n")
        await peer.line()

    async with kit.script(brevo) as where, kit.connect(where) as client:
        with pytest.raises(SenderRefused, match="forgets a login when EHLO") as caught:
            await client.send("a@a.example", "b@b.example", BODY)
    assert caught.value.hint


async def test_oauthbearer_tells_where_to_and_the_server_need_not_care(kit):
    said = []

    async def play(peer):
        await peer.write(b"220 mx\r\n")
        await peer.line()
        await peer.write(b"250-mx\r\n250 AUTH OAUTHBEARER\r\n")
        said.append(b64decode((await peer.line()).split()[2]))
        await peer.write(b"235 ok\r\n")
        await peer.line()
        await peer.write(b"221 bye\r\n")

    credentials = Credentials("tim", token="tok", mechanisms=["OAUTHBEARER"])
    async with kit.script(play) as (host, port), kit.connect((host, port), auth=credentials, tls="off"):
        assert said == [f"n,a=tim,\1host={host}\1port={port}\1auth=Bearer tok\1\1".encode()]
    policy = AuthPolicy(tokens=lambda question: question.token == "tok", allow_in_clear=True)
    async with kit.serve(auth=policy) as server, kit.connect(server, auth=credentials, tls="off") as client:
        assert (await client.send("a@a.example", "b@b.example", BODY)).accepted


@pytest.mark.parametrize("auth", ["optional", "required"])
async def test_a_word_leaves_logins_to_the_session(kit, auth):
    class Session:
        async def on_login(self, question):
            return {"tim": STORED["scrypt"]}.get(question.username)

    async with kit.serve(Session, auth=auth, tls=kit.tls("server")) as server:
        async with kit.connect(server, auth=("tim", SECRET), cafile=kit.cafile, tls="required"):
            pass
        async with kit.connect(server, cafile=kit.cafile) as client:
            if auth == "optional":
                await client.send("a@a.example", "b@b.example", BODY)
            else:
                with pytest.raises(SenderRefused, match="530"):
                    await client.send("a@a.example", "b@b.example", BODY)
    with pytest.raises(ValueError, match="optional"):
        kit.server(auth="never")
    with pytest.raises(TypeError, match="mapping"):
        kit.server(auth=7)


async def test_what_a_certificate_identity_raises_is_logged_and_the_certificate_nobodys(kit, log):
    def identity(facts):
        raise LookupError("no directory")

    asking = TestCertificate().asking(kit, optional=True)
    options = {"auth": ("tim", SECRET), "ssl_context": TestCertificate().having(kit), "tls": "required"}
    auth = AuthPolicy({"tim": SECRET}, certificate_identity=identity)
    async with kit.serve(tls=asking, auth=auth) as server, kit.connect(server, **options) as client:
        assert "EXTERNAL" not in client.capabilities.auth
    assert [record.exc_info[0] for record in log.records if record.exc_info] == [LookupError]
