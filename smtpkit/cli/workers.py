"""Several processes that serve on the same endpoints: begun, ended, and begun anew when they crash."""

import os
import signal
import socket
import sys
from contextlib import nullcontext
from time import monotonic

from smtpkit.asyncio import Listener
from smtpkit.cli import systemd
from smtpkit.cli.output import complain, settle

__all__ = ["Workers", "open_for"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FORWARDED = {signal.SIGINT: signal.SIGTERM, signal.SIGTERM: signal.SIGTERM, signal.SIGHUP: signal.SIGHUP}
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 30.0  # seconds until a worker that crashed is begun anew
_STABLE = 10.0  # seconds after which a worker's crashes before are forgotten


def open_for(listeners: "Sequence[Listener]", workers: int) -> "tuple[list[list[Listener]], list[socket.socket]]":
    """Listen, for so many processes.

    Each has a socket of its own for each TCP port (SO_REUSEPORT), among which the system shares connections out; this
    process keeps them all open, so that what waits on that of a worker which crashed is served by its successor.
    Unix sockets, and those that were handed over, are shared.

    Returns:
        The endpoints of each worker, and all sockets.

    Raises:
        OSError: an address cannot be bound.
    """
    for_each: list[list[Listener]] = [[] for _ in range(workers)]
    opened: list[socket.socket] = []
    try:
        for listener in listeners:
            shared = listener.unix is not None or listener.sock is not None
            for sock in (listener if shared else _reusing(listener, listener.port)).open():
                opened.append(sock)
                own = [sock] * workers
                if not shared:
                    host, port = sock.getsockname()[:2]
                    own = [sock, *(each for _ in range(workers - 1) for each in _reusing(listener, port, host).open())]
                    opened += own[1:]
                for endpoints, each in zip(for_each, own, strict=True):
                    endpoints.append(Listener(sock=each, implicit_tls=listener.implicit_tls))
    except OSError:
        for sock in opened:
            sock.close()
        raise
    return for_each, opened


def _reusing(listener: Listener, port: int, host: str | None = None) -> Listener:
    return Listener(listener.host if host is None else host, port, reuse_port=True)


class Workers:
    """The processes, as their parent sees them.

    From when this is made, SIGINT and SIGTERM end them, and SIGHUP is passed on.  One that ends by itself is begun
    anew, after a delay that grows while it keeps on crashing.  When the parent dies, they end too.

    Args:
        count: how many.
        serve: what a worker does: called in its process with its number, and a file descriptor at whose end the
            parent is gone; returns the exit status.
        grace: seconds that they have to end.
    """

    def __init__(self, count: int, serve: "Callable[[int, int], int]", grace: float) -> None:
        self._serve = serve
        self._grace = grace
        self._running: dict[int, int] = {}  # process to number
        self._begun = [0.0] * count
        self._crashes = [0] * count
        self._due: dict[int, float] = dict.fromkeys(range(count), 0.0)  # number to when it is begun
        self._alive = os.pipe()  # the workers hold the reading end
        self._woken, self._waker = socket.socketpair()
        self._ending = False
        self._watch_signals()

    def run(self, ended: "Callable[[], None]") -> None:
        """Run until a signal comes, and all have ended.

        Args:
            ended: called when no more connections are wanted.
        """
        while not self._ending:
            self._begin_due()
            self._wait(min(self._due.values(), default=None))
            self._collect()
        ended()
        deadline = monotonic() + self._grace
        while self._running and monotonic() < deadline:
            self._wait(deadline)
            self._collect()
        for process in self._running:
            os.kill(process, signal.SIGKILL)
        while self._running:
            del self._running[os.wait()[0]]
        self._forget_signals()
        for number in self._alive:
            os.close(number)

    def _watch_signals(self) -> None:
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno())
        for number in (*_FORWARDED, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)  # the number arrives on the socket

    def _forget_signals(self) -> None:
        signal.set_wakeup_fd(-1)
        self._woken.close()
        self._waker.close()

    def _begin_due(self) -> None:
        now = monotonic()
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            self._begun[number] = now
            process = os.fork()
            if process == 0:
                self._become(number)
            self._running[process] = number

    def _become(self, number: int) -> None:
        # In the new process, which never returns.
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # that of a terminal is for the parent, which passes it on
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._forget_signals()  # one that came before went to the parent, by its socket, and is passed on again
            os.close(self._alive[1])
            status = self._serve(number, self._alive[0])
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException as error:  # noqa: BLE001 (this process ends here)
            complain(error)
        finally:
            settle()
            sys.stdout.flush()
            os._exit(status)

    def _wait(self, until: float | None) -> None:
        from select import select

        timeout = None if until is None else max(until - monotonic(), 0.0)
        if not select([self._woken], [], [], timeout)[0]:
            return
        for number in self._woken.recv(4096):
            forwarded = _FORWARDED.get(signal.Signals(number))
            if forwarded is not None:
                self._ending = self._ending or forwarded is signal.SIGTERM
                with systemd.reloading() if forwarded is signal.SIGHUP else nullcontext():
                    for process in self._running:
                        os.kill(process, forwarded)

    def _collect(self) -> None:
        while self._running:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            number = self._running.pop(process)
            if not self._ending:
                self._begin_anew(number, process, os.waitstatus_to_exitcode(status))

    def _begin_anew(self, number: int, process: int, code: int) -> None:
        now = monotonic()
        lived = now - self._begun[number]
        self._crashes[number] = 0 if lived >= _STABLE else self._crashes[number] + 1
        delay = min(_FIRST_DELAY * 2 ** max(self._crashes[number] - 1, 0), _LONGEST_DELAY)
        self._due[number] = now + delay
        how = f"by signal {-code}" if code < 0 else f"with status {code}"
        complain(f"worker {number + 1} (process {process}) has ended {how}, and is begun anew in {delay:.1f} s")
