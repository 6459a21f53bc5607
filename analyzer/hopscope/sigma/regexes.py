"""Regular expressions are RE2's: linear in time, without look-around and references back."""

from __future__ import annotations

import re

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RE2RegexEngine, RegexPattern

from hopscope.sigma.refusing import Cause, Refused

_FLAGS = {re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s"}


def check(pattern: str) -> None:
    """Raises Refused where RE2 doesn't know the pattern or finds it too large.

    DuckDB is asked first: the RE2 of Arrow and that of pySigma write their complaints to standard error.
    """
    try:
        duckdb.execute("SELECT regexp_matches('', ?)", [pattern])
        pc.match_substring_regex(pa.array([""]), pattern)
    except (duckdb.Error, pa.ArrowInvalid, UnicodeError) as e:
        why = str(e).splitlines()[0].removeprefix("Invalid Input Error: ")
        raise Refused(Cause.REGEX, f"RE2 has no {pattern[:60]!r} ({why[:100]})") from e


class _Checked(RE2RegexEngine):
    """RE2 as pySigma asks it, for what it doesn't know as `check` does."""

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
        told = "".join(letter for flag, letter in _FLAGS.items() if flags & flag)
        check(f"(?{told})" * bool(told) + pattern)
        return super().compile(pattern, flags)


POLICY = SigmaPolicy(regex_engine=_Checked())
"""How pySigma reads rules: checked expressions, no templates with variables, nothing from elsewhere."""
