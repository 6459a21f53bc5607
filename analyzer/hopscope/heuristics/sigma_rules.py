"""A Sigma rule about proxies or tunnels fired on a destination, or on the process that leads there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hopscope.config import setting
from hopscope.heuristics import dns_answers, outbound_pairs
from hopscope.heuristics.base import MATCHES, Fact, Window
from hopscope.heuristics.evidence import evidence
from hopscope.heuristics.naming_services import matches as service_names
from hopscope.heuristics.segments import Floats, Ints, differing, group_ids, key_ids, spans
from hopscope.sigma.rules import LEVELS
from hopscope.summaries.schema import KEY

LOOPBACK = r"^(127\.|::1$)"
SERVES_ALL = r"^(([a-z]:|\\device\\[^\\]+)\\windows\\system32\\(svchost|lsass|services)\.exe|system)$"
"""Programs that connect for others, by their path in lower case: one of that name elsewhere is somebody's own."""


@dataclass(frozen=True)
class Settings:
    """[heuristics.sigma_rules]"""

    techniques: tuple[str, ...] = setting(
        ("attack.t1090", "attack.t1572"), "", "rules with one of these tags, or a sub-technique's, are weighed"
    )
    low_db: float = setting(1.0, "decibans", "weight of a rule of level low")
    medium_db: float = setting(3.0, "decibans", "weight of a rule of level medium, and of one without a level")
    high_db: float = setting(6.0, "decibans", "weight of a rule of level high")
    critical_db: float = setting(10.0, "decibans", "weight of a rule of level critical")
    through_db: float = setting(
        20.0, "decibans", "further weight where the process that a rule caught between loopback addresses leads there"
    )


FACTS = (
    Fact("rule", "", "the rule's title; of several that fired there the one that weighs most"),
    Fact("rule_id", "", "its id"),
    Fact("level", "", "its level"),
    Fact("rules", "rules", "rules that fired there"),
    Fact("records", "records", "connections, DNS queries or host events on which it fired"),
    Fact("process", "", "path of the program that the host names; null where the network alone tells"),
    Fact("user", "", "its account; null where it isn't told"),
    Fact("host", "", "the computer that names it; null where the network alone tells"),
    Fact("through", "", "where the process was caught, address:port of a loopback; null where it was caught here"),
)
_PLACE = ("client", "server", "port", "proto")
_CAUGHT = ("rule", "title", "level", "records", "process", "user", "host")


