"""Which hook each event of a server is for, and what is answered without one."""

import pytest

from smtpkit.protocol import standard_replies as say
from smtpkit.protocol.events import BodyChunk, Connect
from smtpkit.protocol.server_hooks import call_of, default_answer, granted_to, hook_of
from smtpkit.protocol.session import HOOKS
from smtpkit.sasl.questions import FetchSecret, VerifyPassword, VerifyToken
from smtpkit.wire import commands as c
from smtpkit.wire.addresses import Mailbox

OWN = c.UnknownCommand("XOWN", "")
XCLIENT, XFORWARD = c.XClient({"NAME": "a.example"}), c.XForward({"NAME": "a.example"})

TABLE = [
    (Connect(), "on_connect"),
    (c.Ehlo("a.example"), "on_hello"),
    (c.Helo("a.example"), "on_hello"),
    (c.Lhlo("a.example"), "on_hello"),
    (VerifyPassword("", "a", "b"), "on_login"),
    (FetchSecret("a", "CRAM-MD5"), "on_login"),
    (VerifyToken("a", "t"), "on_login"),
    (c.Mail(None), "on_mail"),
    (c.Rcpt(Mailbox("a", "b.example")), "on_rcpt"),
    (c.Vrfy("a"), "on_command"),
    (c.Expn("a"), "on_command"),
    (c.Etrn("a.example"), "on_command"),
    (XCLIENT, "on_command"),
    (XFORWARD, "on_command"),
    (OWN, "on_command"),
    (c.Data(), None),
    (c.StartTLS(), None),
    (BodyChunk(b"", True), None),
]


@pytest.mark.parametrize(("event", "hook"), TABLE)
def test_each_event_has_its_hook(event, hook):
    assert hook_of(event) == hook
    assert hook is None or hook in HOOKS


def test_a_hook_is_called_with_its_event_and_that_of_a_connection_with_nothing():
    call = call_of("on_connect", Connect())
    assert (call.name, call.argument) == ("on_connect", None)
    assert call_of("on_mail", c.Mail(None)).argument == c.Mail(None)


def test_steps_that_nobody_wants_to_decide_are_granted():
    assert granted_to({"on_mail", "on_message"}) == {c.Rcpt, c.Data}
    assert granted_to({"on_rcpt"}) == {c.Mail, c.Data}
    assert granted_to({"on_mail", "on_rcpt", "on_body"}) == {c.Data}
    assert granted_to(()) == {c.Mail, c.Rcpt, c.Data}
    assert granted_to({"on_rcpt"}) is granted_to(["on_rcpt", "on_close"])


@pytest.mark.parametrize(
    ("event", "trusted", "answer"),
    [
        (c.Mail(None), False, None),
        (c.Vrfy("a"), False, None),
        (c.Expn("a"), False, say.NOT_IMPLEMENTED),
        (c.Expn("a"), True, say.NOT_IMPLEMENTED),
        (OWN, True, say.NOT_IMPLEMENTED),
        (XCLIENT, False, say.NOT_IMPLEMENTED),
        (XCLIENT, True, None),
        (XFORWARD, True, None),
    ],
)
def test_what_is_answered_where_there_is_no_hook(event, trusted, answer):
    assert default_answer(event, trusted=trusted) is answer
