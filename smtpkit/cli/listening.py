"""The options of `smtpkit serve` that say where it listens, behind whom, and under which certificates."""

from smtpkit.asyncio import Certificates, Listener
from smtpkit.cli.parser import permissions, port, positive

__all__ = ["certificates", "configure", "listeners", "network"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from smtpkit.cli.parser import Parser

_HOST, _PORT = "127.0.0.1", 8025


def configure(parser: "Parser") -> None:
    """Add the options."""
    _configure_endpoints(parser)
    _configure_tls(parser)


def listeners(arguments: "Namespace") -> list[Listener]:
    """The endpoints.

    Raises:
        OSError: --systemd, and no socket was handed over.
    """
    made = Listener.inherited() if arguments.systemd else []
    if arguments.unix is not None:
        made.append(Listener(unix=arguments.unix, mode=arguments.unix_mode, implicit_tls=arguments.implicit_tls))
    hosts = arguments.host or [_HOST]
    if arguments.host or arguments.port is not None or not made:
        number = _PORT if arguments.port is None else arguments.port
        made += [Listener(host, number, implicit_tls=arguments.implicit_tls) for host in hosts]
    if arguments.implicit_tls_port is not None:
        made += [Listener(host, arguments.implicit_tls_port, implicit_tls=True) for host in hosts]
    return made


def certificates(parser: "Parser", arguments: "Namespace") -> Certificates | None:
    """What `tls=` is."""
    given, keys = arguments.tls_cert or [], arguments.tls_key or []
    for name in ("tls_key", "implicit_tls", "implicit_tls_port", "require_tls", "tls_client_ca"):
        if not given and getattr(arguments, name) not in (None, False):
            parser.error(f"--{name.replace('_', '-')} needs --tls-cert")
    if arguments.tls_client_required and arguments.tls_client_ca is None:
        parser.error("--tls-client-required needs --tls-client-ca")
    if not given:
        return None
    if keys and len(keys) != len(given):
        parser.error("where keys have files of their own, there is one --tls-key for each --tls-cert")
    pairs = zip(given, keys or [None] * len(given), strict=True)
    return Certificates(*pairs, client_cafile=arguments.tls_client_ca, client_required=arguments.tls_client_required)


def network(parser: "Parser", arguments: "Namespace") -> "dict[str, Any]":
    """The arguments of `serve()` for all these but the endpoints themselves."""
    if arguments.unix_mode is not None and arguments.unix is None:
        parser.error("--unix-mode needs --unix")
    if arguments.proxy_protocol and arguments.trust is None:
        parser.error("--proxy-protocol needs --trust, the address of the proxy: anybody could say who he is")
    settings: dict[str, Any] = {
        "lmtp": arguments.lmtp,
        "hostname": arguments.hostname,
        "proxy_protocol": arguments.proxy_protocol,
        "trusted": arguments.trust,
        "tls": certificates(parser, arguments),
    }
    if arguments.require_tls:
        settings["require_tls"] = True
    return settings


def _configure_endpoints(parser: "Parser") -> None:
    where = parser.group("where to listen")
    where.add_argument(
        "--host", action="append", help=f'address or name, "" for every address; repeatable (default: {_HOST})'
    )
    where.add_argument("--port", type=port, help=f"TCP port; 0 for a free one (default: {_PORT})")
    where.add_argument(
        "--implicit-tls-port", type=port, metavar="PORT", help="TLS from the first octet here, beside --port"
    )
    where.add_argument(
        "--unix", metavar="PATH", help="a unix socket; in place of TCP, unless --host or --port is given"
    )
    where.add_argument("--unix-mode", type=permissions, metavar="MODE", help="its permissions in octal, such as 660")
    where.add_argument(
        "--systemd",
        action="store_true",
        help="the sockets that it was started with; those named smtps or submissions have TLS from the first octet",
    )
    where.add_argument("--workers", type=positive, default=1, metavar="N", help="processes that share the work")
    where.add_argument("--lmtp", action="store_true", help="speak LMTP")
    where.add_argument("--hostname", help="what the server calls itself")
    where.add_argument(
        "--proxy-protocol", action="store_true", help="a PROXY header comes first on each connection; with --trust"
    )
    where.add_argument(
        "--trust",
        action="append",
        metavar="ADDRESS",
        help="address or network whose word about others is taken: PROXY headers come from these alone, and they may"
        ' say XCLIENT and XFORWARD; "unix" for unix sockets; repeatable',
    )


def _configure_tls(parser: "Parser") -> None:
    tls = parser.group("TLS")
    tls.add_argument(
        "--tls-cert",
        action="append",
        metavar="F",
        help="certificate in PEM, with what leads to its authority; repeatable: a client gets that of the name it asks"
        " for, else the first; SIGHUP has all read anew",
    )
    tls.add_argument("--tls-key", action="append", metavar="F", help="its key, if it is in a file of its own")
    tls.add_argument("--implicit-tls", action="store_true", help="TLS from the first octet, in place of STARTTLS")
    tls.add_argument("--require-tls", action="store_true", help="refuse mail in clear")
    tls.add_argument("--tls-client-ca", metavar="F", help="ask clients for a certificate of these authorities")
    tls.add_argument("--tls-client-required", action="store_true", help="let nobody in without one")
