"""The order of commands as three tables: (state, step) to next state, for both roles, SMTP and LMTP.

Two laws: nothing about the order of commands lives elsewhere, and nothing here knows which role it plays, but for
what a client has to believe.  A step is a verb, or what else is answered: see `NOT_COMMANDS`.  A pair without a row
in the first table is a bad sequence (503); its row is taken when the step is answered positively (2yz, or 354 for
DATA, which has no other).  The second table has what 3yz does, the third what a refusal does; a step that is not in
it leaves the state as it was (RFC 5321 section 4.1.4).  From anywhere 421 leads to CLOSED (RFC 5321 section 3.8).
"""

import enum

__all__ = [
    "END_OF_DATA",
    "INTERMEDIATE",
    "LAST_CHUNK",
    "LMTP",
    "LMTP_OUTCOMES",
    "LMTP_REFUSALS",
    "NOT_COMMANDS",
    "RESPONSE",
    "ROWS",
    "SMTP",
    "SMTP_OUTCOMES",
    "SMTP_REFUSALS",
    "State",
]


class State(enum.Enum):
    """Where a session stands."""

    GREETING = "greeting"  # connected, the greeting not yet given
    CONNECTED = "connected"  # greeted with 220; no EHLO, HELO or LHLO yet, or TLS has just begun
    REFUSED = "refused"  # greeted with 554: nothing but QUIT
    READY = "ready"  # no mail transaction
    MAIL = "mail"  # MAIL accepted, no recipient yet
    RCPT = "rcpt"  # at least one recipient accepted
    DATA = "data"  # 354 given, the content is under way
    BDAT = "bdat"  # at least one chunk accepted, none of them LAST
    BDAT_FAILED = "bdat failed"  # a chunk was refused: the transaction can only be reset
    AUTH = "auth"  # in a SASL exchange
    CLOSED = "closed"

    # Members are singletons; identity is enough and is a quarter of the price of Enum's own hash.
    __hash__ = object.__hash__


LAST_CHUNK = "BDAT LAST"
# What stands in the tables like a verb: the greeting, the line with a single dot, and what answers a challenge.
END_OF_DATA = "end of data"
RESPONSE = "response"
NOT_COMMANDS = frozenset({"greeting", END_OF_DATA, RESPONSE})

GREETING = State.GREETING
CONNECTED = State.CONNECTED
REFUSED = State.REFUSED
READY = State.READY
MAIL = State.MAIL
RCPT = State.RCPT
DATA = State.DATA
BDAT = State.BDAT
BDAT_FAILED = State.BDAT_FAILED
AUTH = State.AUTH
CLOSED = State.CLOSED

_SESSION = (CONNECTED, READY, MAIL, RCPT, BDAT, BDAT_FAILED)  # where commands are read
_GREETED = (READY, MAIL, RCPT, BDAT, BDAT_FAILED)

ROWS: dict[tuple[State, str], State] = {
    # The session begins                                     RFC 5321 3.1
    (GREETING, "greeting"): CONNECTED,
    # EHLO and HELO, also in the middle of a transaction, which they abort    RFC 5321 4.1.4
    **{(state, verb): READY for state in _SESSION for verb in ("EHLO", "HELO")},
    # The mail transaction                                   RFC 5321 3.3, 4.1.4
    (READY, "MAIL"): MAIL,
    (MAIL, "RCPT"): RCPT,
    (RCPT, "RCPT"): RCPT,
    (RCPT, "DATA"): DATA,
    (DATA, END_OF_DATA): READY,
    # CHUNKING: DATA has no row once a chunk has come        RFC 3030 2
    (RCPT, "BDAT"): BDAT,
    (BDAT, "BDAT"): BDAT,
    (RCPT, LAST_CHUNK): READY,
    (BDAT, LAST_CHUNK): READY,
    # RSET ends the transaction and nothing else             RFC 5321 4.1.1.5
    (CONNECTED, "RSET"): CONNECTED,
    **{(state, "RSET"): READY for state in _GREETED},
    # At any time, also before EHLO                          RFC 5321 4.1.4
    **{(state, verb): state for state in _SESSION for verb in ("NOOP", "HELP", "VRFY", "EXPN")},
    # STARTTLS forgets everything                            RFC 3207 4.2
    (READY, "STARTTLS"): CONNECTED,
    # AUTH, not in a transaction                             RFC 4954 4
    (READY, "AUTH"): READY,
    (AUTH, RESPONSE): READY,
    # ETRN, XFORWARD, and XCLIENT which begins the session anew
    (READY, "ETRN"): READY,  # RFC 1985 5
    (READY, "XFORWARD"): READY,
    (CONNECTED, "XCLIENT"): CONNECTED,
    (READY, "XCLIENT"): CONNECTED,
    # QUIT, the last command always                          RFC 5321 4.1.4, 4.1.1.10
    **{(state, "QUIT"): CLOSED for state in (*_SESSION, REFUSED)},
}

