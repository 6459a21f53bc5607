"""Settings of a running analyzer: taken when their file changes, refused when it is broken, told once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hopscope import config
from hopscope.errors import UsageError
from hopscope.live.reloading import Reloading, following


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "hopscope.toml"
    file.write_text("[window]\nhours = 12\n")
    return file


def watch(path: Path) -> Reloading:
    return Reloading(path, lambda: config.load(path if path.exists() else None))


def write(path: Path, text: str) -> None:
    """As an editor does it: another file is put in its place."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def test_nothing_is_said_or_read_while_the_file_stays(path: Path) -> None:
    read = []
    settings = Reloading(path, lambda: read.append(1) or config.load(path))  # type: ignore[func-returns-value]
    assert (settings.look(), settings.look(), len(read)) == ((), (), 1)
    assert settings.config.window.hours == 12


def test_a_changed_file_is_taken_and_told_once(path: Path) -> None:
    settings = watch(path)
    write(path, "[window]\nhours = 6\n[heuristics.path_gap]\nfloor_ms = 20\n[fusion]\nlow_db = -9\n")
    [line] = settings.look()
    assert line == f"{path}: read again; window.hours, fusion.low_db, heuristics.path_gap.floor_ms changed"
    assert settings.config.heuristics["path_gap"].floor_ms == 20.0
    assert settings.look() == ()
    write(path, "[window]\nhours = 6\n[heuristics.path_gap]\nfloor_ms = 20\n[fusion]\nlow_db = -9 # a remark\n")
    assert settings.look() == (f"{path}: read again; no setting changed",)


def test_changed_overrides_are_told(path: Path) -> None:
    settings = watch(path)
    write(path, "[window]\nhours = 12\n[[override]]\nhours = '1-2'\ndisabled = ['cadence']\n")
    assert settings.look() == (f"{path}: read again; override changed",)


@pytest.mark.parametrize("broken", ["[window\n", "[window]\nhours = 'x'\n", "[windw]\nhours = 3\n"])
def test_a_broken_file_is_refused_in_one_line_and_the_settings_stay(path: Path, broken: str) -> None:
    settings = watch(path)
    write(path, broken)
    [line] = settings.look()
    assert line.startswith(f"{path} line ")
    assert line.endswith("; the settings stay as they were")
    assert settings.look() == ()
    assert settings.config.window.hours == 12
    write(path, "[window]\nhours = 3\n")
    assert settings.look() == (f"{path}: read again; window.hours changed",)
    assert settings.config.window.hours == 3


def test_a_file_that_goes_leaves_the_settings_and_may_come_back(path: Path) -> None:
    settings = watch(path)
    path.unlink()
    assert settings.look() == (f"{path}: is gone; the settings stay as they were",)
    assert settings.look() == ()
    path.write_text("[window]\nhours = 5\n")
    assert settings.look() == (f"{path}: read again; window.hours changed",)


def test_a_file_that_is_about_to_be_written_is_waited_for(path: Path) -> None:
    settings = watch(path)
    path.write_text("")
    assert settings.look() == ()
    path.write_text("[window]\nhours = 5\n")
    assert settings.look() == (f"{path}: read again; window.hours changed",)
    path.write_text("")
    assert settings.look() == ()
    assert "can't change in a running analyzer" in settings.look()[0]  # back to the longer window of the defaults


def test_a_file_that_comes_is_read_and_where_there_is_none_to_come_nothing_is(tmp_path: Path) -> None:
    settings = watch(tmp_path / "later.toml")
    assert settings.look() == ()
    (tmp_path / "later.toml").write_text("[window]\nhours = 2\n")
    assert "window.hours changed" in settings.look()[0]
    assert Reloading(None, config.load).look() == ()


def test_what_needs_a_restart_stays_and_the_rest_is_taken(path: Path) -> None:
    settings = watch(path)
    write(
        path,
        "[window]\nhours = 48\n[network]\nlocal_nets = ['10.0.0.0/8']\n[live]\ntick_s = 3\nqueue_mb = 1\n"
        "[sigma]\nshipped = false\n",
    )
    lines = settings.look()
    assert lines[0] == f"{path}: read again; live.tick_s changed"
    assert [line.partition(":")[0] for line in lines[1:]] == [
        "network.local_nets", "window.hours", "live.queue_mb", "sigma.shipped",
    ]  # fmt: skip
    assert all("restart" in line for line in lines[1:])
    held = settings.config
    assert (held.window.hours, held.live.tick_s, held.live.queue_mb) == (12, 3.0, 256)
    assert held.network == config.NetworkSettings()
    assert settings.look() == ()


def test_the_first_reading_raises_what_is_wrong(path: Path) -> None:
    path.write_text("[window]\nhours = 0\n")
    with pytest.raises(UsageError, match=r"line 2: window\.hours must be 1 or more"):
        watch(path)


def test_a_shorter_window_is_taken() -> None:
    old, new = (config.load(overrides={"window.hours": h}) for h in (24, 12))
    assert following(old, new) == (new, [])
    assert following(new, old) == (new, ["window.hours"])
