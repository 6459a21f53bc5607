"""host_ends: the client of a host's event, whatever Windows writes as source."""

from __future__ import annotations

from typing import Any

import pytest

from hopscope.host_ends import ENDS, oriented
from support.events import SECURITY, SYSMON, host_events

HERE = {"src_h": "10.0.0.5", "src_name": "ws1"}
THERE = {"dst_h": "192.0.2.7", "dst_name": "admin"}


def client(base: dict[str, Any], src_p: int | None, dst_p: int | None, initiated: bool | None) -> str:
    """Whose address is the client's, and that all of its end goes with it."""
    event = {**HERE, **THERE, "src_p": src_p, "dst_p": dst_p, "initiated": initiated}
    (row,) = oriented(host_events([event], base)).to_pylist()
    source, destination = ("10.0.0.5", src_p, "ws1"), ("192.0.2.7", dst_p, "admin")
    told = tuple(row.values())
    assert tuple(row) == ENDS
    assert told in (source + destination, destination + source)
    return "source" if told == source + destination else "destination"


@pytest.mark.parametrize("base", [SYSMON, SECURITY])
@pytest.mark.parametrize("initiated", [True, None])
@pytest.mark.parametrize("ports", [(50_000, 443), (443, 50_000), (137, 137), (None, None)])
def test_the_source_opened_what_the_process_opened(
    base: dict[str, Any], initiated: bool | None, ports: tuple[int | None, int | None]
) -> None:
    assert client(base, *ports, initiated) == "source"


@pytest.mark.parametrize(("base", "ports", "expected"), [
    (SYSMON, (3389, 49_186), "destination"),  # Sysmon until 2019
    (SYSMON, (52_543, 3389), "source"),  # Sysmon since
    (SYSMON, (137, 137), "source"),
    (SYSMON, (None, None), "source"),
    (SECURITY, (3389, 49_271), "destination"),
    (SECURITY, (49_155, 55_875), "destination"),
    (SECURITY, (50_000, 3389), "source"),  # systems that name the other end
    (SECURITY, (137, 137), "destination"),
    (SECURITY, (None, None), "destination"),
])  # fmt: skip
def test_the_lesser_port_is_the_server_s_in_what_the_process_accepted(
    base: dict[str, Any], ports: tuple[int | None, int | None], expected: str
) -> None:
    assert client(base, *ports, False) == expected
