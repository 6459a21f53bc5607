"""Names from the wire can't act on a terminal, nor look like something they aren't."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.outputs.escape import visible


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("plain.example", "plain.example"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("one\nhopscope: fine\r", r"one\x0ahopscope: fine\x0d"),
        ("\x9b2J", r"\x9b2J"),  # the 8-bit CSI
        ("evil\u202egpj.exe", r"evil\u202egpj.exe"),
        ("a\u2066b\u2069", r"a\u2066b\u2069"),
        ("pay\u200bpal.example", r"pay\u200bpal.example"),
        ("line\u2028break", r"line\u2028break"),
        ("no\u00a0break", r"no\xa0break"),
        ("\ud800", r"\ud800"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("z\u0301\u0302", r"z\u0301\u0302"),
        (r"\x1b", r"\\x1b"),  # what only looks like an escape stays apart from one
        (r"C:\Windows\System32\svchost.exe", r"C:\Windows\System32\svchost.exe"),
        (r"C:\x64\udead\xyz", r"C:\\x64\\udead\xyz"),
        ("\\\x1b", r"\\\x1b"),
        ("bücher.example 日本", "bücher.example 日本"),
        ("\x7f\x00", r"\x7f\x00"),
    ],
)
def test_hostile_text_is_spelled_out(hostile: str, shown: str) -> None:
    assert visible(hostile) == shown


@given(st.text())
def test_nothing_that_acts_is_left(text: str) -> None:
    shown = visible(text)
    assert all(c == " " or unicodedata.category(c)[0] not in "CZ" for c in shown)
    assert not any(unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "RLI", "LRI", "FSI") for c in shown)


_LIKE = st.text("\\xuU0129ab\x1b\u202e", max_size=8)


@given(st.text(max_size=20) | _LIKE, st.text(max_size=20) | _LIKE)
def test_different_texts_look_different(one: str, other: str) -> None:
    assert (visible(one) == visible(other)) == (one == other)


def test_long_text_is_cut() -> None:
    assert visible("a" * 300, limit=100) == "a" * 100 + "..."
    assert visible("a" * 100, limit=100) == "a" * 100
