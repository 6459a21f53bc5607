"""Settings of several places: which goes over which, where each comes from, and all that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope import config
from hopscope.config import Config
from hopscope.configuring import loading, showing, sources, template
from hopscope.configuring.catalogue import catalogue
from hopscope.errors import UsageError


def test_every_value_knows_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[window]\nhours = 1\n\n[fusion]\nlow_db = -9\nweights.cadence = 0.5\n")
    (tmp_path / "p.toml").write_text("[fusion]\nlow_db = -8\n")
    env = {"HOPSCOPE_FUSION__HIGH_DB": "11", "HOPSCOPE_WINDOW__HOURS": "2", "HOPSCOPE_DISABLED": "cadence,rotation"}
    loaded = loading.read(tmp_path / "c.toml", env, {"path_gap.floor_ms": "20 ms"}, tmp_path / "p.toml")
    assert {name: str(origin) for name, origin in loaded.origins.items()} == {
        "window.hours": "environment HOPSCOPE_WINDOW__HOURS",
        "fusion.low_db": f"{tmp_path / 'p.toml'} line 2",
        "fusion.weights.cadence": f"{tmp_path / 'c.toml'} line 6",
        "fusion.high_db": "environment HOPSCOPE_FUSION__HIGH_DB",
        "disabled": "environment HOPSCOPE_DISABLED",
        "heuristics.path_gap.floor_ms": "command line",
    }
    made = loaded.checked()
    assert (made.window.hours, made.fusion.low_db, made.fusion.high_db) == (2, -8.0, 11.0)
    assert (made.fusion.weights, made.disabled) == ({"cadence": 0.5}, {"cadence", "rotation"})
    assert made.heuristics["path_gap"].floor_ms == 20.0
    assert str(loaded.origin("live.tick_s")) == "default"


def test_all_problems_of_all_places_are_told_in_order_and_the_rest_holds() -> None:
    text = "[window]\nhours = 3\ndays = 1\n[fusion]\nlow_db = 5\n[netwrk]\nx = 1\n[heuristics.path_gap]\nflor_ms = 1\n"
    places = [sources.in_text(text, "c.toml"), sources.in_environment({"HOPSCOPE_LIVE__TICK_S": "0"})]
    loaded = loading.loaded(places)
    assert [str(p).partition(";")[0] for p in loaded.problems] == [
        "c.toml line 3: unknown setting 'window.days'",
        "c.toml line 5: fusion.low_db: 5 is above fusion.medium_db, 0",
        "c.toml line 7: unknown setting 'netwrk.x'",
        "c.toml line 9: unknown setting 'heuristics.path_gap.flor_ms'",
        "environment HOPSCOPE_LIVE__TICK_S: live.tick_s: must be more than 0",
    ]
    assert loaded.config.window.hours == 3
    assert loaded.config.fusion == config.FusionSettings()
    with pytest.raises(UsageError, match=r"c\.toml line 3: .*and 4 more: hopscope config check tells all"):
        loaded.checked()


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[path_gap]\nfloor_ms = 1", "did you mean heuristics.path_gap.floor_ms?"),
        ("[heuristics.pathgap]\nfloor_ms = 1", "did you mean heuristics.path_gap.floor_ms?"),
        ("[heuristics.pathgap]\ncolour = 1", "did you mean the table [heuristics.path_gap]?"),
        ("[fusion.weights]\ncadense = 1", "did you mean fusion.weights.cadence?"),
        ("[fusion.weights]\ncadence = -1", "fusion.weights.cadence must be 0 or more, not -1"),
        ("[fusion.caps]\ngap = nan", "fusion.caps.gap must be a number that is finite"),
        ("[fusion]\nweights = 1", "fusion.weights is a table of settings and has no value itself"),
        ("window = 1", "window is a table of settings and has no value itself; write window.KEY = value"),
        ("[[window]]\nhours = 1", "window is a table of settings"),
        ("[[override]]\n[window]\nhours = 1", "override 1: names neither networks nor hours"),
        ("override = 1", "override must be a table"),
        ("[nonsense]", "line 1: unknown setting 'nonsense'; tables are network, vantage"),
        ("[window]\ntimezone = 'Mars/Olympus'", "window.timezone: 'Mars/Olympus' is no time zone that is known here"),
        ("[window]\ntimezone = '../../etc/passwd'", "is no time zone that is known here"),
        (f"[baseline]\nuse = '{'9' * 5000}'", "is neither latest nor none nor a baseline's number"),
        ("[baseline]\nuse = 'first'", "baseline.use: 'first' is neither latest nor none nor a baseline's number"),
        ("[window]\nhours = 1\nhours = 2", "c.toml line 3: not valid TOML"),
        ("[window]\nhours = 1" + "0" * 5000, "not valid TOML"),
    ],
)
def test_a_problem_says_what_was_meant(toml: str, said: str) -> None:
    [problem] = loading.loaded([sources.in_text(toml, "c.toml")]).problems
    assert said in str(problem)


def test_what_stands_before_a_fault_in_the_toml_is_checked_as_well() -> None:
    text = "[window]\nhours = 3\ndays = 1\n[network]\nlocal_nets = [\n  '10.0.0.0/8'\n  '10.0.0.0/8'\n]\n"
    loaded = loading.loaded([sources.in_text(text, "c.toml")])
    assert [p.origin.line for p in loaded.problems] == [3, 7]
    assert loaded.config.window.hours == 3


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_line_of_it(text: str) -> None:
    loaded = loading.loaded([sources.in_text(text, "c.toml")])
    assert all(p.origin.line is None or 1 <= p.origin.line <= text.count("\n") + 1 for p in loaded.problems)


def test_tables_without_keys_and_editors_marks_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbf[window]\r\nhours = 7 # a\r\n[heuristics]\r\n[fusion.weights]\r\n")
    loaded = loading.read(tmp_path / "c.toml", {}, {})
    assert loaded.checked().window.hours == 7
    assert loaded.origin("window.hours").line == 2


def test_a_variable_whose_underscores_stand_wrong_is_told_and_another_is_not() -> None:
    env = {"HOPSCOPE_WINDOW_HOURS": "48", "HOPSCOPE_PATH_GAP_FLOOR_MS": "20", "HOPSCOPE_CONFIG": "none", "HOPSCOPE": ""}
    assert sorted(map(str, loading.read(None, env, {}).problems)) == [
        "environment HOPSCOPE_PATH_GAP_FLOOR_MS: sets nothing; did you mean HOPSCOPE_HEURISTICS__PATH_GAP__FLOOR_MS?",
        "environment HOPSCOPE_WINDOW_HOURS: sets nothing; did you mean HOPSCOPE_WINDOW__HOURS?",
    ]


def test_a_file_that_is_no_file_of_settings_is_not_read_to_its_end() -> None:
    with pytest.raises(UsageError, match="longer than 1,000,000 bytes"):
        sources.in_file(Path("/dev/zero"))


def test_the_users_file_is_read_where_there_is_one_and_none_is_named(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    usual = tmp_path / ".config" / "hopscope" / "hopscope.toml"
    assert sources.settings_file(None, env) is None
    usual.parent.mkdir(parents=True)
    usual.touch()
    assert sources.settings_file(None, env) == usual
    assert sources.settings_file("none", env) is None
    assert sources.settings_file("x.toml", env) == Path("x.toml")
    assert sources.settings_file(None, {**env, "HOPSCOPE_CONFIG": "y.toml"}) == Path("y.toml")
    assert sources.settings_file(None, {**env, "HOPSCOPE_CONFIG": "none"}) is None


# what is written by `config init` and shown by `config show`


def uncommented(text: str) -> str:
    """The settings of a template as if somebody had taken away each `#`."""
    known = {s.key for s in catalogue().values()}
    lines = (line.removeprefix("# ") for line in text.split("\n"))
    return "\n".join(line for line in lines if line.startswith("[") or line.partition(" = ")[0] in known)


def test_the_template_changes_nothing_as_it_is_and_nothing_when_all_of_it_is_used() -> None:
    text = "\n".join(template.lines())
    plain = loading.loaded([sources.in_text(text, "t")])
    assert (plain.problems, plain.origins, plain.config.overrides) == ((), {}, ())
    whole = loading.loaded([sources.in_text(uncommented(text.partition("# [[override]]")[0]), "t")])
    assert whole.problems == ()
    assert set(whole.origins) == set(catalogue())
    assert loading.differences(Config(heuristics=plain.config.heuristics), whole.config) == {}


def test_the_override_in_the_template_is_one() -> None:
    example = "\n".join(template.lines()).partition("# [[override]]")[2]
    [override] = loading.loaded([sources.in_text(f"[[override]]{example.replace('# ', '')}", "t")]).checked().overrides
    assert override.networks == ("10.1.2.0/28",)


def test_what_is_shown_is_a_file_of_the_same_settings() -> None:
    text = """
        disabled = ["rotation"]
        network.asn_database = 'C:\\data\\"asn"'
        fusion.weights.cadence = 0.25
        heuristics.path_gap.floor_ms = 33.5
        [[override]]
        networks = ["10.1.2.0/28"]
        hours = "22-6, 8-9"
        reason = "wörk\\t"
        disabled = ["cadence"]
        heuristics.path_gap.floor_ms = 40
    """
    loaded = loading.loaded([sources.in_text(text, "c.toml")])
    shown = "\n".join(showing.toml_lines(showing.named(()), loaded, overrides=True, origin=True))
    again = loading.loaded([sources.in_text(shown, "shown")])
    assert again.problems == ()
    assert loading.differences(loaded.checked(), again.config) == {}
    assert again.config.overrides == loaded.config.overrides
