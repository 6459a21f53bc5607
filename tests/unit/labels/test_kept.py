"""Labels on disk: exact, private, and what is no label is told with its line."""

from __future__ import annotations

import dataclasses
import stat
import string
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope import labels
from hopscope.errors import UsageError
from hopscope.findings import Entity
from hopscope.labels import Label

LABEL = Label(
    id="hop-3fa9c21b7d",
    verdict="benign",
    entity=Entity("service", "192.0.2.102:443/tcp"),
    hop="192.0.2.102",
    time="2026-11-21T10:00:00Z",
    port=443,
    proto="tcp",
    sensor="edge",
    author="ana",
    note="the night's \u2028 backup \x1b\x7f",
    names=("sync.cover.example",),
    pieces={"path_gap": (35.0, 2), "unnamed": (8.0, 1)},
    groups={"gap": 33.2},
    score_db=-2.3,
    versions={"hopscope": "0.1.0"},
)


def test_what_is_kept_comes_back_in_order_and_private(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "labels.jsonl"
    given = [LABEL, dataclasses.replace(LABEL, verdict="hop", pieces=None), LABEL]
    labels.write(place, given)
    assert labels.read(place) == given
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert labels.read(tmp_path / "absent") == []


def test_nothing_in_a_label_reaches_a_terminal_as_it_came() -> None:
    line = LABEL.to_json()
    assert line.isascii()
    assert line.isprintable()


numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(
    verdict=st.sampled_from(labels.VERDICTS),
    note=texts,
    names=st.lists(texts, max_size=2).map(tuple),
    pieces=st.none() | st.dictionaries(texts, st.tuples(numbers, st.integers(1, 1 << 40)), max_size=3),
    score=st.none() | numbers,
    port=st.none() | st.integers(0, 0xFFFF),
)
def test_a_line_and_a_label_are_inverses(verdict, note, names, pieces, score, port) -> None:  # type: ignore[no-untyped-def]
    label = dataclasses.replace(
        LABEL, verdict=verdict, note=note, names=names, pieces=pieces, score_db=score, port=port
    )
    assert Label.from_json(label.to_json()) == label


@given(st.text(string.printable, max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "hop", "x"]), inner),
    max_leaves=5,
).map(repr))  # fmt: skip
def test_what_is_no_label_is_a_value_error_and_nothing_else(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Label.from_json(line)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"benign"', '"maybe"', "Invalid enum value 'maybe'"),
        ('"id"', '"colour"', "unknown field 'colour'"),
        ('"id": "hop-3fa9c21b7d", ', "", "missing required field `id`"),
        ('"service"', '"host"', "no entity is a 'host'"),
        ('"hop": "192.0.2.102"', '"hop": "192.0.2.300"', "192.0.2.300"),
        ('"hop": "192.0.2.102"', '"hop": null', "a service needs a hop"),
        ('"port": 443', '"port": 70000', "port 70000 is out of range"),
        ("10:00:00Z", "10:00:00", "is not in UTC"),
        ("10:00:00Z", "10:00:00+01:00", "is not in UTC"),
        ("2026-11-21T10:00:00Z", "yesterday", "yesterday"),
        ("[35.0, 2]", "[35.0, 0]", "path_gap has 0 clients"),
        ("[35.0, 2]", "[NaN, 2]", "malformed"),
        ("[35.0, 2]", "[1e999, 2]", "out of range"),
    ],
)
def test_a_wrong_label_is_told_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    line = LABEL.to_json()
    assert old in line
    place = tmp_path / "labels.jsonl"
    place.write_text(f"{line}\n\n{line.replace(old, new)}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="line 3: not a label") as told:
        labels.read(place)
    assert said in str(told.value)


def test_a_torn_last_line_is_told_and_nothing_is_written_over_it(tmp_path: Path) -> None:
    place = tmp_path / "labels.jsonl"
    torn = f"{LABEL.to_json()}\n{LABEL.to_json()[:100]}"
    place.write_text(torn, encoding="utf-8")
    with pytest.raises(UsageError, match="line 2: not a label"), labels.changing(place) as kept:
        kept.append(LABEL)
    assert place.read_text(encoding="utf-8") == torn


def test_two_who_label_at_once_lose_nothing(tmp_path: Path) -> None:
    place = tmp_path / "labels.jsonl"

    def add(author: str) -> None:
        for _ in range(5):
            with labels.changing(place) as kept:
                kept.append(dataclasses.replace(LABEL, author=author))

    threads = [threading.Thread(target=add, args=(name,)) for name in ("ana", "ben")]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(label.author for label in labels.read(place)) == ["ana"] * 5 + ["ben"] * 5


def test_the_newest_of_an_entity_is_in_force_the_last_of_equally_new_ones() -> None:
    old = dataclasses.replace(LABEL, time="2026-11-20T10:00:00Z", verdict="hop")
    other = dataclasses.replace(LABEL, sensor="branch", time="2026-11-22T10:00:00Z")
    again = dataclasses.replace(LABEL, verdict="hop")
    assert labels.in_force([LABEL, old, other]) == [other, LABEL]
    assert labels.in_force([LABEL, again]) == [again]
