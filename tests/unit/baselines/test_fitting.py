"""A baseline judges what it was learnt from; what doesn't fit is told or not used."""

from __future__ import annotations

from typing import Any

import pytest

from hopscope.baselines.fitting import OLD_DAYS, fitted
from hopscope.baselines.model import DAY_US
from hopscope.config import BaselineSettings, Config, NetworkSettings
from support.baselines import make_baseline
from support.windows import START, make_window

CONFIG = Config()
NAMED = Config(baseline=BaselineSettings("3"))


def clients(count: int) -> list[dict[str, Any]]:
    return [{"client": f"10.0.0.{i}"} for i in range(count)]


def hosts(count: int) -> list[dict[str, Any]]:
    return [{"host": f"10.0.0.{i}"} for i in range(count)]


def test_its_own_network_a_day_later_is_not_worth_a_word() -> None:
    baseline = make_baseline(host_hours=hosts(4))
    assert fitted(baseline, make_window(pairs=clients(4)), CONFIG) == (baseline, None)


def test_none_fits_everything() -> None:
    assert fitted(None, make_window(pairs=clients(4)), CONFIG) == (None, None)


def test_nothing_to_judge_fits_as_well() -> None:
    baseline = make_baseline(host_hours=hosts(4))
    assert fitted(baseline, make_window(pairs=[]), CONFIG) == (baseline, None)


@pytest.mark.parametrize("config", [CONFIG, NAMED])
def test_another_sensors_is_not_used(config: Config) -> None:
    used, line = fitted(make_baseline(host_hours=hosts(4)), make_window(pairs=[{"sensor": "t"}]), config)
    assert used is None
    assert line is not None
    assert "is not used: it was learnt from s, the records are of t" in line


def test_one_of_two_sensors_is_told() -> None:
    pairs = [*clients(4), {"sensor": "t", "client": "10.0.0.1"}]
    used, line = fitted(make_baseline(host_hours=hosts(4)), make_window(pairs=pairs), CONFIG)
    assert used is not None
    assert line == "baseline 3 of 2023-11-14, 7 days, knows nothing of t"


def test_none_of_the_hosts_is_another_network() -> None:
    used, line = fitted(make_baseline(host_hours=[{"host": "10.9.9.9"}]), make_window(pairs=clients(4)), CONFIG)
    assert used is None
    assert line is not None
    assert "knows none of the 4 hosts of ours" in line


@pytest.mark.parametrize(("known", "told"), [(1, True), (2, False)])
def test_few_known_hosts_are_told(known: int, told: bool) -> None:
    used, line = fitted(make_baseline(host_hours=hosts(known)), make_window(pairs=clients(4)), CONFIG)
    assert used is not None
    assert (line is not None and f"knows {known} of the 4 hosts" in line) is told


def test_other_monitored_networks_only_where_the_number_is_named() -> None:
    baseline, window = make_baseline(host_hours=hosts(4)), make_window(pairs=clients(4))
    nets = NetworkSettings(local_nets=("10.0.0.0/8",))
    used, line = fitted(baseline, window, Config(network=nets))
    assert used is None
    assert line is not None
    assert "--baseline 3 uses it all the same" in line
    used, line = fitted(baseline, window, Config(network=nets, baseline=BaselineSettings("3")))
    assert used is baseline
    assert line is not None
    assert "was learnt with other monitored networks" in line


@pytest.mark.parametrize(("days", "told"), [(OLD_DAYS, False), (OLD_DAYS + 1, True)])
@pytest.mark.parametrize("later", [True, False])
def test_age_by_the_records_own_time(days: int, told: bool, later: bool) -> None:
    end = START - days * DAY_US if later else START + days * DAY_US
    about = {"first_us": end - 7 * DAY_US, "last_us": end} if later else {"first_us": end, "last_us": end + 7 * DAY_US}
    window = make_window(pairs=clients(4), start_us=START, end_us=START)
    _, line = fitted(make_baseline(about, host_hours=hosts(4)), window, CONFIG)
    assert (line is not None) is told
    if told:
        assert line is not None
        assert f"{days} days {'older' if later else 'younger'} than these records" in line


def test_the_very_days_that_were_learnt_are_told() -> None:
    about = {"last_us": START + DAY_US}
    _, line = fitted(make_baseline(about, host_hours=hosts(4)), make_window(pairs=clients(4)), CONFIG)
    assert line is not None
    assert "learnt from these very days" in line
