"""Which delivery status notifications a sender wants (RFC 3461)."""

from smtpkit.wire.value import Value

__all__ = ["DSN"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class DSN(Value):
    """Which delivery status notifications are wanted (RFC 3461).

    Args:
        ret: "FULL" or "HDRS": how much of the message a failure notice holds.
        envid: an identifier that notices repeat.
        notify: of "NEVER", "SUCCESS", "FAILURE", "DELAY".
        orcpt: True to tell each recipient's address as it is given here.
    """

    __slots__ = ("envid", "notify", "orcpt", "ret")

    def __init__(
        self,
        ret: str | None = None,
        envid: str | None = None,
        notify: "Sequence[str] | str" = (),
        orcpt: bool = False,
    ) -> None:
        self.ret = ret
        self.envid = envid
        self.notify = (notify,) if isinstance(notify, str) else tuple(notify)
        self.orcpt = orcpt
