"""Who may log in: what is offered, and what a mapping of users answers."""

import pytest

from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.sasl import records
from smtpkit.sasl.cram_md5 import CramMD5
from smtpkit.sasl.mechanism import Mechanism
from smtpkit.sasl.plain import Plain
from smtpkit.sasl.questions import FetchSecret, VerifyPassword, VerifyToken
from smtpkit.sasl.records import make_record
from smtpkit.sasl.scram_keys import ScramKeys

KEYS = ScramKeys.derive("pass", "SCRAM-SHA-256", iterations=4096, salt=b"salt")
RECORD = make_record("pass", cost=4, salt=b"salt")
PLAINTEXT = ("PLAIN", "LOGIN")
VERIFIED = TLSFacts("TLSv1.3", "a cipher", True, b"a certificate", peer_names=(("email", "tim@example.org"),))


class Own(Mechanism):
    """A mechanism of one's own."""

    name = "XOWN"


def password(username, password, authzid=""):
    return VerifyPassword(authzid, username, password)


def ask(policy, question):
    """The answer, after the hashing that it asks for."""
    return policy.settle(question, policy.answer(question))


@pytest.mark.parametrize(
    ("verify", "names"),
    [
        (None, PLAINTEXT),
        (lambda question: True, PLAINTEXT),
        ({}, ("SCRAM-SHA-256", "SCRAM-SHA-1", *PLAINTEXT)),
        ({"user": "pass"}, ("SCRAM-SHA-256", "SCRAM-SHA-1", *PLAINTEXT)),
        ({"user": KEYS, "other": "pass"}, ("SCRAM-SHA-256", *PLAINTEXT)),
        ({"a": KEYS, "b": ScramKeys.derive("x", "SCRAM-SHA-1", iterations=1)}, PLAINTEXT),
        ({"user": RECORD}, PLAINTEXT),
        ({"user": RECORD, "other": "pass"}, PLAINTEXT),
    ],
)
def test_what_is_offered_when_nothing_is_named(verify, names):
    assert AuthPolicy(verify).offered(tls=True) == names


def test_tokens_and_certificates_are_offered_where_they_can_be_verified():
    tokens, identity = (lambda question: True), (lambda facts: "tim")
    assert AuthPolicy(tokens=tokens).mechanisms == ("OAUTHBEARER", "XOAUTH2")
    assert AuthPolicy(certificate_identity=identity).mechanisms == ("EXTERNAL",)
    assert AuthPolicy({"user": RECORD}, tokens=tokens, certificate_identity=identity).mechanisms == (
        "EXTERNAL",
        "OAUTHBEARER",
        "XOAUTH2",
        *PLAINTEXT,
    )


def test_named_mechanisms_keep_their_order():
    assert AuthPolicy({}, mechanisms=["login", "CRAM-MD5"]).offered(tls=True) == ("LOGIN", "CRAM-MD5")


def test_a_class_of_ones_own_is_a_mechanism():
    policy = AuthPolicy(mechanisms=[Own, "PLAIN"])
    assert policy.mechanisms == ("XOWN", "PLAIN")
    assert policy.mechanism("XOWN") is Own
    assert policy.mechanism("PLAIN") is Plain


def test_nothing_is_offered_in_clear_unless_allowed():
    assert AuthPolicy({}).offered(tls=False) == ()
    assert AuthPolicy({}, allow_in_clear=True, mechanisms=["PLAIN"]).offered(tls=False) == ("PLAIN",)


def test_what_tls_alone_can_give_is_not_offered_without_it():
    names = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "EXTERNAL"]
    policy = AuthPolicy({}, allow_in_clear=True, mechanisms=names, certificate_identity=lambda facts: "tim")
    assert policy.offered(tls=False) == ("SCRAM-SHA-256",)


@pytest.mark.parametrize(
    "arguments",
    [{"mechanisms": ["PLAINT"]}, {"mechanisms": []}, {"attempts": 0}, {"iterations": 0}, {"mechanisms": [Mechanism]}],
)
def test_arguments_that_nobody_can_mean(arguments):
    with pytest.raises(ValueError, match=r"unknown|mechanism|attempts"):
        AuthPolicy({}, **arguments)


@pytest.mark.parametrize(
    ("verify", "name"),
    [
        ({"user": KEYS}, "CRAM-MD5"),
        ({"user": RECORD}, "CRAM-MD5"),
        ({"user": RECORD}, "SCRAM-SHA-256"),
        ({"user": KEYS}, "SCRAM-SHA-1"),
        ({"user": "pass"}, "OAUTHBEARER"),
        ({"user": "pass"}, "EXTERNAL"),
    ],
)
def test_a_mechanism_by_which_nobody_could_log_in_is_an_error(verify, name):
    with pytest.raises(ValueError, match=f"nobody could log in by {name}"):
        AuthPolicy(verify, mechanisms=[name, "PLAIN"])


def test_one_by_which_somebody_can_is_not():
    assert AuthPolicy({"user": KEYS, "other": "x"}, mechanisms=["CRAM-MD5"]).mechanisms == ("CRAM-MD5",)


