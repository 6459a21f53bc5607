"""The names behind the technique numbers that findings carry (MITRE ATT&CK and MITRE D3FEND)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TECHNIQUE = re.compile(r"attack\.t[0-9]{4}(\.[0-9]{3})?")

ATTACK = {
    "T1021.001": "Remote Services: Remote Desktop Protocol",
    "T1090": "Proxy",
    "T1090.001": "Proxy: Internal Proxy",
    "T1090.002": "Proxy: External Proxy",
    "T1090.003": "Proxy: Multi-hop Proxy",
    "T1572": "Protocol Tunneling",
}

D3FEND = {
    "D3-CSPP": "Client-server Payload Profiling",
    "D3-NTCD": "Network Traffic Community Deviation",
    "D3-PHDURA": "Per Host Download-Upload Ratio Analysis",
    "D3-PMAD": "Protocol Metadata Anomaly Detection",
    "D3-RPA": "Relay Pattern Analysis",
    "D3-RTSD": "Remote Terminal Session Detection",
    "D3-UGLPA": "User Geolocation Logon Pattern Analysis",
}


def numbers(tags: Iterable[str]) -> list[str]:
    """The techniques that a Sigma rule's tags name: `attack.t1090.002` is T1090.002; other tags are left out."""
    return [tag.removeprefix("attack.").upper() for tag in tags if _TECHNIQUE.fullmatch(tag)]


def named(number: str) -> str:
    """`T1090.002 Proxy: External Proxy`; a number without a name here stands alone."""
    name = ATTACK.get(number) or D3FEND.get(number)
    return f"{number} {name}" if name else number
