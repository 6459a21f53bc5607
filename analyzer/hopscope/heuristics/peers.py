"""Which of our hosts belong together: communities by the destinations that they share.

Bounded: places that more than MOST_USERS hosts use tell nobody apart and are left out; of more than MOST_HOSTS
hosts those with the most shared places are grouped; of a host's ties the NEIGHBOURS strongest count.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.heuristics import outbound_pairs
from hopscope.heuristics.base import Window
from hopscope.heuristics.segments import Ints, key_ids

MOST_USERS = 50
MOST_HOSTS = 2000
NEIGHBOURS = 10
CONFIGURED = ("dns", "ntp", "dhcp")  # resolvers and time servers: everybody's, or a host's own business
SEED = 0  # Louvain visits hosts in an order of its own choice: always the same

_T, _I = pa.string(), pa.int64()
SCHEMA = pa.schema([("sensor", _T), ("client", _T), ("community", _I), ("members", _I)])


def configured(window: Window) -> pa.Array:
    """The numbers of the pairs whose server is none that a host chose to talk to."""
    told = outbound_pairs.told(window, "service")
    return told["pair"].filter(pc.is_in(told["value"], value_set=pa.array(CONFIGURED))).combine_chunks()


def communities(use: pa.Table) -> pa.Table:
    """SCHEMA for each host that shares places with others: its community's number and how many belong to it.

    `use` has (sensor, client, place), each once. Two hosts are tied by the sum of 1 / log2(1 + users) over the
    places that both use (Adamic & Adar 2003: what few share binds more); communities are Louvain's (Blondel et
    al. 2008), per sensor.
    """
    rows = []
    for sensor in sorted(pc.unique(use["sensor"]).drop_null().to_pylist()):
        hosts, ties = _ties(use.filter(pc.equal(use["sensor"], sensor)))
        if not len(ties):
            continue
        import networkx  # here: a run without hosts to compare needn't load it

        tied, number = np.unique(ties[:, :2], return_inverse=True)  # numbers, since sets of texts have no fixed order
        graph: networkx.Graph[int] = networkx.Graph()
        graph.add_nodes_from(range(len(tied)))
        for (a, b), weight in zip(number.reshape(-1, 2).tolist(), ties[:, 2].tolist(), strict=True):
            graph.add_edge(a, b, weight=weight)
        groups = networkx.community.louvain_communities(graph, weight="weight", seed=SEED)
        for i, group in enumerate(sorted(groups, key=min)):
            told = {"sensor": sensor, "community": i, "members": len(group)}
            rows += [{**told, "client": hosts[tied[n]]} for n in sorted(group)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _ties(use: pa.Table) -> tuple[list[str], Ints]:
    """The hosts of one sensor in order, and a row (host, host, weight) for each two that are tied, in order.

    Weights are integers, so that their sum knows no order.
    """
    place = key_ids(use, ("place",))
    users = np.bincount(place)[place]
    shared = (users > 1) & (users <= MOST_USERS)
    place, users, clients = place[shared], users[shared], use["client"].filter(pa.array(shared))
    hosts = _with_most(clients)
    host = pc.index_in(clients, value_set=pa.array(hosts, pa.string())).fill_null(-1).to_numpy()
    order = np.lexsort((host, place))
    order = order[host[order] >= 0]
    host, place = host[order].astype(np.int64), place[order]
    tie = np.round(1000 / np.log2(1 + users[order]))
    size = len(hosts)
    weight = np.zeros(size * size)
    for step in range(1, MOST_USERS):  # each with the user `step` further on of the same place
        same = np.flatnonzero(place[step:] == place[:-step])
        if not len(same):
            break
        weight += np.bincount(host[same] * size + host[same + step], tie[same], size * size)
    both = weight.reshape(size, size)
    both += both.T.copy()
    nearest = np.argsort(-both, axis=1, kind="stable")[:, :NEIGHBOURS]
    a, b = np.repeat(np.arange(size), nearest.shape[1]), nearest.ravel()
    tied = both[a, b] > 0
    a, b = a[tied], b[tied]
    return hosts, np.unique(np.stack([np.minimum(a, b), np.maximum(a, b), both[a, b].astype(np.int64)], 1), axis=0)


def _with_most(clients: pa.ChunkedArray) -> list[str]:
    """The MOST_HOSTS that occur most often, in order."""
    count = clients.value_counts()
    ranked = sorted(zip((-count.field("counts").to_numpy()).tolist(), count.field("values").to_pylist(), strict=True))
    return sorted(client for _, client in ranked[:MOST_HOSTS])
