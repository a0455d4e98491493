"""`smtpkit serve`: receive mail, and store it, show it, or pass it on."""

import asyncio
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

from smtpkit.asyncio import Server, serve
from smtpkit.cli import storing
from smtpkit.cli.output import complain, one_line, say, show
from smtpkit.cli.parser import port, positive
from smtpkit.errors import ParseError
from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.transcript import Transcript

__all__ = ["EPILOG", "configure", "run"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Any


EPILOG = """\
It takes mail for any recipient, and passes it on with --relay alone.  Without a word on what to do with mail: --print.
A password for --relay smtp://user@host: the environment's SMTPKIT_PASSWORD.
SIGINT or SIGTERM: transactions under way are finished (5 seconds at most), then it ends.

exit status:
  0  it was told to end
  1  it cannot serve: the port is in use, a file cannot be read, the store cannot be written to
  2  the arguments make no sense
"""

_GRACE = 5.0  # seconds
_WORKERS = 64  # threads, which mostly wait for a disk or for a program


def configure(parser: "ArgumentParser") -> None:
    """Add the options."""
    where = parser.add_argument_group("where to listen")
    where.add_argument("--host", default="127.0.0.1", help='address or name; "" for every address')
    where.add_argument("--port", type=port, default=8025, help="TCP port; 0 for a free one")
    where.add_argument("--unix", metavar="PATH", help="a unix socket, in place of TCP")
    where.add_argument("--lmtp", action="store_true", help="speak LMTP")
    where.add_argument("--hostname", help="what the server calls itself")
    storing.configure(parser)
    content = parser.add_argument_group("messages")
    content.add_argument("--max-message-size", type=positive, metavar="N", help="octets (default: 33554432)")
    content.add_argument(
        "--bare-newlines",
        choices=("reject", "normalize", "keep"),
        default="reject",
        help="what to do with content that has a lone CR or LF, as `curl -T` sends a file with LF",
    )
    tls = parser.add_argument_group("TLS and login")
    tls.add_argument("--tls-cert", metavar="F", help="certificate in PEM, with what leads to its authority")
    tls.add_argument("--tls-key", metavar="F", help="its key, if it is in a file of its own")
    tls.add_argument("--implicit-tls", action="store_true", help="TLS from the first octet, in place of STARTTLS")
    tls.add_argument(
        "--auth",
        action="append",
        metavar="USER:PASSWORD",
        help="who may, and must, log in; repeatable; PASSWORD may be what smtpkit.sasl.make_record() made",
    )
    tls.add_argument("--allow-auth-in-clear", action="store_true", help="offer login without TLS")
    parser.add_argument("--verbose", action="store_true", help="show every session on standard error")


def run(parser: "ArgumentParser", arguments: "Namespace") -> int:
    """Serve until a signal comes."""
    _check(parser, arguments)
    settings: dict[str, Any] = {"lmtp": arguments.lmtp, "bare_newlines": arguments.bare_newlines}
    if arguments.max_message_size is not None:
        settings["max_message_size"] = arguments.max_message_size
    if arguments.tls_cert is not None:
        settings["tls"] = (arguments.tls_cert, arguments.tls_key)
    logging.getLogger().addHandler(_Complaints())
    if arguments.verbose:
        settings["transcript"] = _Sessions().transcript
    asyncio.run(_serve(parser, arguments, storing.handler(parser, arguments), settings))
    return 0


def _check(parser: "ArgumentParser", arguments: "Namespace") -> None:
    if arguments.tls_cert is None and (arguments.tls_key is not None or arguments.implicit_tls):
        parser.error(f"{'--implicit-tls' if arguments.implicit_tls else '--tls-key'} needs --tls-cert")
    in_clear = arguments.tls_cert is None and arguments.unix is None
    if arguments.auth and in_clear and not arguments.allow_auth_in_clear:
        parser.error("--auth needs --tls-cert, or --allow-auth-in-clear to have passwords sent in clear")


def _auth(parser: "ArgumentParser", arguments: "Namespace") -> AuthPolicy | None:
    if not arguments.auth:
        return None
    from smtpkit.sasl import mechanism_names
    from smtpkit.sasl.registry import mechanism
    from smtpkit.sasl.user_table import UserTable

    passwords = {}
    for each in arguments.auth:
        user, colon, password = each.partition(":")
        if not (user and colon and password):
            parser.error("--auth wants USER:PASSWORD")  # and shows neither
        passwords[user] = password
    # A unix socket does not leave this host.
    in_clear = arguments.allow_auth_in_clear or arguments.unix is not None
    try:
        users = UserTable(passwords)
    except ParseError:
        parser.error("the PASSWORD of an --auth begins as a record does, and is not one")
    fitting = [name for name in mechanism_names("password") if users.any_fits(mechanism(name))]
    return AuthPolicy(passwords, mechanisms=fitting, allow_in_clear=in_clear)


async def _serve(parser: "ArgumentParser", arguments: "Namespace", handler: "Any", settings: "dict[str, Any]") -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(_WORKERS))
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    try:
        server = serve(
            handler,
            arguments.host,
            arguments.port,
            unix=arguments.unix,
            hostname=arguments.hostname,
            implicit_tls=arguments.implicit_tls,
            auth=_auth(parser, arguments),
            **settings,
        )
    except ParseError as error:
        parser.error(f"--hostname: {error}")
    async with server:
        say(f"listening on {_where(server)}")
        await told.wait()
        _end_within(_GRACE + 0.5)
        await server.close(_GRACE)


def _end_within(limit: float) -> None:
    # A thread that writes to a pipe which nobody reads, or to a dead disk, cannot be cancelled; Python waits for it.
    watchdog = threading.Timer(limit, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()


def _where(server: Server) -> str:
    address = server.addresses[0]
    if isinstance(address, str):
        return f"unix:{address}"
    host, number = address
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


class _Complaints(logging.Handler):
    """Says in one line what the server logs, such as a message that could not be stored."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        complain(f"{record.getMessage()}: {one_line(error)}" if error is not None else record.getMessage())


class _Sessions:
    """Numbers the sessions, so that lines of one can be told from those of another."""

    def __init__(self) -> None:
        self._count = 0

    def transcript(self) -> Transcript:
        """What shows the next session."""
        self._count += 1
        number = self._count
        return Transcript(lambda line: show(f"[{number}] {line}"), keep=False)
