"""`smtpkit serve`: receive mail, and store it, show it, or pass it on."""

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from smtpkit.asyncio import Listener, Server, serve
from smtpkit.cli import limiting, listening, logs, settings_file, storing, systemd
from smtpkit.cli.aside import writing_aside, writing_if_there_is_room
from smtpkit.cli.output import complain, say
from smtpkit.cli.parser import positive, seconds
from smtpkit.errors import ParseError, TLSError
from smtpkit.protocol.auth_policy import AuthPolicy

__all__ = ["EPILOG", "configure", "expand", "run"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from typing import Any

    from smtpkit.cli.parser import Parser

EPILOG = """\
It takes mail for any recipient, and passes it on with --relay alone.  Without a word on what to do with mail: --print.
A password for --relay smtp://user@host: the environment's SMTPKIT_PASSWORD.
SIGHUP: certificates are read anew.
SIGINT or SIGTERM: transactions under way are finished (--grace seconds at most), then it ends.

exit status:
  0  it was told to end
  1  it cannot serve: the port is in use, a file cannot be read, the store cannot be written to
  2  the arguments make no sense
"""

_GRACE = 5.0  # seconds
_MORE_GRACE = 0.5  # seconds until what cannot be cancelled is left behind
_THREADS = 64  # which mostly wait for a disk or for a program

expand = settings_file.expand


def configure(parser: "Parser") -> None:
    """Add the options."""
    listening.configure(parser)
    storing.configure(parser)
    content = parser.group("messages")
    content.add_argument("--max-message-size", type=positive, metavar="N", help="octets (default: 33554432)")
    content.add_argument(
        "--bare-newlines",
        choices=("reject", "normalize", "keep"),
        default="reject",
        help="what to do with content that has a lone CR or LF, as `curl -T` sends a file with LF",
    )
    login = parser.group("login")
    login.add_argument(
        "--auth",
        action="append",
        metavar="USER:PASSWORD",
        help="who may, and must, log in; repeatable; PASSWORD may be what smtpkit.sasl.make_record() made",
    )
    login.add_argument("--auth-optional", action="store_true", help="those of --auth may log in, and nobody must")
    login.add_argument("--allow-auth-in-clear", action="store_true", help="offer login without TLS")
    limiting.configure(parser)
    logs.configure(parser)
    parser.add_argument(
        "--grace", type=seconds, default=_GRACE, metavar="S", help="seconds for transactions to end (default: 5)"
    )
    settings_file.configure(parser)


def run(parser: "Parser", arguments: "Namespace") -> int:
    """Serve until a signal comes."""
    settings = _settings(parser, arguments)
    logs.set_up(arguments)
    listeners = listening.listeners(arguments)
    handler = storing.handler(parser, arguments)
    _checked(parser, handler, listeners, settings)  # before anything is opened or begun
    if arguments.workers > 1:
        with writing_if_there_is_room():
            return _Together(parser, arguments, listeners, settings).run()
    settings["transcript"] = logs.Sessions().transcript if arguments.verbose else None
    server = _checked(parser, handler, listeners, settings)
    with writing_aside():
        asyncio.run(_serve(server, arguments.grace))
    return 0


def _settings(parser: "Parser", arguments: "Namespace") -> "dict[str, Any]":
    settings = {
        **listening.network(parser, arguments),
        "bare_newlines": arguments.bare_newlines,
        "auth": _auth(parser, arguments),
        "limits": limiting.limits(arguments),
        "ledger": limiting.ledger(arguments),
    }
    if arguments.max_message_size is not None:
        settings["max_message_size"] = arguments.max_message_size
    return settings


def _auth(parser: "Parser", arguments: "Namespace") -> AuthPolicy | None:
    if not arguments.auth:
        if arguments.auth_optional:
            parser.error("--auth-optional needs --auth")
        return None
    # A unix socket does not leave this host.
    only_unix = arguments.unix is not None and not (arguments.host or arguments.port is not None or arguments.systemd)
    in_clear = arguments.allow_auth_in_clear or only_unix
    if arguments.tls_cert is None and not in_clear:
        parser.error("--auth needs --tls-cert, or --allow-auth-in-clear to have passwords sent in clear")
    from smtpkit.sasl import mechanism_names
    from smtpkit.sasl.registry import mechanism
    from smtpkit.sasl.user_table import UserTable

    passwords = {}
    for each in arguments.auth:
        user, colon, password = each.partition(":")
        if not (user and colon and password):
            parser.error("--auth wants USER:PASSWORD")  # and shows neither
        passwords[user] = password
    try:
        users = UserTable(passwords)
    except ParseError:
        parser.error("the PASSWORD of an --auth begins as a record does, and is not one")
    fitting = [name for name in mechanism_names("password") if users.any_fits(mechanism(name))]
    return AuthPolicy(passwords, required=not arguments.auth_optional, mechanisms=fitting, allow_in_clear=in_clear)


def _checked(parser: "Parser", handler: "Any", listeners: "Sequence[Listener]", settings: "dict[str, Any]") -> Server:
    try:
        return serve(handler, listeners=listeners, **settings)
    except ParseError as error:
        parser.error(f"--hostname: {error}")


class _Together:
    """Several processes that serve on the same endpoints."""

    def __init__(
        self,
        parser: "Parser",
        arguments: "Namespace",
        listeners: "Sequence[Listener]",
        settings: "dict[str, Any]",
    ) -> None:
        if not hasattr(os, "fork"):
            parser.error("--workers needs a system that has fork()")
        from smtpkit.cli.workers import open_for

        self._parser = parser
        self._arguments = arguments
        self._settings = settings
        self._listeners = listeners
        self._for_each, self._opened = open_for(listeners, arguments.workers)

    def run(self) -> int:
        """Serve until a signal comes."""
        from smtpkit.cli.workers import Workers

        workers = Workers(self._arguments.workers, self._serve, self._arguments.grace + 2 * _MORE_GRACE)
        for address in dict.fromkeys(_where(sock.getsockname()) for sock in self._opened):
            say(f"listening on {address}")
        systemd.ready()
        workers.run(self._close)
        return 0

    def _serve(self, number: int, parent: int) -> int:
        # In the process of a worker.
        own = {endpoint.sock for endpoint in self._for_each[number]}
        for sock in self._opened:
            if sock not in own:
                sock.close()  # a port is closed when the last process has closed it
        arguments, settings = self._arguments, self._settings
        settings["ledger"] = settings["ledger"].of_worker(number)
        settings["transcript"] = logs.Sessions(f"{number + 1}.").transcript if arguments.verbose else None
        handler = storing.handler(self._parser, arguments)
        server = _checked(self._parser, handler, self._for_each[number], settings)
        with writing_aside():
            asyncio.run(_serve(server, arguments.grace, parent))
        return 0

    def _close(self) -> None:
        # No more connections are wanted.
        systemd.stopping()
        for sock in self._opened:
            sock.close()
        for listener in self._listeners:
            listener.remove()


async def _serve(server: Server, grace: float, parent: int | None = None) -> None:
    # Of a worker, `parent` is a pipe that ends when the parent does.
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_THREADS))
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    loop.add_signal_handler(signal.SIGHUP, _reload, server, parent is None)
    if parent is not None:
        loop.add_reader(parent, told.set)
    async with server:
        if parent is None:
            for address in server.addresses:
                say(f"listening on {_where(address)}")
            systemd.ready()
        await told.wait()
        if parent is not None:
            loop.remove_reader(parent)
        else:
            systemd.stopping()
        _end_within(grace + _MORE_GRACE)
        await server.close(grace)


def _reload(server: Server, alone: bool) -> None:
    try:
        with systemd.reloading() if alone else nullcontext():
            server.reload_tls()
    except TLSError as error:
        complain(f"the certificates remain what they were: {error}")
    except RuntimeError:
        pass  # there are none


def _end_within(limit: float) -> None:
    # A thread that writes to a pipe which nobody reads, or to a dead disk, cannot be cancelled; Python waits for it.
    watchdog = threading.Timer(limit, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()


def _where(address: "Any") -> str:
    if not isinstance(address, tuple):
        return f"unix:{os.fsdecode(address)}"
    host, number = address[:2]
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
