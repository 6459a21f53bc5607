import numpy as np
import pyarrow as pa

from hopscope.heuristics import dns_answers, outbound_pairs
from support.windows import make_window

PAIRS = [
    {"client": "10.0.0.2", "server": "192.0.2.1", "name": "b.example"},
    {"client": "10.0.0.1", "server": "192.0.2.1", "name": None},
    {"client": "10.0.0.1", "server": "192.0.2.1", "name": "a.example"},
    {"client": "10.0.0.1", "server": "192.0.2.2", "name": "a.example", "proto": "udp"},
    {"client": "10.0.0.1", "server": "10.0.0.9", "server_local": True},
    {"client": "10.0.0.1", "server": "192.0.2.3", "established": 0},
]


def test_outbound_pairs_in_order_with_null_names_last() -> None:
    pairs = outbound_pairs.fetch(make_window(pairs=PAIRS))
    assert pairs.rows.select(["client", "server", "name"]).to_pydict() == {
        "client": ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"],
        "server": ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"],
        "name": ["a.example", None, "a.example", "b.example"],
    }
    assert pairs.ids("client", "server").tolist() == [0, 0, 1, 2]
    assert pairs.ids("name").tolist() == [0, 2, 0, 1]
    assert pairs.protocol(("udp",)).tolist() == [False, False, True, False]


def test_pairs_and_values_are_looked_up() -> None:
    pairs = outbound_pairs.fetch(make_window(pairs=PAIRS))
    numbers = pairs.rows["pair"].to_pylist()
    assert pairs.at(pa.chunked_array([[numbers[2], -1, numbers[0]]])).tolist() == [2, -1, 0]
    assert pairs.among(pa.array([numbers[1], 7])).tolist() == [False, True, False, False]
    assert pairs.code("name", pa.chunked_array([["b.example", "c.example", None]])).tolist() == [1, -1, -1]


def test_a_window_without_pairs() -> None:
    pairs = outbound_pairs.fetch(make_window(pairs=[]))
    assert len(pairs.rows) == len(pairs.ids("client", "name")) == 0
    assert pairs.at(pa.array([1], pa.int64())).tolist() == [-1]


def test_what_dns_led_to() -> None:
    names = [
        {"client": "10.0.0.7", "name": "b.example", "address": "192.0.2.1", "first_us": 7, "until_us": 9},
        {"client": "10.0.0.1", "name": "b.example", "address": "192.0.2.1", "first_us": 5, "until_us": 6},
        {"client": "10.0.0.1", "name": "z.example", "address": "192.0.2.2"},
        {"client": "10.0.0.1", "name": "z.example", "address": "192.0.2.77"},
    ]
    window = make_window(pairs=PAIRS, names=names)
    assert dns_answers.led(window).tolist() == [False, False, False, True]
    assert dns_answers.given(window).to_pylist() == ["b.example", "b.example", "z.example", "b.example"]
    answers, pairs = dns_answers.fetch(window), outbound_pairs.fetch(window)
    first, until = answers.held(pairs, ("client",), answers.first_us < 1_000)
    assert first[:2].tolist() == [5, 5]
    assert until[:2].tolist() == [6, 6]
    assert np.isnan(first[2:]).all()
