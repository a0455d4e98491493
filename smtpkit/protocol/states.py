"""The order of commands as one table: (state, verb) to next state, for both roles, SMTP and LMTP.

Two laws: nothing about the order of commands lives elsewhere, and nothing here knows which role it plays.
A pair without a row is a bad sequence (503).  A row is taken when the command is answered positively
(2yz, or 354 for DATA); a command that is refused leaves the state as it was (RFC 5321 section 4.1.4).
What answers of another kind do stands in a second table.
"""

import enum

__all__ = ["ANSWERS", "END_OF_DATA", "LMTP", "LMTP_REFUSALS", "ROWS", "SMTP", "SMTP_REFUSALS", "State"]


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


END_OF_DATA = "end of data"  # the line with a single dot, which stands in the table like a verb

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
    (RCPT, "BDAT LAST"): READY,
    (BDAT, "BDAT LAST"): READY,
    # RSET ends the transaction and nothing else             RFC 5321 4.1.1.5
    (CONNECTED, "RSET"): CONNECTED,
    **{(state, "RSET"): READY for state in _GREETED},
    # At any time, also before EHLO                          RFC 5321 4.1.4
    **{(state, verb): state for state in _SESSION for verb in ("NOOP", "HELP", "VRFY", "EXPN")},
    # STARTTLS forgets everything                            RFC 3207 4.2
    (READY, "STARTTLS"): CONNECTED,
    # AUTH, not in a transaction                             RFC 4954 4
    (READY, "AUTH"): READY,
    # ETRN, XFORWARD, and XCLIENT which begins the session anew
    (READY, "ETRN"): READY,  # RFC 1985 5
    (READY, "XFORWARD"): READY,
    (CONNECTED, "XCLIENT"): CONNECTED,
    (READY, "XCLIENT"): CONNECTED,
    # QUIT, the last command always                          RFC 5321 4.1.4, 4.1.1.10
    **{(state, "QUIT"): CLOSED for state in (*_SESSION, REFUSED)},
}

# What follows from an answer that is not positive, or from one that no command asked for; and from anywhere
# 421 leads to CLOSED (RFC 5321 section 3.8).
ANSWERS: dict[tuple[State, str], State] = {
    (GREETING, "220"): CONNECTED,  # RFC 5321 3.1
    (GREETING, "any other greeting"): REFUSED,
    (READY, "334 to AUTH"): AUTH,  # RFC 4954 4: only responses are legal now
    (AUTH, "235 or a refusal"): READY,
    (DATA, "a refusal at the end of data"): READY,  # RFC 5321 4.1.1.4
    (RCPT, "a refusal of BDAT"): BDAT_FAILED,  # RFC 3030 2: only RSET helps
    (BDAT, "a refusal of BDAT"): BDAT_FAILED,
    (RCPT, "a refusal of BDAT LAST"): READY,  # the message is over; a client resets all the same
    (BDAT, "a refusal of BDAT LAST"): READY,
}


def _nested(rows: dict[tuple[State, str], State]) -> dict[State, dict[str, State]]:
    # A row of rows is found once per change of state, a verb in it once per command.
    table: dict[State, dict[str, State]] = {state: {} for state in State}
    for (state, verb), following in rows.items():
        table[state][verb] = following
    return table


def _lmtp(rows: dict[tuple[State, str], State]) -> dict[tuple[State, str], State]:
    # LHLO in the place of EHLO, and no HELO                 RFC 2033 4.1
    return {
        (state, "LHLO" if verb == "EHLO" else verb): following
        for (state, verb), following in rows.items()
        if verb != "HELO"
    }


SMTP = _nested(ROWS)
LMTP = _nested(_lmtp(ROWS))

# The same answers for a client to look up, by what was refused; what is not here leaves the state as it was.
_REFUSALS: dict[tuple[State, str], State] = {
    (GREETING, "greeting"): REFUSED,
    (AUTH, "AUTH"): READY,
    (DATA, END_OF_DATA): READY,
    # Not every server takes a refused BDAT LAST for the end of the transaction: RSET makes it sure.
    **{(state, chunk): BDAT_FAILED for state in (MAIL, RCPT, BDAT) for chunk in ("BDAT", "BDAT LAST")},
}

SMTP_REFUSALS = _nested(_REFUSALS)
# In LMTP each recipient has had an answer then, and the message is over   RFC 2033 4.2
LMTP_REFUSALS = _nested({**_REFUSALS, **{(state, "BDAT LAST"): READY for state in (MAIL, RCPT, BDAT, BDAT_FAILED)}})
