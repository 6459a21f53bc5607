"""Settings as they would be: what stays of a run's, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopscope import config as configuration
from hopscope.config import Config
from hopscope.configuring.loading import differences
from hopscope.errors import UsageError
from hopscope.whatif.supposing import Supposed, supposed


@pytest.fixture
def run(tmp_path: Path) -> Config:
    """A run's settings: some aren't as shipped."""
    (tmp_path / "run.toml").write_text(
        "disabled = ['rotation']\n[network]\nlocal_nets = ['10.0.0.0/8']\n[fusion]\nprior_db = -35.0\n"
        "[fusion.weights]\ncadence = 0.5\n[heuristics.path_gap]\nfloor_ms = 20.0\n"
        "[[override]]\nnetworks = ['10.1.0.0/16']\ndisabled = ['cadence']\n"
    )
    return configuration.load(tmp_path / "run.toml")


def test_nothing_supposed_changes_nothing(run: Config) -> None:
    assert supposed(run, Supposed(), {"HOPSCOPE_FUSION__PRIOR_DB": "-1"}) == run


def test_values_and_heuristics_change_and_the_rest_stays(run: Config) -> None:
    asked = Supposed(
        values=("path_gap.floor_ms=0.025 s", "fusion.weights.unnamed=2"), off=("cadence",), on=("rotation",)
    )
    got = supposed(run, asked, {})
    assert differences(run, got) == {
        "disabled": (("rotation",), ("cadence",)),
        "heuristics.path_gap.floor_ms": (20.0, 25.0),
        "fusion.weights.unnamed": (1.0, 2.0),
    }
    assert got.fusion.weights == {"cadence": 0.5, "unnamed": 2.0}
    assert got.overrides == run.overrides


def test_a_patch_goes_over_the_run_and_under_the_command_line(run: Config, tmp_path: Path) -> None:
    patch = tmp_path / "patch.toml"
    patch.write_text(
        "[fusion]\nlow_db = -5.0\nhigh_db = 12.0\n[heuristics.path_gap]\nfloor_ms = '30 ms'\n"
        "[[override]]\nhours = '22-06'\nheuristics.community.min_connections = 30\n"
    )
    got = supposed(run, Supposed(patch=patch, values=("fusion.high_db=11",)), {})
    assert differences(run, got) == {
        "fusion.low_db": (-10.0, -5.0),
        "fusion.high_db": (10.0, 11.0),
        "heuristics.path_gap.floor_ms": (20.0, 30.0),
    }
    assert len(got.overrides) == len(run.overrides) + 1


def test_a_file_replaces_all_but_what_the_traffic_was_read_by(run: Config, tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("[heuristics.community]\nmin_connections = 30\n")
    got = supposed(run, Supposed(file=file), {"HOPSCOPE_FUSION__PRIOR_DB": "-30"})
    assert (got.network, got.disabled, got.overrides) == (run.network, frozenset(), ())
    assert (got.fusion.prior_db, got.heuristics["path_gap"].floor_ms) == (-30.0, 15.0)
    file.write_text("[network]\nlocal_nets = ['172.16.0.0/12']\n")
    assert supposed(run, Supposed(file=file), {}).network.local_nets == ("172.16.0.0/12",)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Supposed(values=("path_gap.floor_ms",)), "--set path_gap.floor_ms: no value"),
        (Supposed(values=("path_gap.flor_ms=3",)), "did you mean heuristics.path_gap.floor_ms"),
        (Supposed(values=("path_gap.floor_ms=25 dB",)), "heuristics.path_gap.floor_ms is in ms"),
        (Supposed(values=("fusion.low_db=50",)), "is above fusion.medium_db"),
        (Supposed(off=("cadense",)), "--disable cadense: no such heuristic"),
        (Supposed(on=("cadense",)), "--enable cadense: no such heuristic"),
        (Supposed(patch=Path("absent.toml")), "absent.toml: can't be read"),
    ],
)
def test_what_can_not_be_is_told(run: Config, asked: Supposed, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        supposed(run, asked, {})
