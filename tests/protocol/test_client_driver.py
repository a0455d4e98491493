"""ClientDriver: needs in order, early replies, losses, and TLS with the real thing."""

from pathlib import Path

import pytest

from smtpkit.errors import ConnectionLost, LocalProtocolError, RemoteProtocolError, Timeout, TLSError
from smtpkit.protocol import CHUNK, DONE, READ, WRITE, BodyChunk, Call, ClientConfig, ClientConnection, Timeouts
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.exchanges import command, greeting, hello, opening, start_tls
from smtpkit.protocol.needs import NEXT_CHUNK, REWIND, Expect
from smtpkit.protocol.outgoing import PIECE
from smtpkit.tls import TLS, client_context, server_context
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.commands import Bdat, Data, Mail, Noop, Quit, Rcpt, Rset

CERTIFICATES = Path(__file__).parents[1] / "certificates"
START = (Mail(None), Rcpt(Mailbox("bob", "b.example")), Data())


def wants(*items):
    """An exchange that yields these, and gives back what it is resumed with."""
    got = []
    for item in items:
        got += [(yield item)]
    return got


def begun(core, exchange, body=None, **settings):
    driver = ClientDriver(core, **settings)
    driver.start(exchange, body)
    return driver


# Needs


def test_what_an_exchange_wants_becomes_needs(ready):
    core = ready("PIPELINING")
    called = []
    driver = begun(core, wants((Noop(),), Call("", function=called), NEXT_CHUNK, NEXT_CHUNK))
    assert driver.next() is WRITE  # what came unasked is looked for
    assert driver.next() is READ
    assert driver.take() == b"NOOP\r\n"
    assert driver.next() is READ
    driver.receive(b"250 ")
    assert driver.unread == 4
    assert driver.next() is READ
    driver.receive(b"ok\r\n")
    need = driver.next()
    assert need.function is called
    assert driver.next("token") is CHUNK
    assert driver.next(b"abc") is CHUNK
    assert driver.next(None) is DONE
    assert driver.result[1:] == ["token", b"abc", None]
    assert driver.result[0][0].code == 250
    assert driver.next() is DONE
    assert not driver.broken


def test_a_body_in_memory_is_given_in_pieces_and_again_after_a_rewind(ready):
    body = b"a" * PIECE + b"b" * 10
    driver = begun(ready(), wants(NEXT_CHUNK, NEXT_CHUNK, NEXT_CHUNK, REWIND, NEXT_CHUNK), body)
    assert driver.next() is WRITE
    assert driver.next() is DONE
    assert driver.result == [body[:PIECE], b"b" * 10, None, None, body[:PIECE]]
    driver.start(wants(NEXT_CHUNK, NEXT_CHUNK), b"abc")
    driver.next()
    assert driver.next() is DONE
    assert driver.result == [b"abc", None]


def test_the_greeting_is_waited_for_without_a_look_before(ready):
    driver = begun(ClientConnection(ClientConfig()), wants(Expect(1)))
    assert driver.next() is READ
    driver.receive(b"220 hi\r\n")
    assert driver.next() is DONE
    assert driver.result[0][0].code == 220
    assert Expect(1) == Expect(1)


@pytest.mark.parametrize("replies", [0, 2])
def test_as_many_replies_are_expected_as_are_owed(replies):
    driver = begun(ClientConnection(ClientConfig()), wants(Expect(replies)))
    with pytest.raises(LocalProtocolError, match="so many replies are not due") as caught:
        driver.next()
    assert (caught.value.expected, caught.value.received) == ("1", str(replies))


def test_what_an_exchange_raises_comes_out_of_next(ready):
    def fails():
        yield (Noop(),)
        raise LookupError("the exchange's own")

    driver = begun(ready(), fails())
    driver.next()
    driver.next()
    driver.receive(b"250 ok\r\n")
    with pytest.raises(LookupError):
        driver.next()
    assert driver.next() is DONE
    assert driver.result is None


# Waits


