"""What the drivers of both roles share: octets through TLS into a connection and back, one need at a time."""

from smtpkit.errors import TLSError
from smtpkit.protocol.needs import READ

__all__ = ["Driver"]

_SHORTEST = 0.001  # seconds; a time-out of 0 means no waiting at all to a socket
_UNREAD = 128 * 1024  # octets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.needs import Call, Need
    from smtpkit.protocol.server import ServerConnection
    from smtpkit.tls import TLS

    MakeTLS = Callable[[], TLS]
    Needs = Generator[Need | Call, Any, Any]


class Driver:
    """Runs a connection for an adapter, which only moves octets, waits, and calls the user's code.

    The adapter hands in what it reads with `receive()`, b"" at the end of the stream, and asks `next()`:

    | need  | what the adapter does                                                             |
    |-------|-----------------------------------------------------------------------------------|
    | READ  | write what `take()` gives, wait until octets have come, then ask again            |
    | WRITE | write what `take()` gives, take in what has come without waiting, then ask again  |
    | Call  | call the user's code, and ask again with what it returned                         |
    | CHUNK | ask again with the next piece of the user's body, None at its end                 |
    | DONE  | the exchange, or the body, is over                                                |
    | CLOSE | write what `take()` gives, and close                                              |

    A wait may last `timeout` seconds from when `waits` changed, of which `remaining()` keeps count; then
    `timed_out()`, and ask again.

    Attributes:
        waits: a number that changes whenever a wait begins.
        timeout: seconds that the present wait may last.
        failure: the TLSError that ended the connection, or None.
        octets, octets_out: received from and sent to the transport.
        overdue: set by the adapter before `timed_out()` where it is not this wait that has lasted too long, but all
            of the session.
    """

    __slots__ = (
        "_clear",
        "_core",
        "_due",
        "_make_tls",
        "_noticed",
        "_taken",
        "_tls",
        "failure",
        "octets",
        "octets_out",
        "overdue",
        "waits",
    )

    def __init__(self, core: "ClientConnection | ServerConnection", make_tls: "MakeTLS | None") -> None:
        self.waits = 0
        self.octets = self.octets_out = 0
        self.failure: TLSError | None = None
        self.overdue = False
        self._core = core
        self._make_tls = make_tls
        self._tls: TLS | None = None
        self._taken = True  # whether all that was to be sent has been handed out
        self._clear = b""  # what must leave before anything else, as it is
        self._noticed = -1  # `waits` when remaining() was last asked
        self._due = 0.0  # when that wait ends, on the clock of whoever asked

    timeout: float  # of the wait that is now

    def remaining(self, now: float) -> float:
        """Seconds that the present wait may still last; a time-out for the next read or write.

        Octets that drip in do not prolong a wait: it begins when something is to be written, or is asked for.

        Args:
            now: the time in seconds, always of the same clock, which never goes back.

        Returns:
            At least a millisecond, since 0 would mean no waiting to a socket: let it pass, then call `timed_out()`.
        """
        if self.waits != self._noticed:
            self._noticed = self.waits
            self._due = now + self.timeout
        return max(self._due - now, _SHORTEST)

    # What only a server does something about: its driver has more to say.

    @property
    def may_be_woken(self) -> bool:
        """Whether the wait may be cut short to end the session."""
        return False

    def shut_down(self) -> bool:
        """End the session as soon as that may be; True if it is at its end now."""
        return False

    @property
    def finished(self) -> bool:
        """Whether the peer has said its last word, so that closing need not wait for what it may still say."""
        return False

    def waited(self, seconds: float) -> None:
        """Seconds were spent waiting for octets (READ), after which some came."""

    def receive(self, octets: bytes) -> None:
        """Take what was read; b"" says that the stream has ended."""
        self.octets += len(octets)
        tls = self._tls
        if tls is None:
            self._core.receive_data(octets)
            return
        try:
            plain = tls.feed(octets)
        except TLSError as error:
            self._failed(error)
            return
        if plain:
            self._core.receive_data(plain)
        if not octets or tls.eof:
            self._core.receive_data(b"")

    def take(self) -> bytes:
        """All octets that are to be written now; they are given once."""
        octets = self._core.data_to_send()
        tls = self._tls
        if tls is not None:
            if octets:
                try:
                    tls.write(octets)
                except TLSError as error:
                    self._failed(error)
            octets = tls.data_to_send()
        if self._clear:
            octets, self._clear = self._clear + octets, b""
        self._taken = self.failure is None
        if octets:
            self.waits += 1
            self.octets_out += len(octets)
        return octets

    @property
    def unread(self) -> int:
        """Octets that wait to be consumed; the adapter reads no more while they are `unread_limit` or more."""
        return self._core.unread

    @property
    def unread_limit(self) -> int:
        """Octets that may wait to be consumed now, and no less than are worth reading at once."""
        return _UNREAD

    def _failed(self, error: TLSError) -> None:
        self.failure = self.failure or error
        self._core.receive_data(b"")

    def _handshake(self, clear: bytes = b"", received: bytes = b"") -> "Needs":
        # Make TLS, and go on when it is up or has failed; `received` came too early.
        assert self._make_tls is not None
        self._clear = clear
        tls = self._tls = self._make_tls()
        self.waits += 1
        if received:
            self.receive(received)
        while tls.facts is None and self.failure is None and not self._core.closed:
            yield READ
        if tls.facts is not None and self.failure is None and not self._core.closed:
            self._core.tls_established(tls.facts)

    def _end_tls(self) -> None:
        # Say goodbye inside TLS too (RFC 8446 section 6.1); what is queued leaves first.
        self._clear = self.take()
        if self._tls is not None:
            self._tls.close()
