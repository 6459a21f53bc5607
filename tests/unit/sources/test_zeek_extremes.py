"""Whatever row the readers let through, it is weighed without an error."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from hopscope import config, dossier
from hopscope.errors import InputError
from hopscope.records import CONNECTION, DNS_QUERY, InputCount
from hopscope.sources import zeek_archive, zeek_columns, zeek_logs
from hopscope.sources.capture import find
from hopscope.sources.zeek_files import LogArchive
from hopscope.summaries import Summaries
from support.zeek_text import as_json, tsv

_ADDRESSES = st.sampled_from(
    ["10.0.0.5", "10.0.0.6", "203.0.113.9", "0.0.0.0", "255.255.255.255", "::", "::1", "fe80::1", "ff02::fb",
     "::ffff:10.0.0.5", "2001:db8:0:0:0:0:0:9", "127.0.0.1", "fe80::1%eth0"]
)  # fmt: skip
_TIMES = st.sampled_from([0.0, 1e-6, 1700000000.0, 1700000000.5, 4102444800.0, 99_999_999_999.0])
_NUMBERS = st.sampled_from([0.0, -1.0, 1e-6, 0.02, 1.5, 86400.0, 1e9, 9.9e10, -9.9e10])
_COUNTS = st.sampled_from([0, 1, 65535, 1 << 31, (1 << 53) - 1, 1 << 53])
_TEXTS = st.sampled_from(
    ["", "-", "x", "tcp", "udp", "ssl", "ssl,http", "orig", "resp", "socks5", "SF", "ShADadFf", "x.example:443",
     "[::1]:1", ":", "ü€😀", "a" * 500, "\\", "%", "'", "\u0000", "TLSv13", "t13d1516h2_8daaf6152771_02713d6af862"]
)  # fmt: skip
_MANY = st.just(500)
_BY_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "string": _TEXTS,
    "int64": _COUNTS,
    "int32": st.sampled_from([0, 1, 53, 443, 65535]),
    "bool": st.booleans(),
    "double": _NUMBERS,
    "timestamp[us, tz=UTC]": _TIMES,
    "list<item: string>": st.lists(_TEXTS, max_size=3) | _MANY.map(lambda n: ["203.0.113.9"] * n),
    "list<item: int32>": st.lists(st.sampled_from([0, 1, -1, 999_999_999, -999_999_999]), max_size=4)
    | _MANY.map(lambda n: [1] * n),
    "list<item: double>": st.lists(_NUMBERS, max_size=4) | _MANY.map(lambda n: [0.5, -0.5] * n),
}
_UIDS = st.sampled_from(["C1", "C2", "C3", "C4"])


def _rows(kinds: dict[str, Any], needed: tuple[str, ...]) -> st.SearchStrategy[list[dict[str, Any]]]:
    def values(name: str, kind: Any) -> st.SearchStrategy[Any]:
        if name in ("orig_h", "resp_h", "client", "resolver", "id.orig_h", "id.resp_h"):
            return _ADDRESSES
        found = _UIDS if name == "uid" else _BY_TYPE[str(kind)]
        return found if name in needed else st.none() | found

    return st.lists(st.fixed_dictionaries({n: values(n, k) for n, k in kinds.items()}), min_size=1, max_size=6)


_LOGS = {
    "hopscope": _rows({f.name: f.type for f in CONNECTION}, zeek_columns.NEEDED_OF_CONNECTION),
    "hopscope_dns": _rows({f.name: f.type for f in DNS_QUERY}, zeek_columns.NEEDED_OF_DNS),
    **{
        log: _rows(dict(zip(schema.names, schema.types, strict=True)), zeek_logs.NEEDED[log])
        for log, schema in zeek_logs.LOGS.items()
    },
}
_MOST: dict[str, Any] = {
    f.name: {"string": "", "int64": 1 << 53, "int32": 65535, "bool": True, "double": 1e11}.get(str(f.type))
    for f in CONNECTION
}
_MOST |= {
    "uid": "C1",
    "ts": 99_999_999_999.0,
    "orig_h": "10.0.0.5",
    "resp_h": "203.0.113.9",
    "on_starts": [1e11, -1e11],
}


@settings(
    max_examples=8,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # making an example smaller takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.fixed_dictionaries({}, optional=_LOGS).filter(bool), st.booleans())
@example({"hopscope": [_MOST | {"uid": f"C{i}"} for i in range(2000)]}, False)
@example(
    {"hopscope": [_MOST | {"uid": f"C{i}", "ts": 1e9, "duration": i * 1e6, "proto": "tcp"} for i in range(200)]}, True
)
def test_extreme_rows_are_weighed(tmp_path: Path, logs: dict[str, list[dict[str, Any]]], json: bool) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    for log, rows in logs.items():
        (tmp_path / f"{log}.log").write_bytes(as_json(rows) if json else tsv(log, rows, tuple(rows[0])))
    count, loaded = InputCount(), config.load()
    summaries = Summaries(loaded)
    try:
        [archive] = find([str(tmp_path)], count)
        assert isinstance(archive, LogArchive)
        for batch in zeek_archive.records(archive, loaded.network.local_nets, count):
            summaries.add(batch)
    except InputError:  # none of these logs holds connections or queries
        return
    window = dataclasses.replace(summaries.window(), lacks=count.lacks or frozenset())
    dossier.findings(window, loaded, dataclasses.asdict(count))
