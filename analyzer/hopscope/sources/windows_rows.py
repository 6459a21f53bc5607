"""The shapes in which exports hold an event, each reduced to the same: who wrote what when, and the event's data.

Shapes: {"System", "EventData"} (Velociraptor, and within "Event" evtx_dump and the like), {"winlog"} (Winlogbeat),
{"event", "source", "destination"} (the Elastic Common Schema alone), {"Id", "Properties", "Message"} (Get-WinEvent),
and flat fields (NXLog, Splunk, old Winlogbeat). Names are looked up by msgspec while it parses; what isn't used is
skipped and never becomes an object.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from hopscope.records import HOST_EVENT_SCHEMA, NO_HOST_EVENTS
from hopscope.sources import windows_fields

PROVIDERS = {
    "microsoft-windows-sysmon": "sysmon",
    "linux-sysmon": "sysmon",
    "sysmon": "sysmon",  # event.module
    "microsoft-windows-security-auditing": "security",
    "microsoft windows security auditing.": "security",  # as Splunk and the Event Viewer show it
    "security": "security",
}
EVENTS = {"sysmon": frozenset((3, 22)), "security": frozenset((5156, 5157))}
IDS = {spelt: n for ids in EVENTS.values() for n in ids for spelt in (n, str(n))}

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
_LINE = re.compile(r"^[ \t]*([A-Za-z][A-Za-z ]{1,30}):[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)

Other = str | int | float | bool | list[Any] | None  # a place may hold anything; only objects are looked into


def _shape(name: str, names: Iterable[str], within: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """A msgspec type with the names as fields; the characters that Python's names lack become underscores."""
    fields: list[tuple[str, Any, Any]] = [(attribute(n), Any, None) for n in names]
    fields += [(attribute(n), shape | Other, None) for n, shape in (within or {}).items()]
    renames = {attribute(n): n for n in (*names, *(within or {}))}
    return msgspec.defstruct(name, fields, rename=renames, gc=False, **options)


def attribute(name: str) -> str:
    """The field of a shape that holds what is called so."""
    return "f_" + re.sub(r"\W", "_", name)


_NAMES = tuple(n for names in windows_fields.NAMES.values() for n in names)
ECS_NAMES = tuple(n for n in _NAMES if n.startswith("ecs."))
FLAT_NAMES = tuple(n for n in _NAMES if n not in ECS_NAMES and (n.islower() or "_" in n))  # Splunk's, of flat rows
DATA_NAMES = tuple(n for n in _NAMES if n not in ECS_NAMES and n not in FLAT_NAMES)  # Windows' own

Data = _shape("Data", DATA_NAMES)
_Attributes = _shape("Attributes", ("Name", "SystemTime"))
_Value = _shape(
    "Value", ("#text", "Value", "value", "Name", "SystemTime", "@Name", "@SystemTime"), {"#attributes": _Attributes}
)
_SYSTEM = (
    "Provider", "Provider_attributes", "EventID", "TimeCreated", "TimeCreated_attributes", "EventRecordID", "Channel",
    "Computer",
)  # fmt: skip
_System = _shape("System", (), dict.fromkeys(_SYSTEM, _Value))
_Event = _shape("Event", (), {"System": _System, "EventData": Data})
_Winlog = _shape("Winlog", ("event_id", "provider_name", "channel", "computer_name", "record_id"), {"event_data": Data})
_End = _shape("End", ("ip", "port", "domain"))
_Process = _shape("Process", ("executable", "pid", "entity_id"))
_User = _shape("User", ("name", "domain"))
_Network = _shape("Network", ("transport", "direction"))
_Question = _shape("Question", ("name",))
_Dns = _shape("Dns", (), {"question": _Question})
_SysmonDns = _shape("SysmonDns", ("status",))
_Sysmon = _shape("Sysmon", (), {"dns": _SysmonDns})
_Code = _shape("Code", ("code", "provider", "module"))
_Host = _shape("Host", ("name", "hostname"))
_Property = _shape("Property", ("Value",))

_FLAT = {
    "id": ("EventID", "EventId", "event_id", "EventCode", "Id"),
    "provider": ("ProviderName", "SourceName", "Provider_Name", "source_name", "Provider"),
    "channel": ("Channel", "LogName", "log_name"),
    "host": ("Computer", "ComputerName", "computer_name", "Hostname", "MachineName"),
    "record": ("EventRecordID", "RecordNumber", "RecordId", "RecordID", "record_number"),
    "time": ("@timestamp", "EventTime", "_time", "SystemTime", "timestamp"),
}
_HEAD_NAMES = (*(n for names in _FLAT.values() for n in names), "Message", "Properties")
Row = _shape(
    "Row",
    (*DATA_NAMES, *FLAT_NAMES, *_HEAD_NAMES),
    {
        "Event": _Event, "System": _System, "EventData": Data, "winlog": _Winlog, "event_data": Data, "event": _Code,
        "source": _End, "destination": _End, "process": _Process, "user": _User, "network": _Network, "dns": _Dns,
        "sysmon": _Sysmon, "host": _Host, "TimeCreated": _Value,
    },
)  # fmt: skip
Wrapped = _shape("Wrapped", (), {"_source": Row, "result": Row}, bases=(Row,))
"""What is decoded: a row, or what Elasticsearch and Splunk wrap around it."""

