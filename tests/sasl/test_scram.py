"""SCRAM in both roles, with the exchanges of RFC 5802 and RFC 7677, and against peers that cheat."""

from base64 import b64decode, b64encode
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError
from smtpkit.sasl import Challenge, FetchSecret, client_mechanism, server_mechanism
from smtpkit.sasl.scram import ScramSHA1, ScramSHA256, ScramSHA256Plus
from smtpkit.sasl.scram_keys import ScramKeys, proof_for, salted_password

# Mechanism, client's nonce, server's part of it, salt, the four messages; user "user", password "pencil", 4096.
PUBLISHED = [
    (  # RFC 5802 section 5
        "SCRAM-SHA-1",
        "fyko+d2lbbFgONRv9qkxdawL",
        "3rfcNHYJY1ZVvWVs7j",
        "QSXCR+Q6sek8bf92",
        "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    (  # RFC 7677 section 3
        "SCRAM-SHA-256",
        "rOprNGfwEbeRWgbNEkqO",
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
]
USER = {"username": "user", "password": "pencil"}
FAST = {"iterations": 4096}
ALL = ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]
PLUS = [f"{name}-PLUS" for name in ALL]


def published(index=1):
    name, client_nonce, server_nonce, salt, *messages = PUBLISHED[index]
    keys = ScramKeys.derive("pencil", name, iterations=4096, salt=b64decode(salt))
    return name, client_nonce, server_nonce, keys, [message.encode() for message in messages]


class TestPublishedExchanges:
    @pytest.mark.parametrize("index", [0, 1])
    def test_client(self, index):
        name, nonce, _, _, (first, server_first, final, server_final) = published(index)
        client = client_mechanism(name, **USER, nonce=nonce)
        assert client.start() == first
        assert client.respond(server_first) == final
        assert not client.done
        assert client.respond(server_final) == b""
        assert client.done
        client.finish()

    def test_the_bounds_of_iterations_are_within_them(self):
        name, nonce, _, _, (_, server_first, final, _) = published()
        client = client_mechanism(name, **USER, nonce=nonce, min_iterations=4096, max_iterations=4096)
        client.start()
        assert client.respond(server_first) == final

    @pytest.mark.parametrize("index", [0, 1])
    def test_server_with_stored_keys(self, serve, index):
        name, _, nonce, keys, (first, server_first, final, server_final) = published(index)
        assert serve(name, first, [final, b""], keys, nonce=nonce) == (
            "user",
            [server_first, server_final],
            [FetchSecret("user", name)],
        )

    def test_the_vector_collection_has_the_same(self, auth_vectors):
        (vector,) = [vector for vector in auth_vectors if "client_final" in vector]
        fields = ("client_first", "server_first", "client_final", "server_final")
        assert [vector[field].encode() for field in fields] == published(0)[4]

    def test_salted_with_fewer_iterations_than_announced(self, serve):
        """After mox's test of a server whose record disagrees with what it says."""
        name, _, nonce, keys, (first, _, final, _) = published()
        keys = ScramKeys.derive("pencil", iterations=2048, salt=keys.salt)
        wrong = ScramKeys(name, 4096, keys.salt, keys.stored_key, keys.server_key)
        assert serve(name, first, [final], wrong, nonce=nonce)[0] is None

    def test_another_server_nonce(self, serve):
        name, _, nonce, keys, (first, _, final, _) = published()
        assert serve(name, first, [final], keys, nonce=nonce + "x")[0] is None


