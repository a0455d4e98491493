"""The options of `smtpkit serve` that say what is done with mail, and the handler that they make."""

import os
import shlex

from smtpkit.cli.parser import positive, seconds

__all__ = ["configure", "handler", "relay_password"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from smtpkit.cli.parser import Parser

# The options that change what a store keeps, or how a program or a relay is run, and the targets that they go with.
_GOES_WITH = {
    "crlf": ("maildir", "exec"),
    "no_trace": ("maildir", "mbox", "exec"),
    "max_hops": ("maildir", "mbox", "eml_dir", "exec", "relay"),
    "no_dot_lock": ("mbox",),
    "exec_timeout": ("exec",),
    "forward_client": ("relay",),
}


def configure(parser: "Parser") -> None:
    """Add the options."""
    group = parser.group("what to do with mail")
    target = group.exclusive()
    target.add_argument("--maildir", metavar="DIR", help="store each message in this Maildir")
    target.add_argument("--mbox", metavar="FILE", help="append each message to this file (mboxrd)")
    target.add_argument("--eml-dir", metavar="DIR", help="store each message as NAME.eml, its envelope as NAME.json")
    target.add_argument(
        "--exec", metavar="PROGRAM", help="run this for each message, with arguments perhaps; no shell is involved"
    )
    target.add_argument("--relay", metavar="URL", help="pass each message on to this server while it comes")
    target.add_argument("--print", action="store_true", help="show each message")
    group.add_argument("--crlf", action="store_true", help="store line ends as they came, not as LF")
    group.add_argument("--no-trace", action="store_true", help="store without Return-Path, Delivered-To and Received")
    group.add_argument(
        "--max-hops", type=positive, metavar="N", help="Received fields with which a message is refused (default: 100)"
    )
    group.add_argument(
        "--no-dot-lock", action="store_true", help="lock FILE by fcntl alone, where no FILE.lock can be made beside it"
    )
    group.add_argument("--exec-timeout", type=seconds, metavar="S", help="seconds that PROGRAM may take (default: 60)")
    group.add_argument(
        "--forward-client", action="store_true", help="tell the server of --relay whose mail it is (XCLIENT, XFORWARD)"
    )


def handler(parser: "Parser", arguments: "Namespace") -> "Any":
    """What `smtpkit.asyncio.serve()` takes for the options.

    Raises:
        OSError: the store cannot be written to, or there is no such program.
    """
    _check(parser, arguments)
    options: dict[str, Any] = {} if arguments.max_hops is None else {"most_hops": arguments.max_hops}
    if arguments.relay is not None:
        return _relay(parser, arguments, options)
    from smtpkit.stores import EmlDirectory, Exec, Maildir, Mbox, Printing

    trace = not arguments.no_trace
    if arguments.maildir is not None:
        return Maildir(arguments.maildir, crlf=arguments.crlf, trace=trace, **options)
    if arguments.mbox is not None:
        return Mbox(arguments.mbox, trace=trace, dot_lock=not arguments.no_dot_lock, **options)
    if arguments.eml_dir is not None:
        return EmlDirectory(arguments.eml_dir, **options)
    if arguments.exec is not None:
        if arguments.exec_timeout is not None:
            options["timeout"] = arguments.exec_timeout
        return Exec(_words(parser, arguments.exec), crlf=arguments.crlf, trace=trace, **options)
    return Printing()


def relay_password(url: str) -> "tuple[str, str] | None":
    """The login of a URL that names a user without a password, which is then SMTPKIT_PASSWORD in the environment."""
    from smtpkit.protocol.target import Target

    given = Target.parse(url).credentials
    password = os.environ.get("SMTPKIT_PASSWORD")
    if given is None or given.password is not None or not isinstance(given.username, str) or not password:
        return None
    return given.username, password


def _check(parser: "Parser", arguments: "Namespace") -> None:
    chosen = next((name for name in _targets() if getattr(arguments, name) is not None), "print")
    for name, targets in _GOES_WITH.items():
        if getattr(arguments, name) not in (None, False) and chosen not in targets:
            options = " or ".join(_option(each) for each in targets)
            parser.error(f"{_option(name)} goes with {options}, not with {_option(chosen)}")


def _targets() -> list[str]:
    return list(dict.fromkeys(target for targets in _GOES_WITH.values() for target in targets))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _words(parser: "Parser", command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        parser.error(f"--exec: {error}")
    return words or parser.error("--exec wants a program")


def _relay(parser: "Parser", arguments: "Namespace", options: "dict[str, Any]") -> "Any":
    from smtpkit.asyncio import Relay

    try:
        auth = relay_password(arguments.relay)
        return Relay(arguments.relay, forward_client=arguments.forward_client, auth=auth, **options)
    except ValueError as error:
        parser.error(f"--relay: {error}")
