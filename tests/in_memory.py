"""A client and a server in memory, and the line between them: slow, narrow, cut into pieces, and broken anywhere."""

from collections import deque
from itertools import cycle
from types import SimpleNamespace

from smtpkit.errors import SMTPError, TLSError
from smtpkit.protocol import (
    CHUNK,
    CLOSE,
    DONE,
    READ,
    WRITE,
    Call,
    ClientConfig,
    ClientConnection,
    Message,
    ServerConnection,
    TLSFacts,
    Transcript,
)
from smtpkit.protocol.client_driver import ClientDriver
from smtpkit.protocol.driver import Driver
from smtpkit.protocol.events import NEED_DATA, PAUSED, BodyChunk, BodyRefused, Connect, ConnectionClosed
from smtpkit.protocol.server_driver import ServerDriver
from smtpkit.protocol.session import SessionFacts, checked
from smtpkit.sasl.questions import FetchSecret, VerifyPassword, VerifyToken
from smtpkit.wire import commands as c
from smtpkit.wire.replies import Reply

STEPS = 1_000_000  # no exchange in these tests needs as many, though a large body may leave octet by octet
CLIENT_HOLDS = 128 * 1024  # octets that a client may have queued: a group, or a piece of a body
SERVER_HOLDS = 64 * 1024  # octets of replies
HOOKS = {"on_connect", "on_hello", "on_login", "on_mail", "on_rcpt", "on_message", "on_command", "on_reset"}
PASSWORD, TOKEN = "pässword-77", "token-88"


class FakeTLS:
    """What has TLS's methods and costs nothing: a hello each way, the client's first, then octets not in clear."""

    HELLO = b"\x16hello"

    def __init__(self, *, server_side, refuses=False):
        self.facts, self.eof = None, False
        self._server_side, self._refuses = server_side, refuses
        self._in, self._out = b"", b"" if server_side else self.HELLO

    def feed(self, octets):
        if self.facts is not None:
            return bytes(octet ^ 0x55 for octet in octets)
        self._in += octets
        if not octets or not self.HELLO.startswith(self._in[: len(self.HELLO)]):
            raise TLSError("the handshake was cut off" if not octets else "the peer does not speak TLS here")
        if len(self._in) < len(self.HELLO):
            return b""
        if self._refuses:
            raise TLSError("the certificate does not verify")
        self._out += self.HELLO if self._server_side else b""
        self.facts = TLSFacts("TLSv1.3", "fake", True)
        return self.feed(self._in[len(self.HELLO) :])

    def write(self, octets):
        self._out += bytes(octet ^ 0x55 for octet in octets)

    def data_to_send(self):
        octets, self._out = self._out, b""
        return octets

    def close(self):
        pass


class ByHand(Driver):
    """In ServerDriver's place: a bare ServerConnection, of which each event is decided, DATA and pieces as well.

    An answer may also be ("close", Reply): say that and go, in the middle of whatever is under way.
    """

    NAMES = {
        Connect: "on_connect",
        **dict.fromkeys((c.Ehlo, c.Helo, c.Lhlo), "on_hello"),
        c.StartTLS: "on_starttls",
        c.Mail: "on_mail",
        c.Rcpt: "on_rcpt",
        c.Data: "on_data",
        **dict.fromkeys((VerifyPassword, FetchSecret, VerifyToken), "on_login"),
    }
    replies = None

    def __init__(self, core, make_tls):
        super().__init__(core, make_tls)
        self.core = core
        self.next = self._dialogue().send

    def timed_out(self, *, flushed=True):
        self.core.close(Reply(421, "idle", "4.4.2"))

    def lost(self, error, *, flushed=True):
        self.receive(b"")

    def _dialogue(self):
        core, pieces = self.core, []
        while True:
            event = core.next_event()
            if event is NEED_DATA:
                yield READ
            elif event is PAUSED:
                yield from self._handshake(clear=core.data_to_send())
                if core.tls is None:
                    core.close()
            elif isinstance(event, ConnectionClosed):
                break
            elif isinstance(event, BodyChunk):
                pieces.append(event.data)
                if event.last:
                    self._decide((yield Call("on_message", Message(core.envelope, b"".join(pieces)))))
                    pieces = []
                else:
                    self._decide((yield Call("on_piece")))
            elif isinstance(event, (BodyRefused, c.Mail)):
                pieces = []
            if core.unanswered is not None:
                self._decide((yield Call(self.NAMES.get(type(event), "on_command"), event)))
        while True:
            yield CLOSE

    def _decide(self, answer):
        core = self.core
        if isinstance(answer, tuple):
            core.close(answer[1])
        elif isinstance(answer, list):
            core.answer(answer)
        elif isinstance(answer, Reply) and answer.code >= 400:
            core.reject(answer)
        elif isinstance(core.unanswered, (VerifyPassword, FetchSecret, VerifyToken)):
            core.supply(answer)
        elif core.unanswered is not None:
            core.accept(answer)