def test_a_callable_may_verify_tokens_too():
    assert AuthPolicy(lambda question: True, mechanisms=["OAUTHBEARER"]).offered(tls=True) == ("OAUTHBEARER",)


def test_one_attempt_is_the_least_and_three_are_usual():
    assert AuthPolicy({}).attempts == 3
    assert AuthPolicy({}, attempts=1, iterations=1).attempts == 1


def test_a_mechanism_that_this_python_cannot_do_is_an_error(monkeypatch):
    monkeypatch.setattr(CramMD5, "available", lambda: False)
    with pytest.raises(ValueError, match="cannot do CRAM-MD5"):
        AuthPolicy({}, mechanisms=["CRAM-MD5"])


class TestOneConnection:
    """What a TLS connection allows: `withheld()`."""

    def test_nothing_is_withheld_where_nothing_asks_for_tls(self):
        assert AuthPolicy({}).withheld(VERIFIED) == (frozenset(), None)

    def test_a_binding_wants_a_certificate_that_can_be_bound_to(self, certificate):
        policy = AuthPolicy({}, mechanisms=["SCRAM-SHA-256-PLUS", "PLAIN"])
        withheld, identity = policy.withheld(VERIFIED)
        assert (withheld, identity) == ({"SCRAM-SHA-256-PLUS"}, None)
        assert policy.offered(tls=True, withheld=withheld) == ("PLAIN",)
        assert policy.withheld(TLSFacts("TLSv1.3", "c", own_certificate=certificate)) == (frozenset(), None)

    def test_external_wants_a_verified_certificate_with_an_identity(self):
        asked = []

        def identity(facts):
            asked.append(facts)
            return facts.peer_name("email")

        policy = AuthPolicy({}, mechanisms=["EXTERNAL", "PLAIN"], certificate_identity=identity)
        assert policy.withheld(VERIFIED) == (frozenset(), "tim@example.org")
        assert policy.withheld(TLSFacts("TLSv1.3", "c", True, b"x")) == ({"EXTERNAL"}, None)
        assert len(asked) == 2
        assert policy.withheld(TLSFacts("TLSv1.3", "c", False, b"x")) == ({"EXTERNAL"}, None)
        assert policy.withheld(TLSFacts("TLSv1.3", "c", True, None)) == ({"EXTERNAL"}, None)
        assert len(asked) == 2


def test_an_identity_may_be_asked_for_in_another_way():
    policy = AuthPolicy({"user": "pass"}, attempts=7, certificate_identity=lambda facts: None)
    other = policy.with_certificate_identity(lambda facts: "tim")
    assert (other.attempts, other.mechanisms) == (7, policy.mechanisms)
    assert other.withheld(VERIFIED)[1] == "tim"
    assert policy.withheld(VERIFIED)[1] is None


@pytest.mark.parametrize("verify", [7, "optional", ["user"]])
def test_what_is_neither_mapping_nor_callable_verifies_nobody(verify):
    with pytest.raises(TypeError, match="a mapping of users or a callable"):
        AuthPolicy(verify)


def test_without_a_verifier_nobody_logs_in():
    assert ask(AuthPolicy(), password("user", "pass")) is None


def test_a_callable_is_asked():
    assert ask(AuthPolicy(lambda question: question.username), FetchSecret("user", "CRAM-MD5")) == "user"


@pytest.mark.parametrize("secret", ["pass", b"pass", KEYS, str(KEYS), RECORD])
def test_a_callable_may_tell_what_is_stored(secret):
    policy = AuthPolicy(lambda question: {"user": secret}.get(question.username))
    assert ask(policy, password("user", "pass")) is True
    assert ask(policy, password("user", "pas")) is False
    assert ask(policy, password("user", "pass", "root")) is False  # only True may allow that
    assert ask(policy, password("nobody", "pass")) is None


@pytest.mark.parametrize("secret", ["pass", b"pass", KEYS, str(KEYS), RECORD])
def test_a_mapping_verifies_passwords(secret):
    policy = AuthPolicy({"user": secret})
    assert ask(policy, password("user", "pass")) is True
    assert ask(policy, password("user", "pass", "user")) is True
    assert ask(policy, password("user", "pas")) is False
    assert ask(policy, password("user", "pass", "root")) is False
    assert ask(policy, password("nobody", "pass")) is False
    assert ask(policy, password("nobody", "")) is False


@pytest.mark.parametrize("text", [str(KEYS), RECORD])
def test_a_record_as_text_is_no_password(text):
    policy = AuthPolicy({"user": text})
    assert ask(policy, password("user", text)) is False
    with pytest.raises(ValueError, match="not "):
        AuthPolicy({"user": text[:-1]})


def test_a_password_that_is_no_utf_8_is_compared_as_octets():
    assert ask(AuthPolicy({"user": "p\udcff"}), password("user", "p")) is False


