"""Writes docs/coverage.md from the rows of `hopscope coverage`: `make docs`.

Its name isn't the page's, as those of its neighbours are: where these run, numba would take a module `coverage` for
the tool that measures what tests reach.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from hopscope.coverage.rows import coverage
from hopscope.outputs import coverage_table

PAGE = Path(__file__).with_name("coverage.md")

HEAD = """\
# Coverage of the technique

Written by `make docs` from `analyzer/hopscope/coverage/coverage.toml`; change it there. `hopscope coverage` prints the
same.

What the public catalogues know of [T1090.002, External Proxy](https://attack.mitre.org/techniques/T1090/002/): how to
counter it, what tells of it on a host, and the tools that do it. Each row names what serves it here, what proves that,
and what it can't do. A proof is a labelled capture of `pcaps/` in which these heuristics give positive evidence of the
true hop, or a test; the test suite fails where a row has none, where a named test is missing or left out, and where a
capture shows something else. How often hops are found, and how often something else is taken for one, is measured in
[quality.md](quality.md); what can't be seen at all stands in [limits.md](limits.md); these tools and more, with what
each leaves on the wire, in [tools.md](tools.md).
"""


def page() -> Iterator[str]:
    """The lines of docs/coverage.md."""
    told = coverage()
    yield from HEAD.split("\n")
    yield from coverage_table.markdown(told, "..")
    if told.elsewhere:
        yield "Heuristics also name techniques that aren't among those listed against T1090.002:"
        yield ""
        for number, why in told.elsewhere.items():
            yield f"- {number}: {why}"


def main() -> None:
    """Write the page."""
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