class TestBothRoles:
    @pytest.mark.parametrize("name", ALL)
    @pytest.mark.parametrize("secret", ["pencil", b"pencil", ScramKeys])
    def test_login(self, log_in, name, secret):
        secret = ScramKeys.derive("pencil", name, iterations=4096) if secret is ScramKeys else secret
        identity, client, transcript = log_in(name, secret, USER, FAST)
        assert identity == "user"
        assert client.done
        assert transcript[-1] == ("C", b"")
        assert len(transcript) == 5

    @pytest.mark.parametrize("name", PLUS)
    def test_login_bound_to_the_channel(self, log_in, name):
        def answer(question):
            assert question == FetchSecret("user", name.removesuffix("-PLUS"))
            return "pencil"

        bound = {"channel_binding": b"hash of the certificate"}
        identity, _, transcript = log_in(name, answer, USER | bound, FAST | bound)
        assert identity == "user"
        assert transcript[0][1].startswith(b"p=tls-server-end-point,,n=user,")

    @pytest.mark.parametrize("secret", ["pencil2", b"\xff", "\x07", "", None, False, True, 42])
    def test_wrong_secret_or_unknown_user(self, log_in, secret):
        identity, client, transcript = log_in("SCRAM-SHA-256", secret, USER, FAST)
        assert identity is None
        assert not client.done
        assert len(transcript) == 3

    def test_keys_of_another_hash_are_no_keys(self, log_in):
        keys = ScramKeys.derive("pencil", "SCRAM-SHA-256", iterations=4096)
        assert log_in("SCRAM-SHA-1", keys, USER, FAST)[0] is None

    def test_names_and_passwords_that_want_escapes_and_preparation(self, log_in):
        facts = {"username": "a=b,ça\u00ad", "password": "\u2168 pass\u00a0word"}

        def answer(question):
            assert question.username == "a=b,ça"
            return "IX pass word"

        assert log_in("SCRAM-SHA-1", answer, facts, FAST)[0] == "a=b,ça"

    def test_acting_as_oneself_only(self, log_in):
        assert log_in("SCRAM-SHA-1", "pencil", USER | {"authzid": "user"}, FAST)[0] == "user"
        assert log_in("SCRAM-SHA-1", "pencil", USER | {"authzid": "boss"}, FAST)[0] is None

    def test_without_initial_response(self, serve):
        name, _, nonce, keys, (first, _, final, _) = published()
        identity, challenges, _ = serve(name, None, [first, final, b""], keys, nonce=nonce)
        assert identity == "user"
        assert challenges[0] == b""

    def test_nonces_never_repeat(self):
        firsts = {client_mechanism("SCRAM-SHA-256", **USER).start() for _ in range(20)}
        assert len(firsts) == 20


class TestChannelBinding:
    def run(self, log_in, name, client, server):
        facts = [{} if octets is None else {"channel_binding": octets} for octets in (client, server)]
        return log_in(name, "pencil", USER | facts[0], FAST | facts[1])[0]

    def test_other_octets_are_refused(self, log_in):
        assert self.run(log_in, "SCRAM-SHA-1-PLUS", b"seen by the client", b"sent by the server") is None

    def test_a_server_without_the_octets_refuses(self, log_in):
        assert self.run(log_in, "SCRAM-SHA-1-PLUS", b"x", None) is None

    def test_a_client_without_the_octets_does_not_begin(self):
        with pytest.raises(ParseError, match="needs the channel binding"):
            client_mechanism("SCRAM-SHA-1-PLUS", **USER).start()

    def test_an_offer_that_was_taken_away_is_noticed(self, log_in):
        assert self.run(log_in, "SCRAM-SHA-1", b"x", b"x") is None

    def test_a_client_may_know_more_than_the_server(self, log_in):
        assert self.run(log_in, "SCRAM-SHA-1", b"x", None) == "user"

    def test_a_client_may_know_less_than_the_server(self, log_in):
        assert self.run(log_in, "SCRAM-SHA-1", None, b"x") == "user"

    @pytest.mark.parametrize("flag", [b"n", b"y", b"p=tls-unique"])
    def test_plus_wants_the_binding_that_is_known(self, serve, flag):
        assert serve("SCRAM-SHA-1-PLUS", flag + b",,n=user,r=abc", channel_binding=b"x")[0] is None

    def test_without_plus_there_is_no_binding(self, serve):
        assert serve("SCRAM-SHA-1", b"p=tls-server-end-point,,n=user,r=abc", channel_binding=b"x")[0] is None

    @pytest.mark.parametrize("flag", [b"p=tls-server-end-point", b"p=tls-unique", b"p=x"])
    def test_without_plus_nobody_may_say_that_there_is_one(self, serve, flag):
        assert serve("SCRAM-SHA-1", flag + b",,n=user,r=abc", answer="pencil")[0] is None

    def test_the_final_message_must_repeat_the_header(self, serve):
        name, _, nonce, keys, (first, _, final, _) = published()
        changed = final.replace(b"c=biws", b"c=" + b64encode(b"y,,"))
        assert serve(name, first, [changed], keys, nonce=nonce)[0] is None

    @pytest.mark.parametrize(
        ("old", "new"), [(b"", b""), (b"c=biws", b"c=eSws"), (b"$k0", b"$k1"), (b"r=rOpr", b"r="), (b"$k0", b"$k0x")]
    )
    def test_also_where_the_proof_is_of_what_it_says(self, serve, old, new):
        name, _, nonce, keys, (first, server_first, final, _) = published()
        without_proof = final.rpartition(b",p=")[0].replace(old, new)
        salted = salted_password("sha256", b"pencil", keys.salt, 4096)
        proof = proof_for("sha256", salted, b",".join((first[3:], server_first, without_proof)))
        ending = [b""] if old == new else []
        said = serve(name, first, [without_proof + b",p=" + b64encode(proof), *ending], keys, nonce=nonce)
        assert said[0] == ("user" if old == new else None)


