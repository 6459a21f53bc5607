"""The store: what is kept can be named, nobody else reads it, and a crash leaves the old or the new."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hopscope import options, places, store
from hopscope.errors import UsageError
from hopscope.findings import Findings
from hopscope.records import InputCount
from support.findings import FINDING, finding


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    kept = [FINDING, finding("high", 12.0, id="hop-2", names=("\u2028 \x1b é",))]
    store.save(tmp_path / "deep" / "er" / "findings.jsonl", kept)
    assert store.read(tmp_path / "deep" / "er" / "findings.jsonl") == kept


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    place = tmp_path / "state" / "findings.jsonl"
    store.save(place, [FINDING])
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


def test_the_last_run_replaces_the_one_before(tmp_path: Path) -> None:
    place = tmp_path / "findings.jsonl"
    store.save(place, [FINDING, finding(id="hop-2")])
    store.save(place, [])
    assert store.read(place) == []


def test_a_failing_run_leaves_the_old_findings_and_no_litter(tmp_path: Path) -> None:
    place = tmp_path / "findings.jsonl"
    store.save(place, [FINDING])

    def lines() -> object:
        yield "half"
        raise RuntimeError("stopped midway")

    with pytest.raises(RuntimeError):
        store.write_private(place, lines())  # type: ignore[arg-type]
    assert store.read(place) == [FINDING]
    assert os.listdir(tmp_path) == ["findings.jsonl"]


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    store.save(tmp_path / "link", [FINDING])
    assert (tmp_path / "link").is_symlink()
    assert store.read(tmp_path / "target") == [FINDING]


@pytest.mark.parametrize("place", ["/dev/null", "/proc/findings.jsonl", "."])
def test_a_place_that_can_not_be_written_is_told_before_the_hunt(place: str) -> None:
    with pytest.raises(UsageError, match=r"name (a|another)"):
        store.check_writable(Path(place))
    with pytest.raises(UsageError, match=r"name (a|another)"):
        store.save(Path(place), [FINDING])


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    store.check_writable(tmp_path / "findings.jsonl")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("env", "place"),
    [
        ({"HOME": "/home/ana"}, "/home/ana/.local/state/hopscope/findings.jsonl"),
        ({"HOME": "/home/ana", "XDG_STATE_HOME": "/srv/state"}, "/srv/state/hopscope/findings.jsonl"),
        ({"HOME": "/home/ana", "XDG_STATE_HOME": "relative"}, "/home/ana/.local/state/hopscope/findings.jsonl"),
    ],
)
def test_the_default_place_follows_xdg(env: dict[str, str], place: str) -> None:
    assert places.findings_file(env) == Path(place)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    store.save(
        tmp_path / "f", [finding(id="hop-aa11"), finding(id="hop-aa22"), finding(id="hop-aa"), finding(id="hop-b")]
    )
    return tmp_path / "f"


@pytest.mark.parametrize(
    ("asked", "got"), [("hop-aa11", "hop-aa11"), ("aa2", "hop-aa22"), ("hop-aa", "hop-aa"), ("b", "hop-b")]
)
def test_a_unique_beginning_of_an_id_is_enough(kept: Path, asked: str, got: str) -> None:
    assert store.find(kept, asked).id == got


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("a", "fits hop-aa11, hop-aa22, hop-aa; give more of the id"),
        ("hop-", "give more of the id"),
        ("c", "no finding 'c' in .*, which has hop-aa11, hop-aa22, hop-aa, hop-b; hunt again"),
        ("", "no finding ''"),
        ("rule-24fd58e081", "is what a Sigma rule fired on, no finding; hopscope findings shows"),
    ],
)
def test_what_does_not_fit_is_told_with_what_to_do(kept: Path, asked: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        store.find(kept, asked)


def test_nothing_kept_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="run `hopscope hunt CAPTURE` first"):
        store.find(tmp_path / "absent", "hop-1")
    store.save(tmp_path / "f", [])
    with pytest.raises(UsageError, match="the last run kept none"):
        store.find(tmp_path / "f", "hop-1")


@pytest.mark.parametrize("line", ["not json", "[]", '{"id": "hop-1"}', '{"id": NaN', "\xff"])
def test_a_file_of_something_else_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "f").write_text(f"{FINDING.to_json()}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="line 3: not a finding"):
        store.read(tmp_path / "f")


def test_a_binary_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xd4\xc3\xb2\xa1")
    with pytest.raises(UsageError, match="can't be read"):
        store.read(tmp_path / "f")


def test_a_place_that_can_no_longer_be_written_costs_no_findings(tmp_path: Path) -> None:
    (tmp_path / "full").write_text("")
    found = Findings([FINDING], InputCount())
    assert options.saved(tmp_path / "full" / "f.jsonl", found) is None
    assert "findings are not kept" in (found.input.problems or [""])[0]
    assert options.saved(tmp_path / "f.jsonl", found) == tmp_path / "f.jsonl"
    assert store.read(tmp_path / "f.jsonl") == [FINDING]
