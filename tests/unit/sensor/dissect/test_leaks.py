"""Relays that name their far end."""

from __future__ import annotations

import pytest

from hopscope.sensor.dissect import tcp

HTRAN = b"[SERVER]connection to 198.51.100.66:443 error\r\n"


@pytest.mark.parametrize(
    ("answer", "far_end"),
    [
        (HTRAN, "198.51.100.66:443"),
        (b"junk\0" + HTRAN, "198.51.100.66:443"),
        (HTRAN.decode().encode("utf-16-le"), "198.51.100.66:443"),
        (b"[SERVER]connection to c2.example.net:8080 error", "c2.example.net:8080"),
        (b"[SERVER]connection to 198.51.100.66:99999 error", None),
        (b"[SERVER]connection to error", None),
        (b"connection to 198.51.100.66:443 error", None),
        (b"<p>The [SERVER] closed the connection to you</p>", None),
        (b"x" * 4000 + HTRAN, None),
    ],
)
def test_htran(answer: bytes, far_end: str | None) -> None:
    assert tcp(b"\x16\x03\x01", answer, 50000, 8080).leaked_far_end == far_end
