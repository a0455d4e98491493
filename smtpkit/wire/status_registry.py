"""What enhanced status codes and reply codes mean, and what to do about them, as data.

The codes are those of IANA's "SMTP Enhanced Status Codes" registry (RFC 5248) and of RFC 5321; the words
are this project's own.  Nothing else of `smtpkit.wire` imports this module.
"""

from smtpkit.wire.value import Value

__all__ = ["StatusMeaning", "describe", "describe_code", "registered_statuses"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from smtpkit.wire.status import EnhancedStatus

    Row = tuple[str, str, str, tuple[int, ...]]


class StatusMeaning(Value):
    """What a code says.

    Attributes:
        meaning: in words.
        remedy: what the sender of the message can do about it; "" if nothing need be done.
        source: the document that defines the code.
        basic_codes: the reply codes that an enhanced status code is registered with; empty if none are, and
            for a reply code.
    """

    __slots__ = ("meaning", "remedy", "source", "basic_codes")

    def __init__(self, meaning: str, remedy: str, source: str, basic_codes: tuple[int, ...] = ()) -> None:
        self.meaning = meaning
        self.remedy = remedy
        self.source = source
        self.basic_codes = basic_codes


def describe(status: "EnhancedStatus") -> StatusMeaning | None:
    """The meaning of an enhanced status code, whatever its class; None if it is not registered.

    An unknown detail may be read as detail 0 of its subject (RFC 3463 section 2).  Some large providers use
    registered codes in senses of their own: the text of the reply tells.
    """
    row = _STATUSES.get((status.subject, status.detail))
    return StatusMeaning(*row) if row is not None else None


def describe_code(code: int) -> StatusMeaning | None:
    """The meaning of a reply code; None if no standard names it, when its first digit alone counts."""
    row = _CODES.get(code)
    return StatusMeaning(*row) if row is not None else None


def registered_statuses() -> "Iterator[tuple[int, int]]":
    """The registered codes as pairs of subject and detail."""
    return iter(_STATUSES)


_ADDRESS = "Correct the address and send again."
_RETRY = "Send again later."
_ASK = "Ask the receiving site, by another way, to correct it."
_TEXT = "Read the text of the reply: the code says no more."
_REDUCE = "Make the message smaller, or send a link to what is large."
_CONVERT = "Send the message in a simpler form: plain ASCII, or MIME with 7-bit encodings."
_LOGIN = "Check user name and password."
_POLICY = "Read the text of the reply, which often names the rule or a page that explains it."
_DNS = "Correct the DNS records or the configuration of the sending host."
_SOFTWARE = "Report it to the makers of the sending or receiving software."

_STATUSES: "dict[tuple[int, int], Row]" = {
    (0, 0): ("Something that no other code describes", _TEXT, "RFC 3463", ()),
    # Addresses
    (1, 0): ("Something about an address", _TEXT, "RFC 3463", ()),
    (1, 1): ("There is no such mailbox at the destination", _ADDRESS, "RFC 3463", (451, 550)),
    (1, 2): ("The domain of the recipient does not exist or takes no mail", _ADDRESS, "RFC 3463", ()),
    (1, 3): ("The address of the recipient is not well-formed", _ADDRESS, "RFC 3463", (501,)),
    (1, 4): ("The address of the recipient fits more than one mailbox", _ADDRESS, "RFC 3463", ()),
    (1, 5): ("The address of the recipient is valid", "", "RFC 3463", (250,)),
    (1, 6): ("The mailbox has moved and left no new address", "Find out the new address.", "RFC 3463", ()),
    (1, 7): ("The address of the sender is not well-formed", "Correct the sender's address.", "RFC 3463", ()),
    (1, 8): ("The domain of the sender does not exist or takes no mail", _DNS, "RFC 3463", (451, 501)),
    (1, 9): ("Handed on to a system that gives no tracking or status reports", "", "RFC 3886", ()),
    (1, 10): ("The domain of the recipient declares that it takes no mail", _ADDRESS, "RFC 7505", (556,)),
    # Mailboxes
    (2, 0): ("Something about the mailbox", _TEXT, "RFC 3463", ()),
    (2, 1): ("The mailbox exists and takes no mail", "Reach the recipient in another way.", "RFC 3463", ()),
    (2, 2): ("The mailbox is full", "Send again once the recipient has made room.", "RFC 3463", (552,)),
    (2, 3): ("The message is larger than this mailbox may take", _REDUCE, "RFC 3463", (552,)),
    (2, 4): ("The mailing list could not be expanded", "Tell the owner of the list.", "RFC 3463", (450, 452)),
    # Mail systems
    (3, 0): ("Something about the receiving system", _TEXT, "RFC 3463", (221, 250, 421, 451, 550, 554)),
    (3, 1): ("The receiving system has no room left", _RETRY, "RFC 3463", (452,)),
    (3, 2): ("The receiving system takes no mail now, or never does", _RETRY, "RFC 3463", (453, 521)),
    (3, 3): ("The receiving system lacks a feature that the message needs", _CONVERT, "RFC 3463", ()),
    (3, 4): ("The message is larger than the receiving system takes", _REDUCE, "RFC 3463", (552, 554)),
    (3, 5): ("The receiving system is not set up for this mail", _ASK, "RFC 3463", ()),
    (3, 6): ("Accepted, with another priority than was asked for", "", "RFC 6710", (250, 251)),
    # Network and routing
    (4, 0): ("Something about the network or the route", _TEXT, "RFC 3463", ()),
    (4, 1): ("The next host did not answer", _RETRY, "RFC 3463", (451,)),
    (4, 2): ("The connection broke or could not be used", _RETRY, "RFC 3463", (421,)),
    (4, 3): ("DNS or another directory gave no answer", _RETRY, "RFC 3463", (451, 550)),
    (4, 4): ("There is no route to the destination", "Check the MX records of the domain.", "RFC 3463", ()),
    (4, 5): ("The receiving system is overloaded", "Send again later, and more slowly.", "RFC 3463", (451,)),
    (4, 6): ("The message goes in a circle", "Check forwarding rules and MX records.", "RFC 3463", ()),
    (4, 7): ("The message could not be delivered in time", "Send it again if it still matters.", "RFC 3463", ()),
    # Protocol
    (5, 0): (
        "Something about the protocol",
        _TEXT,
        "RFC 3463",
        (220, 250, 251, 252, 253, 451, 452, 454, 458, 459, 501, 502, 503, 554),
    ),
    (5, 1): (
        "The command is unknown, or not allowed now",
        _SOFTWARE,
        "RFC 3463",
        (430, 500, 501, 503, 530, 550, 554, 555),
    ),
    (5, 2): ("The command is not well-formed", _SOFTWARE, "RFC 3463", (500, 501, 502, 550, 555)),
    (5, 3): ("Too many recipients at once", "Send to fewer at a time.", "RFC 3463", (451,)),
    (5, 4): ("A wrong or unknown argument", _SOFTWARE, "RFC 3463", (451, 501, 502, 503, 504, 550, 555)),
    (5, 5): ("The two sides speak different versions of the protocol", _SOFTWARE, "RFC 3463", ()),
    (5, 6): ("A line of the login is too long", _SOFTWARE, "RFC 4954", (500,)),
    # Content
    (6, 0): ("Something about the content of the message", _TEXT, "RFC 3463", ()),
    (6, 1): ("This kind of content is not accepted", _CONVERT, "RFC 3463", ()),
    (6, 2): ("The content would have to be converted, which is forbidden", _CONVERT, "RFC 3463", ()),
    (6, 3): ("The content would have to be converted, which is not possible", _CONVERT, "RFC 3463", (554,)),
    (6, 4): ("The content was converted, and something of it was lost", "", "RFC 3463", (250,)),
    (6, 5): ("The content could not be converted", _CONVERT, "RFC 3463", ()),
    (6, 6): ("The content to be fetched is not there", "Check the URL that was submitted.", "RFC 4468", (554,)),
    (6, 7): ("Addresses beyond ASCII are not taken here", "Use an ASCII address.", "RFC 6531", (550, 553)),
    (6, 8): ("The answer needs UTF-8, which the client did not allow", _SOFTWARE, "RFC 6531", (252, 550, 553)),
    (6, 9): ("A recipient cannot be sent a message with UTF-8 in its header", _CONVERT, "RFC 6531", (550,)),
    (6, 10): ("Deprecated: the same as X.6.8", _SOFTWARE, "RFC 6531", ()),
    # Security and policy
    (7, 0): (
        "Something about security",
        _POLICY,
        "RFC 3463",
        (220, 235, 450, 454, 500, 501, 503, 504, 530, 535, 550),
    ),
    (7, 1): ("The sender may not send this here", _POLICY, "RFC 3463", (451, 454, 502, 503, 533, 550, 551)),
    (7, 2): ("The sender may not post to this list", "Ask the owner of the list.", "RFC 3463", (550,)),
    (7, 3): ("A secured message would have to be converted, which is not possible", _CONVERT, "RFC 3463", ()),
    (7, 4): ("A security feature that the message needs is not available", _ASK, "RFC 3463", (504,)),
    (7, 5): ("Something failed in decrypting or verifying", _SOFTWARE, "RFC 3463", ()),
    (7, 6): ("The cryptographic algorithm is not available", "Use another algorithm.", "RFC 3463", ()),
    (7, 7): ("The message was changed on its way", _RETRY, "RFC 3463", ()),
    (7, 8): ("User name or password are wrong", _LOGIN, "RFC 4954", (535, 554)),
    (7, 9): ("This way to log in is too weak for this user", "Log in by a stronger mechanism.", "RFC 4954", (534,)),
    (7, 10): ("Encryption is needed", "Use TLS.", "RFC 5248", (523,)),
    (7, 11): ("This way to log in needs encryption", "Use TLS.", "RFC 4954", (524, 538)),
    (7, 12): ("The password must be set anew", "Log in once by PLAIN over TLS.", "RFC 4954", (422, 432)),
    (7, 13): ("The account is disabled", "Ask the provider of the account.", "RFC 5248", (525,)),
    (7, 14): ("The server must be trusted by a third one, and is not", _ASK, "RFC 4468", (535, 554)),
    (7, 15): ("The priority of the message is too low now", "Send again later.", "RFC 6710", (450, 550)),
    (7, 16): ("The message is too large for its priority", _REDUCE, "RFC 6710", (552,)),
    (7, 17): ("The mailbox has had another owner since", "Find out the new address.", "RFC 7293", (550,)),
    (7, 18): ("The domain has had another owner since", "Find out the new address.", "RFC 7293", (550,)),
    (7, 19): ("The owner since then cannot be told", "Send without that condition.", "RFC 7293", (550,)),
    (7, 20): ("No DKIM signature of the message verifies", _DNS, "RFC 7372", (550,)),
    (7, 21): ("No DKIM signature of the message is acceptable", _DNS, "RFC 7372", (550,)),
    (7, 22): ("No valid DKIM signature is by the author's domain", _DNS, "RFC 7372", (550,)),
    (7, 23): ("SPF does not allow this host to send for the domain", _DNS, "RFC 7372", (550,)),
    (7, 24): ("The SPF record could not be evaluated", _DNS, "RFC 7372", (451, 550)),
    (7, 25): ("The sending host has no valid reverse DNS", _DNS, "RFC 7372", (550,)),
    (7, 26): ("The message fails several checks of its origin", _DNS, "RFC 7372", (550,)),
    (7, 27): ("The domain of the sender declares that it takes no mail", _DNS, "RFC 7505", (550,)),
    (7, 28): ("The message looks like part of a flood of mail", _RETRY, "IANA registry", ()),
    (7, 29): ("The ARC chain of the message does not verify", _DNS, "RFC 8617", (550,)),
    (7, 30): ("REQUIRETLS is needed and not available on the way", _ASK, "RFC 8689", (550,)),
}

_CODES: "dict[int, Row]" = {
    code: (meaning, remedy, source, ())
    for code, meaning, remedy, source in (
        (211, "Status of the system, or help", "", "RFC 5321"),
        (214, "Help", "", "RFC 5321"),
        (220, "Ready", "", "RFC 5321"),
        (221, "Closing, as was asked", "", "RFC 5321"),
        (235, "Logged in", "", "RFC 4954"),
        (250, "Done", "", "RFC 5321"),
        (251, "The recipient is elsewhere; the message will be forwarded", "Note the new address.", "RFC 5321"),
        (252, "Cannot tell whether the mailbox exists; mail for it will be tried", "", "RFC 5321"),
        (253, "Messages are waiting, and their delivery begins", "", "RFC 1985"),
        (334, "The login goes on", "", "RFC 4954"),
        (353, "A reply for each recipient follows", "", "PRDR"),
        (354, "Send the message", "", "RFC 5321"),
        (355, "Send the message from an offset on", "", "RFC 1845"),
        (421, "The server closes the connection", _RETRY, "RFC 5321"),
        (432, "The password must be set anew", "Log in once by PLAIN over TLS.", "RFC 4954"),
        (450, "The mailbox is not available now, or the sender is asked to come again", _RETRY, "RFC 5321"),
        (451, "The server could not do it now", _RETRY, "RFC 5321"),
        (452, "No room, or too many recipients at once", "Send again later, or to fewer at a time.", "RFC 5321"),
        (453, "There is no mail to fetch", "", "RFC 2645"),
        (454, "TLS or the login does not work now", _RETRY, "RFC 3207, RFC 4954"),
        (455, "The parameters cannot be met now", _RETRY, "RFC 5321"),
        (458, "The waiting messages cannot be sent now", _RETRY, "RFC 1985"),
        (459, "Messages may not be sent to this node", _ASK, "RFC 1985"),
        (500, "The command is unknown, or its line too long", _SOFTWARE, "RFC 5321"),
        (501, "The arguments of the command are not well-formed", _SOFTWARE, "RFC 5321"),
        (502, "The command is not implemented", _SOFTWARE, "RFC 5321"),
        (503, "The command is out of order", _SOFTWARE, "RFC 5321"),
        (504, "A parameter or mechanism is not implemented", _SOFTWARE, "RFC 5321"),
        (521, "The host never takes mail", _ADDRESS, "RFC 7504"),
        (523, "Encryption is needed", "Use TLS.", "RFC 5248"),
        (524, "This way to log in needs encryption", "Use TLS.", "RFC 5248"),
        (525, "The account is disabled", "Ask the provider of the account.", "RFC 5248"),
        (530, "Log in, or begin TLS, first", "Use TLS and log in.", "RFC 4954, RFC 3207"),
        (533, "The sender may not send this here", _POLICY, "RFC 5248"),
        (534, "This way to log in is too weak", "Log in by a stronger mechanism.", "RFC 4954"),
        (535, "User name or password are wrong", _LOGIN, "RFC 4954"),
        (538, "This way to log in needs encryption", "Use TLS.", "RFC 4954"),
        (550, "There is no such mailbox, or a policy forbids it", _POLICY, "RFC 5321"),
        (551, "The recipient is elsewhere and the message is not forwarded", "Use the address named.", "RFC 5321"),
        (552, "The mailbox is over its quota, or the message too large", _REDUCE, "RFC 5321"),
        (553, "The address is not allowed", _ADDRESS, "RFC 5321"),
        (554, "The transaction failed, or there is no service here", _POLICY, "RFC 5321"),
        (555, "A parameter of MAIL or RCPT is not known", _SOFTWARE, "RFC 5321"),
        (556, "The domain of the recipient takes no mail", _ADDRESS, "RFC 7504"),
    )
}
