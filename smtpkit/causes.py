"""Why connecting failed, and what to do about it: the words that are added to an error where the cause is known."""

import errno
import os

from smtpkit.errors import (
    AuthenticationError,
    ConnectionLost,
    NotSupported,
    RemoteProtocolError,
    ReplyError,
    Timeout,
    TLSError,
)
from smtpkit.wire.commands import Ehlo, Helo, Lhlo

__all__ = ["cause_of", "unreached"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.errors import SMTPError
    from smtpkit.protocol.client import ClientConnection
    from smtpkit.protocol.target import Target
    from smtpkit.wire.replies import Reply

_MAIL_PORT = 25
_SUBMISSION_PORTS = (587, 465)
_LOGIN_FIRST = 530
_SUBMISSION = "programs that send mail log in on port 587 or 465"

# What a server that speaks something else says first.
_BANNERS = (
    (b"\x15", "the server speaks TLS from the first octet: try smtps:// or tls='implicit'"),
    (b"\x16", "the server speaks TLS from the first octet: try smtps:// or tls='implicit'"),
    (b"HTTP/", "a web server listens on this port"),
    (b"SSH-", "an SSH server listens on this port"),
    (b"+OK", "a POP3 server listens on this port"),
    (b"* OK", "an IMAP server listens on this port"),
    (b"* BYE", "an IMAP server listens on this port"),
    (b"\xff", "a telnet server listens on this port"),
)

# X509_V_ERR_… of OpenSSL, which are the same in all its versions.
_OTHER_ISSUER = (
    "if an authority of your own signed it, name that with cafile=, and if it is to be trusted by itself, pin it with "
    "fingerprint="
)
_CERTIFICATE_ERRORS = {
    9: "if this host's clock is right, the server needs another certificate",
    10: "if this host's clock is right, the server needs a new certificate",
    18: _OTHER_ISSUER,
    19: _OTHER_ISSUER,
    20: _OTHER_ISSUER,
    21: _OTHER_ISSUER,
    62: "connect by a name that the certificate is for, or name one with server_hostname=",
    64: "connect by a name that the certificate is for, or name one with server_hostname=",
}
_TLS_FAILURES = {
    "version": "TLS 1.2 is the least that is spoken here; an older server needs an ssl_context=",
    "client certificate": "show one with client_certificate=",
    "refused": "the server may be short of something: try again later, or ask who runs it",
}


def unreached(
    error: OSError | UnicodeError, target: "Target", seconds: float, local_address: "tuple[str, int] | None" = None
) -> "SMTPError":
    """The error that says why there is no connection.

    Args:
        error: what dialling raised.
        target: where to.
        seconds: how long it was tried.
        local_address: where the connection was to come from, or None.
    """
    if isinstance(error, TimeoutError):
        hint = f"; many networks let nothing out to port 25: {_SUBMISSION}" if target.port == _MAIL_PORT else ""
        return Timeout(f"no connection to {target} within {seconds:g} s: {error}{hint}", stage="connect")
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else "that is no host name"
    hint = ""
    if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
        hint = "" if target.path else "; nothing listens on this port: is it the right one, and does the server run?"
        if not reason.startswith("none of"):
            reason = os.strerror(error.errno)  # asyncio has words of its own, which do not say why
    elif isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL and local_address is not None:
        hint = f"; is {local_address[0]}, as local_address= says, an address of this host?"
    return ConnectionLost(f"no connection to {target}: {reason}{hint}", stage="connect")


def cause_of(
    error: "SMTPError", target: "Target", client: "ClientConnection | None" = None, *, heard: bool = False
) -> str:
    """The likely cause and the way on; "" where nothing is known.

    Args:
        error: what the opening of a connection raised.
        target: where to.
        client: the connection, which knows what the server has said.
        heard: whether anything at all has come from the server.
    """
    implicit = target.tls == "implicit"
    if isinstance(error, TLSError):
        return _of_tls(error, implicit)
    if isinstance(error, RemoteProtocolError) and isinstance(error.received, bytes):
        return next((words for start, words in _BANNERS if error.received.startswith(start)), "")
    if isinstance(error, (Timeout, ConnectionLost)):
        return "" if implicit or heard or error.stage != "greeting" else _of_no_greeting(error)
    if isinstance(error, ReplyError) and not isinstance(error, AuthenticationError):
        return _of_refusal(error, target, client.greeting if client is not None else None)
    if isinstance(error, NotSupported) and error.extension == "AUTH" and client is not None:
        return _of_no_login(client, target)
    return ""


def _of_no_greeting(error: "SMTPError") -> str:
    if isinstance(error, Timeout):
        return "a server that speaks TLS from the first octet waits for the client: try smtps:// or tls='implicit'"
    return "if the server speaks TLS from the first octet, use smtps:// or tls='implicit'"


def _of_tls(error: TLSError, implicit: bool) -> str:
    if error.reason == "clear":
        return "this port begins in clear: try smtp:// with tls='required'" if implicit else ""
    code = getattr(error.__cause__, "verify_code", None)
    if code is not None:
        return _CERTIFICATE_ERRORS.get(code, "")
    return _TLS_FAILURES.get(error.reason, "")


def _of_refusal(error: ReplyError, target: "Target", greeting: "Reply | None") -> str:
    reply, said = error.reply, error.command
    if said is None:
        return _of_refused_service(reply, target)
    if not isinstance(said, (Ehlo, Helo, Lhlo)) or not reply.is_permanent:
        return ""
    if reply.code == _LOGIN_FIRST:  # no SMTP server asks for a login so early, and names have nothing to do with it
        return "an FTP server listens on this port" if "USER" in reply.text else ""
    if isinstance(said, Lhlo):
        return "the server does not know LMTP: try smtp://" if reply.code in (500, 502) else _other_name(said)
    if reply.code in (500, 502):
        is_lmtp = greeting is not None and "LMTP" in greeting.text
        return "the server speaks LMTP: try lmtp://" if is_lmtp else ""
    return _other_name(said)


def _of_refused_service(reply: "Reply", target: "Target") -> str:
    if reply.code == 421:
        return "it is too busy, or counts too many connections from this address: try again later"
    if not reply.is_permanent:
        return ""
    way = "" if target.port in _SUBMISSION_PORTS else f"; {_SUBMISSION}"
    return f"it takes no mail from this address{way}"


def _other_name(said: "Ehlo | Helo | Lhlo") -> str:
    return f"the name that was said is {said.name}: if it is that, give another with local_hostname="


def _of_no_login(client: "ClientConnection", target: "Target") -> str:
    if client.capabilities.auth:
        return ""
    ways = f"it offers: {', '.join(client.capabilities) or 'nothing'}"
    if client.tls is None and "STARTTLS" in client.capabilities:
        return f"{ways}; use tls='required'"
    return f"{ways}; {_SUBMISSION}" if target.port == _MAIL_PORT else f"{ways}; send without auth= if it trusts you so"