INTERMEDIATE: dict[tuple[State, str], State] = {
    (RCPT, "DATA"): DATA,  # RFC 5321 4.1.1.4
    (READY, "AUTH"): AUTH,  # RFC 4954 4: only responses are legal now
    (AUTH, RESPONSE): AUTH,
}

_REFUSALS: dict[tuple[State, str], State] = {
    (GREETING, "greeting"): REFUSED,  # RFC 5321 3.1
    (AUTH, RESPONSE): READY,  # RFC 4954 4
    (DATA, END_OF_DATA): READY,  # RFC 5321 4.1.1.4
    (RCPT, "BDAT"): BDAT_FAILED,  # RFC 3030 2: only RSET helps
    (BDAT, "BDAT"): BDAT_FAILED,
    (RCPT, LAST_CHUNK): READY,  # the message is over
    (BDAT, LAST_CHUNK): READY,
}
_LMTP_REFUSALS = {(MAIL, LAST_CHUNK): READY}  # without a word: there is nobody to answer for    RFC 2033 4.3

# What a client does besides: it believes a server that errs, and is careful where servers differ.
_BELIEVED = {(state, step): READY for state in _GREETED for step in ("AUTH", LAST_CHUNK)}
_BELIEVED_INTERMEDIATE = {
    **{(state, "AUTH"): AUTH for state in _GREETED},
    **{(state, "DATA"): DATA for state in _GREETED},  # who gives 354 must be given content    RFC 2920 3.1
}
# Not every server takes a refused BDAT LAST for the end of the transaction: RSET makes it sure.
_CAUTION = {(state, chunk): BDAT_FAILED for state in (MAIL, RCPT, BDAT) for chunk in ("BDAT", LAST_CHUNK)}
# In LMTP each recipient has had an answer then, and the message is over, if no chunk was refused before    RFC 2033 4.3
_LMTP_CAUTION = {**_CAUTION, **{(state, LAST_CHUNK): READY for state in (MAIL, RCPT, BDAT)}}


def _nested(*tables: dict[tuple[State, str], State]) -> dict[State, dict[str, State]]:
    # A row of rows is found once per change of state, a step in it once per answer; the later table counts.
    nested: dict[State, dict[str, State]] = {state: {} for state in State}
    for table in tables:
        for (state, step), following in table.items():
            nested[state][step] = following
    return nested


def _lmtp(rows: dict[tuple[State, str], State]) -> dict[tuple[State, str], State]:
    # LHLO in the place of EHLO, and no HELO                 RFC 2033 4.1
    return {
        (state, "LHLO" if verb == "EHLO" else verb): following
        for (state, verb), following in rows.items()
        if verb != "HELO"
    }


SMTP = _nested(ROWS)
LMTP = _nested(_lmtp(ROWS))
SMTP_REFUSALS = _nested(_REFUSALS)
LMTP_REFUSALS = _nested(_REFUSALS, _LMTP_REFUSALS)


def _outcomes(
    rows: dict[tuple[State, str], State], caution: dict[tuple[State, str], State]
) -> dict[int, dict[State, dict[str, State]]]:
    # What a client makes of an answer, by the first digit of its code.
    refusals = _nested(_REFUSALS, caution)
    return {
        2: _nested(rows, _BELIEVED),
        3: _nested(INTERMEDIATE, _BELIEVED_INTERMEDIATE),
        4: refusals,
        5: refusals,
    }


SMTP_OUTCOMES = _outcomes(ROWS, _CAUTION)
LMTP_OUTCOMES = _outcomes(_lmtp(ROWS), _LMTP_CAUTION)
