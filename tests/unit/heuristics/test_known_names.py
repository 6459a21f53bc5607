"""known_names: age speaks for a name, and a certificate a little, where DNS led to the address."""

from __future__ import annotations

from typing import Any

import pytest

from hopscope.heuristics.known_names import DAY_US, HEURISTIC
from support.windows import START, make_window

NAME = "www.example.com"
PAIR = {"name": NAME}
FITS = {"name": NAME, "kind": "cert_fits", "value": "true", "uid": "C7"}
OTHER = {**FITS, "value": "false", "uid": "C8"}
MOST, CERTIFICATE = HEURISTIC.defaults.most_db, HEURISTIC.defaults.certificate_db


def weigh(
    days: float = 0.0, named: bool = True, pairs: Any = (PAIR,), sets: Any = (), history: bool = True
) -> list[dict[str, Any]]:
    seen = [{"kind": "name", "value": NAME, "first_us": START - round(days * DAY_US)}]
    window = make_window(
        pairs=pairs, sets=sets, names=[PAIR] if named else [], first_seen=seen if history else [], end_us=START
    )
    rows: list[dict[str, Any]] = HEURISTIC.weigh(window, HEURISTIC.defaults).to_pylist()
    return rows


def against(days: float, named: bool = True) -> float:
    rows = weigh(days, named)
    return float(rows[0]["decibans"]) if rows else 0.0


@pytest.mark.parametrize(("days", "speaks"), [(0.5, False), (6.9, False), (7.5, True), (40, True)])
def test_young_names_say_nothing(days: float, speaks: bool) -> None:
    assert (against(days) < 0) is speaks


def test_weight_grows_with_age_up_to_the_cap() -> None:
    assert 0 > against(10) > against(20) > against(30) == against(300) == -MOST


def test_a_name_that_dns_did_not_give_for_this_address_protects_nothing() -> None:
    assert against(300, named=False) == 0


class TestCertificate:
    @pytest.mark.parametrize("history", [True, False])
    def test_one_that_fits_speaks_a_little_for_a_young_name(self, history: bool) -> None:
        (row,) = weigh(sets=[FITS], history=history)
        assert row["decibans"] == -CERTIFICATE
        assert (row["known_days"], row["certificate_fits"], row["uids"]) == (None, True, ["C7"])
        sentence = HEURISTIC.sentence(row)
        assert sentence == "the server's certificate bears the name that was asked for and is not self-signed"

    def test_adds_to_age(self) -> None:
        (row,) = weigh(40, sets=[FITS])
        assert row["decibans"] == -MOST - CERTIFICATE
        assert HEURISTIC.sentence(row).startswith("the name has been in use here for 40 days; the server's certificate")

    @pytest.mark.parametrize("sets", [[], [OTHER], [FITS, OTHER], [OTHER, FITS], [{**FITS, "kind": "cert_subject"}]])
    def test_none_or_another_or_not_each_leaves_age_alone(self, sets: list[dict[str, Any]]) -> None:
        assert weigh(sets=sets) == []
        (row,) = weigh(40, sets=sets)
        assert (row["decibans"], row["certificate_fits"]) == (-MOST, False)
        assert HEURISTIC.sentence(row) == "the name has been in use here for 40 days"

    def test_is_void_where_dns_did_not_lead_as_behind_a_borrowed_handshake(self) -> None:
        assert weigh(40, named=False, sets=[FITS]) == []

    def test_is_that_of_one_service_and_name(self) -> None:
        for other in ({"server": "203.0.113.10"}, {"port": 8443}, {"name": "w.example"}, {"sensor": "t"}):
            assert weigh(sets=[{**FITS, **other}]) == []

    def test_speaks_alike_for_clients_that_did_not_see_it(self) -> None:
        # a resumed session and TLS 1.3 show none; fusion takes the pair that speaks least against
        pairs = [PAIR, {**PAIR, "client": "10.0.0.6"}]
        for order in (pairs, pairs[::-1]):
            rows = weigh(pairs=order, sets=[FITS])
            assert [(r["client"], r["decibans"], r["uids"]) for r in rows] == [
                ("10.0.0.5", -CERTIFICATE, ["C7"]),
                ("10.0.0.6", -CERTIFICATE, []),
            ]
