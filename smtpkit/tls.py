"""TLS as octets in and octets out, for either role, without a socket.

`TLS` stands between a transport and the protocol: what was read from the peer is fed to it and gives plain
octets, what is to be said is written to it, and `data_to_send()` gives what is to go to the peer.

    tls = TLS(client_context(), server_side=False, server_hostname="mail.example.org")
    sock.sendall(tls.data_to_send())                # the ClientHello
    while tls.facts is None:
        tls.feed(sock.recv(65536))                  # TLSError if the handshake fails
        sock.sendall(tls.data_to_send())
"""

__all__ = ["TLS", "TLSFacts", "client_context", "server_context"]

import ssl
from contextlib import suppress

from smtpkit.errors import LocalProtocolError, TLSError
from smtpkit.protocol.tls_facts import TLSFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The plain octets that one TLS record holds at most.  OpenSSL's memory buffers grow to the largest amount that
# they ever held and keep it, so they are fed and emptied in pieces of this size.
_RECORD = 16384

_DER = 2  # ENCODING_DER of Python's own module
_SHOWN_NAMES = 5  # of a certificate that is refused

_ALERT, _HANDSHAKE = 0x15, 0x16  # the content types that may come first, RFC 8446 section 5.1

# Parts of OpenSSL's reasons, whose names differ between its versions; what they mean for a person; `TLSError.reason`.
_MEANINGS = (
    ("CERTIFICATE_REQUIRED", "the server requires a client certificate", "client certificate"),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "the client sent no certificate, and one is required", "client certificate"),
    ("ALERT_UNKNOWN_CA", "the peer does not trust this side's certificate", ""),
    ("ALERT_BAD_CERTIFICATE", "the peer refused this side's certificate", ""),
    ("ALERT_CERTIFICATE", "the peer refused this side's certificate", ""),
    ("PROTOCOL_VERSION", "the two sides have no TLS version in common", "version"),
    ("UNSUPPORTED_PROTOCOL", "the two sides have no TLS version in common", "version"),
    ("HANDSHAKE_FAILURE", "the two sides have no TLS parameters in common", ""),
    ("NO_SHARED_CIPHER", "the two sides have no cipher in common", ""),
    ("NO_APPLICATION_PROTOCOL", "the SSLContext asks for protocols by ALPN, and SMTP is none of them", ""),
)


