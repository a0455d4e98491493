"""Challenges and questions are values, and show no secrets."""

from smtpkit.sasl.questions import Challenge, FetchSecret, Question, VerifyPassword, VerifyToken


def test_questions_match_by_position():
    match VerifyPassword("boss", "tim", "secret"):
        case VerifyPassword(authzid, username, password):
            assert (authzid, username, password) == ("boss", "tim", "secret")
    assert FetchSecret.__match_args__ == ("username", "mechanism")
    assert VerifyToken.__match_args__ == ("username", "token")
    assert Challenge.__match_args__ == ("octets",)


def test_reprs():
    assert repr(VerifyPassword("", "tim", "hunter2")) == "VerifyPassword(authzid='', username='tim', password=<hidden>)"
    assert repr(VerifyToken("tim", "t0ken")) == "VerifyToken(username='tim', token=<hidden>)"
    assert repr(FetchSecret("tim", "CRAM-MD5")) == "FetchSecret('tim', 'CRAM-MD5')"
    assert repr(Challenge(b"<1@mx>")) == "Challenge(b'<1@mx>')"


def test_a_challenge_is_no_question():
    assert not isinstance(Challenge(b""), Question)
    assert isinstance(VerifyToken("tim", "t"), Question)


def test_they_hold_what_is_asked_about():
    assert VerifyPassword("boss", "tim", "hunter2").password == "hunter2"
    assert VerifyToken("tim", "t0ken").token == "t0ken"
    assert (FetchSecret("tim", "PLAIN").username, FetchSecret("tim", "PLAIN").mechanism) == ("tim", "PLAIN")