class TestUnknownUsers:
    def server_first(self, username, secret, **facts):
        exchange = server_mechanism("SCRAM-SHA-256", f"n,,n={username},r=abc".encode(), nonce="def", **facts)
        next(exchange)
        return exchange.send(secret).octets

    def test_they_look_as_known_ones_do(self):
        for facts in ({}, {"salt_secret": b"pepper", "iterations": 5000}):
            assert self.server_first("tim", None, **facts) == self.server_first("tim", "password", **facts)
            assert self.server_first("tim", None, **facts) != self.server_first("tom", None, **facts)

    def test_the_salt_is_the_servers_own(self):
        assert self.server_first("tim", None, salt_secret=b"a") != self.server_first("tim", None, salt_secret=b"b")


class TestClientAgainstAServer:
    def client(self, **facts):
        name, nonce, _, _, messages = published()
        client = client_mechanism(name, **USER, nonce=nonce, **facts)
        client.start()
        return client, messages

    @pytest.mark.parametrize(
        "server_first",
        [
            "",
            "r=rOprNGfwEbeRWgbNEkqO,s=QUJD,i=4096",  # nothing added to the nonce
            "r=rOprNGfwEbeRWgbNEkqX123,s=QUJD,i=4096",  # not the client's
            "r=rOprNGfwEbeRWgbNEkqO 1,s=QUJD,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOé,s=QUJD,i=4096",
            "r=,s=QUJD,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO1,s=,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO1,s=QUJ,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO1,s=QU=JD,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO1,s=é,i=4096",
            "r=rOprNGfwEbeRWgbNEkqO1,s=QUJD",
            "r=rOprNGfwEbeRWgbNEkqO1,s=QUJD,i=",
            "r=rOprNGfwEbeRWgbNEkqO1,s=QUJD,i=04096",
            "r=rOprNGfwEbeRWgbNEkqO1,s=QUJD,i=-4096",
            "r=rOprNGfwEbeRWgbNEkqO1,s=QUJD,i=٤٠٩٦",
            "r=rOprNGfwEbeRWgbNEkqO1,s=QUJD,i=4095",
            "r=rOprNGfwEbeRWgbNEkqO1,s=QUJD,i=10000001",
            "r=rOprNGfwEbeRWgbNEkqO1,s=QUJD,i=99999999999",
            "s=QUJD,r=rOprNGfwEbeRWgbNEkqO1,i=4096",
            "m=must,r=rOprNGfwEbeRWgbNEkqO1,s=QUJD,i=4096",
        ],
    )
    def test_bad_first_messages(self, server_first):
        client, _ = self.client()
        with pytest.raises(ParseError):
            client.respond(server_first.encode())
        with pytest.raises(ParseError, match="without the server's proof"):
            client.finish()

    def test_bounds_of_iterations_are_the_callers(self):
        client, _ = self.client(min_iterations=1)
        assert client.respond(b"r=rOprNGfwEbeRWgbNEkqO1,s=QUJD,i=1,x=extension")
        client, (_, server_first, _, _) = self.client(max_iterations=4095)
        with pytest.raises(ParseError, match="4096 iterations"):
            client.respond(server_first)

    @pytest.mark.parametrize("server_final", [b"", b"v=", b"v=%", b"v=QUJD", b"x=1", b"\xff"])
    def test_a_server_that_does_not_know_the_password(self, server_final):
        client, (_, server_first, _, _) = self.client()
        client.respond(server_first)
        with pytest.raises(ParseError):
            client.respond(server_final)
        with pytest.raises(ParseError, match="without the server's proof"):
            client.finish()

    def test_success_without_the_servers_proof_is_none(self):
        client, (_, server_first, _, _) = self.client()
        with pytest.raises(ParseError, match="success without the server's proof of SCRAM-SHA-256"):
            client.finish()
        client.respond(server_first)
        with pytest.raises(ParseError, match="success without the server's proof of SCRAM-SHA-256"):
            client.finish()

    def test_an_error_is_told_and_answered_and_is_no_success(self):
        client, (_, server_first, _, _) = self.client()
        client.respond(server_first)
        assert client.respond(b"e=invalid-proof") == b""
        assert client.mechanism.error == {"error": "invalid-proof"}
        with pytest.raises(ParseError):
            client.finish()
        with pytest.raises(ParseError, match="after its end"):
            client.respond(b"v=")

    @pytest.mark.parametrize(
        "facts",
        [
            {"username": "", "password": "x"},
            {"username": "a\x07", "password": "x"},
            {"username": "a", "password": "x\x07"},
            {"username": "a", "password": b"\xff"},
            {"username": "a", "password": ""},
            {"username": "a", "password": "x", "authzid": "\0"},
        ],
    )
    def test_credentials_that_cannot_be_used(self, facts):
        with pytest.raises(ParseError):
            client_mechanism("SCRAM-SHA-1", **facts).start()


