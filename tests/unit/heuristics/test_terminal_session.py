"""terminal_session: many small exchanges in one session, not downloads and not lone requests."""

from __future__ import annotations

from typing import Any

import pytest

from hopscope.heuristics.terminal_session import HEURISTIC
from support.windows import make_window


def weigh(**session: Any) -> list[dict[str, Any]]:
    shell = {"replies": 200, "orig_bytes": 12_000, "resp_bytes": 20_000, "duration": 90.0, "uid": "C1"}
    rows: list[dict[str, Any]] = HEURISTIC.weigh(
        make_window(pairs=[{}], samples=[{**shell, **session}]), HEURISTIC.defaults
    ).to_pylist()
    return rows


def test_a_shell() -> None:
    (row,) = weigh()
    assert row["decibans"] == HEURISTIC.defaults.most_db
    assert HEURISTIC.sentence(row) == (
        "200 exchanges in one session, one every 0.45 s, of 60 bytes up and 100 down on average"
    )


@pytest.mark.parametrize(("replies", "fires"), [(19, False), (20, True), (21, True)])
def test_enough_exchanges(replies: int, fires: bool) -> None:
    assert bool(weigh(replies=replies, orig_bytes=100, resp_bytes=100, duration=10.0)) is fires


def test_weight_grows_with_their_number() -> None:
    weights = [
        weigh(replies=n, orig_bytes=n * 50, resp_bytes=n * 50, duration=n * 1.0)[0]["decibans"]
        for n in (20, 40, 60, 600)
    ]
    assert weights[0] < weights[1] < weights[2] == weights[3]


@pytest.mark.parametrize(
    "ordinary",
    [{"resp_bytes": 200 * 501}, {"orig_bytes": 200 * 251}, {"duration": 1001.0}],
    ids=lambda o: next(iter(o)),
)
def test_downloads_uploads_and_slow_polls_are_not(ordinary: dict[str, Any]) -> None:
    assert weigh(**ordinary) == []


def test_a_host_of_ours_is_not_spoken_of() -> None:
    sample = {"replies": 200, "orig_bytes": 12_000, "resp_bytes": 20_000, "duration": 90.0}
    window = make_window(pairs=[{"server_local": True}], samples=[sample])
    assert HEURISTIC.weigh(window, HEURISTIC.defaults).num_rows == 0
