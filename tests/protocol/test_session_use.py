"""MAILMAX and RCPTDOMAINMAX, as a client keeps to them."""

import pytest

from smtpkit.errors import NotSupported
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.sending import Sending
from smtpkit.protocol.session_use import SessionUse
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import Rcpt


def to(*domains):
    return [Rcpt(Mailbox("a", domain)) for domain in domains]


def test_without_limits_there_is_no_end():
    use = SessionUse()
    for _ in range(5):
        use.begin({}, to("a.example"))
    assert (use.mails, use.domains) == (5, set())
    assert not use.exhausted({})


def test_messages_are_counted_from_the_begin_of_the_session():
    use = SessionUse()
    use.begin({}, to("a.example"))
    assert not use.exhausted({"MAILMAX": 2})
    use.begin({"MAILMAX": 2}, to("a.example"))
    assert use.exhausted({"MAILMAX": 2})
    with pytest.raises(NotSupported, match="takes 2 messages in one session; connect again") as caught:
        use.begin({"MAILMAX": 2}, to("a.example"))
    assert caught.value.may_retry
    assert caught.value.extension == "LIMITS"


def test_domains_are_counted_over_the_session_in_any_case():
    use, limits = SessionUse(), {"RCPTDOMAINMAX": 2}
    use.begin(limits, to("a.example", "A.EXAMPLE"))
    use.begin(limits, to("b.example", "a.example"))
    with pytest.raises(NotSupported, match="recipients at 2 domains in one session"):
        use.begin(limits, to("c.example"))
    use.begin(limits, to("b.example"))
    assert use.mails == 3  # what was refused did not begin


def test_a_client_stops_before_mail_and_its_connection_is_not_used_again(ready, play):
    core = ready("LIMITS MAILMAX=1")
    driver = ClientDriver(core)
    assert driver.reusable
    script = ["C: MAIL FROM:<>", "S: 250 ok", "C: RCPT TO:<b@b.example>", "S: 250 ok", "C: DATA", "S: 354 go"]
    sending = Sending(core, None, "b@b.example", b"x\r\n", {})
    play(driver, sending.exchange(), [*script, "C: x", "C: .", "S: 250 ok"], body=b"x\r\n")
    assert not driver.broken
    assert not driver.reusable
    with pytest.raises(NotSupported, match="one session"):
        play(driver, Sending(core, None, "b@b.example", b"x\r\n", {}).exchange(), [])
    assert core.data_to_send() == b""
