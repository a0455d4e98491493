"""The replies that a server connection gives by itself, each beside the rule that asks for it."""

from smtpkit.wire.replies import Reply
from smtpkit.wire.status import EnhancedStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# The enhanced status code of a refusal that came without one, where its code has but one meaning.  No other is
# made up: who reads 5.1.1 takes the address for dead.
_USUAL_STATUS = {
    432: "4.7.12",  # RFC 4954 section 6
    451: "4.3.0",  # the registry of RFC 5248, as the next
    452: "4.3.1",
    454: "4.7.0",  # RFC 4954 section 6
    455: "4.5.4",  # no standard's: as 555
    502: "5.5.1",  # no standard's: as 500 and 503
    503: "5.5.1",  # the registry of RFC 5248
    504: "5.5.4",  # RFC 4954 section 4
    521: "5.3.2",  # RFC 7504
    530: "5.7.0",  # RFC 4954 section 6, as the next three
    534: "5.7.9",
    535: "5.7.8",
    538: "5.7.11",
    555: "5.5.4",  # the registry of RFC 5248
    556: "5.1.10",  # RFC 7505
}

# Positive
MAIL_OK = Reply(250, "Sender ok", "2.1.0")
RCPT_OK = Reply(250, "Recipient ok", "2.1.5")
START_DATA = Reply(354, "Send the message, end it with a line that is a single dot")
MESSAGE_ACCEPTED = Reply(250, "Message accepted", "2.0.0")
CHUNK_OK = Reply(250, "Chunk ok", "2.0.0")  # RFC 3030 section 2
OK = Reply(250, "Ok", "2.0.0")
READY_FOR_TLS = Reply(220, "Ready to start TLS", "2.0.0")  # RFC 3207 section 4
AUTHENTICATED = Reply(235, "Authenticated", "2.7.0")  # RFC 4954 section 4
CANNOT_VERIFY = Reply(252, "Cannot verify, but will take a message and try to deliver it", "2.5.0")  # RFC 5321 3.5.3
CANNOT_VERIFY_IN_ASCII = Reply(252, "Cannot verify without SMTPUTF8", "2.6.8")  # RFC 6531 section 3.7.4.2

# Commands
UNKNOWN_COMMAND = Reply(500, "Command not recognized", "5.5.1")  # RFC 5321 section 4.2.4, as the next
NOT_IMPLEMENTED = Reply(502, "Command not implemented", "5.5.1")
BAD_SEQUENCE = Reply(503, "Bad sequence of commands", "5.5.1")  # RFC 5321 section 4.1.4
HELLO_FIRST = Reply(503, "Say hello first", "5.5.1")  # the same, as the next two and NESTED_MAIL
NEED_MAIL = Reply(503, "MAIL first", "5.5.1")
NEED_RCPT = Reply(503, "RCPT first", "5.5.1")
NO_VALID_RECIPIENTS = Reply(554, "No valid recipients", "5.5.1")  # RFC 5321 section 3.3
NESTED_MAIL = Reply(503, "A transaction is open already", "5.5.1")
MOVED = Reply(550, "No such mailbox here", "5.1.6")  # RFC 6531 section 3.7.4.1
NEEDS_UTF8 = Reply(550, "The answer needs SMTPUTF8", "5.6.8")  # RFC 6531 section 3.7.4.2
LINE_TOO_LONG = Reply(500, "Line too long", "5.5.2")  # RFC 5321 section 4.5.3.1.4
UNKNOWN_ATTRIBUTE = Reply(501, "Unknown attribute", "5.5.4")  # of XCLIENT or XFORWARD (Postfix's documents of both)
UNKNOWN_PARAMETER = Reply(555, "Parameter not recognized", "5.5.4")  # RFC 5321 section 4.1.1.11
NO_SERVICE = Reply(554, "No service here", "5.3.2")  # RFC 5321 section 3.1
NOT_MAIL = Reply(421, "This is a mail server", "4.7.0")

# Content
TOO_LARGE = Reply(552, "Message exceeds the maximum size", "5.3.4")  # RFC 1870 section 6.1
BARE_NEWLINE = Reply(550, "Message contains a bare CR, a bare LF or NUL", "5.6.0")  # RFC 5321 section 2.3.8
BINARY_NEEDS_BDAT = Reply(503, "BODY=BINARYMIME needs BDAT", "5.5.1")  # RFC 3030 section 3

