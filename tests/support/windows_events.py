"""Windows events for tests, and the forms in which exports write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from xml.sax.saxutils import escape, quoteattr

Value = str | int | bool | UUID | datetime | None

SYSMON = "Microsoft-Windows-Sysmon"
SECURITY = "Microsoft-Windows-Security-Auditing"
CHANNELS = {SYSMON: "Microsoft-Windows-Sysmon/Operational", SECURITY: "Security"}
WRITTEN = datetime(2024, 5, 1, 12, 0, 7, 512340, tzinfo=UTC)
GUID = UUID("747f3d96-d6f7-5d31-0000-00104ace2500")


@dataclass(frozen=True)
class Event:
    """An event as its log has it: `data` are EventData's values by name, typed as Windows types them."""

    provider: str
    event_id: int
    data: Mapping[str, Value]
    record: int = 3757
    computer: str = "pc01.corp.example"
    written: datetime = WRITTEN
    version: int = 5
    channel: str = field(default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "channel", self.channel or CHANNELS.get(self.provider, "Application"))


def sysmon_3(event: Mapping[str, Any] | None = None, **data: Value) -> Event:
    """A connection that Sysmon saw; `data` replaces values, `event` what stands in System."""
    values: dict[str, Value] = {
        "RuleName": "-", "UtcTime": "2024-05-01 12:00:05.871", "ProcessGuid": GUID, "ProcessId": 3912,
        "Image": r"C:\Users\ann\plink.exe", "User": r"CORP\ann", "Protocol": "tcp", "Initiated": True,
        "SourceIsIpv6": False, "SourceIp": "10.0.2.15", "SourceHostname": "pc01.corp.example", "SourcePort": 49727,
        "SourcePortName": "", "DestinationIsIpv6": False, "DestinationIp": "203.0.113.7",
        "DestinationHostname": "relay.example.net", "DestinationPort": 443, "DestinationPortName": "https",
    }  # fmt: skip
    return Event(SYSMON, 3, values | data, **(event or {}))


def sysmon_22(event: Mapping[str, Any] | None = None, **data: Value) -> Event:
    """A DNS query that Sysmon saw."""
    values: dict[str, Value] = {
        "RuleName": "-", "UtcTime": "2024-05-01 12:00:04.100", "ProcessGuid": GUID, "ProcessId": 3912,
        "QueryName": "relay.example.net", "QueryStatus": "0", "QueryResults": "::ffff:203.0.113.7;",
        "Image": r"C:\Users\ann\plink.exe", "User": r"CORP\ann",
    }  # fmt: skip
    return Event(SYSMON, 22, values | data, **(event or {}))


def security_5156(event: Mapping[str, Any] | None = None, event_id: int = 5156, **data: Value) -> Event:
    """A connection that the filtering platform permitted (5157: blocked)."""
    values: dict[str, Value] = {
        "ProcessID": 820, "Application": r"\device\harddiskvolume1\users\ann\plink.exe", "Direction": "%%14593",
        "SourceAddress": "127.0.0.1", "SourcePort": "49271", "DestAddress": "127.0.0.2", "DestPort": "3389",
        "Protocol": 6, "InterfaceIndex": 1, "FilterOrigin": "Unknown", "FilterRTID": 65865, "LayerName": "%%14611",
        "LayerRTID": 50, "RemoteUserID": "S-1-0-0", "RemoteMachineID": "S-1-0-0",
    }  # fmt: skip
    return Event(SECURITY, event_id, values | data, **{"version": 1, **(event or {})})


def iso(at: datetime, digits: str = "") -> str:
    """ISO 8601 in UTC; `digits` follow the microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + digits + "Z"


def text(value: Value) -> str:
    """A value as Windows renders it in XML."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case UUID():
            return "{" + str(value).upper() + "}"
        case datetime():
            return iso(value, "0")
        case _:
            return str(value)


def texts(event: Event) -> dict[str, str]:
    """The event's data as text."""
    return {name: text(value) for name, value in event.data.items()}


def xml(event: Event) -> str:
    """As `wevtutil qe /f:xml` writes it, on one line."""
    data = "".join(f"<Data Name={quoteattr(n)}>{escape(v)}</Data>" for n, v in texts(event).items())
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        f"<Provider Name={quoteattr(event.provider)} Guid='{{5770385f-c22a-43e0-bf4c-06f5698ffbd9}}'/>"
        f"<EventID>{event.event_id}</EventID><Version>{event.version}</Version><Level>4</Level>"
        f"<TimeCreated SystemTime='{iso(event.written, '0')}'/><EventRecordID>{event.record}</EventRecordID>"
        "<Correlation/><Execution ProcessID='2796' ThreadID='3400'/>"
        f"<Channel>{escape(event.channel)}</Channel><Computer>{escape(event.computer)}</Computer>"
        f"<Security UserID='S-1-5-18'/></System><EventData>{data}</EventData></Event>"
    )


def winlogbeat(event: Event) -> dict[str, Any]:
    """As Winlogbeat 8 writes it, without the modules that normalise fields."""
    return {
        "@timestamp": iso(event.written)[:23] + "Z",
        "winlog": {
            "provider_name": event.provider, "channel": event.channel, "computer_name": event.computer,
            "record_id": event.record, "event_id": str(event.event_id), "version": event.version,
            "process": {"pid": 2796}, "event_data": texts(event),
        },
        "event": {"code": str(event.event_id), "kind": "event", "provider": event.provider},
        "host": {"name": "pc01", "os": {"family": "windows"}},
        "message": "Network connection detected:\nRuleName: -",
    }  # fmt: skip


