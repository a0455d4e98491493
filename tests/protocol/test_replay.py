"""A transcript played again: the same talk goes through, any other is refused with the line where it went astray."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import (
    AuthenticationError,
    LocalProtocolError,
    MessageRefused,
    ParseError,
    RecipientsRefused,
    ReplayMismatch,
)
from smtpkit.protocol import CHUNK, DONE, READ, WRITE, ClientConfig, ClientConnection, Credentials, Transport
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.exchanges import opening, quit_session
from smtpkit.protocol.replay import ScriptedClient, ScriptedServer
from smtpkit.protocol.sending import Sending
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.protocol.transcript import Transcript

HELLO = "S: 220 mx.example\nC: EHLO c.example\nS: 250 mx.example\n"
MESSAGE = HELLO + "C: MAIL FROM:<a@a.example>\nS: 250 ok\nC: RCPT TO:<b@b.example>\nS: 250 ok\nC: DATA\nS: 354 go\n"
SIZED = MESSAGE.replace("S: 250 mx.example", "S: 250 SIZE").replace("a.example>\n", "a.example> SIZE=5\n")


def server(text, **settings):
    return ScriptedServer(Transcript.parse(text), **settings)


def client(text, **settings):
    return ScriptedClient(Transcript.parse(text), **settings)


def ask(script, octets):
    script.receive_data(octets)
    return script.data_to_send()


def mismatch(script, octets):
    with pytest.raises(ReplayMismatch) as caught:
        script.receive_data(octets)
    error = caught.value
    return error.line, error.expected, error.received


class TestScriptedServer:
    def test_it_answers_as_recorded_and_closes_at_the_end(self):
        script = server("# x\n" + HELLO + "C: QUIT\nS: 221 bye")
        assert script.data_to_send() == b"220 mx.example\r\n"
        assert script.data_to_send() == b""
        assert ask(script, b"EHLO c.exa") == b""
        assert ask(script, b"mple\r\n") == b"250 mx.example\r\n"
        assert script.transport is Transport.READ
        assert not script.done
        assert ask(script, b"QUIT\r\n") == b"221 bye\r\n"
        assert script.done
        assert script.transport is Transport.CLOSE
        script.receive_data(b"")

    def test_groups_are_answered_in_the_order_of_the_record(self):
        script = server("C: MAIL FROM:<>\nC: RCPT TO:<a@b.example>\nS: 250-one\nS: 250 more\nS: 550 no")
        assert ask(script, b"MAIL FROM:<>\r\n") == b""
        assert ask(script, b"RCPT TO:<a@b.example>\r\n") == b"250-one\r\n250 more\r\n550 no\r\n"

    def test_another_command_is_named_with_the_line(self):
        script = server("# x\n" + HELLO)
        assert mismatch(script, b"HELO c.example\r\n")[:2] == (3, "C: EHLO c.example")
        assert str(mismatch(server(HELLO), b"EHLO d\r\n")[2]) == "C: EHLO d"

    def test_what_comes_behind_the_end_is_named(self):
        script = server(HELLO)
        assert mismatch(script, b"EHLO c.example\r\nNOOP\r\n") == (4, "nothing more", b"NOOP\r\n")

    def test_the_end_of_the_stream_before_the_end_of_the_transcript_is_named(self):
        assert mismatch(server(HELLO), b"") == (2, "C: EHLO c.example", "the end of the stream")

    def test_a_secret_may_be_any_and_is_in_no_error(self):
        text = "C: AUTH PLAIN <hidden>\nS: 334 <hidden>\nC: <hidden>\nS: 235 ok\nC: NOOP"
        script = server(text, secrets=[b"eA=="])
        assert ask(script, b"auth plain c2VjcmV0\r\n") == b"334 eA==\r\n"
        assert ask(script, b"c2VjcmV0\r\n") == b"235 ok\r\n"
        line, expected, received = mismatch(script, b"c2VjcmV0\r\n")
        assert (line, expected, str(received)) == (5, "C: NOOP", "C: <hidden>")
        assert ask(server(text), b"AUTH PLAIN x\r\n") == b"334 \r\n"
        assert "c2VjcmV0" not in str(mismatch(server(text), b"AUTH LOGIN c2VjcmV0\r\n")[2])

    @pytest.mark.parametrize("size", [1, 3, 1000])
    def test_content_may_be_any(self, size):
        script = server(MESSAGE + "C: <9 octets of content>\nC: .\nS: 250 done")
        said = b"EHLO c.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"
        heard = ask(script, said)
        said = b"..x\r\ny\r\n.\r\n"
        for start in range(0, len(said), size):
            heard += ask(script, said[start : start + size])
        assert heard.endswith(b"354 go\r\n250 done\r\n")

    def test_sizes_in_commands_may_be_any_unless_strict(self):
        said = b"EHLO c.example\r\nMAIL FROM:<a@a.example> SIZE=99\r\n"
        assert ask(server(SIZED), said).endswith(b"250 ok\r\n")
        assert mismatch(server(SIZED, strict=True), said)[0] == 4
        assert ask(server("C: BDAT 3 LAST\nC: a\nS: 250 ok"), b"BDAT 5 LAST\r\nhello") == b"250 ok\r\n"
        assert mismatch(server("C: BDAT 3 LAST\nC: a\nS: 250 ok"), b"BDAT 3\r\n")[0] == 1

    @pytest.mark.parametrize(
        ("recorded", "said", "received"),
        [
            ("C: hi\nC: .", b"ho\r\n.\r\n", b"ho\r\n"),
            ("C: hi\nC: .", b"hi\r\nho\r\n.\r\n", "8 octets of content"),
            ("C: hi\nC: .", b"..hi\r\n.\r\n", "5 octets of content"),
            ("C: <4 octets of content>\nC: .", b".\r\n", "0 octets of content"),
        ],
    )
    def test_strict_wants_the_content(self, recorded, said, received):
        text = f"C: DATA\nS: 354 go\n{recorded}\nS: 250 ok"
        line, _, what = mismatch(server(text, strict=True), b"DATA\r\n" + said)
        assert (line, what) == (3, received)
        assert ask(server(text), b"DATA\r\n" + said).endswith(b"250 ok\r\n")
        right = b"hi\r\n.\r\n"
        assert ask(server(text, strict=True), b"DATA\r\n" + right).endswith(b"250 ok\r\n")

    def test_strict_wants_the_content_of_chunks(self):
        text = "C: BDAT 3 LAST\nC: a\nS: 250 ok"
        assert ask(server(text, strict=True), b"BDAT 3 LAST\r\na\r\n") == b"250 ok\r\n"
        assert mismatch(server(text, strict=True), b"BDAT 3 LAST\r\nabc")[2] == b"abc"

    def test_a_server_that_did_not_wait_for_the_end_does_not_again(self):
        text = "C: DATA\nS: 354 go\nC: <5 octets of content>\nS: 552 too much"
        script = server(text)
        assert ask(script, b"DATA\r\nabc") == b"354 go\r\n"
        assert ask(script, b"de") == b"552 too much\r\n"
        assert mismatch(server(text), b"DATA\r\nab\r\n.\r\n")[2] == "the end of the content"
        chunk = "C: BDAT 9\nC: <4 octets of content>\nS: 552 too much"
        assert ask(server(chunk), b"BDAT 9\r\nabc") == b""
        assert ask(server(chunk), b"BDAT 9\r\nabcd") == b"552 too much\r\n"
        assert ask(server("C: DATA\nS: 354 go\nS: 421 bye"), b"DATA\r\n") == b"354 go\r\n421 bye\r\n"

    def test_commands_behind_content_are_read(self):
        text = "C: DATA\nS: 354 go\nC: hi\nC: .\nC: BDAT 2\nC: x\\\nC: y\\\nC: QUIT\nS: 250 a"
        assert ask(server(text), b"DATA\r\nhi\r\n.\r\nBDAT 2\r\nxyQUIT\r\n").endswith(b"250 a\r\n")

    def test_tls_begins_where_it_began(self):
        script = server("C: STARTTLS\nS: 220 go\n-- TLSv1.3\n" + HELLO[HELLO.index("C:") :])
        assert ask(script, b"STARTTLS\r\n") == b"220 go\r\n"
        assert script.transport is Transport.START_TLS
        script.tls_established(TLSFacts("TLSv1.2", "x"))
        assert script.transport is Transport.READ
        assert ask(script, b"EHLO c.example\r\n") == b"250 mx.example\r\n"

    def test_octets_in_clear_behind_starttls_are_no_tls(self):
        script = server("C: STARTTLS\nS: 220 go\n-- TLSv1.3\nC: NOOP")
        assert mismatch(script, b"STARTTLS\r\nNOOP\r\n") == (3, "the beginning of TLS", b"NOOP\r\n")

    def test_implicit_tls_begins_first(self):
        script = server("-- TLSv1.3\n" + HELLO)
        assert script.transport is Transport.START_TLS
        assert script.data_to_send() == b""
        script.tls_established()
        assert script.data_to_send() == b"220 mx.example\r\n"

    def test_tls_begins_nowhere_else(self):
        with pytest.raises(LocalProtocolError, match="expected C: EHLO"):
            server(HELLO).tls_established()

    def test_it_shows_how_much_is_left(self):
        assert repr(server(HELLO)) == "<ScriptedServer: 2 turns left>"

    def test_content_where_none_can_be_is_refused_beforehand(self):
        with pytest.raises(ParseError):
            server("C: <4 octets of content>")


class TestScriptedClient:
    def test_it_says_what_was_recorded_and_checks_the_codes(self):
        script = client(HELLO + "C: QUIT\nS: 221 2.0.0 bye")
        assert script.data_to_send() == b""
        assert ask(script, b"220 other.example\r\n") == b"EHLO c.example\r\n"
        assert ask(script, b"250-other\r\n250-SIZE") == b""
        assert ask(script, b"\r\n250 HELP\r\n") == b"QUIT\r\n"
        assert mismatch(script, b"221 2.0.1 bye\r\n") == (5, "S: 221 2.0.0 bye", b"221 2.0.1 bye")

    @pytest.mark.parametrize("reply", [b"250 mx\r\n", b"554 5.3.2 no\r\n", b"220-a\r\n221 b\r\n", b"HTTP/1.1 400\r\n"])
    def test_another_reply_is_named_with_the_line(self, reply):
        line, expected, received = mismatch(client("# x\n" + HELLO), reply)
        assert (line, expected) == (2, "S: 220 mx.example")
        assert received == reply[:-2]

    def test_what_was_no_reply_must_be_the_same_again(self):
        script = client("S: HTTP/1.1 400\nC: QUIT\nS: 221 bye")
        assert ask(script, b"HTTP/1.1 400\r\n") == b"QUIT\r\n"
        assert ask(script, b"221 bye\r\n") == b""
        assert script.done
        assert mismatch(client("S: HTTP/1.1 400"), b"220 mx\r\n")[0] == 1

    def test_strict_wants_the_text(self):
        text = "S: 220-a\nS: 220 \nC: AUTH PLAIN\nS: 334 <hidden>\nC: QUIT"
        assert client(text, strict=True)
        script = client(text, strict=True)
        assert ask(script, b"220-a\r\n220\r\n") == b"AUTH PLAIN\r\n"
        assert ask(script, b"334 eA==\r\n") == b"QUIT\r\n"
        assert mismatch(client(text, strict=True), b"220-b\r\n220 \r\n")[0] == 1
        assert ask(client(text), b"220 whatever\r\n") == b"AUTH PLAIN\r\n"

    def test_a_secret_must_be_given(self):
        text = "C: AUTH PLAIN <hidden>\nS: 334 \nC: <hidden>\nS: 235 ok"
        script = client(text, secrets=[b"eA==", b"eQ=="])
        assert script.data_to_send() == b"AUTH PLAIN eA==\r\n"
        assert ask(script, b"334 \r\n") == b"eQ==\r\n"
        with pytest.raises(LocalProtocolError, match="line 1 of the transcript is hidden"):
            client(text)
        script = client(text, secrets=[b"eA=="])
        with pytest.raises(LocalProtocolError, match="line 3 of the transcript is hidden"):
            script.receive_data(b"334 \r\n")

    def test_content_is_sent_as_it_was_or_made_up(self):
        text = "C: DATA\nS: 354 go\n{}\nS: 250 ok"
        for recorded, sent in {
            "C: ..hi\nC: .": b"..hi\r\n.\r\n",
            "C: .": b".\r\n",
            "C: <5 octets of content>\nC: .": b"xxx\r\n.\r\n",
            "C: a\nC: <6 octets of content>": b"a\r\nx\r\n",
        }.items():
            script = client(text.format(recorded))
            assert script.data_to_send() == b"DATA\r\n"
            assert ask(script, b"354 go\r\n") == sent

    def test_chunks_are_sent_with_their_size(self):
        script = client("C: BDAT 2\nC: <2 octets of content>\nC: BDAT 3 LAST\nC: .x\\\nC: y\\")
        assert script.data_to_send() == b"BDAT 2\r\n\r\nBDAT 3 LAST\r\n.xy"

    def test_the_end_of_the_stream_before_the_end_of_the_transcript_is_named(self):
        assert mismatch(client(HELLO), b"") == (1, "S: 220 mx.example", "the end of the stream")

    def test_a_reply_too_many_is_named(self):
        script = client("S: 220 a\nC: QUIT")
        assert mismatch(script, b"220 a\r\n250 b\r\n") == (3, "nothing more", b"250 b\r\n")

    def test_tls_begins_where_it_began(self):
        script = client("C: STARTTLS\nS: 220 go\n-- TLSv1.3\nC: EHLO c")
        assert script.data_to_send() == b"STARTTLS\r\n"
        assert ask(script, b"220 go\r\n") == b""
        assert script.transport is Transport.START_TLS
        script.tls_established()
        assert script.data_to_send() == b"EHLO c\r\n"


class Dialing:
    """A live client whose server is a script."""

    def __init__(self, text, credentials=None, transcript=None, **settings):
        self.script = server(text, **settings)
        self.core = ClientConnection(ClientConfig(), transcript=transcript)
        self.driver = ClientDriver(self.core)
        self.driver.receive(self.script.data_to_send())
        self.run(opening(self.core, "c.example", tls="off", credentials=credentials, allow_auth_in_clear=True))

    def run(self, exchange, body=()):
        self.driver.start(exchange)
        pieces, answer = iter(body), None
        while (need := self.driver.next(answer)) is not DONE:
            answer = next(pieces, None) if need is CHUNK else need.function() if hasattr(need, "function") else None
            if need is READ or need is WRITE:
                if octets := self.driver.take():
                    self.script.receive_data(octets)
                if octets := self.script.data_to_send():
                    self.driver.receive(octets)
        return self.driver.result

    def send(self, body, *recipients):
        sending = Sending(self.core, "a@a.example", recipients or ["b@b.example"], body, {})
        return self.run(sending.exchange(), [body])


GREETING = "S: 220 mx\nC: EHLO c.example\nS: 250-mx\nS: 250-AUTH PLAIN LOGIN\nS: 250 PIPELINING\n"
GROUP = "C: MAIL FROM:<a@a.example>\nC: RCPT TO:<b@b.example>\nC: DATA\nS: 250 ok\n"


class TestLiveClient:
    @pytest.mark.parametrize(
        ("text", "error"),
        [
            (GROUP + "S: 550 5.1.1 nobody\nS: 503 no\nC: RSET\nS: 250 ok", RecipientsRefused),
            (GROUP + "S: 250 ok\nS: 354 go\nC: <77 octets of content>\nC: .\nS: 554 5.7.1 spam", MessageRefused),
        ],
    )
    def test_a_recorded_failure_gives_the_same_verdict_again(self, text, error):
        dialing = Dialing(GREETING + text)
        with pytest.raises(error):
            dialing.send(b"Subject: x\r\n")
        assert dialing.script.done

    @settings(derandomize=True, max_examples=30, deadline=None)
    @given(
        st.text("a.\r\n", max_size=40).map(lambda text: text.replace("\r", "").replace("\n", "\r\n").encode()),
        st.booleans(),
        st.sampled_from(["", "S: 250-CHUNKING\n", "S: 250-SIZE\n"]),
    )
    def test_what_a_client_recorded_can_be_played_to_it_again(self, body, content, extension):
        """First against a server by hand, then against its own record, which makes the same record."""
        hello = GREETING.replace("S: 250-AUTH PLAIN LOGIN\n", extension)
        first = Transcript(content=content)
        live = Dialing(hello, transcript=first)
        live.script = Anybody()
        live.send(body)
        live.run(quit_session())
        again = Transcript(content=content)
        replay = Dialing(str(first), transcript=again, strict=True)
        replay.send(body)
        replay.run(quit_session())
        assert replay.script.done
        assert again == first

    def test_a_login_can_be_replayed_with_another_password(self):
        credentials = Credentials("user", "any other")
        assert Dialing(f"{GREETING}C: AUTH PLAIN <hidden>\nS: 235 ok", credentials).script.done
        with pytest.raises(AuthenticationError, match=r"535 5\.7\.8 wrong"):
            Dialing(f"{GREETING}C: AUTH PLAIN <hidden>\nS: 535 5.7.8 wrong", credentials)


class Anybody:
    """A server that accepts."""

    def __init__(self):
        self.out, self.content = b"", False

    def receive_data(self, octets):
        while octets:
            if self.content:
                _, _, octets = (b"\r\n" + octets).partition(b"\r\n.\r\n")
                self.content = False
                self.out += b"250 done\r\n"
                continue
            line, _, octets = octets.partition(b"\r\n")
            self.content = line == b"DATA"
            if line.startswith(b"BDAT"):
                octets = octets[int(line.split()[1]) :]
            self.out += b"354 go\r\n" if self.content else b"221 bye\r\n" if line == b"QUIT" else b"250 ok\r\n"

    def data_to_send(self):
        octets, self.out = self.out, b""
        return octets
