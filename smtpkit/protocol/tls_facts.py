"""What a finished TLS handshake established, kept apart so that it can be named without importing ssl."""

__all__ = ["TLSFacts"]

from smtpkit.wire.value import Value


class TLSFacts(Value):
    """The facts of one TLS connection.

    Args:
        version: the protocol, as "TLSv1.3".
        cipher: OpenSSL's name of the cipher suite.
        verified: True if the peer's certificate leads to a trusted authority, and, seen from a client, also
            names the host that was asked for.
        peer_certificate: the peer's certificate in DER, or None if it sent none.
        server_name: the host name that the client asked for, as far as it is known.
        own_certificate: the certificate that this side sent, in DER, as far as it is known; a server's login
            may be bound to it.
        peer_names: what a verified certificate of the peer says whose it is, as pairs of kind and name: those of
            its subjectAltName first ("email", "DNS", "URI", "IP Address", …), then the subject's "commonName".
    """

    __slots__ = (
        "version",
        "cipher",
        "verified",
        "peer_certificate",
        "server_name",
        "own_certificate",
        "peer_names",
    )

    def __init__(
        self,
        version: str,
        cipher: str,
        verified: bool = False,
        peer_certificate: bytes | None = None,
        server_name: str | None = None,
        own_certificate: bytes | None = None,
        peer_names: "tuple[tuple[str, str], ...]" = (),
    ) -> None:
        self.version = version
        self.cipher = cipher
        self.verified = verified
        self.peer_certificate = peer_certificate
        self.server_name = server_name
        self.own_certificate = own_certificate
        self.peer_names = peer_names

    def peer_name(self, kind: str) -> str | None:
        """The first name of this kind in the peer's verified certificate, such as its "email", or None."""
        return next((name for each, name in self.peer_names if each.lower() == kind.lower()), None)

    @property
    def channel_binding(self) -> bytes | None:
        """A server's tls-server-end-point octets (RFC 5929), None where that is not defined for its certificate."""
        if self.own_certificate is None:
            return None
        from smtpkit.sasl.channel_binding import tls_server_end_point

        return tls_server_end_point(self.own_certificate)

    def __repr__(self) -> str:
        octets = None if self.peer_certificate is None else f"<{len(self.peer_certificate)} octets>"
        return (
            f"TLSFacts({self.version!r}, {self.cipher!r}, verified={self.verified}, "
            f"peer_certificate={octets}, server_name={self.server_name!r})"
        )
