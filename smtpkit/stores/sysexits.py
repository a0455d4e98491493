"""The table from what a program's exit status means by <sysexits.h> to the reply that a client gets."""

from smtpkit.wire.replies import Reply

__all__ = ["SYSEXITS", "reply_to_status"]

_UNEXPECTED = Reply(451, "The program that takes mail here failed", "4.3.0")

SYSEXITS: "dict[int, tuple[str, Reply]]" = {
    64: ("EX_USAGE", Reply(451, "The program that takes mail here was called wrongly", "4.3.5")),
    65: ("EX_DATAERR", Reply(554, "The message is not in the form that is taken here", "5.6.0")),
    66: ("EX_NOINPUT", Reply(451, "The program that takes mail here lacks input", "4.3.0")),
    67: ("EX_NOUSER", Reply(550, "No such user here", "5.1.1")),
    68: ("EX_NOHOST", Reply(550, "No such host", "5.1.2")),
    69: ("EX_UNAVAILABLE", Reply(554, "The service is not available", "5.3.0")),
    70: ("EX_SOFTWARE", Reply(451, "The program that takes mail here failed", "4.3.0")),
    71: ("EX_OSERR", Reply(451, "Operating system error", "4.3.0")),
    72: ("EX_OSFILE", Reply(451, "A file of the system is missing", "4.3.5")),
    73: ("EX_CANTCREAT", Reply(452, "The message cannot be stored", "4.3.1")),
    74: ("EX_IOERR", Reply(451, "Input/output error", "4.3.0")),
    75: ("EX_TEMPFAIL", Reply(451, "Try again later", "4.3.0")),
    76: ("EX_PROTOCOL", Reply(451, "Protocol error behind this server", "4.5.0")),
    77: ("EX_NOPERM", Reply(550, "Permission denied", "5.7.1")),
    78: ("EX_CONFIG", Reply(451, "The program that takes mail here is not set up", "4.3.5")),
}
"""Exit status to its name and the reply; faults of the operator's own are answered 4xx, so that no mail bounces."""


def reply_to_status(status: int) -> Reply | None:
    """The reply to a program's exit status; None if it took the message.

    Args:
        status: as `Popen.returncode` has it: negative for a signal.
    """
    if status == 0:
        return None
    return SYSEXITS[status][1] if status in SYSEXITS else _UNEXPECTED
