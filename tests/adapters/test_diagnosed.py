"""Servers that are set up wrongly, or called wrongly, each named: cause, evidence and the way on in one message."""

import re
import socket
import ssl
import warnings
from pathlib import Path

import pytest

from smtpkit import (
    AuthenticationError,
    ConnectionLost,
    Credentials,
    NotSupported,
    RemoteProtocolError,
    ReplyError,
    SenderRefused,
    Timeout,
    TLSError,
)
from smtpkit.tls import server_context

BODY = b"Subject: test\r\n\r\ntext\r\n"
LOGIN = ("user", "a pass phrase")
SHA256 = r"its SHA-256 is [0-9a-f]{64}\)"


def old_tls(certificate):
    context = server_context(*certificate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is not safe is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def asking(certificate, cafile):
    context = server_context(*certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile)
    return context


# What the server does: its TLS; how it is called; the error, and what stands in its message, in that order.
TLS = {
    "plain text spoken to a TLS port": (
        lambda kit: {"tls": kit.tls("server"), "implicit_tls": True},
        {"timeouts": 0.1},
        (Timeout, ConnectionLost),
        r"(did not answer in time|closed the connection).*greeting.*smtps:// or tls='implicit'",
    ),
    "TLS spoken to a plain port": (
        lambda kit: {},
        {"tls": "implicit"},
        TLSError,
        r"does not speak TLS here: it began with b'220 mx\.example.*; this port begins in clear: try smtp:// with",
    ),
    "no STARTTLS": (
        lambda kit: {},
        {"tls": "required"},
        TLSError,
        r"does not offer STARTTLS \(it offers: PIPELINING, SIZE.*\); .*tls='implicit', and tls='off' only if",
    ),
    "a self-signed certificate": (
        lambda kit: {"tls": kit.tls("self-signed")},
        {"tls": "required"},
        TLSError,
        rf"of localhost does not verify: self.signed certificate \(it is for localhost, .*signed by localhost.*{SHA256}"
        r"; .*cafile=.*fingerprint=",
    ),
    "a certificate that has expired": (
        lambda kit: {"tls": kit.tls("expired")},
        {"tls": "required"},
        TLSError,
        rf"certificate has expired \(it is for localhost, .*to Feb  1 00:00:00 2024 GMT, {SHA256}; .*clock is right",
    ),
    "a certificate for another name": (
        lambda kit: {"tls": kit.tls("wrong-name")},
        {"tls": "required"},
        TLSError,
        rf"not valid for 'localhost'.*\(it is for elsewhere\.example, .*{SHA256}; .*server_hostname=",
    ),
    "an authority that nobody knows": (
        lambda kit: {"tls": kit.tls("server")},
        {"tls": "required", "cafile": None},
        TLSError,
        rf"unable to get local issuer certificate \(.*signed by smtpkit test CA.*{SHA256}; .*cafile=",
    ),
    "a TLS version that is too old": (
        lambda kit: {"tls": old_tls(kit.tls("server"))},
        {"tls": "required"},
        TLSError,
        r"no TLS version in common; TLS 1\.2 is the least.*ssl_context=",
    ),
    "a server that wants a certificate of the client": (
        lambda kit: {"tls": asking(kit.tls("server"), kit.cafile)},
        {"tls": "required"},
        TLSError,
        r"requires a client certificate; show one with client_certificate=",
    ),
    "a login that is offered over TLS only": (
        lambda kit: {"tls": kit.tls("server"), "auth": dict([LOGIN])},
        {"tls": "off", "auth": LOGIN},
        NotSupported,
        r"offers no AUTH; .*after STARTTLS; it offers: PIPELINING, .*STARTTLS.*; use tls='required'",
    ),
    "no login at all": (
        lambda kit: {"tls": kit.tls("server")},
        {"tls": "required", "auth": LOGIN},
        NotSupported,
        r"offers no AUTH; it offers: PIPELINING, .*HELP; send without auth=",
    ),
    "mail without a login": (
        lambda kit: {"auth": dict([LOGIN]), "tls": kit.tls("server")},
        {"tls": "required"},
        SenderRefused,
        r"530 5\.7\.0.*; .*log in with auth=",
    ),
    "mail in clear where TLS is wanted": (
        lambda kit: {"tls": kit.tls("server"), "require_tls": True},
        {"tls": "off"},
        SenderRefused,
        r"530 5\.7\.0.*STARTTLS.*; .*use tls='required'",
    ),
}


# What a program is told of a TLSError; of the others, that it is the server's certificate.
REASONS = {
    "TLS spoken to a plain port": "clear",
    "no STARTTLS": "not offered",
    "a TLS version that is too old": "version",
    "a server that wants a certificate of the client": "client certificate",
}


@pytest.mark.parametrize("case", TLS)
async def test_of_tls_and_login(kit, case):
    how, options, error, words = TLS[case]
    async with kit.serve(**how(kit)) as server:
        with pytest.raises(error, match=words) as caught:
            await send(kit, ("localhost", server.address[1]), **{"cafile": kit.cafile, **options})
    if error is TLSError:
        assert caught.value.reason == REASONS.get(case, "certificate")


async def send(kit, where, **options):
    async with kit.connect(where, **options) as client:
        await client.send("a@a.example", "b@b.example", BODY)


# What the server says, line by line: the greeting, and then an answer to each line; None is silence, "" the end.
PLAIN = {
    "a web server": (["HTTP/1.1 400 Bad Request"], {}, RemoteProtocolError, r"received b'HTTP/1\.1 .*; a web server"),
    "SSH": (["SSH-2.0-OpenSSH_9.2p1"], {}, RemoteProtocolError, r"received b'SSH-2\.0.*; an SSH server listens"),
    "POP3": (["+OK Dovecot ready."], {}, RemoteProtocolError, r"received b'\+OK Dovecot.*; a POP3 server listens"),
    "IMAP": (["* OK [CAPABILITY IMAP4rev1]"], {}, RemoteProtocolError, r"received b'\* OK.*; an IMAP server listens"),
    "silence": ([None], {"timeouts": 0.1}, Timeout, r"did not answer in time \(greeting\); .*try smtps://"),
    "an end at once": ([""], {}, ConnectionLost, r"closed the connection \(greeting\); .*smtps://"),
    "no service for this address": (
        ["554 5.7.1 blocked by RBL"],
        {},
        ReplyError,
        r"greeting refuses service: 554 .*blocked by RBL; it takes no mail from this address; .*587 or 465",
    ),
    "too many connections": (
        ["421 4.7.0 Too many connections"],
        {},
        ReplyError,
        r"greeting refuses service: 421 .*; .*too many connections from this address: try again later",
    ),
    "mechanisms that nobody here has": (
        ["220 mx.example", "250-mx.example\r\n250 AUTH NTLM GSSAPI"],
        {"auth": LOGIN},
        NotSupported,
        r"mechanisms offered \(NTLM, GSSAPI\) none may be used with a password",
    ),
    "a name that is refused": (
        ["220 mx.example", "550 5.7.1 Helo command rejected: need fully-qualified hostname", "550 no"],
        {"local_hostname": "localhost"},
        ReplyError,
        r"HELO: 550 no; the name that was said is localhost: .*local_hostname=",
    ),
    "LMTP spoken to by SMTP": (
        ["220 mx.example LMTP ready", "500 5.5.1 Use LHLO", "500 5.5.1 Use LHLO"],
        {},
        ReplyError,
        r"500 5\.5\.1 Use LHLO; the server speaks LMTP: try lmtp://",
    ),
    "STARTTLS that is refused": (
        ["220 mx.example", "250-mx.example\r\n250 STARTTLS", "454 4.7.0 TLS not available"],
        {"tls": "required"},
        TLSError,
        r"refused STARTTLS: 454 4\.7\.0 .*; .*try again later",
    ),
    "Gmail, and a password of the account": (
        [
            "220 smtp.gmail.com ESMTP x - gsmtp",
            "250-smtp.gmail.com at your service\r\n250 AUTH LOGIN PLAIN XOAUTH2",
            "535-5.7.8 Username and Password not accepted. For more information, go to\r\n"
            "535 5.7.8  https://support.google.com/mail/?p=BadCredentials x - gsmtp",
        ],
        {"auth": LOGIN},
        AuthenticationError,
        r"(?s)AUTH PLAIN: 535 5\.7\.8 .*BadCredentials.*; Gmail takes no account password: use an app password",
    ),
    "Microsoft, and SMTP AUTH switched off": (
        [
            "220 AM0PR10.outlook.office365.com Microsoft ESMTP MAIL Service ready",
            "250-AM0PR10.outlook.office365.com Hello [192.0.2.1]\r\n250 AUTH LOGIN XOAUTH2",
            "334 ",
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        ],
        {"auth": Credentials("user", token="t")},
        AuthenticationError,
        r"disabled for the Tenant.*; SMTP AUTH is switched off for the whole organization",
    ),
}


@pytest.mark.parametrize("case", PLAIN)
async def test_of_what_the_server_says(kit, case):
    says, options, error, words = PLAIN[case]

    async def play(peer):
        for number, answer in enumerate(says):
            if number:
                await peer.line()
            if answer == "":
                return
            if answer is not None:
                await peer.write(f"{answer}\r\n".encode())
        await peer.ended()

    async with kit.script(play) as address:
        with pytest.raises(error, match=words) as caught:
            await send(kit, address, **options)
    assert "pass phrase" not in str(caught.value)
    assert error is not TLSError or caught.value.reason == "refused"


@pytest.mark.parametrize("ends", [False, True])
async def test_who_has_begun_to_greet_is_not_taken_for_a_server_that_waits_for_tls(kit, ends):
    async def play(peer):
        await peer.write(b"220 mx.exam")
        if not ends:
            await peer.ended()

    async with kit.script(play) as address:
        with pytest.raises((Timeout, ConnectionLost)) as caught:
            await kit.connected(address, timeouts=5 if ends else 0.2)
    assert "smtps://" not in str(caught.value)


def test_the_page_has_a_row_for_each():
    page = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (`.+`) \| .+ \|$", page, re.MULTILINE)
    others = ["SMTP spoken to by LMTP", "a port where nothing listens", "a name that nobody has"]
    assert sorted(name for name, _ in rows) == sorted([*TLS, *PLAIN, *others])
    for name, errors in rows:
        if name not in others:
            expected = {**TLS, **PLAIN}[name][2]
            expected = expected if isinstance(expected, tuple) else (expected,)
            assert errors == ", ".join(f"`{each.__name__}`" for each in expected)


async def test_of_smtp_spoken_to_by_lmtp(kit):
    async with kit.serve() as server:
        with pytest.raises(ReplyError, match=r"LHLO: 50\d .*; the server does not know LMTP: try smtp://"):
            await kit.connected(f"lmtp://127.0.0.1:{server.address[1]}")


async def test_of_a_port_where_nothing_listens(kit):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionLost, match=r"no connection to smtp://127\.0\.0\.1:\d+: .*refused; nothing listens"):
        await kit.connected(("127.0.0.1", port))


async def test_of_a_name_that_nobody_has(kit):
    with pytest.raises(ConnectionLost, match=r"no connection to smtp://mx\.invalid:587: .*[Nn]ame"):
        await kit.connected(("mx.invalid", 587))