def test_each_wait_has_its_time_and_begins_when_something_was_said(ready):
    core = ready("PIPELINING")
    driver = begun(core, wants(START, (BodyChunk(b"x"),), (BodyChunk(b"", True),)), timeouts=Timeouts(mail=1, rcpt=2))
    driver.next()
    driver.next()
    assert driver.timeout == 1
    before = driver.waits
    driver.receive(b"25")
    driver.next()
    assert driver.waits == before  # a dripped octet is no new wait
    driver.receive(b"0 ok\r\n")
    driver.next()
    assert driver.waits > before
    assert driver.timeout == 2
    driver.receive(b"250 ok\r\n354 go\r\n")
    before = driver.waits
    assert driver.next() is WRITE
    assert driver.waits > before
    assert driver.timeout == Timeouts()["body"]
    assert driver.next() is READ
    assert driver.timeout == 600


def test_nobody_wakes_a_client(ready):
    driver = ClientDriver(ready())
    assert driver.may_be_woken is False
    assert driver.shut_down() is False


# Losses


def waiting(ready, *groups):
    driver = begun(ready("PIPELINING"), wants(*(groups or [(Noop(),)])))
    driver.next()
    driver.next()
    driver.take()
    return driver


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        (lambda driver: driver.receive(b""), ConnectionLost, "the server closed the connection (NOOP)"),
        (
            lambda driver: driver.lost(ConnectionResetError(104, "Connection reset by peer")),
            ConnectionLost,
            "the connection was lost: Connection reset by peer (NOOP)",
        ),
        (lambda driver: driver.lost(OSError("strange")), ConnectionLost, "the connection was lost: strange (NOOP)"),
        (lambda driver: driver.lost(None), ConnectionLost, "the server closed the connection (NOOP)"),
        (lambda driver: driver.timed_out(), Timeout, "the server did not answer in time (NOOP)"),
    ],
)
def test_a_loss_is_thrown_into_the_exchange_and_names_the_stage(ready, act, kind, words):
    driver = waiting(ready)
    act(driver)
    with pytest.raises(kind) as info:
        driver.next()
    assert str(info.value) == words
    assert info.value.flushed
    assert driver.broken


def test_the_first_loss_counts(ready):
    driver = waiting(ready)
    driver.timed_out()
    driver.timed_out(flushed=False)
    driver.lost(OSError("later"))
    with pytest.raises(Timeout) as info:
        driver.next()
    assert info.value.flushed


def test_replies_that_came_are_used_up_before_a_loss(ready):
    driver = waiting(ready, START)
    driver.receive(b"250 a\r\n550 b\r\n")
    driver.lost(OSError("gone"), flushed=False)
    with pytest.raises(ConnectionLost) as info:
        driver.next()
    assert [reply.code for reply in info.value.replies] == [250, 550]
    assert not info.value.flushed
    assert info.value.stage == "DATA"


def test_a_reply_that_came_with_the_loss_is_the_answer(ready):
    driver = waiting(ready)
    driver.receive(b"250 ok\r\n")
    driver.lost(OSError("gone"))
    assert driver.next() is DONE
    assert driver.result[0][0].code == 250
    assert driver.broken


def test_a_time_out_in_a_write_says_that_not_all_has_left(ready):
    driver = waiting(ready)
    driver.timed_out(flushed=False)
    with pytest.raises(Timeout) as info:
        driver.next()
    assert not info.value.flushed


LEAVES = [
    lambda driver: driver.receive(b""),
    lambda driver: driver.lost(ConnectionResetError(104, "Connection reset by peer")),
]


@pytest.mark.parametrize("leave", LEAVES)
def test_a_421_before_the_end_answers_all_that_is_owed(ready, leave):
    driver = waiting(ready, START)
    driver.receive(b"250 a\r\n421 4.3.2 going down\r\n")
    leave(driver)
    assert driver.next() is DONE
    assert [reply.code for reply in driver.result[0]] == [250, 421, 421]
    assert driver.broken