@dataclass(frozen=True)
class SigmaRules:
    """Did somebody's Sigma rule about proxies or tunnels fire on what goes there?

    Formula: the weight of the rule's level, at the outbound pair of the connection or the host event on which it
    fired; of a DNS query at the pairs whose servers that name's answers gave the client. Rules count whose tags name
    one of `techniques`: T1090 and T1572, since they are what a hop is for. T1219, remote access software, is left out:
    its rules fire on every maker's support tool; so are rules on single bad addresses, which carry other tags.
    Of several rules the one that weighs most counts. A name that `unnamed` weighs already as a tunnel service's isn't
    weighed again for what the network shows; a host that names it is.

    A rule that fires between two loopback addresses, as on RDP through a reverse tunnel, says nothing of where the
    tunnel goes: the process does. `through_db` more, where that process (by its number and name, else by its path)
    opened a connection to the internet on the same host. Programs that connect for others (svchost) are left out, and
    so is what came in from the internet: that is no hop of ours.

    Weights: ASSUMED, and low: a rule says what its author saw elsewhere, and public rules carry levels, no error
    rates. MEASURED: of the public rules that apply to connections and DNS queries those of the techniques fired on
    none of 46,754 ordinary client-service pairs of public captures and logs (at most 0.01 %), which hold few networks;
    rules with other tags fired at 4,300 places there, most on requests without a User-Agent. The chain is ASSUMED to
    be 100 times as frequent on a host that is driven from outside as on others; administrators' own tunnels and agents
    of remote support make it as well. With `high` it stays below a finding by itself; a bare address or a rhythm lifts
    it over.

    Look-alikes: developers' tunnels, Tor on purpose, support tools; agents that probe their own host's RDP.
    """

    name: str = "sigma_rules"
    title: str = "a Sigma rule about proxies or tunnels fired"
    d3fend: str = "D3-PMAD"
    group: str = "rules"
    source: str = "levels and tags of the Sigma specification; weights assumed"
    defaults: Settings = Settings()
    facts: tuple[Fact, ...] = FACTS
    needs: tuple[tuple[str, ...], ...] = ()

    def weigh(self, window: Window, settings: Settings) -> pa.Table:
        """Evidence per pair; see the class."""
        threshold = f"sigma_rules.techniques = {', '.join(settings.techniques)}"
        caught = _of_techniques(window.matches, settings.techniques)
        if not len(caught):
            none = dict.fromkeys((f.name for f in FACTS), pa.nulls(0))
            return evidence(pa.table({"pair": pa.array([], pa.int64())}), np.zeros(0), threshold, FACTS, none)
        pairs = outbound_pairs.fetch(window).rows.select(KEY)
        weighed = _weighed_by_name(caught)
        found = pa.concat_tables([
            _at_places(caught.filter(pc.invert(weighed)), pairs),
            _at_names(window, caught.filter(pc.invert(weighed)), pairs),
            _through(window.processes, caught, pairs),
        ])  # fmt: skip
        weights = np.array([0.0, settings.low_db, settings.medium_db, settings.high_db, settings.critical_db])
        decibans = weights[pc.index_in(found["level"], value_set=pa.array(LEVELS)).fill_null(0).to_numpy()]
        decibans = decibans + settings.through_db * (found["through"].is_valid().to_numpy() & (decibans > 0))
        best, rules = _strongest(found, decibans)
        found = found.take(pa.array(best))
        values = {"rule": found["title"], "rule_id": found["rule"], "level": found["level"], "rules": rules}
        values |= {name: found[name] for name in ("records", "process", "user", "host", "through")}
        return evidence(pairs.take(found["at"]), decibans[best], threshold, FACTS, values, window.samples)

    def sentence(self, facts: Mapping[str, Any]) -> str:
        """The rule, and the process where a host names it."""
        who = facts["process"] or ("a process" if facts["host"] else "")
        if facts["user"]:
            who = f"{who} of {facts['user']}"
        if facts["host"]:
            who = f"{who} on {facts['host']}"
        more = f", and {facts['rules'] - 1} more" if facts["rules"] > 1 else ""
        rule = f'the Sigma rule "{facts["rule"]}" ({facts["level"]}) fired'
        if facts["through"]:
            return f"{who} reaches {facts['through']} through loopback and connects here; {rule} on that{more}"
        times = "once" if facts["records"] == 1 else f"{facts['records']} times"
        return f"{rule} {times}{more}{': ' if who else ''}{who}"


_FOUND = pa.schema([("at", pa.int64()), *(MATCHES.field(n) for n in _CAUGHT), ("through", pa.string())])
"""A row for each match and outbound pair (its row `at`) that belong together."""


def _of_techniques(matches: pa.Table, techniques: Sequence[str]) -> pa.Table:
    """The matches of rules with a tag among the techniques, or below one."""
    tags = matches["tags"].combine_chunks()
    flat, of = pc.list_flatten(tags), pc.list_parent_indices(tags)
    named = np.zeros(len(flat), bool)
    for technique in techniques:  # few
        wanted = technique.lower()
        hit = pc.or_(pc.equal(flat, wanted), pc.starts_with(flat, f"{wanted}."))
        named |= hit.fill_null(False).to_numpy(zero_copy_only=False)
    return matches.take(pa.array(np.unique(of.to_numpy()[named])))


def _weighed_by_name(caught: pa.Table) -> pa.ChunkedArray:
    """Which matches on the network's records are on names that `unnamed` weighs."""
    services = service_names(caught["name"])
    known = services.filter(pc.not_equal(services["category"], "literal"))["name"].combine_chunks()
    network = pc.not_equal(caught["kind"], "host_event")
    return pc.and_(network, pc.is_in(caught["name"], value_set=known))


