"""On which line each key of a TOML text stands, whatever the statements around it look like."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.configuring.lines import Path, line_of, lines_of

DECOYS = ["[decoy]", "decoy = 1", "# decoy", '"', "]"]


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Path, int]]:
    """A TOML text, and the line of every key and header in it."""
    written: list[str] = []
    where: dict[Path, int] = {}
    header: Path = ()
    arrays = 0
    kinds = st.sampled_from(["plain", "dotted", "list", "text", "inline", "comment", "blank", "table", "array"])
    for number, kind in enumerate(draw(st.lists(kinds, max_size=25))):
        key, line = f"k{number}", len(written) + 1
        decoys = draw(st.lists(st.sampled_from(DECOYS), max_size=3))
        match kind:
            case "plain":
                written.append(
                    f"  {key} = {draw(st.sampled_from(['1', 'true', '[1, 2]', chr(34) + '[a' + chr(34)]))} # = ["
                )
            case "dotted":
                written.append(f'a{number}."{key}" = 1')
                where[(*header, f"a{number}")] = line
                where[(*header, f"a{number}", key)] = line
                continue
            case "list":
                written += [f"{key} = [", *(f"  '{d}',  # ]" for d in decoys), "]"]
            case "text":
                written += [f"{key} = '''", *decoys, "'''"]
            case "inline":
                written.append(f"{key} = {{ x = 1, y.z = [] }}")
                where |= {(*header, key, "x"): line, (*header, key, "y"): line, (*header, key, "y", "z"): line}
            case "comment":
                written.append("# x = 1")
                continue
            case "blank":
                written.append("   ")
                continue
            case "table":
                header = (f"t{number}", "inner")
                written.append(f"[{header[0]} . inner] # [x]")
                where[header] = line
                continue
            case "array":
                header = ("arr", arrays)
                arrays += 1
                written.append("[[ arr ]]")
                where[header] = line
                continue
        where[(*header, key)] = line
    return "\n".join(written), where


@given(documents())
def test_every_key_and_header_has_its_line(document: tuple[str, dict[Path, int]]) -> None:
    text, where = document
    tomllib.loads(text)  # the text is one
    assert lines_of(text) == where


def test_a_table_in_an_array_of_tables_belongs_to_the_last_one() -> None:
    lines = lines_of("[[a]]\n[a.b]\nx = 1\n[[a]]\n[a.b]\nx = 2\n")
    assert (lines["a", 0, "b", "x"], lines["a", 1, "b", "x"]) == (3, 6)


def test_what_is_not_written_stands_where_its_table_does() -> None:
    lines = lines_of("\n[a]\nx = 1")
    assert line_of(("a", "absent"), lines) == 2
    assert line_of(("absent",), lines) is None


def test_a_long_list_is_parsed_a_few_times_whatever_stands_beside_its_items(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    loads = tomllib.loads

    def counted(text: str) -> dict[str, Any]:
        parsed.append(text)
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", counted)
    nets = "".join(f'  "10.0.{i}.0/24", # site {i}\n' for i in range(200))
    assert lines_of(f"a = [\n{nets}]\nb = 1\n") == {("a",): 1, ("b",): 203}
    assert len(parsed) < 10