def test_also_in_lmtp_where_it_is_a_command_that_it_answers(ready):
    driver = begun(ready("PIPELINING", lmtp=True), wants(START))
    driver.next()
    driver.next()
    driver.take()
    driver.receive(b"250 a\r\n421 4.3.2 going down\r\n")
    driver.receive(b"")
    assert driver.next() is DONE
    assert [reply.code for reply in driver.result[0]] == [250, 421, 421]


def test_the_refusal_of_a_chunk_does_not(ready):
    chunks = (Bdat(1, False), BodyChunk(b"x"), Bdat(1, True), BodyChunk(b"y", True))
    driver = waiting(ready, (*START[:2], *chunks))
    driver.receive(b"250 a\r\n250 b\r\n500 what\r\n")
    driver.receive(b"")
    with pytest.raises(ConnectionLost, match="after it said 500 what"):
        driver.next()


@pytest.mark.parametrize("leave", LEAVES)
def test_a_421_that_was_not_the_last_word_is_named(ready, leave):
    driver = waiting(ready, START)
    driver.receive(b"421 4.3.2 going down\r\n250 or not\r\n")
    leave(driver)
    with pytest.raises(ConnectionLost, match=r"after it said 421 4\.3\.2 going down") as info:
        driver.next()
    assert [reply.code for reply in info.value.replies] == [421, 250]


def test_a_server_that_says_421_and_stays_is_waited_for(ready):
    driver = waiting(ready, START)
    driver.receive(b"421 4.3.2 going down\r\n")
    assert driver.next() is READ
    driver.timed_out()
    with pytest.raises(Timeout, match="after it said 421"):
        driver.next()


def test_a_group_that_was_not_taken_has_not_left_and_does_not_leave_later(ready):
    driver = begun(ready(), wants((Noop(),)))
    assert driver.next() is WRITE
    driver.take()
    assert driver.next() is READ
    driver.receive(b"")  # before anybody wrote
    with pytest.raises(ConnectionLost) as info:
        driver.next()
    assert not info.value.flushed
    assert driver.take() == b""


def test_an_exchange_may_go_on_after_what_was_thrown(ready):
    def stubborn():
        try:
            yield (Rset(),)
        except ConnectionLost:
            try:
                yield (Rset(),)
            except ConnectionLost:
                return "twice"

    driver = begun(ready(), stubborn())
    driver.next()
    driver.next()
    driver.take()
    driver.lost(OSError("gone"))
    assert driver.next() is DONE
    assert driver.result == "twice"


def test_rubbish_is_thrown_with_the_replies_before_it(ready):
    driver = waiting(ready, START)
    driver.receive(b"250 a\r\nrubbish\r\n")
    with pytest.raises(RemoteProtocolError) as info:
        driver.next()
    assert [reply.text for reply in info.value.replies] == ["a"]
    assert info.value.flushed
    assert driver.broken


def test_what_is_out_of_order_is_not_sent_in_part(ready):
    driver = begun(ready(), wants((Noop(), Data())))
    driver.next()
    with pytest.raises(LocalProtocolError):
        driver.next()
    assert driver.take() == b""


# What came unasked


@pytest.mark.parametrize("line", [b"250 psst\r\n", b"421 4.4.2 idle\r\n"])
def test_a_reply_that_came_unasked_does_not_answer_the_next_command(ready, line):
    driver = begun(ready(), command(Noop()))
    assert driver.next() is WRITE
    driver.take()
    driver.receive(line)
    with pytest.raises(RemoteProtocolError, match="nobody asked for") as info:
        driver.next()
    assert info.value.may_retry  # nothing was sent
    assert line.decode().strip() in str(info.value)
    assert driver.take() == b""
    assert driver.broken


@pytest.mark.parametrize("eof", [True, False])
def test_a_connection_that_was_closed_meanwhile_is_found_before_anything_is_sent(ready, eof):
    driver = begun(ready(), command(Noop()))
    driver.next()
    driver.receive(b"") if eof else driver.lost(OSError("gone"))
    with pytest.raises(ConnectionLost) as info:
        driver.next()
    assert info.value.may_retry
    assert info.value.stage == "command"
    assert driver.take() == b""


