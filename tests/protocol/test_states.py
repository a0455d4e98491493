"""The order of commands, pair by pair, against tables written from RFC 5321 4.1.4, RFC 3030, 3207, 4954 and 2033."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.protocol.events import Connect
from smtpkit.protocol.states import END_OF_DATA, LMTP, SMTP, State
from smtpkit.wire.replies import Reply

play = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))

EXTENSIONS = ["PIPELINING", "SIZE", "8BITMIME", "CHUNKING", "ETRN", "XCLIENT", "XFORWARD", "HELP"]

# A line for each verb; the positive answer of each is its standard one.
LINES = {
    "EHLO": b"EHLO c.example\r\n",
    "HELO": b"HELO c.example\r\n",
    "LHLO": b"LHLO c.example\r\n",
    "MAIL": b"MAIL FROM:<x@x.example>\r\n",
    "RCPT": b"RCPT TO:<y@y.example>\r\n",
    "DATA": b"DATA\r\n",
    "BDAT": b"BDAT 6\r\nQUIT\r\n",  # octets of a chunk are never commands
    "LAST": b"BDAT 6 LAST\r\nQUIT\r\n",
    "RSET": b"RSET\r\n",
    "NOOP": b"NOOP\r\n",
    "HELP": b"HELP\r\n",
    "VRFY": b"VRFY joe\r\n",
    "EXPN": b"EXPN list\r\n",
    "STARTTLS": b"STARTTLS\r\n",
    "AUTH": b"AUTH PLAIN AHVzZXIAcGFzcw==\r\n",
    "ETRN": b"ETRN c.example\r\n",
    "XCLIENT": b"XCLIENT NAME=c.example\r\n",
    "XFORWARD": b"XFORWARD NAME=c.example\r\n",
    "QUIT": b"QUIT\r\n",
    "FOO": b"FOO\r\n",
    "TURN": b"TURN\r\n",
}

# States: Connected, Ready, Mail, rcpT, Bdat, Failed bdat, refused (X); D is DATA, - is closed.
# A cell is the code, and the next state where it is another one.
SMTP_TABLE = """
            C       R       M       T       B       F       X
EHLO        250R    250     250R    250R    250R    250R    503
HELO        250R    250     250R    250R    250R    250R    503
LHLO        500     500     500     500     500     500     503
MAIL        503     250M    503     503     503     503     503
RCPT        503     503     250T    250     503     503     503
DATA        503     503     503     354D    503     503     503
BDAT        503     503     503     250B    250     503     503
LAST        503     503     503     250R    250R    503     503
RSET        250     250     250R    250R    250R    250R    503
NOOP        250     250     250     250     250     250     503
HELP        214     214     214     214     214     214     503
VRFY        252     252     252     252     252     252     503
EXPN        250     250     250     250     250     250     503
STARTTLS    503     220S    503     503     503     503     503
AUTH        503     235     503     503     503     503     503
ETRN        503     250     503     503     503     503     503
XCLIENT     220     220C    503     503     503     503     503
XFORWARD    503     250     503     503     503     503     503
QUIT        221-    221-    221-    221-    221-    221-    221-
FOO         500     500     500     500     500     500     503
TURN        502     502     502     502     502     502     503
"""

# A session that said HELO has no extensions (RFC 5321 section 4.1.1.1).
HELO_TABLE = """
            R       M       T
EHLO        250R    250R    250R
HELO        250R    250R    250R
MAIL        250M    503     503
RCPT        503     250T    250
DATA        503     503     354D
BDAT        503     503     503
LAST        503     503     503
STARTTLS    503     503     503
AUTH        503     503     503
ETRN        503     503     503
XFORWARD    503     503     503
RSET        250     250R    250R
NOOP        250     250     250
HELP        214     214     214
VRFY        252     252     252
QUIT        221-    221-    221-
FOO         500     500     500
"""

# What is different in LMTP; one recipient, so one reply.
LMTP_TABLE = """
            C       R       M       T       B       F       X
