"""Runs that are kept: what comes back is what was weighed, and re-scoring finds what a new hunt would."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopscope import config, dossier, fusion, hunting, places, runs
from hopscope.config import Config
from hopscope.errors import UsageError
from hopscope.findings import Finding
from hopscope.runs import Run
from hopscope.whatif import rescoring
from support.baselines import make_baseline

CAPTURE = "socat-beacon.pcap.gz"


@pytest.fixture(scope="module")
def kept(pcaps: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a hunt through one of our captures."""
    place = tmp_path_factory.mktemp("state") / "findings.run"
    hunting.hunt(pcaps / CAPTURE, config=Config(heuristics=config.load().heuristics), keep=place)
    return place


@pytest.fixture(scope="module")
def run(kept: Path) -> Run:
    return runs.load(kept)


def told(found: Any) -> list[dict[str, Any]]:
    return [json.loads(f.to_json()) for f in found]


def test_a_kept_run_gives_the_same_findings(pcaps: Path, run: Run) -> None:
    fresh = hunting.hunt(pcaps / CAPTURE, config=run.config)
    assert told(dossier.of_run(run)) == told(fresh)
    assert rescoring.rescore(run, run.config).again == ()


@pytest.mark.parametrize(
    ("values", "again"),
    [
        ({"heuristics.path_gap.floor_ms": 40.0}, ("path_gap",)),
        ({"fusion.prior_db": -30.0}, ()),
        ({"fusion.weights.path_gap": 0.5}, ()),
        ({"fusion.caps.gap": 10.0}, ()),
        ({"disabled": ["path_gap"]}, ()),
    ],
)
def test_rescoring_finds_what_a_new_hunt_finds(
    pcaps: Path, run: Run, values: dict[str, Any], again: tuple[str, ...]
) -> None:
    other = config.load(None, {}, values)
    rescored = rescoring.rescore(run, other)
    assert rescored.again == again
    assert told(rescored.findings) == told(hunting.hunt(pcaps / CAPTURE, config=other))
    assert [f.score_db for f in rescored.findings] != [f.score_db for f in dossier.of_run(run)]


def test_another_vantage_has_all_weighed_again(pcaps: Path, run: Run) -> None:
    other = config.load(None, {}, {"vantage.dns_seen": False})
    rescored = rescoring.rescore(run, other)
    assert {"unnamed", "path_gap"} <= set(rescored.again)
    assert told(rescored.findings) == told(hunting.hunt(pcaps / CAPTURE, config=other))


def test_what_changes_the_traffic_s_reading_is_refused(run: Run) -> None:
    with pytest.raises(UsageError, match=r"network\.local_nets.*hunt again"):
        rescoring.rescore(run, config.load(None, {}, {"network.local_nets": ["10.0.0.0/16"]}))
    timed = dataclasses.replace(
        run.config,
        overrides=(config.Override(hours=frozenset({3}), heuristics={"path_gap": {"floor_ms": 20.0}}),),
    )
    with pytest.raises(UsageError, match=r"override\.hours.*hunt again"):
        rescoring.rescore(run, timed)


def test_pieces_are_known_of_findings_and_of_what_is_none(run: Run) -> None:
    finding: Finding = dossier.of_run(run)[0]
    value = f"{finding.hop}|{finding.port}|{finding.proto}"
    pieces = run.pieces("service", value)
    assert fusion.score_of(pieces, run.config.fusion) == pytest.approx(finding.score_db, abs=0.06)
    assert pieces == fusion.pieces_of(finding)
    others = {s for s in run.tables["prevalence"]["server"].to_pylist() if s != finding.hop}
    assert run.pieces("address", min(others))["prevalence"][0] < 0
    assert run.pieces("address", "192.0.2.254") == {}


def test_overrides_by_hours_are_kept(pcaps: Path, tmp_path: Path) -> None:
    override = config.Override(hours=frozenset(range(12)), disabled=frozenset({"cadence"}))
    settings = dataclasses.replace(config.load(), overrides=(override,))
    hunting.hunt(pcaps / CAPTURE, config=settings, keep=tmp_path / "r.run")
    again = runs.load(tmp_path / "r.run")
    assert set(again.by_hours) == {frozenset(range(12)), frozenset(range(12, 24))}
    assert again.config == settings
    assert rescoring.rescore(again, settings).again == ()


