"""docs/frameworks/django_backend.py, as Django's back end: MAILERS from 6.1 on, EMAIL_BACKEND before."""

from pathlib import Path

import django
import pytest
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection, send_mail
from django.test import override_settings

from smtpkit import RecipientsRefused

HAS_MAILERS = django.VERSION >= (6, 1)
BACKEND = "django_backend.EmailBackend"


def mail_settings(url):
    """What a project's settings say."""
    if not HAS_MAILERS:
        return {"EMAIL_BACKEND": BACKEND, "SMTP_URL": url}
    options = {"default": {"url": url}, "quiet": {"url": url, "fail_silently": True}}
    return {"MAILERS": {alias: {"BACKEND": BACKEND, "OPTIONS": given} for alias, given in options.items()}}


settings.configure(DEFAULT_FROM_EMAIL="Shop <shop@example.org>", **mail_settings("memory:"))
django.setup()


@pytest.fixture
def backend(example):
    module = example("django_backend")
    yield module
    module.pool_of.cache_clear()


def test_mail_is_switched_off_by_a_setting(backend):
    assert send_mail("Wëlcome", "Hello\n", None, ["bob@example.net"]) == 1
    (message,) = backend.pool_of("memory:").outbox
    assert (message.sender, message.recipients) == ("shop@example.org", ["bob@example.net"])
    assert message.as_email()["Subject"] == "Wëlcome"


def test_recipients_may_have_names(backend):
    to, bcc = ["Bob <bob@example.net>", '"Éve, M." <eve@example.net>'], ["Books <books@example.org>"]
    assert EmailMessage("x", "x", '"Shop, the" <shop@example.org>', to, bcc).send() == 1
    (message,) = backend.pool_of("memory:").outbox
    assert message.recipients == ["bob@example.net", "eve@example.net", "books@example.org"]
    assert b"books" not in message.content


def test_mail_goes_to_a_server_over_one_connection(backend, smtp):
    with smtp() as (url, inbox), override_settings(**mail_settings(url)):
        message = EmailMultiAlternatives(
            "Bill", "text", "shop@example.org", ["bob@example.net"], bcc=["books@example.org"], cc=["eve@example.net"]
        )
        message.attach_alternative("<p>html</p>", "text/html")
        message.attach_file(Path(__file__).parent / "test_flask.py")
        assert message.send() == 1
        for number in range(5):
            assert send_mail(f"{number}", "text", None, ["bob@example.net"]) == 1
        backend.pool_of(url).close()
    assert inbox[0].recipients == ["bob@example.net", "eve@example.net", "books@example.org"]
    assert b"books@example.org" not in inbox[0].content
    assert inbox[0].session.identity == "shop"
    assert len(inbox.connections) == 1


def test_what_is_refused_raises_unless_it_may_fail(backend, smtp):
    with smtp() as (url, inbox), override_settings(**mail_settings(url)):
        message = EmailMessage("x", "x", None, ["nobody@example.net"])
        with pytest.raises(RecipientsRefused, match="No such user"):
            message.send()
        if HAS_MAILERS:
            assert message.send(using="quiet") == 0
        else:
            assert get_connection(fail_silently=True).send_messages([message]) == 0
        assert EmailMessage("x", "x", None, []).send() == 0
        backend.pool_of(url).close()
    assert inbox == []
