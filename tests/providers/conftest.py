"""Servers that greet, offer, authenticate and limit as well-known providers do: written as octets, without smtpkit.

What each says was seen in its documentation or in public logs (docs/providers.md names them), and changes there; some
limits are made smaller here.  What was not found is said in words that a comment marks as ours.
"""

import asyncio
import base64
import hmac
import re
import select
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import smtpkit.asyncio
import smtpkit.sync

CERTIFICATES = Path(__file__).parent.parent / "certificates"
PATIENCE = 20  # seconds until a test that hangs fails
GOOD = ("me@example.com", "right-passw0rd")
TOKEN = "fresh-token"
EXPIRED = (
    base64.b64encode(b'{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}').decode(),
    base64.b64encode(b'{"status":"invalid_token","scope":"https://mail.google.com/"}').decode(),
)


@dataclass
class Profile:
    """What is peculiar to one provider."""

    host: str
    greeting: str
    hello: str  # first line of the reply to EHLO
    before: list  # keywords in clear
    after: list  # keywords in TLS
    wrong: list  # lines of the reply to a wrong password or token
    unauthenticated: str  # to MAIL without a login, or to RCPT
    unauthenticated_at: str = "MAIL"
    recipients: int = 1000  # of one message
    too_many: str = "452 4.5.3 Too many recipients"  # to RCPT; or to the end of data
    too_many_at_end: bool = False
    prompts: tuple = ("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6")
    plain_prompt: str = "334 "
    go_ahead: str = "354 Go ahead"
    done: str = "250 2.0.0 OK"
    idle_words: str = ""  # of a server that gives silent clients up
    messages: int | None = None  # of one connection
    enough: str = "421 4.3.0 Too many messages"
    ehlo_resets: bool = False
    sender_refused: str = ""  # to a sender that is not the user: at RCPT if it is 5.7.x, else at the end of data
    busy: str = ""  # where more connections than `connections` send at a time
    connections: int = 1000
    size: int | None = field(init=False)

    def __post_init__(self):
        sizes = [int(keyword[5:]) for keyword in self.after if keyword.startswith("SIZE ")]
        self.size = sizes[0] if sizes else None

    @property
    def pipelining(self):
        return "PIPELINING" in self.after


