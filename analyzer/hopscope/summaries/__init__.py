"""Summaries: records condensed hour by hour, merged exactly, and joined into the window that is scored.

`hours.Summaries` takes batches of records and gives windows; `condense`, `merge` and `window` are the
expressions behind it, for any engine.
"""
