"""Which end of a host's event is the client: what is written as source is not always who opened the connection."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

ENDS = ("client", "client_p", "client_name", "server", "port", "server_name")


def oriented(events: pa.RecordBatch) -> pa.RecordBatch:
    """The columns ENDS of host events (`records.HOST_EVENT`), a row each; null where the event tells no such end.

    Source is the client, save of what the process accepted (`initiated` false): Security's 5156 and 5157 name their
    own host as source then, and Sysmon did so until 2019, while later versions name who opened the connection. Those
    are told apart by their ports, of which the server's is the lesser. MEASURED on public samples: 39 of 39 accepted
    connections in Security name the host itself; of 87 in Sysmon the ports tell 81, 4 have equal ports, and 2 are told
    wrongly, of a program that listened on a higher port than its client's.
    """
    lesser = pc.less(events["src_p"], events["dst_p"])
    turns = pc.or_(pc.equal(events["provider"], "security"), lesser)
    turned = pc.fill_null(pc.and_kleene(pc.invert(events["initiated"]), turns), False)
    ends = [
        pc.if_else(turned, events[f"{there}_{what}"], events[f"{here}_{what}"])
        for here, there in (("src", "dst"), ("dst", "src"))
        for what in ("h", "p", "name")
    ]
    return pa.RecordBatch.from_arrays(ends, names=list(ENDS))