def ecs(event: Event, winlog: bool = False) -> dict[str, Any]:
    """In the Elastic Common Schema alone, or as Winlogbeat's Sysmon module leaves it."""
    data = texts(event)
    domain, _, user = data.get("User", "").rpartition("\\")
    out = {
        "@timestamp": data["UtcTime"].replace(" ", "T") + "Z",
        "event": {"code": str(event.event_id), "provider": event.provider, "module": "sysmon"},
        "host": {"name": event.computer},
        "process": {"executable": data["Image"], "pid": event.data["ProcessId"], "entity_id": data["ProcessGuid"]},
        "user": {"name": user, "domain": domain},
        "network": {"transport": data["Protocol"], "direction": "egress"},
        "source": {"ip": data["SourceIp"], "port": event.data["SourcePort"], "domain": data["SourceHostname"]},
        "destination": {
            "ip": data["DestinationIp"], "port": event.data["DestinationPort"], "domain": data["DestinationHostname"],
        },
    }  # fmt: skip
    if winlog:
        out["winlog"] = {
            "provider_name": event.provider, "computer_name": event.computer, "record_id": event.record,
            "event_id": event.event_id, "event_data": {"RuleName": "-", "SourcePortName": ""},
        }  # fmt: skip
    return out


def velociraptor(event: Event) -> dict[str, Any]:
    """As Velociraptor's parse_evtx gives it."""
    return {
        "System": {
            "Provider": {"Name": event.provider, "Guid": "5770385F-C22A-43E0-BF4C-06F5698FFBD9"},
            "EventID": {"Value": event.event_id}, "Version": event.version,
            "TimeCreated": {"SystemTime": event.written.timestamp()}, "EventRecordID": event.record,
            "Channel": event.channel, "Computer": event.computer,
        },
        "EventData": {n: v if isinstance(v, int) else text(v).strip("{}") for n, v in event.data.items()},
        "Message": "Network connection detected:\n",
    }  # fmt: skip


def evtx_dump(event: Event, separate: bool = False) -> dict[str, Any]:
    """As evtx_dump -o jsonl writes it, attributes within or (`--separate-json-attributes`) beside their elements."""
    provider = {"Name": event.provider}
    created = {"SystemTime": iso(event.written)}
    system: dict[str, Any] = {
        "EventID": event.event_id, "Version": event.version, "EventRecordID": event.record,
        "Channel": event.channel, "Computer": event.computer, "Correlation": None,
    }  # fmt: skip
    if separate:
        system |= {"Provider": None, "Provider_attributes": provider, "TimeCreated_attributes": created}
    else:
        system |= {"Provider": {"#attributes": provider}, "TimeCreated": {"#attributes": created}}
        system["EventID"] = {"#attributes": {"Qualifiers": ""}, "#text": event.event_id}
    data = {n: v if isinstance(v, int) else text(v).strip("{}") for n, v in event.data.items()}
    return {"Event": {"#attributes": {"xmlns": "x"}, "System": system, "EventData": data}}


def nxlog(event: Event) -> dict[str, Any]:
    """As NXLog's to_json writes it: all fields flat."""
    return {
        "EventTime": event.written.strftime("%Y-%m-%d %H:%M:%S"), "Hostname": event.computer,
        "EventID": event.event_id, "SourceName": event.provider, "RecordNumber": event.record,
        "Channel": event.channel, "Severity": "INFO", "Message": "Network connection detected:\r\nRuleName: -",
        "EventReceivedTime": "2024-05-01 12:00:09", "SourceModuleName": "eventlog", **texts(event),
    }  # fmt: skip


def splunk(event: Event) -> dict[str, Any]:
    """A line of Splunk's JSON export."""
    result = {
        "_time": iso(event.written)[:23] + "+00:00", "host": "PC01", "source": f"XmlWinEventLog:{event.channel}",
        "EventCode": str(event.event_id), "Computer": event.computer, "SourceName": event.provider,
        "EventRecordID": str(event.record), **texts(event),
    }  # fmt: skip
    return {"preview": False, "offset": 0, "result": result}


def get_winevent(event: Event, message: str | None = None, deep: bool = True, time: Any = None) -> dict[str, Any]:
    """As `Get-WinEvent | ConvertTo-Json` writes it; not `deep` the properties are type names, as with its -Depth."""
    milliseconds = int(event.written.timestamp() * 1000)
    name = "System.Diagnostics.Eventing.Reader.EventProperty"
    properties: list[Any] = [{"Value": v if isinstance(v, int) else text(v)} for v in event.data.values()]
    return {
        "Message": message, "Id": event.event_id, "Version": event.version, "Qualifiers": None, "Level": 4,
        "RecordId": event.record, "ProviderName": event.provider, "ProviderId": str(GUID), "LogName": event.channel,
        "ProcessId": 2796, "ThreadId": 3400, "MachineName": event.computer, "UserId": {"Value": "S-1-5-18"},
        "TimeCreated": f"/Date({milliseconds})/" if time is None else time,
        "Properties": properties if deep else [name] * len(properties),
    }  # fmt: skip


def lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
