"""The bits of TCP's flags that the tracker looks at (RFC 9293)."""

from __future__ import annotations

FIN, SYN, RST, ACK = 1, 2, 4, 16
