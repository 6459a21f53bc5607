"""Which of our hosts belong together: communities by the destinations that they share.

Bounded: places that more than MOST_USERS hosts use tell nobody apart and are left out; of more than MOST_HOSTS
hosts those with the most shared places are grouped; of a host's ties the NEIGHBOURS strongest count.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import pyarrow as pa

MOST_USERS = 50
MOST_HOSTS = 2000
NEIGHBOURS = 10
SEED = 0  # Louvain visits hosts in an order of its own choice: always the same

_T, _I = pa.string(), pa.int64()
SCHEMA = pa.schema([("sensor", _T), ("client", _T), ("community", _I), ("members", _I)])


def communities(use: ir.Table) -> pa.Table:
    """SCHEMA for each host that shares places with others: its community's number and how many belong to it.

    `use` has (sensor, client, place), each once. Two hosts are tied by the sum of 1 / log2(1 + users) over the
    places that both use (Adamic & Adar 2003: what few share binds more); communities are Louvain's (Blondel et
    al. 2008), per sensor.
    """
    edges = _edges(use).to_pyarrow().sort_by([("sensor", "ascending"), ("a", "ascending"), ("b", "ascending")])
    if not edges.num_rows:
        return SCHEMA.empty_table()
    import networkx  # here: a run without hosts to compare needn't load it

    rows = []
    for sensor in sorted(set(edges["sensor"].to_pylist())):
        of_sensor = edges.filter(pa.compute.equal(edges["sensor"], sensor))
        hosts = sorted({*of_sensor["a"].to_pylist(), *of_sensor["b"].to_pylist()})
        number = {host: i for i, host in enumerate(hosts)}  # numbers, since sets of texts have no fixed order
        graph: networkx.Graph[int] = networkx.Graph()
        graph.add_nodes_from(range(len(hosts)))
        for a, b, weight in zip(*(of_sensor[c].to_pylist() for c in ("a", "b", "weight")), strict=True):
            graph.add_edge(number[a], number[b], weight=weight)
        groups = networkx.community.louvain_communities(graph, weight="weight", seed=SEED)
        for i, group in enumerate(sorted(groups, key=min)):
            told = {"sensor": sensor, "community": i, "members": len(group)}
            rows += [{**told, "client": hosts[n]} for n in sorted(group)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _edges(use: ir.Table) -> ir.Table:
    """(sensor, a, b, weight) of tied hosts, a < b; weights are integers, so that their sum knows no order."""
    of_place = use.group_by("sensor", "place").agg(users=use.count())
    shared = use.inner_join(of_place.filter(of_place.users.between(2, MOST_USERS)), ["sensor", "place"])
    shared = shared.select("sensor", "client", "place", tie=(1000 / (1 + shared.users).log2()).round().cast("int64"))
    of_host = shared.group_by("sensor", "client").agg(places=shared.count())
    rank = ibis.row_number().over(ibis.window(group_by="sensor", order_by=[of_host.places.desc(), of_host.client]))
    few = of_host.mutate(_rank=rank).filter(ibis._._rank < MOST_HOSTS).select("sensor", "client")
    shared = shared.semi_join(few, ["sensor", "client"])
    left = shared.rename(a="client")
    right = shared.select("sensor", "place", b="client")
    both = left.inner_join(right, ["sensor", "place"]).filter(lambda t: t.a != t.b)
    ties = both.group_by("sensor", "a", "b").agg(weight=both.tie.sum())
    by_strength = ibis.window(group_by=["sensor", "a"], order_by=[ties.weight.desc(), ties.b])
    kept = ties.mutate(_rank=ibis.row_number().over(by_strength)).filter(ibis._._rank < NEIGHBOURS)
    ends = kept.select("sensor", "weight", a=ibis.least(kept.a, kept.b), b=ibis.greatest(kept.a, kept.b))
    return ends.distinct()