class TestServerAgainstAClient:
    @pytest.mark.parametrize(
        "first",
        [
            b"",
            b"n",
            b"n,,",
            b"n,",
            b"n,n=user,r=abc",
            b"x,,n=user,r=abc",
            b",,n=user,r=abc",
            b"p=,,n=user,r=abc",
            b"p=n,,n=user,r=abc",
            b"n,user,n=user,r=abc",
            b"n,a=us=er,n=user,r=abc",
            b"n,,n=us=er,r=abc",
            b"n,,n=us=2cer,r=abc",
            b"n,,n=user=,r=abc",
            b"n,,n=,r=abc",
            b"n,,n=\x07,r=abc",
            b"n,,n=user,r=",
            b"n,,n=user,r=a b",
            b"n,,n=user",
            b"n,,r=abc,n=user",
            b"n,,m=x,n=user,r=abc",
            b"n,,n=\xff,r=abc",
            b"n,,n=a\0,r=abc",
        ],
    )
    def test_malformed_first_messages(self, serve, first):
        with pytest.raises(ParseError) as caught:
            serve("SCRAM-SHA-1", first)
        assert caught.value.code == 501

    @pytest.mark.parametrize(
        "final",
        [
            b"",
            b"c=biws,r=abcdef",
            b"c=biws,p=QUJD",
            b"r=abcdef,c=biws,p=QUJD",
            b"c=biws,r=abcdef,p=",
            b"c=biws,r=abcdef,p=%",
        ],
    )
    def test_malformed_final_messages(self, serve, final):
        with pytest.raises(ParseError):
            serve("SCRAM-SHA-1", b"n,,n=user,r=abc", [final], "pencil", nonce="def", **FAST)

    @pytest.mark.parametrize(
        "change", [lambda proof: proof[:-1], lambda proof: proof + b"x", lambda proof: proof[::-1]]
    )
    def test_a_proof_of_another_length_or_value(self, serve, change):
        name, _, nonce, keys, (first, _, final, _) = published()
        without, _, proof = final.rpartition(b",p=")
        changed = without + b",p=" + b64encode(change(b64decode(proof)))
        assert serve(name, first, [changed], keys, nonce=nonce)[0] is None

    def test_extensions_that_are_not_known_are_ignored(self, serve):
        name, nonce, server_nonce, keys, _ = published()
        client = client_mechanism(name, **USER, nonce=nonce + ",x=y")
        exchange = server_mechanism(name, client.start(), nonce=server_nonce)
        next(exchange)
        assert exchange.send(keys).octets.startswith(f"r={nonce}{server_nonce},".encode())

    def test_the_end_is_an_empty_line(self, serve):
        name, _, nonce, keys, (first, _, final, _) = published()
        with pytest.raises(ParseError, match="empty line"):
            serve(name, first, [final, b"x"], keys, nonce=nonce)

    @given(st.text("nyp=,arcsim=2CD é\0", max_size=30), st.text("cr=,p=biws abcdef", max_size=40))
    @settings(max_examples=150, deadline=None, derandomize=True)
    def test_any_messages_are_read_or_a_parse_error(self, first, final):
        keys = ScramKeys.derive("pencil", "SCRAM-SHA-1", iterations=1, salt=b"salt")
        with suppress(ParseError, StopIteration):
            exchange = server_mechanism("SCRAM-SHA-1", first.encode(), nonce="def")
            assert isinstance(next(exchange), FetchSecret)
            assert isinstance(exchange.send(keys), Challenge)
            exchange.send(final.encode())


def test_what_is_stored_is_a_password_or_keys_of_the_same_hash():
    keys = ScramKeys.derive("secret", "SCRAM-SHA-256", iterations=2)
    for mechanism, fits in ((ScramSHA256, True), (ScramSHA256Plus, True), (ScramSHA1, False)):
        assert mechanism.accepts("secret")
        assert mechanism.accepts(b"secret")
        assert mechanism.accepts(keys) is fits
        assert not mechanism.accepts(None)
