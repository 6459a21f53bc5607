"""Values as people write them: units are converted, what measures something else or lies out of bounds is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.configuring.catalogue import Setting, UnfitError, catalogue
from hopscope.configuring.values import fitted

MS = Setting("x", 15.0, "ms", "", least=0)
HOURS = Setting("x", 24, "hours", "", least=1)
SHARE = Setting("x", 0.5, "fraction", "", least=0, most=1)
WEIGHT = Setting("x", 8.0, "decibans", "")
COUNT = Setting("x", 5, "clients", "", least=0)
BARE = Setting("x", 0.3, "", "")
SIZE = Setting("x", 256, "MB", "", least=0)
FLAG, TEXT, NAMES = (Setting("x", default, "", "") for default in (True, "", ()))


@pytest.mark.parametrize(
    ("setting", "value", "result"),
    [
        (MS, 25, 25.0), (MS, "25 ms", 25.0), (MS, "0.025 s", 25.0), (MS, "0.025s", 25.0), (MS, "1 min", 60_000.0),
        (MS, "250 us", 0.25), (MS, "250 µs", 0.25), (MS, "2.5e1 MS", 25.0), (MS, 0, 0.0),
        (HOURS, "1 day", 24), (HOURS, "120 min", 2), (HOURS, 36, 36), (HOURS, "1 hour", 1),
        (SHARE, "50 %", 0.5), (SHARE, 1, 1.0), (SHARE, 0, 0.0), (SHARE, "100%", 1.0),
        (WEIGHT, "12 dB", 12.0), (WEIGHT, "-3 decibans", -3.0), (WEIGHT, -40, -40.0),
        (COUNT, "3 clients", 3), (COUNT, "1 client", 1), (SIZE, "1 GB", 1000), (SIZE, "2000 kB", 2),
        (BARE, 0.7, 0.7), (FLAG, False, False), (TEXT, "a b", "a b"), (TEXT, 7, "7"),
        (NAMES, ["a", "b"], ("a", "b")), (NAMES, "a, b", ("a", "b")), (NAMES, [], ()),
    ],
)  # fmt: skip
def test_values_become_their_settings(setting: Setting, value: Any, result: Any) -> None:
    assert fitted(value, setting) == result
    assert type(fitted(value, setting)) is type(setting.default)


@pytest.mark.parametrize(
    ("setting", "value", "result"),
    [
        (MS, "25", 25.0), (MS, '"25 ms"', 25.0), (FLAG, "true", True), (FLAG, "False", False), (TEXT, "2024", "2024"),
        (TEXT, "'a'", "a"), (NAMES, '["a", "b"]', ("a", "b")), (NAMES, "a,b", ("a", "b")), (HOURS, "1_0", 10),
    ],
)  # fmt: skip
def test_where_all_is_text_numbers_need_no_unit(setting: Setting, value: str, result: Any) -> None:
    assert fitted(value, setting, text=True) == result


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        (MS, "25 dB", "is in ms, not in 'dB', which is a unit of decibans; write it like 15.0 or \"15.0 ms\""),
        (MS, "25 parsec", "is in ms, not in 'parsec', which is no unit that is known"),
        (MS, "25", "must be a number of ms; write 25 without quotes, or with its unit"),
        (MS, "fast", "must be a number of ms, not 'fast'; write it like 15.0"),
        (MS, -0.1, "must be 0 or more, not -0.1"),
        (MS, True, "must be a number of ms, not true"),
        (MS, [1], "must be a number of ms, not [1]"),
        (MS, math.nan, "must be a number that is finite, not nan"),
        (MS, -math.inf, "must be a number that is finite, not -inf"),
        (MS, "inf ms", "must be a number that is finite, not inf"),
        (MS, 10**30, "is a number beyond all that is measured here"),
        (MS, "9" * 5000 + " ms", "must be a number of ms"),
        (BARE, "0.3 ms", "has no unit; write the number alone"),
        (SHARE, 50, 'must lie between 0 and 1, not 50; write 0.5 or "50 %"'),
        (SHARE, 1.01, 'must lie between 0 and 1, not 1.01; write 0.0101 or "1.01 %"'),
        (SHARE, -0.01, "must lie between 0 and 1, not -0.01"),
        (SHARE, "150 %", "must lie between 0 and 1, not 1.5"),
        (HOURS, 0, "must be 1 or more, not 0"),
        (HOURS, 1.5, "must be a whole number of hours, not 1.5"),
        (HOURS, "90 min", "must be a whole number of hours, not '90 min'"),
        (COUNT, -1, "must be 0 or more, not -1"),
        (COUNT, "3 hosts", "is in clients, not in 'hosts'"),
        (FLAG, 1, "must be true or false, not 1"),
        (FLAG, "true", "must be true or false, not 'true'"),
        (TEXT, True, "must be a text in quotes, not true"),
        (NAMES, [1], "must be a list of texts, not [1]"),
        (NAMES, 5, "must be a list of texts, not 5"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_is_expected(setting: Setting, value: Any, said: str) -> None:
    with pytest.raises(UnfitError) as refused:
        fitted(value, setting)
    assert said in str(refused.value)


@given(st.one_of(st.text(max_size=40), st.from_regex(r"[-+.0-9eE_ ]{1,12} ?(ms|s|dB|%|clients|)", fullmatch=True)),
       st.sampled_from([MS, HOURS, SHARE, WEIGHT, COUNT, BARE, SIZE, FLAG, TEXT, NAMES]), st.booleans())  # fmt: skip
def test_any_text_is_a_value_in_bounds_or_refused(written: str, setting: Setting, text: bool) -> None:
    try:
        value = fitted(written, setting, text)
    except UnfitError:
        return
    assert type(value) is type(setting.default)
    if isinstance(value, float):
        assert math.isfinite(value)
        assert setting.least is None or value >= setting.least
        assert setting.most is None or value <= setting.most


def test_every_default_is_a_value_of_its_setting() -> None:
    for setting in catalogue().values():
        assert fitted(list(d) if isinstance(d := setting.default, tuple) else d, setting) == d, setting.name


@pytest.mark.parametrize("written", ["[" * 3000, f"[{'1' * 5000}]", '["a"'])
def test_a_list_that_is_no_toml_is_refused(written: str) -> None:
    with pytest.raises(UnfitError, match="must be a list of texts"):
        fitted(written, Setting("disabled", (), "", ""), text=True)
