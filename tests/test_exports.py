"""The public surface: every name and every signature that is a promise, listed once."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import smtpkit
import smtpkit.asyncio
import smtpkit.sync
import smtpkit.testing

PACKAGE = Path(__file__).parent.parent / "smtpkit"
ADAPTERS = [smtpkit.asyncio, smtpkit.sync]
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"
)

CORE = """
    DEFAULT_EXTENSIONS DSN NEED_DATA PAUSED
    Answered Auth AuthPolicy AuthResponse AuthenticationError
    Bdat BodyChunk BodyRefused
    Capabilities ClientConfig ClientConnection Command Connect ConnectionClosed ConnectionLost Credentials
    Data DeliverBy Dialect DotStuffer DotUnstuffer
    Ehlo EnhancedStatus Envelope Etrn Expn Extension
    FetchSecret Helo Help HoldLimits Lhlo Limits LocalProtocolError
    Mail Mailbox Message MessageRefused MessageTracking
    Noop NotSupported OriginalRecipient Outcome
    ParameterCodec ParseError ProtocolError Quit
    Rcpt RecipientsRefused RemoteProtocolError ReplayMismatch Reply ReplyError Retry Rset
    SMTPError SendResult SenderRefused ServerConfig ServerConnection Signal StartTLS State
    TLSError TLSFacts Timeout Timeouts Transcript Transport
    UnknownCommand ValidSince Verdict VerifyPassword VerifyToken Vrfy XClient XForward
    dot_stuff dot_unstuff parse_command parse_reply
"""
# What an event loop of one's own needs beside these, of smtpkit.protocol.
LOOPS = """
    CHUNK CLOSE DONE EXTENSIONS NEXT_CHUNK OPTIONS READ REWIND UPGRADE WRITE
    Call ClientDriver Expect Ledger Need Sending ServerDriver SessionFacts Want
    checked failure_reply one_message opening quit_session
"""
ADAPTER = """
    Certificates Client ClientStats Ledger Listener Message Observer Pool Receipt Relay RelaySession Server
    ServerObserver Session connect send_message serve
"""


# Signatures of the core; defaults as they print.
CORE_SIGNATURES = """
    AuthPolicy(verify=None, *, required=True, allow_in_clear=False, mechanisms=None, attempts=3, tokens=None, \
certificate_identity=None, salt_secret=None, iterations=10000)
    Bdat(size, last=False)
    BodyChunk(data, last=False)
    ClientConfig(hostname=None, *, lmtp=False, extensions=())
    Credentials(username='', password=None, *, token=None, authzid='', fresh_token=None, mechanisms=None)
    DotUnstuffer(bare_newlines='reject')
    Envelope(sender, recipients, mail_parameters=None, rcpt_parameters=None)
    Mail(reverse_path, parameters={}, codecs=None)
    Mailbox(local_part, domain)
    Message(envelope, content, session=None)
    ParameterCodec(keyword, parse, emit=<class 'str'>)
    Rcpt(forward_path, parameters={}, codecs=None)
    Reply(code, text=(), enhanced=None)
    Retry(attempts=3, delay=1.0, *, factor=2.0, max_delay=60.0, jitter=0.25, random=None)
    dot_stuff(body)
    dot_unstuff(octets)
    parse_command(line, *, smtputf8=False, strict=True, dialect=<Dialect of the standards>)
    parse_reply(octets)
"""

# Signatures of both adapters.
SIGNATURES = """
    connect(where, port=None, *, tls=None, ssl_context=None, cafile=None, fingerprint=None, \
client_certificate=None, server_hostname=None, unverified_tls=False, auth=None, allow_auth_in_clear=False, \
timeouts=None, deadline=None, local_hostname=None, local_address=None, sock=None, transcript=None, extensions=(), \
observer=None)
    send_message(message, where, *, sender=None, recipients=None, options=None, retry=None, **connect_options)
    Client.send_message(self, message, sender=None, recipients=None, **options)
    Client.send(self, sender, recipients, body, **options)
    Client.command(self, command)
    Client.reset(self)
    Client.close(self)
    Pool(where, port=None, *, size=3, max_messages=100, max_idle=8.0, max_age=240.0, rate=None, **connect_options)
    Pool.send_message(self, message, sender=None, recipients=None, *, retry=None, **options)
    Pool.send(self, sender, recipients, body, *, retry=None, **options)
    Pool.send_many(self, items, *, in_flight=None, retry=None, **options)
    Pool.connection(self, *, deadline=None)
    Pool.close(self)
    Listener(host='127.0.0.1', port=8025, *, unix=None, sock=None, implicit_tls=False, reuse_port=False, \
mode=None, proxy_protocol=False)
    Listener.inherited(*, implicit_tls=('smtps', 'submissions'), proxy_protocol=(), environ=None)
    Certificates(*files, client_cafile=None, client_required=False)
    Ledger(*, connections=None, messages=None, recipients=None, errors=None, failed_logins=None, window=600.0, \
addresses=4096, workers=1, memory=None)
    ServerObserver.connected(self, session)
    ServerObserver.refused(self, session, reply)
    ServerObserver.logged_in(self, session)
    ServerObserver.login_failed(self, session)
    ServerObserver.limit_reached(self, session, limit)
    ServerObserver.received(self, session, receipt)
    ServerObserver.failed(self, session, hook, error)
    ServerObserver.closed(self, session, seconds)
    Server.start(self)
    Server.serve_forever(self)
    Server.close(self, grace=5.0)
    Server.reload_tls(self)
    Session.on_connect(self)
    Session.on_hello(self, command)
    Session.on_login(self, question)
    Session.on_mail(self, command)
    Session.on_rcpt(self, command)
    Session.on_body(self, stream)
    Session.on_message(self, message)
    Session.on_command(self, command)
    Session.on_reset(self)
    Session.on_close(self)
