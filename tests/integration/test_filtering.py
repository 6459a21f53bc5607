"""What `hopscope export nftables` lists, loaded where packets pass: hops are cut off both ways, and nothing else is."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence

import pytest

from hopscope.outputs import nftables
from support.blocklists import blocklist, listed, nft

HOP, WHOLE, OTHER = "203.0.113.9", "198.51.100.7", "192.0.2.10"
LINES = [listed(HOP, 443, "udp"), listed(WHOLE, ports=("443/udp",))]

# Datagrams within one machine are there when the call that sends them returns: nothing is waited for.
PROGRAM = """
import json, sys
from socket import AF_INET, SOCK_DGRAM, socket
arrived = []
for sender, port, receiver, at in json.loads(sys.argv[1]):
    with socket(AF_INET, SOCK_DGRAM) as there, socket(AF_INET, SOCK_DGRAM) as here:
        there.setblocking(False)
        there.bind((receiver, at))
        here.bind((sender, port))
        try:
            here.sendto(b"x", (receiver, at))
            there.recv(1)
        except (BlockingIOError, PermissionError):
            continue
        arrived.append([sender, port, receiver, at])
print(json.dumps(arrived))
"""


def arrived(ways: Sequence[tuple[str, int, str, int]], chains: bool) -> list[tuple[str, int, str, int]]:
    """Of datagrams (from address and port, to address and port) those that arrive where the file is loaded."""
    if shutil.which("ip") is None:
        pytest.skip("ip isn't installed (apt-get install iproute2)")
    addresses = [f"ip address add {a}/32 dev lo" for a in (HOP, WHOLE, OTHER)]
    send = f"{sys.executable} -c '{PROGRAM}' '{json.dumps(ways)}'"
    file = "".join(f"{line}\n" for line in nftables.lines(blocklist(LINES), chains))
    out = nft(file, "ip link set lo up", *addresses, "nft -f -", send)
    return [tuple(way) for way in json.loads(out)]


OUT = [(OTHER, 5000, HOP, 443), (OTHER, 5000, WHOLE, 443), (OTHER, 5000, WHOLE, 53)]
IN = [(HOP, 443, OTHER, 5000), (WHOLE, 443, OTHER, 5000), (WHOLE, 6000, OTHER, 53)]
BESIDE = [(OTHER, 5000, HOP, 8443), (HOP, 8443, OTHER, 5000), (OTHER, 443, OTHER, 5000), (OTHER, 5000, OTHER, 443)]


@pytest.mark.parametrize("ways", [OUT, IN], ids=["outbound", "inbound"])
def test_the_chains_drop_what_goes_to_hops_and_what_comes_from_them(ways: list[tuple[str, int, str, int]]) -> None:
    assert arrived([*ways, *BESIDE], chains=True) == BESIDE


def test_without_chains_everything_passes() -> None:
    assert arrived([*OUT, *IN, *BESIDE], chains=False) == [*OUT, *IN, *BESIDE]
