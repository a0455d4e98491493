"""Transcripts: what is said is shown, what is secret never is, neither fills the memory, and text brings it back."""

import pickle
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import ParseError, SMTPError
from smtpkit.protocol import (
    CHUNK,
    CLOSE,
    DONE,
    READ,
    WRITE,
    AuthPolicy,
    BodyChunk,
    ClientConfig,
    ClientConnection,
    Credentials,
)
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.config import ServerConfig
from smtpkit.protocol.exchanges import opening, quit_session
from smtpkit.protocol.sending import Sending
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import SessionFacts
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.protocol.transcript import Transcript, without_secrets
from smtpkit.protocol.transcript_entries import Comment, ContentSize, Line, TLSStarted
from smtpkit.sasl import mechanism_names
from smtpkit.wire.commands import parse_command

EXTENSIONS = ("PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES")


def everything(transcript):
    """All that anybody may see of a transcript, in one string of octets."""
    shown = [str(transcript), repr(transcript), repr(transcript.entries), *transcript.lines]
    return "\n".join(shown).encode() + pickle.dumps(transcript)


class TestRecording:
    def test_lines_stand_in_order_and_are_shown_as_they_happen(self):
        shown = []
        transcript = Transcript(shown.append)
        transcript.reply(b"220 mx.example\r\n")
        transcript.command(b"EHLO c.example\r\n")
        transcript.reply(b"250-mx.example\r\n250 SIZE 100\r\n")
        transcript.tls("TLSv1.3")
        assert transcript.lines == shown
        assert str(transcript) == "S: 220 mx.example\nC: EHLO c.example\nS: 250-mx.example\nS: 250 SIZE 100\n-- TLSv1.3"
        assert transcript.entries[1::3] == (Line("C", b"EHLO c.example"), TLSStarted("TLSv1.3"))

    def test_what_should_have_been_a_reply_is_shown_too(self):
        transcript = Transcript()
        transcript.reply(b"HTTP/1.1 400 Bad Request")
        transcript.reply(b"y" * 5000)
        assert transcript.lines == ["S: HTTP/1.1 400 Bad Request", "S: " + "y" * 4096 + "\\"]

    def test_content_is_counted(self):
        transcript = Transcript()
        transcript.content(b"x" * 10)
        transcript.content(b"y" * 5)
        assert transcript.lines == ["C: <15 octets of content>"]
        transcript.reply(b"250 Ok")
        transcript.reply(b"250 Ok")
        assert transcript.lines == ["C: <15 octets of content>", "S: 250 Ok", "S: 250 Ok"]

    def test_what_was_refused_is_counted_though_it_is_not_at_hand(self):
        transcript = Transcript(content=True)
        transcript.content(b"one\r\n")
        transcript.content(b"", 100)
        transcript.end_of_data()
        assert transcript.lines == ["C: one", "C: <105 octets of content>", "C: ."]

    def test_content_may_be_shown_however_it_is_cut(self):
        for cut in range(12):
            transcript = Transcript(content=True)
            body = b"one\r\n.two\r\nx"
            transcript.content(body[:cut])
            transcript.content(body[cut:])
            assert transcript.lines == ["C: one", "C: ..two", "C: x\\"]
            transcript.reply(b"250 Ok")
            assert transcript.lines == ["C: one", "C: ..two", "C: x\\", "S: 250 Ok"]

    def test_dots_are_doubled_after_data_and_not_in_chunks(self):
        transcript = Transcript(content=True)
        for command in (b"DATA", b"BDAT 3"):
            transcript.command(command)
            transcript.content(b".\r\n")
        assert transcript.lines == ["C: DATA", "C: ..", "C: BDAT 3", "C: ."]

    def test_of_long_content_the_first_lines_are_shown_and_the_size(self):
        transcript = Transcript(content=True)
        for _ in range(50):
            transcript.content(b"line\r\n")
        transcript.end_of_data()
        assert transcript.lines == ["C: line"] * 40 + ["C: <300 octets of content>", "C: ."]
        transcript.content(b"next\r\n")
        transcript.end_of_data()
        assert transcript.lines[-2:] == ["C: next", "C: ."]

    def test_a_line_without_end_is_not_kept_whole(self):
        transcript = Transcript(content=True)
        for _ in range(100):
            transcript.content(b"x" * 10_000)
        transcript.reply(b"250 Ok")
        assert transcript.lines == ["C: " + "x" * 4096 + "\\", "C: <1000000 octets of content>", "S: 250 Ok"]

    @pytest.mark.parametrize("content", [False, True])
    def test_of_content_that_is_cut_off_what_came_is_shown(self, content):
        shown = []
        transcript = Transcript(shown.append, content=content)
        transcript.content(b"one\r\ntw")
        transcript.flush()
        transcript.flush()
        assert shown == transcript.lines == (["C: one", "C: tw\\"] if content else ["C: <7 octets of content>"])

    def test_a_server_shows_it_when_the_client_has_gone(self):
        shown = []
        core = ServerConnection(ServerConfig("mx.example"), transcript=Transcript(shown.append))
        core.receive_data(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nabc\r\n")
        core.receive_data(b"")
        while not core.closed:
            core.next_event()
            if core.unanswered is not None:
                core.accept()
        assert shown[-1] == "C: <5 octets of content>"

    def test_a_client_shows_it_when_the_server_has_gone(self):
        shown = []
        core = ClientConnection(ClientConfig(), transcript=Transcript(shown.append))
        core.receive_data(b"220 a\r\n")
        core.next_event()
        for line in (b"EHLO c", b"MAIL FROM:<>", b"RCPT TO:<b@b.example>", b"DATA"):
            core.send(parse_command(line))
            core.receive_data(b"354 go\r\n" if line == b"DATA" else b"250 ok\r\n")
            core.next_event()
        core.send(BodyChunk(b"abc\r\n"))
        core.receive_data(b"")
        core.next_event()
        assert shown[-1] == "C: <5 octets of content>"


class TestSecrets:
    @pytest.mark.parametrize(
        ("line", "shown"),
        [
            (b"AUTH PLAIN AHUAcA==\r\n", "C: AUTH PLAIN <hidden>"),
            (b"auth plain AHUAcA==", "C: auth plain <hidden>"),
            (b"AUTH  PLAIN  AHUAcA== x", "C: AUTH PLAIN <hidden>"),
            (b" AUTH\tPLAIN AHUAcA==", "C: AUTH PLAIN <hidden>"),
            (b"AUTH NTLM TlRMTVNTUAAB", "C: AUTH NTLM <hidden>"),
            (b"AUTH LOGIN", "C: AUTH LOGIN"),
            (b"AUTH", "C: AUTH"),
            (b"AUTH AHUAcA==", "C: AUTH <hidden>"),
            (b"AUTH X-OWN", "C: AUTH <hidden>"),
            (b"AUTH \xff", "C: AUTH <hidden>"),
            (b"NOOP AUTH PLAIN x", "C: NOOP AUTH PLAIN x"),
            (b"PASS hunter2", "C: PASS <hidden>"),
            (b"FOO", "C: FOO"),
            (b"aHVudGVyMg==", "C: <hidden>"),
            (b"Donaudampfschifffahrtsgesellschaft", "C: <hidden>"),
            (b"", "C: "),
            (b"\xc3\xa9", "C: <hidden>"),
            (b"NOOP a\r\nb", "C: NOOP a\\x0ab"),
        ],
    )
    def test_of_what_may_hold_a_secret_only_the_verb_and_a_known_mechanism_are_shown(self, line, shown):
        transcript = Transcript()
        transcript.command(line)
        assert transcript.lines == [shown]

    def test_after_auth_what_is_no_command_may_be_a_stray_answer(self):
        transcript = Transcript()
        for line in (b"aHVudGVy", b"AUTH LOGIN", b"aHVudGVy", b"PASS hunter", b"RSET"):
            transcript.command(line)
        assert transcript.lines == ["C: aHVudGVy", "C: AUTH LOGIN", "C: <hidden>", "C: <hidden>", "C: RSET"]
        assert str(without_secrets(b"aHVudGVy", after_auth=True)) == "C: <hidden>"

    def test_every_mechanism_of_this_library_is_known(self):
        for name in mechanism_names():
            assert str(without_secrets(f"AUTH {name} x".encode())) == f"C: AUTH {name} <hidden>"

    def test_challenges_and_their_answers_are_hidden(self):
        transcript = Transcript()
        transcript.reply(b"334 c2VjcmV0")
        transcript.secret()
        transcript.reply(b"334 \r\n")
        assert transcript.lines == ["S: 334 <hidden>", "C: <hidden>", "S: 334 "]

    @pytest.mark.parametrize(
        ("reply", "shown"),
        [
            (b"535 5.7.8 wrong", "S: 535 5.7.8 wrong"),
            (b"500 unknown command: " + b64encode(b"\0user\0hunter22"), "S: 500 <hidden>"),
            (b"535-" + b64encode(b"\0user\0hunter22")[:-3], "S: 535 <hidden>"),
            (b"535 not hunter22", "S: 535 <hidden>"),
            (b"535 no", "S: 535 no"),
        ],
    )
    def test_a_server_that_repeats_a_secret_is_not_shown(self, reply, shown):
        transcript = Transcript()
        transcript.reply(reply, b64encode(b"\0user\0hunter22") + b"\r\n")
        assert transcript.lines == [shown]

    def test_a_server_that_repeats_a_token_is_not_shown(self):
        transcript = Transcript()
        transcript.reply(b"535 what is token-x", b64encode(b"user=tim\1auth=Bearer token-x\1\1"))
        assert transcript.lines == ["S: 535 <hidden>"]

    def test_an_answer_that_is_not_base64_is_not_shown_either(self):
        transcript = Transcript()
        transcript.reply(b"500 hunter2?", b"hunter2?")
        assert transcript.lines == ["S: 500 <hidden>"]


class TestValue:
    def test_it_compares_by_what_was_said_and_is_no_key(self):
        one, other = Transcript(), Transcript(print, entries=[Line("C", b"NOOP")])
        assert one != other
        one.command(b"NOOP")
        assert one == other
        assert one != str(one)
        with pytest.raises(TypeError):
            hash(one)

    def test_it_pickles_without_what_shows_it(self):
        transcript = Transcript(lambda line: None)
        transcript.content(b"x")
        assert pickle.loads(pickle.dumps(transcript)) == transcript

    def test_it_shows_its_size(self):
        assert repr(Transcript(entries=[Comment("")])) == "<Transcript: 1 lines>"

    @pytest.mark.parametrize("text", ["", "\n", "# x\n\nC: NOOP\nS: 250 \n\n", "S: 220 a\r\n-- TLSv1.3\r\n"])
    def test_text_is_read_and_written(self, text):
        assert str(Transcript.parse(text)) == text.replace("\r", "").rstrip("\n")

    def test_empty_lines_are_kept_but_for_those_at_the_end(self):
        assert str(Transcript.parse("\n# a\n\nC: NOOP\n\n")) == "\n# a\n\nC: NOOP"

    def test_what_follows_goes_behind_what_was_read(self):
        transcript = Transcript.parse("C: NOOP")
        transcript.reply(b"250 Ok")
        assert transcript.entries == (Line("C", b"NOOP"), Line("S", b"250 Ok"))

    def test_what_cannot_be_read_is_named_by_its_line(self):
        with pytest.raises(ParseError, match="line 2 of a transcript: not a line of a transcript"):
            Transcript.parse("C: NOOP\nok\n")

    calls = st.one_of(
        st.tuples(st.just("command"), st.binary(max_size=12)),
        st.tuples(st.just("command"), st.sampled_from([b"DATA", b"BDAT 9", b"AUTH PLAIN eA==", b"VRFY <hidden>"])),
        st.tuples(st.just("reply"), st.binary(max_size=12)),
        st.tuples(st.just("content"), st.text("a.\r\n\\<é", max_size=12).map(str.encode)),
        st.sampled_from([("secret",), ("end_of_data",), ("tls", "TLSv1.3")]),
    )

    @settings(derandomize=True, max_examples=300, deadline=None)
    @given(st.lists(calls, max_size=8), st.booleans())
    def test_whatever_is_recorded_comes_back_from_its_text(self, calls, content):
        shown = []
        transcript = Transcript(shown.append, content=content)
        for method, *arguments in calls:
            getattr(transcript, method)(*arguments)
        assert Transcript.parse(str(transcript)) == transcript
        assert Transcript.parse(str(transcript) + "\n") == transcript
        assert pickle.loads(pickle.dumps(transcript)) == transcript
        assert transcript.lines[: len(shown)] == shown


class Session:
    """A client and a server in memory, each with a transcript."""

    def __init__(self, policy=None, credentials=None, content=False, **config):
        self.ours, self.theirs = Transcript(content=content), Transcript(content=content)
        self.core = ClientConnection(ClientConfig(), transcript=self.ours)
        self.client = ClientDriver(self.core)
        server = ServerConnection(ServerConfig("mx.example", auth=policy, **config), transcript=self.theirs)
        facts = TLSFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")
        self.core.tls_established(facts)
        server.tls_established(facts)
        self.server = ServerDriver(server, SessionFacts(), ("on_login",))
        self.policy, self.credentials = policy, credentials
        self.serve()

    def open(self):
        self.perform(opening(self.core, "c.example", tls="off", credentials=self.credentials))
        return self

    def perform(self, exchange, body=()):
        self.client.start(exchange)
        pieces, answer = iter(body), None
        while (need := self.client.next(answer)) is not DONE:
            answer = next(pieces, None) if need is CHUNK else need.function() if hasattr(need, "function") else None
            if (need is READ or need is WRITE) and (octets := self.client.take()):
                self.server.receive(octets)
                self.serve()
        return self.client.result

    def serve(self):
        answer = None
        while (need := self.server.next(answer)) is not READ and need is not CLOSE:
            answer = None if need is WRITE else self.policy.answer(need.argument)
        if octets := self.server.take():
            self.client.receive(octets)


printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=24).map("~#{}".format)
MECHANISMS = [name for kind in ("password", "token") for name in mechanism_names(kind) if not name.endswith("-PLUS")]


