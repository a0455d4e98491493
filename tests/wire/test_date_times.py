"""The date-time of RFC 3339."""

import pytest

from smtpkit.wire.date_times import instant, is_date_time


@pytest.mark.parametrize(
    "text",
    [
        "1985-04-12T23:20:50.52Z",  # RFC 3339 section 5.8, as the next three
        "1996-12-19T16:39:57-08:00",
        "1990-12-31T23:59:60Z",
        "1937-01-01T12:00:27.87+00:20",
        "2024-02-29t00:00:00z",
        "2000-02-29T00:00:00Z",
        "0000-01-31T00:00:00Z",
    ],
)
def test_date_times(text):
    assert is_date_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-01-01 00:00:00Z",
        "24-01-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-00T00:00:00Z",
        "2024-01-32T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+0000",
        "2024-01-01T00:00:00Z\n",
        "\uff12024-01-01T00:00:00Z",
    ],
)
def test_other_text(text):
    assert not is_date_time(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02T00:00:00Z", 86400),
        ("1970-01-01T01:02:03.9Z", 3723),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T22:30:00-01:30", 0),
        ("2000-03-01T00:00:00z", 951868800),
        ("2024-02-29T12:00:00Z", 1709208000),
        ("9999-12-31T23:59:59Z", 253402300799),
    ],
)
def test_instants_differ_by_seconds(text, seconds):
    assert instant(text) - instant("1970-01-01T00:00:00Z") == seconds


@pytest.mark.parametrize("text", ["", "2023-02-29T00:00:00Z"])
def test_what_is_no_date_time_has_no_instant(text):
    with pytest.raises(ValueError, match="no date-time"):
        instant(text)


def test_each_month_has_its_days():
    for month, days in enumerate([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], 1):
        assert is_date_time(f"2024-{month:02}-{days}T00:00:00Z")
        assert not is_date_time(f"2024-{month:02}-{days + 1}T00:00:00Z")