def test_a_run_is_private_and_replaced(pcaps: Path, kept: Path) -> None:
    assert kept.stat().st_mode & 0o077 == 0
    hunting.hunt(pcaps / CAPTURE, keep=kept)
    assert sorted(p.name for p in kept.parent.iterdir()) == [kept.name]


def test_what_is_no_run_is_not_replaced_by_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.run").mkdir()
    (tmp_path / "own.run" / "notes").write_text("mine")
    (tmp_path / "file.run").write_text("mine")
    for name in ("own.run", "file.run"):
        with pytest.raises(UsageError, match="name other findings"):
            runs.save(tmp_path / name, run)
    assert (tmp_path / "own.run" / "notes").read_text() == (tmp_path / "file.run").read_text() == "mine"
    assert places.run_of(tmp_path / "file.run") == tmp_path / "file.run.run"


def test_a_damaged_run_is_refused_in_one_line(kept: Path, tmp_path: Path) -> None:
    def refused(damage: Callable[[Path], object]) -> None:
        place = shutil.copytree(kept, tmp_path / "r.run")
        damage(place)
        with pytest.raises(UsageError, match=r"^[^\n]*r\.run: [^\n]*hunt again[^\n]*$"):
            runs.load(place)
        shutil.rmtree(place)

    def put(*keys: Any, value: Any) -> Callable[[Path], object]:
        def damage(place: Path) -> None:
            plain = part = json.loads((place / "run.json").read_text())
            for key in keys[:-1]:
                part = part[key]
            part[keys[-1]] = value
            (place / "run.json").write_text(json.dumps(plain))

        return damage

    for text in ("", "[]", "[" * 100_000, "\0"):
        refused(lambda place, text=text: (place / "run.json").write_text(text))  # type: ignore[misc]
    refused(put("window", value=[]))
    refused(put("by_hours", value=[[3]]))
    refused(put("config", "sections", "fusion", value=None))
    refused(put("config", "sections", "fusion", "low_db", value="low"))
    refused(put("config", "sections", "network", "nosuch", value=1))
    refused(put("config", "heuristics", "path_gap", "floor_ms", value=[15]))
    for file in ("window/pairs.parquet", "window/first_seen.parquet", "evidence/path_gap.parquet"):
        refused(lambda place, file=file: (place / file).unlink())  # type: ignore[misc]
        refused(lambda place, file=file: os.truncate(place / file, 200))  # type: ignore[misc]
        refused(lambda place, file=file: pq.write_table(pa.table({"x": [1]}), place / file))  # type: ignore[misc]


def test_what_isn_t_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hunt again"):
        runs.load(tmp_path / "none.run")
    (tmp_path / "broken.run").mkdir()
    (tmp_path / "broken.run" / "run.json").write_text('{"form": 1}')
    with pytest.raises(UsageError, match="hunt again"):
        runs.load(tmp_path / "broken.run")
    (tmp_path / "broken.run" / "run.json").write_text('{"form": 99, "version": "9"}')
    with pytest.raises(UsageError, match="hopscope 9"):
        runs.load(tmp_path / "broken.run")
    runs.forget(tmp_path / "broken.run")
    assert not (tmp_path / "broken.run").exists()
    (tmp_path / "mine.run").mkdir()
    runs.forget(tmp_path / "mine.run")
    assert (tmp_path / "mine.run").exists()


def test_a_place_that_can_t_be_written_costs_no_findings(pcaps: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = hunting.hunt(pcaps / CAPTURE, keep=tmp_path / "file" / "x.run")
    assert len(found) > 0
    assert any("not kept" in problem for problem in found.input.problems or [])


def test_what_if_nothing_had_been_learnt(run: Run) -> None:
    used = [{"sensor": "pcap", "value": a, "clients": 40} for a in run.window.pairs.server.to_pyarrow().to_pylist()]
    learnt = dataclasses.replace(run.window, baseline=make_baseline(places=used))
    judged = runs.weighed(learnt, {}, run.config, {})
    assert [f.score_db for f in dossier.of_run(judged)] != [f.score_db for f in dossier.of_run(run)]
    without = rescoring.rescore(judged, config.load(None, {}, {"baseline.use": "none"}))
    assert set(without.again) == {"byte_ratio", "community", "prevalence"}
    assert [f.score_db for f in without.findings] == [f.score_db for f in dossier.of_run(run)]
    assert without.findings[0].versions["baseline"] == "none"
    with pytest.raises(UsageError, match=r"baseline\.use"):
        rescoring.rescore(judged, config.load(None, {}, {"baseline.use": "3"}))
