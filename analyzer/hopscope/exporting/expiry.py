"""Until when a hop stays listed: so long after it was last seen, or until a day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hopscope.errors import UsageError

MOST = timedelta(days=366)  # addresses change hands: what is listed for longer hits somebody else
_LENGTH = re.compile(r"(\d{1,4})\s*([hdw])", re.IGNORECASE)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True)
class Expiry:
    """Either `after` a hop was last seen, or at one `end` (UTC) for all; `told` is how the user wrote it."""

    told: str
    after: timedelta | None = None
    end: datetime | None = None

    def of(self, last_seen: str, now: datetime) -> datetime:
        """When a hop ends to be listed. Raises ValueError when the time (RFC 3339, UTC) is none.

        Who was seen in the future, by a clock that is ahead, counts as seen now.
        """
        if self.end is not None:
            return self.end
        seen = datetime.fromisoformat(last_seen)
        if seen.tzinfo is None:
            raise ValueError(f"{last_seen!r} has no time zone")
        return (min(seen, now) + (self.after or timedelta())).astimezone(UTC).replace(microsecond=0)


def parse(text: str, now: datetime) -> Expiry:
    """`12h`, `7d`, `2w`, or the day (2027-02-20, UTC) on which all ends. Raises UsageError."""
    given = text.strip()
    length = _LENGTH.fullmatch(given)
    if length is not None:
        after = int(length[1]) * _UNITS[length[2].lower()]
        if not timedelta() < after <= MOST:
            raise UsageError(
                f"--expires {given:.40}: give at least 1h and at most {MOST.days}d: addresses change hands"
            )
        return Expiry(given, after=after)
    try:
        end = datetime.strptime(given, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(
            f"--expires {given:.40}: write a length like 12h, 7d or 2w, counted from when a hop was last seen, "
            "or the day on which all ends, like 2027-02-20"
        ) from None
    if not now < end <= now + MOST:
        raise UsageError(f"--expires {given:.40}: name a day to come, at most {MOST.days} days from now")
    return Expiry(given, end=end)
