"""[[override]] as it is written: what becomes of it, and what is refused with the line it stands on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.config import Override
from hopscope.configuring import loading, sources
from hopscope.configuring.catalogue import UnfitError
from hopscope.configuring.override_tables import hours_of_day, ranges_of


def loaded(toml: str) -> loading.Loaded:
    return loading.loaded([sources.in_text(toml, "c.toml")])


def test_an_override_is_read_with_its_place() -> None:
    toml = """
        [window]
        timezone = "Europe/Berlin"

        [[override]]
        networks = ["10.1.2.0/28", "2001:db8::/64"]
        hours = "22-06"
        reason = "backups"
        disabled = ["byte_ratio"]
        heuristics.path_gap.floor_ms = "0.04 s"
        heuristics.path_gap.min_samples = 5

        [[override]]
        hours = "7-9"
        [override.heuristics.cadence]
        max_db = "3 dB"
    """
    read = loaded(toml)
    assert read.problems == ()
    first, second = read.config.overrides
    assert first == Override(
        networks=("10.1.2.0/28", "2001:db8::/64"),
        hours=frozenset({22, 23, 0, 1, 2, 3, 4, 5}),
        reason="backups",
        heuristics={"path_gap": {"floor_ms": 40.0, "min_samples": 5}},
        disabled=frozenset({"byte_ratio"}),
    )
    assert (first.place, second.place) == ("c.toml line 5", "c.toml line 13")
    assert second.heuristics == {"cadence": {"max_db": 3.0}}
    assert not second.networks


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('hours = "1-2"', "c.toml line 1: override 1: changes nothing; add a line such as heuristics."),
        ('disabled = ["cadence"]', "c.toml line 1: override 1: names neither networks nor hours"),
        ('hours = "1-2"\nnetwork = 1', "c.toml line 3: override 1: unknown key 'network'; did you mean networks?"),
        ('hours = "1-2"\ncolour = 1', "unknown key 'colour'; an override has networks, hours, reason"),
        ('networks = ["10.0.0.1/8"]', "line 2: override 1: networks: '10.0.0.1/8' is not a network"),
        ("networks = []", "networks is empty; name some, or leave the line out for all"),
        ("networks = [10]", "networks must be a list of texts"),
        ("hours = 22", 'hours must be ranges of hours in quotes, not 22; write it like "22-06"'),
        ('hours = "22:30-06:00"', "hours: '22:30-06:00' is no range of hours"),
        ('hours = "1-2"\nreason = true', "line 3: override 1: must be a text in quotes"),
        ('hours = "1-2"\ndisabled = ["cadense"]', "disabled names no heuristic 'cadense'; did you mean cadence?"),
        ('hours = "1-2"\nheuristics = 1', "heuristics must be a table; write lines such as"),
        ('hours = "1-2"\nheuristics.cadence = 1', "line 3: override 1: heuristics.cadence is a table of settings"),
        ('hours = "1-2"\nheuristics.cadense.max_db = 1', "override 1: unknown setting 'heuristics.cadense'"),
        (
            'hours = "1-2"\nheuristics.cadence.max = 1',
            "unknown setting 'heuristics.cadence.max'; heuristics.cadence has",
        ),
        ('hours = "1-2"\nheuristics.cadence.max_db = "1 s"', "heuristics.cadence.max_db is in decibans, not in 's'"),
        ('hours = "1-2"\nheuristics.logon_geography.database = "/absent"', "/absent can't be read"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_the_rest_is_read(written: str, said: str) -> None:
    read = loaded(f"[[override]]\n{written}\n[[override]]\nhours = '3-4'\ndisabled = ['cadence']")
    assert said in "\n".join(map(str, read.problems))
    assert len(read.problems) == 1
    assert [o.hours for o in read.config.overrides] == [frozenset({3})]


def test_all_that_is_wrong_in_one_is_told() -> None:
    read = loaded('[[override]]\nhours = "x"\nnetworks = ["y"]\nheuristics.path_gap.floor_ms = "1 dB"')
    assert [p.origin.line for p in read.problems] == [2, 3, 4]
    assert read.config.overrides == ()


def test_override_that_is_no_array_of_tables_is_told() -> None:
    assert "write it as [[override]]" in str(loaded("[override]\nhours = '1-2'").problems[0])


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("22-06", {22, 23, 0, 1, 2, 3, 4, 5}), ("22:00-06:00", {22, 23, 0, 1, 2, 3, 4, 5}), ("0-24", set(range(24))),
        ("7-9, 17-19", {7, 8, 17, 18}), ("23-24", {23}), ("23-0", {23}), ("0-1", {0}), ("6-7,6-8", {6, 7}),
        ("12-11", set(range(24)) - {11}),
    ],
)  # fmt: skip
def test_hours_are_ranges_without_their_end(text: str, hours: set[int]) -> None:
    assert hours_of_day(text) == hours


@pytest.mark.parametrize(
    "text", ["", " ", "22", "6-6", "0-0", "24-6", "0-25", "-1-3", "22 06", "22-06-07", "7-9,", "²-3"]
)
def test_what_is_no_range_of_hours_is_refused(text: str) -> None:
    with pytest.raises(UnfitError, match="22-06"):
        hours_of_day(text)


@given(st.frozensets(st.integers(0, 23), min_size=1))
def test_hours_are_shown_as_they_are_read(hours: frozenset[int]) -> None:
    assert hours_of_day(ranges_of(hours)) == hours
