"""What a message's envelope and session are in JSON."""

from datetime import UTC, datetime

from smtpkit.wire.parameters import PARAMETERS

__all__ = ["described"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from smtpkit.protocol.envelope import Envelope
    from smtpkit.protocol.session import SessionFacts
    from smtpkit.wire.parameters import ParameterCodec


def described(envelope: "Envelope", session: "SessionFacts", identifier: str, when: float) -> "dict[str, Any]":
    """Envelope and session as what json.dumps() takes.

    Args:
        envelope: of the message.
        session: that it came in.
        identifier: of the message.
        when: seconds since the epoch.
    """
    recipients = zip(envelope.recipients, envelope.rcpt_parameters, strict=True)
    return {
        "id": identifier,
        "time": datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds"),
        "sender": "" if envelope.sender is None else str(envelope.sender),
        "parameters": _texts(envelope.mail_parameters, PARAMETERS["MAIL"]),
        "recipients": [
            {"address": str(address), "parameters": _texts(parameters, PARAMETERS["RCPT"])}
            for address, parameters in recipients
        ],
        "session": _facts(session),
    }


def _facts(session: "SessionFacts") -> "dict[str, Any]":
    peer, tls = session.peer, session.tls
    return {
        "id": session.id,
        "peer": list(peer[:2]) if isinstance(peer, tuple) else None,
        "hello_name": session.hello_name,
        "hostname": session.hostname,
        "protocol": session.protocol,
        "identity": session.identity,
        "tls": None if tls is None else {"version": tls.version, "cipher": tls.cipher, "verified": tls.verified},
    }


def _texts(parameters: "Mapping[str, Any]", codecs: "Mapping[str, ParameterCodec]") -> "dict[str, str | None]":
    # As they stand behind "=" in the command; None for a keyword that stands alone.
    texts = {}
    for keyword, value in parameters.items():
        codec = codecs.get(keyword)
        text = codec.emit(value) if codec is not None else value
        texts[keyword] = None if text is None or text == "" else str(text)
    return texts
