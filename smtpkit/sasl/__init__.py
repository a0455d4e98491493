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

    VerifyPassword(authzid, username, password)     True or False, or what is stored of the user's password: str or
                                                    bytes, a record, SCRAM keys; None for an unknown user.  Only
                                                    True may allow to act for another.
    FetchSecret(username, mechanism)                the password, for SCRAM also ScramKeys; None for an unknown user
    VerifyToken(username, token)                    True, the token's identity as a str, or False

`make_record()` makes what a server stores in place of a password.  `register()` adds a mechanism of one's own.
The built-in ones are imported when they are first used, and so are records and SCRAM keys.
"""

__all__ = [
    "Challenge",
    "ClientFacts",
    "ClientLogin",
    "FetchSecret",
    "Mechanism",
    "PasswordRecord",
    "Question",
    "ScramKeys",
    "ServerFacts",
    "VerifyPassword",
    "VerifyToken",
    "choose",
    "client_mechanism",
    "decoy",
    "make_record",
    "mechanism_names",
    "register",
    "right_password",
    "server_mechanism",
]

from smtpkit.sasl.facts import ClientFacts, ServerFacts
from smtpkit.sasl.mechanism import ClientLogin, Mechanism
from smtpkit.sasl.questions import Challenge, FetchSecret, Question, VerifyPassword, VerifyToken
from smtpkit.sasl.registry import choose, client_mechanism, mechanism_names, register, server_mechanism

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.sasl.records import PasswordRecord, decoy, make_record, right_password
    from smtpkit.sasl.scram_keys import ScramKeys

_LATER = {
    "PasswordRecord": "records",
    "ScramKeys": "scram_keys",
    "decoy": "records",
    "make_record": "records",
    "right_password": "records",
}


def __getattr__(name: str) -> "Any":
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(__import__(f"{__name__}.{_LATER[name]}", fromlist=[name]), name)