_ENDS = attrgetter(*map(attribute, ("SourceIp", "SourceAddress", "QueryName")))
_FLAT_ENDS = attrgetter(*map(attribute, ("Source_Address", "src_ip")))
_NO_ENDS, _NO_FLAT_ENDS = (None,) * 3, (None,) * 2  # an event has one of them
_ALL = attrgetter(*map(attribute, DATA_NAMES))
_FLAT_ALL = attrgetter(*map(attribute, FLAT_NAMES))
_EMPTY = Data()
_HEADS = ("provider", "event_id", "record", "host", "time")


class Gathered:
    """Events of the kinds that are used, and the counts of what was not taken."""

    def __init__(self) -> None:
        self.others = 0  # events of other kinds
        self.strange = 0  # rows that are no events
        self.timeless = 0  # events without a time
        self.odd = 0  # addresses and ports that are none
        self._heads: list[tuple[str, int, Any, Any, Any]] = []
        self._data: list[Any] = []
        self._ecs: list[tuple[Any, ...] | None] = []
        self._has_ecs = False
        self._settled: list[pa.RecordBatch] = []

    def take(self, rows: Iterable[Any]) -> None:
        """Add rows (`Wrapped`). One at a time, because each may have a shape of its own; it is short."""
        for outer in rows:
            self._one(outer)

    def add(self, provider: str, event_id: int, record: Any, host: Any, time: Any, data: Any) -> None:
        """Add an event of a used kind, with its data (`Data`, or a row that has its fields)."""
        self._heads.append((provider, event_id, record, host, time))
        self._data.append(data)
        self._ecs.append(None)

    def settle(self) -> int:
        """Make columns of what was added, a piece at a time while it is warm; how many events there are by now."""
        if self._heads:
            heads = dict(zip(_HEADS, zip(*self._heads, strict=True), strict=True))
            columns = dict(zip(DATA_NAMES, zip(*map(_ALL, self._data), strict=True), strict=True))
            if any(type(data) is not Data for data in self._data):
                nowhere = (None,) * len(FLAT_NAMES)
                flat = (_FLAT_ALL(data) if type(data) is not Data else nowhere for data in self._data)
                columns |= zip(FLAT_NAMES, zip(*flat, strict=True), strict=True)
            if self._has_ecs:
                nothing = (None,) * len(ECS_NAMES)
                columns |= zip(ECS_NAMES, zip(*(row or nothing for row in self._ecs), strict=True), strict=True)
            columns = {name: column for name, column in columns.items() if column.count(None) < len(column)}
            events, timeless, odd = windows_fields.batch(heads, columns)
            self._settled.append(events)
            self.timeless, self.odd = self.timeless + timeless, self.odd + odd
            self._heads, self._data, self._ecs, self._has_ecs = [], [], [], False
        return sum(part.num_rows for part in self._settled)

    def batch(self) -> pa.RecordBatch:
        """What is settled, in one; it begins anew."""
        parts, self._settled = self._settled, []
        table = pa.Table.from_batches(parts, HOST_EVENT_SCHEMA).combine_chunks()
        return next(iter(table.to_batches()), NO_HOST_EVENTS)

    def _one(self, outer: Any) -> None:
        row = outer
        for inner in (outer.f__source, outer.f_result):
            if type(inner) is Row:
                row = inner
        inner = row.f_Event if type(row.f_Event) is _Event else row
        if type(inner.f_System) is _System:
            self._native(inner.f_System, inner.f_EventData)
            return
        winlog, ecs = row.f_winlog, None
        if type(winlog) is _Winlog:
            event_id, provider, channel = winlog.f_event_id, winlog.f_provider_name, winlog.f_channel
            host, record, data = winlog.f_computer_name, winlog.f_record_id, winlog.f_event_data
            time, ecs = row.f__timestamp, row
        elif type(row.f_event) is _Code and row.f_event.f_code is not None:
            event_id, provider, channel = row.f_event.f_code, row.f_event.f_provider, row.f_event.f_module
            host, record, data, time, ecs = None, None, row.f_event_data, row.f__timestamp, row
        else:
            event_id, provider, channel, host, record, time = (_first(row, names) for names in _FLAT_FIELDS)
            data = row.f_event_data if type(row.f_event_data) is Data else row
            if type(row.f_TimeCreated) is _Value or row.f_TimeCreated is not None:
                time = _value(row.f_TimeCreated)
        if event_id is None:
            self.strange += 1
            return
        wanted = self._wanted(event_id, provider, channel)
        if wanted is None:
            return
        if (
            data is row and _ENDS(row) == _NO_ENDS and _FLAT_ENDS(row) == _NO_FLAT_ENDS
        ):  # its ProcessId is then that of the log's writer
            data = _told(wanted[1], row)
        if type(data) is not Data and data is not row:
            data = _EMPTY
        if host is None:
            host = row.f_host.f_name or row.f_host.f_hostname if type(row.f_host) is _Host else row.f_host
        if provider is None and channel is None and wanted[0] == "sysmon" and data.f_ProcessGuid is None:
            self.others += 1  # 3 and 22 are numbers of many providers' events
            return
        self.add(*wanted, record, host, time, data)
        if ecs is not None and _ENDS(data) == _NO_ENDS:
            self._ecs[-1], self._has_ecs = _ecs(ecs), True

    def _native(self, system: Any, data: Any) -> None:
        provider = _value(system.f_Provider, "name") or _value(system.f_Provider_attributes, "name")
        event_id = _value(system.f_EventID)
        if event_id is None:
            self.strange += 1
            return
        wanted = self._wanted(event_id, provider, _value(system.f_Channel))
        if wanted is not None:
            time = _value(system.f_TimeCreated, "time") or _value(system.f_TimeCreated_attributes, "time")
            record, host = _value(system.f_EventRecordID), _value(system.f_Computer)
            self._heads.append((*wanted, record, host, time))
            self._data.append(data if type(data) is Data else _EMPTY)
            self._ecs.append(None)

    def _wanted(self, event_id: Any, provider: Any, channel: Any) -> tuple[str, int] | None:
        """Provider and id of an event that is used; None, counted, for others."""
        number = IDS.get(event_id) if type(event_id) in (int, str) else None
        if number is not None:
            name = provider_of(provider if type(provider) is str else None, channel if type(channel) is str else None)
            if name is None and provider is None and channel is None:
                name = "security" if number in EVENTS["security"] else "sysmon"
            if name is not None and number in EVENTS[name]:
                return name, number
        self.others += 1
        return None


