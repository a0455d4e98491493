"""Flask: `mail = Mail(app)`, or `mail = Mail()` and `mail.init_app(app)` later; then `mail.send(…)` in a request.

SMTP_URL in the app's configuration is such as "smtps://user:password@mail.example.org", or "memory:"."""

from email.message import EmailMessage

from flask import current_app

import smtpkit.sync


class Mail:
    def __init__(self, app=None):
        if app is not None:
            self.init_app(app)

    def init_app(self, app):
        app.extensions["mail"] = smtpkit.sync.Pool(app.config["SMTP_URL"], deadline=30)

    @property
    def pool(self):
        return current_app.extensions["mail"]

    def send(self, subject, recipients, text, sender=None):
        message = EmailMessage()
        message["Subject"], message["To"] = subject, ", ".join(recipients)
        message["From"] = sender or current_app.config["MAIL_DEFAULT_SENDER"]
        message.set_content(text)
        return self.pool.send_message(message)