PROFILES = {
    "gmail": Profile(
        "smtp.gmail.com",
        "220 smtp.gmail.com ESMTP d2e1a72fcca58-7b2sm1 - gsmtp",
        "smtp.gmail.com at your service, [192.0.2.1]",
        ["SIZE 35882577", "8BITMIME", "STARTTLS", "ENHANCEDSTATUSCODES", "PIPELINING", "CHUNKING", "SMTPUTF8"],
        [
            "SIZE 35882577",
            "8BITMIME",
            "AUTH LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH",
            "ENHANCEDSTATUSCODES",
            "PIPELINING",
            "CHUNKING",
            "SMTPUTF8",
        ],
        [
            "535-5.7.8 Username and Password not accepted. For more information, go to",
            "535 5.7.8  https://support.google.com/mail/?p=BadCredentials d2e1a72fcca58-7b2sm1 - gsmtp",
        ],
        "530 5.7.0 Authentication Required. d2e1a72fcca58-7b2sm1 - gsmtp",
        recipients=100,
        too_many="452 4.5.3 Your message has too many recipients. d2e1a72fcca58-7b2sm1 - gsmtp",
        go_ahead="354  Go ahead d2e1a72fcca58-7b2sm1 - gsmtp",
        done="250 2.0.0 OK  1764000000 d2e1a72fcca58-7b2sm1 - gsmtp",
    ),
    "microsoft365": Profile(
        "smtp.office365.com",
        "220 AM0PR10CA0041.outlook.office365.com Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2026 12:00:00 +0000",
        "AM0PR10CA0041.outlook.office365.com Hello [192.0.2.1]",
        [
            "SIZE 157286400",
            "PIPELINING",
            "DSN",
            "ENHANCEDSTATUSCODES",
            "STARTTLS",
            "8BITMIME",
            "BINARYMIME",
            "CHUNKING",
            "SMTPUTF8",
        ],
        [
            "SIZE 157286400",
            "PIPELINING",
            "DSN",
            "ENHANCEDSTATUSCODES",
            "AUTH LOGIN XOAUTH2",
            "8BITMIME",
            "BINARYMIME",
            "CHUNKING",
            "SMTPUTF8",
        ],
        ["535 5.7.3 Authentication unsuccessful [AM0PR10CA0041.EURPRD10.PROD.OUTLOOK.COM]"],
        "530 5.7.57 Client not authenticated to send mail. [AM0PR10CA0041.EURPRD10.PROD.OUTLOOK.COM]",
        recipients=500,
        too_many="452 4.5.3 Too many recipients",  # ours
        go_ahead="354 Start mail input; end with <CRLF>.<CRLF>",
        done="250 2.0.0 OK <id@AM0PR10MB1234.EURPRD10.PROD.OUTLOOK.COM> [Hostname=AM0PR10MB1234]",
        sender_refused="554 5.2.252 SendAsDenied; me@example.com not allowed to send as you@example.com",
        busy="432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending",
        connections=3,
    ),
    "ses": Profile(
        "email-smtp.eu-west-1.amazonaws.com",
        "220 email-smtp.amazonaws.com ESMTP SimpleEmailService-d-VCSHDP1YZ A1b2C3d4E5f6G7h8I9j0",
        "email-smtp.amazonaws.com",
        ["8BITMIME", "STARTTLS", "AUTH PLAIN LOGIN", "Ok"],
        ["8BITMIME", "AUTH PLAIN LOGIN", "Ok"],
        ["535 Authentication Credentials Invalid"],
        "530 Authentication required",
        recipients=50,
        too_many="554 Transaction failed: Recipient count exceeds 50.",
        too_many_at_end=True,
        go_ahead="354 End data with <CR><LF>.<CR><LF>",
        done="250 Ok 0102018f0a1b2c3d-00000000-0000-0000-0000-000000000000-000000",
        idle_words="451 4.4.2 Timeout waiting for data from client.",
        messages=5,  # the number is not told
        enough="421 Connection closed by server. Maximum message count per session reached.",
    ),
    "sendgrid": Profile(
        "smtp.sendgrid.net",
        "220 SG ESMTP service ready at ismtpd0013p1las1.sendgrid.net",
        "smtp.sendgrid.net",
        ["8BITMIME", "PIPELINING", "SIZE 31457280", "STARTTLS", "AUTH PLAIN LOGIN", "AUTH=PLAIN LOGIN"],
        ["8BITMIME", "PIPELINING", "SIZE 31457280", "AUTH PLAIN LOGIN", "AUTH=PLAIN LOGIN"],
        ["535 Authentication failed: Bad username / password"],
        "550 Unauthenticated senders not allowed",
        go_ahead="354 Continue",
        done="250 Ok: queued as 0aBcDeFgQ1W2E3R4",
    ),
    "mailgun": Profile(
        "smtp.mailgun.org",
        "220 Mailgun Influx ready",
        "smtp-out-n01.prod.us-east-1.postgun.com",
        ["AUTH PLAIN LOGIN", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "PIPELINING", "STARTTLS"],
        ["AUTH PLAIN LOGIN", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "PIPELINING"],
        ["535 Authentication failed"],  # ours
        "550 5.7.1 Relaying denied",
        unauthenticated_at="RCPT",
        plain_prompt="334 Go ahead",
        go_ahead="354 Continue",
        done="250 Great success",
    ),
    "brevo": Profile(
        "smtp-relay.brevo.com",
        "220 smtp-relay.brevo.com ESMTP Service Ready",
        "Hello [192.0.2.1]",
        [
            "PIPELINING",
            "8BITMIME",
            "ENHANCEDSTATUSCODES",
            "CHUNKING",
            "STARTTLS",
            "AUTH PLAIN LOGIN CRAM-MD5",
            "SIZE 20971520",
        ],
        ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "AUTH PLAIN LOGIN CRAM-MD5", "SIZE 20971520"],
        ["535 5.7.0 Invalid login or password"],
        "502 5.7.0 Please authenticate first",
        go_ahead="354 Go ahead. End your data with <CR><LF>.<CR><LF>",
        done="250 2.0.0 OK: queued as <202508020358.47907466195@smtp-relay.sendinblue.com>",
        ehlo_resets=True,
    ),
    "postmark": Profile(
        "smtp.postmarkapp.com",
        "220 smtp.postmarkapp.com ESMTP sc-ams-smtp1",
        "smtp.postmarkapp.com",
        [
            "PIPELINING",
            "SIZE 20480000",
            "VRFY",
            "ETRN",
            "STARTTLS",
            "AUTH PLAIN LOGIN CRAM-MD5 DIGEST-MD5",
            "AUTH=PLAIN LOGIN CRAM-MD5 DIGEST-MD5",
            "ENHANCEDSTATUSCODES",
            "8BITMIME",
            "DSN",
        ],
        [
            "PIPELINING",
            "SIZE 20480000",
            "VRFY",
            "ETRN",
            "AUTH PLAIN LOGIN CRAM-MD5 DIGEST-MD5",
            "AUTH=PLAIN LOGIN CRAM-MD5 DIGEST-MD5",
            "ENHANCEDSTATUSCODES",
            "8BITMIME",
            "DSN",
        ],
        ["535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6"],
        "530 5.7.0 Must authenticate first",  # ours
        recipients=50,
        too_many="452 4.5.3 Error: too many recipients",  # ours
    ),
    "fastmail": Profile(
        "smtp.fastmail.com",
        "220 smtp.fastmail.com ESMTP ready",
        "smtp.fastmail.com",
        ["PIPELINING", "SIZE 71000000", "ENHANCEDSTATUSCODES", "8BITMIME", "STARTTLS"],
        ["PIPELINING", "SIZE 71000000", "ENHANCEDSTATUSCODES", "8BITMIME", "AUTH PLAIN LOGIN", "AUTH=PLAIN LOGIN"],
        ["535 5.7.0 Incorrect username or password."],  # ours, after what its IMAP server says
        "530 5.7.1 Authentication required",
        sender_refused="551 5.7.1 Not authorised to send from this header address",
    ),
}