def test_a_mapping_gives_secrets_to_mechanisms_that_prove_them():
    policy = AuthPolicy({"user": KEYS, "other": "pass"}, salt_secret=b"x")
    assert ask(policy, FetchSecret("user", "SCRAM-SHA-256")) is KEYS
    assert ask(policy, FetchSecret("other", "CRAM-MD5")) == "pass"
    keys = ask(policy, FetchSecret("other", "SCRAM-SHA-1"))
    assert (keys.iterations, keys.verify("pass")) == (10_000, True)
    assert ask(policy, FetchSecret("nobody", "CRAM-MD5")) is None


def test_tokens_have_a_callable_of_their_own():
    policy = AuthPolicy({"user": "pass"}, tokens=lambda question: question.token == "good")
    assert ask(policy, VerifyToken("user", "good")) is True
    assert ask(policy, VerifyToken("user", "bad")) is False
    assert ask(policy, password("user", "pass")) is True
    assert ask(AuthPolicy({"user": "pass", "": "x"}), VerifyToken("user", "pass")) is False


class TestCost:
    """An unknown user costs what a known one does: the work is counted, not timed."""

    @pytest.fixture
    def work(self, monkeypatch):
        """The arguments of each slow hash."""
        import hashlib

        done = []
        for name in ("pbkdf2_hmac", "scrypt"):
            real = getattr(hashlib, name)

            def counted(*arguments, _real=real, _name=name, **options):
                salt = options.pop("salt", None) or arguments[2]
                rounds = options.get("n") or arguments[3]
                done.append((_name, len(salt), rounds))
                return _real(*arguments, **({"salt": salt} if _name == "scrypt" else {}), **options)

            monkeypatch.setattr(hashlib, name, counted)
        return done

    @pytest.mark.parametrize("secret", ["pass", b"pass", KEYS, RECORD, make_record("pass", "pbkdf2-sha512", cost=3)])
    @pytest.mark.parametrize(
        "question", [lambda name: password(name, "x"), lambda name: FetchSecret(name, "SCRAM-SHA-256")]
    )
    def test_of_a_known_and_an_unknown_user(self, work, secret, question):
        policy = AuthPolicy({"user": secret})
        ask(policy, question("user"))
        known = list(work)
        work.clear()
        ask(policy, question("nobody"))
        assert work == known

    def test_keys_of_an_unknown_user_look_like_those_of_others(self):
        policy = AuthPolicy({"user": KEYS}, salt_secret=b"secret")
        question = FetchSecret("nobody", "SCRAM-SHA-256")
        keys = ask(policy, question)
        assert (keys.iterations, len(keys.salt)) == (KEYS.iterations, len(KEYS.salt))
        assert keys.salt == ask(AuthPolicy({"user": KEYS}, salt_secret=b"secret"), question).salt
        assert keys.salt != ask(AuthPolicy({"user": KEYS}, salt_secret=b"another"), question).salt
        assert keys.salt != ask(policy, FetchSecret("someone", "SCRAM-SHA-256")).salt

    def test_a_comparison_is_made_for_an_unknown_user_too(self, monkeypatch):
        compared = []
        monkeypatch.setattr(records, "same", lambda one, other: compared.append((one, other)) or False)
        assert ask(AuthPolicy({"user": "pass"}), password("nobody", "x")) is False
        assert len(compared) == 1

    @pytest.mark.parametrize(
        ("verify", "question", "slow"),
        [
            ({"user": "pass"}, password("user", "x"), False),
            ({"user": KEYS}, password("user", "x"), True),
            ({"user": RECORD}, password("nobody", "x"), True),
            ({"user": "pass"}, FetchSecret("user", "SCRAM-SHA-256"), True),
            ({"user": "pass"}, FetchSecret("nobody", "SCRAM-SHA-256"), True),
            ({"user": KEYS}, FetchSecret("user", "SCRAM-SHA-256"), False),
            ({"user": KEYS}, FetchSecret("nobody", "SCRAM-SHA-256"), False),
            ({"user": "pass"}, FetchSecret("user", "CRAM-MD5"), False),
            (lambda question: True, password("user", "x"), False),
            (lambda question: True, VerifyToken("user", "x"), False),
        ],
    )
    def test_what_an_event_loop_must_not_do_itself(self, verify, question, slow):
        policy = AuthPolicy(verify)
        assert policy.is_slow(question, policy.answer(question)) is slow


def test_secrets_are_not_shown():
    assert repr(AuthPolicy({"user": "geheim"}, mechanisms=["PLAIN"])) == (
        "AuthPolicy(<verify>, required=True, mechanisms=('PLAIN',))"
    )


@pytest.fixture
def certificate():
    import ssl
    from pathlib import Path

    pem = (Path(__file__).parents[1] / "certificates" / "ca.pem").read_text()
    return ssl.PEM_cert_to_DER_cert(pem)


def test_it_decides_where_it_knows_whom_to_let_in():
    password, token = VerifyPassword("", "a", "b"), VerifyToken("a", "t")
    assert AuthPolicy({"a": "b"}).decides(password)
    assert AuthPolicy(lambda question: True).decides(token)
    assert not AuthPolicy(mechanisms=["PLAIN"]).decides(password)
    only_tokens = AuthPolicy(tokens=lambda question: True, mechanisms=["XOAUTH2"])
    assert only_tokens.decides(token)
    assert not only_tokens.decides(password)
