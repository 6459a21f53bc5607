"""Findings as lists for firewalls and Zeek: what is listed, what never is, and until when.

`blocklist` decides, `never` and `known` tell it what must not be blocked, `outputs` has a file for each format.
Nothing is imported here: the command line's `--help` loads no engine.
"""

FORMATS = ("nftables", "zeek-intel", "plain")
"""What `hopscope export` writes."""