def _at_places(caught: pa.Table, pairs: pa.Table) -> pa.Table:
    """Matches on connections, at their pairs: that of the match's name where there is one, else all of the place."""
    asked = pc.if_else(pc.equal(caught["kind"], "connection"), pc.fill_null(caught["name"], ""), caught["name"])
    names = pc.fill_null(pairs["name"], "")  # a host that knows no name says nothing of which was asked for
    of, at = _joined(caught.append_column("asked", asked), pairs.append_column("asked", names), (*_PLACE, "asked"))
    exact = _of_sensor(caught, of, pairs, at)
    rest = np.setdiff1d(np.arange(len(caught)), exact[0])
    rest = rest[_first(caught.take(pa.array(rest)), ("rule", "sensor", *_PLACE))]
    of, at = _joined(caught.take(pa.array(rest)), pairs, _PLACE)
    others = _of_sensor(caught, rest[of], pairs, at)
    return _found(caught, *(np.concatenate(both) for both in zip(exact, others, strict=True)))


def _at_names(window: Window, caught: pa.Table, pairs: pa.Table) -> pa.Table:
    """Matches on DNS queries, at the pairs of the servers that the name's answers gave: under that name or none."""
    caught = caught.filter(pc.and_(caught["server"].is_null(), caught["name"].is_valid()))
    known, answers = outbound_pairs.fetch(window), dns_answers.fetch(window)
    asked = pc.is_in(answers.names, value_set=caught["name"].combine_chunks()).to_numpy(zero_copy_only=False)
    keys = ("sensor", "client", "server")
    rows = np.flatnonzero(asked[answers.name] & np.logical_and.reduce([answers.codes[key] >= 0 for key in keys]))
    columns = {key: known.values[key].take(pa.array(answers.codes[key][rows])) for key in keys}
    given = pa.table({**columns, "name": answers.names.take(pa.array(answers.name[rows]))})
    answer, at = _joined(given, pairs, keys)
    unlike = pc.not_equal(pairs["name"].take(pa.array(at)), given["name"].take(pa.array(answer)))
    led = ~unlike.fill_null(False).to_numpy()
    answer, at = answer[led], at[led]
    led_to = given.take(pa.array(answer)).append_column("at", pa.array(at))
    of, to = _joined(caught, led_to, ("client", "name"))
    lone = np.flatnonzero(caught["client"].is_null())  # a host's own event doesn't tell its address
    lone = lone[_first(caught.take(pa.array(lone)), ("rule", "name"))]
    of_any, to_any = _joined(caught.take(pa.array(lone)), led_to, ("name",))
    of, to = np.concatenate([of, lone[of_any]]), np.concatenate([to, to_any])
    of, at = _of_sensor(caught, of, pairs, at[to])
    named = pairs["name"].take(pa.array(at)).is_valid().to_numpy()
    kept = named | ~np.isin(of, of[named])  # those of the name where there are such
    return _found(caught, of[kept], at[kept])


def _through(processes: pa.Table, caught: pa.Table, pairs: pa.Table) -> pa.Table:
    """Matches between loopback addresses, at the pairs that their processes opened to the internet."""
    both = pc.and_(*(pc.match_substring_regex(caught[end], LOOPBACK) for end in ("client", "server")))
    caught = _with_program(caught.filter(both.fill_null(False)))
    caught = caught.take(pa.array(_first(caught, ("rule", "host", "pid", "path"))))
    opened = _with_program(processes.filter(pc.fill_null(processes["initiated"], True)))
    by_pid = _led_to(caught, opened, ("host", "pid", "program"), pairs)
    by_path = _led_to(caught, opened, ("host", "path"), pairs)
    lone = pa.array(~np.isin(by_path["of"], by_pid["of"]))  # a program that hands on to a process of its own
    leads = pa.concat_tables([by_pid, by_path.filter(lone)])
    told = _found(caught, leads["of"].to_numpy(), leads["at"].to_numpy())
    for name in ("process", "user"):  # Sysmon's, where Security was caught
        told = told.set_column(told.column_names.index(name), name, pc.coalesce(leads[name], told[name]))
    server, port = (caught[name].take(leads["of"]) for name in ("server", "port"))
    server = pc.if_else(pc.match_substring(server, ":"), pc.binary_join_element_wise("[", server, "]", ""), server)
    through = pc.coalesce(pc.binary_join_element_wise(server, port.cast(pa.string()), ":"), server)
    return told.set_column(told.column_names.index("through"), "through", through).cast(_FOUND)


