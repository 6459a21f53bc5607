"""A list for people and for whatever reads one address or network a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hopscope.outputs import words

if TYPE_CHECKING:
    from hopscope.exporting.blocklist import Blocklist, Listed


def lines(blocklist: Blocklist) -> Iterator[str]:
    """The list's lines; what begins with # is for people."""
    yield "# Proxy hops (MITRE ATT&CK T1090.002) that hopscope found."
    yield from (f"# {line}" for line in about(blocklist))
    for listed in blocklist.listed:
        yield f"{listed.text} # {beside(listed)}"


def about(blocklist: Blocklist) -> Iterator[str]:
    """What the head of every list says: when it was made, from what, and when it ends."""
    expiry = blocklist.expiry
    yield f"made {_utc(blocklist)}, severity {blocklist.floor} and above, {words.plural(len(blocklist.listed), 'line')}"
    if expiry.end is not None:
        yield f"expires {expiry.end:%Y-%m-%d} 00:00 UTC"
    elif blocklist.listed:
        last = max(line.until for line in blocklist.listed)
        yield f"expires {last:%Y-%m-%d %H:%M:%S} UTC at the latest: each line {expiry.told} after its hop was last seen"


def beside(listed: Listed) -> str:
    """What stands beside a line: until when, how severe, of which finding, and of which ports it was."""
    more = f" and {len(listed.ids) - 2} more" if len(listed.ids) > 2 else ""
    ports = f", seen at {words.listed(listed.ports, 3)}" if listed.ports else ""
    return f"until {listed.until:%Y-%m-%dT%H:%M:%SZ}, {listed.severity}, {' '.join(listed.ids[:2])}{more}{ports}"


def _utc(blocklist: Blocklist) -> str:
    return f"{blocklist.made:%Y-%m-%d %H:%M:%S} UTC"
