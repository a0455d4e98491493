"""The command line: finds the command, runs it, and turns what went wrong into one line and an exit status."""

import sys

from smtpkit.cli.output import complain, settle
from smtpkit.cli.parser import Parser
from smtpkit.errors import SMTPError

__all__ = ["COMMANDS", "main"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Each is a module beside this one, imported when it is wanted.
COMMANDS = {
    "demo": "send a message through a server of its own, and show the session",
    "serve": "receive mail, and store or show it",
    "send": "deliver a message to a server",
}

_FAILED = 1
_USAGE = 2
_INTERRUPTED = 130  # what a shell gives for SIGINT


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; None for those of the process.

    Returns:
        The exit status.

    Raises:
        SystemExit: after --help and --version, and with status 2 where the arguments make no sense.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    settle()
    try:
        return _run(words)
    except KeyboardInterrupt:
        complain("interrupted")
        return _INTERRUPTED
    except ValueError as error:  # of a library function that was given what the user gave
        complain(error)
        return _USAGE
    except (OSError, SMTPError) as error:
        complain(error)
        return _FAILED
    finally:
        settle()


def _run(words: list[str]) -> int:
    name = words[0] if words else ""
    if name not in COMMANDS:
        _overview().parse_args(words)
        _overview().error(f"say what to do: {', '.join(COMMANDS)}")
    command = __import__(f"smtpkit.cli.{name}", fromlist=["run"])
    parser = Parser(prog=f"smtpkit {name}", description=f"{COMMANDS[name].capitalize()}.", epilog=command.EPILOG)
    command.configure(parser)
    if hasattr(command, "expand"):
        words = [name, *command.expand(parser, words[1:])]
    # "Intermixed" takes a FILE that stands behind or between options.
    status: int = command.run(parser, parser.parse_intermixed_args(words[1:]))
    return status


def _overview() -> Parser:
    from smtpkit import __version__

    parser = Parser(
        prog="smtpkit",
        description="SMTP and LMTP from the command line.",
        epilog="commands:\n" + "".join(f"  {name:8}{what}\n" for name, what in COMMANDS.items()),
    )
    parser.add_argument("--version", action="version", version=f"smtpkit {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="what to do; COMMAND --help says more")
    return parser
