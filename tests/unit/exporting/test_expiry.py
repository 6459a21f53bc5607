"""Until when a hop stays listed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hopscope.errors import UsageError
from hopscope.exporting import expiry

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("1h", datetime(2026, 11, 21, 11, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 28, 10, tzinfo=UTC)),
        (" 2 W ", datetime(2026, 12, 5, 10, tzinfo=UTC)),
        ("366d", datetime(2027, 11, 22, 10, tzinfo=UTC)),
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_counted_from_when_it_was_last_seen_or_a_day(text: str, until: datetime) -> None:
    assert expiry.parse(text, NOW).of("2026-11-21T10:00:00.500Z", NOW) == until


@pytest.mark.parametrize(
    "text", ["", "0d", "never", "7", "7m", "367d", "53w", "-1d", "2026-11-22", "2026-13-01", "2027-11-24", "9999-01-01"]
)
def test_what_is_no_end_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(UsageError, match="--expires"):
        expiry.parse(text, NOW)


def test_a_sensor_whose_clock_is_ahead_lists_for_no_longer() -> None:
    assert expiry.parse("1d", NOW).of("2031-01-01T00:00:00Z", NOW) == datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize("last_seen", ["", "yesterday", "2026-11-21T10:00:00"])
def test_an_unknown_time_is_no_time(last_seen: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - datetime's own message
        expiry.parse("1d", NOW).of(last_seen, NOW)
