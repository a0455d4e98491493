"""Trace fields: what they say, and that nothing a client says can break out of them."""

import re
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.protocol.envelope import Envelope
from smtpkit.protocol.received import received, trace_fields

NOW = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC
DATE = r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}"


def envelope(recipients=("c@d.example",), sender="a@b.example"):
    return Envelope(sender, recipients)


def session(**facts):
    known = {"peer": ("192.0.2.1", 50_000), "hello_name": "client.example", "hostname": "mx.example"}
    return SimpleNamespace(**{**known, "protocol": "ESMTP", **facts})


def first(envelope, session):
    return received(envelope, session, "1-ab", NOW)[0].removeprefix("Received: ")


def test_one_recipient_is_named_in_for():
    lines = received(envelope(), session(), "1-ab", NOW)
    assert lines[:-1] == [
        "Received: from client.example ([192.0.2.1])",
        "\tby mx.example with ESMTP id 1-ab",
        "\tfor <c@d.example>;",
    ]
    assert re.fullmatch(f"\t{DATE}", lines[-1])


def test_with_several_recipients_there_is_no_for():
    lines = received(envelope(["c@d.example", "e@d.example"]), session(), "1-ab", NOW)
    assert lines[1] == "\tby mx.example with ESMTP id 1-ab;"
    assert len(lines) == 3


def test_the_same_recipient_twice_is_one():
    fields = trace_fields(envelope(["c@d.example", "c@D.example", "c@d.example"]), session(), "1-ab", NOW)
    assert fields[1:3] == ["Delivered-To: c@d.example", "Delivered-To: c@D.example"]
    assert "\tfor <c@d.example>;" in fields


def test_return_path_and_delivered_to_come_first():
    fields = trace_fields(envelope(["c@d.example", '"e f"@d.example']), session(), "1-ab", NOW)
    assert fields[:3] == ["Return-Path: <a@b.example>", "Delivered-To: c@d.example", 'Delivered-To: "e f"@d.example']
    assert fields[3].startswith("Received: from ")


def test_the_null_reverse_path():
    assert trace_fields(envelope(sender=None), session(), "1-ab", NOW)[0] == "Return-Path: <>"


@pytest.mark.parametrize(
    ("facts", "written"),
    [
        ({"hello_name": "[192.0.2.9]"}, "from [192.0.2.9] ([192.0.2.1])"),
        ({"peer": ("2001:db8::1", 25, 0, 0)}, "from client.example ([IPv6:2001:db8::1])"),
        ({"peer": ("fe80::1%eth0", 25, 0, 2)}, "from client.example ([IPv6:fe80::1])"),
        ({"peer": ""}, "from client.example"),
        ({"peer": ("somewhere", 25)}, "from client.example"),
        ({"hello_name": "under_score"}, "from [192.0.2.1] (HELO under_score)"),
        ({"hello_name": "a)b(c\\d\r\n\0é "}, "from [192.0.2.1] (HELO a?b?c?d?????)"),
        ({"hello_name": "x_" * 200}, f"from [192.0.2.1] (HELO {('x_' * 200)[:255]})"),
        ({"hello_name": None}, "from [192.0.2.1] (HELO )"),
        ({"hello_name": "a_b", "peer": ""}, "from localhost (HELO a_b)"),
        ({"hello_name": "bücher.example"}, "from [192.0.2.1] (HELO b?cher.example)"),
        ({"hello_name": "bücher.example", "protocol": "UTF8SMTP"}, "from bücher.example ([192.0.2.1])"),
    ],
)
def test_from_is_a_domain_with_the_address_or_the_address_with_the_name_as_comment(facts, written):
    assert first(envelope(), session(**facts)) == written


@settings(derandomize=True, deadline=None)
@given(name=st.text(max_size=300))
def test_no_name_breaks_out_of_its_comment(name):
    facts = {"peer": ("192.0.2.1", 1), "hello_name": name, "hostname": "mx.example", "protocol": "ESMTP"}
    written = first(Envelope(None, ["c@d.example"]), SimpleNamespace(**facts))
    assert re.fullmatch(r"from [A-Za-z0-9.\[\]:-]+( \((HELO )?[!-'*-\[\]-~]*\))?", written)
