"""The order of commands, pair by pair, against tables written from RFC 5321 4.1.4, RFC 3030, 3207, 4954 and 2033."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.protocol.events import Connect
from smtpkit.protocol.extensions import Extension
from smtpkit.protocol.states import (
    END_OF_DATA,
    INTERMEDIATE,
    LAST_CHUNK,
    LMTP,
    LMTP_OUTCOMES,
    LMTP_REFUSALS,
    NOT_COMMANDS,
    RESPONSE,
    SMTP,
    SMTP_OUTCOMES,
    SMTP_REFUSALS,
    State,
)
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

# The same under TLS, or logged in, or both: what is not named is as above.
TLS_TABLE = """
            C       R       M       T       B       F
STARTTLS    503     503     503     503     503     503
"""
LOGGED_IN_TABLE = """
            C       R       M       T       B       F
AUTH        503     503     503     503     503     503
"""

# Where TLS is demanded, in clear: all but NOOP, EHLO, STARTTLS and QUIT (RFC 3207 section 4).
NEEDS_TLS_TABLE = """
            C       R
EHLO        250R    250
HELO        530     530
LHLO        500     500
MAIL        530     530
RCPT        530     530
DATA        530     530
BDAT        530     530
LAST        530     530
RSET        530     530
NOOP        250     250
HELP        530     530
VRFY        530     530
EXPN        530     530
STARTTLS    503     220S
AUTH        503     530
ETRN        530     530
XCLIENT     530     530
XFORWARD    530     530
QUIT        221-    221-
FOO         500     500
TURN        502     502
"""

# Where login is demanded: all but AUTH, EHLO, HELO, NOOP, RSET, QUIT (RFC 4954 section 6), STARTTLS, and XCLIENT.
NEEDS_LOGIN_TABLE = """
            C       R
EHLO        250R    250
HELO        250R    250
LHLO        500     500
MAIL        530     530
RCPT        530     530
DATA        530     530
BDAT        530     530
LAST        530     530
RSET        250     250
NOOP        250     250
HELP        530     530
VRFY        530     530
EXPN        530     530
STARTTLS    503     220S
AUTH        503     235
ETRN        530     530
XCLIENT     220     220C
XFORWARD    530     530
QUIT        221-    221-
FOO         500     500
TURN        502     502
"""

# Where no extension is offered, no TLS and no login; a chunk that nobody expects ends the session.
NOTHING_TABLE = """
            C       R       M       T
EHLO        250R    250     250R    250R
HELO        250R    250     250R    250R
MAIL        503     250M    503     503
RCPT        503     503     250T    250
DATA        503     503     503     354D
BDAT        502-    502-    502-    502-
LAST        502-    502-    502-    502-
STARTTLS    502     502     502     502
AUTH        502     502     502     502
ETRN        502     502     502     502
XCLIENT     502     502     502     502
XFORWARD    502     502     502     502
HELP        214     214     214     214
VRFY        252     252     252     252
EXPN        250     250     250     250
RSET        250     250     250R    250R
NOOP        250     250     250     250
QUIT        221-    221-    221-    221-
FOO         500     500     500     500
TURN        502     502     502     502
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


def at(state, hello, lmtp, *, tls=False, login=False, **settings):
    """A session in that state."""
    settings = {"extensions": EXTENSIONS, "lmtp": lmtp, "tls_available": True, **settings}
    decisions = {}
    if state == "X":
        decisions = {Connect: Reply(554, "no service")}
    made = play.config(**settings) if "auth" in settings else play.with_login(**settings)
    session = play.Play(made, decisions, tls=tls)
    way = {
        "C": b"",
        "X": b"",
        "R": b"",
        "M": b"MAIL FROM:<a@a.example>\r\n",
        "T": play.TRANSACTION,
        "B": play.TRANSACTION + b"BDAT 2\r\nab",
        "F": play.TRANSACTION,
    }[state]
    if login:
        session.say(LINES[hello] + LINES["AUTH"])
    if login and state == "C":
        session.core._move(State.CONNECTED)  # which is where XCLIENT would lead
    elif state not in "CX":
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
    if answers and answers[0] in (500, 502, 503, 530):
        # RFC 5248; none in answer to a hello (RFC 2034 section 4)
        status = b"" if verb in ("EHLO", "HELO", "LHLO") else b" 5.7.0" if answers[0] == 530 else b" 5.5.1"
        assert answer[3 : 3 + len(status)] == status
        assert status or answer[5:6] != b"."
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


