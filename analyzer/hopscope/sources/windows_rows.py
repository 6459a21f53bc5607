"""Rows of exports, whatever their shape, gathered as columns of the events that are used."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import astuple

from hopscope.records import HOST_EVENT_IDS, HOST_EVENT_SCHEMA, NO_HOST_EVENTS
from hopscope.sources import windows_fields, windows_winevent
from hopscope.sources.windows_shapes import (
    DATA_NAMES,
    ECS_NAMES,
    FLAT,
    FLAT_NAMES,
    Code,
    Data,
    Event,
    Host,
    Row,
    System,
    Value,
    Winlog,
    attribute,
    ecs_values,
    first,
    value,
)

PROVIDERS = {
    "microsoft-windows-sysmon": "sysmon",
    "linux-sysmon": "sysmon",
    "sysmon": "sysmon",  # event.module
    "microsoft-windows-security-auditing": "security",
    "microsoft windows security auditing.": "security",  # as Splunk and the Event Viewer show it
    "security": "security",
}
IDS = {spelt: n for ids in HOST_EVENT_IDS.values() for n in ids for spelt in (n, str(n))}
ANY_ID = "|".join(sorted(spelt for spelt in IDS if isinstance(spelt, str)))  # for regular expressions

_ENDS = attrgetter(*map(attribute, ("SourceIp", "SourceAddress", "QueryName")))
_FLAT_ENDS = attrgetter(*map(attribute, ("Source_Address", "src_ip")))
_NO_ENDS, _NO_FLAT_ENDS = (None,) * 3, (None,) * 2  # an event has one of them
_ALL = attrgetter(*map(attribute, DATA_NAMES))
_FLAT_ALL = attrgetter(*map(attribute, FLAT_NAMES))
_NOTHING_FLAT, _NOTHING_ECS = (None,) * len(FLAT_NAMES), (None,) * len(ECS_NAMES)
_EMPTY = Data()
_HEADS = ("provider", "event_id", "record", "host", "time")
_FLAT_FIELDS = [tuple(map(attribute, names)) for names in FLAT.values()]


def _tells(events: pa.RecordBatch) -> Any:
    return pc.is_valid(pc.coalesce(*(events[name] for name in ("process", "src_h", "dst_h", "query"))))


class Gathered:
    """Events of the kinds that are used, and the counts of what was not taken."""

    def __init__(self) -> None:
        self.others = 0  # events of other kinds
        self.strange = 0  # rows that are no events
        self.timeless = 0  # events without a time
        self.bare = 0  # events that tell neither a process nor an address nor a name
        self.odd = 0  # addresses and ports that are none
        self.cut = False  # the file ends where no file of its form does
        self._heads: list[tuple[str, int, Any, Any, Any]] = []
        self._data: list[Any] = []
        self._ecs: dict[int, tuple[Any, ...]] = {}  # by the event's place
        self._settled: list[pa.RecordBatch] = []

    def take(self, rows: Iterable[Any]) -> None:
        """Add rows (`Wrapped`). One at a time, because each may have a shape of its own; it is short."""
        for outer in rows:
            self._one(outer)

    def add(self, provider: str, event_id: int, record: Any, host: Any, time: Any, data: Any) -> None:
        """Add an event of a used kind, with its data (`Data`, or a row that has its fields)."""
        self._heads.append((provider, event_id, record, host, time))
        self._data.append(data)

    def settle(self) -> int:
        """Make columns of what was added, a piece at a time while it is warm; how many events there are by now."""
        if self._heads:
            heads = dict(zip(_HEADS, zip(*self._heads, strict=True), strict=True))
            kinds = set(map(type, self._data))
            every = astuple if kinds == {Data} else _ALL
            columns = dict(zip(DATA_NAMES, zip(*map(every, self._data), strict=True), strict=True))
            if kinds != {Data}:
                flat = [_FLAT_ALL(data) if type(data) is not Data else _NOTHING_FLAT for data in self._data]
                if any(told != _NOTHING_FLAT for told in flat):
                    columns |= zip(FLAT_NAMES, zip(*flat, strict=True), strict=True)
            if self._ecs:
                ecs = (self._ecs.get(place, _NOTHING_ECS) for place in range(len(self._heads)))
                columns |= zip(ECS_NAMES, zip(*ecs, strict=True), strict=True)
            columns = {name: column for name, column in columns.items() if column.count(None) < len(column)}
            events, timeless, odd = windows_fields.batch(heads, columns)
            told = events.filter(_tells(events))
            self.bare += len(events) - len(told)
            self._settled.append(told)
            self.timeless, self.odd = self.timeless + timeless, self.odd + odd
            self._heads, self._data, self._ecs = [], [], {}
        return sum(part.num_rows for part in self._settled)

    def size(self) -> int:
        """The bytes of what is settled."""
        return sum(part.nbytes for part in self._settled)

    def batch(self) -> pa.RecordBatch:
        """What is settled, in one; it begins anew."""
        parts, self._settled = self._settled, []
        table = pa.Table.from_batches(parts, HOST_EVENT_SCHEMA).combine_chunks()
        return next(iter(table.to_batches()), NO_HOST_EVENTS)

    def _one(self, outer: Any) -> None:
        row = outer
        if type(outer.f__source) is Row:
            row = outer.f__source
        elif type(outer.f_result) is Row:
            row = outer.f_result
        inner = row.f_Event if type(row.f_Event) is Event else row
        if type(inner.f_System) is System:
            self._native(inner.f_System, inner.f_EventData)
            return
        winlog, ecs = row.f_winlog, None
        if type(winlog) is Winlog:
            event_id, provider, channel = winlog.f_event_id, winlog.f_provider_name, winlog.f_channel
            host, record, data = winlog.f_computer_name, winlog.f_record_id, winlog.f_event_data
            time, ecs = row.f__timestamp, row
        elif type(row.f_event) is Code and row.f_event.f_code is not None:
            event_id, provider, channel = row.f_event.f_code, row.f_event.f_provider, row.f_event.f_module
            host, record, data, time, ecs = None, None, row.f_event_data, row.f__timestamp, row
        else:
            event_id, provider, channel, host, record, time = (first(row, names) for names in _FLAT_FIELDS)
            if provider is None and channel is None and type(row.f_source) is str:
                channel = row.f_source  # Splunk's, such as XmlWinEventLog:Security
            data = row.f_event_data if type(row.f_event_data) is Data else row
            if row.f_TimeCreated is not None:
                time = value(row.f_TimeCreated)
        if event_id is None:
            self.strange += 1
            return
        wanted = self._wanted(event_id, provider, channel)
        if wanted is None:
            return
        if data is row and _ENDS(row) == _NO_ENDS and _FLAT_ENDS(row) == _NO_FLAT_ENDS:
            # Get-WinEvent's, whose ProcessId is that of the log's writer
            data = windows_winevent.told(wanted[1], row)
        if type(data) is not Data and data is not row:
            data = _EMPTY
        if host is None:
            host = row.f_host.f_name or row.f_host.f_hostname if type(row.f_host) is Host else row.f_host
        if provider is None and channel is None and wanted[0] == "sysmon" and data.f_ProcessGuid is None:
            self.others += 1  # 3 and 22 are numbers of many providers' events
            return
        self.add(*wanted, record, host, time, data)
        if ecs is not None and _ENDS(data) == _NO_ENDS:
            self._ecs[len(self._heads) - 1] = ecs_values(ecs)

    def _native(self, system: Any, data: Any) -> None:
        # what is plain isn't looked into: this is called for each event of most forms
        event_id, channel = system.f_EventID, system.f_Channel
        if type(event_id) is Value:
            event_id = value(event_id)
        if event_id is None:
            self.strange += 1
            return
        provider = value(system.f_Provider, "name") or value(system.f_Provider_attributes, "name")
        wanted = self._wanted(event_id, provider, value(channel) if type(channel) is Value else channel)
        if wanted is not None:
            time = value(system.f_TimeCreated, "time") or value(system.f_TimeCreated_attributes, "time")
            record, host = system.f_EventRecordID, system.f_Computer
            if type(record) is Value or type(host) is Value:
                record, host = value(record), value(host)
            self._heads.append((*wanted, record, host, time))
            self._data.append(data if type(data) is Data else _EMPTY)

    def _wanted(self, event_id: Any, provider: Any, channel: Any) -> tuple[str, int] | None:
        """Provider and id of an event that is used; None, counted, for others."""
        number = IDS.get(event_id) if type(event_id) in (int, str) else None
        if number is not None:
            name = provider_of(provider if type(provider) is str else None, channel if type(channel) is str else None)
            if name is None and provider is None and channel is None:
                name = "security" if number in HOST_EVENT_IDS["security"] else "sysmon"
            if name is not None and number in HOST_EVENT_IDS[name]:
                return name, number
        self.others += 1
        return None


@functools.lru_cache(1024)
def provider_of(name: str | None, channel: str | None) -> str | None:
    """sysmon or security, by the provider's name, else the channel's; None for others."""
    if name:
        return PROVIDERS.get(name.lower())
    low = (channel or "").lower()
    return "sysmon" if "sysmon" in low else "security" if low.endswith("security") else None
