"""Findings: written and read back alike, under an id that stays."""

from __future__ import annotations

import dataclasses
import json

import pytest

from hopscope.findings import Entity, Finding, finding_id
from support.findings import FINDING


def test_json_and_back() -> None:
    assert Finding.from_json(FINDING.to_json()) == FINDING
    assert list(json.loads(FINDING.to_json())) == [f.name for f in dataclasses.fields(Finding)]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "1",
        "[]",
        "{}",
        '{"id": "hop-1"}',
        FINDING.to_json().replace('"severity"', '"gravity"'),
        FINDING.to_json()[:-1],
        "[" * 100_000,
        FINDING.to_json().replace('"severity": "', '"severity": "very '),
        FINDING.to_json().replace('"score_db": ', '"score_db": [], "_": '),
        FINDING.to_json().replace('"distance_ms": ', '"distance_ms": "far", "_": '),
        FINDING.to_json().replace('"decibans": ', '"decibans": null, "_": ', 1),
        FINDING.to_json().replace('"decibans": ', '"nosuch": 1, "decibans": ', 1),
    ],
)
def test_what_is_no_finding_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Finding.from_json(line)


def test_older_stores_lack_fields() -> None:
    raw = json.loads(FINDING.to_json())
    for name in ("dns_names", "chains", "fingerprints", "clients_total", "sensor", "allowance", "label"):
        del raw[name]
    old = Finding.from_json(json.dumps(raw))
    assert (old.id, old.chains, old.clients_total, old.sensor) == (FINDING.id, (), None, "")


def test_an_id_stands_for_the_entity_in_its_scope() -> None:
    service = Entity("service", "192.0.2.1|443|tcp")
    assert finding_id(service, "pcap") == finding_id(Entity("service", "192.0.2.1|443|tcp"), "pcap")
    others = (Entity("address", "192.0.2.1"), Entity("service", "192.0.2.1|8443|tcp"))
    assert len({finding_id(e, s) for e in (service, *others) for s in ("pcap", "zeek")}) == 6
    assert finding_id(service, "pcap").startswith("hop-")
