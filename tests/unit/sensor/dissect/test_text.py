from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.sensor.dissect.text import text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain text", "plain text"),
        ("münchen.example".encode(), "münchen.example"),
        (b"caf\xe9", r"caf\xe9"),  # no UTF-8
        (b"a\x00b\x1b[31mc\n", r"a\x00b\x1b[31mc\x0a"),
        (b"\x7f\xc2\x85", r"\x7f\xc2\x85"),  # DEL and a C1 control
        ("a\u202eb".encode(), r"a\xe2\x80\xaeb"),  # turns the text's direction
        (rb"C:\x41", r"C:\\x41"),  # a backslash can't pass for an escape
    ],
)
def test_what_has_no_visible_form_is_escaped(raw: bytes, shown: str) -> None:
    assert text(raw) == shown


@given(st.binary(max_size=600), st.integers(0, 300))
def test_any_bytes_become_printable_bounded_text(raw: bytes, limit: int) -> None:
    shown = text(raw, limit)
    assert shown.isprintable()
    assert len(shown) <= 4 * limit
    shown.encode()
