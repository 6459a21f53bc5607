"""Plain lists: one place a line, everything for people behind #."""

from __future__ import annotations

from datetime import UTC, datetime

from hopscope.allow import exchange
from hopscope.exporting.expiry import Expiry
from hopscope.outputs import plain_list
from support.blocklists import WEEK, blocklist, listed

LINES = [
    listed("203.0.113.9", 443, "tcp"),
    listed("198.51.100.7"),
    listed("2001:db8::9", 53, "udp"),
    listed("2001:db8::/64"),
]


def test_places_with_until_when_and_whose_finding() -> None:
    beside = "until 2026-11-29T11:00:03Z, high, hop-3fa9c21b7d"
    assert list(plain_list.lines(blocklist(LINES))) == [
        "# Proxy hops (MITRE ATT&CK T1090.002) that hopscope found.",
        "# made 2026-11-22 12:00:00 UTC, severity high and above, 4 lines",
        "# expires 2026-11-29 11:00:03 UTC at the latest: each line 7d after its hop was last seen",
        f"203.0.113.9:443/tcp # {beside}",
        f"198.51.100.7 # {beside}",
        f"[2001:db8::9]:53/udp # {beside}",
        f"2001:db8::/64 # {beside}",
    ]


def test_the_head_of_an_empty_list_and_of_one_that_ends_on_a_day() -> None:
    assert list(plain_list.about(blocklist([], WEEK))) == [
        "made 2026-11-22 12:00:00 UTC, severity high and above, 0 lines"
    ]
    day = Expiry("2026-12-01", end=datetime(2026, 12, 1, tzinfo=UTC))
    assert list(plain_list.about(blocklist(LINES, day)))[1] == "expires 2026-12-01 00:00 UTC"


def test_what_is_written_can_be_read_again() -> None:
    taken = exchange.read("\n".join(plain_list.lines(blocklist(LINES))), "f", "list")
    assert [str(a) for a in taken.addresses] == ["203.0.113.9:443/tcp", "198.51.100.7", "[2001:db8::9]:53/udp"]
    assert [str(n) for n in taken.networks] == ["2001:db8::/64"]
    assert taken.refused == []
