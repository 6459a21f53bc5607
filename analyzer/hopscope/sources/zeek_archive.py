"""An archive of Zeek's logs to records: the logs are read side by side, in the order in which Zeek wrote them.

So what belongs to a connection is at hand when its row comes, however the logs were rotated, and the hours
come in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from hopscope.errors import InputError
from hopscope.records import CONNECTION_SCHEMA, Batch, InputCount
from hopscope.sources import zeek_join, zeek_logs
from hopscope.sources.addresses import Networks
from hopscope.sources.capture import nothing_read
from hopscope.sources.zeek_files import LogArchive
from hopscope.sources.zeek_join import OWN, Join
from hopscope.sources.zeek_rows import Archive, Rows

MARGIN_S = 300.0  # seconds; rows of one moment may be written this far apart
NAMES_TOLD = 3  # logs that a problem names

_OF_CONNECTIONS = ("hopscope", "conn")
_MAIN = (*_OF_CONNECTIONS, "hopscope_dns", "dns")


def records(
    logs: LogArchive, local_nets: Sequence[str], count: InputCount, progress: Callable[[int], None] | None = None
) -> Iterator[Batch]:
    """The records of an archive. What can't be read, or had to be left out, is told in `count`.

    Raises InputError when none of the logs that hold connections or queries can be read.
    """
    there = {file.log for file in logs.files}
    if there.isdisjoint({*_OF_CONNECTIONS, None}):
        found = ", ".join(f"{log}.log" for log in sorted(filter(None, there)))
        if there - {"dns", "hopscope_dns"}:
            problem = f"there is {found} but no conn.log, which holds the connections"
            raise InputError(logs.name, problem, "add the conn.log of that time")
        count.note(f"{logs.name}: there is {found} but no conn.log; only DNS queries were read")
    zeek_join.tell_filled(_columns(logs), count)
    archive = Archive(logs.files, count, progress)
    join = Join(Networks(local_nets), opened=any(file.is_open or file.log is None for file in logs.files))
    while left := [log for log in _MAIN if archive.has(log)]:
        rows = archive.take(min(left, key=archive.position))
        if rows is None:
            continue
        for part in chain(_before(rows, archive), (rows,)):
            batch = join.add(part)
            if batch is not None:
                yield batch
    last = join.left_open()
    if last is not None:
        yield last
    _tell_what_was_lost(logs, archive, join, count)


def _before(rows: Rows, archive: Archive) -> Iterator[Rows]:
    """What has to be known before these rows: rows that take their place, and what other logs tell of them."""
    others = [OWN[rows.log]] if rows.log in OWN else []
    others += zeek_logs.SIDES if rows.log == "conn" else ()
    # what is left when the last row has come belongs to it
    until = rows.reached + MARGIN_S if archive.has(rows.log) else float("inf")
    for log in others:
        while archive.has(log) and archive.position(log) <= until:
            found = archive.take(log)
            if found is not None:
                yield found


def _columns(logs: LogArchive) -> dict[str, set[str]]:
    """The columns of each log; of JSON, which names no columns before they come, all that may be."""
    columns: dict[str, set[str]] = {}
    for file in logs.files:
        for log in zeek_logs.LOGS if file.log is None else (file.log,):
            schema = zeek_logs.LOGS.get(log, CONNECTION_SCHEMA)
            columns.setdefault(log, set()).update(schema.names if file.columns is None else file.columns)
    return columns


def _tell_what_was_lost(logs: LogArchive, archive: Archive, join: Join, count: InputCount) -> None:
    failed = archive.failed
    of_records = {file.path for file in logs.files if file.log in (*_MAIN, None)}
    if failed and of_records <= {file.path for file, _ in failed}:
        raise nothing_read([error for _, error in failed])
    for _, error in failed:
        count.note(str(error))
    if archive.cut:
        more = len(archive.cut) - NAMES_TOLD
        which = ", ".join(archive.cut[:NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")
        count.note(f"{which}: the last line hasn't ended (still being written, or cut); it was left out")
    for log, number in join.dropped().items():
        problem = f"{number:,} rows of {log} waited too long for their connections and were let go"
        count.note(f"{logs.name}: {problem}; give the logs of a shorter time")