@functools.lru_cache(1024)
def provider_of(name: str | None, channel: str | None) -> str | None:
    """sysmon or security, by the provider's name, else the channel's; None for others."""
    if name:
        return PROVIDERS.get(name.lower())
    low = (channel or "").lower()
    return "sysmon" if "sysmon" in low else "security" if low == "security" else None


def data_of(values: Mapping[str, Any]) -> Any:
    """`Data` of fields by name; names that aren't used are left out."""
    return Data(**{_ATTRIBUTES[name]: value for name, value in values.items() if name in _ATTRIBUTES})


_ATTRIBUTES = {name: attribute(name) for name in DATA_NAMES}
_ECS_PATHS = [tuple(map(attribute, name.split(".")[1:])) for name in ECS_NAMES]
_ECS_USER = ECS_NAMES.index("ecs.user.name")
_FLAT_FIELDS = [tuple(map(attribute, names)) for names in _FLAT.values()]


def _first(row: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = getattr(row, name)
        if value is not None:
            return value.f_Name if type(value) is _Value else value
    return None


def _value(place: Any, wanted: str = "text") -> Any:
    """What an element of System holds, in whichever of the forms."""
    if type(place) is not _Value:
        return place
    if type(place.f__attributes) is _Attributes and wanted != "text":
        return place.f__attributes.f_Name if wanted == "name" else place.f__attributes.f_SystemTime
    if wanted == "name":
        return place.f_Name or place.f__Name
    if wanted == "time":
        return place.f_SystemTime or place.f__SystemTime or place.f_value
    for value in (place.f__text, place.f_Value, place.f_value):
        if value is not None:
            return value
    return None


def _told(event_id: int, row: Any) -> Any:
    """The data of Get-WinEvent's events: the properties by position, else the English message line by line."""
    values = row.f_Properties
    if type(values) is list and values and all(type(v) is dict and "Value" in v for v in values):
        return data_of(dict(zip(_positions(event_id, len(values)), (v["Value"] for v in values), strict=False)))
    if type(row.f_Message) is str:
        told: dict[str, str] = {}
        for name, value in _LINE.findall(row.f_Message):
            told.setdefault(_LABELS.get(name, name), value)
        return data_of(told)
    return None


def _positions(event_id: int, number: int) -> tuple[str, ...]:
    """The names of an event's properties; versions differ in their number."""
    if event_id == 3:
        return _SYSMON_3 if number >= len(_SYSMON_3) else _SYSMON_3[1:]
    if event_id == 22:
        return _SYSMON_22
    return (*_NETWORK, "InterfaceIndex", "FilterOrigin") if number >= 15 else _NETWORK


def _ecs(row: Any) -> tuple[Any, ...]:
    """What the Elastic Common Schema's objects hold, in the order of `ECS_NAMES`."""
    found = []
    for path in _ECS_PATHS:
        place = row
        for part in path:
            place = getattr(place, part, None)
        found.append(place)
    user = row.f_user
    if type(user) is _User and type(user.f_domain) is str and type(user.f_name) is str:
        found[_ECS_USER] = f"{user.f_domain}\\{user.f_name}"
    return tuple(found)
