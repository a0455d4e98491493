"""docs/frameworks/flask_mail.py, as an extension of a Flask application."""

import flask
import pytest

from smtpkit import RecipientsRefused


def application(mail, url):
    app = flask.Flask("shop")
    app.config.update(SMTP_URL=url, MAIL_DEFAULT_SENDER="shop@example.org", TESTING=True)
    mail.init_app(app)

    @app.post("/welcome/<address>")
    def welcome(address):
        mail.send("Welcome", [address], "Hello\n")
        return "", 202

    return app


def test_mail_is_switched_off_by_a_setting(example):
    mail = example("flask_mail").Mail()
    app = application(mail, "memory:")
    assert app.test_client().post("/welcome/bob@example.net").status_code == 202
    with app.app_context():
        assert [message.as_email()["To"] for message in mail.pool.outbox] == ["bob@example.net"]


def test_mail_goes_to_a_server_over_one_connection(example, smtp):
    mail = example("flask_mail").Mail()
    with smtp() as (url, inbox):
        app = application(mail, url)
        for number in range(3):
            assert app.test_client().post(f"/welcome/user{number}@example.net").status_code == 202
        with pytest.raises(RecipientsRefused):
            app.test_client().post("/welcome/nobody@example.net")
        with app.app_context():
            mail.pool.close()
    assert [message.recipients for message in inbox] == [[f"user{number}@example.net"] for number in range(3)]
    assert inbox[0].session.identity == "shop"
    assert len(inbox.connections) == 1


def test_an_application_may_be_given_at_once(example):
    app = flask.Flask("shop")
    app.config["SMTP_URL"] = "memory:"
    mail = example("flask_mail").Mail(app)
    with app.app_context():
        assert mail.send("x", ["bob@example.net"], "x", sender="ada@example.org").accepted
