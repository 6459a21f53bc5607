"""The graph of findings: its nodes and edges, campaigns, and files that can be read back."""

from __future__ import annotations

import dataclasses
import io
import json
import random
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from hopscope import cli, graph
from hopscope.findings import Entity, Evidence, FarEnd, Finding
from hopscope.outputs import graph_files
from support.findings import BARE, FINDING

OTHER = dataclasses.replace(
    BARE, id="hop-2", entity=Entity("service", "192.0.2.7:443/tcp"), hop="192.0.2.7", clients=("10.0.0.11",), names=()
)


def shared(heuristic: str, **facts: Any) -> Evidence:
    return Evidence(heuristic, 12.0, "", "", facts, {}, "10.0.0.11", 1, ())


def edges(made: nx.MultiDiGraph, kind: str) -> list[tuple[str, str]]:
    return sorted((u, v) for u, v, d in made.edges(data=True) if d["kind"] == kind)


def test_clients_names_and_the_far_end_of_a_hop() -> None:
    f = dataclasses.replace(FINDING, far_end=FarEnd(distance_ms=58.5), dns_names=("alias.example",))
    made = graph.build([f]).graph
    hop = "hop 192.0.2.102:443/tcp"
    assert edges(made, "near_leg") == [("client 10.0.0.11", hop), ("client 10.0.0.12", hop)]
    assert edges(made, "led_to") == [("name sync.cover.example", hop)]
    assert edges(made, "dns") == [("name alias.example", hop)]
    ((_, far),) = edges(made, "far_leg")
    assert made.nodes[far] == {"kind": "far_end", "label": "unseen, about 58 ms behind"}
    assert made.nodes[hop]["score_db"] == f.score_db
    (leg,) = made["client 10.0.0.11"][hop].values()
    assert (leg["connections"], leg["bytes"], leg["severity"]) == (1, 20_501_032, f.severity)


def test_a_hop_that_leads_to_another_has_no_end_of_its_own() -> None:
    inner = dataclasses.replace(OTHER, hop="10.0.0.80", entity=Entity("service", "10.0.0.80:9/tcp"), port=9,
                                far_end=FarEnd(seen="203.0.113.9:443"))  # fmt: skip
    outer = dataclasses.replace(BARE, clients=("10.0.0.80",))
    made = graph.build([inner, outer])
    assert ("hop 10.0.0.80:9/tcp", "hop 203.0.113.9:443/tcp") in edges(made.graph, "far_leg")
    assert edges(made.graph, "near_leg") == [("client 10.0.0.11", "hop 10.0.0.80:9/tcp")]
    assert len(made.graph.graph["chains"]) == 1


def test_far_ends_beside_the_next_hop_are_told() -> None:
    targets = ["203.0.113.9:443", "198.51.100.3:443", "mail.example:25"]
    asked = Evidence("proxy_protocol", 45.0, "", "", {"targets": targets}, {}, "10.0.0.11", 1, ())
    outer = dataclasses.replace(OTHER, evidence=(asked,), far_end=FarEnd(asked=targets[0]))
    made = graph.build([outer, BARE]).graph
    far = {v for u, v in edges(made, "far_leg") if u == "hop 192.0.2.7:443/tcp"}
    assert far == {"hop 203.0.113.9:443/tcp", "far_end 198.51.100.3:443", "far_end mail.example:25"}


def test_hops_that_show_one_certificate_are_a_campaign() -> None:
    certificate = shared("shared_identity", identity="SSH host key", value="ab" * 32)
    one, two = (dataclasses.replace(f, evidence=(certificate,)) for f in (BARE, OTHER))
    made = graph.build([one, two, FINDING])
    (campaign,) = made.campaigns
    assert campaign.shared == ("SSH host key " + "ab" * 32,)
    assert {made.graph.nodes[v]["kind"] for _, v in edges(made.graph, "shows_certificate")} == {"certificate"}
    members = {n for n, d in made.graph.nodes(data=True) if d.get("campaign") == campaign.name}
    assert members == {"hop 203.0.113.9:443/tcp", "hop 192.0.2.7:443/tcp"}


@pytest.mark.parametrize(
    ("others", "together"),
    [("192.0.2.7", True), ("192.0.2.8, alias.example", True), ("192.0.2.70", False), (None, False)],
)
def test_hops_among_which_a_behaviour_moves_are_a_campaign(others: str | None, together: bool) -> None:
    one = dataclasses.replace(BARE, evidence=(shared("rotation", others=others),))
    made = graph.build([one, dataclasses.replace(OTHER, dns_names=("alias.example",))])
    assert [c.shared for c in made.campaigns] == ([("behaviour of 10.0.0.11 that moves",)] if together else [])


