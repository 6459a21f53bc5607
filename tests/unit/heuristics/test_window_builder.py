from support.windows import START, make_window, starts


def test_pairs_are_counted_from_starts() -> None:
    window = make_window(starts=[*starts([0, 1, 2]), *starts([5], name="a.example")])
    pairs = {p["name"]: p for p in window.pairs.to_pyarrow().to_pylist()}
    assert pairs[None]["connections"] == 3
    assert pairs["a.example"]["orig_bytes"] == 500
    assert (window.start_us, window.end_us) == (START, START + 5_100_000)
    assert window.legs.count().to_pyarrow().as_py() == 0