# In the middle of content


def in_content(ready, *items):
    driver = begun(ready("PIPELINING"), wants(START, *items))
    driver.next()
    driver.next()
    driver.take()
    driver.receive(b"250 a\r\n250 b\r\n354 go\r\n")
    return driver


def test_early_replies_are_looked_for_between_chunks(ready):
    driver = in_content(ready, (BodyChunk(b"x"),), NEXT_CHUNK)
    assert driver.next() is WRITE
    assert driver.take() == b"x"
    driver.receive(b"552 enough\r\n")
    assert driver.next() is CHUNK
    driver.next(None)
    assert driver.result[1][0].code == 552
    assert driver.broken


def test_an_early_reply_is_read_before_the_loss_is_told(ready):
    driver = in_content(ready, (BodyChunk(b"x"),))
    driver.next()
    driver.take()
    driver.receive(b"552 enough\r\n")
    driver.lost(BrokenPipeError(32, "Broken pipe"), flushed=False)
    assert driver.next() is DONE
    assert driver.result[1][0].code == 552


def test_what_came_while_the_body_was_asked_for_keeps_the_next_piece_back(ready):
    driver = in_content(ready, NEXT_CHUNK, (BodyChunk(b"y", True),))
    assert driver.next() is CHUNK
    driver.receive(b"552 enough\r\n")
    assert driver.next(b"y") is DONE
    assert driver.result[2][0].code == 552
    assert driver.take() == b""


def test_half_an_early_reply_does_not_keep_the_content_back(ready):
    driver = in_content(ready, (BodyChunk(b"x"),), NEXT_CHUNK)
    assert driver.next() is WRITE
    driver.receive(b"552 enou")
    assert driver.next() is CHUNK
    driver.receive(b"gh\r\n")
    assert driver.next(None) is DONE
    assert driver.result[1] == []


def test_without_an_early_reply_the_content_goes_on(ready):
    driver = in_content(ready, (BodyChunk(b"x"),), (BodyChunk(b"y", True),))
    assert driver.next() is WRITE
    assert driver.next() is READ
    assert driver.take() == b"xy\r\n.\r\n"
    driver.receive(b"250 done\r\n")
    assert driver.next() is DONE


@pytest.mark.parametrize("eof", [True, False])
def test_a_loss_in_the_middle_of_content(ready, eof):
    driver = in_content(ready, (BodyChunk(b"x"),))
    driver.next()
    driver.take()
    driver.receive(b"") if eof else driver.timed_out()
    with pytest.raises(ConnectionLost if eof else Timeout) as info:
        driver.next()
    assert info.value.stage == "body"
    assert info.value.replies == ()  # those to the commands before it are no answers to content


def test_a_loss_before_the_last_piece_keeps_it_back(ready):
    driver = in_content(ready, NEXT_CHUNK, (BodyChunk(b"y", True),))
    assert driver.next() is CHUNK
    driver.receive(b"")
    with pytest.raises(ConnectionLost) as info:
        driver.next(b"y")
    assert not info.value.flushed
    assert driver.take() == b""


# After the end


def test_after_quit_the_connection_is_broken(ready):
    driver = begun(ready(), command(Quit()))
    driver.next()
    driver.next()
    driver.take()
    driver.receive(b"221 bye\r\n")
    assert driver.next() is DONE
    assert driver.broken


# TLS


class Server:
    """The server's end of TLS, in memory, and what it read in clear and in TLS."""

    def __init__(self, certificate="server"):
        self.tls = TLS(server_context(str(CERTIFICATES / f"{certificate}.pem")), server_side=True)
        self.clear = self.read = b""

    def exchange(self, driver):
        """Carry octets both ways until both are silent."""
        while octets := driver.take():
            self.read += self.tls.feed(octets)
            driver.receive(down) if (down := self.tls.data_to_send()) else None

    def say(self, driver, line):
        self.tls.write(line + b"\r\n")
        driver.receive(self.tls.data_to_send())


