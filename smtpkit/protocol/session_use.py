"""What a client has used of the limits that a server states for one session (RFC 9422)."""

from smtpkit.errors import NotSupported

__all__ = ["SessionUse"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from smtpkit.wire.commands import Rcpt


class SessionUse:
    """Counts of one session; RCPTMAX is a matter of each transaction, and is kept elsewhere.

    Attributes:
        mails: transactions begun.
        domains: of the recipients, where RCPTDOMAINMAX is stated.
    """

    __slots__ = ("domains", "mails")

    def __init__(self) -> None:
        self.mails = 0
        self.domains: set[str] = set()

    def exhausted(self, limits: "Mapping[str, int]") -> bool:
        """Whether the session takes no further MAIL (MAILMAX)."""
        return self.mails >= limits.get("MAILMAX", self.mails + 1)

    def begin(self, limits: "Mapping[str, int]", recipients: "Iterable[Rcpt]") -> None:
        """Count a transaction before it begins.

        Args:
            limits: as the server's last EHLO states them.
            recipients: of this transaction.

        Raises:
            NotSupported: it would be one too many, or to too many domains (MAILMAX, RCPTDOMAINMAX); another
                connection can take it.
        """
        if limits:
            if self.exhausted(limits):
                raise _refused(f"the server takes {limits['MAILMAX']} messages in one session")
            most = limits.get("RCPTDOMAINMAX")
            if most is not None:
                domains = self.domains | {each.forward_path.domain.lower() for each in recipients}
                if len(domains) > most:
                    raise _refused(f"the server takes recipients at {most} domains in one session")
                self.domains = domains
        self.mails += 1


def _refused(reason: str) -> NotSupported:
    error = NotSupported(f"{reason}; connect again for more", extension="LIMITS")
    error.may_retry = True
    return error
