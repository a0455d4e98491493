"""The wire layer: octets to values and back, without state or I/O."""

from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.capabilities import Capabilities
from smtpkit.wire.capability_values import HoldLimits
from smtpkit.wire.commands import (
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Etrn,
    Expn,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTLS,
    UnknownCommand,
    Vrfy,
    XClient,
    XForward,
    parse_command,
)
from smtpkit.wire.dialect import Dialect
from smtpkit.wire.dots import DotStuffer, DotUnstuffer, dot_stuff, dot_unstuff
from smtpkit.wire.parameter_values import DeliverBy, MessageTracking, OriginalRecipient, ValidSince
from smtpkit.wire.parameters import ParameterCodec
from smtpkit.wire.replies import Reply, parse_reply
from smtpkit.wire.status import EnhancedStatus

__all__ = [
    "Auth",
    "Bdat",
    "Capabilities",
    "Command",
    "Data",
    "DeliverBy",
    "Dialect",
    "DotStuffer",
    "DotUnstuffer",
    "Ehlo",
    "EnhancedStatus",
    "Etrn",
    "Expn",
    "Helo",
    "Help",
    "HoldLimits",
    "Lhlo",
    "Mail",
    "Mailbox",
    "MessageTracking",
    "Noop",
    "OriginalRecipient",
    "ParameterCodec",
    "Quit",
    "Rcpt",
    "Reply",
    "Rset",
    "StartTLS",
    "UnknownCommand",
    "ValidSince",
    "Vrfy",
    "XClient",
    "XForward",
    "dot_stuff",
    "dot_unstuff",
    "parse_command",
    "parse_reply",
]
