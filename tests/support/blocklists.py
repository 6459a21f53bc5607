"""Lists for tests: any finding that a store could hold, and lines for the formats."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st

from hopscope.exporting.blocklist import Blocklist, Listed
from hopscope.exporting.expiry import Expiry
from hopscope.findings import SEVERITIES, Entity, Finding
from support.findings import finding

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEEK = Expiry("7d", after=timedelta(days=7))


def listed(value: str, port: int | None = None, proto: str | None = None, **changes: object) -> Listed:
    """A line: with a port a service, with a slash a network, a name where it is no address."""
    kind = "service" if port is not None else "network" if "/" in value else "address"
    kind = kind if ":" in value or value[:1].isdigit() else "name"
    given: dict[str, object] = {
        "until": NOW + timedelta(days=6, hours=23, seconds=3), "severity": "high", "ids": ("hop-3fa9c21b7d",)
    }  # fmt: skip
    return Listed(kind, value, port, proto, **(given | changes))  # type: ignore[arg-type]


def blocklist(lines: Sequence[Listed], expiry: Expiry = WEEK) -> Blocklist:
    """A list of these lines, made at NOW."""
    return Blocklist(tuple(lines), (), 0, NOW, expiry, "high")


_PLACES = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.sampled_from(
        ["203.0.113.9", "2001:db8::9", "2001:db8::a", "::ffff:203.0.113.9", "127.0.0.1", "", "x\n}", "fe80::1%eth0"]
    ),
)
_TEXTS = st.one_of(
    st.sampled_from(["hop.example", "", "a\tb\nc", 'x" }', "ü.example", "hop-3fa9c21b7d"]), st.text(max_size=12)
)


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    """A finding that the store would read, if seldom one that hopscope would write."""
    kind = draw(st.sampled_from(["service", "address", "network", "name", "odd"]))
    hop = draw(_PLACES)
    port = draw(st.one_of(st.none(), st.integers(0, 65_535), st.integers()))
    proto = draw(st.one_of(st.none(), st.sampled_from(["tcp", "udp", "icmp", "sctp", "tcp ; drop"])))
    value = (
        draw(st.sampled_from(["2001:db8::/64", "2001:db8:0:1::/64", "2001:db8::/32", "2001:db8::%x}\n/64", hop]))
        if kind == "network"
        else hop
    )
    if kind == "name":
        value = draw(_TEXTS)
    return finding(
        severity=draw(st.sampled_from(SEVERITIES)), entity=Entity(kind, value), hop=hop, port=port, proto=proto,
        id=draw(st.one_of(st.from_regex(r"hop-[0-9a-f]{10}", fullmatch=True), _TEXTS)),
        names=tuple(draw(st.lists(_TEXTS, max_size=3))), dns_names=tuple(draw(st.lists(_TEXTS, max_size=3))),
        last_seen=draw(st.sampled_from(["2026-11-22T11:00:00.000Z", "2026-11-15T12:00:01Z", "2020-01-01T00:00:00Z",
                                        "2031-01-01T00:00:00Z", "", "soon"])),
    )  # fmt: skip


def nft(text: str, *commands: str) -> str:
    """What nft says to a file's text, checked and (with `commands`, in a network of its own) loaded.

    Skips where there is no nft or where this user may not ask it.
    """
    if shutil.which("nft") is None:
        pytest.skip("nft isn't installed (apt-get install nftables)")
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rn", "nft", "list", "ruleset"],
                                                         capture_output=True, check=False).returncode:  # fmt: skip
        pytest.skip("this machine lets nobody have a network of his own, so nft can't be asked")
    script = "\n".join(["set -e", *(commands or ["nft -c -f -"])])
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", script], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stderr}\n{text}"
    return done.stdout
