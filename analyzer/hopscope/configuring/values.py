"""A value as somebody wrote it, made one of its setting: type, unit and bounds."""

from __future__ import annotations

import math
import re
import tomllib
from fractions import Fraction
from typing import Any

from hopscope.configuring.catalogue import Setting, UnfitError

MOST = 2**53  # beyond it a float no longer tells whole numbers apart
_LONGEST = 60  # characters of a number with its unit
_TIME, _SIZE, _LENGTH, _SPEED, _WEIGHT, _SHARE = "time", "size", "length", "speed", "decibans", "fraction"

UNITS: dict[str, tuple[str, Fraction]] = {
    "us": (_TIME, Fraction(1, 1_000_000)), "µs": (_TIME, Fraction(1, 1_000_000)), "ms": (_TIME, Fraction(1, 1000)),
    "s": (_TIME, Fraction(1)), "min": (_TIME, Fraction(60)),
    "h": (_TIME, Fraction(3600)), "hour": (_TIME, Fraction(3600)), "hours": (_TIME, Fraction(3600)),
    "d": (_TIME, Fraction(86400)), "day": (_TIME, Fraction(86400)), "days": (_TIME, Fraction(86400)),
    "b": (_SIZE, Fraction(1)), "byte": (_SIZE, Fraction(1)), "bytes": (_SIZE, Fraction(1)),
    "kb": (_SIZE, Fraction(10**3)), "mb": (_SIZE, Fraction(10**6)), "gb": (_SIZE, Fraction(10**9)),
    "kib": (_SIZE, Fraction(2**10)), "mib": (_SIZE, Fraction(2**20)), "gib": (_SIZE, Fraction(2**30)),
    "m": (_LENGTH, Fraction(1, 1000)), "km": (_LENGTH, Fraction(1)), "km/h": (_SPEED, Fraction(1)),
    "db": (_WEIGHT, Fraction(1)), "deciban": (_WEIGHT, Fraction(1)), "decibans": (_WEIGHT, Fraction(1)),
    "%": (_SHARE, Fraction(1, 100)), "fraction": (_SHARE, Fraction(1)),
}  # fmt: skip
"""What each unit measures and how much of that it is; written in small letters, read in either."""

_NUMBER = re.compile(r"\s*([-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?|[-+]?(?:nan|inf))\s*(.*?)\s*", re.ASCII)


def fitted(value: Any, setting: Setting, text: bool = False) -> Any:
    """The value as the setting's type. With `text` it was written where all is text: in the environment, an option.

    Raises UnfitError.
    """
    default = setting.default
    if isinstance(default, tuple):
        return _list(value, text)
    if isinstance(default, bool):
        if text and isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        if not isinstance(value, bool):
            raise UnfitError(f"must be true or false, not {_shown(value)}")
        return value
    if isinstance(default, str):
        value = _unquoted(value) if text and isinstance(value, str) else value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise UnfitError(f'must be a text in quotes, not {_shown(value)}; write it like "{default or "..."}"')
        return value
    number = _number(value, setting, text)
    _check_bounds(number, setting)
    if isinstance(default, float):
        return float(number)
    if number.denominator != 1:
        raise UnfitError(f"must be a whole number{_of(setting)}, not {_shown(value)}")
    return int(number)


def _number(value: Any, setting: Setting, text: bool) -> Fraction:
    kind = "a whole number" if isinstance(setting.default, int) else "a number"
    wrong = UnfitError(f"must be {kind}{_of(setting)}, not {_shown(value)}; write it like {setting.default}")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong
    if isinstance(value, str):
        written = _unquoted(value) if text else value
        if len(written) > _LONGEST or (match := _NUMBER.fullmatch(written)) is None:
            raise wrong
        digits, unit = match.groups()
        if not unit and not text:
            raise UnfitError(f"must be {kind}{_of(setting)}; write {digits} without quotes, or with its unit")
        value = float(digits) if digits.lstrip("+-") in ("nan", "inf") else Fraction(digits.replace("_", ""))
    else:
        unit = ""
    if isinstance(value, float) and not math.isfinite(value):
        raise UnfitError(f"must be a number that is finite, not {value}")
    number = Fraction(str(value)) if isinstance(value, float) else Fraction(value)
    return number * _scale(unit, setting) if unit else number


def _scale(unit: str, setting: Setting) -> Fraction:
    """What a number in `unit` is multiplied with to be in the setting's."""
    own = setting.unit
    if not own:
        raise UnfitError(f"has no unit; write the number alone, without {_shown(unit)}")
    given = unit.lower()
    if given in (own.lower(), own.lower().removesuffix("s"), own.lower().removesuffix("es")):
        return Fraction(1)
    measure, scale = UNITS.get(given, ("", Fraction(1)))
    own_measure, own_scale = UNITS.get(own.lower(), (None, Fraction(1)))
    if measure != own_measure:
        other = "which is no unit that is known" if not measure else f"which is a unit of {measure}"
        raise UnfitError(f"is in {own}, not in {_shown(unit)}, {other}; write it like {_example(setting)}")
    return scale / own_scale


def _check_bounds(number: Fraction, setting: Setting) -> None:
    if abs(number) > MOST:
        raise UnfitError("is a number beyond all that is measured here")
    least, most = setting.least, setting.most
    if (least is None or number >= Fraction(least)) and (most is None or number <= Fraction(most)):
        return
    shown = f"{float(number):g}"
    if least is not None and most is not None:
        percent = (
            f'; write {float(number / 100):g} or "{shown} %"' if setting.unit == _SHARE and 1 < number <= 100 else ""
        )
        raise UnfitError(f"must lie between {least:g} and {most:g}, not {shown}{percent}")
    raise UnfitError(f"must be {least:g} or more, not {shown}" if least is not None else f"must be {most:g} or less")


def _list(value: Any, text: bool) -> tuple[str, ...]:
    items = value
    if isinstance(value, str):
        if text and value.lstrip().startswith("["):
            items = _toml(value)
        else:
            items = [item.strip() for item in value.split(",") if item.strip()]
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise UnfitError(f'must be a list of texts, not {_shown(value)}; write it like ["...", "..."]')
    return tuple(items)


def _unquoted(text: str) -> str:
    """The text without a TOML string's quotes around it."""
    read = _toml(text) if text.strip()[:1] in ("'", '"') else None
    return read if isinstance(read, str) else text


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except (ValueError, RecursionError):  # numbers of more digits than Python reads are no TOMLDecodeError
        return None


def _of(setting: Setting) -> str:
    return f" of {setting.unit}" if setting.unit and setting.unit != _SHARE else ""


def _example(setting: Setting) -> str:
    return f'{setting.default} or "{setting.default} {setting.unit}"'


def _shown(value: Any) -> str:
    shown = repr(value) if not isinstance(value, bool) else str(value).lower()
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