class Way:
    """One direction: what the sender's side keeps back, what is under way, and how much of it will arrive."""

    def __init__(self, capacity):
        self.capacity = capacity
        self.held, self.flight = bytearray(), bytearray()
        self.carried = 0
        self.cut = None  # octets after which the line breaks
        self.is_open, self.stuck, self.ends = True, False, False

    def send(self, octets):
        if self.is_open:
            self.held += octets
            self._move()

    def take(self, size):
        if self.cut is not None:
            size = min(size, self.cut - self.carried)
        piece = bytes(self.flight[:size])
        del self.flight[:size]
        self.carried += len(piece)
        self._move()
        return piece

    def shut(self):
        self.is_open = False
        self.held.clear()
        self.flight.clear()

    @property
    def breaks_now(self):
        return self.is_open and not self.stuck and self.carried == self.cut

    def _move(self):
        room = max(self.capacity - len(self.flight), 0)
        self.flight += self.held[:room]
        del self.held[:room]


class Line:
    """Both ends and the line.

    Args:
        config: of the server.
        decide: callable(hook, argument) that gives the server's answers; None accepts.
        by_hand: whether each event of the server is decided, by ByHand.
        client_tls, server_tls: what makes TLS.
        implicit: whether TLS begins at once.
        sizes: octets that arrive at a time, over and over.
        schedule: who moves next, over and over: 0 the client, 1 the server, 2 octets up, 3 octets down.
        delays: steps that the server's decisions take, over and over.
        capacity: octets that may be under way in each direction.
        cut: (way, octets, kind): "close", "reset", "silence" or "half"; after so many octets of "up" or "down".
        impatient: who gives up first when nothing comes: "client" or "server".
        delivers: whether what was under way when the client gave up still arrives.
        resets: whether the server's end closes as TCP does when octets are unread: what it said last is lost.
    """

    def __init__(
        self,
        config,
        decide=lambda name, argument: None,
        *,
        by_hand=False,
        client_tls=lambda: FakeTLS(server_side=False),
        server_tls=lambda: FakeTLS(server_side=True),
        implicit=False,
        hooks=HOOKS,
        sizes=(65536,),
        schedule=(0, 1, 2, 3),
        delays=(0,),
        capacity=65536,
        cut=None,
        impatient="client",
        delivers=True,
        resets=False,
    ):
        self.up, self.down = Way(capacity), Way(capacity)
        self.accepted = []  # (message, recipients) for whom the server's application has taken responsibility
        self.groups = []  # what the client gave to be written, each time
        self.steps = self.resets = 0
        self.logged_in_as = None
        self.fault = None
        self.unsent = 0  # octets that had not left the client when a call failed
        self.out_of_step = False  # whether it failed in the middle of something, on a line that still stood
        self.said = [Transcript(), Transcript()]  # as the client has it, and as the server
        core = ServerConnection(config, transcript=self.said[1])
        self.server = (
            ByHand(core, server_tls)
            if by_hand
            else ServerDriver(core, SessionFacts(), hooks, make_tls=server_tls, implicit_tls=implicit)
        )
        client = ClientConnection(ClientConfig(lmtp=config.lmtp), transcript=self.said[0])
        self.client = ClientDriver(client, make_tls=client_tls, implicit_tls=implicit)
        self.is_wide = min(*sizes, capacity) >= 40  # fit for large messages
        self._limit = config.limits.unread
        self._decide = decide
        self._sizes, self._schedule, self._delays = cycle(sizes), cycle(schedule), cycle(delays)
        self._impatient, self._delivers, self._tcp_resets = impatient, delivers, resets
        self._need = SimpleNamespace(client=DONE, server=None)
        self._fed = SimpleNamespace(client=False, server=True)
        self._answers = SimpleNamespace(client=None, server=None)
        self._delay = 0
        self._eof_told = False
        self.break_at(cut)
        self._server_moves()  # before anything comes

    def break_at(self, cut):
        """Break after so many octets from now on; None for never."""
        if cut is not None:
            name, octets, self.fault = cut
            way = getattr(self, name)
            way.cut = way.carried + octets

    # What a test does

    def run(self, exchange, sending=None):
        """What an exchange of the client gives; raises what it raises."""
        self.client.start(exchange, sending.held if sending is not None else None)
        self._sending = sending
        self._need.client, self._answers.client = None, None
        bound = self.steps + STEPS
        try:
            while self._need.client is not DONE:
                self._step(bound)
        except BaseException as error:
            self.unsent = len(self.up.held)
            # As the adapters do: what is out of step carries nothing any more.
            self.out_of_step = not (self.client.broken or self.client.core.idle)
            if self.client.broken or not isinstance(error, SMTPError) or self.out_of_step:
                self.hang_up()
            raise
        if self.client.broken:
            self.hang_up()
        return self.client.result

    def settle(self):
        """Let the server come to rest."""
        self._need.client = DONE
        bound = self.steps + STEPS
        while self._server_moves() or self._up_moves() or self._down_moves():
            self.steps += 1
            assert self.steps < bound, "no end"
        assert self.server.core.unanswered is None

    def hang_up(self):
        """Close the client's end; what was under way may still arrive."""
        self.up.held.clear()
        if not self._delivers or self.up.stuck:
            self.up.shut()
        self.settle()
        self.up.shut()
        self.down.shut()
        self.server.lost(None)
        self._fed.server = True
        self.settle()
        assert self._need.server is CLOSE

    def end_server(self, reply):
        """The server says goodbye, whatever is under way."""
        self.server.core.close(reply)
        self._fed.server = True
        self.settle()

    @property
    def over(self):
        """Whether the line carries nothing any more."""
        ways = (self.up, self.down)
        return self.client.broken or self._need.server is CLOSE or any(not way.is_open or way.stuck for way in ways)

    # Steps: each returns whether anything moved

    def _step(self, bound):
        self.steps += 1
        assert self.steps < bound, "no end"
        for name in ("up", "down"):
            if getattr(self, name).breaks_now:
                return self._break(name)
        first = next(self._schedule)
        moves = (self._client_moves, self._server_moves, self._up_moves, self._down_moves)
        return any(moves[(first + turn) % 4]() for turn in range(4)) or self._time_passes()

    def _client_moves(self):
        need = self._need.client
        if need is DONE or (need is READ and not self._fed.client):
            return False
        if need is WRITE and self.up.held and not self._fed.client:
            return False
        self._fed.client = False
        answer, self._answers.client = self._answers.client, None
        need = self._need.client = self.client.next(answer)
        if need is CHUNK:
            sending = self._sending
            self._answers.client = sending.read() if sending.file is not None else next(sending.source, None)
        elif type(need) is Call:
            self._answers.client = need.function()
        elif need is not DONE:
            octets = self.client.take()
            if octets:
                self.groups.append(octets)
                self.up.send(octets)
                assert len(self.up.held) < CLIENT_HOLDS, "the client piles octets up"
        return True

    def _server_moves(self):
        need = self._need.server
        if need is CLOSE or (need is READ and not self._fed.server) or (need is WRITE and self.down.held):
            return False
        if self._delay:
            self._delay -= 1
            return True
        self._fed.server = False
        answer, self._answers.server = self._answers.server, None
        need = self._need.server = self.server.next(answer)
        if type(need) is Call:
            self._answers.server = self._answer(need.name, need.argument)
            self._delay = next(self._delays)
            return True
        self.down.send(self.server.take())
        assert len(self.down.held) < SERVER_HOLDS, "the server piles replies up"
        if need is CLOSE:
            self.down.ends = True
            if self._tcp_resets and (self.up.flight or self.up.held or self.server.unread):
                self.down.shut()
                self._client_loses(ConnectionResetError(104, "Connection reset by peer"))
            self.up.is_open = False
            self.up.flight.clear()
        return True

    def _up_moves(self):
        if self._need.server is CLOSE or self.up.stuck or not self.up.flight:
            return False
        if self.down.held or self.server.unread >= self._limit:
            return False  # a server whose peer does not read stops reading
        piece = self.up.take(next(self._sizes))
        if piece:
            self.server.receive(piece)
            self._fed.server = True
        assert self.server.unread < self._limit + self.up.capacity
        return bool(piece)

    def _down_moves(self):
        down = self.down
        if down.stuck:
            return False
        if down.flight:
            piece = down.take(next(self._sizes))
            if piece:
                self.client.receive(piece)
                self._fed.client = True
                assert self.client.unread < SERVER_HOLDS + down.capacity
            return bool(piece)
        if down.ends and not self._eof_told:
            self._eof_told = True
            self._client_ends()
            return True
        return False

    # The server's application

    def _answer(self, name, argument):
        answer = self._decide(name, argument)
        if name == "on_reset":
            self.resets += 1
        elif name == "on_login" and answer is None:
            answer = PASSWORD if isinstance(argument, FetchSecret) else _is_right(argument)
        if name == "on_message" and not isinstance(answer, tuple):
            recipients = [str(each) for each in argument.envelope.recipients]
            replies = answer if isinstance(answer, list) else [answer] * len(recipients)
            took = [
                address
                for address, reply in zip(recipients, replies, strict=True)
                if reply is None or reply.is_positive
            ]
            self.accepted.append((argument, took)) if took else None
        return answer if isinstance(answer, tuple) else checked(name, answer, self.server.replies)

    # Faults

    def _break(self, name):
        way, kind = getattr(self, name), self.fault
        if kind == "silence":
            way.stuck = True
            return True
        if kind == "half":
            way.shut()
            if way is self.up:
                self.server.receive(b"")
            else:
                self._eof_told = True
                self._client_ends()
        else:
            error = ConnectionResetError(104, "Connection reset by peer") if kind == "reset" else None
            self.down.shut()
            if error is None:
                self.server.receive(b"")
                self._client_ends()
            else:
                self.server.lost(error)
                self._client_loses(error)
            self.up.is_open = False
            self.up.flight.clear()
        self._fed.server = True
        return True

    def _client_loses(self, error):
        self.client.lost(error, flushed=not self.up.held)
        self._fed.client = True

    def _client_ends(self):
        if self.up.held:
            self.client.lost(None, flushed=False)
        self.client.receive(b"")
        self._fed.client = True

    def _time_passes(self):
        # Nothing moves: that may be only where octets are on their way for ever.
        assert self.up.stuck or self.down.stuck or not (self.up.is_open and self.down.is_open), "deadlock"
        if self._impatient == "server" and self._need.server in (READ, WRITE):
            self._impatient = "client"
            self.server.timed_out()
            self._need.server, self._fed.server = READ, True
        else:
            self.client.timed_out(flushed=not self.up.held)
            self._need.client, self._fed.client = READ, True
        return True


def _is_right(question):
    return question.password == PASSWORD if isinstance(question, VerifyPassword) else question.token == TOKEN


class Plan:
    """The server's decisions in the order in which they are asked for, by hook; None, or no more of them, accepts."""

    def __init__(self, **answers):
        self._answers = {name: deque(each) for name, each in answers.items()}

    def __call__(self, name, argument):
        answers = self._answers.get(name)
        return answers.popleft() if answers else None
