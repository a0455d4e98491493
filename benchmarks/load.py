"""The load on a server: raw sockets, prepared octets, replies that are only counted."""

import select
import socket
import ssl
from time import perf_counter

from messages import RECIPIENT, SENDER

__all__ = ["Load", "Plan", "connect", "greeted", "idle_connections", "says_pipelining", "send_one"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Step = tuple[bytes, int]  # octets to send, lines to wait for

_EHLO = b"EHLO client.example\r\n"
_MAIL = f"MAIL FROM:<{SENDER}>\r\n".encode()
_RCPT = f"RCPT TO:<{RECIPIENT}>\r\n".encode()
_DATA = b"DATA\r\n"
_QUIT = b"QUIT\r\n"


class Plan:
    """What one connection says, over and over.

    Args:
        steps: of one message.
        first: what is said once before them.
        reconnect: whether each message gets a connection of its own.
    """

    def __init__(self, steps: "list[Step]", first: "list[Step] | None" = None, *, reconnect: bool = False) -> None:
        self.steps = steps
        self.first = first or []
        self.reconnect = reconnect

    @classmethod
    def lock_step(cls, body: bytes) -> "Plan":
        """Each command after the reply before it."""
        return cls([(_MAIL, 1), (_RCPT, 1), (_DATA, 1), (_stuffed(body), 1)])

    @classmethod
    def pipelined(cls, body: bytes) -> "Plan":
        """MAIL, RCPT and DATA in one segment; the body and the next three commands in the next."""
        commands = _MAIL + _RCPT + _DATA
        return cls([(_stuffed(body) + commands, 4)], [(commands, 3)])

    @staticmethod
    def prepared(recipients: list[str], body: bytes) -> tuple[list[bytes], bytes]:
        """The commands of a message, and its content as it goes over the wire."""
        return [_MAIL, *(f"RCPT TO:<{recipient}>\r\n".encode() for recipient in recipients), _DATA], _stuffed(body)

    @classmethod
    def per_connection(cls, body: bytes) -> "Plan":
        """One message, then QUIT."""
        return cls([*cls.lock_step(body).steps, (_QUIT, 1)], reconnect=True)


class Load:
    """Connections to one server, each of which follows the plan.

    Args:
        port: of the server on the loopback interface.
        plan: what is said.
        connections: how many at once.
    """

    def __init__(self, port: int, plan: Plan, connections: int) -> None:
        self._port = port
        self._plan = plan
        self._poll = select.epoll()
        self._hello = _lines_of_hello(port)
        self._connections = [_Connection(self) for _ in range(connections)]

    def run(self, seconds: float) -> int:
        """Keep all of them busy for so long; the number of messages that were accepted."""
        connections = {each.sock.fileno(): each for each in self._connections}
        poll, deadline = self._poll.poll, perf_counter() + seconds
        done = sum(each.messages for each in self._connections)
        while perf_counter() < deadline:
            for fileno, _ in poll(1):
                connection = connections[fileno]
                if connection.on_readable():
                    del connections[fileno]
                    connection.open()
                    connections[connection.sock.fileno()] = connection
        return sum(each.messages for each in self._connections) - done

    def close(self) -> None:
        """Cut all connections."""
        for each in self._connections:
            each.sock.close()
        self._poll.close()


class _Connection:
    def __init__(self, load: Load) -> None:
        self._load = load
        self.messages = 0
        self.open()

    def open(self) -> None:
        load = self._load
        self.sock = connect(load._port)
        load._poll.register(self.sock.fileno(), select.EPOLLIN)
        # The greeting is waited for, then EHLO, then the plan.
        self._steps: list[Step] = [(_EHLO, load._hello), *load._plan.first, *load._plan.steps]
        self._at = 0
        self._lines = 1

    def on_readable(self) -> bool:
        """Go on; whether the connection is over."""
        octets = self.sock.recv(65536)
        if not octets:
            raise ConnectionError("the server has closed the connection")
        if octets[:1] in b"45":
            raise ConnectionError(f"the server refused: {octets!r}")
        self._lines -= octets.count(b"\n")
        if self._lines > 0:
            return False
        if self._at == len(self._steps):
            self.messages += 1
            if self._load._plan.reconnect:
                self.sock.close()
                return True
            self._steps, self._at = self._load._plan.steps, 0
        octets, self._lines = self._steps[self._at]
        self._at += 1
        if len(octets) > 65536:
            self.sock.setblocking(True)
        self.sock.sendall(octets)
        return False


def connect(port: int) -> socket.socket:
    """A socket to the server, without Nagle's delay."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def idle_connections(port: int, count: int, *, tls: bool) -> list[socket.socket]:
    """Connections that have said EHLO and then stand idle."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    wrap: Callable[[socket.socket], socket.socket] = context.wrap_socket if tls else lambda sock: sock
    return [_after_hello(wrap(connect(port))) for _ in range(count)]


def greeted(port: int) -> socket.socket:
    """A connection that has said EHLO."""
    return _after_hello(connect(port))


def says_pipelining(sock: socket.socket) -> bool:
    """Whether the server offers PIPELINING."""
    sock.sendall(_EHLO)
    return b"PIPELINING" in _read_hello(sock)


def send_one(port: int, body: bytes, times: int = 1) -> None:
    """Send a message, whose body is repeated, in pieces."""
    with greeted(port) as sock:
        for command in (_MAIL, _RCPT, _DATA):
            sock.sendall(command)
            sock.recv(65536)
        for _ in range(times):
            sock.sendall(body)
        sock.sendall(b".\r\n")
        reply = sock.recv(65536)
        if reply[:1] != b"2":
            raise ConnectionError(f"the server refused: {reply!r}")


def _after_hello(sock: socket.socket) -> socket.socket:
    while not sock.recv(65536).endswith(b"\n"):
        pass
    sock.sendall(_EHLO)
    _read_hello(sock)
    return sock


def _read_hello(sock: socket.socket) -> bytes:
    octets = b""
    while b"\n250 " not in b"\n" + octets or not octets.endswith(b"\n"):
        octets += sock.recv(65536)
    return octets


def _lines_of_hello(port: int) -> int:
    with connect(port) as sock:
        while not sock.recv(65536).endswith(b"\n"):
            pass
        sock.sendall(_EHLO)
        return _read_hello(sock).count(b"\n")


def _stuffed(body: bytes) -> bytes:
    return body.replace(b"\r\n.", b"\r\n..") + b".\r\n"
