"""Facts of a session, and what hooks may return."""

import pytest

from smtpkit.errors import ParseError, ReplyError
from smtpkit.protocol.config import ServerConfig
from smtpkit.protocol.events import NEED_DATA
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.session import HOOKS, SessionFacts, checked, failure_reply
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.sasl import make_record
from smtpkit.wire.replies import Reply


def session(say=b"", tls=None):
    facts = SessionFacts()
    facts._core = core = ServerConnection(ServerConfig("mx.example"))
    if tls is not None:
        core.tls_established(tls)
    core.next_event()
    core.accept()
    core.receive_data(say)
    while core.next_event() is not NEED_DATA:
        if core.unanswered is not None:
            core.accept()
    return facts


def test_facts_of_a_session_are_those_of_its_connection():
    tls = TLSFacts("TLSv1.3", "a cipher")
    facts = session(b"EHLO c.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\n", tls)
    assert (facts.hostname, facts.hello_name, facts.identity, facts.tls) == ("mx.example", "c.example", None, tls)
    assert facts.protocol == "ESMTPS"
    assert str(facts.envelope.sender) == "a@a.example"
    assert [str(each) for each in facts.envelope.recipients] == ["b@b.example"]


def test_a_session_is_named_when_it_is_asked_for_its_name():
    one, other = SessionFacts(), SessionFacts()
    assert one.id == one.id != other.id
    assert len(one.id) == 10


@pytest.mark.parametrize(
    ("peer", "address"),
    [(("192.0.2.1", 1), "192.0.2.1"), (("2001:db8::1", 1, 0, 0), "2001:db8::1"), ("", None), ("/run/x", None)],
)
def test_a_client_has_an_address_unless_it_comes_over_a_unix_socket(peer, address):
    facts = SessionFacts()
    facts.peer = peer
    assert facts.address == address


def test_there_is_no_envelope_between_transactions():
    assert session(b"EHLO c.example\r\n").envelope is None


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_every_hook_may_return_nothing_or_a_refusal(hook):
    assert checked(hook, None) is None
    assert checked(hook, Reply(550)) == Reply(550)


@pytest.mark.parametrize("hook", sorted(HOOKS - {"on_login"}))
def test_every_hook_but_on_login_may_return_a_positive_reply(hook):
    assert checked(hook, Reply(250)) == Reply(250)


@pytest.mark.parametrize("answer", [True, False, "a password", b"a password", object()])
def test_on_login_alone_returns_what_was_asked_for(answer):
    assert checked("on_login", answer) is answer
    with pytest.raises(TypeError, match="on_mail returns None or a Reply, not"):
        checked("on_mail", answer)


@pytest.mark.parametrize("reply", [Reply(251, "hi"), Reply(250, ["mx.example", "SIZE 7"])])
def test_a_hello_is_accepted_with_one_line_of_250(reply):
    with pytest.raises(TypeError, match="on_hello accepts with 250 and one line"):
        checked("on_hello", reply)


def test_a_positive_reply_is_no_login():
    with pytest.raises(TypeError, match="on_login does not return a Reply of 235"):
        checked("on_login", Reply(235))


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_no_hook_returns_an_intermediate_reply(hook):
    with pytest.raises(TypeError, match="does not return a Reply of 354"):
        checked(hook, Reply(354))


@pytest.mark.parametrize("hook", ["on_message", "on_body"])
def test_a_message_may_have_a_reply_for_each_recipient(hook):
    replies = [Reply(250), Reply(452)]
    assert checked(hook, replies) is replies
    for wrong in ([Reply(250), None], [Reply(354)], "ab", {Reply(250)}):
        with pytest.raises(TypeError):
            checked(hook, wrong)


@pytest.mark.parametrize(("wanted", "why"), [(2, "one for each of 2 recipients"), (0, "one, since this is not LMTP")])
def test_there_are_as_many_replies_as_recipients(wanted, why):
    with pytest.raises(TypeError, match=f"on_message returned a sequence of 1 replies: {why} is wanted"):
        checked("on_message", [Reply(250)], wanted)
    assert checked("on_message", [Reply(250)], 1) == [Reply(250)]


def test_no_other_hook_returns_several_replies():
    with pytest.raises(TypeError):
        checked("on_rcpt", [Reply(250)])


def test_what_a_hook_raises_is_told_only_where_it_is_meant_for_the_client():
    refusal = Reply(550, "No", "5.7.1")
    assert failure_reply(ReplyError(refusal)) == refusal
    assert bytes(failure_reply(ValueError("secret"))).startswith(b"451 4.3.0 ")
    assert b"secret" not in bytes(failure_reply(ValueError("secret")))


def test_the_text_of_a_record_is_read_when_on_login_gives_it():
    record = make_record("secret", cost=4)
    assert str(checked("on_login", record)) == record
    assert checked("on_login", record) != record
    for answer in (True, False, "secret", "pass$word", b"scrypt$"):
        assert checked("on_login", answer) is answer
    with pytest.raises(ParseError):
        checked("on_login", "scrypt$")


def test_the_hooks_are_these():
    steps = {"on_connect", "on_hello", "on_login", "on_mail", "on_rcpt", "on_message", "on_body"}
    assert steps | {"on_command", "on_reset", "on_close"} == HOOKS


def test_a_name_that_a_trusted_proxy_told_is_the_clients():
    facts = session(b"EHLO proxy.example\r\n")
    facts.told = {"HELO": "c.example"}
    assert facts.hello_name == "c.example"
