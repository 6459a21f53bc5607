"""The page's arithmetic on results made by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bench.quality import ablation, judge, measures
from bench.quality.corpus import Item
from bench.quality.run import Outcome, Told

HOP = ("203.0.113.9", 443)


def told(score: float, hop: str = HOP[0], port: int | None = HOP[1], **known: Any) -> Told:
    severity = "medium" if score >= 0 else "low" if score >= -10 else "info"
    return Told(f"service {hop}|{port}|tcp", hop, port, score, severity, known.get("distance_ms"), known.get("by", {}))


def outcome(*scored: Told, hops: dict[judge.Hop, dict[str, Any]] | None = None, **known: Any) -> Outcome:
    truth = judge.Truth({HOP: {"kind": "relay"}} if hops is None else hops)
    item = Item(known.pop("name", "x"), "lab", Path(), "relay", truth)
    return Outcome(
        item, (), told=tuple(t for t in scored if t.score_db >= -10), scored=scored, truth=truth, destinations=10,
        **known,
    )  # fmt: skip


def test_a_hop_is_found_at_the_threshold_and_missed_just_below_it() -> None:
    [at] = measures.hop_rows(outcome(told(0.0)))
    [below] = measures.hop_rows(outcome(told(-0.1)))
    assert (at.found, below.found, below.score_db) == (True, False, -0.1)


def test_rank_counts_what_is_never_told_too() -> None:
    [row] = measures.hop_rows(
        outcome(told(-12, "192.0.2.1"), told(-15, "192.0.2.2"), told(-30), told(-31, "192.0.2.3"))
    )
    assert (row.rank, row.of, row.found) == (3, 4, False)


def test_a_hop_that_nothing_speaks_of_has_no_rank() -> None:
    [row] = measures.hop_rows(outcome(told(3, "192.0.2.1")))
    assert (row.rank, row.score_db, row.carried) == (None, None, ())


def test_a_finding_of_the_address_names_the_hop_and_one_of_another_port_does_not() -> None:
    assert not measures.false_of(outcome(told(5, port=None)))
    assert [t.port for t in measures.false_of(outcome(told(5, port=8443)))] == [8443]


def test_the_fourth_finding_of_one_hop_is_false() -> None:
    assert len(measures.false_of(outcome(*[told(5)] * 3))) == 0
    assert len(measures.false_of(outcome(*[told(5)] * 4))) == 1


def test_error_of_the_distance() -> None:
    [row] = measures.hop_rows(outcome(told(5, distance_ms=80.0), hops={HOP: {"kind": "relay", "behind_ms": 76.0}}))
    assert row.error_ms == pytest.approx(4.0)


def test_kinds_add_up() -> None:
    [kind] = measures.by_kind([outcome(told(5)), outcome(told(-5), told(2, "192.0.2.1"), name="y")])
    assert (kind.hops, kind.found, kind.missed, kind.false) == (2, 1, ("y 203.0.113.9:443",), 1)


def test_recall_and_false_findings_over_the_threshold() -> None:
    outcomes = [outcome(told(5), told(-20, "192.0.2.1")), outcome(told(-5), told(7, "192.0.2.1"), name="y")]
    points = {p.threshold_db: p for p in measures.curve(outcomes, [-20, -10, 0, 6, 10])}
    assert {t: (p.found, p.false) for t, p in points.items()} == {
        -20: (2, 2), -10: (2, 1), 0: (1, 1), 6: (0, 1), 10: (0, 0)
    }  # fmt: skip
    assert points[0].precision == 0.5
    assert points[10].precision == 1.0


def test_calibration_is_the_ratio_of_shares_whatever_the_prior() -> None:
    # 2 hops of 2 with 30 to 40 dB of evidence, 1 of 18 others, the rest of the others without any
    outcomes = [outcome(told(-5), told(-6, "192.0.2.1")), outcome(told(-4), name="y")]
    loud = next(b for b in measures.calibration(outcomes, -40.0, [-1, 1, 30, 40]) if b.low_db == 30)
    assert (loud.hops, loud.ordinary, loud.all_hops, loud.all_ordinary) == (2, 1, 2, 18)
    assert loud.claimed_db == pytest.approx((35 + 34 + 36) / 3)
    assert measures.ratio_db(loud.hops, 2, loud.ordinary, 18) == pytest.approx(10 * math.log10(18))
    quiet = next(b for b in measures.calibration(outcomes, -40.0, [-1, 1, 30, 40]) if b.low_db == -1)
    assert (quiet.hops, quiet.ordinary) == (0, 17)


def test_no_ordinary_one_counts_as_half_a_one() -> None:
    assert measures.ratio_db(10, 10, 0, 100) == pytest.approx(10 * math.log10(200))
    assert math.isnan(measures.ratio_db(0, 0, 1, 10))


def test_weights_are_counted_by_pair_of_client_and_server() -> None:
    rows = [("a", HOP[0], "gap", 30.0), ("a", "192.0.2.1", "gap", 4.0), ("b", HOP[0], "gap", 30.0),
            ("a", "192.0.2.2", "gap", -3.0)]  # fmt: skip
    evidence = pa.table([pa.array(c) for c in zip(*rows, strict=True)], ["client", "server", "heuristic", "decibans"])
    pairs = tuple(sorted({(c, s) for c, s, *_ in rows} | {("c", "192.0.2.3")}))
    hops = {HOP: {"kind": "relay", "clients": ["a"]}}  # b is nobody's victim, and counts on neither side
    [w] = measures.weights([outcome(hops=hops, evidence=evidence, pairs=pairs)])
    assert (w.hop_pairs, w.hops_some, w.hops_half, w.claimed_db) == (1, 1, 1, 30.0)
    assert (w.ordinary_pairs, w.ordinary_some, w.ordinary_half) == (3, 1, 0)


def test_exposure() -> None:
    e = measures.exposure([outcome(told(5, "192.0.2.1"), clients=4, hours=6.0), outcome(clients=2, hours=12.0)])
    assert (e.captures, e.destinations, e.client_days, e.false) == (2, 20, 2.0, 1)


def test_what_a_heuristic_alone_brings() -> None:
    o = outcome(
        told(5, by={"gap": 30.0, "beat": 15.0}),
        without={"gap": (), "beat": (told(-3),), "against": (told(5), told(2, "192.0.2.1"))},
    )
    lost = {x.heuristic: x for x in ablation.losses([o])}
    assert lost["gap"].lost == lost["beat"].lost == ("x 203.0.113.9:443",)
    assert (lost["gap"].weaker_db, lost["beat"].weaker_db) == (30.0, 15.0)
    assert (lost["against"].lost, lost["against"].false_more) == ((), 1)
