"""AUTH on the server's side, line by line (RFC 4954)."""

import base64
import runpy
import ssl
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.errors import LocalProtocolError
from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.events import Answered
from smtpkit.protocol.server_auth import ServerLogin
from smtpkit.protocol.states import State
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.sasl import client_mechanism
from smtpkit.sasl.channel_binding import tls_server_end_point
from smtpkit.sasl.mechanism import Mechanism
from smtpkit.sasl.questions import FetchSecret, VerifyPassword, VerifyToken
from smtpkit.sasl.scram_keys import ScramKeys
from smtpkit.wire.replies import Reply

playing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))
Play, config, codes, b64 = playing.Play, playing.config, playing.codes, playing.b64
TRANSACTION, LOGIN, with_login = playing.TRANSACTION, playing.LOGIN, playing.with_login

WRONG = b"AUTH PLAIN " + b64(b"\0user\0wrong") + b"\r\n"


def session(config_=None, decisions=None, **settings):
    play = Play(config_ or with_login(**settings), decisions)
    play.say(b"EHLO c.example\r\n")
    return play


def log_in(play, mechanism, password="pass", **facts):
    """Play a client's login; the code it ends with."""
    login = client_mechanism(mechanism, username="user", password=password, **facts)
    first = login.start()
    answer = play.say(f"AUTH {mechanism}".encode() + (b"" if first is None else b" " + b64(first)) + b"\r\n")
    while answer.startswith(b"334"):
        answer = play.say(b64(login.respond(base64.b64decode(answer[4:-2]))) + b"\r\n")
    if answer.startswith(b"235"):
        login.finish()
    (code,) = codes(answer)
    return code


