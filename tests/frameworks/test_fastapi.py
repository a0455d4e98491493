"""docs/frameworks/fastapi_mail.py: a pool in the lifespan of an application."""

import asyncio

import httpx
import pytest

from smtpkit import RecipientsRefused


async def requests(app, *addresses):
    """What the application answers to a request for each address, all at once, within its lifespan."""
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        pool = app.state.mail
        posts = (client.post("/welcome", params={"address": address}) for address in addresses)
        answers = await asyncio.gather(*posts, return_exceptions=True)
    return pool, answers


def test_mail_is_switched_off_by_a_setting(example, monkeypatch):
    monkeypatch.delenv("SMTP_URL", raising=False)
    pool, answers = asyncio.run(requests(example("fastapi_mail").app, "bob@example.net"))
    assert [answer.status_code for answer in answers] == [202]
    assert [message.recipients for message in pool.outbox] == [["bob@example.net"]]


def test_mail_goes_to_a_server_over_a_few_connections(example, monkeypatch, smtp):
    people = [f"user{number}@example.net" for number in range(12)]
    with smtp() as (url, inbox):
        monkeypatch.setenv("SMTP_URL", url)
        pool, answers = asyncio.run(requests(example("fastapi_mail").app, *people, "nobody@example.net"))
    assert [answer.status_code for answer in answers[:-1]] == [202] * 12
    assert isinstance(answers[-1], RecipientsRefused)
    assert sorted(message.recipients[0] for message in inbox) == sorted(people)
    assert len(inbox.connections) <= 3
    assert pool.stats.idle == 0


def test_a_closed_application_has_no_pool(example, monkeypatch):
    monkeypatch.delenv("SMTP_URL", raising=False)
    pool, _ = asyncio.run(requests(example("fastapi_mail").app))
    with pytest.raises(Exception, match="closed"):
        asyncio.run(pool.send("a@a.example", "b@b.example", b"x"))
