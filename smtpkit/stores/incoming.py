"""The octets of one message as a store keeps them: trace fields on top, line ends as wanted, loops stopped."""

import os
import time
from itertools import count

from smtpkit.protocol.header_filter import HeaderFilter
from smtpkit.protocol.received import trace_fields

__all__ = ["Incoming"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.session import SessionFacts

_counter = count(1)


class Incoming:
    """One message on its way into a store.

    Args:
        envelope: of the message.
        session: that it comes in.
        crlf: True to keep line ends as they were received; False for LF, but for BODY=BINARYMIME.
        trace: whether Return-Path, Delivered-To and Received are put on top, and an older Return-Path taken out.
        most_hops: Received fields with which a message is refused; None for no bound.

    Attributes:
        identifier: names the message, nowhere else used and not to be guessed; the session has it, for the log.
        time: when it came, in seconds since the epoch.
        top: what is to stand first.
    """

    __slots__ = ("_filter", "_held", "_keeps_crlf", "identifier", "time", "top")

    def __init__(
        self, envelope: "Envelope", session: "SessionFacts", *, crlf: bool, trace: bool, most_hops: int | None
    ) -> None:
        self.identifier = session.identifier = f"{next(_counter):x}-{os.urandom(8).hex()}"
        self.time = time.time()
        self._keeps_crlf = crlf or envelope.mail_parameters.get("BODY") == "BINARYMIME"
        self._held = b""  # a CR at the end of a piece, whose LF may be in the next
        self._filter = HeaderFilter(most_hops=most_hops, return_path=not trace)
        lines = trace_fields(envelope, session, self.identifier, self.time) if trace else []
        self.top = self._with_line_ends("".join(f"{line}\r\n" for line in lines).encode())

    @property
    def name(self) -> str:
        """A name for a file of this message: time, process and identifier; nothing of what a client says."""
        seconds, microseconds = divmod(int(self.time * 1_000_000), 1_000_000)
        return f"{seconds}.M{microseconds}P{os.getpid()}Q{self.identifier}"

    def feed(self, octets: bytes) -> bytes:
        """Take the next piece, and give what is to be kept so far.

        Raises:
            ReplyError: the message goes round in circles (554 5.4.6).
        """
        return self._with_line_ends(self._filter.feed(octets))

    def finish(self) -> bytes:
        """Give what is left at the end of the message."""
        return self._with_line_ends(self._filter.finish()) + self._held

    def _with_line_ends(self, octets: bytes) -> bytes:
        if self._keeps_crlf:
            return octets
        octets = self._held + octets
        self._held = b"\r" if octets.endswith(b"\r") else b""
        return octets.removesuffix(b"\r").replace(b"\r\n", b"\n")
