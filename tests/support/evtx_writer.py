"""EVTX files for tests: a header, chunks with checksums, for each event a record of binary XML with its own template.

Format: https://github.com/libyal/libevtx/blob/main/documentation/Windows%20XML%20Event%20Log%20(EVTX).asciidoc
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from uuid import UUID

from support.windows_events import Event, Value

CHUNK_BYTES = 1 << 16
RECORDS_AT = 512  # in a chunk
_TEMPLATE_ID = 0x10905C0F
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)

Element = tuple[str, dict[str, Value], "Value | list[Element]"]


def evtx(events: Iterable[Event]) -> bytes:
    """A log file of these events, in chunks as they fill up."""
    chunks: list[bytes] = []
    records: list[bytes] = []
    first, at = 1, RECORDS_AT
    for event in events:
        record = _record(event, first + len(records), at)
        if at + len(record) > CHUNK_BYTES:
            chunks.append(_chunk(records, first))
            first, at = first + len(records), RECORDS_AT
            records, record = [], _record(event, first, at)
        records.append(record)
        at += len(record)
    chunks.append(_chunk(records, first))
    return _file_header(len(chunks)) + b"".join(chunks)


def _file_header(chunks: int) -> bytes:
    head = struct.pack("<8sQQQIHHHH76x", b"ElfFile\0", 0, chunks - 1, 1, 128, 1, 3, 4096, chunks)
    return (head + struct.pack("<II", 0, zlib.crc32(head))).ljust(4096, b"\0")


def _chunk(records: list[bytes], first: int) -> bytes:
    data = b"".join(records)
    last = first + len(records) - 1
    last_at = RECORDS_AT + len(data) - (len(records[-1]) if records else 0)
    end = RECORDS_AT + len(data)
    head = struct.pack(
        "<8sQQQQIIII64x", b"ElfChnk\0", first, last, first, last, 128, last_at, end, zlib.crc32(data)
    )  # fmt: skip
    tables = bytes(64 * 4 + 32 * 4)  # of common strings and templates: readers do without
    checksum = zlib.crc32(head + tables)
    return (head + struct.pack("<II", 0, checksum) + tables + data).ljust(CHUNK_BYTES, b"\0")


def _record(event: Event, number: int, at: int) -> bytes:
    binxml = _Binxml(at + 24)
    binxml.template(_tree(event))
    size = 24 + len(binxml.out) + 4
    head = struct.pack("<4sIQQ", b"**\0\0", size, number, _filetime(event.written))
    return head + bytes(binxml.out) + struct.pack("<I", size)


def _tree(event: Event) -> Element:
    guid = UUID("5770385f-c22a-43e0-bf4c-06f5698ffbd9")
    system: list[Element] = [
        ("Provider", {"Name": event.provider, "Guid": guid}, None),
        ("EventID", {}, event.event_id),
        ("Version", {}, event.version),
        ("TimeCreated", {"SystemTime": event.written}, None),
        ("EventRecordID", {}, event.record),
        ("Correlation", {}, None),
        ("Execution", {"ProcessID": 4, "ThreadID": 64}, None),
        ("Channel", {}, event.channel),
        ("Computer", {}, event.computer),
    ]
    data: list[Element] = [("Data", {"Name": name}, value) for name, value in event.data.items()]
    space = {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"}
    return ("Event", dict(space), [("System", {}, system), ("EventData", {}, data)])


class _Binxml:
    """Binary XML that begins at `at` in its chunk. Attributes and text are values that a template's places take."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.out = bytearray()
        self.values: list[tuple[int, bytes]] = []

    def template(self, root: Element) -> None:
        self.out += b"\x0f\x01\x01\x00\x0c\x01" + struct.pack("<I", _TEMPLATE_ID)
        self._here()
        self.out += struct.pack("<I", 0) + UUID(int=_TEMPLATE_ID).bytes_le
        size_at = self._hole()
        self.out += b"\x0f\x01\x01\x00"
        self._element(root)
        self.out += b"\0"
        self._fill(size_at)
        self.out += struct.pack("<I", len(self.values))
        for kind, value in self.values:
            self.out += struct.pack("<HBx", len(value), kind)
        self.out += b"".join(value for _, value in self.values)

    def _element(self, element: Element) -> None:
        name, attributes, content = element
        self.out += struct.pack("<BH", 0x41 if attributes else 0x01, 0xFFFF)
        size_at = self._hole()
        self._name(name)
        if attributes:
            list_at = self._hole()
            last = list(attributes)[-1]
            for key, value in attributes.items():
                self.out.append(0x06 if key == last else 0x46)
                self._name(key)
                self._place(value)
            self._fill(list_at)
        if content is None:
            self.out.append(0x03)
        else:
            self.out.append(0x02)
            if isinstance(content, list):
                for child in content:
                    self._element(child)
            else:
                self._place(content)
            self.out.append(0x04)
        self._fill(size_at)

    def _name(self, name: str) -> None:
        self._here()
        hashed = 0
        for letter in name:
            hashed = (hashed * 65599 + ord(letter)) & 0xFFFFFFFF
        self.out += struct.pack("<IHH", 0, hashed & 0xFFFF, len(name)) + name.encode("utf-16-le") + b"\0\0"

    def _place(self, value: Value) -> None:
        kind, data = _typed(value)
        self.out += struct.pack("<BHB", 0x0E, len(self.values), kind)
        self.values.append((kind, data))

    def _here(self) -> None:
        """The place in the chunk right behind this number: what it points to follows at once."""
        self.out += struct.pack("<I", self.at + len(self.out) + 4)

    def _hole(self) -> int:
        self.out += bytes(4)
        return len(self.out)

    def _fill(self, behind: int) -> None:
        """A size that stands before `behind`: of all that was written since."""
        self.out[behind - 4 : behind] = struct.pack("<I", len(self.out) - behind)


def _typed(value: Value) -> tuple[int, bytes]:
    match value:
        case None:
            return 0x00, b""
        case bool():
            return 0x0D, struct.pack("<I", value)
        case int():
            return (0x08, struct.pack("<I", value)) if value < 1 << 32 else (0x0A, struct.pack("<Q", value))
        case UUID():
            return 0x0F, value.bytes_le
        case datetime():
            return 0x11, struct.pack("<Q", _filetime(value))
        case str():
            return 0x01, value.encode("utf-16-le")


def _filetime(at: datetime) -> int:
    since = at - _EPOCH
    return (since.days * 86400 + since.seconds) * 10**7 + since.microseconds * 10


def chunks(file: bytes) -> Iterator[tuple[int, int]]:
    """Where each chunk of a log begins and ends."""
    for at in range(4096, len(file), CHUNK_BYTES):
        yield at, at + CHUNK_BYTES