@pytest.mark.parametrize(("known_by", "together"), [("leaked", True), ("seen", True), ("asked", False)])
def test_hops_with_one_far_end_are_a_campaign(known_by: str, together: bool) -> None:
    end = FarEnd(**{known_by: "198.51.100.3:443"})
    made = graph.build([dataclasses.replace(f, far_end=end) for f in (BARE, OTHER)])
    assert [c.shared for c in made.campaigns] == ([("far end 198.51.100.3:443",)] if together else [])
    assert len({v for _, v in edges(made.graph, "far_leg")}) == 1


def test_one_entity_seen_by_two_sensors_is_one_hop_and_no_campaign() -> None:
    again = dataclasses.replace(BARE, id="hop-9", score_db=25.0, severity="critical", evidence=(
        shared("shared_identity", value="ab"),))  # fmt: skip
    made = graph.build([again, dataclasses.replace(again, id="hop-8", score_db=2.0, severity="medium")])
    assert made.campaigns == ()
    node = made.graph.nodes["hop 203.0.113.9:443/tcp"]
    assert (node["score_db"], node["severity"], node["findings"]) == (25.0, "critical", "hop-8 hop-9")


HOSTILE = "a\x00b\x1b[31m\ud800\ufffe<&\"'>\u202e"


@pytest.fixture
def hostile() -> nx.MultiDiGraph:
    f = dataclasses.replace(
        FINDING, names=(HOSTILE, HOSTILE + "\\"), far_end=FarEnd(asked=f"{HOSTILE}:443"), dns_names=(HOSTILE,)
    )
    return graph.build([f, OTHER]).graph


def same(one: nx.MultiDiGraph, two: nx.MultiDiGraph) -> bool:
    return dict(one.nodes(data=True)) == dict(two.nodes(data=True)) and (
        {k: (u, v, d) for u, v, k, d in one.edges(keys=True, data=True)}
        == {k: (u, v, d) for u, v, k, d in two.edges(keys=True, data=True)}
    )


def test_graphml_can_be_read_back_whatever_names_hold(hostile: nx.MultiDiGraph) -> None:
    text = graph_files.graphml(hostile)
    assert "\\x00" in text
    again = nx.read_graphml(io.BytesIO(text.encode()), force_multigraph=True)
    assert same(again, hostile)
    assert json.loads(again.graph["chains"]) == hostile.graph["chains"]


def test_graphml_can_be_written_to_any_terminal() -> None:
    made = graph.build([dataclasses.replace(FINDING, names=("b\u00fccher.example",))]).graph
    text = graph_files.graphml(made)
    assert text.isascii()
    assert "name b\u00fccher.example" in nx.read_graphml(io.BytesIO(text.encode()), force_multigraph=True)


def test_json_can_be_read_back_whatever_names_hold(hostile: nx.MultiDiGraph) -> None:
    text = graph_files.node_link(hostile)
    assert text.isascii()
    again = nx.node_link_graph(json.loads(text), edges="edges")
    assert same(again, hostile)
    assert again.graph == hostile.graph


@pytest.mark.parametrize("form", list(graph_files.FORMS))
def test_the_order_of_findings_is_irrelevant(form: str) -> None:
    findings: list[Finding] = [FINDING, OTHER, BARE, dataclasses.replace(OTHER, id="hop-3", hop="192.0.2.8")]
    shuffled = findings[:]
    random.Random(1).shuffle(shuffled)
    write = graph_files.FORMS[form]
    assert write(graph.build(findings).graph) == write(graph.build(shuffled).graph)
    assert graph_files.FORMS[form](graph.build([]).graph)


def test_the_command(pcaps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "hops.graphml"
    assert cli.run(["graph", str(pcaps / "socat-beacon.pcap.gz"), "--severity", "low", "-o", str(out)]) == cli.NOTHING
    made = nx.read_graphml(out, force_multigraph=True)
    assert {"client", "hop", "far_end"} <= {d["kind"] for _, d in made.nodes(data=True)}
    assert cli.run(["graph", str(pcaps / "socat-beacon.pcap.gz"), "--format", "json", "-o", str(tmp_path)]) == cli.USAGE
    assert str(tmp_path) in capsys.readouterr().err
