"""A back end of Django for all mail that it sends."""

from email.utils import parseaddr
from functools import cache

from django.conf import settings
from django.core.mail.backends.base import BaseEmailBackend

import smtpkit.sync

pool_of = cache(smtpkit.sync.Pool)  # one for each process and URL; threads share it


class EmailBackend(BaseEmailBackend):
    def __init__(self, url=None, fail_silently=False, **others):
        super().__init__(**others)
        self.url, self.fail_silently = url or settings.SMTP_URL, fail_silently

    def send_messages(self, messages):
        return sum(self.send(message) for message in messages if message.recipients())

    def send(self, message):
        sender, *recipients = (parseaddr(each)[1] for each in (message.from_email, *message.recipients()))
        try:
            return bool(pool_of(self.url).send_message(message.message(), sender, recipients).accepted)
        except smtpkit.SMTPError:
            if self.fail_silently:
                return False
            raise
