"""Known causes of refused logins: each row fits what was seen, and nothing else."""

import pytest

from smtpkit.protocol.hints import HINTS, hint_for
from smtpkit.wire.replies import parse_reply

GMAIL = "smtp.gmail.com ESMTP d2e1a72fcca58-7b2 - gsmtp"
MICROSOFT = "BY1PR10CA0041.outlook.office365.com Microsoft ESMTP MAIL Service ready at Mon, 1 Jun 2026 12:00:00 +0000"
SES = "email-smtp.amazonaws.com ESMTP SimpleEmailService-d-VCSHDP1YZ A1b2C3d4"
BREVO = "smtp-relay.brevo.com ESMTP Service Ready"
SENDGRID = "SG ESMTP service ready at ismtpd0013p1las1.sendgrid.net"
POSTMARK = "smtp.postmarkapp.com ESMTP sc-ams-smtp1"

# greeting, what answers, what the login used, a part of the hint
SEEN = [
    (
        GMAIL,
        "534-5.7.9 Application-specific password required.\r\n534 5.7.9  https://… - gsmtp",
        "password",
        "app password",
    ),
    (
        GMAIL,
        "534-5.7.14 <https://accounts…> Please log in via your\r\n534 5.7.14 web browser",
        "password",
        "web browser",
    ),
    (GMAIL, "535-5.7.8 Username and Password not accepted.\r\n535 5.7.8  … - gsmtp", "password", "app password"),
    (GMAIL, "535-5.7.8 Username and Password not accepted.\r\n535 5.7.8  … - gsmtp", "token", "mail.google.com"),
    (GMAIL, "530-5.7.0 Authentication Required. For more\r\n530 5.7.0 … - gsmtp", "", "after login"),
    (
        MICROSOFT,
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        "password",
        "whole organization",
    ),
    (
        MICROSOFT,
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
        "token",
        "this mailbox",
    ),
    (
        MICROSOFT,
        "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy.",
        "password",
        "security defaults",
    ),
    (
        MICROSOFT,
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        "password",
        "no passwords for this account",
    ),
    (
        MICROSOFT,
        "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated",
        "password",
        "conditional access",
    ),
    (
        MICROSOFT,
        "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [PH0PR07CA0004]",
        "password",
        "user name or password is wrong",
    ),
    (
        MICROSOFT,
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        "password",
        "no passwords any more here",
    ),
    (MICROSOFT, "535 5.7.3 Authentication unsuccessful [BY1PR10CA0041]", "password", "user name or password is wrong"),
    (MICROSOFT, "535 5.7.3 Authentication unsuccessful [BY1PR10CA0041]", "token", "SMTP.Send"),
    (MICROSOFT, "530 5.7.57 Client not authenticated to send mail. [BN1P110CA0052]", "", "after login"),
    (SES, "535 Authentication Credentials Invalid", "password", "for each region"),
    (SES, "530 Authentication required", "", "SMTP credentials"),
    (BREVO, "525 5.7.1 Unauthorized IP address", "password", "authorised IPs"),
    (BREVO, "535 5.7.8 Authentication failed", "password", "SMTP key"),
    (BREVO, "535 5.7.0 Invalid login or password", "password", "SMTP key"),
    (BREVO, "502 5.7.0 Please authenticate first", "", "EHLO is said again"),
    (SENDGRID, "535 Authentication failed: The provided authorization grant is invalid", "password", "apikey"),
    (SENDGRID, "535 Authentication failed: Bad username / password", "password", "apikey"),
    (POSTMARK, "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6", "password", "API token as user name"),
]


def greeting(text):
    return parse_reply(f"220 {text}\r\n".encode())


def refusal(text):
    return parse_reply(f"{text}\r\n".encode())


@pytest.mark.parametrize(("hello", "answer", "credential", "words"), SEEN)
def test_what_was_seen_is_explained(hello, answer, credential, words):
    assert words in hint_for(refusal(answer), greeting(hello), credential)


def test_every_row_is_met_and_has_its_source():
    met = {hint_for(refusal(answer), greeting(hello), credential) for hello, answer, credential, _ in SEEN}
    assert {hint.cause for hint in HINTS} == met
    assert all(hint.source.startswith("https://") for hint in HINTS)


@pytest.mark.parametrize(
    "hello", ["mx.example ESMTP", "", "Exchange Microsoft ESMTP MAIL Service", "gmail.com.evil.example x"]
)
def test_an_unknown_server_gets_no_hint(hello):
    for _, answer, credential, _ in SEEN:
        if answer.startswith("530"):
            continue  # what that means, a standard says
        assert hint_for(refusal(answer), greeting(hello), credential) == ""


@pytest.mark.parametrize("answer", ["535 5.7.0 no", "454 4.7.0 Too many login attempts", "550 5.7.1 no", "535 no"])
def test_an_unknown_answer_of_a_known_server_gets_none(answer):
    for hello in (GMAIL, MICROSOFT):
        assert hint_for(refusal(answer), greeting(hello), "password") == ""


def test_without_a_greeting_there_is_none():
    assert hint_for(refusal("535 5.7.8 no"), None, "password") == ""


@pytest.mark.parametrize("first", [None, refusal("220 mx.example ESMTP")])
def test_what_a_standard_says_is_known_of_every_server(first):
    assert "log in with auth=" in hint_for(refusal("530 5.7.0 Authentication required"), first)
    assert "tls='required'" in hint_for(refusal("530 5.7.0 Must issue a STARTTLS command first"), first)
    assert hint_for(refusal("550 5.7.1 No"), first) == ""