EHLO        500     500     500     500     500     500     503
HELO        500     500     500     500     500     500     503
LHLO        250R    250     250R    250R    250R    250R    503
MAIL        503     250M    503     503     503     503     503
RCPT        503     503     250T    250     503     503     503
DATA        503     503     503     354D    503     503     503
BDAT        503     503     503     250B    250     503     503
LAST        503     503     noneR   250R    250R    503     503
RSET        250     250     250R    250R    250R    250R    503
STARTTLS    503     220S    503     503     503     503     503
AUTH        503     235     503     503     503     503     503
QUIT        221-    221-    221-    221-    221-    221-    221-
FOO         500     500     500     500     500     500     503
"""

STATES = {
    "C": State.CONNECTED,
    "R": State.READY,
    "M": State.MAIL,
    "T": State.RCPT,
    "B": State.BDAT,
    "F": State.BDAT_FAILED,
    "X": State.REFUSED,
    "D": State.DATA,
    "S": State.READY,  # until TLS is up
    "-": State.CLOSED,
}


def pairs(table):
    return list(_pairs(table))


def _pairs(table):
    head, *rows = (line.split() for line in table.strip().splitlines())
    for verb, *cells in rows:
        for state, cell in zip(head, cells, strict=True):
            answers = [] if cell[:4] == "none" else [int(cell[:3])]
            yield state, verb, answers, cell[len("none" if not answers else "250") :] or state


def at(state, hello, lmtp):
    """A session in that state."""
    settings = {"extensions": EXTENSIONS, "lmtp": lmtp, "tls_available": True}
    decisions = {}
    if state == "X":
        decisions = {Connect: Reply(554, "no service")}
    session = play.Play(play.with_login(**settings), decisions)
    way = {
        "C": b"",
        "X": b"",
        "R": b"",
        "M": b"MAIL FROM:<a@a.example>\r\n",
        "T": play.TRANSACTION,
        "B": play.TRANSACTION + b"BDAT 2\r\nab",
        "F": play.TRANSACTION,
    }[state]
    if state not in "CX":
        session.say(LINES[hello] + way)
    if state == "F":
        session.core.receive_data(b"BDAT 2\r\nab")
        session.core.next_event()
        session.core.reject(Reply(452, "no room"))
        session.run()
    assert session.core.state is STATES[state]
    session.events.clear()
    return session


def check(session, verb, answers, following, lmtp=False):
    answer = session.say(LINES[verb])
    assert play.codes(answer) == answers
    assert session.core.state is STATES[following]
    # The session is in step: nothing of the line is left.
    if following not in "-SD":
        still = [503] if following == "X" else [250]
        assert play.codes(session.say(b"NOOP\r\n")) == still


@pytest.mark.parametrize(("state", "verb", "answers", "following"), pairs(SMTP_TABLE))
def test_each_pair_of_state_and_verb(state, verb, answers, following):
    check(at(state, "EHLO", lmtp=False), verb, answers, following)


@pytest.mark.parametrize(("state", "verb", "answers", "following"), pairs(HELO_TABLE))
def test_each_pair_in_a_session_without_extensions(state, verb, answers, following):
    check(at(state, "HELO", lmtp=False), verb, answers, following)


@pytest.mark.parametrize(("state", "verb", "answers", "following"), pairs(LMTP_TABLE))
def test_each_pair_of_lmtp(state, verb, answers, following):
    check(at(state, "LHLO", lmtp=True), verb, answers, following)


REFUSALS = {
    "EHLO": 550,
    "HELO": 550,
    "MAIL": 451,
    "RCPT": 550,
    "DATA": 451,
    "VRFY": 550,
    "EXPN": 502,
    "STARTTLS": 454,
    "ETRN": 458,
    "XCLIENT": 550,
    "XFORWARD": 550,
}


@pytest.mark.parametrize(
    ("state", "verb"),
    [(state, verb) for state, verb, answers, _ in pairs(SMTP_TABLE) if answers[0] < 400 and verb in REFUSALS],
)
def test_a_refused_command_leaves_the_state_as_it_was(state, verb):
    session = at(state, "EHLO", lmtp=False)
    session.decisions = dict.fromkeys(play.COMMANDS, Reply(REFUSALS[verb], "no"))
    assert play.codes(session.say(LINES[verb])) == [REFUSALS[verb]]
    assert session.core.state is STATES[state]


@pytest.mark.parametrize(("table", "text"), [(SMTP, SMTP_TABLE), (LMTP, LMTP_TABLE)])
def test_there_is_a_row_for_each_positive_answer_and_no_other(table, text):
    expected = {(STATES[state], verb) for state, verb, answers, _ in pairs(text) if answers and answers[0] < 400}
    verbs = {verb for _, verb in expected}
    rows = {(state, verb.replace("BDAT LAST", "LAST")) for state, row in table.items() for verb in row}
    assert {(state, verb) for state, verb in rows if verb in verbs} == expected
    assert {verb for _, verb in rows} - verbs <= {
        END_OF_DATA,
        "NOOP",
        "HELP",
        "VRFY",
        "EXPN",
        "ETRN",
        "XCLIENT",
        "XFORWARD",
    }


def test_end_of_data_is_a_row_like_a_verb():
    assert SMTP[State.DATA] == {END_OF_DATA: State.READY}


@pytest.mark.parametrize("state", list(State))
def test_states_hash_and_compare_by_identity(state):
    assert hash(state) == object.__hash__(state)
    assert {state: 1}[state] == 1
