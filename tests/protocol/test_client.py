"""ClientConnection: commands and content out, replies in, each matched to what it answers."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.errors import LocalProtocolError, RemoteProtocolError
from smtpkit.protocol import (
    NEED_DATA,
    AuthResponse,
    BodyChunk,
    ClientConfig,
    ClientConnection,
    ConnectionClosed,
    State,
    TLSFacts,
    Transcript,
    Transport,
)
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import (
    Auth,
    Bdat,
    Data,
    Ehlo,
    Etrn,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTLS,
    UnknownCommand,
    Vrfy,
    XClient,
    XForward,
)

BOB = Rcpt(Mailbox("bob", "b.example"))
MAIL = Mail(Mailbox("a", "a.example"))


def said(core, *lines):
    core.receive_data("".join(line + "\r\n" for line in lines).encode())
    return core.next_event()


def dialogue(core, *pairs):
    for item, line in pairs:
        core.send(item)
        said(core, line)
    core.data_to_send()
    return core


@pytest.fixture
def new():
    core = ClientConnection(ClientConfig())
    said(core, "220 hi")
    return core


# Replies in order


def test_the_replies_to_a_group_are_taken_together(new):
    dialogue(new, (Ehlo("c.example"), "250 s.example"))
    new.send(MAIL, BOB, BOB, Data())
    new.receive_data(b"250 a\r\n250-b\r\n250 b\r\n4")
    replies = []
    assert new.take_replies(replies) is NEED_DATA
    assert [reply.text for reply in replies] == ["a", "b\nb"]
    new.receive_data(b"50 c\r\n354 d\r\n")
    assert new.take_replies(replies) is None
    assert [reply.code for reply in replies] == [250, 250, 450, 354]
    assert new.state is State.DATA


def test_no_more_replies_are_taken_than_are_owed(new):
    dialogue(new, (Ehlo("c.example"), "250 s.example"))
    new.send(MAIL)
    new.receive_data(b"250 a\r\n250 b\r\n")
    replies = []
    assert new.take_replies(replies) is None
    assert [reply.text for reply in replies] == ["a"]
    with pytest.raises(RemoteProtocolError, match="nobody asked for"):
        new.next_event()


def test_the_replies_before_what_is_none_are_taken(new):
    dialogue(new, (Ehlo("c.example"), "250 s.example"))
    new.send(MAIL, BOB)
    new.receive_data(b"250 a\r\nwhat?\r\n")
    replies = []
    with pytest.raises(RemoteProtocolError):
        new.take_replies(replies)
    assert [reply.text for reply in replies] == ["a"]


def test_of_a_group_that_is_out_of_order_what_stands_before_is_sent(new):
    dialogue(new, (Ehlo("c.example"), "250 s.example"))
    with pytest.raises(LocalProtocolError):
        new.send(MAIL, MAIL)
    assert new.data_to_send() == bytes(MAIL)


def test_where_the_stream_ends_within_a_group_the_replies_before_are_taken(new):
    dialogue(new, (Ehlo("c.example"), "250 s.example"))
    new.send(MAIL, BOB)
    new.receive_data(b"250 a\r\n")
    new.receive_data(b"")
    replies = []
    assert new.take_replies(replies) == ConnectionClosed()
    assert new.take_replies(replies) == ConnectionClosed()
    assert len(replies) == 1


def test_lmtp_takes_no_reply_that_turns_out_not_to_be_owed():
    core = ClientConnection(ClientConfig(lmtp=True))
    said(core, "220 hi")
    dialogue(core, (Lhlo("c.example"), "250 s.example"), (MAIL, "250 a"))
    core.send(BOB, Bdat(0, last=True), BodyChunk(b"", last=True))
    core.receive_data(b"550 no\r\n421 late\r\n")
    replies = []
    assert core.take_replies(replies) is None
    assert [reply.code for reply in replies] == [550]


def test_replies_are_matched_in_order(ready):
    core = ready("PIPELINING")
    core.send(MAIL)
    core.send(BOB)
    core.send(BOB)
    core.send(Data())
    assert core.owed == 4
    assert core.waiting_for == "MAIL"
    assert core.data_to_send() == b"MAIL FROM:<a@a.example>\r\n" + b"RCPT TO:<bob@b.example>\r\n" * 2 + b"DATA\r\n"
    assert core.data_to_send() == b""
    core.receive_data(b"250 a\r\n550 b\r\n250 c\r\n354 d\r\n")
    assert [core.next_event().text for _ in range(4)] == ["a", "b", "c", "d"]
    assert core.next_event() is NEED_DATA
    assert core.state is State.DATA
    assert core.waiting_for == "body"


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 60), max_size=12))
def test_any_split_of_what_comes_gives_the_same_replies(cuts):
    answers = [b"220-a\r\n220 b\r\n", b"250-mx\r\n250-SIZE 5\r\n250 PIPELINING\r\n", b"250 2.1.0 ok\r\n"]
    core = ClientConnection(ClientConfig())
    replies = []
    for item, octets in zip((None, Ehlo("c.example"), MAIL), answers, strict=True):
        if item is not None:
            core.send(item)
        for start, end in pairwise([0, *sorted(cut for cut in cuts if cut < len(octets)), len(octets)]):
            if end > start:
                core.receive_data(octets[start:end])
            while core.owed and (event := core.next_event()) is not NEED_DATA:
                replies.append((event.code, event.lines))
    assert replies == [(220, ("a", "b")), (250, ("mx", "SIZE 5", "PIPELINING")), (250, ("ok",))]
    assert core.capabilities.size == 5
    assert core.state is State.MAIL


def test_the_greeting_decides_what_may_be_said():
    core = ClientConnection(ClientConfig())
    assert core.waiting_for == "greeting"
    assert core.next_event() is NEED_DATA
    assert said(core, "554 5.7.1 go away").lines == ("5.7.1 go away",)  # a greeting has no enhanced code
    assert core.state is State.REFUSED
    with pytest.raises(LocalProtocolError) as info:
        core.send(Ehlo("c.example"))
    assert info.value.expected == "QUIT"
    core.send(Quit())


def test_helo_leaves_no_capabilities(new):
    new.send(Ehlo("c.example"))
    said(new, "250-mx", "250 SIZE 7")
    assert new.capabilities.size == 7
    new.send(Ehlo("c.example"))
    assert said(new, "500 what").code == 500
    assert new.capabilities.size == 7
    new.send(Helo("c.example"))
    said(new, "250 mx")
    assert dict(new.capabilities) == {}


def test_an_unknown_command_is_no_matter_of_the_table(ready):
    core = ready("X-FOO")
    core.send(UnknownCommand("XFOO", "bar"))
    assert core.data_to_send() == b"XFOO bar\r\n"
    assert said(core, "250 ok").code == 250
    assert core.state is State.READY


def test_quit_ends_it_and_then_nothing_changes_any_more(ready):
    core = dialogue(ready(), (Quit(), "221 bye"))
    assert core.closed
    assert core.transport is Transport.CLOSE
    core.receive_data(b"250 more\r\n")
    assert core.unread == 0
    assert core.next_event() == core.next_event() == ConnectionClosed()
    for item in (Noop(), BodyChunk(b"", True), AuthResponse(b"")):
        with pytest.raises(LocalProtocolError) as info:
            core.send(item)
        assert info.value.expected == "nothing"
    assert core.data_to_send() == b""


def test_a_refused_quit_leaves_the_session(ready):
    assert dialogue(ready(), (Quit(), "500 never")).state is State.READY


def test_the_end_of_the_stream_is_seen_after_what_came_before_it(ready):
    core = ready()
    core.send(Noop())
    core.receive_data(b"250 ok\r\n250 ha")
    core.receive_data(b"")
    assert core.next_event().code == 250
    assert core.next_event() == ConnectionClosed()
    assert core.closed


# What is no reply


@pytest.mark.parametrize(
    "line", [b"hello", b"25O ok", b"150 ok", b"650 ok", b"2500 ok", b"250_ok", b"", b"250 a\rb", b"250 a\nb", b"250 \0"]
)
def test_what_is_no_reply_is_shown_with_what_was_expected(ready, line):
    core = ready()
    core.send(MAIL)
    core.receive_data(line + b"\r\n250 ok\r\n")
    with pytest.raises(RemoteProtocolError) as info:
        core.next_event()
    error = info.value
    assert (error.state, error.expected, error.received) == ("ready", "a reply to MAIL", line or b"\r\n")
    assert repr(error.received) in str(error)
    assert core.closed
    assert core.next_event() == ConnectionClosed()


def test_of_a_long_line_eighty_octets_are_shown(ready):
    core = ready()
    core.send(MAIL)
    core.receive_data(b"\xff" * 200 + b"\r\n")
    with pytest.raises(RemoteProtocolError) as info:
        core.next_event()
    assert info.value.received == b"\xff" * 80
    assert "\\xff" in str(info.value)


@pytest.mark.parametrize("line", ["250-a", "251 b"])
def test_a_reply_has_one_code(ready, line):
    core = ready()
    core.send(MAIL)
    core.receive_data(f"250-a\r\n{line}\r\n550 c\r\n".encode())
    with pytest.raises(RemoteProtocolError):
        core.next_event()


@pytest.mark.parametrize("pieces", [[b"250 ok\n"], [b"250 ok", b"\n"], [b"250 ok\r\r\n250", b" x\n"]])
def test_a_line_that_ends_in_lf_alone_is_not_waited_for(ready, pieces):
    core = ready()
    core.send(Noop())
    for piece in pieces:
        core.receive_data(piece)
    with pytest.raises(RemoteProtocolError):
        core.next_event()


def test_crlf_in_two_pieces_is_crlf(ready):
    core = ready()
    core.send(Noop())
    core.receive_data(b"250 ok\r")
    assert core.next_event() is NEED_DATA
    core.receive_data(b"\n")
    assert core.next_event().code == 250


@pytest.mark.parametrize("endless", [b"2" * 70_000, b"250-" + b"a" * 1000 + b"\r\n"])
def test_a_reply_has_an_end(ready, endless):
    core = ready()
    core.send(Noop())
    with pytest.raises(RemoteProtocolError) as info:  # noqa: PT012
        for _ in range(100):
            core.receive_data(endless)
            core.next_event()
    assert info.value.received
    assert len(info.value.received) <= 80


def test_octets_beyond_ascii_in_a_text_are_kept(ready):
    core = ready()
    core.send(Noop())
    core.receive_data(b"250 gr\xfc\xdf\r\n")
    assert core.next_event().text.encode("utf-8", "surrogateescape") == b"gr\xfc\xdf"


# Replies that nobody asked for


@pytest.mark.parametrize("line", ["250 ok", "421 4.4.2 idle", "550 no"])
def test_an_unsolicited_reply_ends_the_connection_and_is_named(ready, line):
    core = ready()
    core.receive_data(f"{line}\r\n".encode())
    with pytest.raises(RemoteProtocolError, match="nobody asked for") as info:
        core.next_event()
    assert line in str(info.value)
    assert info.value.expected == "nothing"
    assert core.closed


@pytest.mark.parametrize("octets", [b"250 ok\r\n", b"250-a\r\n250 ok\r\n", b"250-a\r\n", b"25", b"550 no\r\n", b"x"])
def test_what_lies_there_before_a_command_is_never_taken_for_its_answer(ready, octets):
    core = ready("CHUNKING")
    core.receive_data(octets)
    with pytest.raises(RemoteProtocolError, match=r"nobody asked for|no reply") as info:
        core.send(MAIL)
    assert info.value.expected == "nothing"
    assert not info.value.flushed
    assert core.closed
    assert core.data_to_send() == b""


def test_nor_is_a_reply_that_had_begun(ready):
    core = ready()
    core.receive_data(b"250-a\r\n")
    assert core.next_event() is NEED_DATA
    with pytest.raises(RemoteProtocolError, match="nobody asked for"):
        core.send(MAIL)


def test_but_after_the_end_it_is_the_command_that_is_out_of_order(ready):
    core = ready()
    core.receive_data(b"250-a\r\n")
    core.receive_data(b"")
    assert core.next_event() == ConnectionClosed()
    with pytest.raises(LocalProtocolError) as info:
        core.send(MAIL)
    assert info.value.state == "closed"


@pytest.mark.parametrize("octets", [b"421 4.3.2 bye\r\n", b"421-a\r\n421 bye\r\n", b"42"])
def test_but_a_server_may_take_leave_at_any_time(ready, octets):
    core = ready()
    core.receive_data(octets)
    core.send(MAIL)
    core.receive_data(b"421 bye\r\n"[len(octets) :])
    assert core.next_event().code == 421
    assert core.closing is not None


def test_and_refuse_content_before_its_end(ready):
    core = dialogue(ready(), (MAIL, "250 a"), (BOB, "250 b"), (Data(), "354 go"))
    core.receive_data(b"552 too much\r\n")
    core.send(BodyChunk(b"x\r\n", last=True))
    assert core.next_event().code == 552


def test_but_not_accept_it(ready):
    core = dialogue(ready(), (MAIL, "250 a"), (BOB, "250 b"), (Data(), "354 go"))
    core.receive_data(b"250 thanks already\r\n")
    with pytest.raises(RemoteProtocolError, match="nobody asked for"):
        core.send(BodyChunk(b"x\r\n", last=True))


def test_a_login_that_is_answered_too_early_is_not_shown(ready):
    core = dialogue(ready("AUTH LOGIN"), (Auth("LOGIN"), "334 "))
    core.receive_data(b"535 c2VjcmV0 is wrong\r\n")
    with pytest.raises(RemoteProtocolError) as info:
        core.send(AuthResponse(b"secret"))
    assert "c2VjcmV0" not in str(info.value)


def test_lines_of_one_reply_with_different_codes_are_named(ready):
    core = ready()
    core.send(MAIL)
    core.receive_data(b"250-ok\r\n550 no\r\n")
    with pytest.raises(RemoteProtocolError, match="another code than 250 in the same reply"):
        core.next_event()


def test_a_connection_is_quiet_until_something_comes_unasked(ready):
    core = ready()
    assert core.quiet
    core.receive_data(b"421")
    assert not core.quiet
    core = ready()
    core.receive_data(b"")
    assert core.idle
    assert not core.quiet
    core.send(Noop())
    assert not core.quiet


@pytest.mark.parametrize("line", ["421 4.3.0 shutting down", "552 5.3.4 too much", "450 later"])
def test_in_the_middle_of_content_a_refusal_may_come(ready, line):
    core = dialogue(ready(), (MAIL, "250 a"), (BOB, "250 b"), (Data(), "354 go"))
    core.send(BodyChunk(b"some"))
    assert said(core, line).code == int(line[:3])
    assert core.closing.code == int(line[:3])
    first = core.closing
    assert said(core, "421 and again").code == 421
    assert core.closing.code in (421, first.code)


def test_in_the_middle_of_content_nothing_else_may_come(ready):
    core = dialogue(ready(), (MAIL, "250 a"), (BOB, "250 b"), (Data(), "354 go"))
    with pytest.raises(RemoteProtocolError):
        said(core, "250 thanks already")


@pytest.mark.parametrize("item", [Ehlo("c.example"), MAIL, StartTLS(), Auth("PLAIN", b"x"), Noop(), Quit()])
def test_421_may_answer_anything(ready, item):
    core = dialogue(ready("STARTTLS", "AUTH PLAIN"), (item, "421 4.3.2 closing"))
    assert core.closing.code == 421
    assert core.state is State.READY


def test_421_may_be_the_greeting():
    core = ClientConnection(ClientConfig())
    assert said(core, "421 busy").code == 421
    assert core.closing.code == 421


# The class of a reply


@pytest.mark.parametrize(
    ("item", "line"),
    [(MAIL, "354 go"), (Noop(), "334 what"), (Rset(), "300 more"), (UnknownCommand("XFOO"), "354 go")],
)
def test_an_intermediate_reply_is_for_data_and_auth_alone(ready, item, line):
    core = ready()
    core.send(item)
    with pytest.raises(RemoteProtocolError, match=f"{line[:3]} in answer to {item.verb}"):
        said(core, line)


def test_data_is_not_answered_with_success(ready):
    core = dialogue(ready(), (MAIL, "250 a"), (BOB, "250 b"))
    core.send(Data())
    with pytest.raises(RemoteProtocolError, match="250 in answer to DATA"):
        said(core, "250 fine")


@pytest.mark.parametrize("lmtp", [False, True])
def test_the_end_of_data_is_not_answered_with_354(ready, lmtp):
    core = dialogue(ready(lmtp=lmtp), (MAIL, "250 a"), (BOB, "250 b"), (BOB, "250 c"), (Data(), "354 go"))
    core.send(BodyChunk(b"x", True))
    with pytest.raises(RemoteProtocolError, match="354 in answer to end of data"):
        said(core, "354 go")


# Order


@pytest.mark.parametrize(
    ("items", "what", "expected"),
    [
        ([], Data(), "MAIL"),
        ([MAIL], MAIL, "RCPT"),
        ([MAIL], Data(), "RCPT"),
        ([MAIL, BOB], Auth("PLAIN"), "DATA"),
        ([MAIL, BOB, Data()], BodyChunk(b"x"), "the reply to DATA"),
        ([MAIL, BOB, Data()], Rset(), "the reply to DATA"),
        ([MAIL, BOB, Bdat(3)], Rset(), "3 octets of content"),
        ([MAIL, BOB, Bdat(3)], BodyChunk(b"four"), "3 octets of content"),
        ([MAIL, BOB, Bdat(0)], Data(), "BDAT"),
        ([], BodyChunk(b"", True), "MAIL"),
        ([], AuthResponse(b"x"), "AUTH"),
    ],
)
def test_what_is_out_of_order_is_not_sent_and_the_error_says_what_is_allowed(ready, items, what, expected):
    core = ready("CHUNKING", "AUTH PLAIN")
    for item in items:
        core.send(item)
    core.data_to_send()
    with pytest.raises(LocalProtocolError) as info:
        core.send(what)
    assert expected in info.value.expected
    assert core.data_to_send() == b""


LAST_OF_GROUP = [
    *(Ehlo("c.example"), Vrfy("bob"), Expn("all"), Quit(), Noop()),  # RFC 2920 section 3.1; DATA has tests of its own
    *(Helo("c"), Help(), StartTLS(), Auth("PLAIN"), Etrn("b.example"), XClient({"NAME": "x"}), UnknownCommand("XFOO")),
]


@pytest.mark.parametrize("item", LAST_OF_GROUP)
@pytest.mark.parametrize("behind", [Ehlo("c.example"), MAIL, Noop(), UnknownCommand("XYZ", "")])
def test_nothing_goes_behind_a_command_that_is_the_last_of_a_group(ready, item, behind):
    core = ready("STARTTLS", "AUTH PLAIN", "PIPELINING", "ETRN", "XCLIENT NAME")
    core.send(item)
    core.data_to_send()
    with pytest.raises(LocalProtocolError) as info:
        core.send(behind)
    assert info.value.expected == f"the reply to {item.verb}"
    assert core.data_to_send() == b""


@pytest.mark.parametrize("item", LAST_OF_GROUP)
def test_any_command_goes_behind_those_that_may_be_followed(ready, item):
    core = ready("STARTTLS", "AUTH PLAIN", "PIPELINING", "ETRN", "XCLIENT NAME", "XFORWARD NAME")
    core.send(XForward({"NAME": "x"}), XForward({"HELO": "x"}), Rset(), item)
    assert core.owed == 4
    core = ready("PIPELINING", "CHUNKING")
    core.send(MAIL, BOB, Bdat(1), BodyChunk(b"a"), Bdat(1, last=True), BodyChunk(b"b"), MAIL, BOB, Data())
    assert core.owed == 7


def test_what_is_allowed_is_what_the_server_offers(ready):
    with pytest.raises(LocalProtocolError) as info:
        ready("AUTH PLAIN").send(BOB)
    assert info.value.expected == "EHLO, HELO, MAIL, RSET, NOOP, HELP, VRFY, EXPN, AUTH, QUIT"


@pytest.mark.parametrize("echo", ["cGFzcw==\r\n", "235 ok cGFzcw==\n", "2 cGFzcw==\r\n"])
def test_an_error_does_not_repeat_what_a_server_repeats_of_a_login(ready, echo):
    core = ready("AUTH PLAIN")
    core.send(Auth("PLAIN", b"pass"))
    core.receive_data(echo.encode())
    with pytest.raises(RemoteProtocolError) as info:
        core.next_event()
    error = info.value
    assert error.received == b"<hidden>"
    assert "cGFzcw" not in f"{error!r} {error.__cause__!r} {vars(error.__cause__) if error.__cause__ else ''}"


def test_a_greeting_may_be_answered_before_it_comes_as_far_as_the_table_goes():
    core = ClientConnection(ClientConfig())
    core.send(Ehlo("c.example"))
    assert core.owed == 2


def test_a_transaction_in_state_data_allows_content_alone(ready):
    core = dialogue(ready(), (MAIL, "250 a"), (BOB, "250 b"), (Data(), "354 go"))
    with pytest.raises(LocalProtocolError) as info:
        core.send(Noop())
    assert info.value.expected == "content"


# Content


def test_content_of_data_gets_its_dots_and_its_end(ready):
    core = dialogue(ready(), (MAIL, "250 a"), (BOB, "250 b"), (Data(), "354 go"))
    assert not core.idle
    core.send(BodyChunk(b".a\r\n"))
    core.send(BodyChunk(b""))
    core.send(BodyChunk(b".", True))
    assert core.data_to_send() == b"..a\r\n..\r\n.\r\n"
    assert core.waiting_for == "end of data"
    assert said(core, "250 2.0.0 queued").is_positive
    assert core.idle


def test_a_refused_message_ends_the_transaction(ready):
    core = dialogue(ready(), (MAIL, "250 a"), (BOB, "250 b"), (Data(), "354 go"), (BodyChunk(b"", True), "554 no"))
    assert core.state is State.READY


def test_a_needless_354_must_still_be_given_content(ready):
    core = dialogue(ready("PIPELINING"), (MAIL, "250 a"))
    core.send(BOB)
    core.send(Data())
    core.receive_data(b"550 no\r\n354 go\r\n")
    core.next_event()
    core.next_event()
    assert core.state is State.DATA
    core.data_to_send()
    core.send(BodyChunk(b"", True))
    assert core.data_to_send() == b".\r\n"
    assert said(core, "554 no recipients").code == 554
    assert core.state is State.READY


def test_chunks_are_counted(ready):
    core = dialogue(ready("CHUNKING"), (MAIL, "250 a"), (BOB, "250 b"))
    core.send(Bdat(5))
    assert core.waiting_for == "BDAT"
    core.send(BodyChunk(b".\r\n"))
    assert core.data_to_send() == b"BDAT 5\r\n.\r\n"
    assert said(core, "250 so far").code == 250  # a server may answer before it has all
    assert core.waiting_for == "body"
    assert not core.idle
    core.send(BodyChunk(b"ab"))
    core.send(Bdat(0, True))
    assert core.waiting_for == "end of data"
    core.send(BodyChunk(b"", True))
    assert core.data_to_send() == b"abBDAT 0 LAST\r\n"
    assert said(core, "250 done").code == 250
    assert core.idle


@pytest.mark.parametrize("code", [451, 503])
def test_a_refused_chunk_leaves_nothing_but_a_reset(ready, code):
    core = dialogue(ready("CHUNKING"), (MAIL, "250 a"), (BOB, "250 b"))
    core.send(Bdat(1))
    core.send(BodyChunk(b"x"))
    said(core, f"{code} no")
    assert core.state is State.BDAT_FAILED
    assert core.closing is None
    with pytest.raises(LocalProtocolError):
        core.send(Bdat(1, True))
    dialogue(core, (Rset(), "250 ok"))
    assert core.idle


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("code", [500, 502])
def test_a_server_that_does_not_know_bdat_has_read_the_chunk_as_commands(ready, code, last):
    core = dialogue(ready("CHUNKING"), (MAIL, "250 a"), (BOB, "250 b"))
    core.send(Bdat(1, last))
    core.send(BodyChunk(b"x"))
    said(core, f"{code} what")
    assert core.closing.code == code


def test_a_chunk_refused_with_its_mail_changes_no_state(ready):
    core = ready("CHUNKING", "PIPELINING")
    for item in (MAIL, BOB, Bdat(1), BodyChunk(b"x")):
        core.send(item)
    core.receive_data(b"550 a\r\n503 b\r\n503 c\r\n")
    for _ in range(3):
        core.next_event()
    assert core.state is State.READY
    assert core.idle


# LMTP


def test_lmtp_answers_the_end_once_for_each_accepted_recipient(ready):
    core = dialogue(
        ready(lmtp=True),
        *[(MAIL, "250 a"), (BOB, "250 b"), (BOB, "550 c"), (BOB, "250 d"), (BOB, "250 e"), (Data(), "354 go")],
    )
    core.send(BodyChunk(b"x", True))
    core.receive_data(b"250 one\r\n452 two\r\n550 three\r\n")
    assert [core.next_event().code for _ in range(3)] == [250, 452, 550]
    assert core.owed == 0
    assert core.idle
    dialogue(core, (MAIL, "250 again"), (BOB, "250 b"), (Data(), "354 go"), (BodyChunk(b"", True), "250 one"))
    assert core.idle


@pytest.mark.parametrize("between", [(Rset(), "250 ok"), (Lhlo("c.example"), "250 mx.example")])
def test_lmtp_counts_the_recipients_of_one_transaction_alone(ready, between):
    core = dialogue(ready(lmtp=True), (MAIL, "250 a"), (BOB, "250 b"), (BOB, "250 c"), between)
    dialogue(core, (MAIL, "250 again"), (BOB, "250 b"), (Data(), "354 go"), (BodyChunk(b"", True), "250 one"))
    assert core.idle


def test_lmtp_answers_bdat_last_to_nobody_with_nothing(ready):
    core = ready("CHUNKING", "PIPELINING", lmtp=True)
    for item in (MAIL, BOB, Bdat(1, True), BodyChunk(b"x")):
        core.send(item)
    core.receive_data(b"250 a\r\n550 b\r\n")
    core.next_event()
    assert core.next_event().code == 550
    assert core.owed == 0
    assert core.state is State.MAIL
    dialogue(core, (Rset(), "250 ok"))
    assert core.idle


def test_lmtp_has_its_own_hello():
    core = ClientConnection(ClientConfig(lmtp=True))
    said(core, "220 hi")
    with pytest.raises(LocalProtocolError):
        core.send(Ehlo("c.example"))
    dialogue(core, (Lhlo("c.example"), "250 SIZE"))
    assert core.idle


def test_reset_forgets_the_recipients(ready):
    core = dialogue(ready(lmtp=True), (MAIL, "250 a"), (BOB, "250 b"), (BOB, "250 b"), (Rset(), "250 c"))
    dialogue(core, (MAIL, "250 a"), (BOB, "250 b"), (Data(), "354 go"), (BodyChunk(b"", True), "250 one"))
    assert core.owed == 0


# AUTH and STARTTLS


def test_a_challenge_is_answered_by_a_response_and_nothing_else(ready):
    core = dialogue(ready("AUTH LOGIN"), (Auth("LOGIN"), "334 VXNlcg=="))
    assert core.state is State.AUTH
    assert core.waiting_for == "command"
    with pytest.raises(LocalProtocolError) as info:
        core.send(MAIL)
    assert info.value.expected == "an answer to the challenge"
    core.send(AuthResponse(b"me"))
    assert core.waiting_for == "AUTH"
    with pytest.raises(LocalProtocolError):
        core.send(AuthResponse(b"me"))
    assert core.data_to_send() == b"bWU=\r\n"
    said(core, "334 UA==")
    core.send(AuthResponse(None))
    assert core.data_to_send() == b"*\r\n"
    said(core, "501 cancelled")
    assert core.idle


INJECTIONS = [b"250-evil\r\n250 AUTH PLAIN\r\n", b"2", b"\x16\x03\x01"]


@pytest.mark.parametrize("injected", INJECTIONS)
def test_octets_behind_the_reply_to_starttls_are_an_attack_at_every_split(ready, injected):
    octets = b"220 go\r\n" + injected
    for cut in range(len(octets)):
        core = ready("STARTTLS")
        core.send(StartTLS())
        if cut:
            core.receive_data(octets[:cut])
        if cut >= 8:  # the 220 and part of the rest have come, or all of the rest comes before anybody looks
            core.receive_data(octets[cut:])
        else:
            assert core.next_event() is NEED_DATA
            core.receive_data(octets[cut:])
        with pytest.raises(RemoteProtocolError, match="behind the reply to STARTTLS") as info:
            core.next_event()
        assert info.value.received == injected[:80]
        assert core.transport is Transport.CLOSE


def test_tls_begins_with_the_connection_or_after_starttls(ready):
    with pytest.raises(LocalProtocolError, match=r"tls_established\(\) is out of order") as info:
        ready("STARTTLS").tls_established(TLSFacts("TLSv1.3", "x"))
    assert "STARTTLS" in info.value.expected


def test_starttls_is_the_last_of_its_group_and_forgets_the_capabilities(ready):
    core = dialogue(ready("STARTTLS", "AUTH PLAIN"), (StartTLS(), "220 go"))
    assert core.transport is Transport.START_TLS
    with pytest.raises(LocalProtocolError) as info:
        core.send(Ehlo("c.example"))
    assert info.value.expected == "tls_established()"
    facts = TLSFacts("TLSv1.3", "x")
    core.tls_established(facts)
    assert core.tls is facts
    assert dict(core.capabilities) == {}
    assert core.state is State.CONNECTED
    with pytest.raises(LocalProtocolError):
        core.send(MAIL)
    dialogue(core, (Ehlo("c.example"), "250 SIZE"))


def test_a_refused_starttls_changes_nothing(ready):
    core = dialogue(ready("STARTTLS"), (StartTLS(), "454 later"))
    assert core.transport is Transport.READ
    assert "STARTTLS" in core.capabilities


# The rest


def test_the_transcript_has_both_sides_and_no_secret():
    transcript = Transcript()
    core = ClientConnection(ClientConfig(), transcript=transcript)
    said(core, "220 hi")
    core.send(Ehlo("c.example"))
    said(core, "250-mx", "250-CHUNKING", "250-STARTTLS", "250 AUTH LOGIN")
    dialogue(core, (Auth("LOGIN", b"me"), "334 cGFzcw=="), (AuthResponse(b"pass"), "235 in"))
    dialogue(core, (MAIL, "250 a"), (BOB, "250 b"), (Data(), "354 go"))
    core.send(BodyChunk(b"h"))
    dialogue(core, (BodyChunk(b"i", True), "250 c"))
    dialogue(core, (MAIL, "250 a"), (BOB, "250 b"))
    core.send(Bdat(2, True))
    core.send(BodyChunk(b"hi", True))
    said(core, "250 d")
    dialogue(core, (StartTLS(), "220 go"))
    core.tls_established(TLSFacts("TLSv1.3", "x"))
    text = str(transcript)
    assert "C: AUTH LOGIN <hidden>" in text
    assert "cGFzcw" not in text
    assert "cGFz" not in text
    assert text.count("octets of content>") == 2
    assert transcript.lines[-1] == "-- TLSv1.3"
    dialogue(core, (Quit(), "221 bye"))
    assert transcript.lines[-1] == "S: 221 bye"


def test_its_words_for_itself_are_short(ready):
    assert repr(ready()) == "<ClientConnection: ready, 0 replies owed>"


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.binary(min_size=1, max_size=40) | st.sampled_from([b"250 ok\r\n", b"354 go\r\n", b"421 x\r\n"])))
def test_whatever_comes_only_documented_errors_are_raised(pieces):
    core = ClientConnection(ClientConfig())
    for piece in pieces:
        core.receive_data(piece)
        try:
            for _ in range(len(piece)):
                if core.next_event() in (NEED_DATA, ConnectionClosed()):
                    break
        except RemoteProtocolError as error:
            assert str(error)  # noqa: PT017
            assert core.closed


def test_a_group_that_is_sent_behind_another_is_owed_with_it(new):
    dialogue(new, (Ehlo("c.example"), "250 hi"))
    new.send(MAIL, BOB)
    new.send(BOB)
    new.receive_data(b"250 ok\r\n" * 2)
    replies = []
    assert new.take_replies(replies) is NEED_DATA
    new.receive_data(b"250 ok\r\n")
    assert new.take_replies(replies) is None
    assert len(replies) == 3


@pytest.mark.parametrize("code", [400, 499, 500, 599])
def test_any_4yz_or_5yz_is_a_refusal(ready, code):
    core = ready("PIPELINING")
    core.send(MAIL)
    core.receive_data(b"%d no\r\n" % code)
    assert core.next_event().code == code
    assert (core.state, core.owed) == (State.READY, 0)


def test_in_lmtp_a_last_chunk_for_nobody_leaves_the_transaction_open(ready):
    core = ready("PIPELINING", "CHUNKING", lmtp=True)
    core.send(MAIL, BOB, Bdat(1, True), BodyChunk(b"x"))
    core.receive_data(b"250 ok\r\n550 no\r\n")
    assert [core.next_event().code for _ in range(2)] == [250, 550]
    assert core.owed == 0
    with pytest.raises(LocalProtocolError):
        core.send(MAIL)
    core.send(Rset())


def test_a_reply_that_goes_on_is_not_the_answer_to_a_group(ready):
    core = ready("PIPELINING")
    core.receive_data(b"421-going\r\n")
    assert core.next_event() is NEED_DATA
    core.send(MAIL, BOB)
    core.receive_data(b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n")
    with pytest.raises(RemoteProtocolError):
        core.take_replies([])


def test_a_hello_that_is_refused_with_400_tells_nothing(ready):
    core = ready("PIPELINING")
    core.send(Ehlo("c.example"))
    core.receive_data(b"400-mx.example\r\n400 SIZE\r\n")
    core.next_event()
    assert list(core.capabilities) == ["PIPELINING"]


@pytest.mark.parametrize("item", ["NOOP", b"NOOP", None])
def test_what_is_nothing_to_send_is_a_mistake_of_the_caller(item):
    core = ClientConnection(ClientConfig())
    with pytest.raises(TypeError, match="a command, a BodyChunk or an AuthResponse is sent"):
        core.send(item)
    assert core.data_to_send() == b""
