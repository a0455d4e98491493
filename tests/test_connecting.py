"""What connect() makes of its arguments, and the words for what failed."""

import errno
import inspect
import re
from pathlib import Path

import pytest

import smtpkit.asyncio
import smtpkit.sync
from smtpkit.connecting import ClientSettings
from smtpkit.errors import (
    AuthenticationError,
    ConnectionLost,
    NotSupported,
    RemoteProtocolError,
    ReplyError,
    Timeout,
    TLSError,
)
from smtpkit.protocol import ClientConfig, ClientConnection, Timeouts
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.tls import client_context
from smtpkit.wire.commands import Ehlo, Helo, Lhlo, Noop
from smtpkit.wire.replies import Reply

CA = str(Path(__file__).parent / "certificates" / "ca.pem")
CLIENT = str(Path(__file__).parent / "certificates" / "client.pem")


def settings(where="smtp://mail.example", port=None, **arguments):
    return ClientSettings(where, port, **arguments)


@pytest.mark.parametrize("module", [smtpkit.sync, smtpkit.asyncio])
def test_connect_takes_what_the_settings_take_with_the_same_defaults(module):
    ours, theirs = (inspect.signature(each).parameters.values() for each in (module.connect, ClientSettings))
    assert [(each.name, each.kind, each.default) for each in ours] == [
        (each.name, each.kind, each.default) for each in theirs
    ]


@pytest.mark.parametrize("module", [smtpkit.sync, smtpkit.asyncio])
@pytest.mark.parametrize("where", ["smtp://mail.example", "smtp://mail.example?timeout=0"])
def test_a_time_out_of_nothing_is_told_before_anything_is_dialled(module, where):
    with pytest.raises(ValueError, match="a time-out is a number of seconds above 0, not 0"):
        module.connect(where, **({} if "?" in where else {"timeouts": 0}))


def test_each_argument_of_connect_arrives():
    given = {"timeouts": 3, "deadline": 4, "local_hostname": "me.example", "local_address": ("127.0.0.1", 0)}
    made = smtpkit.asyncio.connect("mail.example", 2525, **given)._settings
    assert (made.target.host, made.target.port) == ("mail.example", 2525)
    assert (made.timeouts["MAIL"], made.deadline, made.config.hostname) == (3, 4, "me.example")
    assert made.local_address == ("127.0.0.1", 0)


@pytest.mark.parametrize("owner", ["Pool", "Relay"])
@pytest.mark.parametrize("module", [smtpkit.sync, smtpkit.asyncio])
def test_a_wrong_option_is_named_with_who_was_called(module, owner):
    with pytest.raises(TypeError, match=rf"^{owner}\(\) got an unexpected keyword argument 'bogus'$"):
        getattr(module, owner)("smtp://mail.example", bogus=1)
    with pytest.raises(ValueError, match=rf"^a {owner.lower()} makes its own connections: sock does not go with it$"):
        getattr(module, owner)("smtp://mail.example", sock=object())


def hello_of(made, own_end):
    """The first line that the client says after the greeting."""
    core = ClientConnection(made.config)
    driver = ClientDriver(core)
    driver.start(made.opening(core, own_end))
    driver.next()
    driver.receive(b"220 hi\r\n")
    driver.next()
    return driver.take().decode()


# Time


def test_time_outs_may_be_one_number_or_many_or_in_the_url():
    assert settings().timeouts == Timeouts()
    assert settings(timeouts=3).timeouts == Timeouts(3)
    assert settings(timeouts=Timeouts(mail=1)).timeouts["MAIL"] == 1
    assert settings("smtp://mail.example?timeout=2.5").timeouts == Timeouts(2.5)
    assert settings("smtp://mail.example?timeout=2.5", timeouts=4).timeouts == Timeouts(4)
    for name in ("timeout", "deadline"):
        with pytest.raises(ValueError, match=f"the URL's {name} is a number of seconds, not 'x'"):
            settings(f"smtp://mail.example?{name}=x")


def test_a_deadline_bounds_the_time_to_connect():
    assert settings().connect_timeout(None) == 30
    assert settings(deadline=5).connect_timeout(None) == 5
    assert settings(deadline=100, timeouts=7).connect_timeout(50) == 7
    assert settings(deadline=100, timeouts=7).connect_timeout(3) == 3
    with pytest.raises(ValueError, match="a deadline is a number of seconds above 0, not -1"):
        settings(deadline=-1)


