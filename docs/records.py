"""Writes docs/records.md from the place that defines the records: `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from hopscope import records
from hopscope.sources import zeek_logs

PAGE = Path(__file__).with_name("records.md")


def page() -> Iterator[str]:
    """The lines of docs/records.md."""
    yield "# The records"
    yield ""
    yield "Written by `make docs` from `analyzer/hopscope/records.py`, which defines the records; change them there."
    yield ""
    yield "`hopscope records CAPTURE` prints them as JSON Lines: `kind` is `connection` or `dns_query`, times are"
    yield "epoch seconds, what a source can't know is null. A connection that lives long is told in segments:"
    yield "totals run from its start, `seg_` fields are the segment's own, `final` marks the last one."
    yield ""
    yield from records.markdown()
    yield "## What each source fills"
    yield ""
    yield "The built-in sensor fills every field that the traffic gives it. `--sensor zeek` reads Zeek's default"
    yield "logs, which have these; all others are null, the timing that most heuristics rest on among them:"
    yield ""
    for kind, fields in zip(("Connection", "DnsQuery"), zeek_logs.filled(), strict=True):
        yield f"- {kind}: {', '.join(f'`{name}`' for name in fields)}"


def main() -> None:
    """Write the page."""
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
