"""Summaries: records condensed hour by hour, merged exactly, and joined into the window that is scored."""
