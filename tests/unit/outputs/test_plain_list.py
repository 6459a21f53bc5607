"""Plain lists: one place a line, everything for people behind #."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from hopscope.allow import exchange
from hopscope.exporting.blocklist import Rules, make
from hopscope.exporting.expiry import Expiry
from hopscope.exporting.known import Known
from hopscope.exporting.never import Never
from hopscope.findings import Finding
from hopscope.outputs import plain_list, zeek_intel
from support.blocklists import NOW, WEEK, blocklist, findings, listed

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


@settings(deadline=None)
@given(found=st.lists(findings(), max_size=12), ports=st.booleans())
def test_whatever_a_store_holds_a_line_is_one_place(found: list[Finding], ports: bool) -> None:
    done = make(found, {}, {}, Never(), Known(frozenset(), {}, {}, {}), Rules("info", WEEK, 20, ports, not ports), NOW)
    text = "\n".join(plain_list.lines(done) if ports else zeek_intel.lines(done))
    assert all(c.isprintable() or c in "\n\t" for c in text)
    rows = [line for line in text.split("\n") if not line.startswith("#")]
    form = r"[0-9a-f.:/\[\]]+(/tcp|/udp)? # [^#\t]+" if ports else r"[0-9a-z._:/-]+\tIntel::[A-Z]+\thopscope\t[^\t]+"
    assert len(rows) == len(done.listed)
    assert [row for row in rows if re.fullmatch(form, row) is None] == []
    if rows:
        assert exchange.read(text, "f", "list" if ports else None).refused == []
