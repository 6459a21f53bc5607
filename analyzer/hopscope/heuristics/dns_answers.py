"""The DNS answers that led to servers outside, in columns, fetched once per window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hopscope.heuristics.base import Window, once
from hopscope.heuristics.evidence import outbound
from hopscope.heuristics.outbound_pairs import OutboundPairs, numbered
from hopscope.heuristics.outbound_pairs import fetch as fetch_pairs
from hopscope.heuristics.segments import Flags, Floats, Ints, combined


@dataclass(frozen=True)
class Answers:
    """A row for each sensor, client, name and server that an answer told of; servers and sensors of outbound pairs.

    `name` is the place in `names`, the different names in order. `codes` are those of `OutboundPairs` for sensor,
    client, server and name; -1 where no pair has the value.
    """

    names: pa.Array
    name: Ints
    codes: dict[str, Ints]
    first_us: Ints  # of the first answer
    until_us: Ints  # when the last one ran out

    def held(self, pairs: OutboundPairs, of: Sequence[str], among: Flags) -> tuple[Floats, Floats]:
        """For each pair the first answer, of those `among`, and until when one held; NaN where there is none.

        Those for the pair's server and sensor count, and for its client or name where `of` has them.
        """
        keys = ("sensor", "server", *of)
        rows = np.flatnonzero(np.logical_and.reduce([among, *(self.codes[key] >= 0 for key in of)]))
        ids = combined([np.concatenate([self.codes[key][rows], pairs.codes[key]]) for key in keys])
        at, size = ids[: len(rows)], int(ids.max(initial=-1)) + 1
        first, until = np.full(size, np.iinfo(np.int64).max), np.full(size, np.iinfo(np.int64).min)
        np.minimum.at(first, at, self.first_us[rows])
        np.maximum.at(until, at, self.until_us[rows])
        wanted = ids[len(rows) :]
        some = (np.bincount(at, minlength=size) > 0)[wanted]
        return np.where(some, first[wanted], np.nan), np.where(some, until[wanted], np.nan)


@once
def fetch(window: Window) -> Answers:
    """The answers; fetched once per window."""
    pairs, names = fetch_pairs(window), window.names
    answers = names.semi_join(outbound(window).select(address="server").distinct(), "address")
    rows = answers.select("sensor", "client", "name", "first_us", "until_us", server=answers.address).to_pyarrow()
    codes = {key: pairs.code(key, rows[key]) for key in ("sensor", "client", "server", "name")}
    known = codes["sensor"] >= 0
    values, name = numbered(rows["name"])
    return Answers(
        names=values,
        name=name[known],
        codes={key: column[known] for key, column in codes.items()},
        first_us=rows["first_us"].to_numpy()[known],
        until_us=rows["until_us"].to_numpy()[known],
    )


@once
def led(window: Window) -> Flags:
    """Which outbound pairs' names led to their servers in a DNS answer; found once per window."""
    pairs, answers = fetch_pairs(window), fetch(window)
    out: Flags = ~np.isnan(answers.held(pairs, ("name",), np.ones(len(answers.name), bool))[0])
    return out


def given(window: Window) -> pa.Array:
    """For each outbound pair the name that DNS gave for its server, the first in order; null when none."""
    pairs, answers = fetch_pairs(window), fetch(window)
    ids = combined([np.concatenate([answers.codes[key], pairs.codes[key]]) for key in ("sensor", "server")])
    at, wanted = ids[: len(answers.name)], ids[len(answers.name) :]
    least = np.full(int(ids.max(initial=-1)) + 1, len(answers.names))
    np.minimum.at(least, at, answers.name)
    return answers.names.take(pa.array(least[wanted], mask=least[wanted] == len(answers.names)))
