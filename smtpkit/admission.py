"""Whom a server lets in, and whose word about others it takes."""

from smtpkit.protocol.ledger import network_of
from smtpkit.protocol.standard_replies import TOO_MANY_CONNECTIONS

__all__ = ["Admission", "TrustedPeers"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from smtpkit.protocol.ledger import Ledger
    from smtpkit.protocol.limits import Limits
    from smtpkit.wire.replies import Reply

_AT_THE_DOOR = ("connections", "messages", "recipients", "errors")  # failed logins only bar the way to a login


class Admission:
    """Counts connections in all and from each address, of IPv6 from each /64, against the limits and the ledger.

    Args:
        limits: of connections in all, and from one address.
        ledger: what came from each address lately.

    Attributes:
        connections: those that are in.
    """

    def __init__(self, limits: "Limits", ledger: "Ledger") -> None:
        self._limits = limits
        self._ledger = ledger
        self._counted = [kind for kind in _AT_THE_DOOR if kind in ledger.limits]
        self._by_address: dict[str | None, int] = {}
        self.connections = 0

    def enter(self, address: str | None, now: float) -> "tuple[Reply | None, str]":
        """A connection comes.

        Args:
            address: whose it is; None where that is not known, and only the limit of all holds.
            now: seconds, of the ledger's clock.

        Returns:
            The reply that turns it away, with the name of the limit; (None, "") lets it in.
        """
        network = network_of(address) if address is not None else None
        count = self._by_address.get(network, 0)
        if self.connections >= self._limits.connections:
            return TOO_MANY_CONNECTIONS, "connections"
        if address is not None and count >= self._limits.per_address:
            return TOO_MANY_CONNECTIONS, "per_address"
        ledger = self._ledger
        if address is not None and self._counted:
            for kind in self._counted:
                if (refusal := ledger.refusal(address, kind, now)) is not None:
                    return refusal, "ledger"
            ledger.add(address, "connections", now)
        self.connections += 1
        self._by_address[network] = count + 1
        return None, ""

    def leave(self, address: str | None) -> None:
        """A connection that entered has gone."""
        self.connections -= 1
        network = network_of(address) if address is not None else None
        if self._by_address[network] == 1:
            del self._by_address[network]
        else:
            self._by_address[network] -= 1


class TrustedPeers:
    """The addresses whose word about others is taken.

    Args:
        addresses: addresses and networks such as "192.0.2.7", "10.0.0.0/8" and "2001:db8::/32"; "unix" for whoever
            connects to a unix socket.

    Raises:
        ValueError: one is none of these.
    """

    def __init__(self, addresses: "Iterable[str]") -> None:
        from ipaddress import ip_network

        if isinstance(addresses, str):
            raise ValueError("trusted= takes a list of addresses and networks")
        given = list(addresses)
        self._unix = "unix" in given
        self._networks = [ip_network(each) for each in given if each != "unix"]

    def __contains__(self, peer: "Any") -> bool:
        if not isinstance(peer, tuple):
            return self._unix
        from ipaddress import ip_address

        try:
            address = ip_address(peer[0].partition("%")[0])
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)