"""
# Those of smtpkit.testing.
TESTING = """
    Fault(step, action, *, sender=None, recipient=None, times=None, each=False)
    Inbox.wait(self, count=1, timeout=5.0)
    Inbox.to(self, address)
    Inbox.clear(self)
    Server(*, tls=None, login=None, allow_auth_in_clear=False, certificate='valid', **settings)
    Server.start(self)
    Server.close(self)
    Server.refuse(self, step, reply, *, sender=None, recipient=None, times=None)
    Server.greylist(self, reply='450 4.7.1 Greylisted, try again later', *, times=1)
    Server.disconnect(self, step, *, sender=None, recipient=None, times=None)
    Server.delay(self, step, seconds, *, sender=None, recipient=None, times=None)
"""
SERVE = (
    "serve(handler, host='127.0.0.1', port=8025, *, hostname=None, config=None, tls=None, implicit_tls=False, "
    "auth=None, limits=None, unix=None, sock=None, listeners=None, reuse_port=False, proxy_protocol=False, "
    "trusted=None, ledger=None, observer=None, {}transcript=None, **settings)"
)
ATTRIBUTES = {
    "Client": {"capabilities", "tls", "greeting"},
    "Pool": {"stats", "outbox"},
    "Server": {"address", "addresses", "connections", "counters"},
    "Session": {"peer", "local", "tls", "hello_name", "identity", "protocol", "envelope", "id", "told", "forwarded"},
    "Message": {"envelope", "sender", "recipients", "content", "session", "as_email"},
}


def signature_of(module, line):
    """The real signature of what a line names, in the same form."""
    name = line.partition("(")[0]
    found = module
    for part in name.split("."):
        found = getattr(found, part)
    parameters = inspect.signature(found).parameters.values()
    bare = inspect.Signature([each.replace(annotation=inspect.Parameter.empty) for each in parameters])
    return f"{name}{bare}"


def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_the_public_names_of_the_core():
    assert sorted(smtpkit.__all__) == sorted(CORE.split())


def test_the_public_names_for_loops_of_ones_own():
    assert sorted(set(smtpkit.protocol.__all__) - set(smtpkit.__all__)) == sorted(LOOPS.split())


@pytest.mark.parametrize("module", [smtpkit, smtpkit.protocol, *ADAPTERS], ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_reference(module):
    entries = re.findall(r"^### `(\w+)", (PACKAGE.parent / "docs/reference.md").read_text(), re.MULTILINE)
    assert not set(module.__all__) - set(entries)


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda module: module.__name__)
def test_the_public_names_of_both_adapters(adapter):
    own = {"Connecting"} if adapter is smtpkit.asyncio else set()  # what its connect() returns
    assert set(adapter.__all__) == {*ADAPTER.split(), *own}


@pytest.mark.parametrize("line", lines(CORE_SIGNATURES))
def test_signatures_of_the_core(line):
    assert signature_of(smtpkit, line) == line


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("line", lines(SIGNATURES))
def test_signatures_of_both_adapters(adapter, line):
    assert signature_of(adapter, line) == line


@pytest.mark.parametrize("line", lines(TESTING))
def test_signatures_for_tests_of_mail(line):
    assert signature_of(smtpkit.testing, line) == line


def test_serve_differs_by_in_thread_alone():
    assert signature_of(smtpkit.sync, "serve()") == SERVE.format("")
    assert signature_of(smtpkit.asyncio, "serve()") == SERVE.format("in_thread=False, ")


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda module: module.__name__)
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes_are_there_and_described(adapter, name):
    kind = getattr(adapter, name)
    documented = "\n".join(each.__doc__ or "" for each in kind.__mro__)
    missing = {each for each in ATTRIBUTES[name] if not hasattr(kind, each) and f"{each}:" not in documented}
    assert not missing


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_exports_is_sorted_and_there(module):
    """The order is that of `ruff` (RUF022): constants, classes, then the rest."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    tree = ast.parse(source.read_text())
    if not any(ast.unparse(node).startswith("__all__ =") for node in tree.body if isinstance(node, ast.Assign)):
        return
    loaded = importlib.import_module(module)
    kinds = [0 if name.isupper() else 1 if name[0].isupper() else 2 for name in loaded.__all__]
    assert kinds == sorted(kinds)
    for kind in range(3):
        names = [name for name, its in zip(loaded.__all__, kinds, strict=True) if its == kind]
        assert names == sorted(names)
    assert len(set(loaded.__all__)) == len(loaded.__all__)
    assert not [name for name in loaded.__all__ if not hasattr(loaded, name)]


def test_the_version_is_a_literal():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    versions = [node.value for node in tree.body if ast.unparse(node).startswith("__version__ =")]
    assert [ast.literal_eval(value) for value in versions] == [smtpkit.__version__]
