"""A program that takes each message on its standard input, and answers by its exit status."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from logging import INFO, WARNING, getLogger

from smtpkit.errors import ReplyError
from smtpkit.printable import printable
from smtpkit.protocol.header_filter import MOST_HOPS
from smtpkit.stores.delivering import FileDelivery
from smtpkit.stores.disk import Undone
from smtpkit.stores.incoming import Incoming
from smtpkit.stores.sysexits import SYSEXITS, reply_to_status
from smtpkit.wire.replies import Reply

__all__ = ["Exec"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.session import SessionFacts

# What a program finds of the server's own environment: nothing that may be a secret.
_INHERITED = re.compile(r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_[A-Z]+|TZ|TMPDIR")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9@%_=+:,./\[\]-]")
_ENVIRONMENT = 100 * 1024  # octets of all recipients; Linux takes 128 KiB in one value
_COMPLAINT = 4 * 1024  # octets of standard error that are kept
_LOOK = 0.1  # seconds; a program that left a child with its standard error is noticed so late

_TOO_MANY = Reply(554, "Too many recipients for the program that takes mail here", "5.5.3")
_TOO_LONG = Reply(451, "The program that takes mail here did not answer in time", "4.3.0")


class Exec:
    """A store that runs a program for each message, in a process group of its own and without a shell.

    The message is streamed to an unnamed file first, and the program runs when it is complete: it never sees half of
    one, and a slow client holds no process.  Exit status 0 accepts; the others are those of <sysexits.h>
    (`smtpkit.stores.sysexits.SYSEXITS`); any other status, a signal, and `timeout` are 451 4.3.0.  What the program
    prints goes nowhere, but for the first line of standard error, which is logged.

    In the environment: SENDER ("" for the null reverse-path), RECIPIENT (the first one), RECIPIENTS (one a line),
    CLIENT_ADDRESS, CLIENT_HELO, CLIENT_PROTOCOL, SASL_USERNAME, MESSAGE_ID (that in Received) and SESSION_ID, beside
    PATH, HOME and the like of the server.  Addresses are exact; in the other values all but letters, digits and
    `@%_=+:,./[]-` is "_".

    Args:
        program: the file, or a sequence with its arguments; looked for in PATH.
        timeout: seconds that it may take; then its process group is killed.
        environment: further variables.
        crlf: True to keep line ends as they were received; False for LF, as programs expect.
        trace: whether Return-Path, Delivered-To and Received are put on top, and an older Return-Path taken out.
        most_hops: Received fields with which a message is refused (554 5.4.6); None for no bound.

    Raises:
        OSError: there is no such program.
    """

    def __init__(
        self,
        program: "str | os.PathLike[str] | Sequence[str]",
        *,
        timeout: float = 60.0,
        environment: "Mapping[str, str] | None" = None,
        crlf: bool = False,
        trace: bool = True,
        most_hops: int | None = MOST_HOPS,
    ) -> None:
        words = [os.fspath(program)] if isinstance(program, (str, os.PathLike)) else list(program)
        found = shutil.which(words[0])
        if found is None:
            raise FileNotFoundError(f"no program {words[0]!r}")
        self.arguments = [os.path.abspath(found), *words[1:]]
        self.timeout = timeout
        self.environment = dict(environment or {})
        self.crlf = crlf
        self.trace = trace
        self.most_hops = most_hops

    def __repr__(self) -> str:
        return f"Exec({self.arguments!r}, timeout={self.timeout:g})"

    def begin(self, envelope: "Envelope", session: "SessionFacts") -> "Delivery":
        """A delivery of one message.

        Raises:
            ReplyError: the disk is full (452 4.3.1), or the recipients are too many for an environment (554 5.5.3).
            OSError: the unnamed file cannot be made.
        """
        incoming = Incoming(envelope, session, crlf=self.crlf, trace=self.trace, most_hops=self.most_hops)
        own = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
        told = _told(envelope, session, incoming.identifier)
        return Delivery(self, incoming, {**own, **told, **self.environment}, session.id)


class Delivery(FileDelivery):
    """One message on its way to the program; `Exec.begin()` makes it."""

    __slots__ = ("_environment", "_session", "_store")

    def __init__(self, store: Exec, incoming: Incoming, environment: "dict[str, str]", session: str) -> None:
        self._store = store
        self._environment = environment
        self._session = session
        super().__init__(incoming, tempfile.TemporaryFile)

    def commit(self) -> Reply | None:
        """Run the program.

        Returns:
            None if it took the message, else the refusal.

        Raises:
            ReplyError: the disk is full (452 4.3.1).
            OSError: the program cannot be run.
        """
        with Undone(self):
            spool = self._open_file()
            spool.write(self._incoming.finish())
            spool.flush()
            spool.seek(0)
            reply = self._run(spool)
        self.abort()
        return reply

    def _run(self, spool: "IO[bytes]") -> Reply | None:
        store = self._store
        process = subprocess.Popen(  # noqa: S603 (the operator's own program, and no shell)
            store.arguments,
            stdin=spool,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        try:
            complaint = _watch(process, store.timeout)
        except BaseException:
            _kill(process)
            raise
        if process.poll() is None:
            _kill(process)
            self._log(WARNING, f"took longer than {store.timeout:g} s", complaint)
            return _TOO_LONG
        status = process.returncode
        reply = reply_to_status(status)
        if reply is not None or complaint:
            is_verdict = reply is not None and reply.is_permanent and not complaint
            self._log(INFO if is_verdict else WARNING, _in_words(status), complaint)
        return reply

    def _log(self, level: int, what: str, complaint: bytes) -> None:
        line = complaint.lstrip().partition(b"\n")[0].decode("utf-8", "backslashreplace").rstrip()
        said = f": {printable(line)}" if line else ""
        getLogger("smtpkit.server").log(level, "%s %s %s%s", self._session, self._store.arguments[0], what, said)


def _told(envelope: "Envelope", session: "SessionFacts", identifier: str) -> "dict[str, str]":
    recipients = [str(each) for each in envelope.recipients]
    listed = "\n".join(recipients)
    if len(listed.encode()) > _ENVIRONMENT:
        raise ReplyError(_TOO_MANY)
    facts = {
        "CLIENT_ADDRESS": session.address or "",
        "CLIENT_HELO": session.hello_name or "",
        "CLIENT_PROTOCOL": session.protocol,
        "SASL_USERNAME": session.identity or "",
        "MESSAGE_ID": identifier,
        "SESSION_ID": session.id,
    }
    return {
        "SENDER": "" if envelope.sender is None else str(envelope.sender),
        "RECIPIENT": recipients[0],
        "RECIPIENTS": listed,
        **{name: _NOT_PLAIN.sub("_", value) for name, value in facts.items()},
    }


def _watch(process: "subprocess.Popen[bytes]", timeout: float) -> bytes:
    # Until it ends or time is up; the beginning of what it says on standard error.
    import select

    assert process.stderr is not None
    kept = b""
    until = time.monotonic() + timeout
    arrivals = select.poll()
    with process.stderr as stderr:
        number = stderr.fileno()
        arrivals.register(number, select.POLLIN)
        while (left := until - time.monotonic()) > 0:
            if arrivals.poll(min(left, _LOOK) * 1000):
                octets = os.read(number, _COMPLAINT)
                if not octets:
                    break
                kept += octets[: _COMPLAINT - len(kept)]
            elif process.poll() is not None:
                return kept
    with suppress(subprocess.TimeoutExpired):
        process.wait(max(until - time.monotonic(), 0))
    return kept


def _kill(process: "subprocess.Popen[bytes]") -> None:
    assert process.stderr is not None
    process.stderr.close()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _in_words(status: int) -> str:
    if status < 0:
        return f"was ended by signal {-status}"
    name = SYSEXITS[status][0] if status in SYSEXITS else ""
    return f"ended with {status}{f' ({name})' if name else ''}"
