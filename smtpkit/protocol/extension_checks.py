"""What the parameters of one extension must obey together, and beside what the server has said in its EHLO reply.

A server refuses with the reply that a check gives; a client does not send what would get it.
"""

from smtpkit.wire.date_times import instant
from smtpkit.wire.replies import Reply

__all__ = ["check_deliver_by", "check_hold", "check_solicitation", "check_tracking"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from smtpkit.wire.capability_values import HoldLimits


def check_hold(parameters: "Mapping[str, Any]", limits: "HoldLimits | None") -> "Reply | None":
    """HOLDFOR and HOLDUNTIL are within what the server states (RFC 4865 section 5)."""
    if limits is None:
        return None
    seconds, until = parameters.get("HOLDFOR"), parameters.get("HOLDUNTIL")
    if seconds is not None and seconds > limits.seconds:
        return Reply(501, f"A message is held for {limits.seconds} seconds at most", "5.5.4")
    if until is not None and instant(until) > instant(limits.until):
        return Reply(501, f"A message is held until {limits.until} at most", "5.5.4")
    return None


def check_deliver_by(parameters: "Mapping[str, Any]", least: int | None) -> "Reply | None":
    """A message that is to be returned has the least by-time that the server states (RFC 2852 section 4)."""
    wanted = parameters["BY"]
    if least is None or wanted.mode != "R" or wanted.seconds >= least:
        return None
    return Reply(550, f"A by-time with mode R is {least} seconds at least", "5.4.7")


def check_solicitation(parameters: "Mapping[str, Any]", unwanted: "tuple[str, ...] | None") -> "Reply | None":
    """A message has none of the solicitation keywords that the server does not take (RFC 3865 section 2.3)."""
    if not unwanted:
        return None
    refused = {keyword.lower() for keyword in unwanted}
    for keyword in parameters["SOLICIT"]:
        if keyword.lower() in refused:
            return Reply(550, f"Messages of the class {keyword} are not taken", "5.7.1")
    return None


def check_tracking(parameters: "Mapping[str, Any]", words: object) -> "Reply | None":
    """A message that is to be tracked has an ENVID: a name, "@" and a host (RFC 3885 section 3.2)."""
    name, _, host = parameters.get("ENVID", "").rpartition("@")
    return None if name and host else Reply(501, "MTRK needs ENVID=name@host", "5.5.4")
