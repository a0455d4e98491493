"""The envelope of a message: who sends it and who is to get it, as MAIL and RCPT say."""

from collections.abc import Mapping

from smtpkit.errors import ParseError
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.value import Value

__all__ = ["Envelope", "forward_path", "reverse_path"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    Parameters = Mapping[str, Any]


class Envelope(Value):
    """Reverse-path, forward-paths, and the ESMTP parameters of each (RFC 5321 section 2.3.1).

    Args:
        sender: a Mailbox, or str; None, "" and "<>" are the null reverse-path.
        recipients: each a Mailbox or str.
        mail_parameters: upper-case keyword to typed value.
        rcpt_parameters: one mapping for each recipient, or one mapping for all of them.

    Raises:
        ParseError: an address is not in the grammar, or the parameters do not match the recipients.
    """

    __slots__ = ("sender", "recipients", "mail_parameters", "rcpt_parameters")

    def __init__(
        self,
        sender: Mailbox | str | None,
        recipients: "Iterable[Mailbox | str]",
        mail_parameters: "Parameters | None" = None,
        rcpt_parameters: "Parameters | Sequence[Parameters] | None" = None,
    ) -> None:
        self.sender = reverse_path(sender)
        self.recipients = tuple(map(forward_path, recipients))
        self.mail_parameters: Parameters = dict(mail_parameters or {})
        self.rcpt_parameters: tuple[Parameters, ...]
        if rcpt_parameters is None:
            self.rcpt_parameters = ({},) * len(self.recipients)
            return
        if isinstance(rcpt_parameters, Mapping):
            rcpt_parameters = (rcpt_parameters,) * len(self.recipients)
        self.rcpt_parameters = tuple(map(dict, rcpt_parameters))
        if len(self.rcpt_parameters) != len(self.recipients):
            raise ParseError("not as many rcpt_parameters as recipients", expected="one mapping, or one for each")

    @classmethod
    def _trusted(
        cls,
        sender: Mailbox | None,
        recipients: "Iterable[Mailbox]",
        mail_parameters: "Parameters",
        rcpt_parameters: "Iterable[Parameters]",
    ) -> "Envelope":
        """One of values that were checked before, as a server's connection has them."""
        envelope = object.__new__(cls)
        envelope.sender = sender
        envelope.recipients = tuple(recipients)
        envelope.mail_parameters = mail_parameters
        envelope.rcpt_parameters = tuple(rcpt_parameters)
        return envelope


def reverse_path(sender: Mailbox | str | None) -> Mailbox | None:
    """The mailbox of a reverse-path; None for the null one (RFC 5321 section 4.5.5)."""
    if sender is None or isinstance(sender, Mailbox):
        return sender
    return None if sender in ("", "<>") else Mailbox.parse(sender)


def forward_path(recipient: Mailbox | str) -> Mailbox:
    """The mailbox of a forward-path (RFC 5321 section 4.1.2)."""
    return recipient if isinstance(recipient, Mailbox) else Mailbox.parse(recipient)