def standing(**facts):
    """What of SMTP_TABLE holds in a standing, with the rows that its own table has in their place."""
    own = {"tls": TLS_TABLE, "login": LOGGED_IN_TABLE}
    changed = {row[:2]: row for name in facts for row in pairs(own[name])}
    return [changed.get(row[:2], row) for row in pairs(SMTP_TABLE) if row[0] != "X"]


@pytest.mark.parametrize(("state", "verb", "answers", "following"), standing(tls=True))
def test_each_pair_under_tls(state, verb, answers, following):
    check(at(state, "EHLO", lmtp=False, tls=True), verb, answers, following)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(("state", "verb", "answers", "following"), standing(login=True))
def test_each_pair_after_login(tls, state, verb, answers, following):
    if tls and verb == "STARTTLS":
        answers, following = [503], state
    check(at(state, "EHLO", lmtp=False, tls=tls, login=True), verb, answers, following)


@pytest.mark.parametrize(("state", "verb", "answers", "following"), pairs(NEEDS_TLS_TABLE))
def test_each_pair_where_tls_is_demanded(state, verb, answers, following):
    check(at(state, "EHLO", lmtp=False, require_tls=True), verb, answers, following)


@pytest.mark.parametrize(("state", "verb", "answers", "following"), pairs(NEEDS_LOGIN_TABLE))
def test_each_pair_where_login_is_demanded(state, verb, answers, following):
    check(at(state, "EHLO", lmtp=False, required=True), verb, answers, following)


@pytest.mark.parametrize(("state", "verb", "answers", "following"), pairs(NOTHING_TABLE))
def test_each_pair_where_nothing_is_offered(state, verb, answers, following):
    session = at(state, "EHLO", lmtp=False, extensions=[], tls_available=False, auth=None)
    check(session, verb, answers, following)


@pytest.mark.parametrize(("state", "code"), [("C", 503), ("R", 250), ("M", 250), ("T", 250), ("B", 503), ("F", 503)])
@pytest.mark.parametrize("tls", [False, True])
def test_a_verb_that_the_application_added(state, code, tls):
    added = [*EXTENSIONS, Extension("XADD", verbs=["XADD"])]
    session = at(state, "EHLO", lmtp=False, tls=tls, extensions=added)
    assert play.codes(session.say(b"XADD\r\n")) == [code]
    assert session.core.state is STATES[state]


@pytest.mark.parametrize("verb", LINES)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_in_a_login_every_line_is_a_response(verb, mechanism):
    """None of them is a command: most are no base64, and the others no credentials (RFC 4954 section 4)."""
    session = at("R", "EHLO", lmtp=False)
    session.say(b"AUTH " + mechanism.encode() + b"\r\n")
    assert session.core.state is State.AUTH
    line = LINES[verb].partition(b"\r\n")[0] + b"\r\n"
    said = play.codes(session.say(line))
    assert len(said) == 1
    assert said[0] in (501, 535, 334)
    if said == [334]:  # what is base64 may be a name
        assert session.core.state is State.AUTH
        said = play.codes(session.say(b"*\r\n"))
    assert session.core.state is State.READY
    assert session.kinds.count("Quit") == session.kinds.count("Mail") == 0
    assert play.codes(session.say(b"NOOP\r\n")) == [250]


