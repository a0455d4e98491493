"""The certificates of a server, one or several by name, which may be read anew while it runs."""

from smtpkit.errors import TLSError

__all__ = ["Certificates"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

_ALT_NAMES = b"\x06\x03\x55\x1d\x11"  # the OID of subjectAltName, as it stands in a certificate (RFC 5280 4.2.1.6)
_DNS_NAME = 0x82  # the tag of a dNSName among them
_OCTET_STRING = 0x04
_LONG_FORM = 0x80  # of a length in DER


class Certificates:
    """Certificates and keys in PEM files; a client that names a host (SNI) gets the certificate for it.

    Args:
        files: for each certificate the path of a file with it, what leads to its authority, and its key; or a pair of
            paths, where the key is in the second file.  A client that names no host, or one that is in none of
            them, gets the first.
        client_cafile: authorities of clients' certificates, in PEM: clients are asked for one, and it must verify.
        client_required: whether the handshake fails where a client has none.

    Raises:
        ValueError: there is no file, or `client_required` without `client_cafile`.
        TLSError: of `load()`, a file cannot be read, or a key does not belong to its certificate.
    """

    def __init__(
        self,
        *files: "str | tuple[str, str | None]",
        client_cafile: str | None = None,
        client_required: bool = False,
    ) -> None:
        if not files:
            raise ValueError("a server needs a certificate")
        if client_required and client_cafile is None:
            raise ValueError("client_required needs client_cafile, by which certificates are verified")
        self._files = [(each, None) if isinstance(each, str) else each for each in files]
        self._client_cafile = client_cafile
        self._client_required = client_required

    def __repr__(self) -> str:
        return f"Certificates({', '.join(repr(certfile) for certfile, _ in self._files)})"

    def load(self) -> "ssl.SSLContext":
        """Read the files; each call gives a context of its own."""
        from smtpkit.tls import server_context

        contexts = [server_context(certfile, keyfile) for certfile, keyfile in self._files]
        first = contexts[0]
        if len(contexts) > 1:
            by_name: dict[str, ssl.SSLContext] = {}
            for context in contexts:
                for name in _names(context.own_certificate):  # type: ignore[attr-defined]  # set by server_context()
                    by_name.setdefault(name, context)
            first.sni_callback = _choice(by_name)
        for context in contexts if self._client_cafile is not None else ():
            self._ask_clients(context)  # each, since OpenSSL verifies by the context that was chosen
        return first

    def _ask_clients(self, context: "ssl.SSLContext") -> None:
        from ssl import CERT_OPTIONAL, CERT_REQUIRED

        assert self._client_cafile is not None
        try:
            context.load_verify_locations(self._client_cafile)
        except OSError as error:
            reason = error.strerror or error
            raise TLSError(f"cannot read certificates from {self._client_cafile}: {reason}") from error
        context.verify_mode = CERT_REQUIRED if self._client_required else CERT_OPTIONAL


def _choice(by_name: "dict[str, ssl.SSLContext]") -> "Callable[[ssl.SSLObject, str | None, ssl.SSLContext], None]":
    def choose(connection: "ssl.SSLObject", name: str | None, _context: "ssl.SSLContext") -> None:
        connection.asked_for = name  # type: ignore[attr-defined]  # as the callback of server_context() does
        asked = (name or "").lower()
        chosen = by_name.get(asked) or by_name.get(f"*.{asked.partition('.')[2]}")
        if chosen is not None:
            connection.context = chosen

    return choose


def _names(certificate: bytes) -> list[str]:
    # Those that a certificate of one's own is for; ssl tells them of verified peers only.
    _, found, rest = certificate.partition(_ALT_NAMES)
    if not found:
        return []
    if rest[0] != _OCTET_STRING:
        rest = rest[3:]  # a BOOLEAN says that the extension is critical
    octets, _ = _element(rest)
    names, _ = _element(octets)
    found_names = []
    while names:
        tag = names[0]
        value, names = _element(names)
        if tag == _DNS_NAME:
            found_names.append(value.decode("ascii", "replace").lower())
    return found_names


def _element(octets: bytes) -> tuple[bytes, bytes]:
    # The content of the first element of DER, and what stands behind it.
    size, start = octets[1], 2
    if size & _LONG_FORM:
        start += size & ~_LONG_FORM
        size = int.from_bytes(octets[2:start], "big")
    return octets[start : start + size], octets[start + size :]
