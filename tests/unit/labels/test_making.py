"""What a person may name, and what a label then keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope import labels
from hopscope.errors import UsageError
from hopscope.findings import Entity, finding_id
from hopscope.labels import making
from hopscope.labels.making import Said, Target
from support.findings import FINDING, finding

NOW = datetime(2026, 11, 22, 10, 0, 0, 900, UTC)
SAID = Said("benign", NOW, "ana", "the night's backup")


@pytest.mark.parametrize(
    ("text", "kind", "value", "rest"),
    [
        ("203.0.113.9", "address", "203.0.113.9", ("203.0.113.9", None, None)),
        ("2001:DB8::0:9", "address", "2001:db8::9", ("2001:db8::9", None, None)),
        ("203.0.113.9:443", "service", "203.0.113.9:443/tcp", ("203.0.113.9", 443, "tcp")),
        ("203.0.113.9:53/udp", "service", "203.0.113.9:53/udp", ("203.0.113.9", 53, "udp")),
        ("[2001:db8::9]:443", "service", "[2001:db8::9]:443/tcp", ("2001:db8::9", 443, "tcp")),
        ("2001:db8::/64", "network", "2001:db8::/64", ("2001:db8::", None, None)),
        ("2001:db8::9/64", "network", "2001:db8::/64", ("2001:db8::", None, None)),
        ("Sync.Example.", "name", "sync.example", (None, None, None)),
        ("bücher.example", "name", "xn--bcher-kva.example", (None, None, None)),
        ("_x.a-b.example", "name", "_x.a-b.example", (None, None, None)),
    ],
)
def test_entities_that_a_person_may_name(
    text: str, kind: str, value: str, rest: tuple[str | None, int | None, str | None]
) -> None:
    assert making.target(text) == Target(Entity(kind, value), *rest)


@pytest.mark.parametrize(
    "text", ["hop-3fa9c21b7d", "3fa9", "", "1.2.3:443", "a b.example", "-x.example", "[::1]", "x/y"]
)
def test_what_is_no_entity_may_be_a_finding(text: str) -> None:
    assert making.target(text) is None


@pytest.mark.parametrize(
    ("text", "said"), [("203.0.113.9:70000", "ports go up to 65535"), ("203.0.113.0/24", "label those"),
                       ("203.0.113.9/24", "label those"), ("2001:db8::/48", "label those")],
)  # fmt: skip
def test_what_can_not_be_labelled_is_told(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        making.target(text)


@given(st.text(max_size=30))
def test_any_text_is_an_entity_or_none_or_a_usage_error(text: str) -> None:
    try:
        wanted = making.target(text)
    except UsageError:
        return
    assert wanted is None or wanted.entity.value


def test_a_label_keeps_what_is_known_of_a_finding() -> None:
    found = finding(sensor="edge", dns_names=("sync.cover.example",), fingerprints=("ja4:x",))
    label = making.of_finding(found, SAID)
    assert (label.id, label.entity, label.hop, label.port, label.proto) == (
        FINDING.id, FINDING.entity, FINDING.hop, 443, "tcp")  # fmt: skip
    assert (label.time, label.author, label.note) == ("2026-11-22T10:00:00Z", "ana", "the night's backup")
    assert (label.names, label.dns_names, label.fingerprints) == (found.names, found.dns_names, found.fingerprints)
    assert set(label.pieces or {}) == {"path_gap", "unnamed", "prevalence"}
    assert label.groups == {"gap": 33.2, "naming": 8.0}
    assert (label.score_db, label.versions) == (-2.3, found.versions)
    assert labels.Label.from_json(label.to_json()) == label
    assert labels.of([found], [label])[found.id].counts


def test_bytes_that_are_no_text_don_t_make_a_label_that_cannot_be_read() -> None:
    latin_1 = "caf\udce9"  # as a terminal in another encoding gives it
    label = making.of_finding(FINDING, Said("hop", NOW, author=latin_1, note=latin_1))
    assert labels.Label.from_json(label.to_json()) == label
    assert label.note == "caf?"


def test_times_are_told_in_utc() -> None:
    east = Said("hop", NOW.astimezone(timezone(timedelta(hours=5))))
    assert making.of_finding(FINDING, east).time == "2026-11-22T10:00:00Z"


def test_without_a_run_a_label_keeps_what_the_findings_there_tell() -> None:
    found = finding(sensor="edge", dns_names=("sync.cover.example",))
    wanted = making.target("192.0.2.102")
    assert wanted is not None
    (label,) = making.of_target(wanted, SAID, [found], None)
    assert (label.entity, label.hop, label.sensor) == (Entity("address", "192.0.2.102"), "192.0.2.102", "edge")
    assert label.id == finding_id(Entity("address", "192.0.2.102"), "edge")
    assert (label.names, label.dns_names) == (("sync.cover.example",), ("sync.cover.example",))
    assert (label.pieces, label.score_db) == (None, None)
    assert labels.of([found], [label])


def test_the_id_is_that_of_the_finding_that_the_entity_would_be() -> None:
    wanted = making.target("[2001:db8::9]:443")
    assert wanted is not None
    (label,) = making.of_target(wanted, SAID, [], None)
    assert label.id == finding_id(Entity("service", "2001:db8::9|443|tcp"), "")


def test_a_name_that_was_never_seen_can_be_labelled() -> None:
    wanted = making.target("c2.example")
    assert wanted is not None
    (label,) = making.of_target(wanted, Said("hop", NOW), [finding()], None)
    assert (label.hop, label.names) == (None, ())
    assert labels.Label.from_json(label.to_json()) == label
    seen = making.target("sync.cover.example")
    assert seen is not None
    assert making.of_target(seen, SAID, [finding()], None)[0].hop == FINDING.hop


def test_what_two_sensors_saw_is_labelled_for_both() -> None:
    found = [finding(sensor="north"), finding(sensor="south", score_db=3.0)]
    wanted = making.target(FINDING.entity.value)
    assert wanted is not None
    north, south = making.of_target(wanted, SAID, found, None)
    assert (north.sensor, south.sensor) == ("north", "south")
    assert (north.score_db, south.score_db) == (FINDING.score_db, 3.0)
