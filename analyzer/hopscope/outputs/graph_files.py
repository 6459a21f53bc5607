"""The graph as a file: GraphML, and networkx's node-link form of JSON. Both can be read back by networkx."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx


def graphml(graph: nx.MultiDiGraph[str]) -> str:
    """GraphML in ASCII (read it with `networkx.read_graphml(file, force_multigraph=True)`).

    Its attributes hold no lists: the graph's own (chains, campaigns) are JSON in a text.
    """
    import networkx as nx

    flat = graph.copy()
    flat.graph = {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in graph.graph.items()}
    text = "\n".join(nx.generate_graphml(flat, named_key_ids=True)) + "\n"
    # names may hold what the terminal's encoding doesn't
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def node_link(graph: nx.MultiDiGraph[str]) -> str:
    """JSON in ASCII (read it with `networkx.node_link_graph(json.load(file), edges="edges")`)."""
    import networkx as nx

    return json.dumps(nx.node_link_data(graph, edges="edges"), ensure_ascii=True, indent=1) + "\n"


FORMS: Mapping[str, Callable[[nx.MultiDiGraph[str]], str]] = {"graphml": graphml, "json": node_link}
