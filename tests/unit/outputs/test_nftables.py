"""Files for nft: nft takes them all, loading anew replaces, and nothing blocks without chains."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopscope.exporting import blocklist as making
from hopscope.exporting.blocklist import Rules
from hopscope.exporting.known import of_findings
from hopscope.exporting.never import Never
from hopscope.findings import SEVERITIES, Finding
from hopscope.outputs import nftables
from support.blocklists import NOW, WEEK, blocklist, findings, listed, nft

LINES = [
    listed("203.0.113.9", 443, "tcp"),
    listed("203.0.113.9", 443, "udp"),
    listed("2001:db8::9", 8443, "tcp", severity="critical", ids=("hop-0000000001", "hop-0000000002", "hop-0000000003")),
    listed("198.51.100.7", ports=("443/tcp",)),
    listed("2001:db8::7"),
    listed("2001:db8:0:1::/64"),
    listed("2001:db8:0:2::/64", until=NOW + timedelta(days=366)),
]


def text(*lines: making.Listed, chains: bool = False) -> str:
    return "".join(f"{line}\n" for line in nftables.lines(blocklist(lines), chains))


def test_each_line_is_an_element_with_the_time_left_and_whose_finding_it_is() -> None:
    elements = [line.strip() for line in text(*LINES).splitlines() if " timeout " in line and "comment" in line]
    told = 'timeout 6d23h3s comment "until 2026-11-29T11:00:03Z, high, hop-3fa9c21b7d"'
    assert elements == [
        f"203.0.113.9 . tcp . 443 {told},",
        f"203.0.113.9 . udp . 443 {told},",
        '2001:db8::9 . tcp . 8443 timeout 6d23h3s comment "until 2026-11-29T11:00:03Z, critical, hop-0000000001 '
        'hop-0000000002 and 1 more",',
        f'198.51.100.7 {told[:-1]}, seen at 443/tcp",',
        f"2001:db8::7 {told},",
        f"2001:db8:0:1::/64 {told},",
        '2001:db8:0:2::/64 timeout 366d comment "until 2027-11-23T12:00:00Z, high, hop-3fa9c21b7d",',
    ]


def test_the_least_time_left_is_a_second_for_none_would_be_for_ever() -> None:
    assert " timeout 1s " in text(listed("203.0.113.9", until=NOW + timedelta(milliseconds=10)))


def test_without_chains_nothing_but_sets_is_defined() -> None:
    rules = [line for line in text(*LINES).splitlines() if line and not line.startswith("#")]
    assert not [line for line in rules if re.search(r"\b(chain|hook|drop|jump)\b", line)]
    assert "# \t\tip daddr @addresses4 counter drop" in text().splitlines()


def test_it_touches_its_own_table_alone() -> None:
    for chains in (False, True):
        orders = [
            line for line in text(*LINES, chains=chains).splitlines() if re.match(r"(table|flush|add|delete)", line)
        ]
        assert orders
        assert all(re.match(r"(table|flush set|flush chain|add element) inet hopscope ", line) for line in orders)


@pytest.mark.parametrize("chains", [False, True])
@pytest.mark.parametrize("lines", [[], LINES], ids=["nothing", "all"])
def test_nft_takes_it(lines: list[making.Listed], chains: bool) -> None:
    nft(text(*lines, chains=chains))


def test_loaded_anew_it_replaces_what_was_listed_and_drops_nothing_twice() -> None:
    first, second = text(*LINES, chains=True), text(listed("198.51.100.8"), chains=True)
    loaded = nft(f"{first}\n{second}\n{second}", "nft -f -", "nft list table inet hopscope")
    assert "198.51.100.8" in loaded
    assert "203.0.113.9" not in loaded
    assert len(re.findall(r"ip daddr @addresses4 counter .*drop", loaded)) == 1
    assert loaded.count("jump to_hops") == 2  # through this machine, and from it


def test_sets_are_refreshed_under_chains_that_were_loaded_before() -> None:
    loaded = nft(text(*LINES, chains=True) + text(), "nft -f -", "nft list table inet hopscope")
    assert "elements" not in loaded
    assert "ip daddr @addresses4" in loaded


def test_elements_end_by_themselves() -> None:
    ended = listed("203.0.113.9", until=NOW + timedelta(seconds=1))
    assert "203.0.113.9" in nft(text(ended), "nft -f -", "nft list table inet hopscope")
    assert "203.0.113.9" not in nft(text(ended), "nft -f -", "sleep 1.2", "nft list table inet hopscope")


SEND = """import socket
for source, target in (("127.0.0.1", "203.0.113.9"), ("203.0.113.9", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")):
    for port in (443, 444):
        ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        theirs = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        hop = theirs if target == "203.0.113.9" else ours
        ours.bind((source, port if hop is ours else 0))
        theirs.bind((target, port if hop is theirs else 0))
        theirs.settimeout(0.3)
        try:
            ours.sendto(b"x", theirs.getsockname())
            theirs.recv(1)
            print(source, target, port, "came")
        except (PermissionError, TimeoutError):
            print(source, target, port, "dropped")
"""


@pytest.mark.parametrize("chains", [False, True])
def test_what_goes_to_a_hop_and_what_comes_from_it_is_dropped_by_chains_alone(chains: bool, tmp_path: Path) -> None:
    if shutil.which("ip") is None:
        pytest.skip("ip isn't installed (apt-get install iproute2)")
    (tmp_path / "send.py").write_text(SEND)
    told = nft(
        text(listed("203.0.113.9", 443, "udp"), chains=chains),
        "nft -f -",
        "ip link set lo up",
        "ip address add 203.0.113.9/32 dev lo",
        f"{shlex.quote(sys.executable)} {shlex.quote(str(tmp_path / 'send.py'))}",
    )
    assert told.splitlines() == [
        f"127.0.0.1 203.0.113.9 443 {'dropped' if chains else 'came'}",
        "127.0.0.1 203.0.113.9 444 came",
        f"203.0.113.9 127.0.0.1 443 {'dropped' if chains else 'came'}",
        "203.0.113.9 127.0.0.1 444 came",
        "127.0.0.1 127.0.0.2 443 came",
        "127.0.0.1 127.0.0.2 444 came",
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(found=st.lists(findings(), max_size=12), chains=st.booleans(), ports=st.booleans())
def test_nft_takes_whatever_a_store_holds(found: list[Finding], chains: bool, ports: bool) -> None:
    rules = Rules(SEVERITIES[0], WEEK, 20, ports, names=False)
    done = making.make(found, {}, {}, Never(), of_findings(found), rules, NOW)
    assert done.below == 0
    assert len({left.id for left in done.left} | {i for line in done.listed for i in line.ids}) == len(
        {f.id for f in found}
    )
    file = "".join(f"{line}\n" for line in nftables.lines(done, chains))
    assert file.isascii()
    nft(file)
