"""Django: this file goes into your project, and into its settings:
EMAIL_BACKEND = "shop.django_backend.EmailBackend"
SMTP_URL = "smtps://user:password@mail.example.org"     # "memory:" or "print:" where no mail is to leave
"""

from email.utils import parseaddr
from functools import cache

from django.conf import settings
from django.core.mail.backends.base import BaseEmailBackend

import smtpkit.sync

pool_of = cache(smtpkit.sync.Pool)  # one for each process; it opens nothing until it is used, and threads share it


class EmailBackend(BaseEmailBackend):
    def send_messages(self, messages):
        return sum(self._send(message) for message in messages if message.recipients())

    def _send(self, message):
        sender = parseaddr(message.from_email)[1]
        try:
            pool_of(settings.SMTP_URL).send_message(message.message(), sender, message.recipients(), deadline=30)
        except smtpkit.SMTPError:
            if not self.fail_silently:
                raise
            return 0
        return 1
