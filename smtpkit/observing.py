"""What is told of a server while it lives: counters, log lines, an observer, and the ledger of addresses."""

from threading import Lock
from time import monotonic

from smtpkit.protocol.standard_replies import BAD_PROXY_HEADER, LIMIT_REPLIES, TOO_MUCH_OF_ADDRESS
from smtpkit.wire.replies import Reply
from smtpkit.wire.value import Value

__all__ = ["COUNTERS", "LIMIT_COUNTERS", "Receipt", "ServerObserver", "ServerWatch"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.protocol.ledger import Ledger
    from smtpkit.protocol.server_driver import ServerDriver
    from smtpkit.protocol.session import SessionFacts

# What is counted, by its name in `server.counters`.
COUNTERS = {
    "connections": "connections that came",
    "refused": "those of them that were turned away at the door",
    "bad_proxy_headers": "those of them that began with something else than the PROXY header that was awaited",
    "messages": "messages accepted, for one recipient at least",
    "messages_refused": "messages that a handler, a hook or a store refused, or that were cut off under way",
    "recipients": "recipients of accepted messages",
    "octets": "octets of the content of accepted messages",
    "logins": "logins that succeeded",
    "failed_logins": "logins that failed",
    "errors": "replies to what a client got wrong: 500, 501, 502, 503, 504 and 555",
    "failures": "exceptions of the user's code that were answered 451",
}
# The limits, by name; each has a counter that is called "over_" and this.
LIMIT_COUNTERS = (*LIMIT_REPLIES, "connections", "per_address", "handler", "ledger")

_TRACEBACKS = 10  # of one session in the log: a client that has found what fails may ask for it without end


class Receipt(Value):
    """What became of one message.

    Attributes:
        sender: the reverse-path as text; "" for the null one.
        recipients: how many it had.
        identifier: what its Received field says after "id"; "" where none was made.
        size: octets of its content.
        accepted: for how many recipients it was accepted.
        replies: what was answered, one for each recipient in LMTP; None for the standard reply.
        seconds: how long the user's code had it; with `on_body` and stores, how long it took to arrive too.
    """

    __slots__ = ("accepted", "identifier", "recipients", "replies", "seconds", "sender", "size")

    def __init__(
        self,
        sender: str,
        recipients: int,
        size: int,
        accepted: int,
        replies: "tuple[Reply | None, ...]",
        seconds: float,
        identifier: str = "",
    ) -> None:
        self.identifier = identifier
        self.sender = sender
        self.recipients = recipients
        self.size = size
        self.accepted = accepted
        self.replies = replies
        self.seconds = seconds

    def __str__(self) -> str:
        said = ", ".join("accepted" if reply is None else str(reply) for reply in self.replies) or "cut off"
        named = f"id={self.identifier} " if self.identifier else ""
        facts = f"from=<{self.sender}> recipients={self.recipients} size={self.size} seconds={self.seconds:.3f}"
        return f"{named}{facts} {said}"


class ServerObserver:
    """What is told of a server, for metrics and traces: override what you need.

    Each method is a plain function in both adapters.  It is called in the event loop, or in the connection's thread,
    when the thing has happened, and must not take long.  What it raises goes to the log, and changes nothing.
    `session` is the Session, whose attributes may be read.
    """

    def connected(self, session: "SessionFacts") -> None:
        """A client was let in; behind a proxy, it is known who it is."""

    def refused(self, session: "SessionFacts", reply: "Reply") -> None:
        """A client is turned away at the door."""

    def logged_in(self, session: "SessionFacts") -> None:
        """A login has succeeded; `session.identity` says whose."""

    def login_failed(self, session: "SessionFacts") -> None:
        """A login has failed."""

    def limit_reached(self, session: "SessionFacts", limit: str) -> None:
        """A limit is reached, and the reply says so; `limit` is its name in the table of limits."""

    def received(self, session: "SessionFacts", receipt: Receipt) -> None:
        """The user's code has answered a message, or it was cut off."""

    def failed(self, session: "SessionFacts", hook: str, error: BaseException) -> None:
        """The user's code has raised what is answered 451."""

    def closed(self, session: "SessionFacts", seconds: float) -> None:
        """A connection has ended that was let in, after so many seconds."""


class ServerWatch:
    """Counts and tells what happens in a server.

    The logger `smtpkit.server` has connections at DEBUG; who was turned away, failed logins and limits that were
    reached at INFO; failures of the user's code at ERROR, with their traceback.  `smtpkit.server.mail` has one line at
    INFO for each message.  Each record has a session's id in its text
    and the facts in an attribute `facts`.

    Args:
        ledger: of addresses.
        observer: an observer, or None.

    Attributes:
        counters: name to number; see COUNTERS and LIMIT_COUNTERS.
        lock: held by whoever changes these, or the ledger.
    """

    def __init__(self, ledger: "Ledger", observer: ServerObserver | None) -> None:
        # Not at import: a client would pay for it.
        from logging import DEBUG, INFO, getLogger

        self._server = getLogger("smtpkit.server")
        self._mail = getLogger("smtpkit.server.mail")
        self._debug, self._info = DEBUG, INFO
        self._ledger = ledger
        self._counts_mail = not ledger.limits.keys().isdisjoint(("messages", "recipients"))
        self._observer = observer
        self.lock = Lock()  # without threads it costs less than asking whether there are any
        self.counters = dict.fromkeys((*COUNTERS, *(f"over_{name}" for name in LIMIT_COUNTERS)), 0)

    def came(self, session: "SessionFacts") -> None:
        """A client has connected."""
        self._count("connections")
        if self._server.isEnabledFor(self._debug):
            self._server.debug("%s connect from %s", session.id, session.peer, extra=_extra("connect", session))

    def let_in(self, session: "SessionFacts") -> None:
        """It may stay."""
        session._let_in = True
        self._tell("connected", session)

    def turned_away(self, session: "SessionFacts", limit: str, reply: "Reply") -> None:
        """It may not; `limit` is "" where that is no matter of limits."""
        self._count("refused")
        if limit:
            self._count(f"over_{limit}")
            self._tell("limit_reached", session, limit)
        self._log("refused", session, reply=str(reply))
        self._tell("refused", session, reply)

    def noticed(self, session: "SessionFacts", name: str) -> None:
        """What a core notices."""
        address = session.address
        if name == "error":
            self._count("errors")
            self._add(address, "errors", monotonic())
        elif name == "login":
            self._count("logins")
            self._tell("logged_in", session)
        elif name == "failed_login":
            self._count("failed_logins")
            self._add(address, "failed_logins", monotonic())
            self._log("failed login", session)
            self._tell("login_failed", session)
        elif name == "proxy_header":
            self._count("bad_proxy_headers")
            self.turned_away(session, "", BAD_PROXY_HEADER)
        else:
            self._reached(session, name)

    def bars_login(self, session: "SessionFacts") -> "Reply | None":
        """The reply to a login from an address that has failed too often, else None."""
        address = session.address
        if not self._ledger.over(address, "failed_logins", monotonic()):
            return None
        self._reached(session, "ledger")
        return TOO_MUCH_OF_ADDRESS

    def answered(
        self, session: "SessionFacts", driver: "ServerDriver", answer: "Any", seconds: float
    ) -> "Reply | None":
        """The user's code has answered a message.

        Returns:
            What to end the session with, because too much has come from its address; else None.
        """
        core, accepted, counters = driver.core, driver.accepted_of(answer), self.counters
        with self.lock:
            if accepted:
                counters["messages"] += 1
                counters["recipients"] += accepted
                counters["octets"] += core.size
            else:
                counters["messages_refused"] += 1
        if self._observer is not None or self._mail.isEnabledFor(self._info):
            self._receipt(session, driver, accepted, driver.replies_of(answer), seconds)
        return self._exhausted(session, len(core.recipients)) if self._counts_mail else None

    def failed(self, session: "SessionFacts", hook: str, error: BaseException | None = None) -> None:
        """The user's code raised the exception that is being handled."""
        self._count("failures")
        session._failures += 1
        if session._failures <= _TRACEBACKS:
            self._server.exception("%s %s failed", session.id, hook, extra=_extra("failure", session, hook=hook))
        if error is not None:
            self._tell("failed", session, hook, error)

    def overdue(self, session: "SessionFacts", hook: str) -> None:
        """The user's code has taken longer than `Limits.handler`."""
        self._count("over_handler")
        self._server.error("%s %s takes too long", session.id, hook, extra=_extra("overdue", session, hook=hook))
        self._tell("limit_reached", session, "handler")

    def closed(self, session: "SessionFacts", admitted: bool, seconds: float) -> None:
        """A client has gone."""
        if (more := session._failures - _TRACEBACKS) > 0:
            self._server.error("%s %d more failures", session.id, more, extra=_extra("failures", session, number=more))
        if self._server.isEnabledFor(self._debug):
            self._server.debug("%s closed", session.id, extra=_extra("close", session, seconds=round(seconds, 3)))
        if admitted and session._let_in:
            self._tell("closed", session, seconds)

    def _count(self, name: str) -> None:
        with self.lock:
            self.counters[name] += 1

    def _add(self, address: str | None, kind: str, now: float, number: int = 1) -> None:
        with self.lock:  # a ledger is for one thread at a time
            self._ledger.add(address, kind, now, number)

    def _receipt(
        self,
        session: "SessionFacts",
        driver: "ServerDriver",
        accepted: int,
        replies: "tuple[Reply | None, ...]",
        seconds: float,
    ) -> None:
        core = driver.core
        envelope = core.envelope
        sender = "" if envelope is None or envelope.sender is None else str(envelope.sender)
        identifier, session.identifier = session.identifier, ""
        receipt = Receipt(sender, len(core.recipients), core.size, accepted, replies, seconds, identifier)
        if self._mail.isEnabledFor(self._info):
            facts, identity = _facts(receipt), session.identity
            user = ""
            if identity is not None:
                facts["identity"] = identity
                user = f"user={identity!r} "
            self._mail.info("%s %s%s", session.id, user, receipt, extra=_extra("message", session, **facts))
        self._tell("received", session, receipt)

    def _exhausted(self, session: "SessionFacts", recipients: int) -> "Reply | None":
        address = session.address
        ledger, now, over = self._ledger, monotonic(), False
        for kind, number in (("messages", 1), ("recipients", recipients)):
            if kind in ledger.limits:
                self._add(address, kind, now, number)
                over = over or ledger.over(address, kind, now)
        if not over:
            return None
        self._reached(session, "ledger")
        return TOO_MUCH_OF_ADDRESS

    def _reached(self, session: "SessionFacts", limit: str) -> None:
        self._count(f"over_{limit}")
        self._log("limit", session, limit=limit)
        self._tell("limit_reached", session, limit)

    def _log(self, event: str, session: "SessionFacts", **facts: str) -> None:
        if self._server.isEnabledFor(self._info):
            text = ": ".join((event, *facts.values()))
            self._server.info("%s %s", session.id, text, extra=_extra(event, session, **facts))

    def _tell(self, what: str, session: "SessionFacts", *facts: object) -> None:
        if self._observer is not None:
            try:
                getattr(self._observer, what)(session, *facts)
            except Exception:  # noqa: BLE001 (what was answered stands)
                self._server.exception("%s the observer failed at %s()", session.id, what)


def _extra(event: str, session: "SessionFacts", **facts: object) -> dict[str, object]:
    peer = session.peer
    where = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else str(peer) or "unix"
    return {"facts": {"event": event, "session": session.id, "peer": where, **facts}}


def _facts(receipt: Receipt) -> dict[str, object]:
    return {
        **({"id": receipt.identifier} if receipt.identifier else {}),
        "from": receipt.sender,
        "recipients": receipt.recipients,
        "size": receipt.size,
        "accepted": receipt.accepted,
        "reply": [str(reply) if reply is not None else "accepted" for reply in receipt.replies] or ["cut off"],
        "seconds": round(receipt.seconds, 3),
    }
