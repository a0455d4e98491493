"""A server connection played by hand, for the tests of the protocol layer: octets in, events and octets out."""

import base64

from smtpkit.errors import ConnectionLost, MessageRefused
from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.config import ServerConfig
from smtpkit.protocol.events import NEED_DATA, PAUSED, BodyChunk, ConnectionClosed
from smtpkit.protocol.needs import CLOSE, DONE, READ, WRITE
from smtpkit.protocol.server import ServerConnection
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import SessionFacts, checked
from smtpkit.protocol.standard_replies import INTERNAL_ERROR
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.wire import commands as c
from smtpkit.wire.replies import Reply

FACTS = TLSFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")
GREETING = b"220 mx.example ESMTP\r\n"
LOGIN = b"AUTH PLAIN AHVzZXIAcGFzcw==\r\n"
COMMANDS = (c.Ehlo, c.Helo, c.Lhlo, c.Mail, c.Rcpt, c.Data, c.Vrfy, c.Expn, c.StartTLS, c.Etrn, c.XClient, c.XForward)
TRANSACTION = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\n"


def config(**settings):
    return ServerConfig("mx.example", **settings)


def with_login(verify=None, *, required=False, **settings):
    """A configuration in which one may log in, in clear."""
    policy = {"allow_in_clear": True, "required": required}
    policy |= {name: settings.pop(name) for name in ("attempts", "mechanisms", "allow_in_clear") if name in settings}
    return config(auth=AuthPolicy(verify or {"user": "pass"}, **policy), **settings)


def b64(octets):
    return base64.b64encode(octets)


def codes(octets):
    """The codes of replies, one for each reply."""
    return [int(line[:3]) for line in octets.split(b"\r\n")[:-1] if line[3:4] != b"-"]


class Play:
    """Runs a connection and decides for it.

    Args:
        config: of the server.
        decisions: event type to a Reply (positive: accept with it), a callable of (core, event), or None to wait.
        say: what the client says at once.
    """

    def __init__(self, config_=None, decisions=None, say=b"", transcript=None, tls=False):
        self.core = ServerConnection(config_ or config(), transcript=transcript)
        if tls:
            self.core.tls_established(FACTS)
        self.decisions = decisions or {}
        self.events = []
        self.greeting = self.say(say) if say else self.run()

    def say(self, octets):
        """The client says this, if anything; what the server answers."""
        if octets:
            self.core.receive_data(octets)
        return self.run()

    def end(self):
        """The client ends the stream; what the server answers."""
        self.core.receive_data(b"")
        return self.run()

    def run(self):
        core = self.core
        while True:
            event = core.next_event()
            if event is NEED_DATA or event is PAUSED:
                break
            if isinstance(event, ConnectionClosed):
                if self.events[-1:] != [event]:
                    self.events.append(event)
                break
            self.events.append(event)
            if core.unanswered is not None and not self._decide(event):
                break
        return core.data_to_send()

    def _decide(self, event):
        core = self.core
        decision = self.decisions.get(type(event), True)
        if decision is True:
            policy = core.config.auth
            if hasattr(event, "username"):
                core.supply(policy.answer(event))
            else:
                core.accept()
        elif isinstance(decision, Reply):
            (core.accept if decision.code < 400 else core.reject)(decision)
        elif decision is None:
            return False
        else:
            decision(core, event)
        return True

    @property
    def kinds(self):
        return [type(event).__name__ for event in self.events]

    @property
    def messages(self):
        """The contents that came to a complete end."""
        contents, pieces = [], []
        for event in self.events:
            if isinstance(event, BodyChunk):
                pieces.append(event.data)
                if event.last:
                    contents.append(b"".join(pieces))
                    pieces = []
            elif type(event).__name__ in ("Mail", "BodyRefused"):
                pieces = []
        return contents


def ready(*args, hello=b"EHLO c.example\r\n", **settings):
    """A session that has said hello."""
    play = Play(*args, **settings)
    if play.core.config.lmtp and hello == b"EHLO c.example\r\n":
        hello = b"LHLO c.example\r\n"
    assert codes(play.say(hello)) == [250]
    return play


class Adapter:
    """Drives a ServerDriver as an adapter does, by hand.

    Args:
        hooks: name to what the hook returns, or to a callable of its argument; of on_body a generator function
            of the driver, which yields the needs that it cannot meet.
    """

    def __init__(self, config_=None, hooks=None, *, refusal=None, **tls):
        self.hooks = hooks or {}
        self.core = ServerConnection(config_ or config())
        self.session = SessionFacts()
        self.driver = ServerDriver(self.core, self.session, self.hooks.keys(), **tls)
        if refusal is not None:
            self.driver.turn_away(refusal)
        self.calls = []  # (hook, argument)
        self.writes = 0  # how often the driver wanted a write in between
        self.closed = False
        self.body = None
        self.answer = None
        self.greeting = self.run()

    @property
    def names(self):
        return [name for name, _ in self.calls]

    def say(self, octets):
        """The client says this; what the server writes until it must read again."""
        self.driver.receive(octets)
        return self.run()

    def end(self):
        return self.say(b"")

    def run(self):
        written = b""
        while True:
            need = self._next()
            if need is READ or need is CLOSE:
                self.closed = need is CLOSE
                return written + self.driver.take()
            if need is WRITE:
                self.writes += 1
                written += self.driver.take()
            else:
                self._call(need)

    def _next(self):
        if self.body is None:
            answer, self.answer = self.answer, None
            return self.driver.next(answer)
        try:
            return next(self.body)
        except StopIteration as end:
            self._answered("on_body", end.value)
        except (MessageRefused, ConnectionLost) as error:
            assert self.driver.body_failed
            self.calls.append(("on_body raised", error))
            self._answered("on_body", INTERNAL_ERROR)
        return self._next()

    def _call(self, call):
        self.calls.append((call.name, call.argument))
        hook = self.hooks[call.name]
        if call.name == "on_body":
            self.body = hook(self.driver)
        else:
            self._answered(call.name, hook(call.argument) if callable(hook) else hook)

    def _answered(self, name, answer):
        self.body = None
        self.answer = checked(name, answer)


def reading(pieces, answer=None, enough=None):
    """A hook on_body that reads the stream into `pieces`, or as much of it as is `enough`."""

    def on_body(driver):
        size = 0
        while enough is None or size < enough:
            need = driver.next_chunk()
            if need is DONE:
                pieces.append("end")
                break
            if isinstance(need, bytes):
                pieces.append(need)
                size += len(need)
            else:
                yield need
        return answer

    return on_body
