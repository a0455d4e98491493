"""What `smtpkit send` sends: a file as it is, or a message made of the arguments; and whom it is from and to."""

import sys
from errno import EBADF
from itertools import chain

from smtpkit.errors import ParseError
from smtpkit.protocol.composition import recipients_in, sender_in
from smtpkit.wire.addresses import Mailbox

__all__ = ["NotUsable", "Outgoing", "outgoing"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from contextlib import ExitStack
    from email.message import EmailMessage
    from typing import Any, BinaryIO

    from smtpkit.protocol.results import SendResult
    from smtpkit.sync import Client

_BLOCK = 64 * 1024
_OCTETS = "application/octet-stream"
_LONGEST_HEADER = 1024 * 1024  # octets; what has no end by then is no header


class NotUsable(ValueError):
    """The arguments, or the header that has to stand in for them, make no message; status 2."""


class Outgoing:
    """A message with its envelope.

    Attributes:
        sender: the reverse-path; "" for the null one.
        recipients: the forward-paths.
    """

    def __init__(self, sender: str, recipients: list[str], content: "Any") -> None:
        self.sender = sender
        self.recipients = recipients
        self._content = content  # an EmailMessage, a binary file, or an iterable of bytes

    def send(self, client: "Client") -> "SendResult":
        """Send it.

        Raises:
            SMTPError: as `Client.send()`.
        """
        if hasattr(self._content, "as_bytes"):
            return client.send_message(self._content, self.sender, self.recipients)
        return client.send(self.sender, self.recipients, self._content)


def outgoing(arguments: "Namespace", resources: "ExitStack") -> Outgoing:
    """The message that the arguments ask for.

    Args:
        arguments: `sender`, `to`, `file`, `subject`, `body`, `attach`.
        resources: closes what is opened here.

    Raises:
        NotUsable: they make no message.
        OSError: a file cannot be read.
    """
    sender = None if arguments.sender is None else _checked("--from", arguments.sender, null=True)
    recipients = [_checked("--to", address) for address in arguments.to or ()]
    is_made = not all(each is None for each in (arguments.subject, arguments.body, arguments.attach))
    if not is_made:
        return _from_file(_opened(arguments.file, resources), sender, recipients)
    if arguments.file is not None and (arguments.file != "-" or arguments.body is not None):
        raise NotUsable("FILE is a message; --subject, --body and --attach make another")
    if not sender or not recipients:
        raise NotUsable("a message to be made needs --from, with an address, and --to")
    return Outgoing(sender, recipients, _made(arguments, sender, recipients))


def _checked(option: str, address: str, *, null: bool = False) -> str:
    if null and address in ("", "<>"):
        return ""
    try:
        Mailbox.parse(address)
    except ParseError as error:
        raise NotUsable(f"{option}: {error}") from error
    return address


def _opened(name: str | None, resources: "ExitStack") -> "BinaryIO":
    if name is None or name == "-":
        return _standard_input()
    return resources.enter_context(open(name, "rb"))


def _standard_input() -> "BinaryIO":
    if sys.stdin is None:
        raise OSError(EBADF, "closed", "standard input")
    return sys.stdin.buffer


# A file


def _from_file(file: "BinaryIO", sender: str | None, recipients: list[str]) -> Outgoing:
    if sender is not None and recipients:
        return Outgoing(sender, recipients, file)
    start = file.tell() if file.seekable() else None
    head = _head(file)
    header = _parsed(head)
    try:
        sender = sender if sender is not None else sender_in(header)
        wanted = recipients or recipients_in(header)
    except ParseError as error:
        raise NotUsable(f"{error}; or use --from and --to") from error
    public = head if recipients else _without_bcc(head)
    if public is head and start is not None:
        file.seek(start)  # a file that can be read twice is sent with its size
        return Outgoing(sender, wanted, file)
    return Outgoing(sender, wanted, chain([b"".join(public)], _blocks(file)))


def _head(file: "BinaryIO") -> list[bytes]:
    """The lines of the header, the empty line behind it included."""
    lines: list[bytes] = []
    left = _LONGEST_HEADER
    while left and (line := file.readline(left)):
        lines.append(line)
        left -= len(line)
        if line in (b"\n", b"\r\n"):
            break
    return lines


def _parsed(head: list[bytes]) -> "EmailMessage":
    from email import message_from_bytes
    from email.policy import default

    return message_from_bytes(b"".join(head), policy=default)


def _without_bcc(head: list[bytes]) -> list[bytes]:
    # The same list if there is none; a field goes with the lines that continue it.
    kept, private = [], False
    for line in head:
        if line[:1] not in b" \t":
            private = line.partition(b":")[0].strip().lower() in (b"bcc", b"resent-bcc")
        if not private:
            kept.append(line)
    return kept if len(kept) < len(head) else head


def _blocks(file: "BinaryIO") -> "Iterator[bytes]":
    while block := file.read(_BLOCK):
        yield block


# A message to be made


def _made(arguments: "Namespace", sender: str, recipients: list[str]) -> "EmailMessage":
    from email.message import EmailMessage
    from email.utils import localtime, make_msgid

    body = arguments.body if arguments.body is not None else _standard_input().read().decode()
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = arguments.subject or ""
    message["Date"] = localtime()
    # With the sender's domain: to ask for this host's full name may take seconds.
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].strip("[]") or "localhost")
    message.set_content(body)
    for name in arguments.attach or ():
        _attach(message, name)
    return message


def _attach(message: "EmailMessage", name: str) -> None:
    from mimetypes import guess_type
    from os.path import basename

    kind, encoding = guess_type(name)
    main, _, sub = (kind if kind is not None and encoding is None else _OCTETS).partition("/")
    with open(name, "rb") as file:
        content = file.read()
    parameters = {}
    if main == "text" and _is_utf8(content):
        parameters["charset"] = "utf-8"
    elif main in ("text", "message", "multipart"):
        # Of unknown charset, or of a kind that may not be sent as base64 (RFC 2046 sections 5.1 and 5.2.1).
        main, _, sub = _OCTETS.partition("/")
    message.add_attachment(content, maintype=main, subtype=sub, filename=basename(name), params=parameters)


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