class TLS:
    """One TLS connection.

    After a failure every `feed()` raises it again, and `data_to_send()` still gives the alert that tells the peer.

    Args:
        context: the settings, from `client_context()`, `server_context()` or the caller.
        server_side: which of the two roles this is.
        server_hostname: client only, the name or address that the certificate must be for.
        fingerprint: the SHA-256 of the peer's certificate in hexadecimal digits, colons between them or not; with it
            any other certificate is refused, whatever the context makes of it.

    Attributes:
        facts: what was established, or None while the handshake is under way.
        eof: True when the peer has said that no more will come (close_notify).
        truncated: True when the transport ended without that.  What was read may have been cut short by anybody
            on the way: it is a lost connection, never a clean end.

    Raises:
        TLSError: `server_hostname` is missing or no host name, or the context is for the other role.
    """

    __slots__ = (
        "_began",
        "_closed",
        "_encrypted",
        "_failure",
        "_fingerprint",
        "_incoming",
        "_kept",
        "_object",
        "_outgoing",
        "_server_hostname",
        "eof",
        "facts",
        "truncated",
    )

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.facts: TLSFacts | None = None
        self.eof = False
        self.truncated = False
        self._server_hostname = server_hostname.removesuffix(".") if server_hostname else None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._encrypted: list[bytes] = []  # taken out of `_outgoing` early, to keep it small
        self._kept = bytearray()  # plain octets that cannot be encrypted yet
        self._began = False
        self._closed = False
        self._failure: tuple[str, str, ssl.SSLError | None] | None = None
        self._fingerprint = None if fingerprint is None else _plain_digits(fingerprint)
        if context.check_hostname and not server_side and not self._server_hostname:
            # wrap_bio would accept this, and check no name at all; SSLSocket refuses it too.
            raise TLSError("TLS needs the host name that the server's certificate is to be for")
        try:
            self._object = context.wrap_bio(
                self._incoming, self._outgoing, server_side=server_side, server_hostname=self._server_hostname
            )
        except (ValueError, TypeError, ssl.SSLError) as error:
            raise TLSError(f"TLS cannot begin with the host name {server_hostname!r}: {error}") from error
        if not server_side:
            self._shake_hands()  # makes the ClientHello

    def feed(self, octets: "bytes | bytearray | memoryview") -> bytes:
        """Take in what came from the peer.

        Args:
            octets: what was read, in pieces of any size; b"" when the transport has ended.

        Returns:
            The plain octets in it, b"" if there are none yet.

        Raises:
            TLSError: the handshake failed, or the connection is broken.  Plain octets that came before are
                returned first; the next call raises.
        """
        plain: list[bytes] = []
        if not octets:
            self._end()
        elif not self._began:
            self._look_at_first(octets)
        for start in range(0, len(octets), _RECORD):
            if self._failure is not None or self.eof:
                break
            self._take(octets[start : start + _RECORD], plain)
        if self._kept and self.facts is not None and self._failure is None:
            kept, self._kept = self._kept, bytearray()
            self._encrypt(kept)
        if self._failure is not None and not plain:
            raise _error(*self._failure)
        return b"".join(plain)

    def write(self, plain: "bytes | bytearray | memoryview") -> None:
        """Have `plain` encrypted for the peer; before the handshake is complete it is kept, and sent after it.

        Raises:
            TLSError: the connection is broken.
            LocalProtocolError: `close()` was called before.
        """
        if self._closed:
            raise LocalProtocolError("nothing can be written after close()", state="TLS closed")
        if self._failure is None:
            if self.facts is None or self._kept:
                self._kept += plain
            else:
                self._encrypt(plain)
        if self._failure is not None:
            raise _error(*self._failure)

    def data_to_send(self) -> bytes:
        """What is to go to the peer next, all of it; b"" if there is nothing.  Never raises."""
        if not self._encrypted:
            return self._outgoing.read()
        self._encrypted.append(self._outgoing.read())
        octets = b"".join(self._encrypted)
        self._encrypted.clear()
        return octets

    def close(self) -> None:
        """Say to the peer that no more will come (close_notify); what it still sends can be fed.

        What still waits for the end of a handshake is dropped.  Never raises.
        """
        if self._closed or self._failure is not None:
            return
        self._closed = True
        self._kept.clear()
        # An error says that the peer's own close_notify has not come yet, or that the handshake is not complete.
        with suppress(ssl.SSLError):
            self._object.unwrap()

    def __repr__(self) -> str:
        state = "failed" if self._failure else "closed" if self._closed else self.facts or "handshake under way"
        return f"<TLS {'server' if self._object.server_side else 'client'}, {state}>"

    def _end(self) -> None:
        if self.eof:
            return
        self.truncated = True
        if self.facts is None and self._failure is None:
            self._failure = ("the peer ended the connection in the middle of the TLS handshake", "", None)

    def _look_at_first(self, octets: "bytes | bytearray | memoryview") -> None:
        self._began = True
        if octets[0] not in (_ALERT, _HANDSHAKE):
            self._outgoing.read()  # a peer that does not speak TLS has no use for a handshake
            self._failure = (f"the peer does not speak TLS here: it began with {bytes(octets[:40])!r}", "clear", None)

    def _take(self, octets: "bytes | bytearray | memoryview", plain: list[bytes]) -> None:
        """Decrypt at most one record's worth of octets into `plain`."""
        self._incoming.write(octets)
        if self.facts is None:
            self._shake_hands()
            if self.facts is None:
                return
        read, pending, incoming = self._object.read, self._object.pending, self._incoming
        try:
            while True:
                piece = read(_RECORD)
                if not piece:
                    self.eof = True
                    return
                plain.append(piece)
                if not incoming.pending and not pending():
                    return  # asking again would cost an exception
        except ssl.SSLWantReadError:
            pass  # part of a record, or octets that hold no plain ones: session tickets, new keys
        except ssl.SSLZeroReturnError:
            self.eof = True
        except ssl.SSLError as error:
            self._fail(error)

    def _shake_hands(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            self._fail(error)
            return
        facts = self._established()
        if self._fingerprint is not None and _fingerprint(facts.peer_certificate) != self._fingerprint:
            whose, seen = self._server_hostname or "the peer", _fingerprint(facts.peer_certificate)
            message = f"the certificate of {whose} is not the pinned one: its SHA-256 is {seen}"
            self._failure = (message, "certificate", None)
        else:
            self.facts = facts

    def _established(self) -> TLSFacts:
        certificate = self._object.getpeercert(binary_form=True)
        cipher = self._object.cipher()
        server_side, context = self._object.server_side, self._object.context
        return TLSFacts(
            self._object.version() or "",
            cipher[0] if cipher else "",
            certificate is not None
            and (self._fingerprint is not None or context.verify_mode != ssl.CERT_NONE)
            and (self._fingerprint is not None or server_side or context.check_hostname),
            certificate,
            getattr(self._object, "asked_for", None) if server_side else self._server_hostname,
            getattr(context, "own_certificate", None),
            _names(self._object.getpeercert()) if certificate is not None else (),
        )

    def _encrypt(self, plain: "bytes | bytearray | memoryview") -> None:
        """Encrypt `plain`, or keep the part of it that has to wait for the peer (renegotiation under TLS 1.2)."""
        start = 0
        try:
            while start < len(plain):
                if start:
                    self._encrypted.append(self._outgoing.read())
                start += self._object.write(plain[start : start + _RECORD])
        except ssl.SSLWantReadError:
            self._kept += plain[start:]
        except ssl.SSLError as error:
            self._fail(error)

    def _fail(self, error: ssl.SSLError) -> None:
        # The frames of a traceback would keep this object, and all that it holds, in a cycle.
        self._failure = (*self._explain(error), error.with_traceback(None))

    def _explain(self, error: ssl.SSLError) -> tuple[str, str]:
        if isinstance(error, ssl.SSLCertVerificationError):
            whose = "the client" if self._object.server_side else self._server_hostname or "the server"
            seen = _seen(self._object)
            return f"the certificate of {whose} does not verify: {error.verify_message}{seen}", "certificate"
        reason = error.reason or ""
        known_by = reason or str(error).upper().replace(" ", "_")  # alerts that this Python has no name for
        for part, meaning, kind in _MEANINGS:
            if part in known_by:
                return f"TLS failed: {meaning}", kind
        stage = "the TLS handshake failed" if self.facts is None else "the TLS connection is broken"
        return f"{stage}: {reason.replace('_', ' ').lower() or error}", ""


def client_context(
    *,
    cafile: str | None = None,
    unverified: bool = False,
    certificate: "str | tuple[str, str] | None" = None,
) -> ssl.SSLContext:
    """Settings for a client: TLS 1.2 or later, certificates verified against the system's authorities.

    Args:
        cafile: path of a PEM file of authorities, trusted in place of the system's.
        unverified: True takes any certificate for any name: there is encryption, but no knowing with whom.
        certificate: what the client shows to a server that asks for it: a PEM file that holds certificate and key,
            or one of each.

    Raises:
        TLSError: a file cannot be read, or the key does not belong to the certificate.
    """
    try:
        context = ssl.create_default_context(cafile=cafile)
    except OSError as error:
        raise TLSError(f"cannot read certificates from {cafile}: {error.strerror or error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if unverified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        certfile, keyfile = (certificate, None) if isinstance(certificate, str) else certificate
        _load(context, certfile, keyfile, "")
    return context


def server_context(certfile: str, keyfile: str | None = None, *, password: str = "") -> ssl.SSLContext:
    """Settings for a server: TLS 1.2 or later, with one certificate.

    Args:
        certfile: path of a PEM file: the server's certificate, then those that lead to its authority.
        keyfile: path of the private key; None if it is in `certfile`.
        password: that of the private key.  Nobody is ever asked for one.

    Raises:
        TLSError: a file cannot be read, or the key does not belong to the certificate.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sni_callback = _note_server_name
    _load(context, certfile, keyfile, password)
    return context


def _load(context: ssl.SSLContext, certfile: str, keyfile: str | None, password: str) -> None:
    try:
        context.load_cert_chain(certfile, keyfile, password)
        context.own_certificate = _first_certificate(certfile)  # type: ignore[attr-defined]  # ssl does not tell it
    except OSError as error:
        files = certfile if keyfile is None else f"{certfile} and {keyfile}"
        raise TLSError(f"cannot use the certificate and key in {files}: {error.strerror or error}") from error


def _plain_digits(fingerprint: str) -> str:
    digits = fingerprint.replace(":", "").lower()
    if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise TLSError(f"{fingerprint!r} is no SHA-256 fingerprint: 64 hexadecimal digits, colons between them or not")
    return digits


def _fingerprint(certificate: bytes | None) -> str:
    from hashlib import sha256

    return sha256(certificate or b"").hexdigest()


def _error(message: str, reason: str, cause: ssl.SSLError | None) -> TLSError:
    # Made anew for each raise: a kept one would hold the frames that it passed through.
    error = TLSError(message, reason=reason)
    error.__cause__ = cause
    return error


def _first_certificate(certfile: str) -> bytes:
    with open(certfile, encoding="latin-1") as file:
        _, header, rest = file.read().partition(ssl.PEM_HEADER)
    return ssl.PEM_cert_to_DER_cert(f"{header}{rest.partition(ssl.PEM_FOOTER)[0]}{ssl.PEM_FOOTER}")


def _names(certificate: "dict[str, Any] | None") -> "tuple[tuple[str, str], ...]":
    # ssl gives an empty one where it was not verified.
    if not certificate:
        return ()
    subject = (pair for names in certificate.get("subject", ()) for pair in names if pair[0] == "commonName")
    return (*certificate.get("subjectAltName", ()), *subject)


def _seen(connection: ssl.SSLObject) -> str:
    # What the peer has shown.  Of a certificate that does not verify Python tells nothing, but for a method that is
    # private until 3.13, and gives the octets alone there.
    try:
        certificate = connection._sslobj.get_unverified_chain()[0]  # type: ignore[attr-defined]
        octets, facts = certificate.public_bytes(_DER), certificate.get_info()
    except (AttributeError, TypeError, IndexError):
        return ""
    names = ", ".join(ascii(name)[1:-1] for _, name in _names(facts)[:_SHOWN_NAMES])
    issuer = " ".join(ascii(value)[1:-1] for pairs in facts.get("issuer", ()) for _, value in pairs)
    dates = f"from {facts.get('notBefore')} to {facts.get('notAfter')}"
    seen = f"it is for {names or 'no name'}, signed by {issuer}, valid {dates}"
    return f" ({seen}, its SHA-256 is {_fingerprint(octets)})"


def _note_server_name(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
    connection.asked_for = name  # type: ignore[attr-defined]  # ssl itself does not keep it on a server
