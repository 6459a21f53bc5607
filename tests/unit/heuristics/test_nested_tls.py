"""nested_tls: a second handshake shows in the sizes of a TLS session's first records."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import pytest

from hopscope.heuristics.nested_tls import HEURISTIC, Settings
from support.windows import SERVER, make_window

# inner TLS 1.3 in a trojan's outer TLS 1.3: tickets, flight, Finished (80 and 17) with the request behind it
TROJAN = [602, -74, -74, -3500, 97, 420, -272, -358]
RESUMED = [780, -245, 81, 300, -500]
POST_QUANTUM = [1870, -2065, -2065, -1474, 97, 147, 80, -665]
SOCKS = [20, -282, -282, -19, 27, -27, 534, -2900, 97, 389, -272]
WEBSOCKET = [203, -146, 568, -2900, 103, 404, -276]
OLD_TICKET = [300, -3200, 143, -275, 350, -900]  # TLS 1.2: P-256, AES-GCM, a session ticket; 17 around each
OLD_BARE = [300, -3200, 110, -68, 350, -900]  # X25519, no ticket: the turns differ by 42


def weigh(sessions: Sequence[Sequence[int] | None]) -> list[dict[str, Any]]:
    samples = [{"uid": f"C{i}", "hash": i, "tls_sizes": s, "service": "ssl"} for i, s in enumerate(sessions)]
    window = make_window(pairs=[{"connections": len(samples)}], samples=samples)
    rows: list[dict[str, Any]] = HEURISTIC.weigh(window, HEURISTIC.defaults).to_pylist()
    return rows


@pytest.mark.parametrize(
    ("sizes", "prelude"),
    [
        (TROJAN, None), (POST_QUANTUM, None), (OLD_TICKET, None), (OLD_BARE, None),
        (WEBSOCKET, "a short exchange"),
    ],
)  # fmt: skip
def test_a_handshake_inside(sizes: list[int], prelude: str | None) -> None:
    (one,) = weigh([sizes])
    assert one["decibans"] == HEURISTIC.defaults.one_db
    (many,) = weigh([sizes] * 10)
    assert many["decibans"] == HEURISTIC.defaults.most_db
    assert many["server"] == SERVER
    assert len(many["uids"]) == 10
    assert many["prelude"] == prelude


def test_an_answer_without_certificates_weighs_less() -> None:
    (row,) = weigh([RESUMED])
    assert row["decibans"] == HEURISTIC.defaults.one_db * HEURISTIC.defaults.short_part
    assert row["certificates"] == 0.0


LOGIN = [21, -19, 40, -19, 27, -27, 534, -2900, 97, 389, -272]


@pytest.mark.parametrize(
    ("sizes", "socks"),
    [
        (SOCKS, True),
        (LOGIN, True),  # name and password between greeting and request
        ([27, -250, -250, -26, 34, -34, *SOCKS[6:]], True),  # 24 bytes around each
        ([21, -19, *SOCKS[4:]], True), ([22, -19, *SOCKS[4:]], True), ([23, -19, *SOCKS[4:]], False),
        ([20, -20, *SOCKS[4:]], False),  # an answer of three bytes
        ([20, -19, 27, -28, *SOCKS[6:]], False),
        ([20, -19, 26, -27, *SOCKS[6:]], False),  # too short for an address
    ],
)  # fmt: skip
def test_a_socks_greeting_before_it(sizes: list[int], socks: bool) -> None:
    (row,) = weigh([sizes])
    assert row["prelude"] == ("SOCKS5" if socks else "a short exchange")
    assert row["decibans"] == HEURISTIC.defaults.one_db + (HEURISTIC.defaults.socks_db if socks else 0.0)


@pytest.mark.parametrize(
    "sizes",
    [
        [553, -1413, -1413, -1081, -199],  # one request and its answer
        [172, 442, -64, -33, -1363, -1363, 26, -2000, 120, 90],  # HTTP/2: SETTINGS acknowledged before more requests
        [420, -1500, 410, -1500, 430, -900],  # HTTP/1.1 on a connection kept
        [120, 250, -900, 120, 260, -900, 120, 240],  # head and body apart: the same head again is no Finished
        [112, -404, 112, -404, 111, -404],  # a poller
        [960, *[-1600] * 4, -1488, *[112] * 12],  # a VPN: a stream, no request
        [300, -60, 97, 420],  # no certificates, and too little for a resumed handshake
        [620, -900, 400, -146, 600, -3000, 97, 420],  # a later request of an ordinary session
        [300, -3200, 300, -300, 350],  # TLS 1.2's turn in no size that it can have
    ],
)
def test_ordinary_sessions(sizes: list[int]) -> None:
    assert weigh([sizes] * 5) == []


@pytest.mark.parametrize(
    ("change", "fires"),
    [
        ({0: 199}, False), ({0: 200}, True), ({0: 2600}, True), ({0: 2601}, False),
        ({3: -199}, False), ({3: -200}, True), ({3: -12_000}, True), ({3: -12_001}, False),
        ({4: 73}, False), ({4: 74}, True), ({4: 138}, True), ({4: 139}, False),
        ({5: 39}, False), ({5: 40}, True),
    ],
)  # fmt: skip
def test_thresholds(change: dict[int, int], fires: bool) -> None:
    sizes = [change.get(i, s) for i, s in enumerate(TROJAN)]
    assert bool(weigh([sizes])) is fires


def test_the_outer_tickets_are_no_flight() -> None:
    assert weigh([[602, -250, -250, 97, 420, -900]]) == []


def test_the_share_of_sessions_counts() -> None:
    plain = [420, -1500, 410, -1500]
    weights = [(weigh([TROJAN] * n + [plain] * (10 - n)) or [{"decibans": 0.0}])[0]["decibans"] for n in (2, 3, 5, 10)]
    assert weights[0] == 0.0
    assert 0.0 < weights[1] < weights[2] < weights[3]
    # a session that ends after one request could not have shown it
    (row,) = weigh([TROJAN] * 3 + [[420, -1500, -200]] * 7)
    assert (row["sessions"], row["telling"]) == (3, 3)


def test_a_finished_is_always_as_long() -> None:
    steady = weigh([TROJAN] * 4)[0]["decibans"]
    varied = weigh([[*TROJAN[:4], size, *TROJAN[5:]] for size in (80, 97, 110, 125)])[0]
    assert varied["decibans"] == pytest.approx(steady / 2, abs=0.01)
    assert varied["constant"] == 0.25


def test_segments_of_one_session_count_once() -> None:
    rows = [{"uid": "C1", "hash": i, "seg": i, "tls_sizes": TROJAN} for i in range(6)]
    table = HEURISTIC.weigh(make_window(pairs=[{}], samples=rows), HEURISTIC.defaults)
    assert table["sessions"].to_pylist() == [1]
    assert table["uids"].to_pylist() == [["C1"]]


def test_only_outside_servers() -> None:
    window = make_window(pairs=[{"server_local": True}], samples=[{"tls_sizes": TROJAN}])
    assert HEURISTIC.weigh(window, HEURISTIC.defaults).num_rows == 0


def test_without_sizes_nothing_is_said() -> None:
    assert weigh([None, None]) == []
    assert weigh([[]]) == []


def test_the_order_of_rows_is_irrelevant() -> None:
    rows: list[dict[str, Any]] = [
        {"server": f"203.0.113.{i % 3}", "uid": f"C{i}", "hash": i, "tls_sizes": s}
        for i, s in enumerate([TROJAN, RESUMED, SOCKS, WEBSOCKET, [420, -1500, 410]] * 4)
    ]
    pairs = [{"server": f"203.0.113.{i}"} for i in range(3)]
    first = HEURISTIC.weigh(make_window(pairs=pairs, samples=rows), HEURISTIC.defaults).to_pylist()
    random.Random(3).shuffle(rows)
    assert HEURISTIC.weigh(make_window(pairs=pairs, samples=rows), HEURISTIC.defaults).to_pylist() == first
    assert len(first) == 3


def test_settings_are_heeded() -> None:
    window = make_window(pairs=[{}], samples=[{"tls_sizes": TROJAN}])
    settings: Settings = dataclasses.replace(HEURISTIC.defaults, one_db=5.0)
    assert HEURISTIC.weigh(window, settings)["decibans"].to_pylist() == [5.0]


def test_sentence() -> None:
    (row,) = weigh([SOCKS] * 3)
    assert HEURISTIC.sentence(row) == (
        "3 of 3 TLS sessions look as if they held a further TLS handshake, after SOCKS5: "
        "534 bytes up (its hello), 2900 down (certificates), 97 up (its end, the same in 100% of them)"
    )
    (row,) = weigh([TROJAN])
    assert HEURISTIC.sentence(row).startswith("1 of 1 TLS sessions looks as if it held a further TLS handshake: 602")
