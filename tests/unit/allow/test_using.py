"""The allowlist of a run: which file, changes while it runs, databases of AS numbers, and last matches."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path

import pytest

from hopscope import config, places
from hopscope.allow import asns, matched
from hopscope.allow.using import Using
from hopscope.errors import UsageError
from support.findings import FINDING

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
ENTRY = '[[allow]]\nid = "x"\nreason = "r"\nexpires = "never"\naddresses = ["192.0.2.102"]\n'
DAY = NOW.date()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def using(named: str | None = None, **changes: str) -> Using:
    return Using(named, config.load(overrides=changes), lambda: NOW)


def write(text: str) -> Path:
    path = places.allow_file(os.environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))
    return path


def test_the_usual_file_needs_not_exist_a_named_one_does() -> None:
    assert using().over([FINDING]).shown == (FINDING,)
    with pytest.raises(UsageError, match="no such file"):
        using("/nowhere/allow.toml")


def test_none_is_no_allowlist() -> None:
    write(ENTRY)
    assert using().over([FINDING]).shown == ()
    assert using("none").over([FINDING]).shown == (FINDING,)


def test_a_changed_file_is_read_again_and_a_broken_one_is_not() -> None:
    run = using()
    assert run.refresh() is None
    path = write(ENTRY)
    assert run.refresh() == f"{path}: read again, 1 entry"
    assert run.over([FINDING]).shown == ()
    write("[[allow")
    said = run.refresh()
    assert said is not None
    assert "not valid TOML" in said
    assert said.endswith("the allowlist stays as it was")
    assert run.refresh() is None
    assert run.over([FINDING]).shown == ()
    path.unlink()
    assert run.refresh() is None
    assert run.refresh() == f"{path}: is gone; nothing is hidden any more"
    assert run.refresh() is None
    assert run.over([FINDING]).shown == (FINDING,)


@pytest.mark.parametrize("empty", [True, False])
def test_a_file_that_an_editor_is_about_to_write_hides_what_it_hid(empty: bool) -> None:
    path = write(ENTRY)
    run = using()
    if empty:
        write("")
    else:
        path.rename(path.with_suffix(".bak"))
    assert run.refresh() is None
    assert run.over([FINDING]).shown == ()
    write(ENTRY + 'ports = "none"\n')
    said = run.refresh()
    assert said is not None
    assert "unknown key" in said
    write("")
    assert run.refresh() is None
    assert run.refresh() == f"{path}: read again, 0 entries"
    assert run.over([FINDING]).shown == (FINDING,)


def test_other_settings_are_taken() -> None:
    write(ENTRY)
    run = using()
    said = run.refresh(config.load(overrides={"network.asn_database": "/nowhere.mmdb"}))
    assert said is not None
    assert "network.asn_database" in said
    assert run.over([FINDING]).shown == ()


def test_last_matches_are_kept_by_file_and_never_grow_younger_by_looking() -> None:
    path = write(ENTRY)
    run = using()
    state = places.matches_file(os.environ)
    run.over([FINDING], NOW - datetime.timedelta(days=40))
    assert matched.last(state, path) == {"x": DAY - datetime.timedelta(days=40)}
    run.over([FINDING])
    assert matched.last(state, path) == {"x": DAY}
    run.over([FINDING], NOW - datetime.timedelta(days=1))
    assert matched.last(state, path) == {"x": DAY}
    assert matched.last(state, Path("/other.toml")) == {}


def test_entries_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    state, allowlist = tmp_path / "m.json", tmp_path / "a.toml"
    matched.note(state, allowlist, {"x", "y"}, ["x", "y"], DAY)
    matched.note(state, tmp_path / "b.toml", {"z"}, ["z"], DAY)
    matched.note(state, allowlist, {"y"}, ["y"], DAY + datetime.timedelta(days=1))
    assert matched.last(state, allowlist) == {"y": DAY + datetime.timedelta(days=1)}
    assert matched.last(state, tmp_path / "b.toml") == {"z": DAY}


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"A": 1}', '{"A": {"x": 3, "y": "soon"}}', "[" * 100_000])
def test_damaged_state_costs_only_itself(tmp_path: Path, text: str) -> None:
    state, allowlist = tmp_path / "m.json", tmp_path / "a.toml"
    state.write_text(text.replace("A", str(allowlist)))
    assert matched.last(state, allowlist) == {}
    matched.note(state, allowlist, {"x"}, ["x"], DAY)
    assert matched.last(state, allowlist) == {"x": DAY}
    assert json.loads(state.read_text())


def test_state_that_can_not_be_written_is_told_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(ENTRY)
    monkeypatch.setenv("HOME", "/proc/nowhere")
    shown = using(str(path)).over([FINDING])
    assert shown.shown == ()
    assert "last matches aren't kept" in shown.lines[-1]


def database(path: Path, rows: dict[str, dict[str, object]]) -> str:
    netaddr = pytest.importorskip("netaddr")
    writer = pytest.importorskip("mmdb_writer").MMDBWriter(ip_version=6, ipv4_compatible=True)
    for net, row in rows.items():
        writer.insert_network(netaddr.IPSet([net]), row)
    writer.to_db_file(str(path))
    return str(path)


def test_as_numbers_from_databases_of_several_makers(tmp_path: Path) -> None:
    asn_of = asns.database(
        database(
            tmp_path / "a.mmdb",
            {
                "192.0.2.0/24": {"autonomous_system_number": 64500},
                "198.51.100.0/24": {"asn": "AS64501"},
                "203.0.113.0/24": {"asn": ""},
            },
        )
    )
    assert [asn_of(a) for a in ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "x")] == [
        64500, 64501, None, None, None
    ]  # fmt: skip
    for bad in (tmp_path, tmp_path / "no"):
        with pytest.raises(UsageError, match="can't be read"):
            asns.database(str(bad))
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(UsageError, match="can't be read"):
        asns.database(str(tmp_path / "junk"))


def test_entries_by_as_number_hide_with_a_database(tmp_path: Path) -> None:
    write(ENTRY.replace('addresses = ["192.0.2.102"]', 'asns = ["AS64500"]'))
    path = database(tmp_path / "a.mmdb", {"192.0.2.0/24": {"autonomous_system_number": 64500}})
    assert using().over([FINDING]).shown == (FINDING,)
    assert using(**{"network.asn_database": path}).over([FINDING]).shown == ()