def real_tls(name="localhost", *, trusted=True):
    context = client_context(cafile=str(CERTIFICATES / "ca.pem")) if trusted else client_context()
    return lambda: TLS(context, server_side=False, server_hostname=name)


def new():
    return ClientConnection(ClientConfig())


def finish_handshake(driver, server):
    for _ in range(5):
        server.exchange(driver)
        if driver.next() is not READ or driver.core.tls is not None:
            return


def test_implicit_tls_and_an_exchange_inside_it():
    driver = begun(new(), opening(core := new(), "c.example", tls="implicit"), make_tls=real_tls(), implicit_tls=True)
    driver.core = driver._core = core
    driver.start(opening(core, "c.example", tls="implicit"))
    server = Server()
    assert driver.next() is READ
    assert driver.timeout == Timeouts()["TLS handshake"]
    finish_handshake(driver, server)
    assert core.tls.verified
    assert driver.timeout == Timeouts()["greeting"]
    server.say(driver, b"220 hi")
    assert driver.next() is READ
    server.exchange(driver)
    assert server.read == b"EHLO c.example\r\n"
    server.say(driver, b"250 mx")
    assert driver.next() is DONE
    driver.start(command(Noop()))
    assert driver.next() is WRITE
    assert driver.next() is READ


def to_starttls(make_tls=None, **more):
    core = new()

    def exchange():
        yield from greeting()
        yield from hello(core, "c.example")
        yield from start_tls(core)
        yield from hello(core, "c.example")
        return "secure"

    driver = begun(core, exchange(), make_tls=make_tls or real_tls(), **more)
    for octets in (b"220 hi\r\n", b"250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"):
        assert driver.next() is READ
        driver.take()
        driver.receive(octets)
    assert driver.next() is READ
    assert driver.take() == b"STARTTLS\r\n"
    return driver


def test_starttls():
    driver, server = to_starttls(), Server()
    driver.receive(b"220 go\r\n")
    assert driver.next() is READ
    assert dict(driver.core.capabilities) != {}
    finish_handshake(driver, server)
    assert dict(driver.core.capabilities) == {}
    assert driver.core.tls.version.startswith("TLSv1.")
    server.exchange(driver)
    assert server.read == b"EHLO c.example\r\n"
    server.say(driver, b"250 mx")
    assert driver.next() is DONE
    assert driver.result == "secure"
    assert not driver.broken


@pytest.mark.parametrize("split", [0, 1, 5])
def test_octets_in_clear_behind_the_220_never_become_replies(split):
    """Those that come later go to TLS, which takes them for no TLS."""
    driver = to_starttls()
    octets = b"220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n"
    driver.receive(octets[: 8 + split])
    if split:
        with pytest.raises(RemoteProtocolError):
            driver.next()
    else:
        assert driver.next() is READ
        driver.take()
        driver.receive(octets[8:])
        with pytest.raises(TLSError, match="does not speak TLS"):
            driver.next()
        assert driver.failure is not None
    assert driver.broken
    assert driver.core.tls is None


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize(
    ("certificate", "name", "trusted", "words"),
    [
        ("wrong-name", "localhost", True, "Hostname mismatch"),
        ("server", "mail.example", True, "Hostname mismatch"),
        ("expired", "localhost", True, "expired"),
        ("server", "localhost", False, "issuer"),
        ("self-signed", "localhost", True, "self-signed"),
    ],
)
def test_a_certificate_that_does_not_verify_ends_it(implicit, certificate, name, trusted, words):
    server, make = Server(certificate), real_tls(name, trusted=trusted)
    if implicit:
        driver = begun(new(), greeting(), make_tls=make, implicit_tls=True)
    else:
        driver = to_starttls(make)
        driver.receive(b"220 go\r\n")
    assert driver.next() is READ
    with pytest.raises(TLSError) as info:  # noqa: PT012
        for _ in range(5):
            server.read += server.tls.feed(driver.take())
            driver.receive(server.tls.data_to_send())
            driver.next()
    assert words.lower().replace("-", " ") in str(info.value).lower().replace("-", " ")
    assert driver.broken
    assert driver.core.tls is None


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("act", ["eof", "lost", "silence"])
def test_a_handshake_that_does_not_end_ends(implicit, act):
    if implicit:
        driver = begun(new(), greeting(), make_tls=real_tls(), implicit_tls=True)
    else:
        driver = to_starttls()
        driver.receive(b"220 go\r\n")
    assert driver.next() is READ
    driver.take()
    if act == "eof":
        driver.receive(b"")
    elif act == "lost":
        driver.lost(ConnectionResetError(104, "reset"))
    else:
        driver.timed_out()
    kind = {"eof": TLSError, "lost": ConnectionLost, "silence": Timeout}[act]
    with pytest.raises(kind, match="TLS handshake"):
        driver.next()
    assert driver.broken


