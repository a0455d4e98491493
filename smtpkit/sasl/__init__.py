"""SASL: proving who one is, in both roles, without I/O (RFC 4422; its use in SMTP is RFC 4954).

A mechanism is one class with one generator for each role.  Octets are raw here: base64, `*`, line limits and
replies are the protocol's.  A client:

    login = client_mechanism("PLAIN", username="tim", password="tanstaaftanstaaf")
    response = login.start()                        # the initial response, or None: the server speaks first
    response = login.respond(challenge)             # for each challenge
    login.finish()                                  # upon success; ParseError if the server has not proved itself

A server's mechanism yields a `Challenge`, and is sent the client's response; or a question, and is sent its
answer.  It returns the identity that logged in, or None for a refusal, and raises ParseError for a message that
the mechanism's grammar does not allow:

    exchange = server_mechanism("PLAIN", initial_response)
    question = next(exchange)                       # VerifyPassword(authzid='', username='tim', password=<hidden>)
    exchange.send(True)                             # StopIteration, with the value "tim"

Questions and the answers that they take:

    VerifyPassword(authzid, username, password)     True or False; the only one that may allow to act for another
    FetchSecret(username, mechanism)                the password, for SCRAM also ScramKeys; None for an unknown user
    VerifyToken(username, token)                    True, the token's identity as a str, or False

`register()` adds a mechanism of one's own.  The built-in ones are imported when they are first used.
"""

__all__ = [
    "Challenge",
    "ClientFacts",
    "ClientLogin",
    "FetchSecret",
    "Mechanism",
    "Question",
    "ServerFacts",
    "VerifyPassword",
    "VerifyToken",
    "choose",
    "client_mechanism",
    "mechanism_names",
    "register",
    "server_mechanism",
]

from smtpkit.sasl.facts import ClientFacts, ServerFacts
from smtpkit.sasl.mechanism import ClientLogin, Mechanism
from smtpkit.sasl.questions import Challenge, FetchSecret, Question, VerifyPassword, VerifyToken
from smtpkit.sasl.registry import choose, client_mechanism, mechanism_names, register, server_mechanism