def test_deadline_and_local_address_may_be_in_the_url():
    made = settings("smtp://mail.example?deadline=7&local_address=192.0.2.1")
    assert (made.deadline, made.local_address) == (7.0, ("192.0.2.1", 0))
    made = settings("smtp://mail.example?deadline=7&local_address=192.0.2.1", deadline=3, local_address=("::1", 9))
    assert (made.deadline, made.local_address) == (3, ("::1", 9))


# The name for EHLO


@pytest.mark.parametrize(
    ("own_end", "name"),
    [
        (("192.0.2.7", 40000), "[192.0.2.7]"),
        (("2001:db8::7", 40000, 0, 0), "[IPv6:2001:db8::7]"),
        (("fe80::1%eth0", 40000, 0, 2), "[IPv6:fe80::1]"),
        ("/run/x", "localhost"),
        ("", "localhost"),
        (b"\0abstract", "localhost"),
    ],
)
def test_the_own_end_gives_the_name(own_end, name):
    assert hello_of(settings(), own_end) == f"EHLO {name}\r\n"


def test_a_name_that_is_given_is_said():
    own_end = ("192.0.2.7", 1)
    assert hello_of(settings(local_hostname="me.example"), own_end) == "EHLO me.example\r\n"
    assert hello_of(settings("smtp://mail.example?local_hostname=u.example"), own_end) == "EHLO u.example\r\n"
    assert hello_of(settings("lmtp://mail.example", local_hostname="me.example"), own_end) == "LHLO me.example\r\n"


@pytest.mark.parametrize("name", ["a\r\nb", "a b", "[1.2.3]", "ü.example"])
def test_a_name_that_is_none_is_an_error(name):
    with pytest.raises(ValueError, match="cannot be said in EHLO"):
        settings(local_hostname=name)


# TLS


def server_name(made):
    return made.make_tls()._server_hostname


def test_the_certificate_must_have_the_name_of_the_host():
    assert server_name(settings("smtps://mail.example")) == "mail.example"
    assert server_name(settings("smtps://[::1]")) == "::1"
    assert server_name(settings("smtps://mail.example", server_hostname="other.example")) == "other.example"
    assert server_name(settings("smtps://mail.example?server_hostname=url.example")) == "url.example"
    assert server_name(settings("lmtp+unix:///run/x")) == "localhost"


def test_one_context_serves_all_connections():
    made = settings("smtps://mail.example", cafile=CA)
    assert made.make_tls()._object.context is made.make_tls()._object.context
    mine = client_context(cafile=CA)
    assert settings("smtps://mail.example", ssl_context=mine).make_tls()._object.context is mine


def test_certificates_are_verified_unless_it_is_said_by_name():
    import ssl

    assert settings().make_tls()._object.context.verify_mode is ssl.CERT_REQUIRED
    assert settings(unverified_tls=True).make_tls()._object.context.verify_mode is ssl.CERT_NONE
    with pytest.raises(TLSError, match=r"nothing\.pem"):
        settings("smtp://mail.example?cafile=/nothing.pem").make_tls()


PIN = "ab:" * 31 + "CD"


@pytest.mark.parametrize("options", [{"fingerprint": PIN}, {"where": f"smtps://h?fingerprint={PIN}"}])
def test_a_pinned_certificate_needs_no_authority(options):
    import ssl

    tls = settings(**options).make_tls()
    assert tls._object.context.verify_mode is ssl.CERT_NONE
    assert tls._fingerprint == "ab" * 31 + "cd"
    assert settings(cafile=CA, **options).make_tls()._object.context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("pin", [{"fingerprint": PIN}, {"where": f"smtp://localhost:25?fingerprint={PIN}"}])
def test_who_pins_a_certificate_wants_tls(pin):
    assert settings(**pin).target.tls == "required"
    assert settings(**pin, tls="if-offered").target.tls == "if-offered"
    assert settings(**pin, port=465).target.tls == "implicit"
    with pytest.raises(ValueError, match="tls='off' does not go with it"):
        settings(**pin, tls="off")


def test_a_pin_changes_nothing_where_there_is_no_server():
    assert settings("memory:", fingerprint=PIN).target.tls == "off"


def test_a_pin_and_no_verification_exclude_each_other():
    with pytest.raises(ValueError, match="a pinned fingerprint is verified"):
        settings(fingerprint=PIN, unverified_tls=True)


@pytest.mark.parametrize("pin", ["", "ab", "zz" * 32, "ab" * 33])
def test_a_fingerprint_that_is_none_is_an_error(pin):
    """An empty one, as of a setting that was left out, must not mean that anything is trusted."""
    for options in ({"fingerprint": pin}, {"where": f"smtps://mail.example?fingerprint={pin}"}):
        with pytest.raises(TLSError, match="is no SHA-256 fingerprint"):
            settings(**options).make_tls()


