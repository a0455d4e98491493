"""A proxy between an SMTP client and a server that does one harm to a session, at a step that can be named."""

import contextlib
import select
import socket
import struct
import threading
import time
from collections import deque
from typing import NamedTuple, Self

__all__ = ["KINDS", "SIDES", "STEPS", "Fault", "FaultProxy", "unknown_allowed", "waits"]

STEPS = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "body", "end of data", "QUIT")
SIDES = ("command", "reply")  # instead of passing the client's octets on, or instead of passing the server's reply
KINDS = {
    "cut": "both ends are closed",
    "reset": "both ends are reset",
    "half-close": "that octets were the last ones in their direction; the other one goes on",
    "stall": "nothing is passed on any more, and nothing closed",
    "421": "the client is told 421, and both ends are closed; for replies to what was stored that would be a lie",
    "delay": "it takes 30 ms longer",
}

# Step: the client's waits that end there.  In a group, whichever reply comes first is what it waits for.
_GROUP = ("mail", "rcpt", "data", "body", "end_of_data")
_WAITS = {
    "greeting": ("greeting",),
    "EHLO": ("hello",),
    "MAIL": _GROUP,
    "RCPT": _GROUP,
    "DATA": _GROUP,
    "BDAT": _GROUP,
    "body": ("body", "end_of_data"),
    "end of data": ("end_of_data",),
    "QUIT": ("quit",),
}
_RESET = struct.pack("ii", 1, 0)
_PIECE = 700  # octets of the content that pass before a fault in the middle of it
_DELAY = 0.03


class Fault(NamedTuple):
    """What is done to a session.

    Attributes:
        kind: of KINDS.
        step: of STEPS, or "BDAT".
        side: of SIDES; there is no reply in the middle of the content, and nothing comes before the greeting.
    """

    kind: str
    step: str
    side: str


def unknown_allowed(fault: Fault, *, bdat: bool) -> bool:
    """Whether a client may not know what became of its message: when its last octet may have left.

    With BDAT and PIPELINING, the content leaves together with MAIL; and behind a 354 it leaves whatever follows that.
    """
    if bdat:
        return fault.step in ("MAIL", "RCPT", "BDAT")
    return fault.step == "end of data" or fault[:2] == ("half-close", "DATA")


def waits(fault: Fault | None, short: float, long: float) -> dict[str, float]:
    """The arguments of `smtpkit.Timeouts` with which a client waits long, and short only for what does not come."""
    if fault is None or fault.kind not in ("stall", "half-close"):
        return {"every": long}
    return {"every": long, **dict.fromkeys(_WAITS[fault.step], short)}


