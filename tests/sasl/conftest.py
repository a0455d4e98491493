"""Driving a server's mechanism, alone or against a client's."""

import json
from pathlib import Path

import pytest

from smtpkit.sasl import Challenge, client_mechanism, server_mechanism


@pytest.fixture(scope="session")
def auth_vectors():
    text = (Path(__file__).parents[1] / "vectors" / "auth.json").read_text()
    return json.loads(text)["vectors"]


@pytest.fixture
def serve():
    """serve(name, initial, responses, answer, **facts) -> (identity, challenges, questions)."""

    def run(name, initial=None, responses=(), answer=True, **facts):
        exchange, responses = server_mechanism(name, initial, **facts), list(responses)
        challenges, questions = [], []
        try:
            step = next(exchange)
            while True:
                if isinstance(step, Challenge):
                    challenges.append(step.octets)
                    step = exchange.send(responses.pop(0))
                else:
                    questions.append(step)
                    step = exchange.send(answer(step) if callable(answer) else answer)
        except StopIteration as end:
            assert not responses
            return end.value, challenges, questions

    return run


@pytest.fixture
def log_in():
    """log_in(name, answer, client_facts, server_facts) -> (identity, ClientLogin, transcript)."""

    def run(name, answer, client_facts, server_facts=None):
        client = client_mechanism(name, **client_facts)
        response = client.start()
        exchange = server_mechanism(name, response, **(server_facts or {}))
        transcript = [("C", response)]
        try:
            step = next(exchange)
            while True:
                if isinstance(step, Challenge):
                    response = client.respond(step.octets)
                    transcript += [("S", step.octets), ("C", response)]
                    step = exchange.send(response)
                else:
                    step = exchange.send(answer(step) if callable(answer) else answer)
        except StopIteration as end:
            if end.value is not None:
                client.finish()
            return end.value, client, transcript

    return run
