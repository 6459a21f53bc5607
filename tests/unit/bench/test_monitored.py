"""Which networks are monitored in a capture that doesn't say so itself."""

from __future__ import annotations

import pyarrow as pa

from bench.quality import judge
from bench.quality.run import MOVED, apart, monitored
from hopscope.records import CONNECTION_SCHEMA, NO_DNS_QUERIES, Batch


def batch(*connections: tuple[str, str, int, bool, bool]) -> Batch:
    rows = [
        {"orig_h": o, "resp_h": r, "resp_p": p, "local_orig": lo, "local_resp": lr} for o, r, p, lo, lr in connections
    ]
    return Batch(pa.RecordBatch.from_pylist(rows, CONNECTION_SCHEMA), NO_DNS_QUERIES)


def truth(address: str, port: int) -> judge.Truth:
    return judge.Truth({(address, port): {}})


def test_a_flow_that_leads_out_needs_no_choice() -> None:
    out = batch(("10.0.0.1", "203.0.113.9", 1080, True, False), ("10.0.0.1", "10.0.0.2", 53, True, True))
    assert monitored([out], truth("203.0.113.9", 1080)) == (None, frozenset())
    assert monitored([out], judge.Truth()) == (None, frozenset())


def test_both_ends_private_monitors_the_client_of_the_labelled_flow() -> None:
    inside = batch(("10.0.0.1", "10.0.0.2", 1080, True, True), ("10.0.0.7", "203.0.113.9", 443, True, False))
    assert monitored([inside], truth("10.0.0.2", 1080)) == (("10.0.0.1/32",), frozenset())


def test_benign_with_nothing_outbound_monitors_who_opens_and_never_accepts() -> None:
    inside = batch(("10.0.0.1", "10.0.0.2", 80, True, True), ("10.0.0.2", "10.0.0.3", 80, True, True))
    assert monitored([inside], judge.Truth()) == (("10.0.0.1/32",), frozenset())
    both = batch(("2001:db8::1", "2001:db8::2", 80, False, False), ("2001:db8::2", "2001:db8::1", 80, False, False))
    assert monitored([both], judge.Truth()) == (("2001:db8::1/128",), frozenset())


def test_a_server_at_its_clients_address_is_moved_and_nothing_else() -> None:
    loop = batch(("127.0.0.1", "127.0.0.1", 1080, False, False), ("127.0.0.1", "127.0.0.1", 80, False, False))
    nets, moved = monitored([loop], truth("127.0.0.1", 1080))
    assert (nets, moved) == (("127.0.0.1/32",), {("127.0.0.1", 1080)})
    now = apart(loop, moved).connections
    assert now["resp_h"].to_pylist() == [MOVED, "127.0.0.1"]
    assert now["local_resp"].to_pylist() == [False, False]
