"""Summaries: records condensed hour by hour, merged exactly, and joined into the window that is scored.

`Summaries` takes batches of records and gives windows; `condense`, `merge` and `window` hold the
expressions behind it, for any engine.
"""

from hopscope.summaries.hours import Counts, Summaries

__all__ = ["Counts", "Summaries"]
