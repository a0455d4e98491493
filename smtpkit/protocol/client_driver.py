"""The client's dialogue: an exchange's wants to commands, replies and needs."""

from smtpkit.errors import ConnectionLost, LocalProtocolError, RemoteProtocolError, SMTPError, Timeout, TLSError
from smtpkit.protocol.driver import Driver
from smtpkit.protocol.events import NEED_DATA, ConnectionClosed, Transport
from smtpkit.protocol.needs import CHUNK, DONE, NEXT_CHUNK, READ, REWIND, UPGRADE, WRITE, Call
from smtpkit.protocol.outgoing import PIECE
from smtpkit.protocol.states import END_OF_DATA, State
from smtpkit.protocol.timeouts import STANDARD_TIMEOUTS
from smtpkit.wire.commands import Quit

__all__ = ["ClientDriver"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.driver import MakeTLS, Needs
    from smtpkit.protocol.needs import Need
    from smtpkit.protocol.timeouts import Timeouts
    from smtpkit.wire.replies import Reply

    Exchange = Generator[Any, Any, Any]
    Loss = tuple[type[ConnectionLost | Timeout], str, OSError | None, bool]
    Steps = Generator[Need | Call, Any, Any]


_IN_DATA = State.DATA


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
        round_trips: how often commands or content were sent and their replies waited for.
    """

    def __init__(
        self,
        core: "ClientConnection",
        *,
        make_tls: "MakeTLS | None" = None,
        implicit_tls: bool = False,
        timeouts: "Timeouts | None" = None,
    ) -> None:
        super().__init__(core, make_tls)
        self.core = core
        self.result: Any = None
        self.round_trips = 0
        self._timeouts = timeouts or STANDARD_TIMEOUTS
        self._implicit = implicit_tls
        self._loss: Loss | None = None
        self._replies: list[Reply] = []  # to the group under way
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
    def timeout(self) -> float:  # type: ignore[override]  # nobody sets it
        """Seconds that the present wait may last."""
        tls = self._tls
        if tls is not None and tls.facts is None:
            return self._timeouts["TLS handshake"]
        return self._timeouts[self.core.waiting_for]

    @property
    def broken(self) -> bool:
        """True if the connection cannot carry another exchange."""
        core = self.core
        fallen = self._loss is not None or self.failure is not None
        return fallen or core.closing is not None or core.transport is not Transport.READ  # as when it is closed

    @property
    def alive(self) -> bool:
        """Whether the connection can carry another exchange, and nothing has come unasked."""
        return not self.broken and self.core.quiet

    def take_leave(self) -> None:
        """Queue QUIT where it may be said; its answer is not waited for."""
        if self.alive:
            self.core.send(Quit())

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another message, as far as what was received tells."""
        core = self.core
        return self.alive and not core.use.exhausted(core.capabilities.limits)

    @property
    def _stage(self) -> str:
        return "TLS handshake" if self._tls is not None and self._tls.facts is None else self.core.waiting_for

    def timed_out(self, *, flushed: bool = True) -> None:
        """The wait has lasted too long; `flushed` as for `lost()`."""
        self._loss = self._loss or (Timeout, "the server did not answer in time", None, flushed)

    def lost(self, error: "OSError | None", *, flushed: bool = True) -> None:
        """The transport is gone.

        Args:
            error: why, or None at a plain end of the stream.
            flushed: False if not all that `take()` gave had been handed to the transport.
        """
        reason = f"the connection was lost: {error.strerror or error}" if error else "the server closed the connection"
        self._loss = self._loss or (ConnectionLost, reason, error, flushed)

    # Inside

    def _run(self, exchange: "Exchange", body: bytes | None) -> "Steps":
        position = 0
        step: Any = exchange.send
        value: Any = None
        try:
            yield from self._begun()
        except SMTPError as error:
            step, value = exchange.throw, self._noted(error)
        while True:
            try:
                want = step(value)
            except StopIteration as end:
                self.result = end.value
                return
            step, value = exchange.send, None
            try:
                if type(want) is tuple:
                    value = yield from self._answered(want)
                elif want is NEXT_CHUNK:
                    if body is None:
                        value = yield CHUNK
                    elif position < len(body):
                        value = body if len(body) <= PIECE else body[position : position + PIECE]
                        position += PIECE
                elif want is REWIND:
                    position = 0
                elif want is UPGRADE:
                    yield from self._secured()
                elif type(want) is Call:
                    value = yield want
                else:
                    self._replies = []
                    self.waits += 1
                    value = yield from self._expected(want.replies)
            except SMTPError as error:
                step, value = exchange.throw, self._noted(error)

    def _begun(self) -> "Steps":
        core = self.core
        if self._implicit:
            self._implicit = False
            yield from self._secured()
        elif core.state is not State.GREETING:
            # What the server said unasked would be taken for its answer to the next command.
            self.waits += 1
            yield WRITE
            try:
                self._said("command")
            except RemoteProtocolError as error:
                error.may_retry = True  # nothing was sent
                raise

    def _secured(self) -> "Steps":
        for need in self._handshake():
            yield need
            if self._loss is not None:
                break
        if self.failure is not None or self._loss is not None:
            raise self._fallen()

    def _answered(self, items: "tuple[Any, ...]") -> "Steps":
        # Send a group of commands, or content; all replies that are owed then.
        core = self.core
        self._taken = False
        if core.state is _IN_DATA and not core.owed and (early := self._said("body")):
            return early  # while the user's body was asked for, the server has given up
        replies = self._replies = []
        core.send(*items)
        self.waits += 1
        if core.owed:
            self.round_trips += 1
            if core.silent and self._loss is None:
                yield READ
                if core.take_replies(replies) is None:  # all at once, as mostly
                    self.waits += len(replies)
                    return replies
        return (yield from self._answers())

    def _expected(self, replies: int) -> "Steps":
        # Whatever else came would be the answer to the next command.
        if replies != (owed := self.core.owed):
            raise LocalProtocolError("so many replies are not due", expected=str(owed), received=str(replies))
        return (yield from self._answers())

    def _answers(self) -> "Steps":
        # All replies that are owed.  In the middle of content nothing is owed, but a server may give up.
        core = self.core
        if not core.owed:
            yield WRITE
            return self._said("body")
        replies = self._replies
        came = 0
        if not replies and core.silent and self._loss is None:
            yield READ
        while (missing := core.take_replies(replies)) is not None:
            if missing is NEED_DATA and self._loss is None:
                self.waits += len(replies) - came
                came = len(replies)
                yield READ
            elif self._took_leave:
                replies += [replies[-1]] * core.owed
                break
            else:
                raise self._fallen()
        self.waits += len(replies) - came
        return replies

    @property
    def _took_leave(self) -> bool:
        # What a server says last before it goes, 421, answers all that it leaves unanswered (RFC 5321 section 3.8);
        # but where LMTP answers for each recipient, only for one of them.
        core, loss = self.core, self._loss
        last = self._replies[-1] if self._replies else None
        if last is None or last is not core.closing or last.code != 421 or self.failure is not None:
            return False
        return (loss is None or loss[0] is ConnectionLost) and not (core.lmtp and core.waiting_for == END_OF_DATA)

    def _said(self, stage: str) -> "list[Reply]":
        self._replies = []
        if self.core.silent and self._loss is None:
            return []
        event = self.core.next_event()
        if event is NEED_DATA:
            if self._loss is not None:
                raise self._fallen()
            return []
        if isinstance(event, ConnectionClosed):
            raise self._fallen(stage)
        return [event]

    def _fallen(self, stage: str = "") -> "ConnectionLost | Timeout | TLSError":
        # Made when what had come is used up: only then is it known which reply is missing.
        if self.failure is not None:
            return self.failure
        self.lost(None)
        assert self._loss is not None
        kind, reason, cause, flushed = self._loss
        if self.core.closing is not None:
            reason += f", after it said {self.core.closing}"
        error = kind(reason, stage=stage or self._stage)
        error.__cause__ = cause
        error.flushed = flushed
        return error

    def _noted(self, error: SMTPError) -> SMTPError:
        # What the exchange must know for its verdict: which replies had come, and whether all had left.
        if isinstance(error, (ConnectionLost, RemoteProtocolError, Timeout, TLSError)):
            error.replies = tuple(self._replies)
            error.flushed = error.flushed and self._taken
        if not self._taken:
            self.core.data_to_send()  # nothing leaves after the verdict
        return error