def _led_to(caught: pa.Table, opened: pa.Table, keys: Sequence[str], pairs: pa.Table) -> pa.Table:
    """(of, at, process, user): the pairs `at` that processes opened which have the same `keys` as matches `of`."""
    opened = opened.take(pa.array(_first(opened, (*keys, "sensor", *_PLACE))))
    of, via = _joined(caught, opened, keys)
    opened = opened.take(pa.array(via))
    row, at = _joined(opened, pairs, _PLACE)
    row, at = _of_sensor(opened, row, pairs, at)
    told = opened.select(["process", "user"]).take(pa.array(row))
    return told.append_column("of", pa.array(of[row])).append_column("at", pa.array(at))


def _with_program(rows: pa.Table) -> pa.Table:
    """The rows with `path` and `program`, its last part, in lower case; without programs that connect for others."""
    path = pc.utf8_lower(rows["process"])
    program = pc.replace_substring_regex(path, r"^.*[\\/]", "")
    rows = rows.append_column("path", path).append_column("program", program)
    return rows.filter(pc.fill_null(pc.invert(pc.match_substring_regex(path, SERVES_ALL)), False))


def _joined(left: pa.Table, right: pa.Table, keys: Sequence[str]) -> tuple[Ints, Ints]:
    """Places of rows of both with equal keys, in order of left's; a null key has no partner."""
    whole = [
        np.flatnonzero(np.logical_and.reduce([table[key].is_valid().to_numpy() for key in keys]))
        for table in (left, right)
    ]
    both = [table.select(keys).take(pa.array(rows)) for table, rows in zip((left, right), whole, strict=True)]
    ids = key_ids(pa.concat_tables(both), keys)
    of, to = ids[: len(whole[0])], ids[len(whole[0]) :]
    order = np.argsort(to, kind="stable")
    begin, end = np.searchsorted(to[order], of), np.searchsorted(to[order], of, "right")
    return whole[0][np.repeat(np.arange(len(of)), end - begin)], whole[1][order[spans(begin, end - begin)]]


def _of_sensor(rows: pa.Table, of: Ints, pairs: pa.Table, at: Ints) -> tuple[Ints, Ints]:
    """Of rows and pairs those of one sensor; a row without one is any's."""
    other = pc.not_equal(rows["sensor"].take(pa.array(of)), pairs["sensor"].take(pa.array(at)))
    same = ~other.fill_null(False).to_numpy()
    return of[same], at[same]


def _first(rows: pa.Table, keys: Sequence[str]) -> Ints:
    """The first row of each value of `keys`: what differs beside them leads to the same pairs."""
    first: Ints = np.sort(np.unique(key_ids(rows, keys), return_index=True)[1])
    return first


def _found(caught: pa.Table, of: Ints, at: Ints) -> pa.Table:
    rows = caught.select(_CAUGHT).take(pa.array(of)).add_column(0, "at", pa.array(at))
    return rows.append_column("through", pa.nulls(len(at), pa.string())).cast(_FOUND)


def _strongest(found: pa.Table, decibans: Floats) -> tuple[Ints, Ints]:
    """Of each pair the row that weighs most, the first of several, and how many rules fired there."""
    at = found["at"].to_numpy()
    order = np.lexsort((-decibans, at))
    first = np.flatnonzero(np.diff(at[order], prepend=-1))
    return order[first], differing(group_ids(at), key_ids(found, ["rule"]))[order[first]]


HEURISTIC = SigmaRules()
