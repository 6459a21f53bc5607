"""Relays that name their far end in clear."""

from __future__ import annotations

import re

from hopscope.sensor.dissect.text import text

SEARCHED = 2048  # bytes of each direction looked at

# HTRAN answers so when the server behind it can't be reached (SecureWorks 2011, "HTran and the Advanced
# Persistent Threat"; Emerging Threats' HTran/SensLiceld.A rules), in ASCII or in UTF-16.
_HTRAN = re.compile(rb"\[SERVER\]\s*connection to ([\w.\-\[\]:]{1,255}?):(\d{1,5}) error", re.IGNORECASE)


def leaked_far_end(*streams: bytes) -> str | None:
    """host:port of the far end that a relay tells of in one of the streams; None when none does."""
    for stream in streams:
        head = stream[:SEARCHED]
        if b"[\0S\0" in head:
            head = head[head.index(b"[\0S\0") :][::2]
        if b"onnection to" not in head:
            continue
        match = _HTRAN.search(head)
        if match is not None and 0 < int(match.group(2)) < 65536:
            return f"{text(match.group(1))}:{int(match.group(2))}"
    return None
