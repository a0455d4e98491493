"""docs/frameworks/django_backend.py, as Django's EMAIL_BACKEND."""

from pathlib import Path

import django
import pytest
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection, mail_admins, send_mail, send_mass_mail
from django.test import override_settings

from smtpkit import RecipientsRefused

settings.configure(
    EMAIL_BACKEND="django_backend.EmailBackend",
    DEFAULT_FROM_EMAIL="Shop <shop@example.org>",
    SERVER_EMAIL="root@example.org",
    ADMINS=[("Ada", "ada@example.org")],
    SMTP_URL="memory:",
)
django.setup()


@pytest.fixture
def backend(example):
    module = example("django_backend")
    yield module
    module.pool_of.cache_clear()


def test_mail_is_switched_off_by_a_setting(backend):
    assert send_mail("Wëlcome", "Hello\n", None, ["bob@example.net"]) == 1
    mail_admins("Down", "it is\n")
    first, second = backend.pool_of("memory:").outbox
    assert (first.sender, first.recipients) == ("shop@example.org", ["bob@example.net"])
    assert first.as_email()["Subject"] == "Wëlcome"
    assert second.recipients == ["ada@example.org"]


def test_mail_goes_to_a_server_over_one_connection(backend, smtp):
    with smtp() as (url, inbox), override_settings(SMTP_URL=url):
        message = EmailMultiAlternatives(
            "Bill", "text", "shop@example.org", ["bob@example.net"], bcc=["books@example.org"], cc=["eve@example.net"]
        )
        message.attach_alternative("<p>html</p>", "text/html")
        message.attach_file(Path(__file__).parent / "test_flask.py")
        assert message.send() == 1
        assert send_mass_mail([(f"{n}", "text", None, ["bob@example.net"]) for n in range(5)]) == 5
        backend.pool_of(url).close()
    assert inbox[0].recipients == ["bob@example.net", "eve@example.net", "books@example.org"]
    assert b"books@example.org" not in inbox[0].content
    assert inbox[0].session.identity == "shop"
    assert len(inbox.connections) == 1


def test_what_is_refused_raises_unless_it_may_fail(backend, smtp):
    with smtp() as (url, inbox), override_settings(SMTP_URL=url):
        with pytest.raises(RecipientsRefused, match="No such user"):
            send_mail("x", "x", None, ["nobody@example.net"])
        silent = get_connection(fail_silently=True)
        assert send_mail("x", "x", None, ["nobody@example.net"], connection=silent) == 0
        assert EmailMultiAlternatives("x", "x", None, []).send() == 0
        backend.pool_of(url).close()
    assert inbox == []
