"""What becomes of a group of commands if each is answered as mostly, held against the table of states."""

import pytest

from smtpkit.protocol import ClientConfig, ClientConnection
from smtpkit.protocol.command_groups import ACCEPTANCE, plain_group
from smtpkit.protocol.events import NEED_DATA, BodyChunk
from smtpkit.protocol.states import LMTP, SMTP, State
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import Bdat, Data, Ehlo, Mail, Noop, Quit, Rcpt, Rset

MAIL, RCPT, DATA, RSET = Mail(None), Rcpt(Mailbox("b", "b.example")), Data(), Rset()


def test_a_whole_transaction():
    group = plain_group(State.READY, (Mail, Rcpt, Rcpt, Data))
    assert group.steps == ("MAIL", "RCPT", "RCPT", "DATA")
    assert group.codes == [250, 250, 250, 354]
    assert (group.state, group.recipients, group.afresh) == (State.DATA, 2, True)


def test_a_part_of_one_adds_to_what_came_before():
    group = plain_group(State.RCPT, (Rcpt, Data))
    assert (group.state, group.recipients, group.afresh) == (State.DATA, 1, False)


def test_the_end_of_data():
    assert (ACCEPTANCE.steps, ACCEPTANCE.codes, ACCEPTANCE.state) == (("end of data",), [250], State.READY)
    assert (ACCEPTANCE.recipients, ACCEPTANCE.afresh) == (0, True)


@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        (State.READY, ()),
        (State.READY, (Rcpt,)),
        (State.MAIL, (Data,)),
        (State.RCPT, (Mail,)),
        (State.RCPT, (Data, Rset)),
        (State.DATA, (BodyChunk,)),
        (State.READY, (Mail, Rcpt, Bdat, BodyChunk)),
        (State.READY, (Noop,)),
        (State.READY, (Quit,)),
        (State.READY, (Rset, Mail)),  # more than one transaction
        (State.READY, (Mail, Rset)),
    ],
)
def test_there_are_none_for_what_is_out_of_order_or_no_plain_part_of_one_transaction(state, kinds):
    assert plain_group(state, kinds) is None


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "RSET", "end of data"])
def test_lmtp_has_the_same_rows(verb):
    assert [SMTP[state].get(verb) for state in State] == [LMTP[state].get(verb) for state in State]


GROUPS = [(MAIL,), (MAIL, RCPT), (MAIL, RCPT, RCPT, DATA), (RSET,)]
ANSWERS = [
    (b"250 ok\r\n", b"354 go\r\n"),
    (b"250 ok\r\n", b"354 go\r\n", b"250 more\r\n"),
    (b"251 ok\r\n", b"354 go\r\n"),
    (b"250-ok\r\n250 ok\r\n", b"354 go\r\n"),
    (b"450 no\r\n", b"554 no\r\n"),
]


def connection():
    core = ClientConnection(ClientConfig("c.example"))
    core.receive_data(b"220 hi\r\n")
    core.next_event()
    core.send(Ehlo("c.example"))
    core.receive_data(b"250 hi\r\n")
    core.take_replies([])
    core.data_to_send()
    return core


def facts(core):
    return core.state, core.owed, core._ahead, core._accepted, core.data_to_send()


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("answers", ANSWERS)
def test_a_group_that_is_taken_as_a_whole_becomes_what_it_becomes_command_by_command(group, answers):
    positive, intermediate, *extra = answers
    octets = b"".join(intermediate if item is DATA else positive for item in group) + b"".join(extra)
    for _ in range(2):  # the second time every line is known
        together, apart = connection(), connection()
        together.send(*group)
        for item in group:
            apart.send(item)
        assert facts(together) == facts(apart)
        found, expected = [], []
        for core, replies in ((together, found), (apart, expected)):
            core.receive_data(octets)
            core._group = core._group if core is together else None
            assert core.take_replies(replies) is None
        assert found == expected
        assert facts(together) == facts(apart)


def test_what_is_sent_before_the_replies_have_come_is_owed_with_the_rest():
    core = connection()
    core.send(MAIL, RCPT)
    core.send(RCPT)
    core.receive_data(b"250 ok\r\n250 ok\r\n")
    replies = []
    assert core.take_replies(replies) is NEED_DATA
    assert (len(replies), core.owed) == (2, 1)
    core.receive_data(b"250 ok\r\n")
    assert core.take_replies(replies) is None
    assert (len(replies), core.owed, core._accepted) == (3, 0, 2)


@pytest.mark.parametrize("together", [False, True])
def test_what_is_sent_behind_content_is_owed_with_its_reply(together):
    core = connection()
    core.send(MAIL, RCPT, DATA)
    core.receive_data(b"250 ok\r\n250 ok\r\n354 go\r\n")
    core.take_replies([])
    content = BodyChunk(b"hi\r\n", last=True)
    if together:
        core.send(content, MAIL)
    else:
        core.send(content)
        core.send(MAIL)
    core.receive_data(b"250 ok\r\n")
    assert core.take_replies([]) is NEED_DATA
    assert core.owed == 1


def test_a_reply_that_began_before_is_no_part_of_what_was_hoped_for():
    core = connection()
    core.receive_data(b"421-unasked\r\n")
    assert core.next_event() is NEED_DATA
    core.send(MAIL)
    core.receive_data(b"421 bye\r\n")
    replies = []
    assert core.take_replies(replies) is None
    assert replies[0].lines == ("unasked", "bye")
