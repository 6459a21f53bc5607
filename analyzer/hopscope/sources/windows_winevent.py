"""What Get-WinEvent's events hold, which PowerShell writes without names: properties by position, or the message."""

from __future__ import annotations

import re
from typing import Any

from hopscope.sources.windows_shapes import data_of

_NETWORK = (
    "ProcessID", "Application", "Direction", "SourceAddress", "SourcePort", "DestAddress", "DestPort", "Protocol",
)  # fmt: skip
_SYSMON_3 = (
    "RuleName", "UtcTime", "ProcessGuid", "ProcessId", "Image", "User", "Protocol", "Initiated", "SourceIsIpv6",
    "SourceIp", "SourceHostname", "SourcePort", "SourcePortName", "DestinationIsIpv6", "DestinationIp",
    "DestinationHostname", "DestinationPort", "DestinationPortName",
)  # fmt: skip
_SYSMON_22 = (
    "RuleName", "UtcTime", "ProcessGuid", "ProcessId", "QueryName", "QueryStatus", "QueryResults", "Image", "User",
)  # fmt: skip
_LABELS = {
    "Process ID": "ProcessID", "Application Name": "Application", "Source Address": "SourceAddress",
    "Source Port": "SourcePort", "Destination Address": "DestAddress", "Destination Port": "DestPort",
    "Filter Origin": "FilterOrigin",
}  # fmt: skip
_LINE = re.compile(r"^[ \t]*([A-Za-z][A-Za-z ]{1,30}):(.*)$", re.MULTILINE)


def told(event_id: int, row: Any) -> Any:
    """The data of Get-WinEvent's events: the properties by position, else the English message line by line."""
    values = row.f_Properties
    if type(values) is list and values and all(type(v) is dict and "Value" in v for v in values):
        return data_of(dict(zip(_positions(event_id, len(values)), (v["Value"] for v in values), strict=False)))
    if type(row.f_Message) is str:
        told: dict[str, str] = {}
        for name, value in _LINE.findall(row.f_Message):
            told.setdefault(_LABELS.get(name, name), value.strip(" \t\r"))
        return data_of(told)
    return None


def _positions(event_id: int, number: int) -> tuple[str, ...]:
    """The names of an event's properties; versions differ in their number."""
    if event_id == 3:
        return _SYSMON_3 if number >= len(_SYSMON_3) else _SYSMON_3[1:]
    if event_id == 22:
        return _SYSMON_22
    return (*_NETWORK, "InterfaceIndex", "FilterOrigin") if number >= 15 else _NETWORK
