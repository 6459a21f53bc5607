"""Which end of a host's event is the client: what is written as source is not always who opened the connection."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

ENDS = ("client", "client_p", "client_name", "server", "port", "server_name")


def oriented(events: pa.RecordBatch) -> pa.RecordBatch:
    """The columns ENDS of host events (`records.HOST_EVENT`), a row each; null where the event tells no such end.

    Source is the client where the process opened the connection. What it accepted (`initiated` false) is told either
    way: Security's 5156 names the host's own end as source, on some systems the other's; Sysmon did the one until
    2019 and does the other since. Then the end with the lesser port is the server; where ports are equal or lacking,
    the source is in Security, the destination in Sysmon. MEASURED on public samples: so are 39 of 39 in Security, and
    of 87 in Sysmon all but 2, of a program that listened on a higher port than its client's.
    """
    lesser, greater = (
        pc.fill_null(compare(events["src_p"], events["dst_p"]), False) for compare in (pc.less, pc.greater)
    )
    own = pc.and_(pc.equal(events["provider"], "security"), pc.invert(greater))
    turned = pc.fill_null(pc.and_(pc.invert(events["initiated"]), pc.or_(lesser, own)), False)
    ends = [
        pc.if_else(turned, events[f"{there}_{what}"], events[f"{here}_{what}"])
        for here, there in (("src", "dst"), ("dst", "src"))
        for what in ("h", "p", "name")
    ]
    return pa.RecordBatch.from_arrays(ends, names=list(ENDS))
