"""What a relay of either adapter knows of its way, and a session of its next connection, and do without waiting."""

from copy import copy

from smtpkit.connecting import ClientSettings
from smtpkit.protocol.config import ClientConfig
from smtpkit.protocol.relaying import Transit, failure
from smtpkit.protocol.session import SessionFacts

__all__ = ["RelayFacts", "RelayedSession"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from smtpkit.errors import SMTPError
    from smtpkit.wire.replies import Reply


class RelayFacts:
    """Where to, and how; the Relay of each adapter makes sessions.

    Args:
        where, port, connect_options: as for `connect()`.
        forward_client: whether the next server is told whose mail it is.
        most_hops: Received fields with which a message is refused; None for no bound.

    Raises:
        TypeError: there is no such option.
        ValueError: the arguments do not fit together.
    """

    def __init__(
        self,
        where: str,
        port: int | None,
        connect_options: "dict[str, Any]",
        *,
        forward_client: bool,
        most_hops: int | None,
    ) -> None:
        self._settings = settings = ClientSettings.of_many("Relay", where, port, connect_options)
        if settings.target.captured:
            raise ValueError(f"a relay leads to a server, not to {where}")
        self.forward_client = forward_client
        self.most_hops = most_hops

    def __repr__(self) -> str:
        return f"<Relay to {self.url}>"

    @property
    def url(self) -> str:
        """Where to, without user and password."""
        return str(self._settings.target)

    def _settings_as(self, hostname: str) -> ClientSettings:
        # How to connect, under this name unless there is another one.
        settings = copy(self._settings)  # for several servers may have this relay, and a name each
        config = settings.config
        if config.hostname is None:
            settings.config = ClientConfig(hostname, lmtp=config.lmtp, extensions=config.extensions)
        return settings


class RelayedSession(SessionFacts):
    """A session whose mail goes on to the next server; the RelaySession of each adapter passes it on.

    Args:
        relay: where to.
    """

    def __init__(self, relay: RelayFacts) -> None:
        self.relay = relay
        self._client: Any = None  # the connection to the next server, while there is one
        self._transit = Transit(forward_client=relay.forward_client, most_hops=relay.most_hops)

    def _keep_or_leave(self) -> None:
        # The connection of the last message goes, unless it can carry the next one.
        client = self._client
        if client is not None and not (client._may_go_on and self._transit.may_stay(self)):
            self._client = None
            client._quit_unheard()

    def _lost(self, error: "SMTPError") -> "Reply":
        from logging import getLogger

        getLogger("smtpkit.server").warning("%s relay to %s: %s", self.id, self.relay.url, error)
        client, self._client = self._client, None
        if client is not None:
            client._drop()
        return failure(error)
