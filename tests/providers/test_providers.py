"""Well-known providers: each logs us in, takes mail, and has its own way to say no; both adapters get along."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from smtpkit import (
    AuthenticationError,
    Credentials,
    MessageRefused,
    NotSupported,
    RecipientsRefused,
    Retry,
    SenderRefused,
    SMTPError,
    Transcript,
)

PAGE = Path(__file__).parent.parent.parent / "docs" / "providers.md"
USER, PASSWORD = "me@example.com", "right-passw0rd"
TOKEN = "fresh-token"
BODY = b"Subject: test\r\n\r\n.dots\r\ntext\r\n"

MECHANISM = {
    "gmail": "PLAIN",
    "microsoft365": "LOGIN",
    "ses": "PLAIN",
    "sendgrid": "PLAIN",
    "mailgun": "PLAIN",
    "brevo": "PLAIN",
    "postmark": "PLAIN",
    "fastmail": "PLAIN",
}
HINTS = {
    "gmail": "use an app password",
    "microsoft365": "takes no passwords any more",
    "ses": "SMTP credentials of its own",
    "sendgrid": '"apikey", literally',
    "brevo": "an SMTP key",
    "postmark": "API token as user name",
}
TAKES_TOKENS = ["gmail", "microsoft365"]
LIMITED = ["gmail", "microsoft365", "postmark"]


def people(number):
    return [f"user{each}@example.net" for each in range(number)]


@pytest.mark.parametrize("implicit", [False, True])
def test_takes_a_login_and_mail(colour, provider, name, implicit):
    server = provider(name, implicit)
    client = colour.connect(server)
    assert client.tls.verified
    for _ in range(2):
        assert list(client.send(USER, people(2), BODY).accepted) == people(2)
    client.close()
    assert [(sender, to) for sender, to, _ in server.messages] == [(USER, people(2))] * 2
    assert {content.replace(b"\r\n..", b"\r\n.") for _, _, content in server.messages} == {BODY}
    assert server.commands.count("EHLO") == (1 if implicit else 2)  # none after the login: Brevo would forget it
    assert server.commands[-1] == "QUIT"
    assert server.names == {"[127.0.0.1]"}
    assert server.faults == []


def test_the_mechanism_is_the_best_that_it_has(colour, provider, name):
    transcript = Transcript()
    colour.connect(provider(name), transcript=transcript)
    assert [line.split()[2] for line in transcript.lines if line.startswith("C: AUTH")] == [MECHANISM[name]]
    assert PASSWORD not in str(transcript)


def test_another_mechanism_may_be_asked_for(colour, provider):
    credentials = Credentials(USER, PASSWORD, mechanisms=["CRAM-MD5"])
    assert colour.connect(provider("postmark"), auth=credentials).send(USER, "user@example.net", BODY).accepted


def test_prompts_may_be_in_clear_text(colour, provider):
    """The words are ours: LOGIN's are base64 at all of these providers, and Mailgun asks for PLAIN's in clear text."""
    server = provider("mailgun")
    server.profile = replace(server.profile, prompts=("334 Username:", "334 Password:"))
    credentials = Credentials(USER, PASSWORD, mechanisms=["LOGIN"])
    assert colour.connect(server, auth=credentials).send(USER, "user@example.net", BODY).accepted


def test_a_wrong_password_is_tried_once_and_explained(colour, provider, name):
    server = provider(name)
    with pytest.raises(AuthenticationError) as caught:
        colour.connect(server, auth=(USER, "wrong"))
    assert server.commands.count("AUTH") == 1
    assert caught.value.reply.code == 535
    assert HINTS.get(name, "") in str(caught.value)
    assert bool(caught.value.hint) == (name in HINTS)
    assert not caught.value.may_retry


def test_mail_without_a_login_is_refused_and_explained(colour, provider, name):
    server = provider(name)
    client = colour.connect(server, auth=None)
    if server.profile.unauthenticated_at == "RCPT":
        with pytest.raises(RecipientsRefused, match="Relaying denied"):
            client.send(USER, "user@example.net", BODY)
        return
    with pytest.raises(SenderRefused) as caught:
        client.send(USER, "user@example.net", BODY)
    assert caught.value.hint or name == "sendgrid"  # whose reply says it all


@pytest.mark.parametrize("name", TAKES_TOKENS)
@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_token_that_has_expired_is_fetched_anew(colour, provider, name, mechanism):
    tokens = iter(["stale-token", TOKEN])
    server = provider(name)
    credentials = Credentials(USER, token=lambda: next(tokens), mechanisms=[mechanism])
    if mechanism == "OAUTHBEARER" and name != "gmail":
        with pytest.raises(NotSupported, match="LOGIN, XOAUTH2"):
            colour.connect(server, auth=credentials)
        return
    client = colour.connect(server, auth=credentials)
    assert server.commands.count("AUTH") == 2
    assert client.send(USER, "user@example.net", BODY).accepted


@pytest.mark.parametrize("name", TAKES_TOKENS)
def test_a_token_that_is_refused_is_explained(colour, provider, name):
    with pytest.raises(AuthenticationError, match="the token has expired") as caught:
        colour.connect(provider(name), auth=Credentials(USER, token="stale-token"))
    assert caught.value.error.get("scope") == ("https://mail.google.com/" if name == "gmail" else None)


@pytest.mark.parametrize("name", LIMITED)
def test_recipients_beyond_what_it_takes_follow_in_another_transaction(colour, provider, name):
    server = provider(name)
    limit = server.profile.recipients
    result = colour.connect(server).send(USER, people(2 * limit + 1), BODY)
    assert list(result.accepted) == people(2 * limit + 1)
    assert [len(to) for _, to, _ in server.messages] == [limit, limit, 1]


def test_a_limit_that_is_told_too_late_is_given(colour, provider):
    """Amazon SES counts at the end of data, and refuses the whole message."""
    server = provider("ses")
    client = colour.connect(server)
    with pytest.raises(MessageRefused, match="Recipient count exceeds 50"):
        client.send(USER, people(51), BODY)
    assert len(client.send(USER, people(51), BODY, max_recipients=50).accepted) == 51
    assert [len(to) for _, to, _ in server.messages] == [50, 1]


def test_a_message_that_is_too_big_is_not_sent(colour, provider, name):
    server = provider(name)
    client = colour.connect(server)
    if server.profile.size is None:
        assert client.capabilities.size is None  # Amazon SES tells no size
        return
    with pytest.raises(SMTPError, match=str(server.profile.size)):
        client.send(USER, "user@example.net", (b"" for _ in range(1)), size=server.profile.size + 1)
    assert "DATA" not in server.commands
    assert "BDAT" not in server.commands
    assert client.send(USER, "user@example.net", BODY).accepted


def test_a_connection_that_was_idle_too_long_costs_no_mail(colour, provider):
    server = provider("ses")
    pool = colour.pool(server)
    assert pool.send(USER, "user@example.net", BODY).accepted
    server.is_impatient = True
    server.threads[1].join(10)
    server.is_impatient = False
    assert pool.send(USER, "user@example.net", BODY).accepted
    assert (pool.stats.opened, pool.stats.lost) == (2, 1)
    assert len(server.messages) == 2


def test_a_connection_that_has_had_enough_costs_no_mail(colour, provider):
    server = provider("ses")
    pool = colour.pool(server)
    for _ in range(server.profile.messages + 1):
        assert pool.send(USER, "user@example.net", BODY).accepted
    assert pool.stats.opened == 2
    pool = colour.pool(server, max_messages=server.profile.messages)
    for _ in range(server.profile.messages + 1):
        assert pool.send(USER, "user@example.net", BODY).accepted
    assert (pool.stats.opened, pool.stats.lost) == (2, 0)


def test_a_second_hello_is_not_said_behind_the_callers_back(colour, provider):
    server = provider("brevo")
    pool = colour.pool(server)
    for _ in range(3):
        assert pool.send(USER, "user@example.net", BODY).accepted
    assert server.commands.count("EHLO") == 2


def test_a_sender_that_is_not_the_users_is_refused(colour, provider):
    for name, words in (("microsoft365", "SendAsDenied"), ("fastmail", "Not authorised")):
        client = colour.connect(provider(name))
        with pytest.raises(MessageRefused, match=words) as caught:
            client.send("you@example.com", "user@example.net", BODY)
        assert not caught.value.may_retry


def test_too_many_connections_at_a_time_are_waited_for(colour, provider):
    server = provider("microsoft365")
    server.sending = 3  # others of the same mailbox
    client = colour.connect(server)
    with pytest.raises(MessageRefused, match=r"432 4\.3\.2") as caught:
        client.send(USER, "user@example.net", BODY)
    assert caught.value.may_retry

    def others_are_done():  # called for the jitter, before the second attempt
        server.sending = 0
        return 0.5

    pool = colour.pool(server)
    retry = Retry(attempts=2, delay=0.01, random=others_are_done)
    assert pool.send(USER, "user@example.net", BODY, retry=retry).accepted
    assert pool.stats.retried == 1


def test_the_page_has_every_provider_with_what_the_tests_know_of_it(provider, name):
    profile = provider(name).profile
    page = PAGE.read_text()
    section = next(part for part in re.split(r"^## ", page, flags=re.MULTILINE) if f"`{profile.host}`" in part)
    assert "smtpkit.sync.connect(" in section or "smtpkit.sync.Pool(" in section
    assert "](https://" in section
    if profile.size is not None:
        assert f"{profile.size:,}" in section
    mechanisms = next(keyword for keyword in profile.after if keyword.startswith("AUTH ")).split()[1:]
    assert all(mechanism in section for mechanism in mechanisms)