def test_a_server_that_speaks_clear_text_on_a_tls_port():
    driver = begun(new(), greeting(), make_tls=real_tls(), implicit_tls=True)
    driver.next()
    driver.take()
    driver.receive(b"220 hi\r\n")
    with pytest.raises(TLSError, match="does not speak TLS here"):
        driver.next()


def test_a_tls_that_cannot_be_made_is_an_error_of_the_exchange():
    def broken():
        raise TLSError("cannot read certificates")

    driver = begun(new(), greeting(), make_tls=broken, implicit_tls=True)
    with pytest.raises(TLSError, match="cannot read"):
        driver.next()


def test_tls_that_breaks_later_is_told_with_the_replies_that_came():
    driver, server = to_starttls(), Server()
    driver.receive(b"220 go\r\n")
    driver.next()
    finish_handshake(driver, server)
    server.exchange(driver)
    server.say(driver, b"250 mx")
    assert driver.next() is DONE
    driver.start(wants((Noop(),)))
    driver.next()
    driver.next()
    driver.take()
    driver.receive(b"\x17\x03\x03\x00\x20" + b"x" * 32)  # a record that nobody could have written
    with pytest.raises(TLSError, match="broken") as info:
        driver.next()
    assert info.value.replies == ()
    assert info.value.flushed
    assert driver.broken


# Whether a connection can be used again


@pytest.mark.parametrize("octets", [b"421 idle for too long\r\n", b"2", b""])
def test_a_connection_on_which_something_came_unasked_is_not_used_again(ready, octets):
    core = ready("PIPELINING")
    driver = ClientDriver(core)
    assert core.quiet
    assert driver.reusable
    driver.receive(octets)
    assert not core.quiet
    assert not driver.reusable


def test_a_connection_that_has_taken_all_it_takes_is_not_used_again(ready):
    core = ready("LIMITS MAILMAX=1")
    driver = ClientDriver(core)
    assert driver.reusable
    core.use.mails = 1
    assert not driver.reusable


def test_a_loss_tells_what_the_system_said(ready):
    driver, error = waiting(ready), OSError("gone")
    driver.lost(error)
    with pytest.raises(ConnectionLost) as info:
        driver.next()
    assert info.value.__cause__ is error


def test_a_connection_that_was_lost_or_has_a_transaction_open_is_not_used_again(ready):
    driver = ClientDriver(ready("PIPELINING"))
    driver.lost(OSError("gone"))
    assert not driver.reusable
    core = ready("PIPELINING")
    driver = begun(core, wants((Mail(None),)))
    while driver.next() is not READ:
        pass
    driver.take()
    driver.receive(b"250 ok\r\n")
    assert driver.next() is DONE
    assert not driver.broken
    assert not driver.reusable


def test_leave_is_taken_where_quit_may_be_said(ready):
    driver = ClientDriver(ready("PIPELINING"))
    driver.take_leave()
    assert driver.take() == b"QUIT\r\n"
    assert not driver.alive
    for octets in (b"421 going\r\n", b""):
        driver = ClientDriver(ready("PIPELINING"))
        driver.receive(octets)
        driver.take_leave()
        assert driver.take() == b""
