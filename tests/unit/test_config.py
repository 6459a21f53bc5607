"""Settings: where they come from, which goes over which, and what is refused with its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hopscope.config import Config, load
from hopscope.errors import UsageError


def from_file(tmp_path: Path, toml: str, **more: Any) -> Config:
    (tmp_path / "c.toml").write_text(toml)
    return load(tmp_path / "c.toml", **more)


def test_without_anything_the_defaults_hold() -> None:
    config = load()
    assert config.window.hours == 24
    assert "10.0.0.0/8" in config.network.local_nets
    assert config.heuristics["path_gap"].floor_ms == 15.0
    assert config.disabled == frozenset()


def test_environment_goes_over_the_file_and_the_command_over_both(tmp_path: Path) -> None:
    toml = "[window]\nhours = 1\n[fusion]\nlow_db = -1.0\nmedium_db = 1.0\n"
    env = {"HOPSCOPE_WINDOW__HOURS": "2", "HOPSCOPE_FUSION__LOW_DB": "-2", "OTHER__THING": "x", "HOPSCOPE_HOME": "x"}
    config = from_file(tmp_path, toml, env=env, overrides={"window.hours": 3})
    assert (config.window.hours, config.fusion.low_db, config.fusion.medium_db) == (3, -2.0, 1.0)


@pytest.mark.parametrize("raw", ['["10.1.0.0/16", "fd00::/8"]', "10.1.0.0/16,fd00::/8", " 10.1.0.0/16 , fd00::/8 "])
def test_lists_are_toml_or_separated_by_commas(raw: str) -> None:
    assert load(env={"HOPSCOPE_NETWORK__LOCAL_NETS": raw}).network.local_nets == ("10.1.0.0/16", "fd00::/8")


def test_heuristics_have_sections_and_can_be_left_out(tmp_path: Path) -> None:
    config = from_file(tmp_path, 'disabled = ["cadence"]\n[heuristics.path_gap]\nfloor_ms = 20\n')
    assert config.heuristics["path_gap"].floor_ms == 20.0
    assert config.disabled == {"cadence"}
    env = {"HOPSCOPE_HEURISTICS__PATH_GAP__FLOOR_MS": "30.5"}
    assert load(env=env).heuristics["path_gap"].floor_ms == 30.5


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[windows]\nhours = 1", "c.toml line 2: unknown setting 'windows.hours'; did you mean window.hours?"),
        ("[window]\ndays = 1", "c.toml line 2: unknown setting 'window.days'; window has hours, timezone"),
        (
            "[window]\nhours = 'a day'",
            "c.toml line 2: window.hours must be a whole number of hours, not 'a day'; write it like 24",
        ),
        ("[window]\nhours = true", "window.hours must be a whole number of hours, not true"),
        ("[window]\nhours = 1.5", "window.hours must be a whole number of hours, not 1.5"),
        (
            "[fusion]\nprior_db = '-40'",
            "fusion.prior_db must be a number of decibans; write -40 without quotes, or with its unit",
        ),
        ("[vantage]\none_sided = 1", "vantage.one_sided must be true or false, not 1"),
        ("[network]\nlocal_nets = 10", "network.local_nets must be a list"),
        ("[network]\nlocal_nets = ['10.0.0.1/8']", "'10.0.0.1/8' is not a network .*; write it like 10.0.0.0/8"),
        ("[heuristics.guess]\nx = 1", "unknown setting 'heuristics.guess.x'"),
        ("disabled = ['guess']", "disabled names no heuristic 'guess'; there are byte_ratio, cadence"),
        ("hours = 1", "unknown setting 'hours'"),
        ("[window\n", "c.toml line 1: not valid TOML"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, toml: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        from_file(tmp_path, toml)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"HOPSCOPE_WINDOW__DAYS": "1"}, "environment HOPSCOPE_WINDOW__DAYS: unknown setting 'window.days'"),
        ({"HOPSCOPE_WINDOW__HOURS": "many"}, "environment HOPSCOPE_WINDOW__HOURS: window.hours must be a whole number"),
    ],
)
def test_the_environment_is_named_when_it_is_wrong(env: Mapping[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load(env=env)


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml: can't be read .*name a file"):
        load(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"binary\.toml: can't be read"):
        load(tmp_path / "binary.toml")