# Limits, of this side's own (see `Limits`); the session ends as RFC 5321 section 3.8 allows
TOO_MANY_ERRORS = Reply(421, "Too many errors", "4.7.0")
TOO_MANY_IN_A_ROW = Reply(421, "Too many errors in a row", "4.7.0")
TOO_MANY_COMMANDS = Reply(421, "Too many commands", "4.7.0")
TOO_MANY_TRANSACTIONS = Reply(421, "Too many transactions", "4.7.0")
TOO_MANY_RECIPIENTS = Reply(452, "Too many recipients", "4.5.3")  # RFC 5321 section 4.5.3.1.10
TOO_MANY_CONNECTIONS = Reply(421, "Too many connections", "4.3.2")
IDLE_TOO_LONG = Reply(421, "Idle for too long", "4.4.2")
SESSION_TOO_LONG = Reply(421, "The session has lasted too long", "4.4.2")
TOO_SLOW = Reply(421, "Content comes too slowly", "4.4.2")
TOO_MUCH_OF_ADDRESS = Reply(421, "Too much from your address, try again later", "4.7.0")
SHUTTING_DOWN = Reply(421, "Service is shutting down", "4.3.2")  # RFC 5321 section 3.8
INTERNAL_ERROR = Reply(451, "Internal error, try again later", "4.3.0")
NO_SESSION = Reply(421, "Internal error, try again later", "4.3.0")
HANDLER_TOO_LONG = Reply(451, "This took too long here, try again later", "4.3.0")
HANDLER_HANGS = Reply(421, "This took too long here, try again later", "4.3.0")

# TLS and AUTH
NEED_TLS = Reply(530, "Must issue a STARTTLS command first", "5.7.0")  # RFC 3207 section 4
NO_TLS_NOW = Reply(454, "TLS is not available now", "4.7.0")  # RFC 3207 section 4
TLS_ACTIVE = Reply(503, "TLS is active already", "5.5.1")  # RFC 3207 section 4.2
EARLY = Reply(554, "Octets came before the greeting", "5.5.0")  # RFC 5321 section 4.3.1
INJECTED = Reply(554, "Octets followed STARTTLS in clear", "5.5.0")  # RFC 3207 section 4.2
NEED_AUTH = Reply(530, "Authentication required", "5.7.0")  # RFC 4954 section 6
AUTHENTICATED_ALREADY = Reply(503, "Authenticated already", "5.5.1")  # RFC 4954 section 4
UNKNOWN_MECHANISM = Reply(504, "Mechanism not available", "5.5.4")  # RFC 4954 section 4
CREDENTIALS_INVALID = Reply(535, "Authentication credentials invalid", "5.7.8")  # RFC 4954 section 6
LOGIN_UNAVAILABLE = Reply(454, "Authentication is not available now", "4.7.0")  # RFC 4954 section 6
AUTH_CANCELLED = Reply(501, "Authentication cancelled", "5.7.0")  # RFC 4954 section 4
AUTH_SYNTAX = Reply(501, "Not a valid response", "5.5.2")  # RFC 4954 section 4
AUTH_LINE_TOO_LONG = Reply(500, "Authentication exchange line too long", "5.5.6")  # RFC 4954 section 4
TOO_MANY_LOGINS = Reply(421, "Too many failed logins", "4.7.0")

# The PROXY header; the peer does not hear these, which are for the log
BAD_PROXY_HEADER = Reply(421, "The PROXY header cannot be read", "4.7.0")
NOT_A_PROXY = Reply(421, "No PROXY header is taken of this address", "4.7.0")

# By the name of each limit that a connection keeps, or its driver, what says that it is reached
LIMIT_REPLIES: "dict[str, tuple[Reply, ...]]" = {
    "line": (LINE_TOO_LONG, AUTH_LINE_TOO_LONG),
    "commands": (TOO_MANY_COMMANDS,),
    "errors": (TOO_MANY_ERRORS,),
    "errors_in_a_row": (TOO_MANY_IN_A_ROW,),
    "recipients": (TOO_MANY_RECIPIENTS,),
    "transactions": (TOO_MANY_TRANSACTIONS,),
    "max_message_size": (TOO_LARGE,),
    "attempts": (TOO_MANY_LOGINS,),
    "idle": (IDLE_TOO_LONG,),
    "total": (SESSION_TOO_LONG,),
    "minimum_rate": (TOO_SLOW,),
}


def greeting(hostname: str, *, lmtp: bool) -> Reply:
    """What is said first (RFC 5321 section 4.2, RFC 2033 section 4.1)."""
    return Reply(220, f"{hostname} {'LMTP' if lmtp else 'ESMTP'}")


def hello(hostname: str) -> Reply:
    """The answer to HELO (RFC 5321 section 4.1.1.1)."""
    return Reply(250, hostname)


def commands(verbs: "Iterable[str]") -> Reply:
    """The answer to HELP (RFC 5321 section 4.1.1.8)."""
    return Reply(214, f"Commands: {' '.join(verbs)}", "2.0.0")


def farewell(hostname: str) -> Reply:
    """The answer to QUIT (RFC 5321 section 4.1.1.10)."""
    return Reply(221, f"{hostname} closing", "2.0.0")


def usual_status(code: int) -> EnhancedStatus:
    """The enhanced status code of a reply of which no more than its code is known."""
    return EnhancedStatus.parse(_USUAL_STATUS.get(code) or f"{code // 100}.0.0")


def without_status(reply: Reply) -> Reply:
    """The same reply as an answer to EHLO, HELO or LHLO, where no enhanced status code may be (RFC 2034 section 4)."""
    return reply if reply.enhanced is None else Reply(reply.code, reply.lines)