@pytest.mark.parametrize("verb", LINES)
@pytest.mark.parametrize("framing", ["DATA", "BDAT", "refused BDAT"])
def test_in_content_every_line_is_content(verb, framing):
    line = LINES[verb]
    session = at("R" if framing == "refused BDAT" else "T", "EHLO", lmtp=False)
    begin = b"DATA\r\n" if framing == "DATA" else b"BDAT %d LAST\r\n" % (len(line) + 2)
    assert play.codes(session.say(begin)) == ([354] if framing == "DATA" else [])
    assert session.say(line) == b""
    assert play.codes(session.say(b".\r\n" if framing == "DATA" else b"\r\n")) == [503 if "ref" in framing else 250]
    expected = [] if framing == "refused BDAT" else [line if framing == "DATA" else line + b"\r\n"]
    assert session.messages == expected
    assert play.codes(session.say(b"NOOP\r\n")) == [250]


@pytest.mark.parametrize("verb", LINES)
def test_behind_starttls_nothing_is_read_and_before_the_greeting_nothing_is_answered(verb):
    session = at("R", "EHLO", lmtp=False)
    session.say(b"STARTTLS\r\n")
    assert session.say(LINES[verb]) == b""
    early = play.Play(play.config(), {Connect: None})
    assert early.say(LINES[verb]) == b""


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
    assert {verb for _, verb in rows} - verbs <= NOT_COMMANDS | {
        "NOOP",
        "HELP",
        "VRFY",
        "EXPN",
        "ETRN",
        "XCLIENT",
        "XFORWARD",
    }


def test_what_is_answered_and_is_no_command_is_a_row_like_a_verb():
    assert SMTP[State.GREETING] == {"greeting": State.CONNECTED}
    assert SMTP[State.AUTH] == {RESPONSE: State.READY}
    assert SMTP[State.DATA] == {END_OF_DATA: State.READY}


@pytest.mark.parametrize("refusals", [SMTP_REFUSALS, LMTP_REFUSALS])
def test_what_a_refusal_moves(refusals):
    moved = {(state, step): following for state, row in refusals.items() for step, following in row.items()}
    lmtp = {(State.MAIL, LAST_CHUNK): State.READY} if refusals is LMTP_REFUSALS else {}
    assert moved == lmtp | {
        (State.GREETING, "greeting"): State.REFUSED,
        (State.AUTH, RESPONSE): State.READY,
        (State.DATA, END_OF_DATA): State.READY,
        (State.RCPT, "BDAT"): State.BDAT_FAILED,
        (State.BDAT, "BDAT"): State.BDAT_FAILED,
        (State.RCPT, LAST_CHUNK): State.READY,
        (State.BDAT, LAST_CHUNK): State.READY,
    }


@pytest.mark.parametrize(("table", "outcomes"), [(SMTP, SMTP_OUTCOMES), (LMTP, LMTP_OUTCOMES)])
def test_a_client_follows_the_same_rows_where_all_is_in_order(table, outcomes):
    for state, row in table.items():
        for step, following in row.items():
            assert outcomes[2][state][step] is following
    for (state, step), following in INTERMEDIATE.items():
        assert outcomes[3][state][step] is following
    assert outcomes[4] is outcomes[5]


def test_a_client_resets_once_bdat_was_refused_but_for_the_last_chunk_of_lmtp():
    for state in (State.MAIL, State.RCPT, State.BDAT):
        assert SMTP_OUTCOMES[5][state] == {"BDAT": State.BDAT_FAILED, LAST_CHUNK: State.BDAT_FAILED}
        assert LMTP_OUTCOMES[5][state] == {"BDAT": State.BDAT_FAILED, LAST_CHUNK: State.READY}
    assert SMTP_OUTCOMES[5][State.BDAT_FAILED] == LMTP_OUTCOMES[5][State.BDAT_FAILED] == {}


def test_a_client_believes_what_was_answered_out_of_order():
    for state in (State.READY, State.MAIL, State.RCPT, State.BDAT, State.BDAT_FAILED):
        assert (SMTP_OUTCOMES[2][state][LAST_CHUNK], SMTP_OUTCOMES[2][state]["AUTH"]) == (State.READY, State.READY)
        assert SMTP_OUTCOMES[3][state] == {"DATA": State.DATA, "AUTH": State.AUTH}


@pytest.mark.parametrize("state", list(State))
def test_states_hash_and_compare_by_identity(state):
    assert hash(state) == object.__hash__(state)
    assert {state: 1}[state] == 1