class TestBothRoles:
    @pytest.mark.parametrize("extensions", [EXTENSIONS[1:], (*EXTENSIONS[1:], "CHUNKING")])
    @pytest.mark.parametrize("content", [False, True])
    @pytest.mark.parametrize("body", [b"Subject: x\r\n\r\n.dot\r\nlast", b"", b"line\r\n" * 60])
    def test_both_roles_record_the_same(self, extensions, content, body):
        session = Session(content=content, extensions=extensions).open()
        sending = Sending(session.core, "a@a.example", ["b@b.example", "c@c.example"], body, {})
        session.perform(sending.exchange(), [body])
        session.perform(quit_session())
        assert session.ours == session.theirs
        assert Transcript.parse(str(session.ours)) == session.ours
        assert session.ours.lines[-2:] == ["C: QUIT", "S: 221 2.0.0 mx.example closing"]
        size = len(body) + (2 if body and not body.endswith(b"\n") else 0)
        if body and not content:
            assert ContentSize(size) in session.ours.entries or ContentSize(len(body)) in session.ours.entries

    @settings(derandomize=True, max_examples=6, deadline=None)
    @pytest.mark.parametrize("name", MECHANISMS)
    @given(printable, st.booleans())
    def test_no_credential_is_in_a_transcript_of_either_role(self, name, secret, right):
        kept = {"user@x.example": secret if right else secret + "!"}

        def verify(question):
            if hasattr(question, "token"):
                return right and question.token == secret
            if hasattr(question, "password"):
                return kept.get(question.username) == question.password
            return kept.get(question.username)

        policy = AuthPolicy(verify, mechanisms=[name], required=False)
        by_token = name in mechanism_names("token")
        credentials = Credentials("user@x.example", None if by_token else secret, token=secret if by_token else None)
        session = Session(policy, credentials, extensions=EXTENSIONS)
        if right:
            session.open()
        else:
            with pytest.raises(SMTPError):
                session.open()
        assert session.ours == session.theirs
        for transcript in (session.ours, session.theirs):
            assert any(str(entry).startswith(f"C: AUTH {name}") for entry in transcript.entries)
            assert_hidden(transcript, secret)

    @settings(derandomize=True, max_examples=200, deadline=None)
    @given(
        printable,
        st.lists(
            st.sampled_from(
                [
                    "AUTH PLAIN {plain}",
                    "AUTH  plain\t{plain} junk",
                    "AUTH {plain}",
                    "AUTH PLAIN{plain}",
                    "AUTH PLAIN",
                    "AUTH LOGIN",
                    "AUTH LOGIN {user}",
                    "AUTH CRAM-MD5",
                    "AUTH NTLM {plain}",
                    "AUTH XOAUTH2 {bearer}",
                    "AUTHPLAIN {plain}",
                    "XAUTH {plain}",
                    "LOGIN user {secret}",
                    "PASS {secret}",
                    "{secret}",
                    "{plain}",
                    "{password}",
                    "{user}",
                    "*",
                    "=",
                    "{password}" + "=" * 600,
                    "{password}" + "=" * 13000,
                    "STARTTLS",
                    "MAIL FROM:<a@b.example>",
                    "RSET",
                ]
            ),
            max_size=8,
        ),
        st.sampled_from([("PLAIN",), ("LOGIN", "PLAIN"), ("CRAM-MD5",)]),
    )
    def test_whatever_a_client_does_with_a_credential_the_server_does_not_record_it(self, secret, said, mechanisms):
        transcript = Transcript(content=True)
        policy = AuthPolicy({"user": secret}, mechanisms=mechanisms, allow_in_clear=True, attempts=9)
        core = ServerConnection(ServerConfig("mx.example", auth=policy), transcript=transcript)
        forms = {
            "secret": secret,
            "plain": b64encode(b"\0user\0" + secret.encode()).decode(),
            "password": b64encode(secret.encode()).decode(),
            "user": b64encode(b"user").decode(),
            "bearer": b64encode(b"user=user\1auth=Bearer " + secret.encode() + b"\1\1").decode(),
        }
        for line in ("EHLO c.example", *said):
            core.receive_data(line.format_map(forms).encode() + b"\r\n")
            while core.next_event() is not core.next_event():
                if core.unanswered is not None:
                    answer = policy.answer(core.unanswered) if hasattr(core.unanswered, "username") else None
                    core.accept() if answer is None else core.supply(answer)
        assert len(transcript.entries) >= 2
        assert_hidden(transcript, secret)
        assert Transcript.parse(str(transcript)) == transcript

    @pytest.mark.parametrize("said", [b"hunter22 is wrong", b64encode(b"\0user\0hunter22")])
    def test_a_hostile_server_that_repeats_a_secret_is_not_recorded(self, said):
        transcript = Transcript()
        core = ClientConnection(ClientConfig(), transcript=transcript)
        client = ClientDriver(core)
        client.start(
            opening(core, "c", tls="off", credentials=Credentials("user", "hunter22"), allow_auth_in_clear=True)
        )
        for octets in (b"220 x\r\n", b"250-x\r\n250 AUTH PLAIN\r\n"):
            client.receive(octets)
            assert client.next(None) is READ
        client.receive(b"535 5.7.8 " + said + b"\r\n")
        with pytest.raises(SMTPError):
            client.next(None)
        assert "S: 535 <hidden>" in transcript.lines
        assert_hidden(transcript, "hunter22")


def assert_hidden(transcript, secret):
    shown = everything(transcript)
    for form in (secret.encode(), b64encode(secret.encode())[:10], b64encode(b"\0user\0" + secret.encode())[:16]):
        assert form not in shown


def test_a_transcript_may_show_and_keep_nothing():
    shown = []
    transcript = Transcript(shown.append, keep=False)
    transcript.command(b"NOOP\r\n")
    transcript.reply(b"250 Ok\r\n")
    assert shown == ["C: NOOP", "S: 250 Ok"]
    assert transcript.lines == []
