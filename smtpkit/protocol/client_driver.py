"""The client's dialogue: an exchange's wants to commands, replies and needs."""

from smtpkit.errors import ConnectionLost, SMTPError, Timeout, TLSError
from smtpkit.protocol.driver import Driver
from smtpkit.protocol.events import NEED_DATA, ConnectionClosed
from smtpkit.protocol.needs import CHUNK, DONE, NEXT_CHUNK, READ, UPGRADE, WRITE, Call
from smtpkit.protocol.timeouts import Timeouts

__all__ = ["ClientDriver"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.driver import MakeTLS, Needs
    from smtpkit.protocol.needs import Need
    from smtpkit.wire.replies import Reply

    Exchange = Generator[Any, Any, Any]

_PIECE = 64 * 1024  # octets of a body in memory that leave at a time


class ClientDriver(Driver):
    """Runs exchanges on one client connection; see Driver for how an adapter uses it.

    Begin with `start(exchange)`; when `next()` gives DONE, `result` is what the exchange returned.  `next()`
    raises what the exchange raises, but after `lost()` and `timed_out()` only once what had come is used up.

    Args:
        core: the connection.
        make_tls: makes the client's side of TLS, or None.
        implicit_tls: whether TLS begins with the first octet.
        timeouts: seconds for each wait.

    Attributes:
        result: of the last exchange.
    """

    def __init__(
        self,
        core: "ClientConnection",
        *,
        make_tls: "MakeTLS | None" = None,
        implicit_tls: bool = False,
        timeouts: Timeouts | None = None,
    ) -> None:
        super().__init__(core, make_tls)
        self.core = core
        self.result: Any = None
        self._timeouts = timeouts or Timeouts()
        self._implicit = implicit_tls
        self._body = b""
        self._loss: ConnectionLost | Timeout | None = None
        self._replies: list[Reply] = []
        self._needs: Needs | None = None

    def start(self, exchange: "Exchange", body: bytes | None = None) -> None:
        """Begin an exchange.

        Args:
            exchange: one of `smtpkit.protocol`.
            body: the content where it is held in memory; for None, CHUNK asks the adapter for it.
        """
        self.result = None
        self._needs = self._run(exchange, body)

    def next(self, answer: "Any" = None) -> "Need | Call":
        """The next need; `answer` is what the last one asked for."""
        assert self._needs is not None
        try:
            return self._needs.send(answer)
        except StopIteration:
            return DONE

    @property
    def timeout(self) -> float:
        """Seconds that the present wait may last."""
        return self._timeouts[self._stage]

    may_be_woken = False  # nobody but its user ends a client's session

    def shut_down(self) -> bool:
        """For servers alone."""
        return False

    @property
    def broken(self) -> bool:
        """True if the connection cannot carry another exchange."""
        core = self.core
        return self._loss is not None or self.failure is not None or core.closed or core.closing is not None

    @property
    def _stage(self) -> str:
        return "TLS handshake" if self._tls is not None and self._tls.facts is None else self.core.waiting_for

    def timed_out(self) -> None:
        """The wait has lasted too long."""
        self._loss = Timeout("the server did not answer in time", stage=self._stage)

    def lost(self, error: "OSError | None", *, flushed: bool = True) -> None:
        """The transport is gone.

        Args:
            error: why, or None at a plain end of the stream.
            flushed: False if not all that `take()` gave had been handed to the transport.
        """
        if self._loss is None:
            reason = (
                f"the connection was lost: {error.strerror or error}" if error else "the server closed the connection"
            )
            if self.core.closing is not None:
                reason += f", after it said {self.core.closing}"
            self._loss = ConnectionLost(reason, stage=self._stage)
            self._loss.__cause__ = error
            self._loss.flushed = flushed

    # Inside

    def _run(self, exchange: "Exchange", body: bytes | None) -> "Needs":
        core = self.core
        position = 0
        step: Any = exchange.send
        value: Any = None
        if self._implicit:
            self._implicit = False
            try:
                yield from self._handshake()
                self._check_handshake()
            except SMTPError as error:
                step, value = exchange.throw, error
        while True:
            try:
                want = step(value)
            except StopIteration as end:
                self.result = end.value
                return
            step, value = exchange.send, None
            try:
                if type(want) is tuple:
                    for item in want:
                        core.send(item)
                    value = yield from self._answers() if core.owed else self._early()
                elif want is NEXT_CHUNK:
                    if body is None:
                        value = yield CHUNK
                    elif position < len(body):
                        value = body if len(body) <= _PIECE else body[position : position + _PIECE]
                        position += _PIECE
                elif want is UPGRADE:
                    yield from self._handshake()
                    self._check_handshake()
                elif type(want) is Call:
                    value = yield want
                else:
                    value = yield from self._answers()
            except SMTPError as error:
                step, value = exchange.throw, error

    def _answers(self) -> "Generator[Need | Call, Any, list[Reply]]":
        # All replies that are owed.
        core = self.core
        replies = self._replies = []
        self.waits += 1
        while core.owed:
            event = core.next_event()
            if event is NEED_DATA:
                if self._loss is not None:
                    raise self._fallen()
                yield READ
            elif isinstance(event, ConnectionClosed):
                self.lost(None)
                raise self._fallen()
            else:
                self.waits += 1
                replies.append(event)
        return replies

    def _early(self) -> "Generator[Need | Call, Any, list[Reply]]":
        # In the middle of content nothing is owed, but a server may give up.
        self.waits += 1
        yield WRITE
        event = self.core.next_event()
        if event is NEED_DATA:
            if self._loss is not None:
                raise self._fallen()
            return []
        if isinstance(event, ConnectionClosed):
            self.lost(None)
            raise self._fallen()
        return [event]

    def _fallen(self) -> "ConnectionLost | Timeout | TLSError":
        if self.failure is not None:
            return self.failure
        assert self._loss is not None
        self._loss.replies = tuple(self._replies)
        return self._loss

    def _check_handshake(self) -> None:
        if self.failure is not None:
            raise self.failure
        if self._loss is not None:
            raise self._fallen()