class TestPlain:
    def test_with_an_initial_response(self):
        play = session()
        assert play.say(LOGIN) == b"235 2.7.0 Authenticated\r\n"
        assert play.core.identity == "user"
        assert play.core.protocol == "ESMTPA"
        assert VerifyPassword("", "user", "pass") in play.events

    def test_without_one_an_empty_challenge_asks_for_it(self):
        play = session()
        assert play.say(b"AUTH PLAIN\r\n") == b"334 \r\n"
        assert play.core.waiting_for == "AUTH"
        assert codes(play.say(b64(b"\0user\0pass") + b"\r\n")) == [235]

    def test_an_empty_one_is_a_response(self):
        assert codes(session().say(b"AUTH PLAIN =\r\n")) == [501]

    def test_a_wrong_password_is_535(self):
        play = session()
        assert play.say(WRONG) == b"535 5.7.8 Authentication credentials invalid\r\n"
        assert play.core.identity is None
        assert play.core.state is State.READY
        assert codes(play.say(LOGIN)) == [235]

    def test_a_response_that_is_no_message_is_501(self):
        assert session().say(b"AUTH PLAIN " + b64(b"user") + b"\r\n").startswith(b"501 5.5.2 ")

    @pytest.mark.parametrize(
        "line",
        [
            b"=",
            b"A",
            b"AHVz ZXI",
            b"AHVz=ZXI",
            b"AHVzZXIAcGFzcw",
            b"\xff",
            b"**",
            b"AHVz!ZXIAcGFzcw==",
            b"AHVzZXIAcGFzcw==A",
            b"AHVzZXIAcGFzcx==",  # a second spelling of the same octets
        ],
    )
    def test_a_response_that_is_not_base64_is_501(self, line):
        play = session()
        assert codes(play.say(b"AUTH PLAIN\r\n")) == [334]
        assert play.say(line + b"\r\n").startswith(b"501 5.5.2 ")
        assert codes(play.say(b"NOOP\r\n")) == [250]

    def test_in_the_initial_response_too(self):
        assert session().say(b"AUTH PLAIN AHVz!\r\n").startswith(b"501 5.5.2 ")

    def test_an_asterisk_cancels(self):
        play = session()
        assert codes(play.say(b"AUTH PLAIN\r\n*\r\nNOOP\r\n")) == [334, 501, 250]
        assert play.events[-2] == Answered(None, say.AUTH_CANCELLED)

    def test_a_line_that_is_too_long_is_500_and_the_session_goes_on(self):
        play = session()
        fits = b64(b"\0user\0" + b"x" * (12288 // 4 * 3 - 6))
        assert len(fits) == 12288
        assert codes(play.say(b"AUTH PLAIN\r\n" + fits + b"\r\n")) == [334, 535]
        assert play.say(b"AUTH PLAIN\r\n" + fits + b"A\r\nNOOP\r\n") == (
            b"334 \r\n500 5.5.6 Authentication exchange line too long\r\n250 2.0.0 Ok\r\n"
        )

    def test_the_application_sees_neither_base64_nor_challenges(self):
        play = session()
        play.say(b"AUTH PLAIN\r\n" + b64(b"\0user\0pass") + b"\r\n")
        assert play.kinds == ["Connect", "Ehlo", "Answered", "VerifyPassword"]


class TestOtherMechanisms:
    def test_login(self):
        play = session(mechanisms=["LOGIN"])
        assert play.say(b"AUTH LOGIN\r\n") == b"334 " + b64(b"Username:") + b"\r\n"
        assert play.say(b64(b"user") + b"\r\n") == b"334 " + b64(b"Password:") + b"\r\n"
        assert codes(play.say(b64(b"pass") + b"\r\n")) == [235]

    def test_login_with_the_name_as_initial_response(self):
        assert codes(session().say(b"AUTH LOGIN dXNlcg==\r\ncGFzcw==\r\n")) == [334, 235]

    def test_login_in_one_pipelined_group(self):
        assert codes(session().say(b"AUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\nNOOP\r\n")) == [334, 334, 235, 250]

    @pytest.mark.parametrize("secret", ["pass", ScramKeys.derive("pass", iterations=4096)], ids=["password", "keys"])
    def test_scram(self, secret):
        play = session(verify={"user": secret})
        assert log_in(play, "SCRAM-SHA-256") == 235
        assert play.core.identity == "user"
        assert FetchSecret("user", "SCRAM-SHA-256") in play.events
        assert log_in(session(verify={"user": secret}), "SCRAM-SHA-256", "wrong") == 535

    def test_scram_goes_on_for_an_unknown_user(self):
        assert log_in(session(verify={"other": "pass"}), "SCRAM-SHA-256") == 535

    def test_cram_md5_names_this_server(self):
        play = session(mechanisms=["CRAM-MD5"])
        assert log_in(play, "CRAM-MD5") == 235
        assert log_in(session(mechanisms=["CRAM-MD5"]), "CRAM-MD5", "wrong") == 535
        challenge = ServerLogin("CRAM-MD5", None, hostname="mx.example").start().text
        assert base64.b64decode(challenge).endswith(b"@mx.example>")

    def test_cram_md5_takes_no_initial_response(self):
        assert session(mechanisms=["CRAM-MD5"]).say(b"AUTH CRAM-MD5 dXNlcg==\r\n").startswith(b"501 5.7.0 ")

    @pytest.mark.parametrize("answer", [True, False])
    def test_oauthbearer(self, answer):
        play = session(
            config(auth=AuthPolicy(lambda question: answer, mechanisms=["OAUTHBEARER"], allow_in_clear=True))
        )
        assert log_in(play, "OAUTHBEARER", token="secret") == (235 if answer else 535)
        assert VerifyToken("user", "secret") in play.events

    @pytest.mark.parametrize("mechanism", [b"PLAINT", b"CRAM-MD5", b"SCRAM-SHA-256-PLUS"])
    def test_a_mechanism_that_is_not_offered_is_504(self, mechanism):
        play = session()
        assert play.say(b"AUTH " + mechanism + b"\r\n") == b"504 5.5.4 Mechanism not available\r\n"
        assert codes(play.say(b"auth plain AHVzZXIAcGFzcw==\r\n")) == [235]


class TestChannelBinding:
    NAMES = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")

    def under_tls(self, certificate, names=NAMES):
        core_config = config(auth=AuthPolicy({"user": "pass"}, mechanisms=names))
        play = Play.__new__(Play)
        play.core = playing.ServerConnection(core_config)
        play.core.tls_established(TLSFacts("TLSv1.3", "a cipher", own_certificate=certificate))
        play.decisions, play.events = {}, []
        play.run()
        play.say(b"EHLO c.example\r\n")
        return play

    def certificate(self):
        pem = (Path(__file__).parents[1] / "certificates" / "server.pem").read_text()
        _, header, rest = pem.partition(ssl.PEM_HEADER)
        return ssl.PEM_cert_to_DER_cert(header + rest.partition(ssl.PEM_FOOTER)[0] + ssl.PEM_FOOTER)

    def test_a_login_may_be_bound_to_the_certificate(self):
        certificate = self.certificate()
        binding = tls_server_end_point(certificate)
        assert log_in(self.under_tls(certificate), self.NAMES[0], channel_binding=binding) == 235
        assert log_in(self.under_tls(certificate), self.NAMES[0], channel_binding=b"another's") == 535

    def test_a_client_to_whom_it_was_not_shown_is_refused(self):
        certificate = self.certificate()
        assert log_in(self.under_tls(certificate), self.NAMES[1]) == 235
        assert log_in(self.under_tls(certificate), self.NAMES[1], channel_binding=b"it says: not offered") == 535

    def test_but_where_none_is_offered_it_is_right(self):
        play = self.under_tls(self.certificate(), self.NAMES[1:])
        assert log_in(play, self.NAMES[1], channel_binding=b"it says: not offered") == 235

    def test_it_cannot_be_had_where_the_certificate_is_not_known(self):
        play = self.under_tls(None)
        assert codes(play.say(b"AUTH SCRAM-SHA-256-PLUS\r\n")) == [504]
        assert log_in(play, self.NAMES[1]) == 235


class TestSequence:
    def test_before_ehlo_it_is_503(self):
        assert codes(Play(with_login()).say(LOGIN)) == [503]

    def test_in_a_transaction_it_is_503(self):
        play = session()
        assert codes(play.say(TRANSACTION + LOGIN)) == [250, 250, 503]

    def test_a_second_time_it_is_503(self):
        play = session()
        assert codes(play.say(LOGIN + LOGIN)) == [235, 503]
        assert b"AUTH" not in play.say(b"EHLO c.example\r\n")
        assert codes(play.say(LOGIN)) == [503]

    def test_neither_rset_nor_ehlo_undo_it(self):
        play = session(required=True)
        play.say(LOGIN + b"RSET\r\nEHLO c.example\r\n")
        assert play.core.identity == "user"
        assert codes(play.say(b"MAIL FROM:<>\r\n")) == [250]

    def test_before_it_530_answers_mail_where_it_is_required(self):
        play = session(required=True)
        assert play.say(b"MAIL FROM:<>\r\n") == b"530 5.7.0 Authentication required\r\n"
        assert codes(play.say(b"RCPT TO:<a@b>\r\nVRFY x\r\nNOOP\r\nRSET\r\nEHLO c\r\n")) == [530, 530, 250, 250, 250]

    def test_a_chunk_before_it_is_read(self):
        assert codes(session(required=True).say(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")) == [530, 250]

    def test_in_clear_it_is_not_offered(self):
        play = session(allow_in_clear=False)
        assert b"AUTH" not in play.say(b"EHLO c.example\r\n")
        assert codes(play.say(LOGIN)) == [502]

    def test_and_wants_tls_where_there_is_tls(self):
        assert codes(session(allow_in_clear=False, tls_available=True).say(LOGIN)) == [530]

    def test_the_sender_of_somebody_else_may_be_named(self):
        play = session()
        assert codes(play.say(LOGIN + b"MAIL FROM:<a@a.example> AUTH=b+40b.example\r\n")) == [235, 250]

    def test_the_stream_may_end_in_it(self):
        play = session()
        play.say(b"AUTH PLAIN\r\nAHVz")
        play.end()
        assert play.core.closed
        assert play.core.identity is None


class TestAttempts:
    def test_the_one_after_the_last_gets_421(self):
        play = session(attempts=3)
        assert codes(play.say(WRONG * 10)) == [535, 535, 535, 421]
        assert play.core.closed

    def test_three_mechanisms_may_fail_and_the_session_goes_on(self):
        # What smtplib does with a wrong password.
        play = session(mechanisms=["CRAM-MD5", "PLAIN", "LOGIN"])
        assert [log_in(play, name, "wrong") for name in ("CRAM-MD5", "PLAIN", "LOGIN")] == [535] * 3
        assert codes(play.say(b"QUIT\r\n")) == [221]

    def test_they_are_counted_through_starttls(self):
        play = session(tls_available=True, attempts=1)
        assert codes(play.say(WRONG)) == [535]
        play.say(b"STARTTLS\r\n")
        play.core.tls_established(playing.FACTS)
        assert codes(play.say(b"EHLO c.example\r\n" + WRONG)) == [250, 421]

    def test_a_cancelled_one_is_none(self):
        play = session(attempts=1)
        assert codes(play.say(b"AUTH PLAIN\r\n*\r\n" * 4 + WRONG)) == [*[334, 501] * 4, 535]

    def test_a_line_that_is_too_long_is_none(self):
        play = session(attempts=1)
        assert codes(play.say((b"AUTH PLAIN\r\n" + b"A" * 12289 + b"\r\n") * 4 + WRONG)) == [*[334, 500] * 4, 535]

    @pytest.mark.parametrize(("code", "ends"), [(550, True), (534, True), (454, False)])
    def test_the_applications_own_refusal_counts_if_it_is_permanent(self, code, ends):
        play = session(decisions={VerifyPassword: Reply(code, "no")}, attempts=2)
        assert (codes(play.say(WRONG * 3)) == [code, code, 421]) is ends

    def test_a_secret_that_cannot_be_had_now_is_told_at_once(self):
        play = session(decisions={FetchSecret: Reply(454, "no database", "4.7.0")})
        login = client_mechanism("SCRAM-SHA-256", username="user", password="pass")
        line = b"AUTH SCRAM-SHA-256 " + b64(login.start()) + b"\r\n"
        assert play.say(line) == b"454 4.7.0 no database\r\n"
        assert codes(play.say(b"NOOP\r\n")) == [250]

    def test_a_secret_that_is_refused_is_that_of_an_unknown_user(self):
        play = session(decisions={FetchSecret: lambda core, event: core.reject()})
        assert log_in(play, "SCRAM-SHA-256") == 535


def test_a_mechanism_may_ask_two_questions_in_a_row():
    class Two(Mechanism):
        name = "XTWO"

        def server(self, facts, response):
            first = yield VerifyPassword("", "a", "b")
            second = yield VerifyPassword("", "c", "d")
            return "both" if first and second else None

    play = session(mechanisms=[Two], decisions={VerifyPassword: lambda core, event: core.supply(True)})
    assert codes(play.say(b"AUTH XTWO\r\n")) == [235]
    assert play.kinds[-2:] == ["VerifyPassword"] * 2
    assert play.core.identity == "both"


def test_who_counts_is_told_of_each_login():
    play = session()
    told = []
    play.core.notice = told.append
    assert codes(play.say(WRONG + LOGIN)) == [535, 235]
    assert told == ["failed_login", "login"]


class TestAccept:
    """accept() is no blank cheque: a policy that knows the users is asked."""

    ACCEPTING = {kind: lambda core, event: core.accept() for kind in (VerifyPassword, FetchSecret, VerifyToken)}

    @pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
    @pytest.mark.parametrize(("password", "code"), [("pass", 235), ("wrong", 535)])
    def test_a_mapping_decides(self, mechanism, password, code):
        assert log_in(session(decisions=self.ACCEPTING, mechanisms=[mechanism]), mechanism, password) == code

    @pytest.mark.parametrize(("password", "code"), [("pass", 235), ("wrong", 535)])
    def test_a_function_decides(self, password, code):
        play = session(with_login(lambda question: question.password == "pass"), self.ACCEPTING)
        assert log_in(play, "PLAIN", password) == code

    def test_a_function_for_tokens_decides(self):
        policy = AuthPolicy(tokens=lambda question: question.token == "t", mechanisms=["XOAUTH2"], allow_in_clear=True)
        for token, code in ((b"t", 235), (b"x", 334)):
            play = session(config(auth=policy), self.ACCEPTING)
            assert codes(play.say(b"AUTH XOAUTH2 " + b64(b"user=a\1auth=Bearer " + token + b"\1\1") + b"\r\n")) == [
                code
            ]

    def test_a_coroutine_cannot_decide_here(self):
        async def verify(question):
            return True

        play = session(with_login(verify), {VerifyPassword: None})
        play.say(LOGIN)
        with pytest.raises(LocalProtocolError, match="has to be awaited") as info:
            play.core.accept()
        assert info.value.expected == "supply() with what AuthPolicy.answer() gives"
        play.core.supply(None)
        assert codes(play.run()) == [535]

    def test_an_awaitable_that_cannot_be_closed_is_refused_too(self):
        class Later:
            def __await__(self):
                return iter(())

        play = session(with_login(lambda question: Later()), {VerifyPassword: None})
        play.say(LOGIN)
        with pytest.raises(LocalProtocolError, match="has to be awaited"):
            play.core.accept()

    def test_without_a_policy_that_knows_the_users_the_application_has_decided(self):
        policy = AuthPolicy(mechanisms=["PLAIN"], allow_in_clear=True)
        assert log_in(session(config(auth=policy), self.ACCEPTING), "PLAIN", "anything") == 235

    def test_a_secret_that_no_policy_has_must_be_supplied(self):
        policy = AuthPolicy(mechanisms=["CRAM-MD5"], allow_in_clear=True)
        play = session(config(auth=policy), {FetchSecret: None})
        play.say(b"AUTH CRAM-MD5\r\ndXNlciAwMDAw\r\n")
        with pytest.raises(LocalProtocolError, match="wants a secret"):
            play.core.accept()

    def test_supply_lets_in_whoever_it_is(self):
        play = session(decisions={VerifyPassword: lambda core, event: core.supply(True)})
        assert log_in(play, "PLAIN", "wrong") == 235


class TestServerLogin:
    def test_its_steps_are_replies_and_questions(self):
        login = ServerLogin("PLAIN", None)
        assert login.start() == Reply(334)
        assert login.line(b64(b"\0user\0pass")) == VerifyPassword("", "user", "pass")
        assert login.answer(True) is say.AUTHENTICATED
        assert login.identity == "user"

    def test_a_login_that_is_over_is_refused(self):
        login = ServerLogin("PLAIN", b"\0user\0pass")
        login.start()
        assert login.answer(False) is say.CREDENTIALS_INVALID
        assert login.line(b"") is say.CREDENTIALS_INVALID


def test_a_stored_record_that_cannot_be_read_is_454():
    login = ServerLogin("CRAM-MD5", None)
    login.start()
    assert login.line(b64(b"user 00")) == FetchSecret("user", "CRAM-MD5")
    assert login.answer("SCRAM-SHA-256$x") == say.LOGIN_UNAVAILABLE