class Provider:
    """A server of one provider, on loopback; what it saw is kept.

    Attributes:
        messages: (sender, recipients, content).
        commands: the first word of each line, of all sessions.
        faults: what a client must not do.
        names: what clients called themselves.
        is_impatient: whether silence has lasted too long.
    """

    def __init__(self, profile, implicit=False):
        self.profile = profile
        self.implicit = implicit
        self.messages = []
        self.commands = []
        self.faults = []
        self.names = set()
        self.sending = 0
        self.is_impatient = False
        self.lock = threading.Lock()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(CERTIFICATES / "server.pem")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept)]
        self.sessions = []
        self.threads[0].start()

    def accept(self):
        with suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                sock.settimeout(PATIENCE)
                session = Session(self, sock)
                self.sessions.append(session)
                thread = threading.Thread(target=session.serve)
                self.threads.append(thread)
                thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for session in self.sessions:
            with suppress(OSError):
                session.sock.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


class Session:
    """One connection."""

    def __init__(self, provider, sock):
        self.provider = provider
        self.profile = provider.profile
        self.sock = sock
        self.secure = provider.implicit
        self.buffer = b""
        self.user = None
        self.sender = None
        self.recipients = []
        self.content = b""
        self.taken = 0

    def serve(self):
        try:
            if self.secure:
                self.sock = self.provider.context.wrap_socket(self.sock, server_side=True)
            self.run()
        except OSError:
            pass  # the client has gone, or the test is over
        finally:
            self.sock.close()

    def say(self, *lines):
        self.sock.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def more(self):
        octets = self.sock.recv(65536)
        if not octets:
            raise ConnectionError
        self.buffer += octets

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode()

    def run(self):
        self.say(self.profile.greeting)
        while True:
            while self.profile.idle_words and not self.arrives():
                if self.provider.is_impatient:
                    self.say(self.profile.idle_words)
                    return
            line = self.line()
            verb, _, rest = line.partition(" ")
            self.provider.commands.append(verb.upper())
            if self.buffer and not self.profile.pipelining:
                self.provider.faults.append(f"{self.buffer[:40]!r} behind {verb}, and no PIPELINING")
            act = getattr(self, f"do_{verb.lower()}", None)
            if act is None:
                self.say("500 5.5.1 Unknown command")
            elif act(rest) == "over":
                return

    def arrives(self):
        pending = self.secure and self.sock.pending()
        return bool(self.buffer or pending or select.select([self.sock], [], [], 0.02)[0])

    def do_ehlo(self, name):
        self.provider.names.add(name)
        keywords = self.profile.after if self.secure else self.profile.before
        lines = [self.profile.hello, *keywords]
        self.say(*(f"250-{each}" for each in lines[:-1]), f"250 {lines[-1]}")
        self.sender, self.recipients = None, []
        if self.profile.ehlo_resets:
            self.user = None

    def do_starttls(self, _):
        self.say("220 2.0.0 Ready to start TLS")
        self.sock = self.provider.context.wrap_socket(self.sock, server_side=True)
        self.secure = True
        self.user = None

    def do_auth(self, rest):
        if not self.secure:
            self.provider.faults.append("AUTH in clear")
        mechanism, _, initial = rest.partition(" ")
        offered = " ".join(self.profile.after)
        if not re.search(rf"\b{re.escape(mechanism)}\b", offered):
            self.say("504 5.7.4 Unrecognized authentication type")
            return
        ok = getattr(self, "auth_" + mechanism.lower().replace("-", "_"))(initial)
        if ok:
            self.user = GOOD[0]
            self.say("235 2.7.0 Authentication successful")
        else:
            self.say(*self.profile.wrong)

    def answer(self, prompt):
        self.say(prompt)
        return self.line()

    def auth_plain(self, initial):
        response = initial or self.answer(self.profile.plain_prompt)
        return base64.b64decode(response).split(b"\0")[1:] == [each.encode() for each in GOOD]

    def auth_login(self, initial):
        user = initial or self.answer(self.profile.prompts[0])
        password = self.answer(self.profile.prompts[1])
        return (base64.b64decode(user).decode(), base64.b64decode(password).decode()) == GOOD

    def auth_cram_md5(self, _):
        challenge = b"<1896.697170952@postmarkapp.com>"
        response = self.answer(f"334 {base64.b64encode(challenge).decode()}")
        user, _, digest = base64.b64decode(response).decode().rpartition(" ")
        return (user, digest) == (GOOD[0], hmac.new(GOOD[1].encode(), challenge, "md5").hexdigest())

    def auth_xoauth2(self, initial):
        return self.bearer(initial, EXPIRED[0])

    def auth_oauthbearer(self, initial):
        return self.bearer(initial, EXPIRED[1])

    def bearer(self, initial, error):
        response = initial or self.answer("334 ")
        if f"Bearer {TOKEN}\x01".encode() in base64.b64decode(response):
            return True
        if self.profile.host == "smtp.gmail.com":
            self.answer(f"334 {error}")
        return False

    def do_mail(self, rest):
        declared = re.search(r"SIZE=(\d+)", rest)
        if self.user is None and self.profile.unauthenticated_at == "MAIL":
            self.say(self.profile.unauthenticated)
        elif self.profile.messages is not None and self.taken >= self.profile.messages:
            self.say(self.profile.enough)
            return "over"
        elif declared and self.profile.size and int(declared[1]) > self.profile.size:
            self.say("552 5.3.4 Message too large")
        else:
            self.sender = re.search(r"<(.*?)>", rest)[1]
            self.say("250 2.1.0 OK")
        return None

    def do_rcpt(self, rest):
        if self.sender is None:
            self.say("503 5.5.1 MAIL first")
        elif self.user is None:
            self.say(self.profile.unauthenticated)
        elif len(self.recipients) >= self.profile.recipients and not self.profile.too_many_at_end:
            self.say(self.profile.too_many)
        else:
            self.recipients.append(re.search(r"<(.*?)>", rest)[1])
            self.say("250 2.1.5 OK")

    def do_data(self, _):
        if not self.recipients:
            self.say("503 5.5.1 RCPT first")
            return
        self.say(self.profile.go_ahead)
        while b"\r\n.\r\n" not in self.buffer:
            self.more()
        content, _, self.buffer = self.buffer.partition(b"\r\n.\r\n")
        self.take(content + b"\r\n")

    def do_bdat(self, rest):
        size, _, last = rest.partition(" ")
        while len(self.buffer) < int(size):
            self.more()
        self.content += self.buffer[: int(size)]
        self.buffer = self.buffer[int(size) :]
        if not self.recipients:
            self.say("503 5.5.1 RCPT first")
            self.content = b""
        elif last:
            self.take(self.content)
        else:
            self.say("250 2.0.0 OK")

    def take(self, content):
        profile, provider = self.profile, self.provider
        if profile.too_many_at_end and len(self.recipients) > profile.recipients:
            self.say(profile.too_many)
        elif profile.sender_refused and self.sender != self.user:
            self.say(profile.sender_refused)
        elif provider.sending >= profile.connections:
            self.say(profile.busy)
        else:
            provider.messages.append((self.sender, self.recipients, content))
            self.taken += 1
            self.say(profile.done)
        self.sender, self.recipients, self.content = None, [], b""

    def do_rset(self, _):
        self.sender, self.recipients = None, []
        self.say("250 2.0.0 OK")

    def do_noop(self, _):
        self.say("250 2.0.0 OK")

    def do_quit(self, _):
        self.say("221 2.0.0 Bye")
        return "over"


