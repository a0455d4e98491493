"""What parameters must obey together, and beside what the server has said."""

import pytest

from smtpkit.protocol.extension_checks import check_deliver_by, check_hold, check_solicitation, check_tracking
from smtpkit.wire.capability_values import HoldLimits
from smtpkit.wire.parameter_values import DeliverBy

LIMITS = HoldLimits(60, "2031-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("check", "parameters", "bound"),
    [
        (check_hold, {"HOLDFOR": 60}, LIMITS),
        (check_hold, {"HOLDFOR": 61}, None),
        (check_hold, {"HOLDUNTIL": "2031-01-01T00:00:00Z"}, LIMITS),
        (check_deliver_by, {"BY": DeliverBy(60, "R")}, 60),
        (check_deliver_by, {"BY": DeliverBy(1, "N")}, 60),
        (check_deliver_by, {"BY": DeliverBy(1, "R")}, None),
        (check_solicitation, {"SOLICIT": ("a",)}, ("b",)),
        (check_solicitation, {"SOLICIT": ("a",)}, ()),
        (check_solicitation, {"SOLICIT": ("a",)}, None),
        (check_tracking, {"ENVID": "4711@a.example"}, ()),
        (check_tracking, {"ENVID": "a@b@a.example"}, ()),
    ],
)
def test_what_is_within_the_bound_is_right(check, parameters, bound):
    assert check(parameters, bound) is None


@pytest.mark.parametrize(
    ("check", "parameters", "bound", "code", "status"),
    [
        (check_hold, {"HOLDFOR": 61}, LIMITS, 501, "5.5.4"),
        (check_hold, {"HOLDUNTIL": "2031-01-01T00:00:01Z"}, LIMITS, 501, "5.5.4"),
        (check_deliver_by, {"BY": DeliverBy(59, "R")}, 60, 550, "5.4.7"),
        (check_solicitation, {"SOLICIT": ("a", "B")}, ("b",), 550, "5.7.1"),
        (check_tracking, {}, (), 501, "5.5.4"),
        (check_tracking, {"ENVID": "4711"}, (), 501, "5.5.4"),
        (check_tracking, {"ENVID": "@a.example"}, (), 501, "5.5.4"),
        (check_tracking, {"ENVID": "4711@"}, (), 501, "5.5.4"),
    ],
)
def test_what_is_beyond_the_bound_is_refused(check, parameters, bound, code, status):
    reply = check(parameters, bound)
    assert (reply.code, str(reply.enhanced)) == (code, status)