def test_a_client_certificate_is_loaded():
    assert settings(client_certificate=CLIENT).make_tls()._object.context.own_certificate
    assert settings(client_certificate=(CLIENT, CLIENT)).make_tls()._object.context.own_certificate
    with pytest.raises(TLSError, match=r"cannot use the certificate and key in /nothing\.pem"):
        settings(client_certificate="/nothing.pem").make_tls()


@pytest.mark.parametrize("more", [{"cafile": CA}, {"unverified_tls": True}, {"client_certificate": CLIENT}])
def test_a_context_and_what_would_change_it_do_not_go_together(more):
    with pytest.raises(ValueError, match="ssl_context"):
        settings(ssl_context=client_context(), **more)


# Logging in


@pytest.mark.parametrize(
    ("where", "options", "allowed"),
    [
        ("smtp://u:p@mail.example:25?tls=off", {}, False),
        ("smtp://u:p@mail.example:25?tls=off", {"allow_auth_in_clear": True}, True),
        ("smtp://u:p@127.0.0.1:25?tls=off", {}, True),
        ("smtp://u:p@localhost:25?tls=off", {}, True),
    ],
)
def test_a_password_in_clear_is_for_this_host_or_where_it_is_allowed(where, options, allowed):
    made = settings(where, **options)
    core = ClientConnection(made.config)
    driver = ClientDriver(core)
    driver.start(made.opening(core, ("127.0.0.1", 1)))
    driver.next()
    driver.receive(b"220 hi\r\n")
    driver.next()
    driver.take()
    driver.receive(b"250-mx\r\n250 AUTH PLAIN\r\n")
    if allowed:
        driver.next()
        assert driver.take().startswith(b"AUTH PLAIN ")
    else:
        with pytest.raises(Exception, match="allow_auth_in_clear"):
            driver.next()


def test_the_rest_is_kept():
    made = settings(local_address=("192.0.2.1", 0), sock="sock", transcript="transcript", deadline=9)
    assert (made.local_address, made.sock, made.transcript, made.deadline) == (
        ("192.0.2.1", 0),
        "sock",
        "transcript",
        9,
    )


# Words for what failed

HINTS = [
    ("smtp://h", Timeout("silence", stage="greeting"), "waits for the client: try smtps://"),
    ("smtps://h", Timeout("silence", stage="greeting"), None),
    ("smtp://h", Timeout("silence", stage="MAIL"), None),
    ("smtps://h", TLSError("it began with b'220'", reason="clear"), "this port begins in clear"),
    ("smtp://h", TLSError("it began with b'220'", reason="clear"), None),
    ("smtps://h", TLSError("the certificate does not verify", reason="certificate"), None),
    ("smtp://h", TLSError("none in common", reason="version"), "TLS 1.2 is the least"),
    ("smtp://h", TLSError("one is wanted", reason="client certificate"), "client_certificate="),
    ("smtp://h", RemoteProtocolError("x", received=b"\x15\x03\x01"), "speaks TLS from the first octet"),
    ("smtp://h", RemoteProtocolError("x", received=b"\x16\x03\x01"), "speaks TLS from the first octet"),
    ("smtp://h", RemoteProtocolError("x", received=b"hello"), None),
    ("smtp://h", RemoteProtocolError("x", received=b"HTTP/1.1 400 Bad Request"), "a web server listens"),
    ("smtp://h", RemoteProtocolError("x", received=b"SSH-2.0-OpenSSH_9.2"), "an SSH server listens"),
    ("smtp://h", RemoteProtocolError("x", received=b"+OK ready"), "a POP3 server listens"),
    ("smtp://h", RemoteProtocolError("x", received=b"* OK IMAP4rev1"), "an IMAP server listens"),
    ("smtp://h", RemoteProtocolError("x", received=b"* BYE"), "an IMAP server listens"),
    ("smtp://h", RemoteProtocolError("x", received=b"\xff\xfd\x18"), "a telnet server listens"),
    ("smtp://h", RemoteProtocolError("x", received="text"), None),
    ("smtp://h", ConnectionLost("gone", stage="greeting"), "if the server speaks TLS"),
    ("smtps://h", ConnectionLost("gone", stage="greeting"), None),
    ("smtp://h", ConnectionLost("gone", stage="EHLO"), None),
    ("smtp://h", ReplyError(Reply(554, "no")), "it takes no mail from this address"),
    ("smtp://h", ReplyError(Reply(554, "no")), "log in on port 587 or 465"),
    ("smtp://h:587", ReplyError(Reply(554, "no")), "it takes no mail from this address"),
    ("smtp://h", ReplyError(Reply(421, "no")), "try again later"),
    ("smtp://h", ReplyError(Reply(450, "no")), None),
    ("smtp://h", ReplyError(Reply(550, "no"), Ehlo("h.example")), "is h.example: if it is that, give another"),
    ("smtp://h", ReplyError(Reply(504, "no"), Helo("h.example")), "local_hostname="),
    ("smtp://h", ReplyError(Reply(450, "no"), Ehlo("h.example")), None),
    ("smtp://h", ReplyError(Reply(502, "no"), Helo("h.example")), None),
    ("smtp://h", ReplyError(Reply(530, "Please login with USER and PASS."), Helo("h.example")), "an FTP server"),
    ("smtp://h", ReplyError(Reply(530, "Not now"), Ehlo("h.example")), None),
    ("lmtp://h", ReplyError(Reply(500, "no"), Lhlo("h.example")), "try smtp://"),
    ("lmtp://h", ReplyError(Reply(550, "no"), Lhlo("h.example")), "local_hostname="),
    ("smtp://h", ReplyError(Reply(550, "no"), Noop()), None),
    ("smtp://h", AuthenticationError(Reply(535, "no")), None),
    ("smtp://h", NotSupported("no AUTH", extension="AUTH"), None),
    ("smtp://h", NotSupported("no DSN", extension="DSN"), None),
    ("smtp://h", TLSError("no STARTTLS: 454 no", reason="refused"), "try again later"),
]