@pytest.fixture(params=PROFILES)
def name(request):
    """The name of a profile."""
    return request.param


@pytest.fixture
def provider():
    """Makes a Provider of the profile that is named; all are closed at the end."""
    made = []

    def make(name, implicit=False):
        made.append(Provider(PROFILES[name], implicit))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Awaited:
    """An object of smtpkit.asyncio, whose methods wait for what they give."""

    def __init__(self, runner, target):
        self.runner = runner
        self.target = target

    def __getattr__(self, name):
        value = getattr(self.target, name)
        if not asyncio.iscoroutinefunction(value):
            return value

        async def called(*arguments, **options):
            async with asyncio.timeout(PATIENCE):
                return await value(*arguments, **options)

        return lambda *arguments, **options: self.runner.run(called(*arguments, **options))


class Colour:
    """`connect()` and `pool()` of one of the adapters, for tests that are plain functions."""

    def __init__(self, name, stack):
        self.name = name
        self.stack = stack
        self.runner = asyncio.Runner() if name == "asyncio" else None
        if self.runner is not None:
            stack.callback(self.runner.close)

    def connect(self, provider, **options):
        options = {"tls": "implicit" if provider.implicit else "required", "auth": GOOD, **options}
        options.setdefault("cafile", str(CERTIFICATES / "ca.pem"))
        if self.runner is None:
            client = smtpkit.sync.connect("localhost", provider.port, **options)
        else:

            async def connected():
                return await smtpkit.asyncio.connect("localhost", provider.port, **options)

            client = Awaited(self.runner, self.runner.run(connected()))
        self.stack.callback(client.close)
        return client

    def pool(self, provider, **options):
        options = {"tls": "required", "auth": GOOD, "cafile": str(CERTIFICATES / "ca.pem"), **options}
        if self.runner is None:
            pool = smtpkit.sync.Pool("localhost", provider.port, **options)
        else:
            pool = Awaited(self.runner, smtpkit.asyncio.Pool("localhost", provider.port, **options))
        self.stack.callback(pool.close)
        return pool


@pytest.fixture(params=["sync", "asyncio"])
def colour(request):
    """Both adapters behind the same words."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield Colour(request.param, stack)
