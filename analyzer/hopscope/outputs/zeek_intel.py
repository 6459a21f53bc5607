"""Files of Zeek's Intel framework: indicators with where they come from, one a line, fields apart by tabs.

Zeek's types have no ports and no subdomains; who writes a line says in its description what that leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hopscope.outputs.plain_list import beside

if TYPE_CHECKING:
    from hopscope.exporting.blocklist import Blocklist

SOURCE = "hopscope"
COLUMNS = ("indicator", "indicator_type", "meta.source", "meta.desc")
TYPES = {"address": "ADDR", "network": "SUBNET", "name": "DOMAIN"}


def head(*further: str) -> str:
    """The line that names the columns: COLUMNS, and further fields of Intel::MetaData."""
    return "\t".join(("#fields", *COLUMNS, *further))


def row(indicator: str, kind: str, description: str, further: Sequence[str] = ()) -> str:
    """One indicator of hopscope's; `kind` is a type of Zeek's without `Intel::`."""
    return "\t".join((indicator, f"Intel::{kind}", SOURCE, one_line(description), *further))


def one_line(text: str) -> str:
    """A text as one field of one line, in which nothing begins another; Zeek reads a backslash as an escape."""
    return "".join(c if c.isprintable() and c != "\\" else " " for c in text)


def lines(blocklist: Blocklist) -> Iterator[str]:
    """The list as indicators; what each line's finding is about and until when stands in its description."""
    yield head()
    for listed in blocklist.listed:
        yield row(listed.value, TYPES[listed.kind], f"proxy hop (T1090.002), {beside(listed)}")