class FaultProxy:
    """Listens on loopback, and passes each connection on to the server; entered with `with`.

    Args:
        target: (host, port) of the server.
        fault: what is done, to the first `times` connections; None passes everything on.
        single: whether every octet is passed on by itself.
        times: how many connections meet the fault.

    Attributes:
        address: (host, port) where it listens.
        sessions: how many connections there were.
    """

    def __init__(self, target: tuple[str, int], fault: Fault | None, *, single: bool = False, times: int = 1) -> None:
        self._target = target
        self._fault = fault
        self._single = single
        self._times = times
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._ended = threading.Event()
        self.address: tuple[str, int] = self._listening.getsockname()[:2]
        self.sessions = 0

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listening.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, function: object, *arguments: object) -> None:
        thread = threading.Thread(target=function, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.sessions += 1
                fault = self._fault if self.sessions <= self._times else None
                self._start(self._pass_on, client, fault)

    def _pass_on(self, client: socket.socket, fault: Fault | None) -> None:
        try:
            server = socket.create_connection(self._target, 20)
        except OSError:
            client.close()
            return
        with client, server, contextlib.suppress(OSError):
            _Session(client, server, fault, self._single, self._ended).run()


class _Done(OSError):
    """The session is over."""


class _Session:
    """One connection; it follows the dialogue as far as its steps go."""

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        fault: Fault | None,
        single: bool,
        ended: threading.Event,
    ) -> None:
        self._client = client
        self._server = server
        self._fault = fault
        self._single = single
        self._ended = ended
        self._unanswered = deque(["greeting"])  # the steps whose replies are still to come
        self._said = bytearray()  # by the server, without an end of a reply
        self._asked = bytearray()  # by the client, without an end of a line
        self._content = False  # DATA's content is on its way
        self._tail = b"\r\n"  # its last octets
        self._chunk = 0  # octets of BDAT that are to come
        self._passed = 0  # octets of the content
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        """Pass octets on until one side ends, and the other one has had what came before."""
        if self._fault == ("421", "greeting", "command") or self._meets("greeting", "command"):
            self._harm("greeting", "command", b"")
        while not self._ended.is_set():
            ready, _, _ = select.select([self._client, self._server], [], [], 0.05)
            if self._server in ready:
                self._from_server(self._server.recv(65536))
            if self._client in ready:
                self._from_client(self._client.recv(65536))

    def _from_server(self, octets: bytes) -> None:
        if not octets:
            raise _Done
        self._said += octets
        while (reply := _first_reply(self._said)) is not None:
            del self._said[: len(reply)]
            step = self._unanswered.popleft() if self._unanswered else "none"
            self._content = step == "DATA" and reply.startswith(b"354")
            self._forward(step, "reply", reply)

    def _from_client(self, octets: bytes) -> None:
        if not octets:
            raise _Done
        self._asked += octets
        while self._asked:
            if self._content:
                self._pass_content()
            elif self._chunk:
                self._pass_chunk()
            elif b"\n" in self._asked:
                self._pass_line()
            else:
                return

    def _pass_line(self) -> None:
        line = bytes(self._asked[: self._asked.index(b"\n") + 1])
        del self._asked[: len(line)]
        words = line.upper().split() or [b""]
        step = words[0].decode(errors="replace")
        step = {"LHLO": "EHLO", "HELO": "EHLO"}.get(step, step)
        if step == "BDAT":
            self._chunk = int(words[1])
        self._unanswered.append(step)
        self._forward(step, "command", line)

    def _pass_chunk(self) -> None:
        piece = bytes(self._asked[: self._chunk])
        del self._asked[: len(piece)]
        self._chunk -= len(piece)
        self._send(self._server, piece)

    def _pass_content(self) -> None:
        octets = self._tail + bytes(self._asked)
        end = octets.find(b"\r\n.\r\n")
        if end < 0:
            piece = bytes(self._asked)
            self._asked.clear()
        else:
            piece = octets[len(self._tail) : end + 5]
            del self._asked[: len(piece)]
        self._tail = (self._tail + piece)[-4:]
        if self._meets("body", "command") and self._passed + len(piece) > _PIECE:
            self._send(self._server, piece[: max(0, _PIECE - self._passed)])
            self._harm("body", "command", piece[max(0, _PIECE - self._passed) :])
        elif end >= 0 and self._meets("end of data", "command"):
            self._send(self._server, piece[:-3])
            self._unanswered.append("end of data")
            self._harm("end of data", "command", piece[-3:])
        else:
            if end >= 0:
                self._unanswered.append("end of data")
            self._send(self._server, piece)
        self._passed += len(piece)
        if end >= 0:
            self._content, self._tail = False, b"\r\n"

    def _forward(self, step: str, side: str, octets: bytes) -> None:
        if self._meets(step, side):
            self._harm(step, side, octets)
        else:
            self._send(self._server if side == "command" else self._client, octets)

    def _meets(self, step: str, side: str) -> bool:
        return self._fault is not None and self._fault[1:] == (step, side)

    def _harm(self, step: str, side: str, octets: bytes) -> None:
        assert self._fault is not None
        kind, self._fault = self._fault.kind, None
        there = self._server if side == "command" else self._client
        if kind == "421":
            self._client.sendall(b"421 4.3.2 mx.example is going down\r\n")
        if kind == "delay":
            time.sleep(_DELAY)
        if kind in ("delay", "half-close"):
            self._send(there, octets)
        if kind == "half-close":
            there.shutdown(socket.SHUT_WR)
            self._one_way(there)
        if kind == "stall":
            self._ended.wait(10)
        if kind == "reset":
            for each in (self._client, self._server):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if kind != "delay":
            raise _Done

    def _one_way(self, closed: socket.socket) -> None:
        # What comes from the end whose direction is closed still goes to the other one.
        other = self._server if closed is self._client else self._client
        if self._asked and other is self._server:
            self._send(other, bytes(self._asked))
        while not self._ended.is_set():
            ready, _, _ = select.select([closed], [], [], 0.05)
            if ready:
                octets = closed.recv(65536)
                if not octets:
                    return
                self._send(other, octets)

    def _send(self, where: socket.socket, octets: bytes) -> None:
        if not self._single:
            where.sendall(octets)
            return
        for octet in octets:
            where.sendall(bytes((octet,)))


def _first_reply(octets: bytearray) -> bytes | None:
    # A whole reply of one line or many, or None; RFC 5321 section 4.2.1.
    end = 0
    while (newline := octets.find(b"\n", end)) >= 0:
        line, end = octets[end : newline + 1], newline + 1
        if line[3:4] != b"-":
            return bytes(octets[:end])
    return None
