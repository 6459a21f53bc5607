"""The shapes in which exports hold an event, as types that msgspec looks names up in while it parses.

{"System", "EventData"} (Velociraptor, and within "Event" evtx_dump and the like), {"winlog"} (Winlogbeat), {"event",
"source", "destination"} (the Elastic Common Schema alone), {"Id", "Properties", "Message"} (Get-WinEvent), and flat
fields (NXLog, Splunk, old Winlogbeat). What isn't used is skipped and never becomes an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from hopscope.sources import windows_fields

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
Attributes = _shape("Attributes", ("Name", "SystemTime"))
Value = _shape(
    "Value", ("#text", "Value", "value", "Name", "SystemTime", "@Name", "@SystemTime"), {"#attributes": Attributes}
)
_SYSTEM_NAMES = (
    "Provider", "Provider_attributes", "EventID", "TimeCreated", "TimeCreated_attributes", "EventRecordID", "Channel",
    "Computer",
)  # fmt: skip
System = _shape("System", (), dict.fromkeys(_SYSTEM_NAMES, Value))
Event = _shape("Event", (), {"System": System, "EventData": Data})
Winlog = _shape("Winlog", ("event_id", "provider_name", "channel", "computer_name", "record_id"), {"event_data": Data})
End = _shape("End", ("ip", "port", "domain"))
Process = _shape("Process", ("executable", "pid", "entity_id"))
User = _shape("User", ("name", "domain"))
Network = _shape("Network", ("transport", "direction"))
Question = _shape("Question", ("name",))
Dns = _shape("Dns", (), {"question": Question})
SysmonDns = _shape("SysmonDns", ("status",))
Sysmon = _shape("Sysmon", (), {"dns": SysmonDns})
Code = _shape("Code", ("code", "provider", "module"))
Host = _shape("Host", ("name", "hostname"))

FLAT = {
    "id": ("EventID", "EventId", "event_id", "EventCode", "Id"),
    "provider": ("ProviderName", "SourceName", "Provider_Name", "source_name", "Provider"),
    "channel": ("Channel", "LogName", "log_name"),
    "host": ("Computer", "ComputerName", "computer_name", "Hostname", "MachineName"),
    "record": ("EventRecordID", "RecordNumber", "RecordId", "RecordID", "record_number"),
    "time": ("@timestamp", "EventTime", "_time", "SystemTime", "timestamp"),
}
_HEAD_NAMES = (*(n for names in FLAT.values() for n in names), "Message", "Properties")
Row = _shape(
    "Row",
    (*DATA_NAMES, *FLAT_NAMES, *_HEAD_NAMES),
    {
        "Event": Event, "System": System, "EventData": Data, "winlog": Winlog, "event_data": Data, "event": Code,
        "source": End, "destination": End, "process": Process, "user": User, "network": Network, "dns": Dns,
        "sysmon": Sysmon, "host": Host, "TimeCreated": Value,
    },
)  # fmt: skip
Wrapped = _shape("Wrapped", (), {"_source": Row, "result": Row}, bases=(Row,))
"""What is decoded: a row, or what Elasticsearch and Splunk wrap around it."""

_ATTRIBUTES = {name: attribute(name) for name in DATA_NAMES}
_ECS_PATHS = [tuple(map(attribute, name.split(".")[1:])) for name in ECS_NAMES]
_ECS_USER = ECS_NAMES.index("ecs.user.name")


def data_of(values: Mapping[str, Any]) -> Any:
    """`Data` of fields by name; names that aren't used are left out."""
    return Data(**{_ATTRIBUTES[name]: value for name, value in values.items() if name in _ATTRIBUTES})


def first(row: Any, names: tuple[str, ...]) -> Any:
    """The first of a row's fields that holds something."""
    for name in names:
        value = getattr(row, name)
        if value is not None:
            return value.f_Name if type(value) is Value else value
    return None


def value(place: Any, wanted: str = "text") -> Any:
    """What an element of System holds, in whichever of the forms."""
    if type(place) is not Value:
        return place
    if type(place.f__attributes) is Attributes and wanted != "text":
        return place.f__attributes.f_Name if wanted == "name" else place.f__attributes.f_SystemTime
    if wanted == "name":
        return place.f_Name or place.f__Name
    if wanted == "time":
        return place.f_SystemTime or place.f__SystemTime or place.f_value
    for value in (place.f__text, place.f_Value, place.f_value):
        if value is not None:
            return value
    return None


def ecs_values(row: Any) -> tuple[Any, ...]:
    """What the Elastic Common Schema's objects hold, in the order of `ECS_NAMES`."""
    found = []
    for path in _ECS_PATHS:
        place = row
        for part in path:
            place = getattr(place, part, None)
        found.append(place)
    user = row.f_user
    if type(user) is User and type(user.f_domain) is str and type(user.f_name) is str:
        found[_ECS_USER] = f"{user.f_domain}\\{user.f_name}"
    return tuple(found)