@pytest.mark.parametrize(("where", "error", "hint"), HINTS)
def test_an_error_gets_the_likely_cause(where, error, hint):
    before = error.args[0]
    diagnosed = settings(where).diagnosed(error)
    assert diagnosed is error
    assert str(error).startswith(before)
    assert (hint in str(error)) if hint else (str(error) == before)


@pytest.mark.parametrize("error", [Timeout("silence", stage="greeting"), ConnectionLost("gone", stage="greeting")])
def test_who_has_begun_to_speak_does_not_wait_for_tls(error):
    before = str(error)
    assert str(settings("smtp://h").diagnosed(error, heard=True)) == before


UNREACHED = [
    ("smtp://h", TimeoutError("h did not answer in time"), Timeout, "within 3 s: h did not .*nothing out to port 25"),
    ("smtp://h:587", TimeoutError("h did not answer in time"), Timeout, r"answer in time \(connect\)$"),
    ("smtp://h", ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), ConnectionLost, "refused; nothing"),
    ("lmtp+unix:///s", ConnectionRefusedError(errno.ECONNREFUSED, "x"), ConnectionLost, r"refused \(connect\)$"),
    (
        "smtp://h",
        OSError(errno.ECONNREFUSED, "none of its addresses answered: a (b)"),
        ConnectionLost,
        r"a \(b\); noth",
    ),
    ("smtp://h", OSError(errno.ENETUNREACH, "Network is unreachable"), ConnectionLost, r"is unreachable \(connect\)$"),
    ("smtp://h", OSError("odd"), ConnectionLost, "odd"),
    ("smtp://h", UnicodeError("label too long"), ConnectionLost, "that is no host name"),
]


@pytest.mark.parametrize(("where", "reason", "kind", "words"), UNREACHED)
def test_a_server_that_is_not_reached_is_told_with_the_likely_cause(where, reason, kind, words):
    error = settings(where).unreached(reason, 3)
    assert type(error) is kind
    assert error.stage == "connect"
    assert re.search(words, str(error))


def test_who_is_on_a_port_for_logins_is_not_sent_there():
    error = settings("smtp://h:587").diagnosed(ReplyError(Reply(554, "no")))
    assert str(error).endswith("; it takes no mail from this address")


def test_a_local_address_that_is_none_is_named():
    failed = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
    error = settings("smtp://h", local_address=("192.0.2.9", 0)).unreached(failed, 3)
    assert "requested address; is 192.0.2.9, as local_address= says, an address of this host? (connect)" in str(error)
    assert "local_address" not in str(settings("smtp://h").unreached(failed, 3))


def test_what_the_server_has_said_tells_more():
    client = ClientConnection(ClientConfig())
    client.receive_data(b"220 mx.example LMTP ready\r\n")
    client.next_event()
    error = settings("smtp://h").diagnosed(ReplyError(Reply(500, "no"), Helo("h.example")), client)
    assert "try lmtp://" in str(error)
    for url, words in (("smtp://h", "587 or 465"), ("smtp://h:587", "send without auth=")):
        error = settings(url).diagnosed(NotSupported("no AUTH", extension="AUTH"), client)
        assert words in str(error)
